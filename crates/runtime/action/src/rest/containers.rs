//! Containers: made from a typed body, otherwise as in the docker dialect.

use super::prelude::*;
use crate::container::{ContainerCreate, ExecSpec};
use crate::docker::containers as docker;

pub(super) fn route<'a>(method: &str, path: &[&'a str]) -> Option<Route<'a>> {
    Some(match (method, path) {
        ("GET", []) => docker::route("GET", &["json"])?,
        ("POST", []) => Route::plain(&[], |call| {
            Ok(Action::ContainerCreate(Box::new(
                call.typed::<ContainerCreate>()?,
            )))
        })
        .with(BodyKind::Json),
        // Here a prune is always of one's own.
        ("POST", ["prune"]) => Route::plain(&["filters"], |call| {
            Ok(Action::ContainerPrune {
                filters: docker::prune_filters(&call)?,
            })
        }),
        ("GET", [container]) => docker::route("GET", &[container, "json"])?,
        ("DELETE", [_]) => docker::route("DELETE", path)?,
        ("GET", [container, "processes"]) => docker::route("GET", &[container, "top"])?,
        ("POST", [container, "exec"]) => Route::named(container, &[], |call| {
            Ok(Action::ExecCreate {
                container: call.container()?,
                exec: call.typed::<ExecSpec>()?,
            })
        })
        .with(BodyKind::Json),
        ("GET", [_, "logs" | "changes" | "stats" | "archive"])
        | ("HEAD" | "PUT", [_, "archive"])
        | (
            "POST",
            [
                _,
                "wait" | "start" | "stop" | "restart" | "kill" | "pause" | "unpause" | "rename",
            ],
        ) => docker::route(method, path)?,
        _ => return None,
    })
}
