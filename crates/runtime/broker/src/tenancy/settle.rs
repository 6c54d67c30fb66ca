//! What became of an action, for the store.

use cofferdam_action::action::Action;

use super::engine::Engine;
use super::owner::Tenant;
use super::store::JournalError;
use super::{Begun, Tenancy};

/// What the store took note of.
#[derive(Debug, Default)]
#[must_use]
pub struct Settled {
    /// Full ids of what was made, for the audit record.
    pub created: Vec<String>,
    /// Why the journal could not be written. The action is done and the store knows it until the
    /// process ends; an operator should hear of it.
    pub failure: Option<JournalError>,
}

impl<E: Engine> Tenancy<E> {
    /// Takes note of what the engine did: what was made, renamed and removed, and what it turned
    /// out not to have. `status` and `body` are the engine's own answer; of a stream the body is
    /// empty.
    pub async fn settle(
        &self,
        _action: &Action,
        _begun: &Begun,
        _status: u16,
        _body: &[u8],
        _tenant: &Tenant,
    ) -> Settled {
        Settled::default()
    }
}
