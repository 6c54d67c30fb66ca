//! What can go wrong with a log.

use std::io;
use std::path::PathBuf;

/// Why a log cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written; full disks come here too.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A record is larger than the log can hold.
    #[error(
        "a record of {size} bytes is larger than the {} that an entry may have",
        crate::MAX_ENTRY
    )]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// More records wait for the disk than the log keeps in memory.
    #[error("the audit log is behind: too many records wait for the disk; try again")]
    Busy,
    /// A write could not be taken back, or a flush failed, so that nobody knows what is on disk.
    /// Nothing more is written until the log is opened again.
    #[error("the audit log has stopped after a failed write; repair the disk and restart")]
    Stopped,
    /// Another process has the log open for writing.
    #[error("the audit log in `{}` is open in another process", .0.display())]
    Locked(PathBuf),
    /// The log does not fit its own signatures: somebody changed it, or the key is another's.
    #[error("the audit log is not intact: {0}; run `cofferdam audit verify`")]
    Corrupt(String),
    /// A key, a note or a proof is malformed.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A signature is missing or false.
    #[error("no valid signature by `{0}`")]
    Signature(String),
    /// An entry that is not there: beyond the end, or moved away by a rotation.
    #[error("there is no entry {index} in the log: {why}")]
    NoEntry {
        /// Which.
        index: u64,
        /// Why.
        why: &'static str,
    },
}

impl Error {
    /// A failed operation on a file.
    pub(crate) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io {
            doing,
            path,
            source,
        }
    }

    pub(crate) const fn malformed(what: &'static str, why: &'static str) -> Self {
        Error::Malformed { what, why }
    }
}
