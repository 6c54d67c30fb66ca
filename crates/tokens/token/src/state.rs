//! What must be remembered between requests, and between machines: proofs that were used, tokens
//! that were revoked, answers of introspection.
//!
//! One small trait, in memory by default. An implementation elsewhere (a database) answers with a
//! future; the one here answers at once.

#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "redis")]
pub use self::redis::Redis;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;

/// A key in the store: always a hash, so that what a stranger sends does not decide its size.
pub type Key = [u8; 32];

/// Why the store did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It holds as many entries as it may, and none has expired. Forgetting one would let it be
    /// used again.
    #[error("the store is full")]
    Full,
    /// It cannot be reached.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
}

/// An answer that is there, or one that has to be waited for.
pub enum Answer<'s, T> {
    /// There.
    Ready(Result<T, StateError>),
    /// To be waited for.
    Pending(Pin<Box<dyn Future<Output = Result<T, StateError>> + Send + 's>>),
}

impl<T> Answer<'_, T> {
    /// Waits for it.
    ///
    /// # Errors
    /// What the store says.
    pub async fn get(self) -> Result<T, StateError> {
        match self {
            Answer::Ready(result) => result,
            Answer::Pending(future) => future.await,
        }
    }
}

/// Keys, each with a time until which it is kept, and some with a value. Times are in seconds since
/// 1970-01-01T00:00:00Z.
///
/// A key is used either as a member of a set (`insert`, `contains`) or with a value (`put`, `load`),
/// and since it is a hash over what it is for, never as both.
pub trait State: Send + Sync + fmt::Debug {
    /// Adds a key. True where it was not there before; of two callers at once exactly one is told
    /// so.
    fn insert(&self, key: Key, until: u64, now: u64) -> Answer<'_, bool>;

    /// Whether the key is there.
    fn contains(&self, key: &Key, now: u64) -> Answer<'_, bool>;

    /// Keeps a value, in the place of one that may be there.
    fn put(&self, key: Key, value: Vec<u8>, until: u64, now: u64) -> Answer<'_, ()>;

    /// The value of a key; `None` where there is none, or none any more.
    fn load(&self, key: &Key, now: u64) -> Answer<'_, Option<Vec<u8>>>;
}

/// The hash of several parts, each with its length, so that no two lists give one hash by their
/// ends alone.
pub fn key(parts: &[&str]) -> Key {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

/// The key of a revoked token: its issuer and `jti`, never its text, of which an ECDSA token has
/// two that are valid.
pub fn revocation_key(issuer: &str, token_id: &str) -> Key {
    key(&["revoked", issuer, token_id])
}

/// The store of one process, with a bound on its entries.
#[derive(Debug)]
pub struct Memory {
    capacity: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    kept: HashMap<Key, Entry>,
    /// No entry expires before this, so looking for expired ones sooner finds none.
    next_expiry: u64,
}

#[derive(Debug)]
struct Entry {
    until: u64,
    /// Empty for a member of a set.
    value: Box<[u8]>,
}

impl Memory {
    /// A store for at most `capacity` entries of about 75 bytes each, and what values there are.
    pub fn new(capacity: usize) -> Memory {
        Memory {
            capacity,
            entries: Mutex::default(),
        }
    }

    /// Adds a key at once.
    ///
    /// # Errors
    /// [`StateError::Full`].
    pub fn insert_now(&self, key: Key, until: u64, now: u64) -> Result<bool, StateError> {
        let mut entries = self.lock();
        if entries.get(&key, now).is_some() {
            return Ok(false);
        }
        let value = Box::default();
        entries.set(self.capacity, key, Entry { until, value }, now)?;
        Ok(true)
    }

    /// Whether the key is there.
    pub fn contains_now(&self, key: &Key, now: u64) -> bool {
        self.lock().get(key, now).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn get(&self, key: &Key, now: u64) -> Option<&Entry> {
        self.kept.get(key).filter(|entry| entry.until > now)
    }

    fn set(&mut self, capacity: usize, key: Key, entry: Entry, now: u64) -> Result<(), StateError> {
        if self.kept.len() >= capacity && now >= self.next_expiry {
            self.kept.retain(|_, entry| entry.until > now);
            let times = self.kept.values().map(|entry| entry.until);
            self.next_expiry = times.min().unwrap_or(0);
        }
        if self.kept.len() >= capacity && !self.kept.contains_key(&key) {
            return Err(StateError::Full);
        }
        self.next_expiry = self.next_expiry.min(entry.until);
        self.kept.insert(key, entry);
        Ok(())
    }
}

impl State for Memory {
    fn insert(&self, key: Key, until: u64, now: u64) -> Answer<'_, bool> {
        Answer::Ready(self.insert_now(key, until, now))
    }

    fn contains(&self, key: &Key, now: u64) -> Answer<'_, bool> {
        Answer::Ready(Ok(self.contains_now(key, now)))
    }

    fn put(&self, key: Key, value: Vec<u8>, until: u64, now: u64) -> Answer<'_, ()> {
        let value = value.into_boxed_slice();
        let entry = Entry { until, value };
        Answer::Ready(self.lock().set(self.capacity, key, entry, now))
    }

    fn load(&self, key: &Key, now: u64) -> Answer<'_, Option<Vec<u8>>> {
        let entries = self.lock();
        let value = entries.get(key, now).map(|entry| entry.value.to_vec());
        Answer::Ready(Ok(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_new_once_until_it_expires() {
        let store = Memory::new(10);
        let key = key(&["a"]);
        assert_eq!(store.insert_now(key, 100, 0), Ok(true));
        assert_eq!(store.insert_now(key, 100, 99), Ok(false));
        assert!(store.contains_now(&key, 99) && !store.contains_now(&key, 100));
        assert_eq!(store.insert_now(key, 200, 100), Ok(true));
    }

    #[test]
    fn a_full_store_forgets_the_expired_and_refuses_rather_than_the_rest() {
        let store = Memory::new(2);
        assert_eq!(store.insert_now(key(&["a"]), 10, 0), Ok(true));
        assert_eq!(store.insert_now(key(&["b"]), 20, 0), Ok(true));
        assert_eq!(store.insert_now(key(&["c"]), 30, 5), Err(StateError::Full));
        assert_eq!(store.insert_now(key(&["b"]), 30, 5), Ok(false));
        assert_eq!(store.insert_now(key(&["c"]), 30, 10), Ok(true));
        assert_eq!(store.insert_now(key(&["d"]), 30, 10), Err(StateError::Full));
    }

    #[tokio::test]
    async fn a_value_is_there_until_its_time_and_the_last_one_counts() {
        let store = Memory::new(1);
        let (one, two) = (key(&["1"]), key(&["2"]));
        assert_eq!(store.put(one, vec![1], 10, 0).get().await, Ok(()));
        assert_eq!(store.put(one, vec![2], 10, 0).get().await, Ok(()));
        assert_eq!(store.load(&one, 9).get().await, Ok(Some(vec![2])));
        assert_eq!(store.load(&one, 10).get().await, Ok(None));
        let full = Err(StateError::Full);
        assert_eq!(store.put(two, vec![3], 20, 9).get().await, full);
        assert_eq!(store.put(two, vec![3], 20, 10).get().await, Ok(()));
        assert_eq!(store.load(&two, 10).get().await, Ok(Some(vec![3])));
    }

    #[test]
    fn parts_are_not_run_together() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(revocation_key("a", "b"), revocation_key("ab", ""));
    }
}
