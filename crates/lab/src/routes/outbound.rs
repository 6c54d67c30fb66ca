//! Requests that the service sends for its callers: an image's manifest, and a webhook's trial.

use crate::hole::Hole;
use crate::resolve::{Fetched, OutboundError, parse};
use crate::service::{Problem, State, read};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Query};
use cofferdam_guard::{GuardedApp, get, post, resource, scope};
use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

pub(crate) fn declare(app: GuardedApp) -> GuardedApp {
    let manifest = get().to(manifest).require(scope("images:read"));
    let webhook = post().to(webhook).require(scope("webhooks:test"));
    app.service(resource("/v1/images/manifest").route(manifest))
        .service(resource("/v1/webhooks/test").route(webhook))
}

#[derive(Deserialize)]
struct ManifestQuery {
    #[serde(default)]
    url: String,
}

async fn manifest(
    state: Data<State>,
    query: Query<ManifestQuery>,
) -> Result<HttpResponse, Problem> {
    if !state.is_open(Hole::ServerSideRequest) {
        only(&query.url, "registry.internal", "/v2/")?;
    }
    let answer = state
        .resolver
        .fetch(Method::GET, &query.url, &[], Bytes::new())
        .await;
    show(&query.url, answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhook {
    url: String,
    #[serde(default = "post_method")]
    method: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

fn post_method() -> String {
    "POST".to_owned()
}

async fn webhook(state: Data<State>, body: Bytes) -> Result<HttpResponse, Problem> {
    let hook: Webhook = read(&body)?;
    let method = Method::from_bytes(hook.method.as_bytes())
        .map_err(|_| Problem::bad("the method is not one"))?;
    if !state.is_open(Hole::ServerSideRequestFull)
        && (only(&hook.url, "hooks.internal", "/").is_err()
            || ![Method::POST, Method::PUT].contains(&method))
    {
        // A trial that ends badly is a result, not an error of the caller's request.
        return Ok(HttpResponse::Ok().json(json!({
            "url": hook.url,
            "delivered": false,
            "reason": "webhooks go to http://hooks.internal/ with POST or PUT",
        })));
    }
    let headers: Vec<_> = hook.headers.into_iter().collect();
    let answer = state
        .resolver
        .fetch(method, &hook.url, &headers, hook.body.into())
        .await;
    show(&hook.url, answer)
}

/// Lets a URL through only when it leads to the one host that it may lead to.
fn only(url: &str, host: &str, path: &str) -> Result<(), Problem> {
    let refused = || {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "url_not_allowed",
            format!("only URLs of http://{host}{path} are allowed"),
        )
    };
    let parsed = parse(url).map_err(|_| refused())?;
    let same = parsed.host() == Some(host)
        && parsed.port_u16().is_none_or(|port| port == 80)
        && parsed.path().starts_with(path)
        && !parsed.path().contains("..");
    same.then_some(()).ok_or_else(refused)
}

fn show(url: &str, answer: Result<Fetched, OutboundError>) -> Result<HttpResponse, Problem> {
    match answer {
        Ok(fetched) => Ok(HttpResponse::Ok().json(json!({
            "url": url,
            "status": fetched.status,
            "content_type": fetched.content_type,
            "body": fetched.body,
        }))),
        Err(error @ OutboundError::Url(_)) => Err(Problem::bad(error.to_string())),
        Err(error) => Err(Problem::new(
            StatusCode::BAD_GATEWAY,
            "upstream",
            error.to_string(),
        )),
    }
}
