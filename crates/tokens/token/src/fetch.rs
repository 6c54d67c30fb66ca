//! Fetching keys from their issuer, asking it about opaque tokens, and exchanging tokens
//! there (feature `fetch`).
//!
//! Everything that is fetched is bounded in size and time, no redirect is followed, and only https
//! is spoken unless the host is this machine. What cannot be fetched is not replaced by anything:
//! the last good keys serve for a configured time, and then none do (CVE-2026-31837).

mod answers;
mod client;
mod discovery;
mod exchange;
mod form;
mod introspection;
mod keys;

pub use client::{Client, FetchError};
pub use exchange::{Issued, TokenExchange};
pub use introspection::{IntrospectionClient, IntrospectionError};
pub use keys::{KeyFetcher, KeyFetcherBuilder, KeySource, fetch_keys};
