//! The stream of events.

use super::watch::time;
use crate::answer::{Answer, Refusal};
use crate::events::Event;
use crate::filters::Filters;
use crate::request::Call;
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

const FILTERS: &[&str] = &[
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

pub(crate) fn stream(call: &Call) -> Result<Answer, Refusal> {
    let filters = Filters::read(call.query("filters"), FILTERS)?;
    let (since, until) = (time(call.query("since"))?, time(call.query("until"))?);
    // dockerd tells the past only when it is asked from when on.
    let has_since = !call.query("since").is_empty();
    if since > until && until.is_some() {
        return Err(Refusal::bad("`since` time must be before `until` time"));
    }
    let (past, mut coming) = call.engine.events.listen();
    let (sender, answer) = Answer::stream("application/json");
    tokio::spawn(async move {
        let fits = |event: &Event| {
            until.is_none_or(|until| event.time <= until) && matches(&filters, event)
        };
        for event in past.iter().filter(|_| has_since) {
            let is_late = since.is_none_or(|since| event.time >= since);
            if is_late && fits(event) && sender.send(line(event)).await.is_err() {
                return;
            }
        }
        let end = async {
            match until {
                Some(until) => {
                    let left = until.as_nanosecond() - Timestamp::now().as_nanosecond();
                    let left = u64::try_from(left).unwrap_or_default();
                    tokio::time::sleep(Duration::from_nanos(left)).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        loop {
            let event = tokio::select! {
                event = coming.recv() => event,
                () = &mut end => return,
                () = sender.closed() => return,
            };
            match event {
                Ok(event) if fits(&event) => {
                    if sender.send(line(&event)).await.is_err() {
                        return;
                    }
                }
                // A listener that is too slow misses some, as with dockerd.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    });
    Ok(answer)
}

fn line(event: &Event) -> bytes::Bytes {
    format!("{}\n", event.to_json()).into()
}

fn matches(filters: &Filters, event: &Event) -> bool {
    let attribute = |name: &str| event.attributes.get(name).map(String::as_str);
    let is = |kind: &'static str, in_container: Option<&str>, wanted: &str| {
        event.kind == kind
            && (event.id == wanted
                || event.id.starts_with(wanted)
                || attribute("name") == Some(wanted))
            || in_container.is_some_and(|name| attribute(name) == Some(wanted))
    };
    filters.any("type", |kind| event.kind == kind)
        && filters.any("scope", |scope| scope == "local")
        && filters.any("event", |action| {
            event.action == action
                || event
                    .action
                    .strip_prefix(action)
                    .is_some_and(|rest| rest.starts_with(':'))
        })
        && filters.any("container", |wanted| {
            is("container", Some("container"), wanted)
        })
        && filters.any("image", |wanted| is("image", Some("image"), wanted))
        && filters.any("network", |wanted| is("network", None, wanted))
        && filters.any("volume", |wanted| is("volume", None, wanted))
        && filters.labels(&event.attributes)
}
