//! What comes right before the engine is asked.

use cofferdam_action::action::Action;
use cofferdam_action::wire::Refused;

use super::engine::Engine;
use super::owner::Tenant;
use super::store::TagClaim;
use super::view::View;
use super::{Tenancy, resolve};

/// An action that is about to be done. It is held until the action is settled.
#[derive(Debug)]
pub struct Begun {
    /// How the engine's answer is shown.
    pub view: View,
    /// A name of an image that nobody else may make meanwhile.
    _claim: Option<TagClaim>,
}

impl<E: Engine> Tenancy<E> {
    /// Makes ready for an action that is allowed and recorded: says how the answer will be shown,
    /// takes note of what the engine will forget by it, and holds what two tenants could want at
    /// once.
    ///
    /// # Errors
    /// Where somebody else is about to make the same name of an image.
    pub async fn begin(&self, _action: &Action, _tenant: &Tenant) -> Result<Begun, Refused> {
        Err(resolve::unavailable())
    }
}
