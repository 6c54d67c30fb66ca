//! Tokens that were verified, so that a client's next request costs a hash instead of a signature.
//!
//! Token caches have been a rich source of holes, so: the key is the SHA-256 of the whole token
//! (CVE-2026-35030 kept 20 characters), each verifier has a cache of its own, so that the policy is
//! part of it, and an entry serves only while its issuer's keys are those that verified it. What is
//! kept is facts; time, binding and everything a route asks are judged on every hit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest;

use crate::verifier::Verified;

const SHARDS: usize = 16;

/// At most twice as many entries as asked for are held for a moment, see [`Shard`].
#[derive(Debug)]
pub(crate) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    /// How many entries the younger half of a shard may have.
    half: usize,
}

/// Two halves: what is used moves to the younger one, and when that is full the older one is thrown
/// away whole. What is used stays, what is not goes, and nothing needs to be kept in order.
#[derive(Debug, Default)]
struct Shard {
    young: HashMap<[u8; 32], Entry>,
    old: HashMap<[u8; 32], Entry>,
    hits: u64,
    misses: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    token: Verified,
    generation: u64,
}

impl Cache {
    /// A cache for about `capacity` tokens, and never more.
    pub(crate) fn new(capacity: usize) -> Cache {
        Cache {
            shards: Default::default(),
            half: (capacity / SHARDS / 2).max(1),
        }
    }

    pub(crate) fn key(token: &str) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        key
    }

    /// The token and the generation of the keys that verified it.
    pub(crate) fn get(&self, key: &[u8; 32]) -> Option<(Verified, u64)> {
        let mut shard = self.shard(key);
        if let Some(entry) = shard.young.get(key) {
            let found = (entry.token.clone(), entry.generation);
            shard.hits += 1;
            return Some(found);
        }
        let Some(entry) = shard.old.remove(key) else {
            shard.misses += 1;
            return None;
        };
        shard.hits += 1;
        let found = (entry.token.clone(), entry.generation);
        shard.insert(*key, entry, self.half);
        Some(found)
    }

    pub(crate) fn insert(&self, key: [u8; 32], token: Verified, generation: u64) {
        self.shard(&key)
            .insert(key, Entry { token, generation }, self.half);
    }

    pub(crate) fn remove(&self, key: &[u8; 32]) {
        let mut shard = self.shard(key);
        shard.young.remove(key);
        shard.old.remove(key);
    }

    pub(crate) fn len(&self) -> usize {
        let lock = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.young.len() + shard.old.len()
        };
        self.shards.iter().map(lock).sum()
    }

    /// How often a token was found, and how often not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        self.shards.iter().fold((0, 0), |(hits, misses), shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            (hits + shard.hits, misses + shard.misses)
        })
    }

    fn shard(&self, key: &[u8; 32]) -> std::sync::MutexGuard<'_, Shard> {
        let shard = &self.shards[usize::from(key[31]) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn insert(&mut self, key: [u8; 32], entry: Entry, half: usize) {
        if self.young.len() >= half {
            // Of the size that it will have, so that it does not grow step by step.
            self.old = std::mem::replace(&mut self.young, HashMap::with_capacity(half));
        }
        self.young.insert(key, entry);
    }
}
