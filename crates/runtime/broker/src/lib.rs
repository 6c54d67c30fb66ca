//! The privileged side of the gate: it alone holds the runtime's socket.
//!
//! A gate that faces the network sends a token and a typed action over a unix socket. The broker
//! checks its peer, verifies the token itself, decides, writes the audit record, and then acts. The
//! one function that shows the order is `serve` in `pipeline.rs`.
//!
//! A taken-over gate can do no more here than the live tokens that it sees.

mod act;
mod broker;
mod caller;
pub mod config;
mod connection;
mod host_path;
mod keys;
mod lines;
mod pipeline;
mod policies;
mod record;
mod run;
mod server;
mod shares;
mod sieve;
pub mod tenancy;
mod upstream;
mod watch;

pub use broker::{Broker, OpenError, Say};
pub use caller::SEES_ALL;
pub use config::{BrokerConfig, ConfigError, PolicyMode, Streams};
pub use keys::KeysError;
pub use run::{RunError, run};
pub use server::{Peer, Server};
pub use upstream::Timing;
