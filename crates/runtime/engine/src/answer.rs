//! Answers in dockerd's form.

use bytes::Bytes;
use cofferdam_docker::wire::ErrorBody;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// A whole or streamed answer.
pub(crate) struct Answer(pub(crate) Response<UnsyncBoxBody<Bytes, Infallible>>);

/// A refusal: status and message.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let body = ErrorBody {
            message: refusal.message,
        };
        Answer::json(refusal.status, &body)
    }
}

impl Answer {
    pub(crate) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(mut bytes) => {
                // Go's encoder ends every value with a line feed.
                bytes.push(b'\n');
                Self::whole(status, "application/json", bytes.into())
            }
            Err(error) => Self::text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    pub(crate) fn ok<T: Serialize + ?Sized>(value: &T) -> Self {
        Self::json(StatusCode::OK, value)
    }

    pub(crate) fn text(status: StatusCode, text: &str) -> Self {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        Self::whole(status, "text/plain; charset=utf-8", bytes)
    }

    pub(crate) fn empty(status: StatusCode) -> Self {
        let mut response = Response::new(Full::new(Bytes::new()).boxed_unsync());
        *response.status_mut() = status;
        Self(response)
    }

    /// An answer whose head goes out at once and whose body comes as it is written.
    pub(crate) fn stream(kind: &'static str) -> (mpsc::Sender<Bytes>, Self) {
        let (sender, receiver) = mpsc::channel(8);
        (sender, Self::piped(kind, receiver))
    }

    /// An answer whose body is what comes out of a channel.
    pub(crate) fn piped(kind: &'static str, receiver: mpsc::Receiver<Bytes>) -> Self {
        let mut response = Response::new(Pipe(receiver).boxed_unsync());
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Self(response)
    }

    /// The switch to raw bytes on this connection.
    pub(crate) fn switched(kind: &'static str) -> Self {
        let mut answer = Self::empty(StatusCode::SWITCHING_PROTOCOLS);
        let headers = answer.0.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
        answer
    }

    fn whole(status: StatusCode, kind: &'static str, bytes: Bytes) -> Self {
        let mut response = Response::new(Full::new(bytes).boxed_unsync());
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Self(response)
    }
}

struct Pipe(mpsc::Receiver<Bytes>);

impl Body for Pipe {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
