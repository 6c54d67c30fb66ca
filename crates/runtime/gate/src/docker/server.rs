//! The listener of the Docker dialect, and its connections.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use cofferdam_action::MAX_TARGET;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::gate::Gate;
use crate::limits::{Seldom, Slot};

use super::service::{Connection, serve};
use super::tap::{Tap, Times};

/// Bytes that the head of a request may have: the longest target, and a token with other headers.
const MAX_HEAD: usize = MAX_TARGET + (32 << 10);
/// After what time a client that may have vanished is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// How long is waited where the system has no more descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The listener.
pub(crate) struct Listener {
    listener: TcpListener,
}

impl Listener {
    /// Takes a bound listener. To be called in a runtime.
    pub(crate) fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        Ok(Self { listener })
    }

    /// Accepts connections until the gate stops.
    pub(crate) async fn run(self, gate: Arc<Gate>) {
        let (full, failing) = (Seldom::default(), Seldom::default());
        loop {
            let accepted = tokio::select! {
                () = gate.stopping() => return,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // A client that has gone again is no fault. Where descriptors are short it
                    // helps to wait until some are closed.
                    if failing.may() {
                        tracing::warn!(%error, "a connection could not be accepted");
                    }
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let limits = &gate.live().config.limits;
            let Some(slot) = gate.connections.open(peer.ip(), limits) else {
                if full.may() {
                    tracing::warn!(peer = %peer.ip(), "connections are refused: there are too many");
                }
                continue;
            };
            gate.spawn(connection(Arc::clone(&gate), stream, peer, slot));
        }
    }
}

/// Serves one connection.
async fn connection(gate: Arc<Gate>, stream: TcpStream, peer: SocketAddr, slot: Slot) {
    let live = gate.live();
    let limits = &live.config.limits;
    let times = Times {
        head: limits.head,
        idle: limits.idle,
        unread: limits.unread,
    };
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE));
    let (stream, certificate) = match &live.tls {
        None => (Stream::Plain(stream), None),
        Some(config) => {
            let accept = TlsAcceptor::from(Arc::clone(config)).accept(stream);
            match timeout(times.head, accept).await {
                Ok(Ok(stream)) => {
                    let certificate = Certificate::of(&stream);
                    (Stream::Tls(Box::new(stream)), certificate)
                }
                Ok(Err(error)) => {
                    tracing::debug!(peer = %peer.ip(), %error, "the TLS handshake failed");
                    return;
                }
                Err(_) => return,
            }
        }
    };
    drop(live);
    let (tap, head) = Tap::new(stream, times);
    let connection = Arc::new(Connection {
        gate: Arc::clone(&gate),
        peer,
        certificate,
        head,
        _slot: slot,
    });
    let service = service_fn(move |request| serve(Arc::clone(&connection), request));
    let serving = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        // The tap knows better which time runs.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(tap), service)
        .with_upgrades();
    tokio::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = gate.stopping() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(peer = %peer.ip(), %error, "a connection broke off");
    }
}

/// The certificate of a client.
#[derive(Debug)]
pub(super) struct Certificate(Vec<u8>);

impl Certificate {
    fn of(stream: &TlsStream<TcpStream>) -> Option<Self> {
        let (_, connection) = stream.get_ref();
        let first = connection.peer_certificates()?.first()?;
        Some(Self(first.to_vec()))
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.0
    }
}

/// A connection with a client, with or without TLS.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Whether closing the connection resets it, which no client takes for the end of what it was
    /// sent.
    pub(super) fn reset_on_close(&self, reset: bool) {
        let stream = match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        };
        let _ = SockRef::from(stream).set_linger(reset.then_some(Duration::ZERO));
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
