//! What is not used any more, removed at once.

use super::networks::used;
use super::watch::time;
use crate::answer::{Answer, Refusal};
use crate::filters::Filters;
use crate::network::PREDEFINED;
use crate::request::Call;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const FILTERS: &[&str] = &["all", "dangling", "label", "label!", "until"];

pub(crate) fn containers(call: &Call) -> Result<Answer, Refusal> {
    let (filters, until) = read(call)?;
    let mut inner = call.engine.lock();
    let ids: Vec<_> = inner
        .containers
        .values()
        .filter(|record| !record.running() && until.is_none_or(|until| record.created < until))
        .filter(|record| filters.labels(&record.body.config.labels))
        .map(|record| record.id.clone())
        .collect();
    for id in &ids {
        inner.remove_container(&call.engine, id, false);
    }
    Ok(Answer::ok(
        &json!({"ContainersDeleted": or_null(ids), "SpaceReclaimed": 0}),
    ))
}

/// Images without a name; with `dangling=false` all that no container uses.
pub(crate) fn images(call: &Call) -> Result<Answer, Refusal> {
    let (filters, _) = read(call)?;
    let all = filters.flag("dangling") == Some(false);
    let mut inner = call.engine.lock();
    let ids: Vec<_> = inner
        .images
        .values()
        .filter(|image| all || image.repo_tags.is_empty() && image.repo_digests.is_empty())
        .filter(|image| {
            !inner
                .containers
                .values()
                .any(|record| record.image == image.id)
        })
        .filter(|_| filters.labels(&BTreeMap::new()))
        .map(|image| image.id.clone())
        .collect();
    let mut removed = Vec::new();
    for id in ids {
        inner.images.remove(&id);
        removed.push(json!({"Deleted": id}));
    }
    Ok(Answer::ok(
        &json!({"ImagesDeleted": or_null(removed), "SpaceReclaimed": 0}),
    ))
}

pub(crate) fn networks(call: &Call) -> Result<Answer, Refusal> {
    let (filters, until) = read(call)?;
    let mut inner = call.engine.lock();
    let found: Vec<_> = inner
        .networks
        .values()
        .filter(|network| !PREDEFINED.iter().any(|(name, _)| *name == network.name))
        .filter(|network| !used(&inner, network) && filters.labels(&network.labels))
        .filter(|network| until.is_none_or(|until| network.created < until))
        .map(|network| (network.id.clone(), network.name.clone()))
        .collect();
    for (id, _) in &found {
        inner.remove_network(&call.engine, id);
    }
    let names: Vec<_> = found.into_iter().map(|(_, name)| name).collect();
    Ok(Answer::ok(&json!({"NetworksDeleted": or_null(names)})))
}

/// Volumes that no container uses: since API 1.42 those without a name of their own, unless `all`
/// is asked for; before it all.
pub(crate) fn volumes(call: &Call) -> Result<Answer, Refusal> {
    let (filters, _) = read(call)?;
    let all = call.minor < 42 || filters.flag("all") == Some(true);
    let mut inner = call.engine.lock();
    let names: Vec<_> = inner
        .volumes
        .values()
        .filter(|volume| all || volume.anonymous)
        .filter(|volume| filters.labels(&volume.labels.clone().unwrap_or_default()))
        .filter(|volume| inner.users_of(&volume.name).is_empty())
        .map(|volume| volume.name.clone())
        .collect();
    for name in &names {
        inner.remove_volume(&call.engine, name)?;
    }
    Ok(Answer::ok(
        &json!({"VolumesDeleted": names, "SpaceReclaimed": 0}),
    ))
}

fn read(call: &Call) -> Result<(Filters, Option<Timestamp>), Refusal> {
    let text = call.query("filters");
    let filters = Filters::read(text, FILTERS)?;
    let until = filters.first("until").map(time).transpose()?.flatten();
    Ok((filters, until))
}

/// Go writes a list that was never made as null.
fn or_null<T: Into<Value>>(list: Vec<T>) -> Value {
    match list.is_empty() {
        true => Value::Null,
        false => list.into_iter().map(Into::into).collect(),
    }
}
