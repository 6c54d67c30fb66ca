//! Where an issuer's current keys are kept.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Jwk, JwkSet};

/// The current keys of one issuer, shared by whoever verifies with them and whoever refreshes them.
///
/// Each replacement counts up a generation, so that a decision which was made with the old set can
/// be told from one made with the new.
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
        self.set(Some(Arc::new(keys)));
    }

    /// Forgets the keys: they are too old to be trusted.
    pub fn clear(&self) {
        self.set(None);
    }

    /// The keys at this moment.
    pub fn keys(&self) -> Option<Arc<JwkSet>> {
        self.current().keys
    }

    /// How often the keys were replaced.
    pub fn generation(&self) -> u64 {
        self.current().generation
    }

    pub(crate) fn current(&self) -> Current {
        // Nothing in here can be left half-written by a panic.
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, keys: Option<Arc<JwkSet>>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.keys = keys;
        current.generation += 1;
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
