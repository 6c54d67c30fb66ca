//! `cofferdam gate` end to end: the real binary, its broker, and an engine.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test stops at the first surprise"
)]

#[path = "../common/dev.rs"]
mod dev;
#[path = "../common/engine.rs"]
mod engine;
#[path = "../common/recorder.rs"]
mod recorder;

mod corpus;
mod development;
mod faults;
mod scanned;
mod service;
