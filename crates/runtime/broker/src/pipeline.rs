//! The one function that a call passes, and the order in which it does: receive, verify, resolve,
//! floor, policy, room for a change, intent, paths of the host, act, outcome. This is the security
//! argument.
//!
//! Each step takes what the one before it has made, and only it can make it, so none can be left
//! out: the engine is asked with a [`Recorded`], which takes a [`Permitted`], which takes what the
//! floor has approved, which takes what was resolved for a verified
//! [`Caller`](crate::caller::Caller).

mod outcome;
mod step;

use std::sync::Arc;

use cofferdam_action::wire::{Answer, Ask, By, Call, Outcome, Refused};
use cofferdam_audit::record::{Decision, Event};
use cofferdam_docker::pool::Outgoing;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::act::{Content, Reply, act, refusal};
use crate::broker::Broker;
use crate::record::{NotRecorded, bounded};
use outcome::Pending;
use step::{Denied, Permitted, Recorded};

/// The answer to a call, and what follows it.
pub(crate) struct Served {
    pub(crate) answer: Answer,
    pub(crate) content: Content,
    /// When a stream is to end, where it ends with its token.
    pub(crate) until: Option<Instant>,
}

/// Serves one call. `archive` is what follows the call where it is an upload.
///
/// Dropping the future gives a read up, and the engine hears of it. What changes something goes on
/// to its outcome in a task of its own.
pub(crate) async fn serve(broker: &Arc<Broker>, call: Call, archive: Outgoing) -> Served {
    let request = request_id();
    let mut until = None;
    let reply = match decide(broker, &request, call).await {
        Err(refused) => Err(refused),
        Ok(permitted) if permitted.changes() => {
            until = permitted.until();
            let (answer, answered) = oneshot::channel();
            let broker = Arc::clone(broker);
            tokio::spawn(async move {
                let mut answer = Some(answer);
                let reply = carry_out(&broker, permitted, archive, &mut answer).await;
                if let (Some(answer), Some(reply)) = (answer, reply) {
                    // A caller who is gone hears nothing; the audit log has it.
                    let _ = answer.send(reply);
                }
            });
            answered.await.unwrap_or_else(|_| Err(broke()))
        }
        Ok(permitted) => {
            until = permitted.until();
            let reply = carry_out(broker, permitted, archive, &mut None).await;
            reply.unwrap_or_else(|| Err(broke()))
        }
    };
    Served::new(request, reply, until)
}

/// Verify, resolve, floor, policy, and room to carry it out. What is refused is recorded, and nothing
/// has been done.
async fn decide(broker: &Broker, request: &str, call: Call) -> Result<Permitted, Refused> {
    let rules = broker.rules();
    let Call {
        token,
        certificate,
        ask,
    } = call;
    let mut decision = Decision {
        request: request.to_owned(),
        ..Decision::default()
    };
    let permitted = async {
        let caller = step::verify(&rules, &token, certificate.as_deref(), &mut decision)?;
        let action = match ask {
            Ask::Act(action) => *action,
            Ask::Refused { route, refusal } => {
                return Err(step::refused_by_gate(route, refusal, &mut decision));
            }
        };
        step::scope(&caller, &action, &mut decision)?;
        let resolved = step::resolve(broker, &rules, caller, action, &mut decision).await?;
        let approved = step::floor(broker, &rules, resolved, &mut decision)?;
        let permitted = step::policy(&rules, approved, &mut decision)?;
        step::room(broker, permitted).await
    };
    match permitted.await {
        Ok(permitted) => Ok(permitted.recorded_as(bounded(decision))),
        Err(Denied { refused, reason }) => {
            if decision.policies.is_empty() {
                decision.policies = refused.rules.clone();
            }
            decision.reason = reason;
            let event = Event::Refused(bounded(decision));
            // It is refused whether or not the log can take it.
            if let Err(error) = broker.recorder().soon(event).await {
                broker.say(&error.to_string());
            }
            Err(refused)
        }
    }
}

/// Intent, act, outcome. A change is not begun before its intent is on the disk, and a read not
/// before it is on its way there.
async fn carry_out(
    broker: &Broker,
    permitted: Permitted,
    archive: Outgoing,
    answer: &mut Option<oneshot::Sender<Reply>>,
) -> Option<Reply> {
    let recorded = match intent(broker, permitted).await {
        Ok(recorded) => recorded,
        Err(error) => {
            broker.say(&error.to_string());
            return Some(Err(Refused {
                retry_after: Some(5),
                ..refusal(
                    By::Broker,
                    503,
                    "the audit log cannot take this, so it was not done; ask the operator"
                        .to_owned(),
                )
            }));
        }
    };
    let Recorded {
        request,
        action,
        tenant,
        host_paths,
        // Held to the end; a stop waits for it.
        room: _room,
    } = recorded;
    let changes = action.kind().changes();
    let pending = Pending::new(broker, request, changes);
    if let Err(refused) = step::walk(&host_paths) {
        let detail = format!("not done: {}", refused.message);
        pending.settle(false, detail, Vec::new()).await;
        return Some(Err(refused));
    }
    let acted = act(
        broker.tenancy(),
        broker.engine(),
        action,
        &tenant,
        archive,
        answer,
    )
    .await;
    if let Some(trouble) = &acted.trouble {
        broker.say(trouble);
    }
    if acted.in_doubt && changes {
        broker.doubt();
    }
    pending
        .settle(acted.success, acted.detail, acted.objects)
        .await;
    acted.reply
}

/// Writes down what is about to be done.
async fn intent(broker: &Broker, permitted: Permitted) -> Result<Recorded, NotRecorded> {
    let changes = permitted.changes();
    let (decision, recorded) = permitted.into_recorded();
    let recorder = broker.recorder();
    if !changes {
        recorder.soon(Event::Read(decision)).await?;
        return Ok(recorded);
    }
    let limit = broker.engine().timing.log;
    let written = recorder.durably(Event::Intent(decision), limit);
    // The connection is there by the time that the intent is.
    let (written, ()) = tokio::join!(written, broker.engine().open_ahead());
    match written {
        Ok(()) => Ok(recorded),
        Err(late @ NotRecorded::Late(_)) => {
            // It may get to the disk after all, and must not look like something that was done.
            let pending = Pending::new(broker, recorded.request, false);
            let detail = "not done: the audit log was too slow".to_owned();
            pending.settle(false, detail, Vec::new()).await;
            Err(late)
        }
        Err(error) => Err(error),
    }
}

impl Served {
    fn new(request: String, reply: Reply, until: Option<Instant>) -> Self {
        let (outcome, content) = match reply {
            Ok((done, content)) => (Outcome::Done(done), content),
            Err(refused) => (Outcome::Refused(refused), Content::Empty),
        };
        Self {
            answer: Answer { request, outcome },
            content,
            until,
        }
    }
}

/// 128 random bits: the id of the request in the audit log, and the mark on what it makes.
fn request_id() -> String {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => crate::caller::hex(&bytes),
        // Without randomness the time still tells requests apart, unless two come in one nanosecond.
        Err(_) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            format!("{:032x}", now.map_or(0, |since| since.as_nanos()))
        }
    }
}

/// The task that carried it out is gone, which only a fault of this program does.
fn broke() -> Refused {
    refusal(
        By::Broker,
        500,
        "the broker failed; whether it was done stands in the audit log".to_owned(),
    )
}
