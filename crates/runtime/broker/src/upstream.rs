//! The engine behind the broker: requests out, time limits, and what its failures mean.

use std::time::Duration;

use bytes::Bytes;
use cofferdam_action::action::Action;
use cofferdam_action::encode::{EngineBody, EngineRequest, encode};
use cofferdam_docker::Error;
use cofferdam_docker::pool::{AnswerBody, Call, Hijack, Outgoing, Pool};
use hyper::{Method, Response};

use crate::tenancy;

/// Idle connections to the engine that are kept.
const KEPT: usize = 64;

/// Bytes of an answer that is read whole.
pub(crate) const WHOLE: usize = 64 << 20;

/// How long the engine, the gate and the audit log may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For the head of an ordinary answer. What waits by its nature has no limit, and a stop has its
    /// own waiting time on top.
    pub head: Duration,
    /// For the rest of an answer that is read whole.
    pub body: Duration,
    /// For a call of the gate to come whole after its first byte.
    pub call: Duration,
    /// For the audit log to take a record. Where an intent takes longer, nothing is done.
    pub log: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            // Shorter than the gate waits, so that the client hears what happened.
            head: Duration::from_secs(50),
            body: Duration::from_secs(60),
            call: Duration::from_secs(10),
            log: Duration::from_secs(10),
        }
    }
}

/// The engine.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pool: Pool,
    pub(crate) timing: Timing,
}

/// What the engine answered to something that is not hijacked.
pub(crate) enum Answered {
    /// An answer, whatever its status.
    Answer(Response<AnswerBody>),
    /// Bytes in both directions.
    Streams(cofferdam_docker::pool::Streams),
}

impl Upstream {
    pub(crate) fn new(socket: &std::path::Path, timing: Timing) -> Self {
        Self {
            pool: Pool::unix(socket, KEPT),
            timing,
        }
    }

    /// Asks for an action, once. `archive` is what follows the head of an upload.
    pub(crate) async fn request(
        &self,
        action: &Action,
        request: EngineRequest,
        archive: Outgoing,
    ) -> Result<Answered, Error> {
        let EngineRequest {
            method,
            target,
            body,
            hijack,
        } = request;
        let body = match body {
            EngineBody::Empty => Outgoing::Empty,
            EngineBody::Json(json) => Outgoing::Json(serde_json::to_vec(&json)?.into()),
            EngineBody::Archive => archive,
        };
        let call = Call {
            method: Method::from_bytes(method.as_bytes()).unwrap_or_default(),
            target: &target,
            body,
            head_within: self.head_within(action),
        };
        if !hijack {
            return Ok(Answered::Answer(self.pool.send(call).await?));
        }
        Ok(match self.pool.hijack(call).await? {
            Hijack::Streams(streams) => Answered::Streams(streams),
            Hijack::Answer(answer) => Answered::Answer(answer),
        })
    }

    /// The rest of an answer, whole.
    pub(crate) async fn whole(&self, body: AnswerBody) -> Result<Bytes, Error> {
        let limit = self.timing.body;
        tokio::time::timeout(limit, body.whole(WHOLE))
            .await
            .map_err(|_| Error::Timeout(limit))?
    }

    /// How long the head of the answer may take; without end for what waits by its nature.
    fn head_within(&self, action: &Action) -> Option<Duration> {
        /// What the engine gives a container that names no stop timeout, at most.
        const STOP: u32 = 300;
        let ordinary = self.timing.head;
        match action {
            Action::ContainerWait { .. }
            | Action::ContainerLogs(_)
            | Action::ContainerStats { .. }
            | Action::ContainerCopyOut { .. }
            | Action::ContainerCopyIn { .. }
            | Action::Events(_)
            | Action::ImagePull { .. } => None,
            Action::ContainerStop { timeout, .. } | Action::ContainerRestart { timeout, .. } => {
                let waits = timeout.unwrap_or(STOP);
                Some(ordinary + Duration::from_secs(waits.into()))
            }
            // The engine measures what is on the disk.
            Action::DiskUsage => Some(ordinary * 6),
            _ => Some(ordinary),
        }
    }
}

impl tenancy::Engine for Upstream {
    async fn ask(&self, action: &Action) -> Result<tenancy::Reply, tenancy::EngineFailure> {
        let unreachable = |error: Error| tenancy::EngineFailure::Unreachable(error.to_string());
        let Some(request) = encode(action) else {
            let why = "a prune is asked object by object".to_owned();
            return Err(tenancy::EngineFailure::Unreachable(why));
        };
        let answered = self.request(action, request, Outgoing::Empty).await;
        match answered.map_err(unreachable)? {
            Answered::Answer(answer) => {
                let status = answer.status().as_u16();
                let body = self.whole(answer.into_body()).await.map_err(unreachable)?;
                Ok(tenancy::Reply { status, body })
            }
            Answered::Streams(_) => {
                let why = "it turned the connection into a stream".to_owned();
                Err(tenancy::EngineFailure::Unreachable(why))
            }
        }
    }
}
