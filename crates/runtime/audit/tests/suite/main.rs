//! A log from its first entry to the proof of its last, and what happens when somebody, or the
//! power, interferes.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

mod crash;
mod growth;
mod support;
mod tampering;
