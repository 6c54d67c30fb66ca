//! Streams in both directions over a connection that HTTP has left.
//!
//! Each direction ends for itself: a client that has no more input closes its half, and still gets
//! all of the output. What breaks off is told by a reset, so that nobody takes a part for the whole.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::broker::{BrokerError, Download, Writer};
use crate::connection::Stream;
use crate::connection::tap::Tap;

/// Bytes that are read at once from the client.
const READ: usize = 16 << 10;
/// How long a client may take to close its half after the end of the output.
const LINGER: Duration = Duration::from_secs(5);

/// Passes bytes on, both ways, until both are over.
pub(super) async fn run(upgrade: OnUpgrade, mut download: Download, mut writer: Writer) {
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    let Some((stream, early)) = open(upgraded) else {
        return;
    };
    // Whatever ends this function before the output has ended.
    stream.reset_on_close(true);
    // Nobody reads from a client that has closed its half, nor from one whose input is waited on, so
    // that its end would not show.
    let gone = match stream.gone() {
        Ok(gone) => gone,
        Err(error) => {
            tracing::warn!(%error, "streams were broken off");
            return;
        }
    };
    let (mut from, mut to) = tokio::io::split(stream);
    let ended = {
        let input = pass_in(&mut from, early, &mut writer);
        let output = pass_out(&mut download, &mut to);
        tokio::pin!(input, output);
        tokio::pin!(gone);
        tokio::select! {
            ended = &mut output => ended,
            () = &mut gone => Err(Broken::Client),
            input = &mut input => match input {
                Ok(()) | Err(Broken::Broker(_)) => tokio::select! {
                    ended = output => ended,
                    () = gone => Err(Broken::Client),
                },
                Err(broken) => Err(broken),
            },
        }
    };
    // The broker's connection is closed before the client's is waited for.
    drop((download, writer));
    match ended {
        Ok(()) => {
            // What is still unread when a socket is closed turns its end into a reset, which could
            // overtake the output.
            let _ = tokio::time::timeout(LINGER, discard(&mut from)).await;
            from.unsplit(to).reset_on_close(false);
        }
        Err(broken) => tracing::debug!(%broken, "streams were broken off"),
    }
}

/// Why streams ended before their end.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the client is gone")]
    Client,
    #[error("{0}")]
    Broker(#[from] BrokerError),
}

/// The connection itself, and what was read from it beyond the request.
fn open(upgraded: Upgraded) -> Option<(Stream, Bytes)> {
    let parts = upgraded.downcast::<TokioIo<Tap<Stream>>>().ok()?;
    let (stream, held) = parts.io.into_inner().into_parts();
    let mut early = BytesMut::from(parts.read_buf);
    early.unsplit(held);
    Some((stream, early.freeze()))
}

async fn pass_in(
    from: &mut (impl AsyncRead + Unpin),
    early: Bytes,
    writer: &mut Writer,
) -> Result<(), Broken> {
    if !early.is_empty() {
        writer.data(early).await?;
    }
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(READ);
        let count = from.read_buf(&mut buffer).await;
        if count.map_err(|_| Broken::Client)? == 0 {
            return Ok(writer.end().await?);
        }
        writer.data(buffer.split().freeze()).await?;
    }
}

async fn pass_out(
    download: &mut Download,
    to: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Broken> {
    while let Some(bytes) = download.bytes().await? {
        to.write_all(&bytes).await.map_err(|_| Broken::Client)?;
        to.flush().await.map_err(|_| Broken::Client)?;
    }
    to.shutdown().await.map_err(|_| Broken::Client)
}

async fn discard(from: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 1024];
    while from.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}
