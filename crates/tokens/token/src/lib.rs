//! Strict bearer tokens: header, JWS, claims, decisions, challenges.
//!
//! The core that a resource server needs to accept an access token, without a framework, and without
//! I/O unless a feature brings it (`fetch`, `redis`, `settings`). It takes a JWS in compact
//! serialization and nothing else; the algorithm comes from an allow-list that is bound to the key;
//! the profile is RFC 9068 unless another is named; `none` does not exist. What weakens stands in
//! [`danger`].
//!
//! ```
//! use cofferdam_token::{Algorithm, IssuerPolicy, JwkSet, Verifier, requirement};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = JwkSet::parse(br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1",
//!     "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#)?;
//! let verifier = Verifier::new([IssuerPolicy::new("https://idp.example", keys)
//!     .audience("https://containers.example")
//!     .algorithms([Algorithm::EdDsa])])?;
//! let needed = requirement::scope("containers:read");
//!
//! match verifier.verify("what the client sent", 1_795_505_225) {
//!     Ok(token) => needed.check(&token, 1_795_505_225).into_result()?,
//!     Err(rejection) => assert_eq!(rejection.id(), "not-compact"),
//! }
//! # Ok(())
//! # }
//! ```

mod algorithm;
pub mod authorization;
pub mod base64url;
mod cache;
pub mod challenge;
mod claims;
pub mod danger;
pub mod dpop;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod introspect;
pub mod json;
pub mod jws;
pub mod key;
mod policy;
pub mod preset;
mod profile;
pub mod refresh;
mod rejection;
pub mod requirement;
mod scope;
mod sender;
#[cfg(feature = "settings")]
pub mod settings;
pub mod state;
pub mod throttle;
pub mod unverified;
mod verifier;

pub use algorithm::{Algorithm, AlgorithmSet};
pub use authorization::{AuthorizationError, Credentials};
pub use challenge::{Challenge, ErrorCode, Scheme};
pub use claims::Claims;
pub use key::{Jwk, JwkSet, JwkSetError, KeyError, KeyStore};
pub use policy::{IssuerPolicy, PolicyError};
pub use profile::Profile;
pub use rejection::{Part, Rejection};
pub use requirement::{Decision, Denial, Requirement};
pub use scope::{Scopes, is_scope};
pub use sender::{Binding, Sender};
pub use unverified::inspect;
pub use verifier::{DEFAULT_MAX_LENGTH, Verified, Verifier};
