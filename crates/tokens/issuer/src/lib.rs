//! A small token issuer for development and tests: keys, tokens, JWK set, discovery documents.
//!
//! It is no authorization server: nobody logs in, and whoever holds the key may mint whatever they
//! like. That is what a test, a demo and a scan of a staging system need, and nothing else.
//!
//! ```
//! use cofferdam_issuer::{Issuer, SigningKey};
//! use cofferdam_token::{Algorithm, IssuerPolicy, Verifier};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = Issuer::new("https://idp.example", SigningKey::generate(Algorithm::Es256)?);
//! let token = issuer
//!     .token("alice")
//!     .audience("https://containers.example")
//!     .scope("containers:read")
//!     .mint(1_795_505_225)?;
//!
//! let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("https://containers.example");
//! let verified = Verifier::new([policy])?.verify(&token, 1_795_505_230)?;
//! assert!(verified.scopes().contains("containers:read"));
//! # Ok(())
//! # }
//! ```

mod document;
#[cfg(feature = "serve")]
mod exchange;
mod key;
mod mint;
#[cfg(feature = "serve")]
mod serve;

#[cfg(feature = "serve")]
pub use exchange::ExchangeClient;
pub use key::{KeyError, SigningKey};
pub use mint::{Issuer, TokenBuilder};
#[cfg(feature = "serve")]
pub use serve::Server;
