//! How much one caller, one address and all together may ask for at once.
//!
//! Every table is bounded. A caller is counted by issuer and owner, so the tokens of one tenant share
//! an allowance, whatever else stands in them: the subject of a CI job names its branch.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use cofferdam_token::Verified;
use cofferdam_token::settings::IssuerSettings;

use crate::config::LimitSettings;

/// How many tenants are told apart at once. Those who ask for nothing are forgotten first.
const TENANTS: usize = 16 << 10;
const SHARDS: usize = 16;

/// Why a request has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Limited {
    /// Too many requests in a short time.
    #[error("too many requests: this caller may make {0} in a second")]
    Rate(u32),
    /// Too many requests that are not answered yet.
    #[error("too many requests at once: this caller may have {0} under way")]
    Concurrent(u32),
    /// Too many streams.
    #[error("too many streams at once: this caller may follow, attach to or copy {0}")]
    Streams(u32),
    /// Too many different callers.
    #[error("too many callers at once")]
    Callers,
}

impl Limited {
    /// After how many seconds another try may be answered: what `Retry-After` says.
    pub(crate) fn retry_after(self) -> u32 {
        match self {
            Limited::Rate(_) | Limited::Concurrent(_) => 1,
            Limited::Streams(_) | Limited::Callers => 5,
        }
    }
}

/// Who is counted: a keyed hash of issuer and owner. Two that collide share an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(u64);

/// Counts requests per tenant.
#[derive(Debug)]
pub(crate) struct Limiter {
    shards: [Mutex<HashMap<Key, Account>>; SHARDS],
    hasher: RandomState,
}

#[derive(Debug)]
struct Account {
    /// Requests that may be made at once, at `at`.
    left: f64,
    at: Instant,
    running: u32,
    streams: u32,
}

/// A request under way. Dropped, it is over.
#[derive(Debug)]
#[must_use = "a request that is not held is over"]
pub(crate) struct Permit {
    limiter: Arc<Limiter>,
    key: Key,
    is_stream: bool,
}

impl Limiter {
    pub(crate) fn new() -> Arc<Limiter> {
        Arc::new(Limiter {
            shards: Default::default(),
            hasher: RandomState::new(),
        })
    }

    /// Whose allowance the holder of a token uses. One whose token does not say whose containers it is
    /// about, to whom the broker refuses everything, has an allowance of their own.
    pub(crate) fn key_of(&self, token: &Verified, issuers: &[IssuerSettings]) -> Key {
        let mut issuers = issuers.iter();
        let settings = issuers.find(|settings| settings.issuer == token.issuer());
        let owner = settings.and_then(|settings| settings.owner_of(token));
        let owner = owner.or(token.subject()).or(token.client_id());
        self.key(token.issuer(), owner.unwrap_or_default())
    }

    fn key(&self, issuer: &str, owner: &str) -> Key {
        Key(self.hasher.hash_one((issuer, owner)))
    }

    /// Counts a request.
    pub(crate) fn admit(
        self: &Arc<Self>,
        key: Key,
        settings: &LimitSettings,
        now: Instant,
    ) -> Result<Permit, Limited> {
        let mut shard = self.shard(key);
        if shard.len() >= TENANTS / SHARDS && !shard.contains_key(&key) {
            shard.retain(|_, account| account.is_busy(settings, now));
            if shard.len() >= TENANTS / SHARDS {
                return Err(Limited::Callers);
            }
        }
        let burst = f64::from(settings.burst);
        let account = shard.entry(key).or_insert(Account {
            left: burst,
            at: now,
            running: 0,
            streams: 0,
        });
        account.left = account.level(settings, now);
        account.at = now;
        if account.left < 1.0 {
            return Err(Limited::Rate(settings.requests_per_second));
        }
        account.left -= 1.0;
        if account.running >= settings.concurrent {
            return Err(Limited::Concurrent(settings.concurrent));
        }
        account.running += 1;
        Ok(Permit {
            limiter: Arc::clone(self),
            key,
            is_stream: false,
        })
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, HashMap<Key, Account>> {
        let shard = &self.shards[key.0 as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn level(&self, settings: &LimitSettings, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        let gained = elapsed * f64::from(settings.requests_per_second);
        (self.left + gained).min(f64::from(settings.burst))
    }

    /// Whether forgetting it would give anything away.
    fn is_busy(&self, settings: &LimitSettings, now: Instant) -> bool {
        self.running > 0
            || self.streams > 0
            || self.level(settings, now) < f64::from(settings.burst)
    }
}

impl Permit {
    /// Counts the request as a stream from now on, so that those who follow logs do not stand in
    /// the way of those who ask.
    pub(crate) fn into_stream(mut self, settings: &LimitSettings) -> Result<Permit, Limited> {
        if !self.is_stream {
            let mut shard = self.limiter.shard(self.key);
            if let Some(account) = shard.get_mut(&self.key) {
                if account.streams >= settings.streams {
                    return Err(Limited::Streams(settings.streams));
                }
                account.running = account.running.saturating_sub(1);
                account.streams += 1;
            }
            drop(shard);
            self.is_stream = true;
        }
        Ok(self)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut shard = self.limiter.shard(self.key);
        if let Some(account) = shard.get_mut(&self.key) {
            let count = match self.is_stream {
                true => &mut account.streams,
                false => &mut account.running,
            };
            *count = count.saturating_sub(1);
        }
    }
}

/// Counts connections, all together and per address.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// Addresses with at least one connection, so there are never more of them than connections.
    per_peer: HashMap<IpAddr, usize>,
}

/// A connection. Dropped, it is over.
#[derive(Debug)]
pub(crate) struct Slot {
    connections: Arc<Connections>,
    peer: IpAddr,
}

impl Connections {
    /// Counts a connection; nothing where there are too many already.
    pub(crate) fn open(self: &Arc<Self>, peer: IpAddr, settings: &LimitSettings) -> Option<Slot> {
        let peer = network(peer);
        let mut counts = self.counts();
        if counts.all >= settings.connections {
            return None;
        }
        let count = counts.per_peer.entry(peer).or_default();
        if *count >= settings.connections_per_peer {
            return None;
        }
        *count += 1;
        counts.all += 1;
        Some(Slot {
            connections: Arc::clone(self),
            peer,
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.connections.counts();
        counts.all = counts.all.saturating_sub(1);
        if let Some(count) = counts.per_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.per_peer.remove(&self.peer);
            }
        }
    }
}

/// Whoever has one IPv6 address has the network of 64 bits around it.
pub(crate) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & (!0 << 64)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings() -> LimitSettings {
        LimitSettings {
            requests_per_second: 10,
            burst: 3,
            concurrent: 2,
            streams: 1,
            connections: 3,
            connections_per_peer: 2,
            ..LimitSettings::default()
        }
    }

    #[test]
    fn a_burst_is_used_up_and_comes_back() {
        let (limiter, settings, now) = (Limiter::new(), settings(), Instant::now());
        let key = limiter.key("i", "alice");
        for _ in 0..3 {
            drop(limiter.admit(key, &settings, now).unwrap());
        }
        assert_eq!(
            limiter.admit(key, &settings, now).unwrap_err(),
            Limited::Rate(10)
        );
        // Another principal is not held up by it.
        drop(
            limiter
                .admit(limiter.key("i", "bob"), &settings, now)
                .unwrap(),
        );
        let later = now + Duration::from_millis(110);
        drop(limiter.admit(key, &settings, later).unwrap());
        assert!(limiter.admit(key, &settings, later).is_err());
    }

    #[test]
    fn streams_are_counted_apart_and_given_back() {
        let (limiter, settings, now) = (Limiter::new(), settings(), Instant::now());
        let settings = LimitSettings {
            burst: 100,
            ..settings
        };
        let key = limiter.key("i", "alice");
        let stream = limiter.admit(key, &settings, now).unwrap();
        let stream = stream.into_stream(&settings).unwrap();
        let first = limiter.admit(key, &settings, now).unwrap();
        let second = limiter.admit(key, &settings, now).unwrap();
        assert_eq!(
            limiter.admit(key, &settings, now).unwrap_err(),
            Limited::Concurrent(2)
        );
        assert_eq!(
            first.into_stream(&settings).unwrap_err(),
            Limited::Streams(1)
        );
        drop((stream, second));
        let next = limiter.admit(key, &settings, now).unwrap();
        drop(next.into_stream(&settings).unwrap());
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_asks_for_nothing() {
        let (limiter, settings, now) = (Limiter::new(), settings(), Instant::now());
        for number in 0..TENANTS * 2 {
            let key = limiter.key("i", &number.to_string());
            // Each has used up a part of its burst, which is whole again a second later.
            drop(limiter.admit(key, &settings, now + Duration::from_secs(number as u64)));
        }
        let held: usize = limiter
            .shards
            .iter()
            .map(|it| it.lock().unwrap().len())
            .sum();
        assert!(held <= TENANTS);
    }

    #[test]
    fn connections_are_bounded_per_address_and_together() {
        let (connections, settings) = (Arc::new(Connections::default()), settings());
        let open = |peer: &str| connections.open(peer.parse().unwrap(), &settings);
        let first = open("192.0.2.1").unwrap();
        let second = open("::ffff:192.0.2.1").unwrap();
        assert!(open("192.0.2.1").is_none());
        let _third = open("2001:db8::1").unwrap();
        assert!(open("192.0.2.2").is_none());
        drop((first, second));
        let _fourth = open("2001:db8::2").unwrap();
        assert!(open("2001:db8::3").is_none());
        assert!(open("192.0.2.2").is_some());
        assert_eq!(connections.counts().per_peer.len(), 1);
    }
}
