//! Networks of one's own.

use super::body;
use super::prelude::*;
use crate::action::NetworkCreate;
use crate::container::Endpoint;
use crate::docker::networks as docker;

pub(super) fn route<'a>(method: &str, path: &[&'a str]) -> Option<Route<'a>> {
    Some(match (method, path) {
        ("POST", []) => Route::plain(&[], |call| {
            Ok(Action::NetworkCreate(call.typed::<NetworkCreate>()?))
        })
        .with(BodyKind::Json),
        ("POST", ["prune"]) => Route::plain(&["filters"], |call| {
            Ok(Action::NetworkPrune {
                filters: docker::prune_filters(&call)?,
            })
        }),
        ("POST", [network, "connect"]) => Route::named(network, &[], |call| {
            let body::NetworkConnect { container, aliases } = call.typed()?;
            let endpoint = Endpoint {
                network: call.network()?,
                aliases,
            };
            Ok(Action::NetworkConnect {
                container,
                endpoint,
            })
        })
        .with(BodyKind::Json),
        ("POST", [network, "disconnect"]) => Route::named(network, &[], |call| {
            let body::NetworkDisconnect { container, force } = call.typed()?;
            Ok(Action::NetworkDisconnect {
                network: call.network()?,
                container,
                force,
            })
        })
        .with(BodyKind::Json),
        ("GET", [] | [_]) | ("DELETE", [_]) => docker::route(method, path)?,
        _ => return None,
    })
}
