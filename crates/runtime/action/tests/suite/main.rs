//! Requests as strangers and clients send them, from the wire to the engine.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

mod cli;
mod cves;
mod properties;
mod requests;
mod strategies;
mod support;
mod tricks;
