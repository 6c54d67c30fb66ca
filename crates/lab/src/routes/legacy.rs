//! The old API for build servers, with opaque tokens.

use crate::legacy_tokens::Verdict;
use crate::service::{Problem, State, raw_token};
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use cofferdam_guard::{GuardedApp, get, resource};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};

/// Public to the guard, which knows access tokens: the handler judges these.
pub(crate) fn declare(app: GuardedApp) -> GuardedApp {
    app.service(resource("/legacy/containers").route(get().to(containers).public()))
}

async fn containers(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, Problem> {
    let token = raw_token(&request).ok_or_else(|| unauthorized("a token is needed"))?;
    // Without a peer address all share one count, which is the stricter way.
    let peer = request
        .peer_addr()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let tenant = match state.legacy.check(token, peer) {
        Verdict::Tenant(tenant) => tenant,
        Verdict::Unknown => return Err(unauthorized("the token is unknown")),
        Verdict::TooMany(seconds) => return Err(Problem::throttled(seconds)),
    };
    let containers: Vec<_> = state
        .store
        .of(tenant)
        .into_iter()
        .map(|container| json!({"id": container.id, "name": container.name}))
        .collect();
    Ok(HttpResponse::Ok().json(json!({"tenant": tenant, "containers": containers})))
}

fn unauthorized(message: &str) -> Problem {
    Problem::challenge(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        message,
        "Bearer realm=\"legacy\"".to_owned(),
    )
}
