//! A connection with a client, as either dialect begins one: with TLS or without, and with a limit on
//! every time that a client may take.

pub(crate) mod tap;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::gate::Live;

use tap::{Head, Tap, Times};

/// After what time a client that may have vanished is asked whether it is there, and how often from
/// then on.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(10));

/// Begins a connection, with the TLS handshake where there is TLS; nothing where that fails.
pub(crate) async fn open(
    stream: TcpStream,
    peer: SocketAddr,
    live: &Live,
) -> Option<(Tap<Stream>, Head)> {
    let limits = &live.config.limits;
    let times = Times {
        head: limits.head,
        idle: limits.idle,
        unread: limits.unread,
    };
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&KEEP_ALIVE);
    let stream = match &live.tls {
        None => Stream::Plain(stream),
        Some(config) => {
            let accept = TlsAcceptor::from(Arc::clone(config)).accept(stream);
            match timeout(times.head, accept).await {
                Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
                Ok(Err(error)) => {
                    tracing::debug!(peer = %peer.ip(), %error, "the TLS handshake failed");
                    return None;
                }
                Err(_) => return None,
            }
        }
    };
    Some(Tap::new(stream, times))
}

/// A connection with a client, with or without TLS.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The certificate that the client has shown, in DER.
    pub(crate) fn certificate(&self) -> Option<Vec<u8>> {
        let Stream::Tls(stream) = self else {
            return None;
        };
        let (_, connection) = stream.get_ref();
        Some(connection.peer_certificates()?.first()?.to_vec())
    }

    /// Whether closing the connection resets it, which no client takes for the end of what it was
    /// sent.
    pub(crate) fn reset_on_close(&self, reset: bool) {
        let _ = SockRef::from(self.tcp()).set_linger(reset.then_some(Duration::ZERO));
    }

    /// Is ready when the connection is no more: the client has reset it, or does not answer the
    /// system's questions whether it is there. Who has only closed their half is there.
    pub(crate) fn gone(&self) -> io::Result<impl Future<Output = ()> + use<>> {
        // A descriptor of its own, since the stream itself is lent to who reads and who writes.
        let socket = SockRef::from(self.tcp()).try_clone()?;
        let socket = TcpStream::from_std(socket.into())?;
        Ok(async move {
            let _ = socket.ready(Interest::ERROR).await;
        })
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        }
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
