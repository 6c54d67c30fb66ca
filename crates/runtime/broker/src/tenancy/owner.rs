//! Owners: the tenant that a token stands for, and the objects that a request is about.

use std::fmt;

use aws_lc_rs::digest;
use cofferdam_action::refusal::quote;
use serde::{Deserialize, Serialize};

/// Letters of an [`Owner`]: 100 bits.
const LETTERS: usize = 20;

/// The alphabet of base32 (RFC 4648, section 6) in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Who owns an object: 20 letters of lower-case base32, the first 100 bits of the SHA-256 over the
/// issuer, a zero byte, and the text of the claim that says whose it is (`sub`, unless the operator
/// names another).
///
/// It is not the subject itself, so that it can be part of a name, and has a known length.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Owner([u8; LETTERS]);

/// Whoever asks, as far as ownership goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Whose objects they see.
    pub owner: Owner,
    /// The issuer and subject of the token, by the same digest. Execs belong to it: two subjects
    /// that share an owner (two jobs of one repository, say) do not share these.
    pub principal: Owner,
    /// Whether the objects of others are seen too. It takes a scope and a policy.
    pub sees_all: bool,
}

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A container.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// An exec.
    Exec,
    /// An image.
    Image,
}

/// An object that a request is about, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// The full id (of a volume, its name in the engine; of an image, nothing); none where it is
    /// yet to be made.
    pub id: Option<String>,
    /// The name as its owner says it, or as the engine does where it has no owner; the id where it
    /// has none.
    pub name: String,
    /// Whose it is; none for an image that the operator allows, and for what was made behind the
    /// broker's back.
    pub owner: Option<Owner>,
}

/// A text that is no [`Owner`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is no owner of {LETTERS} base32 letters", quote(.0))]
pub struct NotAnOwner(String);

impl Owner {
    /// The owner that an issuer and the text of a claim stand for.
    #[must_use]
    pub fn of(issuer: &str, text: &str) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(issuer.as_bytes());
        context.update(&[0]);
        context.update(text.as_bytes());
        let digest = context.finish();
        let bits = digest.as_ref();
        let mut letters = [0; LETTERS];
        for (at, letter) in letters.iter_mut().enumerate() {
            // Five bits that begin in one byte and may end in the next; a digest has 32 bytes.
            let (byte, shift) = (at * 5 / 8, at * 5 % 8);
            let pair = u16::from_be_bytes([bits[byte], bits[byte + 1]]);
            *letter = ALPHABET[usize::from(pair >> (11 - shift) & 31)];
        }
        Self(letters)
    }

    /// Reads an owner as it is written.
    ///
    /// # Errors
    /// [`NotAnOwner`] for anything but 20 letters of lower-case base32.
    pub fn parse(text: &str) -> Result<Self, NotAnOwner> {
        match <[u8; LETTERS]>::try_from(text.as_bytes()) {
            Ok(letters) if letters.iter().all(|letter| ALPHABET.contains(letter)) => {
                Ok(Self(letters))
            }
            _ => Err(NotAnOwner(text.to_owned())),
        }
    }

    /// The letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The alphabet is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Kind {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Container => "container",
            Kind::Network => "network",
            Kind::Volume => "volume",
            Kind::Exec => "exec",
            Kind::Image => "image",
        }
    }
}

impl Object {
    /// What an audit record calls it: the full id, or its owner's name of what is yet to be made.
    #[must_use]
    pub fn recorded(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.name)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({})", self.as_str())
    }
}

impl TryFrom<String> for Owner {
    type Error = NotAnOwner;

    fn try_from(text: String) -> Result<Self, NotAnOwner> {
        Self::parse(&text)
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> String {
        owner.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_the_start_of_the_digest_in_base32() {
        // printf 'https://i\0alice' | sha256sum | xxd -r -p | base32 | tr A-Z a-z | cut -c1-20
        assert_eq!(
            Owner::of("https://i", "alice").as_str(),
            "gwjjbdmb6pn2ts4l6goi"
        );
        // The zero byte keeps the two parts apart.
        assert_ne!(Owner::of("a", "bc"), Owner::of("ab", "c"));
    }

    #[test]
    fn only_twenty_letters_are_an_owner() {
        let owner = Owner::of("https://i", "alice");
        assert_eq!(Owner::parse(owner.as_str()), Ok(owner));
        for text in ["", "abc", "ABCDEFGHIJKLMNOPQRST", "abcdefghijklmnopqrs1"] {
            assert!(Owner::parse(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Owner>("\"../..\"").is_err());
    }
}
