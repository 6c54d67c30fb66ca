//! Slowing down who guesses tokens.
//!
//! Failures are counted per peer in a table of fixed size. A peer that has used up its allowance is
//! told 429 for each further bad token; a good token is let through all the same, so nobody is
//! locked out by somebody else behind the same address.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many peers are told apart. Two that fall into one slot share an allowance, which costs the
/// honest one nothing but a 429 in the place of a 401.
const SLOTS: usize = 4096;

/// Counts failures per peer.
#[derive(Debug)]
pub struct Throttle {
    /// Per slot: the second of the last failure in the upper half, failures left over in the lower.
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
    burst: u32,
    per_second: u32,
}

impl Throttle {
    /// Lets a peer fail `burst` times at once, and from then on `per_second` times in a second
    /// (at least once).
    pub fn new(burst: u32, per_second: u32) -> Throttle {
        Throttle {
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            burst: burst.max(1),
            per_second: per_second.max(1),
        }
    }

    /// Whether the peer has used up its allowance. `now` is in seconds since 1970-01-01T00:00:00Z.
    pub fn is_exhausted(&self, peer: IpAddr, now: u64) -> bool {
        self.level(self.slot(peer).load(Ordering::Relaxed), now) >= self.burst
    }

    /// Counts a failure, and tells whether the allowance was used up before it.
    pub fn record(&self, peer: IpAddr, now: u64) -> bool {
        let slot = self.slot(peer);
        let mut exhausted = false;
        let update = |packed| {
            let level = self.level(packed, now);
            exhausted = level >= self.burst;
            // The level stays at its bound, so that a flood is forgiven as soon as a trickle.
            let level = level.saturating_add(1).min(self.burst);
            Some((now & 0xFFFF_FFFF) << 32 | u64::from(level))
        };
        // The closure always answers, so the update cannot fail.
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
        exhausted
    }

    /// In how many seconds a failure is allowed again: what `Retry-After` says. It has whole
    /// seconds alone (RFC 9110 §10.2.3), and with at least one failure in a second one of them is
    /// always enough and never more than is asked for. The count is kept in seconds as well: across
    /// a boundary a peer may fail `per_second` times sooner than by a finer clock, and no more
    /// often.
    pub fn retry_after(&self) -> u64 {
        1
    }

    fn slot(&self, peer: IpAddr) -> &AtomicU64 {
        // Whoever has one IPv6 address has the network of 64 bits around it.
        let hash = match peer.to_canonical() {
            IpAddr::V4(address) => self.hasher.hash_one(address.octets()),
            IpAddr::V6(address) => self.hasher.hash_one(&address.octets()[..8]),
        };
        &self.slots[hash as usize % SLOTS]
    }

    fn level(&self, packed: u64, now: u64) -> u32 {
        let (last, level) = ((packed >> 32) as u32, packed as u32);
        let elapsed = (now as u32).wrapping_sub(last);
        level.saturating_sub(elapsed.saturating_mul(self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_comes_back() {
        let throttle = Throttle::new(3, 2);
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..3 {
            assert!(!throttle.record(peer, 1000));
        }
        assert!(throttle.record(peer, 1000) && throttle.is_exhausted(peer, 1000));
        // However long it went on, one second later two more are allowed.
        for _ in 0..1000 {
            assert!(throttle.record(peer, 1000));
        }
        assert!(!throttle.record(peer, 1001));
        assert!(!throttle.record(peer, 1001));
        assert!(throttle.record(peer, 1001));
    }

    #[test]
    fn one_ipv6_network_is_one_peer_and_mapped_addresses_are_ipv4() {
        let throttle = Throttle::new(1, 1);
        assert!(!throttle.record("2001:db8::1".parse().unwrap(), 5));
        assert!(throttle.is_exhausted("2001:db8::ffff".parse().unwrap(), 5));
        assert!(!throttle.record("192.0.2.7".parse().unwrap(), 5));
        assert!(throttle.is_exhausted("::ffff:192.0.2.7".parse().unwrap(), 5));
    }
}
