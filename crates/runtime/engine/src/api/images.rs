//! Images: list, inspect, history, tag, remove and a pretended pull.

use crate::answer::{Answer, Refusal};
use crate::filters::Filters;
use crate::image::{valid_reference, with_tag};
use crate::request::Call;
use crate::state::Inner;
use bytes::Bytes;
use cofferdam_docker::wire::{Image, ImageSummary};
use hyper::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// When every image was made: in seconds since 1970.
const CREATED: i64 = 1_768_467_600;

const FILTERS: &[&str] = &["before", "dangling", "label", "reference", "since"];

pub(crate) fn list(call: &Call) -> Result<Answer, Refusal> {
    let filters = Filters::read(call.query("filters"), FILTERS)?;
    let inner = call.engine.lock();
    let images: Vec<_> = inner
        .images
        .values()
        .filter(|image| {
            let names = || image.repo_tags.iter().chain(&image.repo_digests);
            let is_dangling = names().next().is_none();
            filters.any("reference", |wanted| names().any(|name| like(wanted, name)))
                && filters
                    .flag("dangling")
                    .is_none_or(|wanted| wanted == is_dangling)
                && filters.labels(&BTreeMap::new())
        })
        .map(|image| summary(image, -1))
        .collect();
    Ok(Answer::ok(&images))
}

pub(crate) fn summary(image: &Image, containers: i64) -> ImageSummary {
    ImageSummary {
        id: image.id.clone(),
        repo_tags: image.repo_tags.clone(),
        repo_digests: image.repo_digests.clone(),
        created: CREATED,
        size: image.size,
        shared_size: -1,
        containers,
        ..ImageSummary::default()
    }
}

/// A reference, with or without its tag, where `*` stands for anything but a slash.
fn like(wanted: &str, name: &str) -> bool {
    let repository = name
        .rsplit_once(':')
        .map_or(name, |(repository, _)| repository);
    [name, repository].iter().any(|name| {
        let mut parts = wanted.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            let at = match parts.peek() {
                None => rest.strip_suffix(part).map(str::len),
                Some(_) => rest.find(part),
            };
            let Some(at) = at.filter(|at| !rest[..*at].contains('/')) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        true
    })
}

pub(crate) fn inspect(call: &Call, name: &str) -> Result<Answer, Refusal> {
    let inner = call.engine.lock();
    let image = inner.image(name)?;
    let mut shown = serde_json::to_value(image).map_err(Refusal::internal)?;
    let more = json!({
        "Parent": "",
        "Comment": "",
        "DockerVersion": "",
        "Author": "",
        "GraphDriver": {"Data": null, "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": [image.id]},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    });
    if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
        shown.extend(more);
    }
    Ok(Answer::ok(&shown))
}

pub(crate) fn history(call: &Call, name: &str) -> Result<Answer, Refusal> {
    let inner = call.engine.lock();
    let image = inner.image(name)?;
    Ok(Answer::ok(&json!([{
        "Comment": "",
        "Created": CREATED,
        "CreatedBy": "",
        "Id": image.id,
        "Size": image.size,
        "Tags": image.repo_tags,
    }])))
}

pub(crate) fn tag(call: &Call, name: &str) -> Result<Answer, Refusal> {
    let (repository, tag) = (call.query("repo"), call.query("tag"));
    if !valid_reference(repository) || !(tag.is_empty() || valid_reference(tag)) {
        return Err(Refusal::bad("invalid reference format"));
    }
    let reference = match tag {
        "" => with_tag(repository),
        tag => with_tag(&format!("{repository}:{tag}")),
    };
    let mut inner = call.engine.lock();
    let id = inner.find_image(name)?;
    for image in inner.images.values_mut() {
        image.repo_tags.retain(|other| *other != reference);
    }
    if let Some(image) = inner.images.get_mut(&id) {
        image.repo_tags.push(reference.clone());
        image.repo_tags.sort();
    }
    tell(call, "tag", &id, &reference);
    Ok(Answer::empty(StatusCode::CREATED))
}

pub(crate) fn remove(call: &Call, name: &str) -> Result<Answer, Refusal> {
    let mut inner = call.engine.lock();
    let id = inner.find_image(name)?;
    let reference = with_tag(name);
    let force = call.flag("force");
    let image = inner.image(&id)?;
    let names = image.repo_tags.len() + image.repo_digests.len();
    let is_named = image.repo_tags.contains(&reference) || image.repo_digests.contains(&reference);
    if is_named && names > 1 {
        if let Some(image) = inner.images.get_mut(&id) {
            image.repo_tags.retain(|other| *other != reference);
            image.repo_digests.retain(|other| *other != reference);
        }
        tell(call, "untag", &id, &reference);
        return Ok(Answer::ok(&json!([{"Untagged": reference}])));
    }
    if !is_named && names > 1 && !force {
        return Err(Refusal::conflict(format!(
            "conflict: unable to delete {} (must be forced) - image is referenced in multiple \
             repositories",
            &id["sha256:".len()..][..12]
        )));
    }
    check_unused(&inner, &id, force)?;
    let mut removed: Vec<Value> = Vec::new();
    if let Some(image) = inner.images.remove(&id) {
        let names = image.repo_tags.iter().chain(&image.repo_digests);
        removed.extend(names.map(|name| json!({"Untagged": name})));
    }
    removed.push(json!({"Deleted": id}));
    tell(call, "delete", &id, &id);
    Ok(Answer::ok(&removed))
}

fn check_unused(inner: &Inner, id: &str, force: bool) -> Result<(), Refusal> {
    let mut users = inner
        .containers
        .values()
        .filter(|record| record.image == id);
    let Some(user) = users.find(|record| record.running() || !force) else {
        return Ok(());
    };
    let (short, user_id) = (&id["sha256:".len()..][..12], &user.id[..12]);
    Err(Refusal::conflict(match user.running() {
        true => format!(
            "conflict: unable to delete {short} (cannot be forced) - image is being used by running \
             container {user_id}"
        ),
        false => format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped \
             container {user_id}"
        ),
    }))
}

pub(crate) fn pull(call: &Call) -> Result<Answer, Refusal> {
    let tag = call.query("tag");
    let (image, action) = match (call.query("fromImage"), call.query("fromSrc")) {
        ("", "") => return Err(Refusal::bad("invalid reference format")),
        // Nothing is fetched: the image is named as the caller names it.
        ("", _) => (call.query("repo"), "import"),
        (image, _) => (image, "pull"),
    };
    if !valid_reference(image) || !(tag.is_empty() || valid_reference(tag)) {
        return Err(Refusal::bad("invalid reference format"));
    }
    let reference = match tag {
        "" => with_tag(image),
        digest if digest.starts_with("sha256:") => with_tag(&format!("{image}@{digest}")),
        tag => with_tag(&format!("{image}:{tag}")),
    };
    let (is_new, id) = {
        let mut inner = call.engine.lock();
        let is_new = inner.add_image(&reference).map_err(Refusal::internal)?;
        (is_new, inner.find_image(&reference)?)
    };
    tell(call, action, &reference, &reference);
    let (sender, answer) = Answer::stream("application/json");
    let lines = match action {
        "import" => vec![json!({"status": id})],
        _ => vec![
            json!({"status": format!("Pulling from {image}"), "id": tag}),
            json!({"status": match is_new {
                true => format!("Status: Downloaded newer image for {reference}"),
                false => format!("Status: Image is up to date for {reference}"),
            }}),
        ],
    };
    for line in lines {
        // The channel holds more than two, and its other end is in `answer`.
        let _ = sender.try_send(Bytes::from(format!("{line}\r\n")));
    }
    Ok(answer)
}

fn tell(call: &Call, action: &str, id: &str, name: &str) {
    let attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
    call.engine.events.tell("image", action, id, attributes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_matched_with_and_without_its_tag() {
        for (wanted, name, fits) in [
            ("app", "app:1", true),
            ("app:1", "app:1", true),
            ("app:*", "app:1", true),
            ("*/app", "team/app:1", true),
            ("team/*:1", "team/app:1", true),
            ("*", "team/app:1", false),
            ("ap", "app:1", false),
            ("a*2", "app:1", false),
        ] {
            assert_eq!(like(wanted, name), fits, "{wanted} {name}");
        }
    }
}
