//! Commands in a container: run once, streamed, without a terminal to talk to.

use super::prelude::*;

pub(super) fn route<'a>(method: &str, path: &[&'a str]) -> Option<Route<'a>> {
    Some(match (method, path) {
        ("POST", [exec, "start"]) => Route::named(exec, &[], |call| {
            Ok(Action::ExecStart {
                exec: call.exec()?,
                detach: false,
                tty: false,
            })
        }),
        ("GET", [exec]) => Route::named(exec, &[], |call| {
            Ok(Action::ExecInspect { exec: call.exec()? })
        }),
        _ => return None,
    })
}
