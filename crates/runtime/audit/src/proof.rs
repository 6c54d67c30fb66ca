//! Proofs about single entries and about growth, for whoever holds a key and no log.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::SignedCheckpoint;
use crate::error::Error;
use crate::log::CHECKPOINT;
use crate::merkle::{self, Hash, leaf_hash, root_by_inclusion};
use crate::note::VerifyingKey;
use crate::tile;

/// The first line of a proof (c2sp.org/tlog-proof).
const HEAD: &str = "c2sp.org/tlog-proof@v1";

/// The proof that an entry is in the log at an index, together with the signed checkpoint that it
/// is a proof for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Opaque data that goes with the proof and that nothing vouches for; here the entry itself, so
    /// that [`check`](Self::check) needs no other file.
    pub extra: Option<Vec<u8>>,
    /// The entry's index.
    pub index: u64,
    /// The hashes of the proof, lowest first.
    pub hashes: Vec<Hash>,
    /// The checkpoint's note.
    pub note: String,
}

/// Proves that the entry at `index` is in the published checkpoint of the log in `dir`.
///
/// # Errors
/// [`Error::NoEntry`] where the checkpoint does not reach so far, [`Error::Signature`] where it is
/// not by `key`, [`Error::Io`].
pub fn prove(dir: &Path, index: u64, key: &VerifyingKey) -> Result<Inclusion, Error> {
    let signed = published(dir, key)?;
    let size = signed.checkpoint.size;
    if index >= size {
        return Err(Error::NoEntry {
            index,
            why: "the published checkpoint does not reach so far",
        });
    }
    let hashes = merkle::inclusion(index, size, |level, at| tile::node(dir, size, level, at))?;
    Ok(Inclusion {
        extra: None,
        index,
        hashes,
        note: signed.note,
    })
}

/// Proves that the published checkpoint of the log in `dir` continues the log of `old` entries, for
/// a witness that has seen that (c2sp.org/tlog-witness, `add-checkpoint`).
///
/// # Errors
/// [`Error::NoEntry`] where `old` is 0 or beyond the checkpoint, [`Error::Signature`],
/// [`Error::Io`].
pub fn prove_growth(
    dir: &Path,
    old: u64,
    key: &VerifyingKey,
) -> Result<(Vec<Hash>, SignedCheckpoint), Error> {
    let signed = published(dir, key)?;
    let size = signed.checkpoint.size;
    if old == 0 || old > size {
        return Err(Error::NoEntry {
            index: old,
            why: "no growth from there can be proved",
        });
    }
    let hashes = merkle::consistency(old, size, |level, at| tile::node(dir, size, level, at))?;
    Ok((hashes, signed))
}

/// The published checkpoint.
///
/// # Errors
/// [`Error::Io`] where there is none, [`Error::Signature`] where it is not by `key`.
pub fn published(dir: &Path, key: &VerifyingKey) -> Result<SignedCheckpoint, Error> {
    let path = dir.join(CHECKPOINT);
    let note = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    SignedCheckpoint::open(&note, key)
}

impl Inclusion {
    /// The proof as text, to be kept as a `.tlog-proof` file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        if let Some(extra) = &self.extra {
            text.push_str(&format!("extra {}\n", STANDARD.encode(extra)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.hashes {
            text.push_str(&STANDARD.encode(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.note);
        text
    }

    /// Reads the text of a proof.
    ///
    /// # Errors
    /// Any other form.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let malformed = |why| Error::malformed("proof", why);
        let (head, note) = text
            .split_once("\n\n")
            .ok_or_else(|| malformed("it has no checkpoint"))?;
        let mut lines = head.lines().peekable();
        if lines.next() != Some(HEAD) {
            return Err(malformed("it does not begin with `c2sp.org/tlog-proof@v1`"));
        }
        let extra = lines
            .next_if(|line| line.starts_with("extra "))
            .and_then(|line| line.strip_prefix("extra "))
            .map(|data| {
                let malformed = |_| malformed("its extra data is no base64");
                STANDARD.decode(data).map_err(malformed)
            })
            .transpose()?;
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .filter(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|index| index.parse().ok())
            .ok_or_else(|| malformed("it has no index"))?;
        let hashes: Vec<Hash> = lines
            .map(|line| {
                STANDARD
                    .decode(line)
                    .ok()
                    .and_then(|hash| Hash::try_from(hash).ok())
            })
            .collect::<Option<_>>()
            .ok_or_else(|| malformed("a line is no hash"))?;
        // A tree of 2^64 leaves has no longer one.
        if hashes.len() > 64 {
            return Err(malformed("it has too many hashes"));
        }
        Ok(Self {
            extra,
            index,
            hashes,
            note: note.to_owned(),
        })
    }

    /// Checks that `entry` stands at the proof's index in a log of `key`, and answers the
    /// checkpoint.
    ///
    /// # Errors
    /// [`Error::Signature`] where the checkpoint is not by `key`; [`Error::Corrupt`] where the proof
    /// does not lead from the entry to its root.
    pub fn check(&self, entry: &[u8], key: &VerifyingKey) -> Result<SignedCheckpoint, Error> {
        let signed = SignedCheckpoint::open(&self.note, key)?;
        let size = signed.checkpoint.size;
        let root = root_by_inclusion(self.index, size, leaf_hash(entry), &self.hashes);
        match root == Some(signed.checkpoint.root) {
            true => Ok(signed),
            false => Err(Error::Corrupt(
                "the proof does not lead to the checkpoint".to_owned(),
            )),
        }
    }
}
