//! The tenants' containers.

use crate::hole::Hole;
use crate::service::{Problem, State, read};
use crate::store::Container;
use crate::verify::{Group, Principal};
use actix_web::web::{Bytes, Data, Path, ServiceConfig, get, patch, post};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const READ: &str = "containers:read";
const WRITE: &str = "containers:write";

pub(crate) fn configure(config: &mut ServiceConfig) {
    config
        .route("/v1/containers", get().to(list))
        .route("/v1/containers/{id}", get().to(inspect))
        .route("/v1/containers/{id}/logs", get().to(logs))
        .route("/v1/containers/{id}/start", post().to(start))
        .route("/v1/containers/{id}/stop", post().to(stop))
        .route("/v1/containers/{id}/labels", patch().to(label));
}

async fn list(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, Problem> {
    let caller = state.enter(&request, Group::Sound, READ)?;
    let mut containers = Vec::new();
    for container in state.store.of(&caller.tenant) {
        containers.push(view(&state, &container).await?);
    }
    Ok(HttpResponse::Ok().json(json!({"containers": containers})))
}

async fn inspect(
    request: HttpRequest,
    state: Data<State>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let caller = state.enter(&request, Group::Sound, READ)?;
    let container = match state.is_open(Hole::ObjectCrossTenantRead) {
        // "Ids cannot be guessed."
        true => state
            .store
            .container(&id)
            .ok_or_else(|| Problem::not_found("container"))?,
        false => own(&state, &caller, &id)?,
    };
    Ok(HttpResponse::Ok().json(view(&state, &container).await?))
}

async fn logs(
    request: HttpRequest,
    state: Data<State>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let caller = state.enter(&request, Group::Logs, READ)?;
    let container = own(&state, &caller, &id)?;
    let frames = state.engine.logs(&container.engine, 100).await?;
    let bytes: Vec<u8> = frames.into_iter().flat_map(|frame| frame.bytes).collect();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines: Vec<_> = text.lines().collect();
    Ok(HttpResponse::Ok().json(json!({"id": container.id, "lines": lines})))
}

async fn start(
    request: HttpRequest,
    state: Data<State>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let caller = state.enter(&request, Group::Sound, WRITE)?;
    let container = own(&state, &caller, &id)?;
    state.engine.start(&container.engine).await?;
    Ok(HttpResponse::Ok().json(view(&state, &container).await?))
}

/// Stopping what is not there, or not the caller's, is done already: 204, and nothing changes.
async fn stop(
    request: HttpRequest,
    state: Data<State>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let caller = state.enter(&request, Group::Sound, WRITE)?;
    if let Ok(container) = own(&state, &caller, &id) {
        state.engine.stop(&container.engine, 5).await?;
    }
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    labels: Map<String, Value>,
}

/// Labels are free-form: whatever comes is kept as it is, and means nothing to the service.
async fn label(
    request: HttpRequest,
    state: Data<State>,
    id: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let caller = state.enter(&request, Group::Sound, WRITE)?;
    let container = match state.is_open(Hole::ObjectCrossTenantWrite) {
        true => state
            .store
            .container(&id)
            .ok_or_else(|| Problem::not_found("container"))?,
        false => own(&state, &caller, &id)?,
    };
    let Labels { labels } = read(&body)?;
    state.store.label(&container.id, labels);
    Ok(HttpResponse::NoContent().finish())
}

/// The caller's own container. Another tenant's is as if it were not there.
fn own(state: &State, caller: &Principal, id: &str) -> Result<Container, Problem> {
    let found = state.store.container(id);
    let found = found.filter(|container| container.tenant == caller.tenant);
    found.ok_or_else(|| Problem::not_found("container"))
}

async fn view(state: &State, container: &Container) -> Result<Value, Problem> {
    let runtime = state.engine.inspect(&container.engine).await?;
    Ok(json!({
        "id": container.id,
        "name": container.name,
        "tenant": container.tenant,
        "image": container.image,
        "state": runtime.state.status,
        "started_at": runtime.state.started_at,
        "labels": container.labels,
    }))
}
