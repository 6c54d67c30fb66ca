//! The Docker Engine API as far as Cofferdam speaks it: the wire types and a client over a unix
//! socket.
//!
//! This crate decides nothing. It neither judges a request nor fills in what a caller left out: the
//! floor and the policy do that, and this crate carries what they have decided. Field names and
//! status codes are those of the Engine API reference, version [`API_VERSION`].

mod client;
mod error;
pub mod pool;
pub mod stream;
pub mod wire;

pub use client::{Client, Ping};
pub use error::Error;

/// The one version that the client asks for. Debian 12's engine (20.10) serves it, and so does every
/// engine since.
pub const API_VERSION: &str = "1.41";
