//! The embedded engine: a *simulated* container engine behind a real Docker Engine API.
//!
//! It stands where no Docker is: on bare machines, in the demo, in tests. Nothing is isolated and
//! nothing is executed. A container is a record, a directory and a task: its command is one of the
//! [built-in commands](commands), run by the engine itself on the container's own directory and its
//! mounts.
//!
//! # The pretend host
//! The engine is told a directory that plays the host's root. A bind of `/` or `/etc` shows that
//! directory's `/` or `/etc`, so what an escape would do to a host can be *shown*: `touch
//! /host/marker` in a container with `/:/host` makes `marker` appear there. The real machine stays
//! out of reach, and not by looking at strings: every file is opened with `openat2(2)` and
//! `RESOLVE_IN_ROOT`, for which `..` and absolute links end at the directory.
//!
//! # What it answers
//! Status codes, messages, headers and JSON are those of dockerd. Routes: `_ping`, `version`, `info`,
//! containers (list, inspect, create, start, stop, kill, restart, wait, logs, rename, remove, exec),
//! `exec` (start, inspect) and images (list, inspect, pull). Every pull succeeds. Attach, archives,
//! networks, volumes, builds and events are not there: such a route answers `page not found`.

mod answer;
mod api;
mod archive;
mod authorization;
mod changes;
pub mod commands;
mod container;
mod decode;
mod events;
mod files;
mod filters;
mod image;
mod io;
mod network;
mod request;
mod route;
mod server;
mod state;
mod volume;

pub use authorization::AuthorizationPolicy;
pub use server::{Engine, EngineOptions, Error, Seed};

/// The version that the engine says it has. Its runc is 1.3.3, which has no escape known when this
/// was written.
pub const ENGINE_VERSION: &str = "28.5.2";
/// The newest API version served.
pub const API_VERSION: &str = "1.51";
/// The oldest API version served.
pub const MIN_API_VERSION: &str = "1.24";
