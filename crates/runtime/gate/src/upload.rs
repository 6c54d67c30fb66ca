//! What a client sends, whichever server reads it: within limits of size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cofferdam_action::archive::PROBE;
use cofferdam_action::json::MAX_BODY;
use cofferdam_action::refusal::{Refusal, Rule};
use futures_util::{Stream, StreamExt as _};

use crate::broker::Writer;
use crate::connection::tap::LINGER;
use crate::refusal::{BodyError, Refused};

/// Reads a body whole, up to [`MAX_BODY`].
pub(crate) async fn whole<S, E>(body: S, time: Duration) -> Result<Bytes, Refused>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut parts = Parts::new(body, MAX_BODY as u64);
    let read = async {
        let Some(first) = parts.next().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = parts.next().await? else {
            return Ok(first);
        };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(part) = parts.next().await? {
            all.extend_from_slice(&part);
        }
        Ok(all.freeze())
    };
    tokio::time::timeout(time, read)
        .await
        .unwrap_or(Err(Refused::Body(BodyError::TimedOut)))
}

/// Reads on without keeping anything, for as long as a client may [`LINGER`].
pub(crate) async fn discard<S, E>(mut body: S)
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let rest = async { while let Some(Ok(_)) = body.next().await {} };
    // Who sends for longer is cut off.
    let _ = tokio::time::timeout(LINGER, rest).await;
}

/// An archive on its way in.
pub(crate) struct Archive<S> {
    parts: Parts<S>,
    /// How long each part may take.
    time: Duration,
    first: Bytes,
}

impl<S, E> Archive<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// Reads as much of it as its judges want to see. The whole may have `most` bytes.
    pub(crate) async fn begin(body: S, most: u64, time: Duration) -> Result<Self, Refused> {
        let mut archive = Self {
            parts: Parts::new(body, most),
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
    pub(crate) fn start(&self) -> &[u8] {
        &self.first[..self.first.len().min(PROBE)]
    }

    /// Sends it to the broker as the broker takes it. Where it ends before its end, the call is
    /// broken off.
    pub(crate) async fn send(mut self, to: &mut Writer) -> Result<(), Refused> {
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

/// Why a body above its bound is refused.
pub(crate) fn too_long(most: u64) -> Refused {
    let why = format!("it has more than the {most} bytes allowed");
    Refused::Rule(Refusal::new(Rule::BodySize, why).at("body"))
}

/// The parts of a body, as they come, up to a bound.
struct Parts<S> {
    body: S,
    most: u64,
    left: u64,
}

impl<S> Parts<S> {
    const fn new(body: S, most: u64) -> Self {
        Self {
            body,
            most,
            left: most,
        }
    }
}

impl<S, E> Parts<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        let Some(part) = self.body.next().await else {
            return Ok(None);
        };
        let part = part.map_err(|_| Refused::Body(BodyError::Broken))?;
        let left = self.left.checked_sub(part.len() as u64);
        self.left = left.ok_or_else(|| too_long(self.most))?;
        Ok(Some(part))
    }
}
