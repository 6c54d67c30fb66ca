//! Signed notes and their Ed25519 keys, as in c2sp.org/signed-note.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsBigEndian as _, Curve25519SeedBin};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::error::Error;

/// Bytes that a note may have.
pub const MAX_NOTE: usize = 64 << 10;

/// The type of an Ed25519 key and signature.
const ED25519_TYPE: u8 = 1;

/// A key that signs notes under a name.
pub struct SigningKey {
    name: String,
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

/// A key that verifies notes of a name.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    public: [u8; 32],
}

impl SigningKey {
    /// A new key for `name`, which is the origin of the log: like a URL without its scheme, without
    /// white space and `+`.
    ///
    /// # Errors
    /// A name that no note can have; a system without randomness.
    pub fn generate(name: &str) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::generate()
            .map_err(|_| Error::malformed("key", "the system has no randomness"))?;
        let seed = pair.seed().and_then(|seed| {
            let seed: Curve25519SeedBin<'_> = seed.as_be_bytes()?;
            let mut bytes = Zeroizing::new([0; 32]);
            bytes.copy_from_slice(seed.as_ref());
            Ok(bytes)
        });
        let seed = seed.map_err(|_| Error::malformed("key", "it has no seed"))?;
        Self::of(name, seed)
    }

    /// Reads `PRIVATE+KEY+<name>+<id>+<base64>`, the form of Go's note package.
    ///
    /// # Errors
    /// Any other form, and an id that is not the key's.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let malformed = |why| Error::malformed("signing key", why);
        let rest = text
            .trim_end_matches('\n')
            .strip_prefix("PRIVATE+KEY+")
            .ok_or_else(|| malformed("it does not begin with `PRIVATE+KEY+`"))?;
        let mut parts = rest.splitn(3, '+');
        let (Some(name), Some(id), Some(data)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("it is not name, id and key"));
        };
        let data = Zeroizing::new(STANDARD.decode(data).map_err(|_| malformed("no base64"))?);
        let mut seed = Zeroizing::new([0; 32]);
        match data.split_first() {
            Some((&ED25519_TYPE, bytes)) if bytes.len() == 32 => seed.copy_from_slice(bytes),
            _ => return Err(malformed("it is no Ed25519 key")),
        }
        let key = Self::of(name, seed)?;
        match format!("{:08x}", key.verifying_key().id()) == id {
            true => Ok(key),
            false => Err(malformed("its id is not that of the key")),
        }
    }

    fn of(name: &str, seed: Zeroizing<[u8; 32]>) -> Result<Self, Error> {
        check_name(name)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref())
            .map_err(|_| Error::malformed("signing key", "it is no Ed25519 key"))?;
        Ok(Self {
            name: name.to_owned(),
            seed,
            pair,
        })
    }

    /// The form that [`parse`](Self::parse) reads. It is the secret itself.
    #[must_use]
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let mut data = Zeroizing::new(vec![ED25519_TYPE]);
        data.extend_from_slice(self.seed.as_ref());
        let coded = Zeroizing::new(STANDARD.encode(&*data));
        let id = self.verifying_key().id();
        Zeroizing::new(format!("PRIVATE+KEY+{}+{id:08x}+{}", self.name, *coded))
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut public = [0; 32];
        public.copy_from_slice(self.pair.public_key().as_ref());
        VerifyingKey {
            name: self.name.clone(),
            public,
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Signs a text, which ends with a newline.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let mut signature = self.verifying_key().id().to_be_bytes().to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!(
            "{text}\n\u{2014} {} {}\n",
            self.name,
            STANDARD.encode(signature)
        )
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl VerifyingKey {
    /// Reads `<name>+<id>+<base64>`, the form of a verifier key.
    ///
    /// # Errors
    /// Any other form, and an id that is not the key's.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let malformed = |why| Error::malformed("verifier key", why);
        let mut parts = text.trim_end_matches('\n').splitn(3, '+');
        let (Some(name), Some(id), Some(data)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("it is not name, id and key"));
        };
        check_name(name)?;
        let data = STANDARD.decode(data).map_err(|_| malformed("no base64"))?;
        let mut public = [0; 32];
        match data.split_first() {
            Some((&ED25519_TYPE, bytes)) if bytes.len() == 32 => public.copy_from_slice(bytes),
            _ => return Err(malformed("it is no Ed25519 key")),
        }
        let key = Self {
            name: name.to_owned(),
            public,
        };
        match format!("{:08x}", key.id()) == id {
            true => Ok(key),
            false => Err(malformed("its id is not that of the key")),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id: the first four bytes of the SHA-256 of name, newline, type and key.
    #[must_use]
    pub fn id(&self) -> u32 {
        let mut text = self.name.clone().into_bytes();
        text.extend_from_slice(&[b'\n', ED25519_TYPE]);
        text.extend_from_slice(&self.public);
        let hash = digest(&SHA256, &text);
        hash.as_ref()
            .iter()
            .take(4)
            .fold(0, |id, byte| id << 8 | u32::from(*byte))
    }

    /// The text of a note that this key signed. Signatures of others are ignored.
    ///
    /// # Errors
    /// A note that is malformed, or without a valid signature by this key.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, Error> {
        let malformed = |why| Error::malformed("note", why);
        if note.len() > MAX_NOTE {
            return Err(malformed("it is too long"));
        }
        if note.chars().any(|letter| letter < ' ' && letter != '\n') {
            return Err(malformed("it holds a control character"));
        }
        let cut = note
            .rfind("\n\n")
            .ok_or_else(|| malformed("it has no signatures"))?;
        let (text, signatures) = (&note[..=cut], &note[cut + 2..]);
        if !signatures.ends_with('\n') {
            return Err(malformed("its last line does not end"));
        }
        for line in signatures.lines() {
            let (name, signature) = line
                .strip_prefix("\u{2014} ")
                .and_then(|line| line.split_once(' '))
                .ok_or_else(|| malformed("a line is no signature"))?;
            let bytes = STANDARD
                .decode(signature)
                .map_err(|_| malformed("no base64"))?;
            let Some((id, signature)) = bytes.split_at_checked(4) else {
                return Err(malformed("a signature is too short"));
            };
            if name == self.name && id == self.id().to_be_bytes() {
                return UnparsedPublicKey::new(&ED25519, self.public)
                    .verify(text.as_bytes(), signature)
                    .map(|()| text)
                    .map_err(|_| Error::Signature(self.name.clone()));
            }
        }
        Err(Error::Signature(self.name.clone()))
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = [&[ED25519_TYPE], &self.public[..]].concat();
        write!(
            f,
            "{}+{:08x}+{}",
            self.name,
            self.id(),
            STANDARD.encode(data)
        )
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let bad = |letter: char| letter.is_whitespace() || letter == '+' || letter.is_control();
    if name.is_empty() || name.len() > 255 || name.contains(bad) {
        return Err(Error::malformed(
            "key name",
            "it is empty, too long, or has white space or `+`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_being_written_and_are_not_shown() {
        let key = SigningKey::generate("log.example/audit").unwrap();
        let text = key.to_secret_text();
        let again = SigningKey::parse(&text).unwrap();
        assert_eq!(again.verifying_key(), key.verifying_key());
        assert!(!format!("{key:?}").contains(&text[text.len() - 20..]));
        let public = key.verifying_key();
        assert_eq!(VerifyingKey::parse(&public.to_string()).unwrap(), public);
        for bad in [
            "",
            "a+b",
            "a b+00000000+AQ==",
            &public.to_string().replace("log", "lag"),
        ] {
            assert!(VerifyingKey::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_note_is_opened_by_its_key_only() {
        let key = SigningKey::generate("log.example").unwrap();
        let other = SigningKey::generate("log.example").unwrap();
        let note = key.sign("origin\n1\nroot\n");
        assert_eq!(
            key.verifying_key().open(&note).unwrap(),
            "origin\n1\nroot\n"
        );
        assert!(matches!(
            other.verifying_key().open(&note),
            Err(Error::Signature(_))
        ));
        assert!(
            key.verifying_key()
                .open(&note.replace("\n1\n", "\n2\n"))
                .is_err()
        );
        for cut in 0..note.len() {
            if note.is_char_boundary(cut) {
                assert!(key.verifying_key().open(&note[..cut]).is_err(), "{cut}");
            }
        }
    }

    #[test]
    fn other_people_accept_the_note_and_the_keys() {
        use signed_note::Signer as _;
        let key = SigningKey::generate("log.example/audit").unwrap();
        let theirs = signed_note::StandardVerifier::new(&key.verifying_key().to_string()).unwrap();
        let note = signed_note::Note::from_bytes(key.sign("a\nb\n").as_bytes()).unwrap();
        let known = signed_note::VerifierList::new(vec![Box::new(theirs)]);
        let (good, unknown) = note.verify(&known).unwrap();
        assert_eq!((good.len(), unknown.len()), (1, 0));

        let signer = signed_note::StandardSigner::new(&key.to_secret_text()).unwrap();
        assert_eq!(signer.key_id(), key.verifying_key().id());
        let mut note = signed_note::Note::new(b"a\n", &[]).unwrap();
        note.add_sigs(&[&signer]).unwrap();
        let text = String::from_utf8(note.to_bytes()).unwrap();
        assert_eq!(key.verifying_key().open(&text).unwrap(), "a\n");
    }
}
