//! One request as it was sent, and what came back.

use bytes::Bytes;
use hyper::header::HeaderMap;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// One request as it was sent, and what came back. Not redacted: evidence is made from it with
/// [`Context::evidence`](crate::Context::evidence).
pub struct Exchange {
    /// Counted from 1 in the order in which requests were started; 0 when nothing was sent.
    pub id: u64,
    /// The request as it went out.
    pub sent: Sent,
    /// As whom: an identity's name, `no token`, `garbage token`, or the label of a made token.
    pub who: String,
    /// The answer, or why there is none.
    pub outcome: Result<Response, Failure>,
    /// When it was started.
    pub started: Instant,
    /// Until the last byte that was read.
    pub elapsed: Duration,
    pub(crate) json: OnceLock<Option<Value>>,
    pub(crate) _retained: Retained,
}

/// Counts the bytes of the bodies that are held, so that a scan of a talkative target stays small.
pub(crate) struct Retained {
    total: Arc<AtomicU64>,
    own: u64,
}

impl Retained {
    pub(crate) fn new(total: &Arc<AtomicU64>, own: u64) -> Self {
        total.fetch_add(own, Ordering::Relaxed);
        Self {
            total: Arc::clone(total),
            own,
        }
    }
}

impl Drop for Retained {
    fn drop(&mut self) {
        self.total.fetch_sub(self.own, Ordering::Relaxed);
    }
}

impl Exchange {
    /// The answer, when one came.
    pub fn response(&self) -> Option<&Response> {
        self.outcome.as_ref().ok()
    }

    /// The status code, when an answer came.
    pub fn status(&self) -> Option<u16> {
        self.response().map(|response| response.status)
    }

    /// The body as text, with replacement characters for what is not UTF-8; empty without answer.
    pub fn text(&self) -> Cow<'_, str> {
        match self.response() {
            Some(response) => String::from_utf8_lossy(&response.body),
            None => Cow::Borrowed(""),
        }
    }

    /// The body as JSON, whatever the content type says; `None` when it is not, or was cut.
    pub fn json(&self) -> Option<&Value> {
        self.json
            .get_or_init(|| {
                let response = self.response()?;
                serde_json::from_slice(&response.body).ok()
            })
            .as_ref()
    }

    /// A field of the answer, the first when it is repeated.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.response()?.header(name)
    }
}

// Bodies and header fields hold secrets, so only the frame is shown.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let got = match &self.outcome {
            Ok(response) => response.status.to_string(),
            Err(failure) => failure.to_string(),
        };
        write!(
            f,
            "#{} {} as {}: {got}",
            self.id, self.sent.method, self.who
        )
    }
}

/// A request as it went out.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sent {
    /// The method.
    pub method: String,
    /// The request target as it stood on the request line.
    pub target: String,
    /// Header fields in order, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Bytes,
}

/// An answer.
#[derive(Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The protocol version, `HTTP/1.0` or `HTTP/1.1`.
    pub version: &'static str,
    /// Header fields. Values of a hostile server need not be UTF-8.
    pub headers: HeaderMap,
    /// The body, as far as it was read.
    pub body: Bytes,
    /// Bytes of the body as far as they were read or announced by `Content-Length`.
    pub length: u64,
    /// Whether the body was longer than the limit and its rest was dropped.
    pub truncated: bool,
}

impl Response {
    /// A field, the first when it is repeated; bytes that are not UTF-8 are replaced.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
    }

    /// The media type in lower case without parameters; empty when there is none.
    pub fn media_type(&self) -> String {
        self.header("content-type")
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody listens, or the name does not resolve.
    #[error("no connection: {0}")]
    Refused(String),
    /// The TLS handshake failed.
    #[error("no TLS: {0}")]
    Tls(String),
    /// The answer was not complete in time.
    #[error("no complete answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// The connection was closed before the answer was complete.
    #[error("connection closed before the answer was complete")]
    Closed,
    /// The answer is not HTTP/1, or its framing is broken.
    #[error("broken answer: {0}")]
    BrokenFraming(String),
    /// The request cannot be written in HTTP/1.1: a control character in a header field.
    #[error("the request cannot be sent: {0}")]
    Unsendable(String),
    /// The operation failed several times and is not sent again.
    #[error("not sent: the operation failed several times")]
    GivenUp,
}
