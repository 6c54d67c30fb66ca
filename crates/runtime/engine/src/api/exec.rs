//! Commands in a running container.

use super::attach::{begin, size, stream_type};
use crate::answer::{Answer, Refusal};
use crate::commands::Program;
use crate::decode::{EXEC_CREATE, EXEC_START};
use crate::io::{Input, Output, Pipe, Stdin, Streams, Wanted};
use crate::request::Call;
use crate::state::{ExecRecord, Inner, MOST, full, random_id};
use cofferdam_docker::stream::Kind;
use cofferdam_docker::wire::{ExecCreate, ExecStart, IdAnswer};
use hyper::StatusCode;
use serde_json::json;
use std::sync::Arc;

pub(crate) fn create(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let body: ExecCreate = call.read_as(&EXEC_CREATE)?;
    if let Some(policy) = &call.engine.options.authorization
        && let Some(reason) = policy.refuses_exec(&body)
    {
        return Err(Refusal::new(StatusCode::FORBIDDEN, reason));
    }
    if body.cmd.is_empty() {
        return Err(Refusal::bad("No exec command specified"));
    }
    let mut inner = call.engine.lock();
    make_room(&mut inner)?;
    let record = inner.container(id)?;
    if !record.running() {
        return Err(Refusal::conflict(format!(
            "container {} is not running",
            record.id
        )));
    }
    if record.is_paused() {
        return Err(Refusal::conflict(format!(
            "Container {} is paused, unpause the container before exec",
            record.id
        )));
    }
    let container = record.id.clone();
    let id = random_id().map_err(Refusal::internal)?;
    let action = format!("exec_create: {} ", body.cmd.join(" "));
    record.tell(&call.engine, action, &[("execID", &id)]);
    let output = Output::new(None, body.tty, record.paused.subscribe());
    inner.execs.insert(
        id.clone(),
        ExecRecord {
            container,
            body,
            started: false,
            exit_code: None,
            output: Arc::new(output),
            input: Arc::new(Pipe::new()),
            terminal: Arc::default(),
        },
    );
    Ok(Answer::json(StatusCode::CREATED, &IdAnswer { id }))
}

/// Forgets an exec that has ended when there are too many.
fn make_room(inner: &mut Inner) -> Result<(), Refusal> {
    if inner.execs.len() < MOST {
        return Ok(());
    }
    let ended = inner
        .execs
        .iter()
        .find(|(_, exec)| exec.exit_code.is_some());
    let id = ended
        .map(|(id, _)| id.clone())
        .ok_or_else(|| full("execs"))?;
    inner.execs.remove(&id);
    Ok(())
}

pub(crate) fn start(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let how: ExecStart = call.read_as(&EXEC_START)?;
    let mut inner = call.engine.lock();
    let exec = inner.exec(id)?;
    if exec.started {
        return Err(Refusal::conflict(format!("exec {id} has already run")));
    }
    let body = exec.body.clone();
    let (output, pipe) = (Arc::clone(&exec.output), Arc::clone(&exec.input));
    let terminal = body.tty.then(|| Arc::clone(&exec.terminal));
    let container = exec.container.clone();
    let record = inner.container(&container)?;
    if record.is_paused() {
        return Err(Refusal::conflict(format!(
            "Container {container} is paused, unpause the container before exec"
        )));
    }
    let mut context = record.context.clone();
    let action = format!("exec_start: {} ", body.cmd.join(" "));
    record.tell(&call.engine, action, &[("execID", id)]);
    let mut phase = record.phase.subscribe();
    inner.exec(id)?.started = true;
    drop(inner);
    if !body.user.is_empty() {
        context.user.clone_from(&body.user);
    }
    if !body.working_dir.is_empty() {
        context.directory.clone_from(&body.working_dir);
    }
    context.env.extend(body.env.clone().unwrap_or_default());

    let reader = match body.attach_stdin && !how.detach {
        true => pipe.reader(),
        false => None,
    };
    let mut streams = Streams {
        input: Input::new(reader, body.tty),
        output: Arc::clone(&output),
        terminal,
    };
    let answer = if how.detach {
        Answer::empty(StatusCode::OK)
    } else {
        let (stdout, stderr) = (body.attach_stdout || body.tty, body.attach_stderr);
        let attached = output.attach(Wanted::live(stdout, stderr, !body.tty), false)?;
        let stdin = body.attach_stdin.then_some(Stdin { pipe, ends: true });
        begin(call, stream_type(body.tty, call.minor), attached, stdin)?
    };
    let (engine, id) = (Arc::clone(&call.engine), id.to_owned());
    tokio::spawn(async move {
        let run = async {
            match Program::of(&body.cmd) {
                Ok(program) => program.run(&context, &mut streams).await,
                Err(name) => {
                    let text = format!(
                        "OCI runtime exec failed: exec failed: unable to start container process: \
                         exec: {name:?}: executable file not found in $PATH: unknown\r\n"
                    );
                    streams.output.write(Kind::Stdout, text.as_bytes()).await;
                    127
                }
            }
        };
        let code = tokio::select! {
            code = run => code,
            // What runs in a container ends with it.
            _ = phase.wait_for(|phase| !phase.running) => 137,
        };
        let mut inner = engine.lock();
        if let Some(exec) = inner.execs.get_mut(&id) {
            exec.exit_code = Some(code);
        }
        if let Some(record) = inner.containers.get(&container) {
            let code = code.to_string();
            record.tell(&engine, "exec_die", &[("execID", &id), ("exitCode", &code)]);
        }
        drop(inner);
        // Only now, so that whoever sees the end of the stream can ask for the exit code.
        output.close();
    });
    Ok(answer)
}

pub(crate) fn inspect(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let mut inner = call.engine.lock();
    let exec = inner.exec(id)?;
    let (program, arguments) = exec
        .body
        .cmd
        .split_first()
        .map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    Ok(Answer::ok(&json!({
        "ID": id,
        "Running": exec.started && exec.exit_code.is_none(),
        "ExitCode": exec.exit_code,
        "ProcessConfig": {
            "tty": exec.body.tty,
            "entrypoint": program,
            "arguments": arguments,
            "privileged": exec.body.privileged,
        },
        "OpenStdin": exec.body.attach_stdin,
        "OpenStderr": exec.body.attach_stderr,
        "OpenStdout": exec.body.attach_stdout,
        "CanRemove": false,
        "ContainerID": exec.container,
        "DetachKeys": "",
        "Pid": 0,
    })))
}

pub(crate) fn resize(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let (rows, columns) = size(call)?;
    call.engine.lock().exec(id)?.terminal.set(rows, columns);
    Ok(Answer::empty(StatusCode::CREATED))
}

impl Inner {
    fn exec(&mut self, id: &str) -> Result<&mut ExecRecord, Refusal> {
        self.execs
            .get_mut(id)
            .ok_or_else(|| Refusal::not_found(format!("No such exec instance: {id}")))
    }
}
