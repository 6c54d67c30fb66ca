//! A gate on loopback, in front of a broker whose answers each test writes.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

mod broker;
mod client;
mod faults;
mod gate;
mod hijack;
mod life;
mod limits;
mod lines;
mod requests;
mod rest;
mod rest_connections;
mod streams;
mod tokens;
mod tricks;
