//! The engine through its socket: with the client that the broker uses, with raw bytes, and with the
//! `docker` command line.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod cli;
mod requests;
mod streams;
mod support;
