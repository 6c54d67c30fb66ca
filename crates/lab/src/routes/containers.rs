//! The tenants' containers.

use crate::caller::Caller;
use crate::hole::Hole;
use crate::service::{Problem, State, read};
use crate::store::Container;
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data, Path};
use cofferdam_guard::{GuardedApp, get, patch, post, resource, scope};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Map, Value, json};

const READ: &str = "containers:read";
const WRITE: &str = "containers:write";

const LOGS: &str = "/v1/containers/{id}/logs";

pub(crate) fn declare(app: GuardedApp) -> GuardedApp {
    let (read, write) = (|| scope(READ), || scope(WRITE));
    app.service(resource("/v1/containers").route(get().to(list).require(read())))
        .service(resource("/v1/containers/{id}").route(get().to(inspect).require(read())))
        .service(resource(LOGS).route(get().to(logs).require(read())))
        .service(resource("/v1/containers/{id}/start").route(post().to(start).require(write())))
        .service(resource("/v1/containers/{id}/stop").route(post().to(stop).require(write())))
        .service(resource("/v1/containers/{id}/labels").route(patch().to(label).require(write())))
}

/// "Links in mails cannot have headers": where the hole is open a token in the query of the logs is
/// taken for one in the header, before the guard sees the request.
pub(crate) async fn token_from_link(
    state: Data<State>,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> actix_web::Result<ServiceResponse<BoxBody>> {
    if state.is_open(Hole::TokenInQuery) && request.match_pattern().as_deref() == Some(LOGS) {
        let found = lifted(&request);
        if let Some((value, uri)) = found {
            request.headers_mut().insert(AUTHORIZATION, value);
            request.head_mut().uri = uri;
        }
    }
    next.call(request).await
}

/// The token of the query as a header's value, and the URI without its query.
fn lifted(request: &ServiceRequest) -> Option<(HeaderValue, Uri)> {
    let mut pairs = request.query_string().split('&');
    let token = pairs.find_map(|pair| pair.strip_prefix("access_token="))?;
    let token = percent_decode_str(token).decode_utf8().ok()?;
    let value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    Some((value, request.uri().path().parse().ok()?))
}

async fn list(state: Data<State>, caller: Caller) -> Result<HttpResponse, Problem> {
    let mut containers = Vec::new();
    for container in state.store.of(&caller.tenant) {
        containers.push(view(&state, &caller, &container).await?);
    }
    Ok(HttpResponse::Ok().json(json!({"containers": containers})))
}

async fn inspect(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let container = match state.is_open(Hole::ObjectCrossTenantRead) {
        // "Ids cannot be guessed."
        true => state
            .store
            .container(&id)
            .ok_or_else(|| Problem::not_found("container"))?,
        false => own(&state, &caller, &id)?,
    };
    Ok(HttpResponse::Ok().json(view(&state, &caller, &container).await?))
}

async fn logs(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let container = own(&state, &caller, &id)?;
    let text = state.runtime.logs(&caller, &container.engine, 100).await?;
    let lines: Vec<_> = text.lines().collect();
    Ok(HttpResponse::Ok().json(json!({"id": container.id, "lines": lines})))
}

async fn start(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let container = own(&state, &caller, &id)?;
    state.runtime.start(&caller, &container.engine).await?;
    Ok(HttpResponse::Ok().json(view(&state, &caller, &container).await?))
}

/// Stopping what is not there, or not the caller's, is done already: 204, and nothing changes.
async fn stop(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    if let Ok(container) = own(&state, &caller, &id) {
        state.runtime.stop(&caller, &container.engine, 5).await?;
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
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
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
fn own(state: &State, caller: &Caller, id: &str) -> Result<Container, Problem> {
    let found = state.store.container(id);
    let found = found.filter(|container| container.tenant == caller.tenant);
    found.ok_or_else(|| Problem::not_found("container"))
}

async fn view(state: &State, caller: &Caller, container: &Container) -> Result<Value, Problem> {
    let runtime = state.runtime.inspect(caller, &container.engine).await?;
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
