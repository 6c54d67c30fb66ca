//! What the platform tells of itself: lists that are the same for every tenant. Each has a token hole
//! of its own, and is behind the guard while that is closed.

use crate::caller::Caller;
use crate::flawed::insufficient;
use crate::hole::Hole;
use crate::service::{Problem, State};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use cofferdam_guard::{Guard, GuardedApp, authenticated, get, resource, scope};
use serde_json::{Value, json};

/// Path, hole, scope and what the list holds.
type Listing = (&'static str, Hole, &'static str, fn() -> Value);

const LISTINGS: [Listing; 13] = [
    (
        "/v1/capacity",
        Hole::TokenMissing,
        "capacity:read",
        || json!({"cpus": 16, "memory_gib": 64, "containers": 200}),
    ),
    (
        "/v1/events",
        Hole::TokenMalformed,
        "events:read",
        || json!({"events": [{"time": "2026-11-24T08:00:00Z", "kind": "node-joined", "node": "dock-1"}]}),
    ),
    (
        "/v1/images",
        Hole::TokenSignature,
        "images:read",
        || json!({"images": [{"name": "allowed/app:1", "size": 7_800_000}]}),
    ),
    (
        "/v1/usage",
        Hole::TokenUnsigned,
        "usage:read",
        || json!({"cpu_seconds": 81_240, "memory_gib_hours": 911, "month": "2026-11"}),
    ),
    (
        "/v1/builds",
        Hole::TokenAlgNone,
        "builds:read",
        || json!({"builds": [{"number": 812, "state": "passed", "seconds": 74}]}),
    ),
    (
        "/v1/repositories",
        Hole::TokenKeyConfusion,
        "repositories:read",
        || json!({"repositories": [{"name": "allowed/app", "tags": ["1"]}]}),
    ),
    (
        "/v1/volumes",
        Hole::TokenExpired,
        "volumes:read",
        || json!({"volumes": [{"name": "workspaces", "size_gib": 20}]}),
    ),
    (
        "/v1/networks",
        Hole::TokenAudience,
        "networks:read",
        || json!({"networks": [{"name": "edge", "internal": true}]}),
    ),
    (
        "/v1/nodes",
        Hole::TokenIssuer,
        "nodes:read",
        || json!({"nodes": [{"name": "dock-1", "ready": true}]}),
    ),
    (
        "/v1/audit",
        Hole::TokenScope,
        "audit:read",
        || json!({"records": [{"time": "2026-11-24T07:41:09Z", "action": "image.pull", "outcome": "ok"}]}),
    ),
    (
        "/v1/policies",
        Hole::TokenScopeSubstring,
        "policy:read",
        || json!({"policies": [{"name": "images", "allow": ["allowed/*"]}]}),
    ),
    (
        "/v1/deployments",
        Hole::TokenUnbound,
        "deployments:read",
        || json!({"deployments": [{"name": "storefront", "replicas": 2}]}),
    ),
    (
        "/v1/schedules",
        Hole::TokenNotBefore,
        "schedules:read",
        || json!({"schedules": [{"name": "nightly", "cron": "15 3 * * *"}]}),
    ),
];

pub(crate) fn declare(app: GuardedApp, dpop: &Guard, state: &State) -> GuardedApp {
    LISTINGS
        .into_iter()
        .fold(app, |app, (path, hole, needed, list)| {
            let answer = move || HttpResponse::Ok().json(list());
            let sound = move || async move { answer() };
            let route = match (state.is_open(hole), hole) {
                (false, _) => get().to(sound).require(scope(needed)),
                // "Whoever works here may see it."
                (true, Hole::TokenScope) => get().to(sound).require(authenticated()),
                // "The scope is in there."
                (true, Hole::TokenScopeSubstring) => {
                    let handler = move |caller: Caller| async move {
                        match caller.scopes.join(" ").contains(needed) {
                            true => Ok(answer()),
                            false => Err(insufficient(needed)),
                        }
                    };
                    get().to(handler).require(authenticated())
                }
                (true, _) => {
                    let handler = move |request: HttpRequest, state: Data<State>| async move {
                        state.flawed.check(&request, hole, needed)?;
                        Ok::<_, Problem>(answer())
                    };
                    get().to(handler).public()
                }
            };
            let resource = resource(path).route(route);
            match hole {
                Hole::TokenUnbound => app.merge(dpop.app().service(resource)),
                _ => app.service(resource),
            }
        })
}
