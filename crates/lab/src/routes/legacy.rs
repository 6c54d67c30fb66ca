//! The old API for build servers, with opaque tokens.

use crate::legacy_tokens::Verdict;
use crate::service::{Problem, State};
use crate::verify::raw_token;
use actix_web::web::{Data, ServiceConfig, get};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route("/legacy/containers", get().to(containers));
}

async fn containers(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, Problem> {
    let token = raw_token(&request).ok_or_else(|| Problem::unauthorized("a token is needed"))?;
    // Without a peer address all share one count, which is the stricter way.
    let peer = request
        .peer_addr()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let tenant = match state.legacy.check(&token, peer) {
        Verdict::Tenant(tenant) => tenant,
        Verdict::Unknown => return Err(Problem::unauthorized("the token is unknown")),
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
