//! The client of the broker's socket: calls out, answers and bodies back.
//!
//! A connection carries one call at a time, and is kept for the next one when both directions have
//! ended. Nothing is buffered whole but messages and short bodies: a body is read from the socket
//! as its receiver takes it, so a slow receiver slows the broker.

mod connection;
mod download;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cofferdam_action::action::Action;
use cofferdam_action::wire::{
    self, Answer, Ask, Body, Call, Done, Frame, FrameError, Outcome, Refused,
};

use connection::{Connection, connect};
pub(crate) use connection::{Reader, Writer};
pub(crate) use download::Download;

/// Connections that are kept while they are idle.
const IDLE: usize = 64;
/// How long the broker may take to begin its answer, except for what takes long by its nature.
const ANSWER: Duration = Duration::from_secs(60);
/// How long the broker may take to write a refusal down.
const REPORT: Duration = Duration::from_secs(5);
/// A body up to this size is read whole, so that it goes out together with its head.
const WHOLE: u64 = 64 << 10;

/// The broker could not be asked, or broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// There is no connection to be had.
    #[error("the broker cannot be reached ({0}): is it running?")]
    Unreachable(io::ErrorKind),
    /// The connection ended in the middle of a call.
    #[error("the broker broke the call off; whether it was carried out stands in the audit log")]
    Closed,
    /// The broker said that it breaks off.
    #[error("the broker broke the answer off")]
    Aborted,
    /// The answer did not begin in time.
    #[error(
        "the broker did not answer in time; whether it carries the action out stands in the audit log"
    )]
    TimedOut,
    /// The call is too long, or what came is no frame.
    #[error("{0}")]
    Frame(FrameError),
    /// What came is no answer to what was asked.
    #[error("the answer of the broker cannot be understood: are gate and broker of one version?")]
    Answer,
}

impl BrokerError {
    /// The HTTP status for both dialects.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            BrokerError::Unreachable(_) => 503,
            BrokerError::TimedOut => 504,
            BrokerError::Frame(FrameError::Length(_)) => 413,
            _ => 502,
        }
    }
}

/// The broker, as the gate sees it. Cheap to share.
#[derive(Debug)]
pub struct Broker {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

/// What follows a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upload {
    /// Nothing.
    None,
    /// Bytes, until the writer is ended.
    Open,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The request's id.
    pub(crate) request: String,
    /// What became of it.
    pub(crate) result: Result<Success, Refused>,
}

/// The head of a good answer, and what follows.
#[derive(Debug)]
pub(crate) struct Success {
    /// The head.
    pub(crate) done: Done,
    /// What follows.
    pub(crate) body: ReplyBody,
}

/// What follows the head of an answer.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    /// All of it, perhaps nothing.
    Whole(Bytes),
    /// It comes bit by bit.
    Download(Download),
    /// Bytes in both directions.
    Streams(Download, Writer),
}

impl Broker {
    /// A broker that listens at `path`. Nothing is opened before the first call.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Arc<Broker> {
        Arc::new(Broker {
            path: path.into(),
            idle: Mutex::default(),
        })
    }

    /// Where the broker listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the broker takes connections at the moment. One that is idle says so too, and none is
    /// opened then: whoever asks may ask as often as they like.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] where it does not.
    pub async fn check(self: &Arc<Self>) -> Result<(), BrokerError> {
        let connection = match self.idle() {
            Some(connection) => connection,
            None => connect(&self.path).await?,
        };
        self.keep(connection);
        Ok(())
    }

    /// Asks, and waits for the head of the answer. Dropping the future, or the body that it
    /// answers, closes the connection, by which the broker knows that nobody waits any more.
    ///
    /// # Errors
    /// [`BrokerError`]. Of a call that changes something no byte is sent a second time.
    pub(crate) async fn call(self: &Arc<Self>, call: &Call) -> Result<Reply, BrokerError> {
        let message = message(call, Upload::None)?;
        let mut reused = true;
        loop {
            let mut connection = match self.idle() {
                Some(connection) => connection,
                None => {
                    reused = false;
                    connect(&self.path).await?
                }
            };
            let answer = match connection.writer.write(&message).await {
                // Not one byte was taken, so nobody can have read it.
                Err(error) if reused && !error.begun => continue,
                Err(_) => Err(BrokerError::Closed),
                Ok(()) => within(limit(&call.ask), answer(&mut connection.reader)).await,
            };
            match answer {
                // The broker was restarted between the look at the connection and the call. What
                // only reads may be asked again; a change might have been made.
                Err(BrokerError::Closed) if reused && !changes(&call.ask) => continue,
                Err(error) => return Err(error),
                Ok(answer) => return self.reply(connection, answer, Upload::None).await,
            }
        }
    }

    /// Asks, and lets `upload` send the caller's bytes while the answer is waited for. The upload
    /// says whether its end is a good one; where it is not, the call is broken off.
    ///
    /// # Errors
    /// [`BrokerError`], or what the upload fails with.
    pub(crate) async fn call_with_upload<E: From<BrokerError>>(
        self: &Arc<Self>,
        call: &Call,
        upload: impl AsyncFnOnce(&mut Writer) -> Result<(), E>,
    ) -> Result<Reply, E> {
        let Connection {
            mut reader,
            mut writer,
        } = self.begin(call).await?;
        let mut sending = Box::pin(async {
            upload(&mut writer).await?;
            writer.end().await?;
            Ok::<_, E>(())
        });
        let mut receiving = Box::pin(answer(&mut reader));
        let (answer, sent) = tokio::select! {
            biased;
            answer = &mut receiving => (answer?, false),
            sent = &mut sending => {
                sent?;
                (receiving.as_mut().await?, true)
            }
        };
        drop((sending, receiving));
        let connection = Connection { reader, writer };
        // An answer before the end of the upload is the end of the upload: what is left of it is
        // not read, so the connection cannot be used again.
        let upload = if sent { Upload::None } else { Upload::Open };
        Ok(self.reply(connection, answer, upload).await?)
    }

    /// Asks for streams in both directions.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub(crate) async fn call_for_streams(
        self: &Arc<Self>,
        call: &Call,
    ) -> Result<Reply, BrokerError> {
        let mut connection = self.begin(call).await?;
        let answer = within(limit(&call.ask), answer(&mut connection.reader)).await?;
        self.reply(connection, answer, Upload::Open).await
    }

    /// Tells the broker of a request that the gate has refused, so that the audit log has it, and
    /// answers the request's id.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub(crate) async fn report(self: &Arc<Self>, call: &Call) -> Result<String, BrokerError> {
        let reply = within(Some(REPORT), self.call(call)).await?;
        Ok(reply.request)
    }

    /// Sends a call after which the direction stays open. It is never sent a second time, since
    /// such calls change something.
    async fn begin(&self, call: &Call) -> Result<Connection, BrokerError> {
        let message = message(call, Upload::Open)?;
        loop {
            let idle = self.idle();
            let reused = idle.is_some();
            let mut connection = match idle {
                Some(connection) => connection,
                None => connect(&self.path).await?,
            };
            match connection.writer.write(&message).await {
                Ok(()) => return Ok(connection),
                Err(error) if reused && !error.begun => {}
                Err(_) => return Err(BrokerError::Closed),
            }
        }
    }

    async fn reply(
        self: &Arc<Self>,
        connection: Connection,
        answer: Answer,
        upload: Upload,
    ) -> Result<Reply, BrokerError> {
        let Answer { request, outcome } = answer;
        let Connection { reader, writer } = connection;
        let result = match outcome {
            Outcome::Refused(refused) => {
                if upload == Upload::None {
                    let mut download = Download::new(self, reader, Some(writer), Some(0));
                    // It is refused whether or not its end comes.
                    let _ = within(Some(REPORT), download.whole()).await;
                }
                Err(refused)
            }
            Outcome::Done(mut done) => {
                if done.body == Body::Streams && upload == Upload::None {
                    // The broker has taken the engine's connection over; towards the client it is a
                    // body like another.
                    done.status = 200;
                }
                let length = match done.body {
                    Body::Empty => Some(0),
                    Body::Sized(length) => Some(length),
                    Body::Stream | Body::Streams => None,
                };
                let body = match (done.body, upload) {
                    (Body::Streams, Upload::Open) => {
                        ReplyBody::Streams(Download::new(self, reader, None, None), writer)
                    }
                    (_, upload) => {
                        let writer = (upload == Upload::None).then_some(writer);
                        let mut download = Download::new(self, reader, writer, length);
                        match length {
                            Some(length) if length <= WHOLE => {
                                ReplyBody::Whole(within(Some(ANSWER), download.whole()).await?)
                            }
                            _ => ReplyBody::Download(download),
                        }
                    }
                };
                Ok(Success { done, body })
            }
        };
        Ok(Reply { request, result })
    }

    /// An idle connection that can be used.
    fn idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let connection = idle.pop()?;
            if connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection of which both directions have ended.
    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(connection);
        }
    }
}

/// The bytes of a call, and of its end where nothing follows.
fn message(call: &Call, upload: Upload) -> Result<BytesMut, BrokerError> {
    let json = serde_json::to_vec(call).map_err(|_| BrokerError::Answer)?;
    let mut bytes = BytesMut::with_capacity(json.len() + 2 * wire::HEADER);
    wire::encode(&Frame::Call(json.into()), &mut bytes).map_err(BrokerError::Frame)?;
    if upload == Upload::None {
        wire::encode(&Frame::End, &mut bytes).map_err(BrokerError::Frame)?;
    }
    Ok(bytes)
}

async fn answer(reader: &mut Reader) -> Result<Answer, BrokerError> {
    match reader.frame().await? {
        Frame::Answer(json) => serde_json::from_slice(&json).map_err(|_| BrokerError::Answer),
        Frame::Abort(_) => Err(BrokerError::Aborted),
        Frame::Call(_) | Frame::Data(_) | Frame::End => Err(BrokerError::Answer),
    }
}

async fn within<T>(
    limit: Option<Duration>,
    future: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    match limit {
        None => future.await,
        Some(limit) => tokio::time::timeout(limit, future)
            .await
            .unwrap_or(Err(BrokerError::TimedOut)),
    }
}

fn changes(ask: &Ask) -> bool {
    match ask {
        Ask::Act(action) => action.kind().changes(),
        // A second record of it would be a false one.
        Ask::Refused { .. } => true,
    }
}

/// How long the head of the answer may take. Nothing limits what waits by its nature: the client may
/// go away at any time, and then the call ends.
fn limit(ask: &Ask) -> Option<Duration> {
    match ask {
        Ask::Act(action) if action.kind().waits() => None,
        _ => Some(ANSWER),
    }
}

/// Whether an action holds its connection for as long as the caller likes.
pub(crate) fn is_stream(action: &Action) -> bool {
    match action {
        Action::Events(_)
        | Action::ContainerWait { .. }
        | Action::ContainerAttach(_)
        | Action::ContainerCopyIn { .. }
        | Action::ContainerCopyOut { .. }
        | Action::ImagePull { .. } => true,
        Action::ContainerLogs(query) => query.follow,
        Action::ContainerStats { stream, .. } => *stream,
        Action::ExecStart { detach, .. } => !detach,
        _ => false,
    }
}
