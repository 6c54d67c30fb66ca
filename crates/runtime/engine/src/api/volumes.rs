//! Volumes: list, create, inspect, remove.

use crate::answer::{Answer, Refusal};
use crate::container::{invalid_volume, valid_name};
use crate::decode::VOLUME_CREATE;
use crate::filters::Filters;
use crate::request::Call;
use crate::state::random_id;
use crate::volume::Volume;
use hyper::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

const FILTERS: &[&str] = &["dangling", "driver", "label", "name"];

pub(crate) fn list(call: &Call) -> Result<Answer, Refusal> {
    let filters = Filters::read(call.query("filters"), FILTERS)?;
    let inner = call.engine.lock();
    let volumes: Vec<_> = inner
        .volumes
        .values()
        .filter(|volume| {
            filters.any("name", |name| volume.name.contains(name))
                && filters.any("driver", |driver| driver == "local")
                && filters
                    .flag("dangling")
                    .is_none_or(|wanted| wanted == inner.users_of(&volume.name).is_empty())
                && filters.labels(&volume.labels.clone().unwrap_or_default())
        })
        .map(Volume::to_json)
        .collect();
    Ok(Answer::ok(&json!({"Volumes": volumes, "Warnings": null})))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Create {
    name: String,
    driver: String,
    driver_opts: Option<BTreeMap<String, String>>,
    labels: Option<BTreeMap<String, String>>,
}

pub(crate) fn create(call: &Call) -> Result<Answer, Refusal> {
    let body: Create = call.read_as(&VOLUME_CREATE)?;
    let anonymous = body.name.is_empty();
    let name = match body.name.as_str() {
        "" => random_id().map_err(Refusal::internal)?,
        name if valid_name(name) => name.to_owned(),
        name => return Err(invalid_volume(name)),
    };
    if !matches!(body.driver.as_str(), "" | "local") {
        return Err(Refusal::not_found(format!(
            "create {name}: error looking up volume plugin {0}: plugin \"{0}\" not found",
            body.driver
        )));
    }
    let options = body.driver_opts.filter(|options| !options.is_empty());
    let allowed = ["type", "o", "device", "size"];
    if let Some(unknown) = options
        .iter()
        .flat_map(BTreeMap::keys)
        .find(|key| !allowed.contains(&key.as_str()))
    {
        return Err(Refusal::bad(format!(
            "create {name}: invalid option: {unknown:?}"
        )));
    }
    let volume = Volume {
        name,
        created: Timestamp::now(),
        labels: body.labels,
        options,
        anonymous,
    };
    let mut inner = call.engine.lock();
    let shown = inner.add_volume(&call.engine, volume)?.to_json();
    Ok(Answer::json(StatusCode::CREATED, &shown))
}

pub(crate) fn inspect(call: &Call, name: &str) -> Result<Answer, Refusal> {
    let inner = call.engine.lock();
    match inner.volumes.get(name) {
        Some(volume) => Ok(Answer::ok(&volume.to_json())),
        None => Err(Refusal::not_found(format!("get {name}: no such volume"))),
    }
}

pub(crate) fn remove(call: &Call, name: &str) -> Result<Answer, Refusal> {
    let mut inner = call.engine.lock();
    if !inner.volumes.contains_key(name) && call.flag("force") {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    }
    inner.remove_volume(&call.engine, name)?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}
