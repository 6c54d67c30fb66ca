//! The output of a program: kept in the log where there is one, and passed to all who are attached.

use super::log::{Log, Wanted};
use super::terminal::with_carriage_returns;
use crate::answer::Refusal;
use bytes::Bytes;
use cofferdam_docker::stream::{self, Kind};
use hyper::StatusCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// How many may be attached to one program.
const ATTACHED: usize = 256;
/// How many pieces of output wait for one who is attached. Then the program waits too.
const WAITING: usize = 8;

/// Where a program writes.
pub(crate) struct Output {
    log: Option<Arc<Log>>,
    /// A terminal has one stream, and ends lines as terminals do.
    tty: bool,
    attached: Mutex<Vec<Attached>>,
    paused: watch::Receiver<bool>,
}

struct Attached {
    sender: mpsc::Sender<Bytes>,
    wanted: Wanted,
}

impl Output {
    pub(crate) fn new(log: Option<Arc<Log>>, tty: bool, paused: watch::Receiver<bool>) -> Self {
        Self {
            log,
            tty,
            attached: Mutex::default(),
            paused,
        }
    }

    /// Follows the output from now on, with `history` from its beginning. The stream ends with the
    /// program's run.
    pub(crate) fn attach(
        &self,
        wanted: Wanted,
        history: bool,
    ) -> Result<mpsc::Receiver<Bytes>, Refusal> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let mut attached = self.attached();
        attached.retain(|other| !other.sender.is_closed());
        if attached.len() >= ATTACHED {
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("more than {ATTACHED} are attached to one container"),
            ));
        }
        if history && let Some(log) = &self.log {
            let (bytes, _) = log.read(0, wanted);
            // The channel is empty, so there is room.
            let _ = sender.try_send(bytes);
        }
        attached.push(Attached { sender, wanted });
        Ok(receiver)
    }

    /// Writes, when all who are attached have taken what came before and the program is not paused.
    pub(crate) async fn write(&self, kind: Kind, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut paused = self.paused.clone();
        // An error says that the container is gone, and nobody reads any more.
        let _ = paused.wait_for(|paused| !paused).await;
        let (kind, bytes) = match self.tty {
            true => (Kind::Stdout, with_carriage_returns(bytes)),
            false => (kind, bytes.to_vec()),
        };
        let listeners: Vec<_> = {
            let attached = self.attached();
            if let Some(log) = &self.log {
                log.write(kind, &bytes);
            }
            attached
                .iter()
                .filter(|one| one.wanted.has(kind))
                .map(|one| (one.sender.clone(), one.wanted.frames))
                .collect()
        };
        for (sender, frames) in listeners {
            let bytes = match frames {
                true => stream::encode(kind, &bytes),
                false => bytes.clone(),
            };
            // Whoever has gone away does not want it.
            let _ = sender.send(bytes.into()).await;
        }
    }

    /// Ends the streams of all who are attached.
    pub(crate) fn close(&self) {
        self.attached().clear();
    }

    fn attached(&self) -> MutexGuard<'_, Vec<Attached>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
