//! Accepts connections, for either dialect, each within the limits of all and of its address.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::gate::Gate;
use crate::limits::Slot;
use crate::log::Seldom;

/// How long is waited where the system has no more descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// Its place among the others, which it has until this is dropped.
    pub(crate) slot: Slot,
}

/// A bound address.
#[derive(Debug)]
pub(crate) struct Listener(TcpListener);

impl Listener {
    /// Takes a bound listener. To be called in a runtime.
    pub(crate) fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self(TcpListener::from_std(listener)?))
    }

    /// Accepts connections until the gate stops.
    pub(crate) async fn run(self, gate: &Gate, mut serve: impl FnMut(Accepted)) {
        let (full, failing) = (Seldom::default(), Seldom::default());
        loop {
            let accepted = tokio::select! {
                () = gate.stopping() => return,
                accepted = self.0.accept() => accepted,
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
            match gate.connections.open(peer.ip(), limits) {
                Some(slot) => serve(Accepted { stream, peer, slot }),
                None if full.may() => {
                    tracing::warn!(peer = %peer.ip(), "connections are refused: there are too many");
                }
                None => {}
            }
        }
    }
}
