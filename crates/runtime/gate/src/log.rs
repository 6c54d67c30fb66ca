//! The line about a refused request: nothing of a token, nothing personal.

use std::net::IpAddr;

use cofferdam_action::refusal::quote;

use crate::limits::SeldomPerPeer;

/// What is told about a request that is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal<'r> {
    /// Whom the connection is with.
    pub(crate) peer: IpAddr,
    /// Method and path, as [`route`] writes them.
    pub(crate) route: &'r str,
    /// The caller's issuer, where there is a caller.
    pub(crate) issuer: Option<&'r str>,
    /// The id that the broker gave the request.
    pub(crate) request: Option<&'r str>,
    /// The status.
    pub(crate) status: u16,
    /// The stable name of the reason.
    pub(crate) reason: &'r str,
}

/// Tells it. What costs whoever sends it nothing, requests without a valid token and those above a
/// limit, is told of an address once in a while.
pub(crate) fn refused(strangers: &SeldomPerPeer, refusal: &Refusal<'_>) {
    let is_free = refusal.issuer.is_none() || refusal.status == 429;
    if is_free && !strangers.may(refusal.peer) {
        return;
    }
    tracing::info!(
        peer = %refusal.peer,
        route = refusal.route,
        issuer = refusal.issuer,
        request = refusal.request,
        status = refusal.status,
        reason = refusal.reason,
        "refused"
    );
}

/// Method and path, cut to 256 bytes and freed of what could steer a terminal.
pub(crate) fn route(method: &str, path: &str) -> String {
    const MOST: usize = 256;
    let quoted = quote(&format!("{method} {path}"));
    let mut route = quoted.trim_matches('`').to_owned();
    while route.len() > MOST {
        route.pop();
    }
    route
}
