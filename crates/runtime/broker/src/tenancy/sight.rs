//! What a tenant sees: which objects, under which names, which images.

use std::sync::Arc;

use cofferdam_action::floor;
use cofferdam_action::image::ImageRef;

use super::names;
use super::owner::{Kind, Owner, Tenant};
use super::store::{Found, Store};

/// What one tenant sees.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub(super) store: Store,
    pub(super) owner: Owner,
    pub(super) sees_all: bool,
    allowed: Arc<floor::Images>,
}

impl Sight {
    pub(super) fn new(tenant: &Tenant, store: &Store, allowed: Arc<floor::Images>) -> Self {
        Self {
            store: store.clone(),
            owner: tenant.owner,
            sees_all: tenant.sees_all,
            allowed,
        }
    }

    /// Whether an object is seen.
    pub(super) fn sees(&self, kind: Kind, id: &str) -> bool {
        self.sees_all || self.is_own(kind, id)
    }

    /// Whether an object is the tenant's own.
    pub(super) fn is_own(&self, kind: Kind, id: &str) -> bool {
        self.store.owner_of(kind, id) == Some(self.owner)
    }

    /// A name of the engine as the tenant says it: their own without the prefix, any other as it
    /// is.
    pub(super) fn name<'a>(&self, engine_name: &'a str) -> &'a str {
        match names::split(engine_name) {
            Some((owner, name)) if owner == self.owner => name,
            _ => engine_name,
        }
    }

    /// What the engine says in an error, as the tenant may hear it.
    pub(super) fn message(&self, text: &str) -> String {
        names::message(text, &self.owner, self.sees_all)
    }

    /// What the tenant calls an object: their own by their name, any other as the engine does.
    pub(super) fn name_of(&self, found: &Found) -> String {
        let has_name = found.name != found.id;
        match found.owner == self.owner || !has_name {
            true => found.name.to_string(),
            false => names::in_engine(&found.owner, &found.name),
        }
    }

    /// Whether the engine's name of an object that the store does not know is one that the broker
    /// gave for this tenant: the object is being made, or is gone. Nobody chooses such a name.
    pub(super) fn was_own(&self, engine_name: &str) -> bool {
        names::split(engine_name).is_some_and(|(owner, _)| owner == self.owner)
    }

    /// Whether a name of an image, as the engine writes it, is seen: the operator allows it, or the
    /// tenant made it; and nobody else made it.
    pub(super) fn sees_image(&self, text: &str) -> bool {
        // The engine calls what has no name `<none>:<none>`, which is no reference.
        ImageRef::parse(text).is_ok_and(|image| self.sees_image_ref(&image))
    }

    /// The same for a parsed name, of an image that the engine has.
    pub(super) fn sees_image_ref(&self, image: &ImageRef) -> bool {
        match self.store.tag_owner(image) {
            Some(owner) => self.sees_all || owner == self.owner,
            None => self.allowed.local || self.is_allowed(image),
        }
    }

    /// Whether a pattern of the operator's allows an image.
    pub(super) fn is_allowed(&self, image: &ImageRef) -> bool {
        self.allowed
            .allow
            .iter()
            .any(|pattern| pattern.matches(image))
    }

    /// Whether the operator allows what the engine has.
    pub(super) fn allows_local(&self) -> bool {
        self.allowed.local
    }

    /// Whether the operator allows to pull other versions of what the engine has.
    pub(super) fn pulls_local(&self) -> bool {
        self.allowed.pull_local
    }
}
