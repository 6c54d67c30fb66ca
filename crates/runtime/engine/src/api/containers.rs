//! Containers: list, create, inspect, rename, remove.

use crate::answer::{Answer, Refusal};
use crate::container::{Record, valid_name};
use crate::decode::Created;
use crate::filters::Filters;
use crate::request::Call;
use crate::state::{Engine, Inner, MOST, full, random_id};
use cofferdam_docker::wire::CreateAnswer;
use hyper::StatusCode;
use serde_json::Value;

/// The exit code of a process that SIGKILL ended.
const BY_SIGKILL: i64 = 137;

const FILTERS: &[&str] = &[
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

pub(crate) fn list(call: &Call) -> Result<Answer, Refusal> {
    let filters = Filters::read(call.query("filters"), FILTERS)?;
    let all = call.flag("all") || filters.names("status") || filters.names("exited");
    let limit = call.query("limit").parse().unwrap_or(0);
    let inner = call.engine.lock();
    let mut records: Vec<_> = inner
        .containers
        .values()
        .filter(|record| all || limit > 0 || record.running())
        .filter(|record| fits(&inner, record, &filters))
        .collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.created));
    records.truncate(if limit == 0 { usize::MAX } else { limit });
    let entries: Vec<_> = records
        .into_iter()
        .map(|record| {
            let mut entry = record.summary(&inner.networks);
            if call.flag("size") {
                entry["SizeRootFs"] = image_size(&inner, record).into();
            }
            entry
        })
        .collect();
    Ok(Answer::ok(&entries))
}

fn fits(inner: &Inner, record: &Record, filters: &Filters) -> bool {
    let is_in = |wanted: &str| {
        record.endpoints.iter().any(|endpoint| {
            let network = inner.networks.get(&endpoint.network);
            let name = network.map_or(&endpoint.wanted, |network| &network.name);
            name == wanted || endpoint.network == wanted
        })
    };
    let exit_code = record.phase.borrow().exit_code.to_string();
    filters.any("id", |id| record.id.starts_with(id))
        && filters.any("name", |name| {
            // As a pattern it may name the slash that every name begins with, or its end.
            let full = format!("/{}", record.name);
            let (name, is_start) = match name.strip_prefix('^') {
                Some(name) => (name, true),
                None => (name, false),
            };
            match (is_start, name.strip_suffix('$')) {
                (true, Some(name)) => full == name || record.name == name,
                (true, None) => full.starts_with(name) || record.name.starts_with(name),
                (false, Some(name)) => full.ends_with(name),
                (false, None) => full.contains(name),
            }
        })
        && filters.any("status", |status| record.status() == status)
        && filters.any("exited", |code| {
            record.finished.is_some() && exit_code == code
        })
        && filters.any("ancestor", |image| {
            record.body.config.image == image
                || inner.find_image(image).is_ok_and(|id| id == record.image)
        })
        && filters.any("volume", |volume| {
            record.mounts.iter().any(|mount| {
                mount.volume.as_deref() == Some(volume) || mount.shown["Destination"] == volume
            })
        })
        && filters.any("network", is_in)
        && filters.any("before", |other| {
            compare(inner, record, other).is_some_and(|o| o.is_lt())
        })
        && filters.any("since", |other| {
            compare(inner, record, other).is_some_and(|o| o.is_gt())
        })
        && filters.labels(&record.body.config.labels)
}

fn compare(inner: &Inner, record: &Record, other: &str) -> Option<std::cmp::Ordering> {
    let other = inner.containers.get(&inner.find(other).ok()?)?;
    Some(record.created.cmp(&other.created))
}

fn image_size(inner: &Inner, record: &Record) -> i64 {
    inner
        .images
        .get(&record.image)
        .map_or(0, |image| image.size)
}

pub(crate) fn create(call: &Call) -> Result<Answer, Refusal> {
    let created = Created::read(call.json()?)?;
    if let Some(policy) = &call.engine.options.authorization
        && let Some(reason) = policy.refuses_create(&created.typed()?)
    {
        return Err(Refusal::new(StatusCode::FORBIDDEN, reason));
    }
    let id = make(&call.engine, call.query("name"), created)?;
    let answer = CreateAnswer {
        id,
        warnings: Vec::new(),
    };
    Ok(Answer::json(StatusCode::CREATED, &answer))
}

/// Makes a container, without asking the authorization policy.
pub(crate) fn make(engine: &Engine, name: &str, created: Created) -> Result<String, Refusal> {
    let name = name.strip_prefix('/').unwrap_or(name);
    let mut inner = engine.lock();
    if inner.containers.len() >= MOST {
        return Err(full("containers"));
    }
    let id = random_id().map_err(Refusal::internal)?;
    let name = match name {
        "" => format!("pretended_{}", &id[..8]),
        name => {
            free(&inner, name)?;
            name.to_owned()
        }
    };
    let length = |name: &str| match created.config.get(name) {
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).map(str::len).sum(),
        _ => 0,
    };
    if length("Cmd") + length("Entrypoint") > 128 * 1024 {
        return Err(Refusal::bad("argument list too long"));
    }
    let record = match Record::new(engine, &mut inner, id.clone(), name, created) {
        Ok(record) => record,
        Err(refusal) => {
            engine.remove_directory(&id);
            return Err(refusal);
        }
    };
    record.tell(engine, "create", &[]);
    inner.containers.insert(id.clone(), record);
    Ok(id)
}

pub(crate) fn inspect(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let inner = call.engine.lock();
    let id = inner.find(id)?;
    let execs: Vec<_> = inner
        .execs
        .iter()
        .filter(|(_, exec)| exec.container == id && exec.started && exec.exit_code.is_none())
        .map(|(id, _)| id.clone())
        .collect();
    let record = inner.known(&id)?;
    let mut shown = record.inspect(&inner.networks, &execs);
    if call.flag("size") {
        shown["SizeRootFs"] = image_size(&inner, record).into();
        shown["SizeRw"] = 0.into();
    }
    Ok(Answer::ok(&shown))
}

pub(crate) fn rename(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let name = call.query("name").trim_start_matches('/').to_owned();
    if name.is_empty() {
        return Err(Refusal::bad("Neither old nor new names may be empty"));
    }
    let mut inner = call.engine.lock();
    inner.find(id)?;
    free(&inner, &name)?;
    let record = inner.container(id)?;
    let old = std::mem::replace(&mut record.name, name);
    record.tell(&call.engine, "rename", &[("oldName", &format!("/{old}"))]);
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn remove(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let mut inner = call.engine.lock();
    let record = inner.container(id)?;
    if record.running() {
        let (name, is_paused) = (&record.name, record.is_paused());
        if !call.flag("force") {
            return Err(Refusal::conflict(match is_paused {
                true => format!(
                    "cannot remove container \"/{name}\": container is paused and must be unpaused \
                     first"
                ),
                false => format!(
                    "cannot remove container \"/{name}\": container is running: stop the container \
                     before removing or force remove"
                ),
            }));
        }
        record.tell(&call.engine, "kill", &[("signal", "9")]);
        record.end(&call.engine, BY_SIGKILL);
    }
    let id = record.id.clone();
    inner.remove_container(&call.engine, &id, call.flag("v"));
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

fn free(inner: &Inner, name: &str) -> Result<(), Refusal> {
    if !valid_name(name) {
        return Err(Refusal::bad(format!(
            "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )));
    }
    match inner.containers.values().find(|record| record.name == name) {
        Some(other) => Err(Refusal::conflict(format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{}\". You \
             have to remove (or rename) that container to be able to reuse that name.",
            other.id
        ))),
        None => Ok(()),
    }
}
