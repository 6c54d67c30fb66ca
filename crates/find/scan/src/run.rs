//! A scan from start to end.

use crate::{Event, ScanOptions};
use cofferdam_finding::{Control, Facts, Finding};
use serde::Serialize;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What a scan brings back.
#[derive(Debug, Clone, Serialize)]
pub struct Scan {
    /// The base URL.
    pub target: String,
    /// From where the operations are known, in words.
    pub inventory: String,
    /// The names of the identities, in the order of the options.
    pub identities: Vec<String>,
    /// What became of each operation.
    pub operations: Vec<Coverage>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// What became of each check.
    pub controls: Vec<Control>,
    /// What is known of the deployment: the options' facts and what was read live.
    pub facts: Facts,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Requests sent.
    pub requests: u32,
    /// How long it took, in seconds in serialized form.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
    /// Whether it ran to its end.
    pub complete: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// The names of the identities that were accepted in the baseline and still are at the end.
    pub still_valid: Vec<String>,
}

/// What became of one operation.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// Method and path template.
    pub operation: String,
    /// What each got, in the order: no token, garbage token, the identities.
    pub reached: Vec<Reached>,
    /// Whether anyone got an answer as meant (2xx that is no error in disguise).
    pub covered: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<String>,
}

/// What one got from an operation.
#[derive(Debug, Clone, Serialize)]
pub struct Reached {
    /// An identity's name, `no token` or `garbage token`.
    pub who: String,
    /// The status; absent when no answer came.
    pub status: Option<u16>,
}

/// Why a scan could not start.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The target does not answer.
    #[error("no answer from `{0}`: {1}")]
    Unreachable(String, String),
    /// The API description cannot be read.
    #[error("cannot read the API description `{0}`: {1}")]
    Spec(String, String),
    /// The certificate authority file or the proxy cannot be used.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// Neither a description nor discovery gave an operation.
    #[error("no operation found on `{0}`: name its API description with --spec")]
    Nothing(String),
}

/// Scans a service.
///
/// # Errors
/// When it cannot start. A scan that is cancelled, or runs out of requests or time, is no error: it
/// returns what it has, with `complete` false.
pub async fn scan(
    _options: ScanOptions,
    _progress: impl Fn(Event) + Send + Sync + 'static,
    _cancel: CancellationToken,
) -> Result<Scan, ScanError> {
    todo!()
}

fn seconds<S: serde::Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(elapsed.as_secs_f64())
}
