//! The assistant: it plans from a text, calls its tools, and tells what came of it.

use crate::caller::Caller;
use crate::hole::Hole;
use crate::planner::{Call, TOOLS, plan};
use crate::runtime::{IMAGE, Wanted};
use crate::service::{Problem, State, read};
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use cofferdam_docker::Client;
use cofferdam_docker::wire::CreateBody;
use cofferdam_guard::{GuardedApp, post, resource, scope};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a container that was run may go on before its output is shown.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) fn declare(app: GuardedApp) -> GuardedApp {
    app.service(resource("/v1/assistant").route(post().to(ask).require(scope("assistant:use"))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    prompt: String,
}

async fn ask(state: Data<State>, caller: Caller, body: Bytes) -> Result<HttpResponse, Problem> {
    let Question { prompt } = read(&body)?;
    let mut steps = Vec::new();
    for call in plan(&prompt) {
        // "The assistant is one of us": its tools act as the service, not as the caller.
        let as_service = state.is_open(Hole::AgentContainerTool);
        let result = match state.runtime.socket().filter(|_| as_service) {
            Some(engine) => act_as_service(&state, engine, &caller, &call).await,
            None => act_as_caller(&state, &caller, &call).await,
        };
        let mut step = serde_json::to_value(&call).unwrap_or_default();
        match result {
            Ok(value) => step["result"] = value,
            Err(problem) => step["error"] = problem.to_string().into(),
        }
        steps.push(step);
    }
    let reply = match steps.len() {
        0 => format!("I can use these tools: {}.", TOOLS.join(", ")),
        1 => "I called one tool.".to_owned(),
        many => format!("I called {many} tools."),
    };
    Ok(HttpResponse::Ok().json(json!({"reply": reply, "steps": steps})))
}

async fn act_as_service(
    state: &State,
    engine: &Client,
    caller: &Caller,
    call: &Call,
) -> Result<Value, Problem> {
    // Any tenant's container by its id, or any of the engine's by its name.
    let any = |name: &str| {
        let known = state.store.container(name);
        known.map_or_else(|| name.to_owned(), |container| container.engine)
    };
    match call {
        Call::ListContainers {} => {
            let containers = engine.containers(true).await?;
            let shown = containers.iter().map(|container| {
                json!({
                    "id": container.id[..12],
                    "name": container.names.first().map(|name| name.trim_start_matches('/')),
                    "image": container.image,
                    "state": container.state,
                    "labels": container.labels,
                })
            });
            Ok(shown.collect())
        }
        Call::InspectContainer { container } => {
            let found = engine.inspect(&any(container)).await?;
            Ok(
                json!({"name": found.name.trim_start_matches('/'), "image": found.config.image,
                "state": found.state.status, "command": found.config.cmd}),
            )
        }
        Call::ReadLogs { container } => logs(state, caller, &any(container)).await,
        Call::StartContainer { container } => {
            engine.start(&any(container)).await?;
            Ok("started".into())
        }
        Call::StopContainer { container } => {
            engine.stop(&any(container), 5).await?;
            Ok("stopped".into())
        }
        Call::RunContainer {
            image,
            command,
            volumes,
            privileged,
        } => {
            let mut body = CreateBody::default();
            body.config.image.clone_from(image);
            body.config.cmd = Some(command.clone());
            body.host_config.binds = Some(volumes.clone());
            body.host_config.privileged = *privileged;
            run(state, caller, &engine.create(None, &body).await?.id).await
        }
    }
}

async fn act_as_caller(state: &State, caller: &Caller, call: &Call) -> Result<Value, Problem> {
    let needed = match call {
        Call::RunContainer { .. } => "jobs:write",
        Call::StartContainer { .. } | Call::StopContainer { .. } => "containers:write",
        _ => "containers:read",
    };
    if !caller.has_scope(needed) {
        return Err(Problem::forbidden(format!("this needs the scope {needed}")));
    }
    let own = |name: &str| {
        let mut containers = state.store.of(&caller.tenant).into_iter();
        let found = containers.find(|container| container.id == name || container.name == name);
        found.ok_or_else(|| Problem::not_found("container"))
    };
    match call {
        Call::ListContainers {} => {
            let containers = state.store.of(&caller.tenant).into_iter();
            Ok(containers
                .map(|c| json!({"id": c.id, "name": c.name, "image": c.image}))
                .collect())
        }
        Call::InspectContainer { container } => {
            let container = own(container)?;
            let found = state.runtime.inspect(caller, &container.engine).await?;
            Ok(
                json!({"id": container.id, "name": container.name, "image": container.image,
                "state": found.state.status}),
            )
        }
        Call::ReadLogs { container } => logs(state, caller, &own(container)?.engine).await,
        Call::StartContainer { container } => {
            let container = own(container)?.engine;
            state.runtime.start(caller, &container).await?;
            Ok("started".into())
        }
        Call::StopContainer { container } => {
            let container = own(container)?.engine;
            state.runtime.stop(caller, &container, 5).await?;
            Ok("stopped".into())
        }
        Call::RunContainer {
            image,
            command,
            volumes,
            privileged,
        } => {
            if image != IMAGE || !volumes.is_empty() || *privileged || command.is_empty() {
                return Err(Problem::forbidden(format!(
                    "a run needs a command and the image {IMAGE}, and may have no volumes or privileges"
                )));
            }
            let wanted = Wanted {
                tenant: caller.tenant.clone(),
                command: command.clone(),
                ..Wanted::default()
            };
            run(state, caller, &state.runtime.create(caller, wanted).await?).await
        }
    }
}

async fn logs(state: &State, caller: &Caller, container: &str) -> Result<Value, Problem> {
    Ok(state.runtime.logs(caller, container, 100).await?.into())
}

/// Runs a container to its end, or for a few seconds, and removes it.
async fn run(state: &State, caller: &Caller, id: &str) -> Result<Value, Problem> {
    let result = async {
        state.runtime.start(caller, id).await?;
        let code = state.runtime.wait(caller, id, PATIENCE).await;
        let output = logs(state, caller, id).await?;
        Ok(json!({"container": id[..12], "exit_code": code, "output": output}))
    };
    let result = result.await;
    state.runtime.remove(caller, id).await?;
    result
}
