//! Volumes of one's own.

use super::body;
use super::prelude::*;
use crate::docker::volumes as docker;

pub(super) fn route<'a>(method: &str, path: &[&'a str]) -> Option<Route<'a>> {
    Some(match (method, path) {
        ("POST", []) => Route::plain(&[], |call| {
            let body::VolumeCreate { name, labels } = call.typed()?;
            Ok(Action::VolumeCreate { name, labels })
        })
        .with(BodyKind::Json),
        ("POST", ["prune"]) => Route::plain(&["filters"], |call| {
            Ok(Action::VolumePrune {
                filters: docker::prune_filters(&call)?,
            })
        }),
        ("GET", [] | [_]) | ("DELETE", [_]) => docker::route(method, path)?,
        _ => return None,
    })
}
