//! Checkpoints: the size and root of a log at one moment, as in c2sp.org/tlog-checkpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::Error;
use crate::merkle::Hash;
use crate::note::{SigningKey, VerifyingKey};

/// The size and root of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The root of the Merkle tree over them.
    pub root: Hash,
}

/// A checkpoint with the note that signs it. Whoever keeps one can later tell whether the log has
/// forgotten or changed anything that was in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// The note.
    pub note: String,
}

impl Checkpoint {
    /// Signs the checkpoint of a log whose name is the key's.
    #[must_use]
    pub fn sign(size: u64, root: Hash, key: &SigningKey) -> SignedCheckpoint {
        let checkpoint = Checkpoint {
            origin: key.name().to_owned(),
            size,
            root,
        };
        let note = key.sign(&checkpoint.to_text());
        SignedCheckpoint { checkpoint, note }
    }

    fn to_text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            STANDARD.encode(self.root)
        )
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let malformed = |why| Error::malformed("checkpoint", why);
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed("it is not origin, size and root"));
        };
        let plain = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = size.len() > 1 && size.starts_with('0');
        let size = size.parse().ok().filter(|_| plain && !leading_zero);
        let root = STANDARD
            .decode(root)
            .ok()
            .and_then(|root| Hash::try_from(root).ok());
        match (size, root) {
            (Some(size), Some(root)) => Ok(Self {
                origin: origin.to_owned(),
                size,
                root,
            }),
            _ => Err(malformed("its size or root is malformed")),
        }
    }
}

impl SignedCheckpoint {
    /// Opens a note, which must be signed by `key` and be of its log.
    ///
    /// # Errors
    /// A note that is malformed, of another log, or without the key's valid signature.
    pub fn open(note: &str, key: &VerifyingKey) -> Result<Self, Error> {
        let checkpoint = Checkpoint::parse(key.open(note)?)?;
        if checkpoint.origin != key.name() {
            return Err(Error::malformed("checkpoint", "it is of another log"));
        }
        Ok(Self {
            checkpoint,
            note: note.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_survives_being_signed_and_opened() {
        let key = SigningKey::generate("log.example").unwrap();
        let signed = Checkpoint::sign(7, [9; 32], &key);
        assert_eq!(
            SignedCheckpoint::open(&signed.note, &key.verifying_key()).unwrap(),
            signed
        );
        let theirs =
            tlog_tiles::Checkpoint::from_bytes(signed.checkpoint.to_text().as_bytes()).unwrap();
        assert_eq!(
            (theirs.origin(), theirs.size(), theirs.hash().0),
            ("log.example", 7, [9; 32])
        );
    }

    #[test]
    fn a_note_that_is_no_checkpoint_of_this_log_is_refused() {
        let key = SigningKey::generate("log.example").unwrap();
        for text in [
            "other\n1\nAAAA\n",
            "log.example\n01\n",
            "log.example\n-1\nx\n",
            "log.example\n1\n",
        ] {
            assert!(
                SignedCheckpoint::open(&key.sign(text), &key.verifying_key()).is_err(),
                "{text}"
            );
        }
        let root = STANDARD.encode([0; 32]);
        let of_other = key.sign(&format!("other.example\n1\n{root}\n"));
        assert!(SignedCheckpoint::open(&of_other, &key.verifying_key()).is_err());
    }
}
