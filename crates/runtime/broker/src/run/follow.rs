//! What happens in the engine behind the broker's back.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use cofferdam_action::action::{Action, EventsQuery};
use cofferdam_action::encode::encode;
use cofferdam_audit::reader::Reader;
use cofferdam_audit::record::{Decision, Event};
use cofferdam_docker::pool::Outgoing;

use crate::broker::Broker;
use crate::tenancy::EngineFailure;
use crate::upstream::Answered;

/// How long to wait before an engine that is gone is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Bytes of one event.
const MAX_EVENT: usize = 1 << 20;

/// Compares the store of owners with what the engine has, and tells what was found.
pub(super) async fn reconcile(broker: &Broker, audit: &Path) -> Result<(), EngineFailure> {
    let found = broker
        .tenancy()
        .reconcile(|requests| intents(broker, audit, requests))
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

/// Follows the engine's events for as long as it is polled. After each gap the store is compared
/// again, since what happened in it was not heard.
pub(super) async fn events(broker: Arc<Broker>, audit: PathBuf) {
    let mut first = true;
    loop {
        if let Some(mut body) = subscribe(&broker).await {
            let compared = match first {
                true => Ok(()),
                false => reconcile(&broker, &audit).await,
            };
            first = false;
            if let Err(error) = compared {
                broker.say(&error.to_string());
            }
            let mut lines = BytesMut::new();
            while let Ok(Some(chunk)) = body.chunk().await {
                lines.extend_from_slice(&chunk);
                while let Some(end) = lines.iter().position(|byte| *byte == b'\n') {
                    let line = lines.split_to(end);
                    lines.advance(1);
                    broker.tenancy().observe(&line);
                }
                if lines.len() > MAX_EVENT {
                    break;
                }
            }
            broker.say("the engine has ended its events; they are asked for again");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn subscribe(broker: &Broker) -> Option<cofferdam_docker::pool::AnswerBody> {
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
fn intents(
    broker: &Broker,
    audit: &Path,
    requests: &BTreeSet<String>,
) -> HashMap<String, Decision> {
    let mut found = HashMap::new();
    let reader = match Reader::open(audit) {
        Ok(reader) => reader,
        Err(error) => {
            broker.say(&error.to_string());
            return found;
        }
    };
    for entry in reader.entries(0) {
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
