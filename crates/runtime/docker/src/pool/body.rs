//! What is sent to the engine after a head, and what comes back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

use super::Shared;
use super::connection::Connection;
use crate::Error;

/// What follows the head of a request.
#[derive(Debug)]
pub enum Outgoing {
    /// Nothing.
    Empty,
    /// A JSON document.
    Json(Bytes),
    /// A tar archive, as it comes.
    Archive(Incomplete),
}

/// An archive of which parts are still to come.
#[derive(Debug)]
pub struct Incomplete(mpsc::Receiver<Part>);

/// Where the parts of an archive are put. Dropping it before [`Upload::finish`] breaks the request
/// off, so that half an archive is never taken for a whole one.
#[derive(Debug)]
pub struct Upload(mpsc::Sender<Part>);

#[derive(Debug)]
enum Part {
    Bytes(Bytes),
    End,
}

/// The body of an answer. Its connection is kept when it has been read to the end, and closed when
/// it is dropped before.
#[derive(Debug)]
pub struct AnswerBody {
    incoming: Incoming,
    connection: Option<Connection>,
    shared: Arc<Shared>,
}

/// Whoever sends the archive has broken off.
#[derive(Debug, thiserror::Error)]
#[error("the upload was broken off")]
pub struct BrokenOff;

impl Outgoing {
    /// An archive, and where its parts are put. At most `parts` of them wait.
    #[must_use]
    pub fn archive(parts: usize) -> (Upload, Self) {
        let (sender, receiver) = mpsc::channel(parts.max(1));
        (Upload(sender), Outgoing::Archive(Incomplete(receiver)))
    }

    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Outgoing::Empty)
    }

    pub(super) const fn content_type(&self) -> Option<&'static str> {
        match self {
            Outgoing::Empty => None,
            Outgoing::Json(_) => Some("application/json"),
            Outgoing::Archive(_) => Some("application/x-tar"),
        }
    }
}

impl Upload {
    /// Sends a part, as soon as there is room for it. `false` where nobody takes it any more: the
    /// engine has answered already, or is gone.
    pub async fn send(&self, bytes: Bytes) -> bool {
        self.0.send(Part::Bytes(bytes)).await.is_ok()
    }

    /// Says that the archive is whole.
    pub async fn finish(self) {
        // Whoever does not take it has its own answer.
        let _ = self.0.send(Part::End).await;
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut *self {
            Outgoing::Empty => Poll::Ready(None),
            Outgoing::Json(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Outgoing::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Outgoing::Archive(Incomplete(parts)) => match parts.poll_recv(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Part::Bytes(bytes))) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Poll::Ready(Some(Part::End)) => {
                    *self = Outgoing::Empty;
                    Poll::Ready(None)
                }
                Poll::Ready(None) => Poll::Ready(Some(Err(BrokenOff))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Empty => SizeHint::with_exact(0),
            Outgoing::Json(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Outgoing::Archive(_) => SizeHint::default(),
        }
    }
}

impl AnswerBody {
    pub(super) async fn new(
        incoming: Incoming,
        mut connection: Connection,
        shared: Arc<Shared>,
    ) -> Self {
        if !incoming.is_end_stream() {
            return Self {
                incoming,
                connection: Some(connection),
                shared,
            };
        }
        if connection.settle().await {
            shared.keep(connection);
        }
        Self {
            incoming,
            connection: None,
            shared,
        }
    }

    /// The next bytes; nothing at the end.
    ///
    /// # Errors
    /// [`Error::Http`] where the connection breaks before the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.frame().await {
            // Trailers say nothing that anybody asks for.
            if let Ok(bytes) = frame?.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond `limit` bytes; [`Error::Http`] where the connection breaks.
    pub async fn whole(mut self, limit: usize) -> Result<Bytes, Error> {
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        let mut all = None::<BytesMut>;
        let mut length = first.len();
        while length <= limit {
            match self.chunk().await? {
                None => return Ok(all.map_or(first, BytesMut::freeze)),
                Some(next) => {
                    length += next.len();
                    all.get_or_insert_with(|| BytesMut::from(&first[..]))
                        .extend_from_slice(&next);
                }
            }
        }
        Err(Error::TooLarge(limit))
    }

    /// Whoever has read all gives the connection back.
    fn end(&mut self) {
        if let Some(connection) = self.connection.take()
            && connection.is_free()
        {
            self.shared.keep(connection);
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(connection) = &mut self.connection {
            connection.drive(context);
        }
        let polled = Pin::new(&mut self.incoming).poll_frame(context);
        match &polled {
            Poll::Ready(None) => {
                // The driver has one more thing to do before it is free: to notice the end.
                if let Some(connection) = &mut self.connection {
                    connection.drive(context);
                }
                self.end();
            }
            Poll::Ready(Some(Err(_))) => self.connection = None,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        // A body that is at its end is polled once more all the same, to give the connection back.
        self.incoming.is_end_stream() && self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
