//! Strict bearer tokens on actix-web.
//!
//! Every route says what it asks of a token, or that it is public; one that says neither does not
//! compile. What a request must be is judged before routing, in one place.
//!
//! ```
//! use cofferdam_guard::{Guard, Principal, resource, get, scope};
//! use cofferdam_guard::token::{IssuerPolicy, JwkSet, Verifier};
//! use actix_web::HttpServer;
//!
//! async fn list(principal: Principal) -> String {
//!     format!("containers of {}", principal.subject().unwrap_or("nobody"))
//! }
//!
//! async fn health() -> &'static str {
//!     "ok"
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = JwkSet::parse(br#"{"keys":[]}"#)?;
//! let policy = IssuerPolicy::new("https://idp.example", keys).audience("https://containers.example");
//! let guard = Guard::new(Verifier::new([policy])?.cache(10_000)).realm("containers");
//!
//! let server = HttpServer::new(move || {
//!     guard
//!         .app()
//!         .service(resource("/health").route(get().to(health).public()))
//!         .service(resource("/containers").route(get().to(list).require(scope("containers:read"))))
//!         .build()
//! });
//! # let _ = server;
//! # Ok(())
//! # }
//! ```
//!
//! A route without a requirement is refused by the compiler:
//!
//! ```compile_fail,E0308
//! use cofferdam_guard::{resource, get};
//!
//! async fn list() -> &'static str {
//!     "[]"
//! }
//!
//! resource("/containers").route(get().to(list));
//! ```

// The examples of the guide compile.
#[cfg(all(doctest, feature = "fetch"))]
#[doc = include_str!("../../../../docs/guard/README.md")]
struct Guide;

mod admission;
mod app;
mod body;
mod certificate;
pub mod danger;
mod error;
mod extract;
mod guard;
mod metadata;
#[cfg(feature = "prometheus")]
mod metrics;
#[cfg(feature = "utoipa")]
mod openapi;
mod origin;
mod route;
#[cfg(feature = "test")]
pub mod test;
#[cfg(feature = "tracing")]
mod trace;

pub use cofferdam_token as token;
pub use cofferdam_token::requirement::{
    acr, all_of, any_of, audience, authenticated, claim, client_role, entitlement, group, issuer,
    max_age, realm_role, role, scope, sender_bound,
};
pub use cofferdam_token::{Requirement, Verified};

pub use app::GuardedApp;
pub use certificate::ClientCertificate;
pub use error::Error;
pub use extract::{Principal, TypedClaims};
pub use guard::{Guard, Outcome};
pub use metadata::metadata_url;
#[cfg(feature = "prometheus")]
pub use metrics::Metrics;
pub use route::{Resource, Route, RouteBuilder, Undeclared};
pub use route::{delete, get, head, method, options, patch, post, put, resource};
#[cfg(feature = "tracing")]
pub use trace::trace;
