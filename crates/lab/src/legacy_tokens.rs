//! The opaque API tokens of the old group: who has which, and how often a peer may guess.

use crate::deployment::{hex, random};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// In which time bad tokens are counted.
const WINDOW: Duration = Duration::from_secs(30);
/// How many of them one peer may send in that time.
const TRIES: usize = 10;
/// How many peers are kept in mind.
const PEERS: usize = 10_000;

/// The tokens.
pub(crate) struct LegacyTokens {
    /// Token → tenant.
    tokens: HashMap<String, &'static str>,
    throttled: bool,
    bad: Mutex<HashMap<IpAddr, Vec<Instant>>>,
}

/// What a token is worth.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is this tenant's.
    Tenant(&'static str),
    /// It is nobody's.
    Unknown,
    /// It is nobody's, and the peer has tried too often; seconds until it may again.
    TooMany(u64),
}

impl LegacyTokens {
    /// Makes the tenants' tokens: numbers when they are guessable, else 56 random bits in hexadecimal
    /// digits. That is less than the 64 of OWASP's session management sheet, and long enough only
    /// because guesses are counted: at ten in half a minute they last for billions of years.
    pub(crate) fn new(guessable: bool, throttled: bool) -> std::io::Result<Self> {
        let mut tokens = HashMap::new();
        for (index, tenant) in ["acme", "globex"].into_iter().enumerate() {
            let token = match guessable {
                true => format!("ci-{:06}", 4711 + index),
                false => hex(&random::<7>()?),
            };
            tokens.insert(token, tenant);
        }
        Ok(Self {
            tokens,
            throttled,
            bad: Mutex::default(),
        })
    }

    /// The token of a tenant.
    pub(crate) fn of(&self, tenant: &str) -> Option<&str> {
        let found = self.tokens.iter().find(|(_, owner)| **owner == tenant);
        found.map(|(token, _)| token.as_str())
    }

    /// Looks a token up. A good one always passes, so that nobody is locked out by another behind
    /// the same address.
    pub(crate) fn check(&self, token: &str, peer: IpAddr) -> Verdict {
        if let Some(tenant) = self.tokens.get(token) {
            return Verdict::Tenant(tenant);
        }
        if !self.throttled {
            return Verdict::Unknown;
        }
        let now = Instant::now();
        let mut bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner);
        if bad.len() >= PEERS {
            bad.retain(|_, times| times.iter().any(|time| now - *time < WINDOW));
        }
        let times = bad.entry(peer).or_default();
        times.retain(|time| now - *time < WINDOW);
        if let Some(first) = times.first().filter(|_| times.len() >= TRIES) {
            return Verdict::TooMany((WINDOW - (now - *first)).as_secs() + 1);
        }
        times.push(now);
        Verdict::Unknown
    }
}

/// The tokens themselves stay out of logs.
impl std::fmt::Debug for LegacyTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LegacyTokens")
            .field("throttled", &self.throttled)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_bad_token_waits_and_a_good_one_never_does() {
        let tokens = LegacyTokens::new(false, true).unwrap();
        let peer = [127, 0, 0, 1].into();
        for _ in 0..TRIES {
            assert_eq!(tokens.check("bad", peer), Verdict::Unknown);
        }
        assert!(matches!(
            tokens.check("bad", peer),
            Verdict::TooMany(1..=30)
        ));
        assert_eq!(
            tokens.check(tokens.of("acme").unwrap(), peer),
            Verdict::Tenant("acme")
        );
        assert_eq!(tokens.check("bad", [127, 0, 0, 2].into()), Verdict::Unknown);
    }
}
