//! What the gate says: the line about a refused request, with nothing of a token and nothing personal,
//! and how often the same is said.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cofferdam_action::refusal::quote;

use crate::limits::network;

/// How many addresses are told apart of which little is said.
const PEERS: usize = 4096;
/// How often the same may be said.
const SELDOM: Duration = Duration::from_secs(10);

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

/// Says no more than once in a while that something is amiss, however often it happens.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether it may be said now.
    pub(crate) fn may(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|at| at.elapsed() >= SELDOM);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

/// The same for each address.
#[derive(Debug, Default)]
pub(crate) struct SeldomPerPeer(Mutex<HashMap<IpAddr, Instant>>);

impl SeldomPerPeer {
    /// Whether it may be said of this address now. Nothing is said of more addresses than are told
    /// apart.
    pub(crate) fn may(&self, peer: IpAddr) -> bool {
        self.may_at(peer, Instant::now())
    }

    fn may_at(&self, peer: IpAddr, now: Instant) -> bool {
        let peer = network(peer);
        let recent = |at: Instant| now.saturating_duration_since(at) < SELDOM;
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.get(&peer).is_some_and(|at| recent(*at)) {
            return false;
        }
        if said.len() >= PEERS {
            said.retain(|_, at| recent(*at));
            if said.len() >= PEERS {
                return false;
            }
        }
        said.insert(peer, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_address_something_is_said_once_in_a_while_and_the_table_is_bounded() {
        let (seldom, now) = (SeldomPerPeer::default(), Instant::now());
        let peer = |number: u32| IpAddr::V4(number.into());
        assert!(seldom.may_at(peer(1), now));
        assert!(!seldom.may_at(peer(1), now + SELDOM / 2));
        assert!(seldom.may_at(peer(2), now));
        assert!(seldom.may_at(peer(1), now + SELDOM));
        for number in 0..PEERS as u32 * 2 {
            let _ = seldom.may_at(peer(number), now + SELDOM);
        }
        assert_eq!(seldom.0.lock().unwrap().len(), PEERS);
        assert!(seldom.may_at(peer(u32::MAX), now + 2 * SELDOM));
    }
}
