//! One request over one connection, with its limits on size and time.

use super::connect::{Connection, Connector};
use crate::{Failure, Limits, Response, ScanError, ScanOptions, Sent, Target};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Uri, Version};
use std::io::ErrorKind;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a stream of events is read: its head and first events are enough.
const EVENT_STREAM: Duration = Duration::from_secs(1);

/// A bounded pool of connections to one target.
pub(crate) struct Wire {
    connector: Connector,
    target: Target,
    idle: Mutex<Vec<Connection>>,
    limits: Limits,
}

/// An answer and what is to be said of how it came.
pub(crate) struct Got {
    pub(crate) response: Response,
    /// The body did not end in time and was cut.
    pub(crate) unending: bool,
}

impl Wire {
    pub(crate) fn new(target: &Target, options: &ScanOptions) -> Result<Self, ScanError> {
        Ok(Self {
            connector: Connector::new(target, options)?,
            target: target.clone(),
            idle: Mutex::new(Vec::new()),
            limits: options.limits,
        })
    }

    /// Sends one request and reads its answer, at most `body_limit` bytes of the body. It is sent
    /// again once when a kept connection turns out to be closed and the request is safe, or was
    /// not sent at all.
    pub(crate) async fn send(&self, sent: &Sent, body_limit: usize) -> Result<Got, Failure> {
        let deadline = Instant::now() + self.limits.timeout;
        let kept = self.take();
        let reused = kept.is_some();
        match self.once(kept, sent, body_limit, deadline).await {
            Err(Lost::BeforeSending) if reused => {}
            Err(Lost::WithoutAnswer) if reused && is_safe(&sent.method) => {}
            other => return other.map_err(|lost| lost.into_failure(self.limits.timeout)),
        }
        self.once(None, sent, body_limit, deadline)
            .await
            .map_err(|lost| lost.into_failure(self.limits.timeout))
    }

    async fn once(
        &self,
        kept: Option<Connection>,
        sent: &Sent,
        body_limit: usize,
        deadline: Instant,
    ) -> Result<Got, Lost> {
        let request = self.build(sent).map_err(Lost::Failed)?;
        let mut connection = match kept {
            Some(connection) => connection,
            None => timeout_at(deadline, self.connector.open())
                .await
                .map_err(|_| Lost::Late)?
                .map_err(Lost::Failed)?,
        };
        timeout_at(deadline, connection.sender.ready())
            .await
            .map_err(|_| Lost::Late)?
            .map_err(|_| Lost::BeforeSending)?;
        let answer = timeout_at(deadline, connection.sender.send_request(request))
            .await
            .map_err(|_| Lost::Late)?
            .map_err(|error| classify(&error))?;
        let (head, body) = answer.into_parts();
        let mut response = Response {
            status: head.status.as_u16(),
            version: match head.version {
                Version::HTTP_10 => "HTTP/1.0",
                _ => "HTTP/1.1",
            },
            headers: head.headers,
            body: Bytes::new(),
            length: 0,
            truncated: false,
        };
        let deadline = match response.media_type().as_str() {
            "text/event-stream" => deadline.min(Instant::now() + EVENT_STREAM),
            _ => deadline,
        };
        let unending = read(body, &mut response, body_limit, deadline).await?;
        if !response.truncated {
            self.keep(connection);
        }
        Ok(Got { response, unending })
    }

    fn build(&self, sent: &Sent) -> Result<hyper::Request<Full<Bytes>>, Failure> {
        let unsendable = |error: &dyn std::fmt::Display| Failure::Unsendable(error.to_string());
        let path =
            PathAndQuery::try_from(sent.target.as_bytes()).map_err(|error| unsendable(&error))?;
        let uri = if self.connector.absolute_form() {
            Uri::builder()
                .scheme("http")
                .authority(self.target.authority())
                .path_and_query(path)
        } else {
            Uri::builder().path_and_query(path)
        };
        let uri = uri.build().map_err(|error| unsendable(&error))?;
        let method =
            Method::from_bytes(sent.method.as_bytes()).map_err(|error| unsendable(&error))?;
        let mut request = hyper::Request::new(Full::new(sent.body.clone()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        for (name, value) in &sent.headers {
            let field = HeaderName::from_bytes(name.as_bytes()).map_err(|e| unsendable(&e))?;
            let value = HeaderValue::from_bytes(value)
                .map_err(|_| Failure::Unsendable(format!("a control character in `{name}`")))?;
            request.headers_mut().append(field, value);
        }
        Ok(request)
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self
            .idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        idle.retain(|connection| !connection.sender.is_closed());
        idle.pop()
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self
            .idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if idle.len() < self.limits.concurrency && !connection.sender.is_closed() {
            idle.push(connection);
        }
    }
}

/// Why there is no answer, in the terms that decide whether to send again.
enum Lost {
    /// The connection was gone before the request was written.
    BeforeSending,
    /// The connection was closed and not a byte of an answer had come.
    WithoutAnswer,
    Late,
    Failed(Failure),
}

impl Lost {
    fn into_failure(self, limit: Duration) -> Failure {
        match self {
            Lost::BeforeSending | Lost::WithoutAnswer => Failure::Closed,
            Lost::Late => Failure::Timeout(limit),
            Lost::Failed(failure) => failure,
        }
    }
}

fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

fn classify(error: &hyper::Error) -> Lost {
    if error.is_canceled() || error.is_closed() {
        Lost::BeforeSending
    } else if error.is_incomplete_message() {
        Lost::WithoutAnswer
    } else if error.is_parse() {
        Lost::Failed(Failure::BrokenFraming(error.to_string()))
    } else {
        io_kind(error).map_or(Lost::WithoutAnswer, |kind| match kind {
            ErrorKind::InvalidData | ErrorKind::InvalidInput => {
                Lost::Failed(Failure::BrokenFraming(error.to_string()))
            }
            _ => Lost::WithoutAnswer,
        })
    }
}

/// The kind of the I/O error at the bottom of `error`, if there is one.
fn io_kind(error: &dyn std::error::Error) -> Option<ErrorKind> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        source = inner.source();
    }
    None
}

/// Reads the body into `response`. Returns whether it had not ended when the time was up.
async fn read(
    mut body: Incoming,
    response: &mut Response,
    limit: usize,
    deadline: Instant,
) -> Result<bool, Lost> {
    let mut read = BytesMut::new();
    let mut unending = false;
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Err(_) => {
                response.truncated = true;
                unending = true;
                break;
            }
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                return Err(Lost::Failed(match io_kind(&error) {
                    Some(ErrorKind::InvalidData | ErrorKind::InvalidInput) => {
                        Failure::BrokenFraming(error.to_string())
                    }
                    _ => Failure::Closed,
                }));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        response.length += data.len() as u64;
        let room = limit.saturating_sub(read.len());
        read.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            response.truncated = true;
            break;
        }
    }
    response.body = read.freeze();
    if response.truncated
        && let Some(length) = response
            .header("content-length")
            .and_then(|text| text.parse().ok())
    {
        response.length = response.length.max(length);
    }
    Ok(unending)
}
