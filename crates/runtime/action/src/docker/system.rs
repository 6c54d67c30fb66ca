//! The engine itself: ping, version, info, disk usage, events.

use super::prelude::*;
use crate::action::EventsQuery;
use crate::filter::{FilterKey, Filters};
use crate::value::Timestamp;

const EVENT_FILTERS: &[FilterKey] = &[
    FilterKey::Container,
    FilterKey::Event,
    FilterKey::Image,
    FilterKey::Label,
    FilterKey::Network,
    FilterKey::Scope,
    FilterKey::Type,
    FilterKey::Volume,
];

pub(crate) fn route<'a>(method: &str, path: &[&'a str]) -> Option<Route<'a>> {
    Some(match (method, path) {
        ("GET" | "HEAD", ["_ping"]) => Route::plain(&[], |_| Ok(Action::Ping)),
        ("GET", ["version"]) => Route::plain(&[], |_| Ok(Action::Version)),
        ("GET", ["info"]) => Route::plain(&[], |_| Ok(Action::Info)),
        // `type` narrows the answer; the whole is answered, filtered by owner.
        ("GET", ["system", "df"]) => Route::plain(&[], |_| Ok(Action::DiskUsage)),
        ("GET", ["events"]) => Route::plain(&["since", "until", "filters"], events),
        _ => return None,
    })
}

fn events(call: Call<'_>) -> Result<Action, Refusal> {
    Ok(Action::Events(EventsQuery {
        since: moment(&call, "since")?,
        until: moment(&call, "until")?,
        filters: filters(&call, EVENT_FILTERS)?,
    }))
}

/// The `filters` key of a query.
pub(super) fn filters(call: &Call<'_>, offered: &[FilterKey]) -> Result<Filters, Refusal> {
    let filters = call
        .query
        .parsed("filters", |text| Filters::parse(text, offered))?;
    Ok(filters.unwrap_or_default())
}

/// A moment; 0 is the beginning, as clients write it.
pub(super) fn moment(call: &Call<'_>, key: &str) -> Result<Option<Timestamp>, Refusal> {
    let moment = call.query.parsed(key, Timestamp::parse)?;
    Ok(moment.filter(|moment| moment.as_str() != "0"))
}
