//! Volumes of one's own.

use serde::Deserialize;

use super::prelude::*;
use crate::docker::volumes as docker;
use crate::name::VolumeName;
use crate::value::Labels;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    #[serde(default)]
    name: Option<VolumeName>,
    #[serde(default)]
    labels: Labels,
}

pub(super) fn route<'a>(method: &str, path: &[&'a str]) -> Option<Route<'a>> {
    Some(match (method, path) {
        ("POST", []) => Route::plain(&[], |call| {
            let Create { name, labels } = call.typed()?;
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
