//! Images: looking at them, pulling, tagging, removing.

use super::prelude::*;
use super::system::filters;
use crate::action::ImageListQuery;
use crate::filter::FilterKey;
use crate::image::{ImageRef, ImageSelector, Platform};
use crate::target::place;

const LIST_FILTERS: &[FilterKey] = &[
    FilterKey::Before,
    FilterKey::Dangling,
    FilterKey::Label,
    FilterKey::Reference,
    FilterKey::Since,
    FilterKey::Until,
];

/// Routes below `/images`. An image name may hold slashes, so it is cut out of the whole `path`.
pub(super) fn route<'a>(method: &str, path: &[&'a str], whole: &'a str) -> Option<Route<'a>> {
    let named = whole.strip_prefix("/images/")?;
    let before = |verb: &str| named.strip_suffix(verb).filter(|name| !name.is_empty());
    Some(match (method, path) {
        ("GET", ["json"]) => list_route(),
        ("POST", ["create"]) => Route::plain(
            &[
                "fromImage",
                "tag",
                "platform",
                "fromSrc",
                "repo",
                "message",
                "changes",
            ],
            pull,
        ),
        ("GET", [_, .., "json"]) => Route::named(before("/json")?, &[], |call| {
            Ok(Action::ImageInspect {
                image: selector(&call)?,
            })
        }),
        ("GET", [_, .., "history"]) => Route::named(before("/history")?, &[], |call| {
            Ok(Action::ImageHistory {
                image: selector(&call)?,
            })
        }),
        ("POST", [_, .., "tag"]) => Route::named(before("/tag")?, &["repo", "tag"], tag),
        ("DELETE", [_, ..]) => remove_route(named),
        _ => return None,
    })
}

/// The list.
pub(crate) const fn list_route<'a>() -> Route<'a> {
    Route::plain(&["all", "digests", "filters"], list)
}

/// The removal of one image.
pub(crate) const fn remove_route(name: &str) -> Route<'_> {
    Route::named(name, &["force", "noprune"], remove)
}

fn list(call: Call<'_>) -> Result<Action, Refusal> {
    Ok(Action::ImageList(ImageListQuery {
        all: call.query.flag("all")?.unwrap_or(false),
        digests: call.query.flag("digests")?.unwrap_or(false),
        filters: filters(&call, LIST_FILTERS)?,
    }))
}

fn pull(call: Call<'_>) -> Result<Action, Refusal> {
    for key in ["fromSrc", "repo", "message", "changes"] {
        if call.query.text(key).is_some() {
            return Err(Refusal::new(
                Rule::NotOffered,
                "not offered: an import takes an image from any address; pull an allowed image",
            )
            .at(place(key)));
        }
    }
    let tag = call.query.text("tag");
    let image = call
        .query
        .required("fromImage", |name| ImageRef::from_parts(name, tag))?;
    Ok(Action::ImagePull {
        image,
        platform: call.query.parsed("platform", Platform::parse)?,
    })
}

fn tag(call: Call<'_>) -> Result<Action, Refusal> {
    // Without a tag the new name is `latest`, as the engine has it.
    let tag = call.query.text("tag");
    let target = call.query.required("repo", |name| match tag {
        Some(tag) => ImageRef::from_parts(name, Some(tag)),
        None => ImageRef::parse(name),
    })?;
    Ok(Action::ImageTag {
        image: selector(&call)?,
        target,
    })
}

fn remove(call: Call<'_>) -> Result<Action, Refusal> {
    Ok(Action::ImageRemove {
        image: selector(&call)?,
        force: call.query.flag("force")?.unwrap_or(false),
        no_prune: call.query.flag("noprune")?.unwrap_or(false),
    })
}

/// The image that the path names.
pub(crate) fn selector(call: &Call<'_>) -> Result<ImageSelector, Refusal> {
    ImageSelector::parse(&call.image_name()?).map_err(|refusal| refusal.at("path"))
}
