//! Containers: from start to the end of their run.

use crate::answer::{Answer, Refusal};
use crate::container::Phase;
use crate::request::Call;
use cofferdam_docker::wire::WaitAnswer;
use hyper::StatusCode;

/// What SIGTERM and SIGKILL are.
const SIGTERM: i64 = 15;
const SIGKILL: i64 = 9;
/// A process that a signal ended has 128 and the signal's number as its exit code.
const BY_SIGNAL: i64 = 128;

const SIGNALS: &[(&str, i64)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("WINCH", 28),
];
/// Those that end nothing.
const HARMLESS: &[i64] = &[17, 18, 19, 20, 21, 22, 23, 28];

pub(crate) fn start(call: &Call, id: &str) -> Result<Answer, Refusal> {
    if call.has_body() {
        return Err(Refusal::bad(
            "starting container with non-empty request body was deprecated since API v1.22 and \
             removed in v1.24",
        ));
    }
    let started = call.engine.lock().start(&call.engine, id)?;
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
    let id = record.id.clone();
    record.tell(&call.engine, "kill", &[("signal", "15")]);
    record.tell(&call.engine, "stop", &[]);
    inner.finish(&call.engine, &id, BY_SIGNAL + SIGTERM);
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn restart(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let mut inner = call.engine.lock();
    let record = inner.container(id)?;
    if record.running() {
        record.tell(&call.engine, "kill", &[("signal", "15")]);
        record.end(&call.engine, BY_SIGNAL + SIGTERM);
    }
    let id = record.id.clone();
    inner.start(&call.engine, &id)?;
    inner.known(&id)?.tell(&call.engine, "restart", &[]);
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
    let asked = call.query("signal");
    let name = asked.trim_start_matches("SIG");
    let named = SIGNALS.iter().find(|(known, _)| *known == name);
    let number = match (asked, named) {
        ("", _) => SIGKILL,
        (_, Some((_, number))) => *number,
        (asked, None) => asked
            .parse()
            .ok()
            .filter(|number| (1..=64).contains(number))
            .ok_or_else(|| Refusal::bad(format!("invalid signal: {asked}")))?,
    };
    let id = record.id.clone();
    record.tell(&call.engine, "kill", &[("signal", &number.to_string())]);
    if !HARMLESS.contains(&number) {
        inner.finish(&call.engine, &id, BY_SIGNAL + number);
    }
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn pause(call: &Call, id: &str) -> Result<Answer, Refusal> {
    set_paused(call, id, true)
}

pub(crate) fn unpause(call: &Call, id: &str) -> Result<Answer, Refusal> {
    set_paused(call, id, false)
}

fn set_paused(call: &Call, id: &str, paused: bool) -> Result<Answer, Refusal> {
    let mut inner = call.engine.lock();
    let record = inner.container(id)?;
    let text = match (record.running(), record.is_paused(), paused) {
        (false, _, true) => Some("is not running"),
        (_, true, true) => Some("is already paused"),
        (_, false, false) => Some("is not paused"),
        _ => None,
    };
    if let Some(text) = text {
        let id = &record.id;
        return Err(Refusal::conflict(format!("Container {id} {text}")));
    }
    record.paused.send_replace(paused);
    record.tell(&call.engine, if paused { "pause" } else { "unpause" }, &[]);
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
            // A client that has gone away does not want it.
            let _ = sender.send(text.into()).await;
        }
    });
    Ok(answer)
}
