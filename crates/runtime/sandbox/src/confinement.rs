//! What a process says about itself, and the order in which it gives everything else up.

use std::os::fd::RawFd;
use std::path::PathBuf;

use crate::report::Report;
use crate::{Error, descriptors, environment, identity, landlock, privileges, system_calls};

/// What a process may keep.
#[derive(Clone, Debug)]
pub struct Confinement {
    /// Which of the two it is.
    pub role: Role,
    /// What happens if a measure cannot be held.
    pub enforcement: Enforcement,
    /// Whom it runs as.
    pub user: User,
    /// Files and directories it may read, with all below them. A file that others replace by
    /// renaming (keys, certificates) needs its directory here: a rule follows the file that was
    /// there, not its name.
    pub read: Vec<PathBuf>,
    /// Directories in which it may read, create, change and remove files, directories and sockets;
    /// or single files it may write.
    pub write: Vec<PathBuf>,
    /// File descriptors to leave open beside 0, 1 and 2: listeners handed over by a service
    /// manager, pipes to children.
    pub descriptors: Vec<RawFd>,
}

/// The two processes.
#[derive(Clone, Debug)]
pub enum Role {
    /// The privileged side: unix sockets only.
    Broker,
    /// The network side.
    Gate {
        /// The TCP ports it may bind; 0 stands for one that the kernel picks.
        listen: Vec<u16>,
        /// The TCP ports it may connect to, on any host: those of the issuers whose keys it fetches
        /// itself, and of a proxy. Empty if `cofferdam keys sync` does that; otherwise it may also
        /// ask for names, which takes UDP and the resolver's files.
        connect: Vec<u16>,
    },
}

/// What happens if a measure cannot be held; in a configuration, `required` or `best-effort`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enforcement {
    /// Refuse to start.
    #[default]
    Required,
    /// Hold what the kernel can, and say in the report what it cannot.
    BestEffort,
}

/// Whom a process runs as.
#[derive(Clone, Debug)]
pub enum User {
    /// Change to this user for good; only root can. Each is a name or a number.
    Change {
        /// The user.
        user: String,
        /// The group; without it the primary group of the user.
        group: Option<String>,
        /// All supplementary groups: for the broker, that of the engine's socket.
        groups: Vec<String>,
    },
    /// Stay whom the service manager chose, with the groups it chose.
    Keep,
    /// Stay, as the same user as the other process. It is reported as not held, since what one of
    /// them may open the other may open as well.
    Shared,
}

/// Gives up, for good, everything that `confinement` does not keep.
///
/// To be called once, while the process has one thread and no children that it still wants to
/// signal. The order is that of need: groups and users take capabilities, Landlock takes paths that
/// the new user can reach and `no_new_privs`, and the system call filter comes last since it
/// refuses all of that.
///
/// # Errors
/// Whatever [`Enforcement`]: if a second thread runs, a user, group or path is unknown, the user
/// cannot be changed, or a call fails for another reason than an old kernel. With
/// [`Enforcement::Required`] also if a measure does not hold: [`Error::NotHeld`] says which. After an
/// error the process is in an undefined state between the two and should end.
pub fn confine(confinement: &Confinement) -> Result<Report, Error> {
    one_thread()?;
    let mut report = Report::default();
    environment::report(&mut report);
    descriptors::close_others(&confinement.descriptors, &mut report)?;
    // Without this the group and others could read what the process creates.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    privileges::empty_bounding_set()?;
    identity::change(&confinement.user, &mut report)?;
    privileges::give_up(&mut report)?;
    let ports = landlock::restrict(confinement, &mut report)?;
    system_calls::filter(&confinement.role, ports, &mut report)?;
    match confinement.enforcement {
        Enforcement::Required if !report.holds() => Err(Error::NotHeld(report)),
        Enforcement::Required | Enforcement::BestEffort => Ok(report),
    }
}

/// Users, capabilities, Landlock and seccomp are kept per thread: a second one would stay free.
fn one_thread() -> Result<(), Error> {
    let threads = std::fs::read_dir("/proc/self/task")
        .map_err(Error::call("count the threads in `/proc/self/task`"))?
        .count();
    match threads {
        1 => Ok(()),
        threads => Err(Error::Threads(threads)),
    }
}
