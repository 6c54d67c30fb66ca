//! What a container writes and uses: logs, processes, figures.

use crate::answer::{Answer, Refusal};
use crate::container::Record;
use crate::io::Wanted;
use crate::request::Call;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How often figures are sent, as dockerd does.
const EVERY: Duration = Duration::from_secs(1);
/// What a pretended process uses: bytes of memory, and of how much.
const MEMORY: u64 = 1_200_000;
const ALL_MEMORY: u64 = 8 * 1024 * 1024 * 1024;

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
        since: time(call.query("since"))?,
        until: time(call.query("until"))?,
    };
    if !wanted.stdout && !wanted.stderr {
        return Err(Refusal::bad(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    let follow = call.flag("follow");
    let mut from = log.tail(call.query("tail").parse().ok());
    let kind = super::attach::stream_type(tty, call.minor);
    let (sender, answer) = Answer::stream(kind);
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

/// Seconds since 1970, with a fraction, or RFC 3339; nothing for zero.
pub(crate) fn time(text: &str) -> Result<Option<Timestamp>, Refusal> {
    if matches!(text, "" | "0") {
        return Ok(None);
    }
    let invalid = || Refusal::bad(format!("invalid value for a time: {text:?}"));
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let Ok(seconds) = seconds.parse::<i64>() else {
        return text.parse().map(Some).map_err(|_| invalid());
    };
    let nanoseconds = format!("{fraction:0<9}")
        .parse::<i32>()
        .map_err(|_| invalid())?;
    Timestamp::new(seconds, nanoseconds)
        .map(Some)
        .map_err(|_| invalid())
}

pub(crate) fn top(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let inner = call.engine.lock();
    let record = inner.known(&inner.find(id)?)?;
    if !record.running() {
        return Err(Refusal::conflict(format!(
            "Container {} is not running",
            record.id
        )));
    }
    let execs = inner
        .execs
        .values()
        .filter(|exec| exec.container == record.id && exec.started && exec.exit_code.is_none())
        .map(|exec| exec.body.cmd.join(" "));
    let started = record.started.unwrap_or_default();
    let at = format!("{started}")
        .get(11..16)
        .unwrap_or_default()
        .to_owned();
    let processes: Vec<_> = std::iter::once(record.command().join(" "))
        .chain(execs)
        .zip(record.pid..)
        .map(|(command, pid)| {
            let (pid, parent) = (pid.to_string(), (record.pid - 1).to_string());
            json!(["root", pid, parent, "0", at, "?", "00:00:00", command])
        })
        .collect();
    record.tell(&call.engine, "top", &[]);
    Ok(Answer::ok(&json!({
        "Titles": ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"],
        "Processes": processes,
    })))
}

pub(crate) fn stats(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let (engine, id) = {
        let inner = call.engine.lock();
        (Arc::clone(&call.engine), inner.find(id)?)
    };
    let is_stream = call.query("stream").is_empty() || call.flag("stream");
    let first = Timestamp::now();
    if !is_stream {
        let inner = engine.lock();
        return Ok(Answer::ok(&figures(inner.known(&id)?, first, first)));
    }
    let (sender, answer) = Answer::stream("application/json");
    tokio::spawn(async move {
        let mut before = first;
        loop {
            let now = Timestamp::now();
            let figures = match engine.lock().containers.get(&id) {
                Some(record) => figures(record, before, now),
                None => return,
            };
            before = now;
            if sender.send(format!("{figures}\n").into()).await.is_err() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = sender.closed() => return,
            }
        }
    });
    Ok(answer)
}

/// Figures such as a process that mostly waits would have: a thousandth of a processor.
fn figures(record: &Record, before: Timestamp, now: Timestamp) -> Value {
    let name = format!("/{}", record.name);
    if !record.running() {
        return json!({
            "read": "0001-01-01T00:00:00Z",
            "preread": "0001-01-01T00:00:00Z",
            "pids_stats": {},
            "blkio_stats": {},
            "num_procs": 0,
            "storage_stats": {},
            "cpu_stats": {"cpu_usage": {"total_usage": 0}, "throttling_data": {}},
            "precpu_stats": {"cpu_usage": {"total_usage": 0}, "throttling_data": {}},
            "memory_stats": {},
            "name": name,
            "id": record.id,
        });
    }
    let processor = |time: Timestamp| {
        let since = time.as_nanosecond() - record.started.unwrap_or_default().as_nanosecond();
        let since = u64::try_from(since).unwrap_or_default();
        json!({
            "cpu_usage": {
                "total_usage": 20_000_000 + since / 1000,
                "usage_in_kernelmode": 10_000_000,
                "usage_in_usermode": 10_000_000 + since / 1000,
            },
            "system_cpu_usage": 100_000_000_000_u64 + since * 2,
            "online_cpus": 2,
            "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
        })
    };
    let limit = match record.body.host_config.memory {
        1.. => record.body.host_config.memory.unsigned_abs(),
        _ => ALL_MEMORY,
    };
    json!({
        "read": format!("{now:.9}"),
        "preread": format!("{before:.9}"),
        "pids_stats": {"current": 1},
        "blkio_stats": {"io_service_bytes_recursive": []},
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": processor(now),
        "precpu_stats": processor(before),
        "memory_stats": {"usage": MEMORY, "stats": {"inactive_file": 0}, "limit": limit},
        "name": name,
        "id": record.id,
        "networks": {
            "eth0": {
                "rx_bytes": 656, "rx_packets": 8, "rx_errors": 0, "rx_dropped": 0,
                "tx_bytes": 0, "tx_packets": 0, "tx_errors": 0, "tx_dropped": 0,
            },
        },
    })
}
