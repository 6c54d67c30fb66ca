//! Jobs: containers that end. A definition is imported, and becomes a container of the engine.

use crate::caller::Caller;
use crate::deployment::{hex, random};
use crate::hole::Hole;
use crate::runtime::{IMAGE, Wanted};
use crate::service::{Problem, State, raw_token, read};
use crate::store::Job;
use actix_web::HttpResponse;
use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data, Path};
use cofferdam_guard::{GuardedApp, delete, get, post, resource, scope};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const READ: &str = "jobs:read";
const WRITE: &str = "jobs:write";

const JOB: &str = "/v1/jobs/{id}";

pub(crate) fn declare(app: GuardedApp) -> GuardedApp {
    let jobs = resource("/v1/jobs")
        .route(get().to(list).require(scope(READ)))
        .route(post().to(import).require(scope(WRITE)));
    let job = resource(JOB)
        .route(get().to(inspect).require(scope(READ)))
        .route(delete().to(remove).require(scope(WRITE)));
    app.service(jobs).service(job)
}

/// Adds what the developer wanted to see with every error of a job's inspection, where the hole is
/// open: the caller's request, its token included.
pub(crate) async fn explain_errors(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> actix_web::Result<ServiceResponse<BoxBody>> {
    let talkative = state.is_open(Hole::TokenInError)
        && request.method() == Method::GET
        && request.match_pattern().as_deref() == Some(JOB);
    let answer = next.call(request).await?;
    let token = raw_token(answer.request()).map(str::to_owned);
    let Some(token) = token.filter(|_| talkative && answer.status().is_client_error()) else {
        return Ok(answer);
    };
    let (request, answer) = answer.into_parts();
    let (answer, body) = answer.into_parts();
    // Errors are short texts that this program made, and JSON.
    let body = to_bytes(body).await.unwrap_or_default();
    let mut problem: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
    let context = json!({"path": request.path(), "authorization": format!("Bearer {token}")});
    problem.insert("context".to_owned(), context);
    let body = BoxBody::new(Value::from(problem).to_string());
    Ok(ServiceResponse::new(request, answer.set_body(body)))
}

/// The documented members, and no others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    name: String,
    image: String,
    command: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    labels: Map<String, Value>,
}

/// The documented members, and whatever else came.
#[derive(Deserialize)]
struct OpenDefinition {
    name: String,
    image: String,
    command: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    labels: Map<String, Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

async fn list(state: Data<State>, caller: Caller) -> HttpResponse {
    let jobs: Vec<_> = state
        .store
        .jobs_of(&caller.tenant)
        .into_iter()
        .map(|job| json!({"id": job.id, "name": job.name, "image": job.image}))
        .collect();
    HttpResponse::Ok().json(json!({"jobs": jobs}))
}

async fn import(state: Data<State>, caller: Caller, body: Bytes) -> Result<HttpResponse, Problem> {
    let (definition, rest) = match state.is_open(Hole::InputDeserialization) {
        true => {
            let open: OpenDefinition = read(&body)?;
            let definition = Definition {
                name: open.name,
                image: open.image,
                command: open.command,
                env: open.env,
                labels: open.labels,
            };
            (definition, open.rest)
        }
        false => (read(&body)?, Map::new()),
    };
    if definition.image != IMAGE {
        return Err(Problem::bad(format!("only the image {IMAGE} may be run")));
    }
    let name_is_good = (1..=60).contains(&definition.name.len())
        && definition
            .name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if !name_is_good || definition.command.is_empty() || definition.labels.len() > 50 {
        return Err(Problem::bad(
            "a job needs a name of letters, digits, `_`, `.` and `-`, a command, and at most 50 labels",
        ));
    }
    let id = format!("job-{}", hex(&random::<6>().unwrap_or_default()));
    let environment = definition.env.iter().map(|(k, v)| format!("{k}={v}"));
    let wanted = Wanted {
        name: Some(id.clone()),
        tenant: caller.tenant.clone(),
        command: definition.command,
        environment: environment.collect(),
        more: rest,
    };
    let engine = state.runtime.create(&caller, wanted).await?;
    if let Err(error) = state.runtime.start(&caller, &engine).await {
        state.runtime.remove(&caller, &engine).await?;
        return Err(error);
    }
    let oldest = state.store.add_job(
        id.clone(),
        &caller.tenant,
        definition.name,
        engine,
        definition.labels,
    );
    if let Some(oldest) = oldest {
        state.runtime.remove(&caller, &oldest.engine).await?;
    }
    let job = state
        .store
        .job(&id, &caller.tenant)
        .ok_or_else(|| Problem::not_found("job"))?;
    Ok(HttpResponse::Created()
        .insert_header(("location", format!("/v1/jobs/{id}")))
        .json(view(&state, &caller, &job).await?))
}

async fn inspect(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let job = state
        .store
        .job(&id, &caller.tenant)
        .ok_or_else(|| Problem::not_found("job"))?;
    Ok(HttpResponse::Ok().json(view(&state, &caller, &job).await?))
}

async fn remove(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let job = state
        .store
        .job(&id, &caller.tenant)
        .ok_or_else(|| Problem::not_found("job"))?;
    state.runtime.remove(&caller, &job.engine).await?;
    state.store.remove_job(&id);
    Ok(HttpResponse::NoContent().finish())
}

async fn view(state: &State, caller: &Caller, job: &Job) -> Result<Value, Problem> {
    let runtime = state.runtime.inspect(caller, &job.engine).await?;
    let output = state.runtime.logs(caller, &job.engine, 200).await?;
    let settings = serde_json::to_value(&runtime.host_config).unwrap_or_default();
    Ok(json!({
        "id": job.id,
        "name": job.name,
        "image": job.image,
        "labels": job.labels,
        "state": runtime.state.status,
        "exit_code": runtime.state.exit_code,
        "hostname": runtime.config.hostname,
        "user": runtime.config.user,
        "command": runtime.config.cmd,
        "settings": snake(settings),
        "output": output,
    }))
}

/// `CapAdd` → `cap_add`, and what is not set is left out.
fn snake(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let named = map.into_iter().filter(|(_, value)| !value.is_null());
            named
                .map(|(name, value)| {
                    let mut to = String::new();
                    let mut last_was_lower = false;
                    for letter in name.chars() {
                        if letter.is_ascii_uppercase() && last_was_lower {
                            to.push('_');
                        }
                        last_was_lower = letter.is_ascii_lowercase();
                        to.push(letter.to_ascii_lowercase());
                    }
                    (to, snake(value))
                })
                .collect::<Map<_, _>>()
                .into()
        }
        Value::Array(list) => list.into_iter().map(snake).collect(),
        other => other,
    }
}
