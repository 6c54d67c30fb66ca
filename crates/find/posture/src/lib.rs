//! What a container could touch, from its deployment files or from a `/proc`.
//!
//! [`Deployment::read`] takes compose files, `docker inspect` and `docker info` JSON, told apart by
//! their content, and joins them: one [`Workload`] per container, each with the conditions that hold
//! ([`cofferdam_finding::Facts`]) and what the [`rules`] say about them. [`LiveProc`] does the same
//! for files of a `/proc` that somebody reads from inside.
//!
//! A condition is yes, no or unknown. What a file says is `firm`; what is read live is `proven`.
//! Nothing here opens a file or a connection.

mod compose;
mod conditions;
mod deployment;
mod engine;
mod error;
mod host_path;
mod input;
mod inspect;
mod interpolate;
mod live;
mod node;
mod rules;
mod settings;
mod version;

pub use deployment::{Deployment, EngineReport, File, MAX_INPUTS, Workload, findings};
pub use error::Error;
pub use host_path::{HostPath, Sensitivity, Socket};
pub use input::{Format, Input, MAX_INPUT_BYTES};
pub use live::{LiveFile, LiveProc, MAX_LIVE_BYTES, SocketProbe, environ_names};
pub use rules::{Rule, rules};
pub use settings::{Origin, PublishedPort};
