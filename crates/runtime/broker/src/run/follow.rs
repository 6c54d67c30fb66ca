//! What happens in the engine behind the broker's back.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cofferdam_action::action::{Action, EventsQuery};
use cofferdam_action::encode::encode;
use cofferdam_audit::reader::Reader;
use cofferdam_audit::record::{Decision, Event};
use cofferdam_docker::pool::{AnswerBody, Outgoing};
use tokio::time::Instant;

use crate::broker::Broker;
use crate::lines::Lines;
use crate::tenancy::EngineFailure;
use crate::upstream::Answered;

/// How long to wait before an engine that is gone is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long after something that nobody knows of the store is compared: what is just being made is
/// usually known by then.
const SOON: Duration = Duration::from_secs(1);

/// How far apart comparisons are, since they list all that the engine has.
const APART: Duration = Duration::from_secs(10);

/// For how long an engine that did not answer may still do what it was asked for.
const DOUBT: Duration = Duration::from_secs(15 * 60);

/// Bytes of one event.
const MAX_EVENT: usize = 1 << 20;

/// The broker's own log, and where in it the intents begin that something may be adopted by.
#[derive(Clone, Debug)]
pub(super) struct Intents {
    audit: PathBuf,
    from: u64,
}

impl Intents {
    /// Every one in the log.
    pub(super) fn all(audit: PathBuf) -> Self {
        Self { audit, from: 0 }
    }

    /// Those that are written from now on: what was made by others has been compared.
    pub(super) fn after_now(self) -> Self {
        let end = Reader::open(&self.audit).map_or(0, |reader| reader.len());
        Self { from: end, ..self }
    }
}

/// Compares the store of owners with what the engine has, and tells what was found.
pub(super) async fn reconcile(broker: &Broker, intents: &Intents) -> Result<(), EngineFailure> {
    let found = broker
        .tenancy()
        .reconcile(|requests| {
            // A log is long; the other calls of this thread do not wait for it.
            tokio::task::block_in_place(|| decisions(broker, intents, requests))
        })
        .await?;
    if found.gone + found.adopted + found.unknown > 0 {
        let text = format!(
            "owners reconciled with the engine: {} objects are gone, {} were adopted by their intents, {} have a mark without an intent",
            found.gone, found.adopted, found.unknown
        );
        broker.notice(text).await;
    }
    Ok(())
}

/// Follows the engine's events for as long as it is polled.
pub(super) async fn events(broker: Arc<Broker>, intents: Intents) {
    Follower::new(broker, intents, APART).run().await;
}

struct Follower {
    broker: Arc<Broker>,
    intents: Intents,
    apart: Duration,
    /// Until when the engine may do what nobody will have heard of.
    in_doubt: Option<Instant>,
    /// When the store is to be compared.
    due: Option<Instant>,
    /// When it was.
    last: Option<Instant>,
}

impl Follower {
    const fn new(broker: Arc<Broker>, intents: Intents, apart: Duration) -> Self {
        Self {
            broker,
            intents,
            apart,
            in_doubt: None,
            due: None,
            last: None,
        }
    }

    async fn run(mut self) {
        loop {
            if let Some(body) = subscribe(&self.broker).await {
                self.follow(body).await;
                let text = "the engine has ended its events; they are asked for again";
                self.broker.say(text);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Follows one stream of events to its end. What happened before it was not heard.
    async fn follow(&mut self, mut body: AnswerBody) {
        let mut lines = Lines::new(MAX_EVENT);
        self.due = Some(Instant::now());
        loop {
            let broker = Arc::clone(&self.broker);
            let chunk = tokio::select! {
                chunk = body.chunk() => chunk,
                () = broker.doubted() => {
                    self.in_doubt = Some(Instant::now() + DOUBT);
                    self.soon();
                    continue;
                }
                () = moment(self.due) => {
                    self.compare().await;
                    continue;
                }
            };
            let Ok(Some(chunk)) = chunk else { return };
            lines.take(&chunk, |line| match line {
                Some(line) => {
                    if broker.tenancy().observe(line) && self.is_in_doubt() {
                        self.soon();
                    }
                }
                // Whatever it was, it was not heard.
                None => self.soon(),
            });
        }
    }

    fn is_in_doubt(&self) -> bool {
        self.in_doubt.is_some_and(|until| until > Instant::now())
    }

    /// Sees to it that the store is compared before long, but not all the time.
    fn soon(&mut self) {
        let soon = Instant::now() + SOON;
        let apart = self.last.map_or(soon, |last| last + self.apart);
        self.due.get_or_insert(soon.max(apart));
    }

    async fn compare(&mut self) {
        self.due = None;
        let compared = reconcile(&self.broker, &self.intents).await;
        self.last = Some(Instant::now());
        if let Err(error) = compared {
            self.broker.say(&error.to_string());
            self.soon();
        }
    }
}

/// Waits for a moment; for ever where there is none.
async fn moment(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn subscribe(broker: &Broker) -> Option<AnswerBody> {
    let action = Action::Events(EventsQuery::default());
    let request = encode(&action)?;
    match broker
        .engine()
        .request(&action, request, Outgoing::Empty)
        .await
    {
        Ok(Answered::Answer(answer)) if answer.status().is_success() => Some(answer.into_body()),
        _ => None,
    }
}

/// The decisions of the intents with these request ids. A log that cannot be read has none, and
/// then nothing is adopted.
fn decisions(
    broker: &Broker,
    intents: &Intents,
    requests: &BTreeSet<String>,
) -> HashMap<String, Decision> {
    let mut found = HashMap::new();
    let reader = match Reader::open(&intents.audit) {
        Ok(reader) => reader,
        Err(error) => {
            broker.say(&error.to_string());
            return found;
        }
    };
    for entry in reader.entries(intents.from) {
        let record = match entry.and_then(|entry| entry.record()) {
            Ok(record) => record,
            Err(error) => {
                broker.say(&error.to_string());
                return found;
            }
        };
        if let Event::Intent(decision) = record.event
            && requests.contains(&decision.request)
        {
            found.insert(decision.request.clone(), decision);
        }
    }
    found
}

#[cfg(test)]
mod tests;
