//! The bytes that follow the broker's answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use cofferdam_action::wire::Frame;
use hyper::body::{Body, Frame as HttpFrame, SizeHint};

use super::connection::{Connection, Reader, Writer};
use super::{Broker, BrokerError};

/// The body of an answer, read from the socket as it is taken. Where it ends as it should, the
/// connection goes back to the others; dropped before, it closes the connection.
#[derive(Debug)]
pub(crate) struct Download {
    broker: Arc<Broker>,
    /// Gone after the end.
    reader: Option<Reader>,
    /// The other direction, where it has ended already.
    writer: Option<Writer>,
    /// How many bytes are still to come, where that was said.
    left: Option<u64>,
}

impl Download {
    pub(super) fn new(
        broker: &Arc<Broker>,
        reader: Reader,
        writer: Option<Writer>,
        length: Option<u64>,
    ) -> Download {
        Download {
            broker: Arc::clone(broker),
            reader: Some(reader),
            writer,
            left: length,
        }
    }

    /// The next bytes; nothing at the end.
    pub(crate) fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BrokerError>>> {
        let Some(reader) = &mut self.reader else {
            return Poll::Ready(None);
        };
        let result = ready!(reader.poll_frame(context)).and_then(|frame| self.take(frame));
        if !matches!(result, Ok(Some(_))) {
            // After a fault nothing more can be read.
            self.reader = None;
        }
        Poll::Ready(result.transpose())
    }

    /// The next bytes; nothing at the end.
    pub(crate) async fn bytes(&mut self) -> Result<Option<Bytes>, BrokerError> {
        std::future::poll_fn(|context| self.poll_bytes(context))
            .await
            .transpose()
    }

    /// All bytes. Only for a body whose length was said and is small.
    pub(super) async fn whole(&mut self) -> Result<Bytes, BrokerError> {
        let Some(first) = self.bytes().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.bytes().await? else {
            return Ok(first);
        };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(bytes) = self.bytes().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }

    fn take(&mut self, frame: Frame) -> Result<Option<Bytes>, BrokerError> {
        match frame {
            Frame::Data(bytes) => {
                if let Some(left) = &mut self.left {
                    *left = left
                        .checked_sub(bytes.len() as u64)
                        .ok_or(BrokerError::Answer)?;
                }
                Ok(Some(bytes))
            }
            Frame::End if self.left.is_some_and(|left| left > 0) => Err(BrokerError::Answer),
            Frame::End => {
                if let (Some(reader), Some(writer)) = (self.reader.take(), self.writer.take()) {
                    self.broker.keep(Connection { reader, writer });
                }
                Ok(None)
            }
            Frame::Abort(_) => Err(BrokerError::Aborted),
            Frame::Call(_) | Frame::Answer(_) => Err(BrokerError::Answer),
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BrokerError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<HttpFrame<Bytes>, BrokerError>>> {
        let bytes = ready!(self.get_mut().poll_bytes(context));
        Poll::Ready(bytes.map(|bytes| bytes.map(HttpFrame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.reader.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}
