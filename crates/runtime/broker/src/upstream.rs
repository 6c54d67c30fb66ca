//! The engine behind the broker: requests out, time limits, and what its failures mean.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cofferdam_action::action::Action;
use cofferdam_action::encode::{EngineBody, EngineRequest, encode};
use cofferdam_docker::Error;
use cofferdam_docker::pool::{AnswerBody, Call, Hijack, Outgoing, Pool};
use hyper::{Method, Response};
use serde_json::Value;

use crate::shares::{Share, Shares};
use crate::sieve::Sieve;
use crate::tenancy::{self, Owner, Tenant};

/// Idle connections to the engine that are kept.
const KEPT: usize = 64;

/// Bytes of an answer that is read whole: for whoever sees all, and for the broker itself. It is
/// also what one element of a list may have: an image can have 8 MiB of labels, each byte of which
/// JSON may write with six.
const WHOLE: usize = 64 << 20;

/// The same for a tenant, who gets what is their own alone.
const WHOLE_OF_ONE: usize = 16 << 20;

/// Bytes of answers that are held at once, until the gate has them: a caller may read slowly.
const HELD: usize = 256 << 20;

/// Bytes of an answer that do not count as held; what is more counts in such steps.
pub(crate) const SMALL: usize = 64 << 10;

/// How long the engine, the gate and the audit log may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For the head of an ordinary answer. What works on the disk has six times as long, a stop its own
    /// waiting time on top, and what else [waits](cofferdam_action::action::ActionKind::waits) by its
    /// nature no limit.
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
    held: Shares,
}

/// Room for an answer that is read whole.
pub(crate) struct Room {
    most: usize,
    /// Whose answer it is; nobody's where the broker itself asks.
    of: Option<(Shares, Owner)>,
    share: Option<Share>,
}

/// Why an answer is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRead {
    /// The engine, or its answer.
    #[error(transparent)]
    Engine(#[from] Error),
    /// Too many large answers are held already.
    #[error("too many large answers are being read at once")]
    NoRoom,
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
            held: Shares::new(HELD / SMALL),
        }
    }

    /// Room for an answer to a tenant.
    pub(crate) fn room(&self, tenant: &Tenant) -> Room {
        Room {
            most: match tenant.sees_all {
                true => WHOLE,
                false => WHOLE_OF_ONE,
            },
            of: Some((self.held.clone(), tenant.owner)),
            share: None,
        }
    }

    /// Opens a connection for the next change.
    pub(crate) async fn open_ahead(&self) {
        self.pool.open_ahead().await;
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
    pub(crate) async fn whole(&self, body: AnswerBody, room: &mut Room) -> Result<Bytes, NotRead> {
        let mut all = BytesMut::new();
        let take = |bytes: &[u8]| {
            all.extend_from_slice(bytes);
            Ok(all.len())
        };
        self.read(body, room, take).await?;
        Ok(all.freeze())
    }

    /// The rest of an answer without those elements of its lists that are not to be kept; see
    /// [`Sieve`].
    pub(crate) async fn sifted(
        &self,
        body: AnswerBody,
        room: &mut Room,
        keep: impl FnMut(&str, Value) -> Option<Value>,
    ) -> Result<Bytes, NotRead> {
        let mut sieve = Sieve::new(keep);
        self.read(body, room, |bytes| Ok(sieve.take(bytes)?))
            .await?;
        Ok(sieve.end().into())
    }

    /// Hands the rest of an answer to `take`, which says how much of it is held.
    async fn read(
        &self,
        mut body: AnswerBody,
        room: &mut Room,
        mut take: impl FnMut(&[u8]) -> Result<usize, Error>,
    ) -> Result<(), NotRead> {
        let all = async {
            while let Some(chunk) = body.chunk().await? {
                room.hold(take(&chunk)?)?;
            }
            Ok::<_, NotRead>(())
        };
        let limit = self.timing.body;
        tokio::time::timeout(limit, all)
            .await
            .map_err(|_| Error::Timeout(limit))?
    }

    /// Asks what only the broker wants to know.
    async fn ask_and_read<F>(
        &self,
        action: &Action,
        read: impl FnOnce(AnswerBody) -> F,
    ) -> Result<tenancy::Reply, tenancy::EngineFailure>
    where
        F: Future<Output = Result<Bytes, NotRead>>,
    {
        let unreachable = |error: String| tenancy::EngineFailure::Unreachable(error);
        let Some(request) = encode(action) else {
            let why = "a prune is asked object by object".to_owned();
            return Err(unreachable(why));
        };
        let answered = self.request(action, request, Outgoing::Empty).await;
        match answered.map_err(|error| unreachable(error.to_string()))? {
            Answered::Answer(answer) => {
                let status = answer.status().as_u16();
                let body = read(answer.into_body()).await;
                let body = body.map_err(|error| unreachable(error.to_string()))?;
                Ok(tenancy::Reply { status, body })
            }
            Answered::Streams(_) => {
                let why = "it turned the connection into a stream".to_owned();
                Err(unreachable(why))
            }
        }
    }

    /// How long the head of the answer may take; without end for what waits by its nature, unless a
    /// bound of it is known: a change holds one of the places of those that are carried out at once.
    fn head_within(&self, action: &Action) -> Option<Duration> {
        /// What the engine gives a container that names no stop timeout, at most.
        const STOP: u32 = 300;
        let ordinary = self.timing.head;
        match action {
            Action::ContainerStop { timeout, .. } | Action::ContainerRestart { timeout, .. } => {
                let waits = timeout.unwrap_or(STOP);
                Some(ordinary + Duration::from_secs(waits.into()))
            }
            // The engine measures, compares or removes what is on the disk.
            Action::DiskUsage
            | Action::ContainerChanges { .. }
            | Action::ContainerRemove { .. }
            | Action::ImageRemove { .. } => Some(ordinary * 6),
            _ if action.kind().waits() => None,
            _ => Some(ordinary),
        }
    }
}

impl Room {
    const fn of_the_broker() -> Self {
        Self {
            most: WHOLE,
            of: None,
            share: None,
        }
    }

    /// What is to be kept for as long as the answer is.
    pub(crate) fn into_share(self) -> Option<Share> {
        self.share
    }

    fn hold(&mut self, bytes: usize) -> Result<(), NotRead> {
        if bytes > self.most {
            return Err(Error::TooLarge(self.most).into());
        }
        let (Some((shares, owner)), true) = (&self.of, bytes > SMALL) else {
            return Ok(());
        };
        let wanted = bytes.div_ceil(SMALL);
        let has = match &mut self.share {
            None => {
                self.share = shares.take(*owner, wanted);
                self.share.is_some()
            }
            Some(share) => share.grow_to(wanted),
        };
        has.then_some(()).ok_or(NotRead::NoRoom)
    }
}

impl tenancy::Engine for Upstream {
    async fn ask(&self, action: &Action) -> Result<tenancy::Reply, tenancy::EngineFailure> {
        let mut room = Room::of_the_broker();
        let read = |body| async move { self.whole(body, &mut room).await };
        self.ask_and_read(action, read).await
    }

    async fn ask_each(
        &self,
        action: &Action,
        keep: impl FnMut(&str, Value) -> Option<Value> + Send,
    ) -> Result<tenancy::Reply, tenancy::EngineFailure> {
        let mut room = Room::of_the_broker();
        let read = |body| async move { self.sifted(body, &mut room, keep).await };
        self.ask_and_read(action, read).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_waits_has_longer_than_the_ordinary_and_without_end_where_no_bound_is_known() {
        let engine = Upstream::new(std::path::Path::new("/nowhere"), Timing::default());
        let within = |action: Value| {
            let action: Action = serde_json::from_value(action).unwrap();
            let within = engine.head_within(&action);
            let longer = within.is_none_or(|within| within > engine.timing.head);
            assert_eq!(longer, action.kind().waits(), "{action:?}");
            within.map(|within| within.as_secs())
        };
        let of = |kind: &str| json!({ kind: { "container": "db" } });
        let image = json!({ "name": "app:1" });
        let removed = json!({ "image": image, "force": false, "no_prune": false });
        for (action, seconds) in [
            (json!("Ping"), Some(50)),
            (of("ContainerPause"), Some(50)),
            (json!("DiskUsage"), Some(300)),
            (of("ContainerChanges"), Some(300)),
            (
                json!({ "ContainerRemove": { "container": "db", "force": true, "volumes": false } }),
                Some(300),
            ),
            (json!({ "ImageRemove": removed }), Some(300)),
            (
                json!({ "ContainerStop": { "container": "db", "timeout": 7 } }),
                Some(57),
            ),
            (
                json!({ "ContainerRestart": { "container": "db", "timeout": null } }),
                Some(350),
            ),
            (of("ContainerLogs"), None),
            (json!({ "Events": {} }), None),
            (
                json!({ "ContainerWait": { "container": "db", "condition": null } }),
                None,
            ),
        ] {
            assert_eq!(within(action.clone()), seconds, "{action}");
        }
    }

    #[test]
    fn large_answers_of_one_tenant_leave_room_for_those_of_others() {
        let engine = Upstream::new(std::path::Path::new("/nowhere"), Timing::default());
        let tenant = |name: &str, sees_all| {
            let owner = Owner::of("i", name);
            Tenant {
                owner,
                principal: owner,
                sees_all,
            }
        };
        let hold = |tenant: &Tenant, bytes: usize| {
            let mut room = engine.room(tenant);
            // As it comes, piece by piece.
            for held in (0..=bytes).step_by(1 << 20) {
                room.hold(held)?;
            }
            room.hold(bytes).map(|()| room)
        };
        let (alice, bob) = (tenant("alice", false), tenant("bob", false));
        let held: Vec<Room> = (0..4)
            .map(|_| hold(&alice, WHOLE_OF_ONE).ok().unwrap())
            .collect();
        assert!(matches!(hold(&alice, 1 << 20), Err(NotRead::NoRoom)));
        assert!(hold(&alice, SMALL).is_ok(), "a small one takes none");
        assert!(hold(&bob, WHOLE_OF_ONE).is_ok());
        let too_large = hold(&bob, WHOLE_OF_ONE + 1);
        assert!(matches!(
            too_large,
            Err(NotRead::Engine(Error::TooLarge(_)))
        ));
        assert!(hold(&tenant("operator", true), WHOLE).is_ok());
        // An answer keeps its room until the gate has it.
        let shares: Vec<_> = held.into_iter().map(Room::into_share).collect();
        assert!(matches!(hold(&alice, 1 << 20), Err(NotRead::NoRoom)));
        drop(shares);
        assert!(hold(&alice, 1 << 20).is_ok());
    }
}
