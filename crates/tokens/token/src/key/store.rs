//! Where an issuer's current keys are kept.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Jwk, JwkSet};

/// The current keys of one issuer, shared by whoever verifies with them and whoever refreshes them.
///
/// Each change counts up a generation, so that a decision which was made with the old set can be
/// told from one made with the new. Loading the same keys again is no change.
#[derive(Debug)]
pub struct KeyStore {
    current: RwLock<Current>,
}

#[derive(Clone, Debug)]
pub(crate) struct Current {
    /// `None` before the first load and after the last good set has become too old.
    pub(crate) keys: Option<Arc<JwkSet>>,
    pub(crate) generation: u64,
}

impl KeyStore {
    /// A store with these keys.
    pub fn new(keys: JwkSet) -> KeyStore {
        KeyStore {
            current: RwLock::new(Current {
                keys: Some(Arc::new(keys)),
                generation: 1,
            }),
        }
    }

    /// A store whose keys are still to come; until then tokens are refused with
    /// [`crate::Rejection::KeysUnavailable`].
    pub fn empty() -> KeyStore {
        KeyStore {
            current: RwLock::new(Current {
                keys: None,
                generation: 0,
            }),
        }
    }

    /// Puts new keys in the place of the old ones.
    pub fn replace(&self, keys: JwkSet) {
        let mut current = self.write();
        if !current
            .keys
            .as_ref()
            .is_some_and(|before| before.serves_as(&keys))
        {
            current.generation += 1;
        }
        current.keys = Some(Arc::new(keys));
    }

    /// Forgets the keys: they are too old to be trusted.
    pub fn clear(&self) {
        let mut current = self.write();
        current.keys = None;
        current.generation += 1;
    }

    /// The keys at this moment.
    pub fn keys(&self) -> Option<Arc<JwkSet>> {
        self.current().keys
    }

    /// How often the keys have changed.
    pub fn generation(&self) -> u64 {
        self.read().generation
    }

    pub(crate) fn current(&self) -> Current {
        self.read().clone()
    }

    // Nothing in here can be left half-written by a panic, so a poisoned lock is no reason to stop.
    fn read(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Current> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<JwkSet> for KeyStore {
    fn from(keys: JwkSet) -> KeyStore {
        KeyStore::new(keys)
    }
}

impl From<JwkSet> for Arc<KeyStore> {
    fn from(keys: JwkSet) -> Arc<KeyStore> {
        Arc::new(KeyStore::new(keys))
    }
}

impl From<Jwk> for Arc<KeyStore> {
    fn from(key: Jwk) -> Arc<KeyStore> {
        Arc::new(KeyStore::new(key.into()))
    }
}
