//! Why a process could not be confined.

use std::io;
use std::path::PathBuf;

use crate::report::Report;

/// Why a process could not be confined.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More than one thread runs, and the others would stay free.
    #[error("cannot confine a process of {0} threads; confine it before the first thread starts")]
    Threads(usize),
    /// No such user.
    #[error("there is no user `{0}`; create it (`deploy/systemd/sysusers.d`) or correct its name")]
    NoUser(String),
    /// No such group.
    #[error("there is no group `{0}`; create it (`deploy/systemd/sysusers.d`) or correct its name")]
    NoGroup(String),
    /// A user by number that no user data base knows has no primary group.
    #[error("user `{0}` has no primary group; name a group as well")]
    NoPrimaryGroup(String),
    /// The user or the groups could not be changed.
    #[error(
        "cannot change to user `{user}`: {source}; start as root, or as that user and leave the user out"
    )]
    ChangeUser {
        /// To whom.
        user: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A path that the process should keep cannot be opened.
    #[error(
        "cannot keep `{}` for the sandbox: {source}; create it, or correct the path or its permissions",
        path.display()
    )]
    Path {
        /// Which.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Landlock refused the rules for another reason than an old kernel.
    #[error("cannot confine the process to its files with Landlock: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// The filter for system calls could not be built.
    #[error("cannot build the filter for system calls: {0}; please report it")]
    Filter(#[from] seccompiler::BackendError),
    /// A system call failed.
    #[error("cannot {doing}: {source}")]
    Call {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A measure does not hold, and all of them are required.
    #[error(
        "the sandbox does not hold in full:\n{0}\nmend what is not held, or start with `sandbox = \"best-effort\"`"
    )]
    NotHeld(Report),
}

impl Error {
    /// For `map_err`.
    pub(crate) fn call<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Call {
            doing,
            source: source.into(),
        }
    }
}
