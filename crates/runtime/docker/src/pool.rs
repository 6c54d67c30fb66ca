//! Connections to the engine that are kept and used again, for a process that asks it all the time.
//!
//! A connection is driven by whoever waits for its answer, in the same task, so a call costs no
//! task and no wake-up of another thread. What reads is asked over a connection that is kept; what
//! may change something over a new one, which may be opened ahead by half a second, so that a
//! connection which died while it lay idle never leaves in doubt whether something was done.

mod body;
mod connection;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE};
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::UnixStream;

pub use body::{AnswerBody, Outgoing, Upload};
use connection::Connection;

use crate::Error;

/// How long connecting may take. On a unix socket it waits only for a full backlog.
const CONNECT: Duration = Duration::from_secs(5);

/// For how long a connection may lie idle and be used again.
const IDLE: Duration = Duration::from_secs(30);

/// For how long a connection that was opened ahead counts as new.
const FRESH: Duration = Duration::from_millis(500);

/// Calls to one engine. Cloning is cheap, and clones share the connections.
///
/// A connection belongs to the runtime that opened it: a pool that keeps some must be used within
/// one runtime.
#[derive(Clone, Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    socket: PathBuf,
    keep: usize,
    idle: Mutex<Vec<Connection>>,
    /// Opened ahead, and nothing has been sent on them.
    ahead: Mutex<Vec<Connection>>,
}

/// One request to the engine.
#[derive(Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// The target: path and query.
    pub target: &'a str,
    /// What follows the head.
    pub body: Outgoing,
    /// How long the head of the answer may take after the connection is there; without end where
    /// there is no limit. The body may take as long as it takes.
    pub head_within: Option<Duration>,
}

/// What came of asking for a connection to be hijacked.
#[derive(Debug)]
pub enum Hijack {
    /// The connection, for bytes in both directions.
    Streams(Streams),
    /// The engine answered something else, usually that it refuses.
    Answer(Response<AnswerBody>),
}

/// A hijacked connection.
#[derive(Debug)]
pub struct Streams {
    /// The type that the engine gave the stream: multiplexed or raw.
    pub content_type: Option<HeaderValue>,
    /// Bytes of the stream that came together with the head.
    pub first: Bytes,
    /// The connection. Shutting down its writing half leaves the other open.
    pub stream: UnixStream,
}

impl Pool {
    /// Calls to the engine behind `socket`, with up to `keep` idle connections. Nothing is opened
    /// yet.
    #[must_use]
    pub fn unix(socket: impl Into<PathBuf>, keep: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                socket: socket.into(),
                keep,
                idle: Mutex::default(),
                ahead: Mutex::default(),
            }),
        }
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.shared.socket
    }

    /// Opens a connection ahead, for the next request that asks for a new one: to be called while
    /// what that request waits for is still under way. Where the engine cannot be reached the request
    /// will say so, and one that takes its time is not waited for.
    pub async fn open_ahead(&self) {
        let opened = tokio::time::timeout(FRESH, self.shared.open()).await;
        if let Ok(Ok(connection)) = opened {
            let mut ahead = lock(&self.shared.ahead);
            ahead.retain(|other| other.idle_for() < FRESH);
            if ahead.len() < self.shared.keep {
                ahead.push(connection);
            }
        }
    }

    /// Sends one request and returns the answer's head, whatever its status, with a body that is
    /// still to be read. Dropping the future or the body closes the connection, which is how the
    /// engine hears that nobody listens any more.
    ///
    /// A GET or HEAD without a body whose kept connection turns out to be dead is asked once more
    /// over a new one; nothing else is ever sent twice.
    ///
    /// # Errors
    /// When the engine cannot be reached, or does not answer in time.
    pub async fn send(&self, call: Call<'_>) -> Result<Response<AnswerBody>, Error> {
        let Call {
            method,
            target,
            body,
            head_within,
        } = call;
        let reads = matches!(method, Method::GET | Method::HEAD) && body.is_empty();
        if reads && let Some(mut connection) = self.shared.take() {
            let request = request(method.clone(), target, Outgoing::Empty)?;
            match within(head_within, connection.exchange(request)).await? {
                Ok(answer) => return Ok(self.answer(answer, connection).await),
                Err(error) if connection::died(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let request = request(method, target, body)?;
        let mut connection = match reads {
            true => self.shared.open().await?,
            false => self.shared.fresh().await?,
        };
        let answer = within(head_within, connection.exchange(request)).await??;
        Ok(self.answer(answer, connection).await)
    }

    /// Sends one request that turns its connection into a stream of bytes in both directions
    /// (`Upgrade: tcp`), over a connection of its own.
    ///
    /// # Errors
    /// As [`Pool::send`].
    pub async fn hijack(&self, call: Call<'_>) -> Result<Hijack, Error> {
        let mut request = request(call.method, call.target, call.body)?;
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
        let mut connection = self.shared.fresh().await?;
        let answer = within(call.head_within, connection.exchange(request)).await??;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Hijack::Answer(self.answer(answer, connection).await));
        }
        let content_type = answer.headers().get(CONTENT_TYPE).cloned();
        let (stream, first) = connection.into_stream().await?;
        Ok(Hijack::Streams(Streams {
            content_type,
            first,
            stream,
        }))
    }

    async fn answer(
        &self,
        answer: Response<hyper::body::Incoming>,
        connection: Connection,
    ) -> Response<AnswerBody> {
        let shared = Arc::clone(&self.shared);
        let (head, incoming) = answer.into_parts();
        let body = AnswerBody::new(incoming, connection, shared).await;
        Response::from_parts(head, body)
    }
}

impl Shared {
    async fn open(&self) -> Result<Connection, Error> {
        let stream = tokio::time::timeout(CONNECT, UnixStream::connect(&self.socket))
            .await
            .map_err(|_| Error::Timeout(CONNECT))?
            .map_err(|source| Error::Connect {
                path: self.socket.clone(),
                source,
            })?;
        Ok(Connection::new(stream).await?)
    }

    /// A connection on which nothing has been sent yet.
    async fn fresh(&self) -> Result<Connection, Error> {
        let ahead = lock(&self.ahead).pop();
        if let Some(mut connection) = ahead
            && connection.idle_for() < FRESH
            && connection.settle().await
        {
            return Ok(connection);
        }
        self.open().await
    }

    /// The connection that was used last. Whether the engine has closed it meanwhile shows when it
    /// is used.
    fn take(&self) -> Option<Connection> {
        loop {
            let connection = lock(&self.idle).pop()?;
            if connection.idle_for() < IDLE && connection.is_free() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose answer has been read to its end.
    fn keep(&self, mut connection: Connection) {
        let mut idle = lock(&self.idle);
        if idle.len() < self.keep {
            connection.rest();
            idle.push(connection);
        }
    }
}

// A list of connections is whole at any time, so a panic elsewhere is no reason to stop.
fn lock(connections: &Mutex<Vec<Connection>>) -> MutexGuard<'_, Vec<Connection>> {
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}

fn request(method: Method, target: &str, body: Outgoing) -> Result<Request<Outgoing>, Error> {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, HeaderValue::from_static("docker"));
    let request = match body.content_type() {
        Some(content_type) => request.header(CONTENT_TYPE, HeaderValue::from_static(content_type)),
        None => request,
    };
    Ok(request.body(body)?)
}

async fn within<T>(limit: Option<Duration>, exchange: impl Future<Output = T>) -> Result<T, Error> {
    match limit {
        None => Ok(exchange.await),
        Some(limit) => tokio::time::timeout(limit, exchange)
            .await
            .map_err(|_| Error::Timeout(limit)),
    }
}

#[cfg(test)]
mod tests;
