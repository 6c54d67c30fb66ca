//! The broker on a real unix socket, before the embedded engine, with a real audit log. The tests
//! play the gate, an honest one and one that was taken over.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

mod actions;
mod common;
mod faults;
mod gate;
mod reload;
mod streams;
