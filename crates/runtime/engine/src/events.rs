//! What happens in the engine, told to those who listen and kept for a while.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// How many events are kept, as in dockerd.
const KEPT: usize = 256;

/// One event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) time: Timestamp,
    /// `container`, `image`, `network` or `volume`.
    pub(crate) kind: &'static str,
    pub(crate) action: String,
    pub(crate) id: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// All events.
pub(crate) struct Events {
    past: Mutex<VecDeque<Arc<Event>>>,
    sender: broadcast::Sender<Arc<Event>>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            past: Mutex::default(),
            sender: broadcast::Sender::new(KEPT),
        }
    }

    pub(crate) fn tell(
        &self,
        kind: &'static str,
        action: impl Into<String>,
        id: &str,
        attributes: BTreeMap<String, String>,
    ) {
        let event = Arc::new(Event {
            time: Timestamp::now(),
            kind,
            action: action.into(),
            id: id.to_owned(),
            attributes,
        });
        let mut past = self.past();
        past.truncate(KEPT - 1);
        past.push_front(Arc::clone(&event));
        // Sent under the lock, so that nobody gets an event twice or misses one. An error says that
        // nobody listens.
        let _ = self.sender.send(event);
    }

    /// What has happened, oldest first, and what will.
    pub(crate) fn listen(&self) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let past = self.past();
        (
            past.iter().rev().cloned().collect(),
            self.sender.subscribe(),
        )
    }

    fn past(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Event {
    /// As dockerd writes it; containers and images have the members of old clients too.
    pub(crate) fn to_json(&self) -> Value {
        let mut members = Map::new();
        if matches!(self.kind, "container" | "image") {
            members.insert("status".to_owned(), self.action.clone().into());
            members.insert("id".to_owned(), self.id.clone().into());
        }
        if let Some(image) = self.attributes.get("image") {
            members.insert("from".to_owned(), image.clone().into());
        }
        let rest = json!({
            "Type": self.kind,
            "Action": self.action,
            "Actor": {"ID": self.id, "Attributes": self.attributes},
            "scope": "local",
            "time": self.time.as_second(),
            "timeNano": i64::try_from(self.time.as_nanosecond()).unwrap_or(i64::MAX),
        });
        if let Value::Object(rest) = rest {
            members.extend(rest);
        }
        Value::Object(members)
    }
}
