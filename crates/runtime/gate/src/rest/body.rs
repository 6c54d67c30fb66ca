//! Bodies: what a client sends, within its limits, and what it is answered.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use cofferdam_action::archive::PROBE;
use cofferdam_action::json::MAX_BODY;
use cofferdam_action::refusal::{Refusal, Rule};
use futures_util::StreamExt as _;

use crate::broker::{BrokerError, Download, Writer};
use crate::limits::Permit;
use crate::refusal::{BodyError, Refused};

/// Reads a body whole.
pub(super) async fn whole(body: Payload, time: Duration) -> Result<Bytes, Refused> {
    let mut parts = Parts {
        body,
        left: MAX_BODY as u64,
        most: MAX_BODY as u64,
    };
    let read = async {
        let mut all = BytesMut::new();
        while let Some(part) = parts.next().await? {
            all.extend_from_slice(&part);
        }
        Ok(all.freeze())
    };
    tokio::time::timeout(time, read)
        .await
        .unwrap_or(Err(Refused::Body(BodyError::TimedOut)))
}

/// An archive on its way in.
pub(super) struct Archive {
    parts: Parts,
    time: Duration,
    first: Bytes,
}

impl Archive {
    /// Reads as much of it as its judges want to see.
    pub(super) async fn begin(body: Payload, most: u64, time: Duration) -> Result<Self, Refused> {
        let mut archive = Self {
            parts: Parts {
                body,
                left: most,
                most,
            },
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
        tokio::time::timeout(self.time, self.parts.next())
            .await
            .unwrap_or(Err(Refused::Body(BodyError::TimedOut)))
    }
}

/// The parts of a body, as they come, up to a bound.
struct Parts {
    body: Payload,
    left: u64,
    most: u64,
}

impl Parts {
    async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        let Some(part) = self.body.next().await else {
            return Ok(None);
        };
        let part = part.map_err(|_| Refused::Body(BodyError::Broken))?;
        let left = self.left.checked_sub(part.len() as u64);
        self.left = left.ok_or_else(|| {
            let text = format!("the body has more than the {} bytes allowed", self.most);
            Refused::Rule(Refusal::new(Rule::BodySize, text))
        })?;
        Ok(Some(part))
    }
}

/// The body of an answer that comes bit by bit, with what ends when it does.
pub(super) struct Answer {
    download: Download,
    size: BodySize,
    _permit: Permit,
}

impl Answer {
    pub(super) fn new(download: Download, size: BodySize, permit: Permit) -> Self {
        Self {
            download,
            size,
            _permit: permit,
        }
    }
}

impl MessageBody for Answer {
    type Error = BrokerError;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BrokerError>>> {
        self.download.poll_bytes(context)
    }
}
