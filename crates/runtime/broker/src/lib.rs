//! The privileged side of the gate: it alone holds the runtime's socket.
//!
//! A gate that faces the network sends a token and a typed action over a unix socket. The broker
//! checks its peer, verifies the token itself, decides, writes the audit record, and then acts.

pub mod tenancy;
