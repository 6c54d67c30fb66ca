//! The lab through real HTTP: every hole open and closed, every decoy, and what holds it in.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod confinement;
mod decoys;
mod deployment;
mod gated;
mod hardened;
mod holes;
mod tokens;
