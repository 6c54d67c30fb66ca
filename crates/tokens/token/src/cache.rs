//! Tokens that were verified, so that a client's next request costs a hash instead of a signature.
//!
//! Token caches have been a rich source of holes, so: the key is a digest of the whole token
//! (CVE-2026-35030 kept 20 characters), each verifier has a cache of its own, so that the policy is
//! part of it, and an entry serves only while its issuer's keys are those that verified it. What is
//! kept is facts; time, binding and everything a route asks are judged on every hit.
//!
//! Of tokens that had to make room the digest stays for a while longer, which takes 16 bytes for
//! each. Such a token is read and judged again as if it had never been seen; only its signature,
//! which is most of the work, is not computed a second time under the same keys.
//!
//! The digest is the tag of AES-256-GCM over the token, under a secret of this cache (GMAC, NIST SP
//! 800-38D §3), which takes a quarter of the time of SHA-256. Two texts of up to 64 KiB have one
//! tag with a probability of at most 2^-115, whatever they are, to whoever does not know the secret.
//! That the nonce is always the same gives nothing away here, as it would where tags are sent: none
//! leaves the cache, so nobody can learn the secret from them.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand;

use crate::verifier::Verified;

/// How many tokens share a set.
const WAYS: usize = 8;
/// How often a token's use is counted, so that one that is not used any more is forgotten in turn.
const MOST_USES: u8 = 3;
/// For how many tokens a set remembers that their signatures are right.
const SIGNED: usize = 4 * WAYS;

/// The digest of a token.
pub(crate) type Key = [u8; 16];

/// Sets of a few tokens, each with a lock of its own. In which set a token may be its key says.
///
/// With many tokens nearly every look-up finds the processor's caches without what it wants, so the
/// way to a token is short: one set, and behind it the token itself.
pub(crate) struct Cache {
    sets: Box<[Set]>,
    secret: LessSafeKey,
    /// How many of a set's places are used.
    ways: usize,
}

/// Two lines of the processor's cache, and no line is shared with another set.
#[derive(Default)]
#[repr(align(64))]
struct Set(Mutex<Ways>);

/// A clock with counters: the hand takes a use from each token that it passes, and what has none
/// left makes room. A token that comes once goes before one that has come again.
#[derive(Default)]
#[repr(C)]
struct Ways {
    /// Some bits of each token's key, so that others need not be looked at.
    tags: [u16; WAYS],
    uses: [u8; WAYS],
    hand: u8,
    oldest: u8,
    hits: u64,
    misses: u64,
    tokens: [Option<Verified>; WAYS],
    /// The signatures that were found right last, as [`mark`] has them; the oldest is replaced. Of a
    /// token that is kept they are not looked at, so they lie elsewhere.
    signed: Box<[Key; SIGNED]>,
}

impl Cache {
    /// A cache for about `capacity` tokens, and never more. `None` where the system has no
    /// randomness to give.
    pub(crate) fn new(capacity: usize) -> Option<Cache> {
        let mut secret = [0; 32];
        rand::fill(&mut secret).ok()?;
        Some(Cache {
            sets: (0..(capacity / WAYS).max(1))
                .map(|_| Set::default())
                .collect(),
            secret: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &secret).ok()?),
            ways: capacity.clamp(1, WAYS),
        })
    }

    /// `None` for a text that is too long for the algorithm, which no token is.
    pub(crate) fn key(&self, token: &[u8]) -> Option<Key> {
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let token = Aad::from(token);
        let tag = self
            .secret
            .seal_in_place_separate_tag(nonce, token, &mut [])
            .ok()?;
        tag.as_ref().try_into().ok()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Verified> {
        let mut set = self.set(key);
        let Some(way) = set.find(key) else {
            set.misses += 1;
            return None;
        };
        set.hits += 1;
        set.uses[way] = (set.uses[way] + 1).min(MOST_USES);
        set.tokens[way].clone()
    }

    /// Whether the signature of the token was found right, with the keys of this generation.
    pub(crate) fn is_signed(&self, key: &Key, generation: u64) -> bool {
        self.set(key).signed.contains(&mark(key, generation))
    }

    /// Keeps a token under the key that it was verified with.
    pub(crate) fn insert(&self, token: Verified) {
        let mut set = self.set(token.key());
        set.sign(mark(token.key(), token.generation()));
        let way = match set.find(token.key()) {
            Some(way) => way,
            None => set.make_room(self.ways),
        };
        set.tags[way] = tag(token.key());
        set.uses[way] = 0;
        let before = set.tokens[way].replace(token);
        // What is given up is freed without the lock.
        drop(set);
        drop(before);
    }

    pub(crate) fn remove(&self, key: &Key) {
        let mut set = self.set(key);
        if let Some(way) = set.find(key) {
            set.uses[way] = 0;
            set.tokens[way] = None;
        }
    }

    pub(crate) fn len(&self) -> usize {
        let count = |set: &Set| set.lock().tokens.iter().flatten().count();
        self.sets.iter().map(count).sum()
    }

    /// How often a token was found, and how often not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        self.sets.iter().fold((0, 0), |(hits, misses), set| {
            let set = set.lock();
            (hits + set.hits, misses + set.misses)
        })
    }

    fn set(&self, key: &Key) -> MutexGuard<'_, Ways> {
        let (words, _) = key.as_chunks::<8>();
        // A number below the number of sets, since the word is below 2^64.
        let index = (u128::from(u64::from_le_bytes(words[0])) * self.sets.len() as u128) >> 64;
        self.sets[index as usize].lock()
    }
}

impl Set {
    fn lock(&self) -> MutexGuard<'_, Ways> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ways {
    fn find(&self, key: &Key) -> Option<usize> {
        let wanted = tag(key);
        let is_it = |token: &Option<Verified>| token.as_ref().is_some_and(|it| it.key() == key);
        (0..WAYS).find(|&way| self.tags[way] == wanted && is_it(&self.tokens[way]))
    }

    /// Remembers that a signature is right.
    fn sign(&mut self, mark: Key) {
        if !self.signed.contains(&mark) {
            let oldest = usize::from(self.oldest);
            self.signed[oldest] = mark;
            self.oldest = ((oldest + 1) % SIGNED) as u8;
        }
    }

    /// A place that is free, or the next whose token has no use left.
    fn make_room(&mut self, ways: usize) -> usize {
        if let Some(free) = self.tokens[..ways].iter().position(Option::is_none) {
            return free;
        }
        loop {
            let way = usize::from(self.hand) % ways;
            self.hand = ((way + 1) % ways) as u8;
            if self.uses[way] == 0 {
                return way;
            }
            self.uses[way] -= 1;
        }
    }
}

fn tag(key: &Key) -> u16 {
    u16::from_le_bytes([key[14], key[15]])
}

/// A token's key and the generation of the keys that verified it, in one. Generations are counted from
/// 1, so another pair has the same mark only where two keys differ by a small number, which is as
/// unlikely as two equal ones; and a free place, all zeros, is no more likely.
fn mark(key: &Key, generation: u64) -> Key {
    u128::from_le_bytes(*key)
        .wrapping_add(generation.into())
        .to_le_bytes()
}

/// How many it may keep; the tokens are nobody's business.
impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("capacity", &(self.sets.len() * self.ways))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_signature_that_was_right_the_last_ones_are_remembered_with_their_keys() {
        let cache = Cache::new(1).unwrap();
        let digest = |number: u8| [number; 16];
        let last = SIGNED as u8;
        for number in 0..last {
            cache.set(&digest(number)).sign(mark(&digest(number), 7));
            // The same once more takes no other's place.
            cache.set(&digest(number)).sign(mark(&digest(number), 7));
        }
        assert!((0..last).all(|number| cache.is_signed(&digest(number), 7)));
        assert!(!cache.is_signed(&digest(0), 8) && !cache.is_signed(&digest(0), 6));
        assert!(!cache.is_signed(&digest(last), 7));
        cache.set(&digest(last)).sign(mark(&digest(last), 7));
        assert!(cache.is_signed(&digest(last), 7));
        assert!(!cache.is_signed(&digest(0), 7), "the oldest is forgotten");
    }

    #[test]
    fn a_set_takes_two_lines() {
        assert_eq!(size_of::<Set>(), 128);
    }
}
