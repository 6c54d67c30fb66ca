//! Images, whose names stand in the path with their slashes.

use super::body;
use super::prelude::*;
use crate::docker::images as docker;
use crate::image::ImageSelector;

pub(super) fn route<'a>(method: &str, path: &[&'a str], whole: &'a str) -> Option<Route<'a>> {
    let named = whole.strip_prefix("/v1/images/").unwrap_or_default();
    Some(match (method, path) {
        ("GET", []) => docker::list_route(),
        ("POST", ["pull"]) => Route::plain(&[], |call| {
            let body::ImagePull { image, platform } = call.typed()?;
            Ok(Action::ImagePull { image, platform })
        })
        .with(BodyKind::Json),
        ("GET", [_, .., "history"]) => Route::named(named.strip_suffix("/history")?, &[], |call| {
            Ok(Action::ImageHistory {
                image: selector(&call)?,
            })
        }),
        ("POST", [_, .., "tag"]) => Route::named(named.strip_suffix("/tag")?, &[], |call| {
            let body::ImageTag { target } = call.typed()?;
            Ok(Action::ImageTag {
                image: selector(&call)?,
                target,
            })
        })
        .with(BodyKind::Json),
        ("GET", [_, ..]) => Route::named(named, &[], |call| {
            Ok(Action::ImageInspect {
                image: selector(&call)?,
            })
        }),
        ("DELETE", [_, ..]) => docker::remove_route(named),
        _ => return None,
    })
}

fn selector(call: &Call<'_>) -> Result<ImageSelector, Refusal> {
    docker::selector(call)
}
