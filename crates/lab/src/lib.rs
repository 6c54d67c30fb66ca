//! The lab: a container service for tenants with **one switch per hole**.
//!
//! All holes open is the vulnerable twin, all closed the hardened one. With a hole the service holds
//! the engine's socket; the hardened twin does not, and acts as its caller through a gate and a
//! broker ([`Gated`]). The service lists, inspects,
//! starts and stops containers, reads files of a build workspace, fetches manifests, tries webhooks,
//! runs a diagnostic, imports jobs and has an assistant with tools; behind it is the embedded engine
//! on a real unix socket. The holes are real code and no answer is made for a scanner's sake: the
//! lab cannot tell a scan from a person. [`manifest()`] says what is planted.
//!
//! Nothing of it reaches the machine that it runs on, or the network. Files are opened with
//! `openat2(2)` below a directory that looks like a container's root, the shell runs in namespaces
//! with that directory as its only root, and requests that a caller steers go to loopback or
//! nowhere. All listeners are on loopback, and answer under their own name only.
//!
//! ```no_run
//! use cofferdam_lab::{Hole, Lab, LabOptions, Switches};
//!
//! let lab = Lab::start(LabOptions {
//!     switches: Switches::only(Hole::PathTraversal),
//!     ..LabOptions::default()
//! })?;
//! println!("{} {}", lab.base_url(), lab.identities()["alice"]);
//! # Ok::<(), cofferdam_lab::LabError>(())
//! ```

mod caller;
mod deployment;
mod flawed;
mod gated;
mod guards;
mod hole;
mod internal;
mod lab;
mod legacy_tokens;
mod manifest;
mod openapi;
mod planner;
mod resolve;
mod root;
mod routes;
mod runtime;
mod service;
mod shell;
mod store;

pub use gated::Gated;
pub use hole::{Hole, Switches, UnknownHole};
pub use lab::{Lab, LabError, LabOptions};
pub use manifest::{Decoy, Manifest, Planted, manifest};
pub use shell::confined_shell_main;
