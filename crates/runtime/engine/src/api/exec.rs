//! Commands in a running container.

use crate::answer::{Answer, Refusal};
use crate::commands::Program;
use crate::log::{Log, Wanted};
use crate::route::Call;
use crate::state::{ExecRecord, MOST, full, random_id};
use cofferdam_docker::stream::Kind;
use cofferdam_docker::wire::{Exec, ExecCreate, ExecStart, IdAnswer};
use hyper::StatusCode;
use std::sync::Arc;

pub(crate) fn create(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let body: ExecCreate = call.json()?;
    if let Some(policy) = &call.engine.options.authorization
        && let Some(reason) = policy.refuses_exec(&body)
    {
        return Err(Refusal::new(StatusCode::FORBIDDEN, reason));
    }
    if body.cmd.is_empty() {
        return Err(Refusal::bad("No exec command specified"));
    }
    let mut inner = call.engine.lock();
    if inner.execs.len() >= MOST {
        return Err(full("execs"));
    }
    let record = inner.container(id)?;
    if !record.running() {
        return Err(Refusal::conflict(format!(
            "container {} is not running",
            record.id
        )));
    }
    let container = record.id.clone();
    let id = random_id().map_err(Refusal::internal)?;
    inner.execs.insert(
        id.clone(),
        ExecRecord {
            container,
            body,
            started: false,
            exit_code: None,
            log: Arc::new(Log::new()),
        },
    );
    Ok(Answer::json(StatusCode::CREATED, &IdAnswer { id }))
}

pub(crate) fn start(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let how: ExecStart = call.json()?;
    let mut inner = call.engine.lock();
    let exec = inner
        .execs
        .get_mut(id)
        .ok_or_else(|| Refusal::not_found(format!("No such exec instance: {id}")))?;
    if std::mem::replace(&mut exec.started, true) {
        return Err(Refusal::conflict(format!("exec {id} has already run")));
    }
    let (log, body, container) = (
        Arc::clone(&exec.log),
        exec.body.clone(),
        exec.container.clone(),
    );
    let mut context = inner.container(&container)?.context.clone();
    if !body.user.is_empty() {
        context.user.clone_from(&body.user);
    }
    if !body.working_dir.is_empty() {
        context.directory.clone_from(&body.working_dir);
    }
    context.env.extend(body.env.clone().unwrap_or_default());
    drop(inner);

    let kind = match body.tty {
        true => "application/vnd.docker.raw-stream",
        false => "application/vnd.docker.multiplexed-stream",
    };
    let (sender, answer) = Answer::stream(kind);
    let wanted = Wanted {
        stdout: body.attach_stdout || !body.attach_stderr,
        stderr: body.attach_stderr || !body.attach_stdout,
        timestamps: false,
        frames: !body.tty,
    };
    let (engine, id) = (Arc::clone(&call.engine), id.to_owned());
    let done = async move {
        let code = match Program::of(&body.cmd) {
            Ok(program) => program.run(&context, &log).await,
            Err(name) => {
                let text = format!(
                    "OCI runtime exec failed: exec failed: unable to start container process: \
                     exec: {name:?}: executable file not found in $PATH: unknown\r\n"
                );
                log.write(Kind::Stdout, text.as_bytes());
                127
            }
        };
        if let Some(exec) = engine.lock().execs.get_mut(&id) {
            exec.exit_code = Some(code);
        }
        let (bytes, _) = log.read(0, wanted);
        // A caller that has gone away does not want it.
        let _ = sender.send(bytes).await;
    };
    tokio::spawn(done);
    if how.detach {
        return Ok(Answer::empty(StatusCode::OK));
    }
    Ok(answer)
}

pub(crate) fn inspect(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let inner = call.engine.lock();
    let exec = inner
        .execs
        .get(id)
        .ok_or_else(|| Refusal::not_found(format!("No such exec instance: {id}")))?;
    Ok(Answer::ok(&Exec {
        id: id.to_owned(),
        running: exec.started && exec.exit_code.is_none(),
        exit_code: exec.exit_code,
        container_id: exec.container.clone(),
    }))
}
