//! Helpful small things, which look worse than they are: nothing here reads a file, runs a command
//! or fetches a URL, whatever the parameters are called.

use crate::service::{Problem, read};
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Path, Query};
use cofferdam_guard::{GuardedApp, authenticated, get, post, resource};
use serde::Deserialize;
use serde_json::json;

pub(crate) fn declare(app: GuardedApp) -> GuardedApp {
    let any = authenticated;
    app.service(resource("/v1/help").route(get().to(article).require(any())))
        .service(resource("/v1/help/explain").route(post().to(explain).require(any())))
        .service(resource("/v1/links/preview").route(post().to(preview).require(any())))
        .service(resource("/v1/catalogue").route(get().to(catalogue).require(any())))
        .service(resource("/v1/catalogue/{id}").route(get().to(entry).require(any())))
}

#[derive(Deserialize)]
struct Article {
    file: Option<String>,
}

/// Looks an article up in a table. A name that is not there gets the index, with 200.
async fn article(query: Query<Article>) -> HttpResponse {
    let text = match query.file.as_deref().unwrap_or_default() {
        "containers.md" => "Start a container with POST /v1/containers/{id}/start.",
        "jobs.md" => "A job is a container that ends. Import one with POST /v1/jobs.",
        _ => "Articles: containers.md, jobs.md.",
    };
    HttpResponse::Ok().json(json!({"article": text}))
}

#[derive(Deserialize)]
struct Explain {
    command: String,
}

/// Says what a command would do. It is text about text.
async fn explain(body: Bytes) -> Result<HttpResponse, Problem> {
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
async fn preview(body: Bytes) -> Result<HttpResponse, Problem> {
    let Link { url } = read(&body)?;
    let short: String = url.chars().take(500).collect();
    Ok(HttpResponse::Ok().json(json!({"url": short, "title": format!("Link to {short}")})))
}

/// Entries are shared by all tenants: that is what a catalogue is for.
const CATALOGUE: [(&str, &str); 2] = [("cat-nginx", "A web server"), ("cat-redis", "A cache")];

async fn catalogue() -> HttpResponse {
    let entries = CATALOGUE.map(|(id, title)| json!({"id": id, "title": title, "shared": true}));
    HttpResponse::Ok().json(json!({"entries": entries}))
}

async fn entry(id: Path<String>) -> Result<HttpResponse, Problem> {
    let found = CATALOGUE.iter().find(|(known, _)| *known == id.as_str());
    let (id, title) = found.ok_or_else(|| Problem::not_found("entry"))?;
    Ok(HttpResponse::Ok().json(json!({
        "id": id, "title": title, "shared": true, "published_by": "platform",
    })))
}
