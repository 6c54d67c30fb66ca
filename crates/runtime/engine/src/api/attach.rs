//! The streams of a container that runs, or will.

use crate::answer::{Answer, Refusal};
use crate::io::{Stdin, Wanted, take_over};
use crate::request::Call;
use hyper::StatusCode;
use std::sync::Arc;

/// The first API version that tells frames from raw bytes in the content type.
const TELLS_FRAMES: u32 = 42;

pub(crate) fn attach(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let (stdout, stderr) = (call.flag("stdout"), call.flag("stderr"));
    let mut inner = call.engine.lock();
    let record = inner.container(id)?;
    if record.is_paused() {
        return Err(Refusal::conflict(format!(
            "container {} is paused, unpause the container before attach",
            record.id
        )));
    }
    let tty = record.body.config.tty;
    let wanted = Wanted::live(stdout, stderr, !tty);
    let stdin = (call.flag("stdin") && record.body.config.open_stdin).then(|| Stdin {
        pipe: Arc::clone(&record.input),
        ends: record.flag("StdinOnce"),
    });
    let kind = stream_type(tty, call.minor);
    if !call.flag("stream") {
        let (bytes, _) = record.log.read(0, wanted);
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        if call.flag("logs") {
            // The channel is empty, so there is room.
            let _ = sender.try_send(bytes);
        }
        drop(sender);
        return begin(call, kind, receiver, stdin);
    }
    let output = record.output.attach(wanted, call.flag("logs"))?;
    record.tell(&call.engine, "attach", &[]);
    drop(inner);
    begin(call, kind, output, stdin)
}

/// Takes over the connection where that is asked for; else the output is the answer's body, and
/// there is no input.
pub(crate) fn begin(
    call: &Call,
    kind: &'static str,
    output: tokio::sync::mpsc::Receiver<bytes::Bytes>,
    stdin: Option<Stdin>,
) -> Result<Answer, Refusal> {
    let Some(upgrade) = call.upgrade() else {
        if let Some(stdin) = stdin.filter(|stdin| stdin.ends) {
            stdin.pipe.close();
        }
        return Ok(Answer::piped(kind, output));
    };
    let permit = Arc::clone(&call.engine.sessions)
        .try_acquire_owned()
        .map_err(|_| {
            let text = "too many connections are attached";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text)
        })?;
    take_over(upgrade, output, stdin, permit);
    Ok(Answer::switched(kind))
}

pub(crate) fn stream_type(tty: bool, minor: u32) -> &'static str {
    match tty || minor < TELLS_FRAMES {
        true => "application/vnd.docker.raw-stream",
        false => "application/vnd.docker.multiplexed-stream",
    }
}

pub(crate) fn resize(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let (rows, columns) = size(call)?;
    let mut inner = call.engine.lock();
    let record = inner.container(id)?;
    if !record.running() {
        return Err(Refusal::conflict(format!(
            "cannot resize a stopped container: {}",
            record.id
        )));
    }
    record.terminal.set(rows, columns);
    let (height, width) = (rows.to_string(), columns.to_string());
    record.tell(
        &call.engine,
        "resize",
        &[("height", &height), ("width", &width)],
    );
    Ok(Answer::empty(StatusCode::OK))
}

/// Rows and columns.
pub(crate) fn size(call: &Call) -> Result<(u32, u32), Refusal> {
    let number = |name: &str| {
        let text = call.query(name);
        text.parse()
            .map_err(|_| Refusal::bad(format!("strconv.Atoi: parsing {text:?}: invalid syntax")))
    };
    Ok((number("h")?, number("w")?))
}
