//! Prunes: the caller's own objects, one by one.

use cofferdam_action::action::Action;
use cofferdam_action::wire::Refused;
use serde_json::Value;

use super::engine::Engine;
use super::owner::Tenant;
use super::{Tenancy, resolve};

/// What a prune removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruned {
    /// The answer's body, as the engine would have it. Its status is 200.
    pub body: Value,
    /// Full ids of what is gone, for the audit record.
    pub removed: Vec<String>,
}

impl<E: Engine> Tenancy<E> {
    /// Removes what a prune is of, one object after the other: the engine's own prune would remove
    /// what is another's.
    ///
    /// # Errors
    /// Where the engine does not answer to the list; what it refuses to remove stays, as with its
    /// own prune.
    pub async fn prune(&self, _action: &Action, _tenant: &Tenant) -> Result<Pruned, Refused> {
        Err(resolve::unavailable())
    }
}
