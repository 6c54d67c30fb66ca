//! One connection, driven by whoever waits for it.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::body::Outgoing;

/// A connection to the engine.
#[derive(Debug)]
pub(super) struct Connection {
    sender: http1::SendRequest<Outgoing>,
    /// Large, and moved about with its answer.
    driver: Box<http1::Connection<TokioIo<UnixStream>, Outgoing>>,
    /// Whether the driver is done. It must not be polled again then.
    ended: bool,
    since: Instant,
}

impl Connection {
    pub(super) async fn new(stream: UnixStream) -> Result<Self, hyper::Error> {
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self {
            sender,
            driver: Box::new(driver),
            ended: false,
            since: Instant::now(),
        })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let mut answer = pin!(self.sender.send_request(request));
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        poll_fn(|context| {
            // The driver tells the waiting answer before it ends, so there is always one.
            drive(driver, ended, context);
            answer.as_mut().poll(context)
        })
        .await
    }

    /// Lets the connection do what there is to do. Called on every poll of an answer's body.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) {
        drive(&mut self.driver, &mut self.ended, context);
    }

    /// Whether the answer has been read and another request may be sent.
    pub(super) fn is_free(&self) -> bool {
        !self.ended && self.sender.is_ready()
    }

    /// Lets it notice that an answer without a body has ended; whether it is free now.
    pub(super) async fn settle(&mut self) -> bool {
        poll_fn(|context| {
            self.drive(context);
            Poll::Ready(())
        })
        .await;
        self.is_free()
    }

    pub(super) fn rest(&mut self) {
        self.since = Instant::now();
    }

    /// As if it had been idle for longer.
    #[cfg(test)]
    pub(super) fn age(&mut self, by: Duration) {
        self.since = self.since.checked_sub(by).unwrap_or(self.since);
    }

    pub(super) fn idle_for(&self) -> Duration {
        self.since.elapsed()
    }

    /// The bare connection after a 101, and what came together with its head.
    pub(super) async fn into_stream(mut self) -> Result<(UnixStream, Bytes), hyper::Error> {
        if !self.ended {
            poll_fn(|context| self.driver.poll_without_shutdown(context)).await?;
        }
        let parts = self.driver.into_parts();
        Ok((parts.io.into_inner(), parts.read_buf))
    }
}

/// What went wrong with the connection is told to the waiting answer or its body.
fn drive(
    driver: &mut http1::Connection<TokioIo<UnixStream>, Outgoing>,
    ended: &mut bool,
    context: &mut Context<'_>,
) {
    if !*ended {
        *ended = driver.poll_without_shutdown(context).is_ready();
    }
}

/// Whether the connection was closed before there was an answer.
pub(super) fn died(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    let broken = error
        .source()
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|source| {
            use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
            matches!(source.kind(), BrokenPipe | ConnectionReset)
        });
    broken || error.is_canceled() || error.is_closed() || error.is_incomplete_message()
}
