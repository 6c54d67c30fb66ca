//! One connection to the broker: frames over a unix socket.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cofferdam_action::wire::{self, Frame};
use tokio::net::UnixStream;

use super::BrokerError;

/// Bytes that are read at once where no frame has begun.
const READ: usize = 8 << 10;
/// How often a connection is tried while the broker's queue of connections is full.
const TRIES: u32 = 50;
/// How long is waited in between.
const PAUSE: Duration = Duration::from_millis(10);

/// Opens a connection.
pub(super) async fn connect(path: &Path) -> Result<Connection, BrokerError> {
    let mut tries = 0;
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => {
                let stream = Arc::new(stream);
                return Ok(Connection {
                    reader: Reader {
                        stream: Arc::clone(&stream),
                        buffer: BytesMut::new(),
                    },
                    writer: Writer { stream },
                });
            }
            // The one error that passes by itself: the socket's backlog is full for a moment.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(BrokerError::Unreachable(error.kind())),
        }
    }
}

/// Both directions of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

impl Connection {
    /// Whether an idle connection can still be used: a broker that was restarted has closed it, and
    /// one that sends unasked is out of step.
    pub(super) fn is_quiet(&self) -> bool {
        let quiet = |result: io::Result<usize>| matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.reader.buffer.is_empty() && quiet(self.reader.stream.try_read(&mut [0; 1]))
    }
}

/// The direction from the broker.
#[derive(Debug)]
pub(crate) struct Reader {
    stream: Arc<UnixStream>,
    /// What has come of the next frame. It is empty, and holds no memory, while nothing comes.
    buffer: BytesMut,
}

impl Reader {
    /// The next frame, which is bounded by [`wire::MAX_MESSAGE`].
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Frame, BrokerError>> {
        loop {
            match wire::decode(&mut self.buffer) {
                Ok(Some(frame)) => return Poll::Ready(Ok(frame)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(BrokerError::Frame(error))),
            }
            ready!(self.stream.poll_read_ready(context)).map_err(|_| BrokerError::Closed)?;
            self.buffer.reserve(READ.max(self.buffer.len()));
            match self.stream.try_read_buf(&mut self.buffer) {
                Ok(0) => return Poll::Ready(Err(BrokerError::Closed)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.buffer.is_empty() {
                        self.buffer = BytesMut::new();
                    }
                }
                Err(_) => return Poll::Ready(Err(BrokerError::Closed)),
            }
        }
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> Result<Frame, BrokerError> {
        std::future::poll_fn(|context| self.poll_frame(context)).await
    }
}

/// The direction to the broker.
#[derive(Debug)]
pub(crate) struct Writer {
    stream: Arc<UnixStream>,
}

impl Writer {
    /// Writes all of it, and waits where the broker does not read on.
    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), WriteError> {
        let mut begun = false;
        while !bytes.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(0) => return Err(WriteError { begun }),
                Ok(count) => {
                    begun = true;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let writable = self.stream.writable().await;
                    writable.map_err(|_| WriteError { begun })?;
                }
                Err(_) => return Err(WriteError { begun }),
            }
        }
        Ok(())
    }

    /// Sends a part of a body.
    pub(crate) async fn data(&mut self, bytes: Bytes) -> Result<(), BrokerError> {
        self.frame(Frame::Data(bytes)).await
    }

    /// Ends this direction.
    pub(crate) async fn end(&mut self) -> Result<(), BrokerError> {
        self.frame(Frame::End).await
    }

    /// Breaks off: what has come so far is not all.
    pub(crate) async fn abort(&mut self, why: &'static str) -> Result<(), BrokerError> {
        self.frame(Frame::Abort(Bytes::from_static(why.as_bytes())))
            .await
    }

    async fn frame(&mut self, frame: Frame) -> Result<(), BrokerError> {
        let mut bytes = BytesMut::new();
        wire::encode(&frame, &mut bytes).map_err(BrokerError::Frame)?;
        self.write(&bytes).await.map_err(|_| BrokerError::Closed)
    }
}

/// The connection broke while something was written to it.
#[derive(Debug)]
pub(super) struct WriteError {
    /// Whether a byte had gone out before: then the broker may have got all of it.
    pub(super) begun: bool,
}
