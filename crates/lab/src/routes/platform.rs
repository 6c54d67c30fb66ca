//! What the platform tells of itself: lists that are the same for every tenant. Each is a route
//! group with a verifier of its own.

use crate::service::{Problem, State};
use crate::verify::Group;
use actix_web::web::{Data, ServiceConfig, get};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

/// Path, group, scope and what the list holds.
type Listing = (&'static str, Group, &'static str, fn() -> Value);

const LISTINGS: [Listing; 13] = [
    (
        "/v1/capacity",
        Group::Capacity,
        "capacity:read",
        || json!({"cpus": 16, "memory_gib": 64, "containers": 200}),
    ),
    (
        "/v1/events",
        Group::Events,
        "events:read",
        || json!({"events": [{"time": "2026-11-24T08:00:00Z", "kind": "node-joined", "node": "dock-1"}]}),
    ),
    (
        "/v1/images",
        Group::Images,
        "images:read",
        || json!({"images": [{"name": "allowed/app:1", "size": 7_800_000}]}),
    ),
    (
        "/v1/usage",
        Group::Usage,
        "usage:read",
        || json!({"cpu_seconds": 81_240, "memory_gib_hours": 911, "month": "2026-11"}),
    ),
    (
        "/v1/builds",
        Group::Builds,
        "builds:read",
        || json!({"builds": [{"number": 812, "state": "passed", "seconds": 74}]}),
    ),
    (
        "/v1/repositories",
        Group::Repositories,
        "repositories:read",
        || json!({"repositories": [{"name": "allowed/app", "tags": ["1"]}]}),
    ),
    (
        "/v1/volumes",
        Group::Volumes,
        "volumes:read",
        || json!({"volumes": [{"name": "workspaces", "size_gib": 20}]}),
    ),
    (
        "/v1/networks",
        Group::Networks,
        "networks:read",
        || json!({"networks": [{"name": "edge", "internal": true}]}),
    ),
    (
        "/v1/nodes",
        Group::Nodes,
        "nodes:read",
        || json!({"nodes": [{"name": "dock-1", "ready": true}]}),
    ),
    (
        "/v1/audit",
        Group::Audit,
        "audit:read",
        || json!({"records": [{"time": "2026-11-24T07:41:09Z", "action": "image.pull", "outcome": "ok"}]}),
    ),
    (
        "/v1/policies",
        Group::Policies,
        "policy:read",
        || json!({"policies": [{"name": "images", "allow": ["allowed/*"]}]}),
    ),
    (
        "/v1/deployments",
        Group::Deployments,
        "deployments:read",
        || json!({"deployments": [{"name": "storefront", "replicas": 2}]}),
    ),
    (
        "/v1/schedules",
        Group::Schedules,
        "schedules:read",
        || json!({"schedules": [{"name": "nightly", "cron": "15 3 * * *"}]}),
    ),
];

pub(crate) fn configure(config: &mut ServiceConfig) {
    for (path, group, scope, list) in LISTINGS {
        let handler = move |request: HttpRequest, state: Data<State>| async move {
            state.enter(&request, group, scope)?;
            Ok::<_, Problem>(HttpResponse::Ok().json(list()))
        };
        config.route(path, get().to(handler));
    }
}
