//! Images: the list, one in full, its history, and what a removal did.

use serde_json::{Map, Value};

use super::containers::graph_driver;
use super::json::{object, text};
use crate::tenancy::sight::Sight;

/// Keeps the images that are seen by a name.
pub(super) fn list(images: &mut Vec<Value>, sight: &Sight) {
    images.retain_mut(|image| {
        image
            .as_object_mut()
            .is_some_and(|image| seen(image, sight))
    });
}

/// Whether an image is seen by a name.
pub(super) fn is_seen(image: &Value, sight: &Sight) -> bool {
    let names = ["RepoTags", "RepoDigests"].map(|member| image.get(member)?.as_array());
    let mut names = names.into_iter().flatten().flatten();
    sight.sees_all || names.any(|name| name.as_str().is_some_and(|it| sight.sees_image(it)))
}

/// Whether an image is seen by a name; then it is shown.
pub(super) fn seen(image: &mut Map<String, Value>, sight: &Sight) -> bool {
    let sees = sight.sees_all || names(image, sight) > 0;
    // How many containers of anybody's use it.
    if sees && !sight.sees_all && image.contains_key("Containers") {
        image.insert("Containers".to_owned(), (-1).into());
    }
    sees
}

/// One image, which the caller named by a name that they may see.
pub(super) fn whole(image: &mut Map<String, Value>, sight: &Sight) {
    names(image, sight);
    graph_driver(image);
    // When somebody last gave it a name.
    if let Some(metadata) = object(image, "Metadata") {
        metadata.remove("LastTagTime");
    }
}

/// The layers of an image, each with the names that it has by itself.
pub(super) fn history(layers: &mut [Value], sight: &Sight) {
    for layer in layers.iter_mut().filter_map(Value::as_object_mut) {
        keep_seen(layer, "Tags", sight);
    }
}

/// What a removal untagged and deleted.
pub(super) fn removal(steps: &mut Vec<Value>, sight: &Sight) {
    steps.retain(|step| {
        let untagged = step.as_object().map(|step| text(step, "Untagged"));
        // The tag itself is the caller's until the removal is settled.
        untagged.is_some_and(|name| name.is_empty() || sight.sees_image(name))
    });
}

/// Keeps the names that are seen; how many there are.
fn names(image: &mut Map<String, Value>, sight: &Sight) -> usize {
    keep_seen(image, "RepoTags", sight) + keep_seen(image, "RepoDigests", sight)
}

fn keep_seen(object: &mut Map<String, Value>, member: &str, sight: &Sight) -> usize {
    let Some(Value::Array(names)) = object.get_mut(member) else {
        return 0;
    };
    names.retain(|name| name.as_str().is_some_and(|name| sight.sees_image(name)));
    names.len()
}
