//! The unix socket: who may connect, and how many; then call after call.

mod serve;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::broker::Broker;

/// How often a stranger on the socket is spoken of.
const STRANGERS: Duration = Duration::from_secs(60);

/// How long to wait after a connection could not be accepted: usually there are too many files open.
const PAUSE: Duration = Duration::from_millis(100);

/// Who may speak to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// As whom the gate must run: what SO_PEERCRED shows.
    pub uid: u32,
}

/// A broker on its socket.
#[derive(Debug)]
pub struct Server {
    broker: Arc<Broker>,
    listener: UnixListener,
    peer: Peer,
    connections: usize,
}

impl Server {
    /// Serves `listener` to `peer` alone, up to `connections` at once.
    #[must_use]
    pub fn new(
        broker: Arc<Broker>,
        listener: UnixListener,
        peer: Peer,
        connections: usize,
    ) -> Self {
        Self {
            broker,
            listener,
            peer,
            connections,
        }
    }

    /// Serves until `stop` changes or its sender is gone; then lets calls go on for `grace`. Changes
    /// that go on beyond it are the broker's own; see [`Broker::finish`].
    pub async fn run(self, mut stop: watch::Receiver<bool>, grace: Duration) {
        let room = Arc::new(Semaphore::new(self.connections));
        let mut tasks = JoinSet::new();
        let mut stranger = None::<Instant>;
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&room) => accepted,
                Some(_) = tasks.join_next() => continue,
                _ = stop.changed() => break,
            };
            match accepted {
                Ok((stream, permit)) => {
                    let (broker, stop) = (Arc::clone(&self.broker), stop.clone());
                    tasks.spawn(async move {
                        let _permit = permit;
                        // The gate has the reason, where it is still there.
                        let _ = serve::connection(&broker, stream, stop).await;
                    });
                }
                Err(NotAccepted::Stranger(uid)) => {
                    if stranger.is_none_or(|last| last.elapsed() > STRANGERS) {
                        stranger = Some(Instant::now());
                        let text = format!(
                            "a process of user {} has connected to the broker's socket, which is for user {} alone",
                            uid.map_or("unknown".to_owned(), |uid| uid.to_string()),
                            self.peer.uid
                        );
                        self.broker.notice(text).await;
                    }
                }
                Err(NotAccepted::Failed(error)) => {
                    self.broker
                        .say(&format!("a connection could not be accepted: {error}"));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop(self.listener);
        let end = async { while tasks.join_next().await.is_some() {} };
        // What is not done by then is dropped, and its outcome is written as unknown.
        let _ = tokio::time::timeout(grace, end).await;
        tasks.shutdown().await;
    }

    /// The next connection of the gate, when there is room for one.
    async fn accept(
        &self,
        room: &Arc<Semaphore>,
    ) -> Result<(UnixStream, tokio::sync::OwnedSemaphorePermit), NotAccepted> {
        let permit = Arc::clone(room).acquire_owned().await;
        let permit = permit.map_err(|error| NotAccepted::Failed(std::io::Error::other(error)))?;
        let (stream, _) = self.listener.accept().await.map_err(NotAccepted::Failed)?;
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == self.peer.uid => Ok((stream, permit)),
            Ok(peer) => Err(NotAccepted::Stranger(Some(peer.uid()))),
            Err(_) => Err(NotAccepted::Stranger(None)),
        }
    }
}

enum NotAccepted {
    Stranger(Option<u32>),
    Failed(std::io::Error),
}
