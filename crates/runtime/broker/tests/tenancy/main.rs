//! Ownership from outside: whole requests against a model of an engine.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test stops at the first surprise"
)]

mod isolation;
mod lifecycle;
mod model;
mod names;
mod world;
