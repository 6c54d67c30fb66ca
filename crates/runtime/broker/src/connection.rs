//! One connection of the gate: frames in, frames out.

use std::io;

use bytes::{Bytes, BytesMut};
use cofferdam_action::wire::{self, Frame, FrameError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// Bytes that one read takes at most: of a call, and of the rest of a longer frame.
const CALL: usize = 4 << 10;
const REST: usize = 16 << 10;

/// Reads frames.
#[derive(Debug)]
pub(crate) struct Reader {
    half: OwnedReadHalf,
    buffer: BytesMut,
}

/// Writes frames.
#[derive(Debug)]
pub(crate) struct Writer {
    half: OwnedWriteHalf,
    buffer: BytesMut,
}

/// The connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The other side is gone, or cannot be reached.
    #[error("the gate's connection broke: {0}")]
    Io(#[from] io::Error),
    /// What came is no frame.
    #[error("the gate sent what is no frame: {0}")]
    Frame(#[from] FrameError),
    /// A frame that has no place here.
    #[error("the gate sent a frame out of turn")]
    OutOfTurn,
    /// The gate has broken the call off, or closed the connection in the midst of one.
    #[error("the gate broke the call off")]
    Aborted,
}

impl Reader {
    pub(crate) fn new(half: OwnedReadHalf) -> Self {
        Self {
            half,
            buffer: BytesMut::new(),
        }
    }

    /// Waits for the first byte of the next call; `false` where the connection has ended instead.
    pub(crate) async fn begins(&mut self) -> Result<bool, Broken> {
        Ok(!self.buffer.is_empty() || self.read(CALL).await? > 0)
    }

    /// The next frame. Cancelling it loses nothing.
    pub(crate) async fn frame(&mut self) -> Result<Frame, Broken> {
        loop {
            if let Some(frame) = wire::decode(&mut self.buffer)? {
                return Ok(frame);
            }
            if self.read(REST).await? == 0 {
                return Err(Broken::Aborted);
            }
        }
    }

    /// Comes back when the gate has closed the connection, or sends what has no place while it is
    /// to listen.
    pub(crate) async fn gone(&mut self) {
        if self.buffer.is_empty() {
            // Whoever follows a log for hours does not hold a buffer meanwhile.
            self.buffer = BytesMut::new();
            // Whatever it is, the call is over.
            let _ = self.read(1).await;
        }
    }

    /// Comes back when the gate has closed the connection, whatever it has sent before that is still
    /// to be read.
    pub(crate) async fn closed(&self) {
        // Nothing urgent ever comes over such a socket; what is left of this interest is its end.
        let _ = self.half.ready(Interest::PRIORITY).await;
    }

    async fn read(&mut self, room: usize) -> io::Result<usize> {
        self.buffer.reserve(room);
        self.half.read_buf(&mut self.buffer).await
    }
}

impl Writer {
    pub(crate) fn new(half: OwnedWriteHalf) -> Self {
        Self {
            half,
            buffer: BytesMut::new(),
        }
    }

    /// Puts a frame into the buffer.
    pub(crate) fn put(&mut self, frame: &Frame) -> Result<(), Broken> {
        Ok(wire::encode(frame, &mut self.buffer)?)
    }

    /// Puts bytes into frames, and writes what has gathered.
    pub(crate) async fn data(&mut self, bytes: Bytes) -> Result<(), Broken> {
        // A large answer is not copied as a whole.
        for part in bytes.chunks(wire::MAX_DATA) {
            let at = part.as_ptr() as usize - bytes.as_ptr() as usize;
            self.put(&Frame::Data(bytes.slice(at..at + part.len())))?;
            if self.buffer.len() >= wire::MAX_DATA {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Writes what has gathered.
    pub(crate) async fn flush(&mut self) -> Result<(), Broken> {
        self.half.write_all_buf(&mut self.buffer).await?;
        if self.buffer.capacity() > CALL {
            self.buffer = BytesMut::new();
        }
        Ok(())
    }
}
