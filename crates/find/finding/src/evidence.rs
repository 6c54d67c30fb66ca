//! What proves a finding: kept requests and responses, or lines of a file.
//!
//! Everything in here has been redacted by whoever made it: no token, no secret, no cookie.

use serde::{Deserialize, Serialize};

/// One piece of proof. At least one of `request`, `source` or `observed` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What this piece shows, as one sentence without a full stop.
    pub shows: String,
    /// As whom the request was sent: an identity's name, `no token`, `garbage token`, `forged: …`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The request as it was sent, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestRecord>,
    /// The answer, redacted; absent when none came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseRecord>,
    /// The line of a deployment file or of a file read through a flaw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceLine>,
    /// The telling part: the canary that came back, the member that differed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
}

impl Evidence {
    /// Evidence that says one thing and has no record yet.
    pub fn new(shows: impl Into<String>) -> Self {
        Self {
            shows: shows.into(),
            identity: None,
            request: None,
            response: None,
            source: None,
            observed: None,
        }
    }

    /// Adds the telling part.
    #[must_use]
    pub fn observed(mut self, observed: impl Into<String>) -> Self {
        self.observed = Some(observed.into());
        self
    }

    /// Adds the line of a file.
    #[must_use]
    pub fn source(mut self, source: SourceLine) -> Self {
        self.source = Some(source);
        self
    }
}

/// A request as it went out, its secrets replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The method.
    pub method: String,
    /// The request target as it stood on the request line, not normalised.
    pub target: String,
    /// Header fields in the order in which they were sent.
    pub headers: Vec<(String, String)>,
    /// The body as text, shortened; bytes that are not UTF-8 are replaced.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

/// An answer as it came in, its secrets replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseRecord {
    /// The status code.
    pub status: u16,
    /// Header fields in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body as text, shortened; bytes that are not UTF-8 are replaced.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Length of the whole body in bytes, as far as it was read.
    pub length: u64,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLine {
    /// The file's name as the user gave it, or the path that was read through a flaw.
    pub file: String,
    /// The line, counted from 1; absent where the format has no useful lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What stands there, redacted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}
