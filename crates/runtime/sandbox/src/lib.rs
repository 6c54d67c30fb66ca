//! What the gate and the broker can still do once they have started: as little as the kernel lets
//! them be held to.
//!
//! Both processes read what strangers send. Whoever finds a flaw in one of them should find
//! themselves in a process without privileges, programs, files or sockets beyond its job. Two calls
//! do it, both before any thread starts, since the kernel keeps most of this per thread:
//!
//! 1. [`clear_environment`], first thing in `main`;
//! 2. [`confine`], when the configuration is read and before the runtime is built.
//!
//! [`confine`] answers with a [`Report`] that says measure by measure what holds. What none of this
//! stops is in `docs/gate/sandbox.md`.
//!
//! Beside it stands what both do around that. [`bind`] makes a socket, before the process is confined,
//! and [`notify`] tells the service manager how it goes, after it. [`user_number`], [`group_number`]
//! and [`user_name`] look accounts up. [`read_by_others`], [`written_by_others`] and [`is_shared`] say
//! who else has a hand in the files and directories that a configuration names.

mod confinement;
mod descriptors;
mod environment;
mod error;
mod identity;
mod landlock;
mod notify;
mod permissions;
mod privileges;
mod report;
mod shared_directories;
mod socket;
mod system_calls;

pub use confinement::{Confinement, Enforcement, Role, User, confine};
pub use environment::clear_environment;
pub use error::Error;
pub use identity::{group_number, user_name, user_number};
pub use notify::notify;
pub use permissions::{hidden_from_this_user, read_by_others, written_by_others};
pub use report::{Line, Measure, Report};
pub use shared_directories::is_shared;
pub use socket::{SocketFile, bind};
