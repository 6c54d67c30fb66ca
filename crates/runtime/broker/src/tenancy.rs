//! Whose what is: owners, names per tenant, and what a tenant sees of the engine's answers.
//!
//! A request passes here four times. [`Tenancy::resolve`] puts full ids and the engine's names in
//! the place of what the caller wrote, and knows no object but the caller's own. After the floor
//! has judged, [`mark()`] leaves the broker's mark on what is made. [`Tenancy::begin`] says how the
//! engine's answer is to be shown, and [`Tenancy::settle`] takes note of what became of the objects.
//! Ownership is decided by the [`Store`] alone; a label is never asked.

mod begin;
mod engine;
mod images;
mod mark;
mod names;
mod owner;
mod prune;
mod reconcile;
mod resolve;
mod settle;
mod sight;
mod store;
mod view;
mod volumes;

use std::sync::{Arc, PoisonError, RwLock};

use cofferdam_action::floor;

pub use begin::Begun;
pub use engine::{Engine, EngineFailure, Reply};
pub use images::CallerImages;
pub use mark::mark;
pub use owner::{Kind, NotAnOwner, Object, Owner, Tenant};
pub use prune::{PruneBroken, Pruned};
pub use reconcile::Reconciled;
pub use settle::Settled;
pub use store::{Counts, JournalError, Store};
pub use view::{JsonView, LinesView, View, ViewError};

use images::Images;
pub(crate) use images::named;

/// Everything that knows whose what is.
#[derive(Debug)]
pub struct Tenancy<E> {
    engine: E,
    store: Store,
    images: Images,
    allowed: RwLock<Arc<floor::Images>>,
}

impl<E: Engine> Tenancy<E> {
    /// With the owners in `store`, and the images that the floor's configuration allows. Nothing is
    /// asked of the engine yet.
    #[must_use]
    pub fn new(store: Store, engine: E, allowed: floor::Images) -> Self {
        Self {
            engine,
            store,
            images: Images::default(),
            allowed: RwLock::new(Arc::new(allowed)),
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Takes another configuration of images, after a reload.
    pub fn allow(&self, allowed: floor::Images) {
        let mut current = self.allowed.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(allowed);
    }

    /// What the engine says in an error, as the tenant may hear it: without the prefix of their own
    /// names and without the engine's own directories, and not at all where it names an object of
    /// another.
    #[must_use]
    pub fn message(&self, tenant: &Tenant, text: &str) -> String {
        names::message(text, &tenant.owner, tenant.sees_all)
    }

    fn allowed(&self) -> Arc<floor::Images> {
        let current = self.allowed.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }
}
