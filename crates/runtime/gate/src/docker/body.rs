//! Bodies: what a client sends, within its limits, and what it is answered.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cofferdam_action::archive::PROBE;
use cofferdam_action::json::MAX_BODY;
use cofferdam_action::refusal::{Refusal, Rule};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::broker::{BrokerError, Download, Writer};
use crate::limits::Permit;
use crate::refusal::{BodyError, Refused};

use super::tap::Head;

/// Reads a body whole.
pub(super) async fn whole(body: Incoming, time: Duration) -> Result<Bytes, Refused> {
    let longer = || Refused::Rule(too_long(MAX_BODY as u64));
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(longer());
    }
    let mut reader = Parts {
        body,
        left: MAX_BODY as u64,
    };
    let read = async {
        let Some(first) = reader.next().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = reader.next().await? else {
            return Ok(first);
        };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(part) = reader.next().await? {
            all.extend_from_slice(&part);
        }
        Ok(all.freeze())
    };
    match tokio::time::timeout(time, read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(PartError::TooLong)) => Err(longer()),
        Ok(Err(PartError::Broken)) => Err(Refused::Body(BodyError::Broken)),
        Err(_) => Err(Refused::Body(BodyError::TimedOut)),
    }
}

/// An archive on its way in.
pub(super) struct Archive {
    parts: Parts,
    /// Bytes that the whole may have.
    most: u64,
    time: Duration,
    first: Bytes,
}

impl Archive {
    /// Reads as much of it as its judges want to see.
    pub(super) async fn begin(body: Incoming, most: u64, time: Duration) -> Result<Self, Refused> {
        let mut archive = Self {
            parts: Parts { body, left: most },
            most,
            time,
            first: Bytes::new(),
        };
        let mut first = BytesMut::new();
        while first.len() < PROBE {
            match archive.part().await? {
                Some(part) => first.extend_from_slice(&part),
                None => break,
            }
        }
        archive.first = first.freeze();
        Ok(archive)
    }

    /// Its first bytes, or all of it where it is shorter.
    pub(super) fn start(&self) -> &[u8] {
        &self.first[..self.first.len().min(PROBE)]
    }

    /// Sends it to the broker as the broker takes it. Where it ends before its end, the call is
    /// broken off.
    pub(super) async fn send(mut self, to: &mut Writer) -> Result<(), Refused> {
        to.data(std::mem::take(&mut self.first)).await?;
        loop {
            match self.part().await {
                Ok(Some(part)) => to.data(part).await?,
                Ok(None) => return Ok(()),
                Err(refused) => {
                    to.abort("the upload is not whole").await?;
                    return Err(refused);
                }
            }
        }
    }

    async fn part(&mut self) -> Result<Option<Bytes>, Refused> {
        match tokio::time::timeout(self.time, self.parts.next()).await {
            Ok(Ok(part)) => Ok(part),
            Ok(Err(PartError::TooLong)) => Err(Refused::Rule(too_long(self.most))),
            Ok(Err(PartError::Broken)) => Err(Refused::Body(BodyError::Broken)),
            Err(_) => Err(Refused::Body(BodyError::TimedOut)),
        }
    }
}

/// The parts of a body, as they come, up to a bound.
struct Parts {
    body: Incoming,
    left: u64,
}

enum PartError {
    TooLong,
    Broken,
}

impl Parts {
    async fn next(&mut self) -> Result<Option<Bytes>, PartError> {
        loop {
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            // Trailers say nothing here.
            let Ok(data) = frame.map_err(|_| PartError::Broken)?.into_data() else {
                continue;
            };
            let left = self.left.checked_sub(data.len() as u64);
            self.left = left.ok_or(PartError::TooLong)?;
            return Ok(Some(data));
        }
    }
}

fn too_long(most: u64) -> Refusal {
    Refusal::new(
        Rule::BodySize,
        format!("the body has more than the {most} bytes allowed"),
    )
}

/// The body of an answer, with what ends when it does.
pub(super) struct Answer {
    content: Content,
    head: Head,
    _permit: Option<Permit>,
}

enum Content {
    Whole(Option<Bytes>),
    Download(Download),
}

impl Answer {
    pub(super) fn whole(bytes: Bytes, head: Head, permit: Option<Permit>) -> Self {
        let bytes = (!bytes.is_empty()).then_some(bytes);
        Self {
            content: Content::Whole(bytes),
            head,
            _permit: permit,
        }
    }

    pub(super) fn download(download: Download, head: Head, permit: Permit) -> Self {
        Self {
            content: Content::Download(download),
            head,
            _permit: Some(permit),
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokerError>>> {
        match &mut self.content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Download(download) => Pin::new(download).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Download(download) => download.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Content::Download(download) => download.size_hint(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.head.be_idle();
    }
}
