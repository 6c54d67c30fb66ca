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
//! Status codes, messages, headers and JSON are those of dockerd, and so is what makes a request
//! dangerous to whoever checks it in front of an engine: the decoding of bodies and paths, forms that
//! beat queries, names that win over ids. The `docker` command line works, connections that are taken
//! over included.
//!
//! - containers: list, inspect, create, start, stop, restart, kill, pause, wait, rename, remove,
//!   attach, resize, logs, top, stats, changes, archives, prune; `exec`
//! - images: list, inspect, history, tag, remove, prune, and a pull that always succeeds
//! - networks and volumes: all; a network is a name and addresses, and no packet passes
//! - `_ping`, `version`, `info`, `events`, `system/df`
//!
//! What is pretended: figures of `stats` and `df` are made up, a published port is shown and nobody
//! listens, health checks are not run, and nothing is started again by its restart policy. Builds,
//! commits, exports, updates, plug-ins and swarms are not there: such a route answers `page not
//! found`. Input needs a connection that is taken over (`Upgrade: tcp`); without that, attach and
//! exec answer their output only.
//!
//! # Limits
//! 1,000 objects of a kind, 256 connections and 256 more that are taken over, 4 MiB of a body, 64 MiB
//! and 20,000 entries of an archive, 1 MiB of a log. The state is in memory and ends with the engine.

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
