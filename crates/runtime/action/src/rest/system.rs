//! The engine itself.

use super::prelude::*;
use crate::docker;

pub(super) fn route<'a>(method: &str, path: &[&'a str]) -> Option<Route<'a>> {
    Some(match (method, path) {
        ("GET", ["ping"]) => Route::plain(&[], |_| Ok(Action::Ping)),
        ("GET", ["version"]) => Route::plain(&[], |_| Ok(Action::Version)),
        ("GET", ["info"]) => Route::plain(&[], |_| Ok(Action::Info)),
        ("GET", ["disk-usage"]) => Route::plain(&[], |_| Ok(Action::DiskUsage)),
        ("GET", ["events"]) => docker::system::route("GET", &["events"])?,
        _ => return None,
    })
}
