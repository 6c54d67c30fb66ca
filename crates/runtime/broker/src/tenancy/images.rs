//! Images: which of them the engine has, and which a tenant may see.

use std::collections::BTreeSet;

use cofferdam_action::action::Action;
use cofferdam_action::image::ImageRef;

use super::Tenancy;
use super::engine::Engine;
use super::owner::Tenant;

/// What the engine has, as far as the broker knows.
#[derive(Debug, Default)]
pub(super) struct Images {}

/// What the floor wants to know of the images that an action names; see
/// [`Caller`](cofferdam_action::floor::Caller).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerImages {
    /// Those that are tags of the caller's own.
    pub own: BTreeSet<ImageRef>,
    /// Those that the engine has.
    pub local: BTreeSet<ImageRef>,
}

impl<E: Engine> Tenancy<E> {
    /// What the floor wants to know of the images that a resolved action names.
    #[must_use]
    pub fn caller_images(&self, _action: &Action, _tenant: &Tenant) -> CallerImages {
        CallerImages::default()
    }
}
