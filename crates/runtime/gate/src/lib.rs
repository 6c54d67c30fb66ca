//! The network side: turns each request into one typed action for the broker.
//!
//! The gate faces the network and holds nothing: no runtime socket, no privileges. It reads a
//! request strictly, as one of the pre-approved actions of `cofferdam-action` or not at all, and
//! hands the action to the broker together with the caller's token, which the broker judges itself.
//! No byte of a request is passed through.
//!
//! A process binds its addresses with [`bind`], confines itself, and then serves with [`run`].

pub mod broker;
mod caller;
pub mod config;
mod connection;
mod docker;
mod gate;
mod limits;
mod listener;
mod log;
mod refusal;
pub mod rest;
mod tls;
mod upload;

pub use caller::{KeysError, Unauthenticated};
pub use config::{ConfigError, GateConfig};
pub use gate::{Addresses, Bound, Control, GateError, bind, run};
pub use tls::TlsError;
