//! Everything that a scan is told before it starts.

use crate::{Identity, Secret, Target};
use cofferdam_finding::Facts;
use std::collections::BTreeSet;
use std::time::Duration;

/// Everything that a scan is told before it starts.
#[derive(Debug, Clone)]
pub struct ScanOptions {
    /// The one host and port in scope.
    pub base: Target,
    /// The API description; without one the well-known paths are tried, then discovery.
    pub spec: Option<SpecSource>,
    /// Whom the scan speaks as.
    pub identities: Vec<Identity>,
    /// The signing key of a staging issuer, PEM or JWK: exact negative tokens are minted with it.
    pub signing_key: Option<Secret>,
    /// The issuer's public JWK set.
    pub jwks: Option<SpecSource>,
    /// What may be sent.
    pub level: Level,
    /// Whether a proven server-side request may be aimed at the runtime, the metadata service and
    /// the like.
    pub internal: bool,
    /// The URL under which the target reaches this machine, for callbacks. Without it a callback
    /// listener exists only for a loopback target.
    pub callback_url: Option<String>,
    /// An HTTP proxy. Proxy variables of the environment are never read.
    pub proxy: Option<Target>,
    /// Roots to trust instead of the system's, in PEM.
    pub ca: Option<Vec<u8>>,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// How much, how fast and how long.
    pub limits: Limits,
    /// What the deployment files say.
    pub facts: Facts,
    /// The ids of the checks to run; all when absent.
    pub only: Option<BTreeSet<String>>,
}

impl ScanOptions {
    /// The defaults for `base`: no identity, level safe, limits by [`Limits::for_target`].
    pub fn new(base: Target) -> Self {
        Self {
            limits: Limits::for_target(&base),
            base,
            spec: None,
            identities: Vec::new(),
            signing_key: None,
            jwks: None,
            level: Level::Safe,
            internal: false,
            callback_url: None,
            proxy: None,
            ca: None,
            insecure: false,
            facts: Facts::new(),
            only: None,
        }
    }
}

/// Where the API description, or the issuer's JWK set, comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecSource {
    /// A file that the caller has read: OpenAPI in JSON or YAML, a HAR file, a JWK set.
    File {
        /// Its name as the user gave it, for places in the report.
        name: String,
        /// Its text.
        text: String,
    },
    /// A URL that the user named; fetched once, without any token when it is not on the target.
    Url(String),
}

/// What a scan may send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `GET`, `HEAD`, `OPTIONS` and text-only prompts to model endpoints.
    #[default]
    Safe,
    /// Also what could change state, undone or reported.
    Active,
    /// Also what destroys: deletes, resets, the identities' own credentials.
    Destructive,
}

/// How much, how fast and how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests in the whole scan.
    pub requests: u32,
    /// Requests per second; `None` for as fast as the target answers.
    pub rate: Option<f64>,
    /// Requests under way at the same time, at least 1.
    pub concurrency: usize,
    /// For one request, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Bytes of an answer's body that are read; the rest is dropped and the connection closed.
    pub body: usize,
    /// For the whole scan.
    pub wall: Duration,
}

impl Limits {
    /// 10,000 requests, 10 s each, 1 MiB of each body, 30 minutes; 16 at a time and unpaced on a
    /// loopback target, 8 at a time and 50 a second elsewhere.
    pub fn for_target(base: &Target) -> Self {
        let local = base.is_loopback();
        Self {
            requests: 10_000,
            rate: (!local).then_some(50.0),
            concurrency: if local { 16 } else { 8 },
            timeout: Duration::from_secs(10),
            body: 1 << 20,
            wall: Duration::from_secs(30 * 60),
        }
    }
}
