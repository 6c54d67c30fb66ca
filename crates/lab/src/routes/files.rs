//! Files of the tenants' build workspaces.

use crate::caller::Caller;
use crate::hole::Hole;
use crate::service::{Problem, State};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use cofferdam_guard::{GuardedApp, get, resource, scope};
use serde::Deserialize;
use std::path::Path;

pub(crate) fn declare(app: GuardedApp) -> GuardedApp {
    let route = get().to(file).require(scope("workspace:read"));
    app.service(resource("/v1/workspace/file").route(route))
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    path: String,
}

async fn file(
    state: Data<State>,
    caller: Caller,
    query: Query<Wanted>,
) -> Result<HttpResponse, Problem> {
    if query.path.is_empty() || caller.tenant.is_empty() {
        return Err(Problem::bad(
            "the query needs `path`, a file of the workspace",
        ));
    }
    let workspace = format!("/srv/workspaces/{}", caller.tenant);
    let read = match state.is_open(Hole::PathTraversal) {
        // The caller's path, dots, leading slash and all.
        true => state.root.read(&Path::new(&workspace).join(&query.path)),
        false => state.root.read_beneath(&workspace, Path::new(&query.path)),
    };
    match read {
        Ok(bytes) => Ok(HttpResponse::Ok()
            .content_type("text/plain; charset=utf-8")
            .body(bytes)),
        Err(error) if state.is_open(Hole::PathTraversal) => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("cannot read {}: {error}", query.path),
        )),
        Err(_) => Err(Problem::not_found("file in the workspace")),
    }
}
