//! Public keys: one JSON Web Key (RFC 7517), a set of them, and PEM.
//!
//! A key is parsed once, into the form that verifies. Each key knows the algorithms that it may be
//! used with, so a header's `alg` can only choose among what the key and the issuer's policy allow
//! (RFC 8725 §3.1).

mod ed25519;
mod jwk;
mod pem;
mod roca;
mod set;
mod store;

pub use jwk::{Jwk, KeyError};
pub use set::{JwkSet, JwkSetError, SkippedKey};
pub use store::KeyStore;

pub(crate) use jwk::MAX_KID;
pub(crate) use set::Lookup;
