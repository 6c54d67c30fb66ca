//! Containers: from list to remove.

use crate::answer::{Answer, Refusal};
use crate::container::{Phase, Record, valid_name};
use crate::log::Wanted;
use crate::route::Call;
use crate::state::{Engine, Inner, MOST, full, random_id};
use cofferdam_docker::wire::{CreateAnswer, CreateBody, WaitAnswer};
use hyper::StatusCode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Exit codes of a process that a signal ended: 128 and the signal's number.
const BY_SIGTERM: i64 = 143;
const BY_SIGKILL: i64 = 137;

pub(crate) fn list(call: &Call) -> Result<Answer, Refusal> {
    let filters = filters(call.query("filters"))?;
    let all = call.flag("all") || filters.contains_key("status");
    let limit = call.query("limit").parse().unwrap_or(usize::MAX);
    let inner = call.engine.lock();
    let mut entries: Vec<_> = inner
        .containers
        .values()
        .filter(|record| all || record.running())
        .map(Record::summary)
        .filter(|entry| {
            filters.iter().all(|(name, values)| match name.as_str() {
                "id" => values.iter().any(|v| entry.id.starts_with(v)),
                "name" => values
                    .iter()
                    .any(|v| entry.names.iter().any(|n| n.contains(v))),
                "status" => values.contains(&entry.state),
                "ancestor" => values.contains(&entry.image),
                // Each label must be there, as dockerd wants it.
                "label" => values.iter().all(|v| match v.split_once('=') {
                    Some((key, value)) => entry.labels.get(key).is_some_and(|l| l == value),
                    None => entry.labels.contains_key(v),
                }),
                _ => true,
            })
        })
        .collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.created));
    entries.truncate(if limit == 0 { usize::MAX } else { limit });
    Ok(Answer::ok(&entries))
}

pub(crate) fn create(call: &Call) -> Result<Answer, Refusal> {
    let body: CreateBody = call.json()?;
    if let Some(policy) = &call.engine.options.authorization
        && let Some(reason) = policy.refuses_create(&body)
    {
        return Err(Refusal::new(StatusCode::FORBIDDEN, reason));
    }
    let id = make(&call.engine, call.query("name"), body)?;
    let answer = CreateAnswer {
        id,
        warnings: Vec::new(),
    };
    Ok(Answer::json(StatusCode::CREATED, &answer))
}

/// Makes a container, without asking the authorization policy.
pub(crate) fn make(engine: &Engine, name: &str, body: CreateBody) -> Result<String, Refusal> {
    let name = name.strip_prefix('/').unwrap_or(name);
    let mut inner = engine.lock();
    if inner.containers.len() >= MOST {
        return Err(full("containers"));
    }
    let image = inner.image(&body.config.image)?.clone();
    let id = random_id().map_err(Refusal::internal)?;
    let name = match name {
        "" => format!("pretended_{}", &id[..8]),
        name => {
            free(&inner, name)?;
            name.to_owned()
        }
    };
    let command = body.config.cmd.iter().chain(&body.config.entrypoint);
    if command.flatten().map(String::len).sum::<usize>() > 128 * 1024 {
        return Err(Refusal::bad("argument list too long"));
    }
    let record = match Record::new(engine, id.clone(), name, body, &image) {
        Ok(record) => record,
        Err(refusal) => {
            engine.remove_directory(&id);
            return Err(refusal);
        }
    };
    inner.containers.insert(id.clone(), record);
    Ok(id)
}

pub(crate) fn inspect(call: &Call, id: &str) -> Result<Answer, Refusal> {
    Ok(Answer::ok(&call.engine.lock().container(id)?.inspect()))
}

pub(crate) fn start(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let started = call.engine.lock().container(id)?.start(&call.engine)?;
    Ok(Answer::empty(match started {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::NOT_MODIFIED,
    }))
}

pub(crate) fn stop(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let mut inner = call.engine.lock();
    let record = inner.container(id)?;
    if !record.running() {
        return Ok(Answer::empty(StatusCode::NOT_MODIFIED));
    }
    end(&call.engine, &mut inner, id, BY_SIGTERM)?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn restart(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let mut inner = call.engine.lock();
    let record = inner.container(id)?;
    if record.running() {
        record.end(BY_SIGTERM);
    }
    record.start(&call.engine)?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn kill(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let mut inner = call.engine.lock();
    let record = inner.container(id)?;
    if !record.running() {
        return Err(Refusal::conflict(format!(
            "cannot kill container: {id}: container {} is not running",
            record.id
        )));
    }
    let code = match call.query("signal").trim_start_matches("SIG") {
        "" | "KILL" | "9" => BY_SIGKILL,
        "TERM" | "15" => BY_SIGTERM,
        "INT" | "2" => 130,
        "HUP" | "1" => 129,
        other => return Err(Refusal::bad(format!("invalid signal: {other}"))),
    };
    end(&call.engine, &mut inner, id, code)?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn wait(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let condition = match call.query("condition") {
        "" => "not-running",
        known @ ("not-running" | "next-exit" | "removed") => known,
        other => return Err(Refusal::bad(format!("invalid condition: {other:?}"))),
    }
    .to_owned();
    let mut phase = call.engine.lock().container(id)?.phase.subscribe();
    let first = *phase.borrow();
    // The head goes out at once: a client opens this before it starts the container.
    let (sender, answer) = Answer::stream("application/json");
    tokio::spawn(async move {
        let over = |now: &Phase| match condition.as_str() {
            "next-exit" => now.ends > first.ends || now.removed,
            "removed" => now.removed,
            _ => !now.running,
        };
        let code = tokio::select! {
            done = phase.wait_for(over) => done.map_or(0, |now| now.exit_code),
            () = sender.closed() => return,
        };
        let answer = WaitAnswer {
            status_code: code,
            error: None,
        };
        if let Ok(mut text) = serde_json::to_vec(&answer) {
            text.push(b'\n');
            let _ = sender.send(text.into()).await;
        }
    });
    Ok(answer)
}

pub(crate) fn rename(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let name = call.query("name").trim_start_matches('/').to_owned();
    if name.is_empty() {
        return Err(Refusal::bad("Neither old nor new names may be empty"));
    }
    let mut inner = call.engine.lock();
    inner.find(id)?;
    free(&inner, &name)?;
    inner.container(id)?.name = name;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn logs(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let (log, mut phase, tty) = {
        let mut inner = call.engine.lock();
        let record = inner.container(id)?;
        (
            Arc::clone(&record.log),
            record.phase.subscribe(),
            record.body.config.tty,
        )
    };
    let wanted = Wanted {
        stdout: call.flag("stdout"),
        stderr: call.flag("stderr"),
        timestamps: call.flag("timestamps"),
        frames: !tty,
    };
    if !wanted.stdout && !wanted.stderr {
        return Err(Refusal::bad(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    let follow = call.flag("follow");
    let mut from = log.tail(call.query("tail").parse().ok());
    let (sender, answer) = Answer::stream(match tty {
        true => "application/vnd.docker.raw-stream",
        false => "application/vnd.docker.multiplexed-stream",
    });
    tokio::spawn(async move {
        let mut more = log.watch();
        loop {
            // Looked at before reading, so that what is written last is not missed.
            let over = !follow || !phase.borrow_and_update().running;
            more.borrow_and_update();
            let (bytes, next) = log.read(from, wanted);
            from = next;
            if !bytes.is_empty() && sender.send(bytes).await.is_err() || over {
                return;
            }
            tokio::select! {
                changed = more.changed() => if changed.is_err() { return },
                changed = phase.changed() => if changed.is_err() { return },
                () = sender.closed() => return,
            }
        }
    });
    Ok(answer)
}

pub(crate) fn remove(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let mut inner = call.engine.lock();
    let record = inner.container(id)?;
    if record.running() {
        if !call.flag("force") {
            return Err(Refusal::conflict(format!(
                "cannot remove container \"/{}\": container is running: stop the container before \
                 removing or force remove",
                record.name
            )));
        }
        record.end(BY_SIGKILL);
    }
    let id = record.id.clone();
    inner.remove_container(&call.engine, &id);
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

impl Inner {
    /// Forgets a container that does not run, and its execs and files.
    pub(crate) fn remove_container(&mut self, engine: &Engine, id: &str) {
        if let Some(record) = self.containers.remove(id) {
            record.phase.send_modify(|phase| phase.removed = true);
            self.execs.retain(|_, exec| exec.container != id);
            engine.remove_directory(id);
        }
    }
}

fn end(engine: &Engine, inner: &mut Inner, id: &str, code: i64) -> Result<(), Refusal> {
    let record = inner.container(id)?;
    record.end(code);
    if record.body.host_config.auto_remove {
        let id = record.id.clone();
        inner.remove_container(engine, &id);
    }
    Ok(())
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

/// `{"label":["a=b"]}`, or the older `{"label":{"a=b":true}}`.
fn filters(text: &str) -> Result<BTreeMap<String, Vec<String>>, Refusal> {
    if text.is_empty() {
        return Ok(BTreeMap::new());
    }
    let invalid = |_| Refusal::bad("invalid filter");
    let given: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).map_err(invalid)?;
    let mut filters = BTreeMap::new();
    for (name, value) in given {
        let known = ["id", "name", "status", "ancestor", "label"];
        if !known.contains(&name.as_str()) {
            return Err(Refusal::bad(format!("invalid filter '{name}'")));
        }
        let values = match value {
            serde_json::Value::Array(list) => list
                .into_iter()
                .map(serde_json::from_value)
                .collect::<Result<_, _>>()
                .map_err(invalid)?,
            serde_json::Value::Object(map) => map.into_iter().map(|(key, _)| key).collect(),
            _ => return Err(Refusal::bad("invalid filter")),
        };
        filters.insert(name, values);
    }
    Ok(filters)
}
