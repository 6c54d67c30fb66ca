//! Images, whose names stand in the path with their slashes.

use serde::Deserialize;

use super::prelude::*;
use crate::docker::images as docker;
use crate::image::{ImageRef, ImageSelector, Platform};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pull {
    image: ImageRef,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tag {
    target: ImageRef,
}

pub(super) fn route<'a>(method: &str, path: &[&'a str], whole: &'a str) -> Option<Route<'a>> {
    let named = whole.strip_prefix("/v1/images/").unwrap_or_default();
    Some(match (method, path) {
        ("GET", []) => docker::list_route(),
        ("POST", ["pull"]) => Route::plain(&[], |call| {
            let Pull { image, platform } = call.typed()?;
            Ok(Action::ImagePull { image, platform })
        })
        .with(BodyKind::Json),
        ("GET", [_, .., "history"]) => Route::named(named.strip_suffix("/history")?, &[], |call| {
            Ok(Action::ImageHistory {
                image: selector(&call)?,
            })
        }),
        ("POST", [_, .., "tag"]) => Route::named(named.strip_suffix("/tag")?, &[], |call| {
            let Tag { target } = call.typed()?;
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
