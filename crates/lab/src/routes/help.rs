//! Helpful small things, which look worse than they are: nothing here reads a file, runs a command
//! or fetches a URL, whatever the parameters are called.

use crate::service::{Problem, State, read};
use crate::verify::Group;
use actix_web::web::{Bytes, Data, Path, Query, ServiceConfig, get, post};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

pub(crate) fn configure(config: &mut ServiceConfig) {
    config
        .route("/v1/help", get().to(article))
        .route("/v1/help/explain", post().to(explain))
        .route("/v1/links/preview", post().to(preview))
        .route("/v1/catalogue", get().to(catalogue))
        .route("/v1/catalogue/{id}", get().to(entry));
}

#[derive(Deserialize)]
struct Article {
    file: Option<String>,
}

/// Looks an article up in a table. A name that is not there gets the index, with 200.
async fn article(
    request: HttpRequest,
    state: Data<State>,
    query: Query<Article>,
) -> Result<HttpResponse, Problem> {
    state.enter(&request, Group::Sound, "")?;
    let text = match query.file.as_deref().unwrap_or_default() {
        "containers.md" => "Start a container with POST /v1/containers/{id}/start.",
        "jobs.md" => "A job is a container that ends. Import one with POST /v1/jobs.",
        _ => "Articles: containers.md, jobs.md.",
    };
    Ok(HttpResponse::Ok().json(json!({"article": text})))
}

#[derive(Deserialize)]
struct Explain {
    command: String,
}

/// Says what a command would do. It is text about text.
async fn explain(
    request: HttpRequest,
    state: Data<State>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    state.enter(&request, Group::Sound, "")?;
    let Explain { command } = read(&body)?;
    let short: String = command.chars().take(200).collect();
    Ok(HttpResponse::Ok().json(json!({
        "command": short,
        "explanation": format!("`{short}` is not run here. In a container, `id` would print:"),
        "sample": "uid=1000(app) gid=1000(app) groups=1000(app)",
    })))
}

#[derive(Deserialize)]
struct Link {
    url: String,
}

/// Shows how a link will look. The link is not opened.
async fn preview(
    request: HttpRequest,
    state: Data<State>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    state.enter(&request, Group::Sound, "")?;
    let Link { url } = read(&body)?;
    let short: String = url.chars().take(500).collect();
    Ok(HttpResponse::Ok().json(json!({"url": short, "title": format!("Link to {short}")})))
}

/// Entries are shared by all tenants: that is what a catalogue is for.
const CATALOGUE: [(&str, &str); 2] = [("cat-nginx", "A web server"), ("cat-redis", "A cache")];

async fn catalogue(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, Problem> {
    state.enter(&request, Group::Sound, "")?;
    let entries = CATALOGUE.map(|(id, title)| json!({"id": id, "title": title, "shared": true}));
    Ok(HttpResponse::Ok().json(json!({"entries": entries})))
}

async fn entry(
    request: HttpRequest,
    state: Data<State>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.enter(&request, Group::Sound, "")?;
    let found = CATALOGUE.iter().find(|(known, _)| *known == id.as_str());
    let (id, title) = found.ok_or_else(|| Problem::not_found("entry"))?;
    Ok(HttpResponse::Ok().json(json!({
        "id": id, "title": title, "shared": true, "published_by": "platform",
    })))
}
