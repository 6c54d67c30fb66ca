//! What a call to the gate can fail with.

use std::time::Duration;

use cofferdam_token::fetch::FetchError;
use serde::Deserialize;

/// A call to the gate that did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is no absolute https URL, nor an http one of this machine.
    #[error("`{0}` is no https URL (http is spoken with this machine alone)")]
    Url(String),
    /// The system has no certificates to trust.
    #[error("no trusted certificates were found on this system")]
    NoRoots,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The caller's token could not be exchanged.
    #[error("the caller's token cannot be exchanged")]
    Exchange(#[from] FetchError),
    /// The token is no text that a header can hold.
    #[error("the caller's token is no bearer token")]
    Token,
    /// The dialect has no such action: interactive streams are for the Docker dialect.
    #[error("the gate's REST dialect does not have this action; use the Docker dialect")]
    NotOffered,
    /// The gate could not be reached.
    #[error("the gate cannot be reached")]
    Connect(#[source] hyper_util::client::legacy::Error),
    /// The exchange broke off.
    #[error("the exchange with the gate broke off")]
    Broken(#[source] hyper::Error),
    /// The gate did not answer in time.
    #[error("the gate did not answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// The answer is longer than it may be.
    #[error("the answer of the gate is longer than {0} bytes")]
    TooLarge(usize),
    /// The answer is no JSON of the type that was wanted.
    #[error("the answer of the gate is not what was expected")]
    Decode(#[source] serde_json::Error),
    /// The gate, the broker or the engine refused.
    #[error("{0}")]
    Refused(Problem),
}

/// Why it was refused (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What kind of refusal it is.
    #[serde(default)]
    pub title: String,
    /// The rule, the field and the reason, in one sentence.
    #[serde(default)]
    pub detail: String,
    /// The ids of the rule or the policies that decided.
    #[serde(default)]
    pub rules: Vec<String>,
    /// The id of the request in the audit log.
    #[serde(default)]
    pub request: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.detail.is_empty() {
            &self.title
        } else {
            &self.detail
        };
        write!(f, "the gate answered {}: {what}", self.status)
    }
}
