//! Images: which of them the engine has, and which a tenant may see.
//!
//! The list is read once and kept, so that a create costs no question to the engine. It is read
//! again when an action changed it, and when something is looked for that is not in it, but then
//! not more than once a second.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cofferdam_action::action::{Action, ImageListQuery};
use cofferdam_action::image::{ImageRef, ImageSelector, ImageVersion};
use serde_json::Value;
use tokio::sync::Mutex;

use super::Tenancy;
use super::engine::{Engine, EngineFailure};
use super::owner::Tenant;

/// How old the list may be when something is not in it.
const MISSING: Duration = Duration::from_secs(1);

/// What the engine has, as far as the broker knows.
#[derive(Debug, Default)]
pub(super) struct Images {
    known: RwLock<Arc<Known>>,
    /// Goes up with every change; a list is as new as the number that was read before it.
    changes: AtomicU64,
    reading: Mutex<()>,
}

/// One list of the engine's.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Names by full id, `sha256:…`.
    by_id: HashMap<String, Vec<ImageRef>>,
    by_name: HashMap<ImageRef, String>,
    read: Option<Instant>,
    changes: u64,
}

/// What the floor wants to know of the images that an action names; see
/// [`Caller`](cofferdam_action::floor::Caller).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerImages {
    /// Those that are tags of the caller's own.
    pub own: BTreeSet<ImageRef>,
    /// Those that the engine has, and new names that somebody else has. For a pull and a new tag the
    /// others of the same repository too.
    pub local: BTreeSet<ImageRef>,
    /// Those that are tags of somebody else's, which the caller may not use.
    pub foreign: BTreeSet<ImageRef>,
}

impl<E: Engine> Tenancy<E> {
    /// What the floor wants to know of the images that a resolved action names.
    #[must_use]
    pub fn caller_images(&self, action: &Action, tenant: &Tenant) -> CallerImages {
        let known = self.images.known();
        let mut images = CallerImages::default();
        // What is made or pulled is one's own, whoever sees all.
        let sees_others = tenant.sees_all && !action.references().is_empty();
        let sees_others = sees_others && !matches!(action, Action::ContainerCreate(_));
        for image in named(action) {
            let owner = self.store.tag_owner(image);
            match owner {
                Some(owner) if owner == tenant.owner => images.own.insert(image.clone()),
                Some(_) if !sees_others => images.foreign.insert(image.clone()),
                _ => false,
            };
            if owner.is_some() || known.has(image) {
                images.local.insert(image.clone());
            }
        }
        if let Action::ImagePull { image, .. } | Action::ImageTag { target: image, .. } = action {
            for other in known.versions_of(image) {
                images.local.insert(other.clone());
                match self.store.tag_owner(other) {
                    Some(owner) if owner == tenant.owner => images.own.insert(other.clone()),
                    Some(_) if !sees_others => images.foreign.insert(other.clone()),
                    _ => false,
                };
            }
        }
        images
    }
}

/// The names of images in an action.
pub(crate) fn named(action: &Action) -> Vec<&ImageRef> {
    match action {
        Action::ContainerCreate(create) => vec![&create.image],
        Action::ImagePull { image, .. } => vec![image],
        Action::ImageTag { image, target } => name_of(image).into_iter().chain([target]).collect(),
        Action::ImageInspect { image }
        | Action::ImageHistory { image }
        | Action::ImageRemove { image, .. } => name_of(image).into_iter().collect(),
        _ => Vec::new(),
    }
}

impl Images {
    /// The list as it was last read.
    pub(super) fn known(&self) -> Arc<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Takes note that the engine's images have changed.
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// A list that has what is looked for, or is new enough to say that the engine does not.
    pub(super) async fn find(
        &self,
        engine: &impl Engine,
        has: impl Fn(&Known) -> bool,
    ) -> Result<Arc<Known>, EngineFailure> {
        let enough = |known: &Known| {
            let is_current = known.changes == self.changes.load(Ordering::Relaxed);
            let age = known.read.map(|read| read.elapsed());
            is_current && age.is_some_and(|age| age < MISSING || has(known))
        };
        let known = self.known();
        if enough(&known) {
            return Ok(known);
        }
        // Whoever waited here finds what the one before has read.
        let _reading = self.reading.lock().await;
        let known = self.known();
        if enough(&known) {
            return Ok(known);
        }
        let changes = self.changes.load(Ordering::Relaxed);
        let query = ImageListQuery {
            digests: true,
            ..ImageListQuery::default()
        };
        let mut known = Known {
            read: Some(Instant::now()),
            changes,
            ..Known::default()
        };
        let take = |_: &str, image: Value| {
            known.add(&image);
            None
        };
        let reply = engine.ask_each(&Action::ImageList(query), take).await?;
        reply.json("GET /images/json")?;
        let known = Arc::new(known);
        let mut current = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *current = known.clone();
        Ok(known)
    }
}

impl Known {
    /// Takes note of an element of the engine's list.
    fn add(&mut self, image: &Value) {
        let Some(id) = image.get("Id").and_then(Value::as_str) else {
            return;
        };
        let texts = |member| image.get(member).and_then(Value::as_array);
        let names = [texts("RepoTags"), texts("RepoDigests")];
        let names = names.into_iter().flatten().flatten();
        let names: Vec<ImageRef> = names
            .filter_map(|name| ImageRef::parse(name.as_str()?).ok())
            .collect();
        for name in &names {
            self.by_name.insert(name.clone(), id.to_owned());
        }
        self.by_id.insert(id.to_owned(), names);
    }

    /// Whether the engine has an image of this name.
    pub(super) fn has(&self, image: &ImageRef) -> bool {
        self.by_name.contains_key(image)
    }

    /// The names of the repository that an image is of.
    pub(super) fn versions_of(&self, image: &ImageRef) -> impl Iterator<Item = &ImageRef> {
        let names = self.by_name.keys();
        names.filter(|other| other.is_version_of(image))
    }

    /// Every image's names.
    pub(super) fn all(&self) -> impl Iterator<Item = &[ImageRef]> {
        self.by_id.values().map(Vec::as_slice)
    }

    /// The tags of each image whose id begins with these digits; digests where it has no tag.
    pub(super) fn by_prefix(&self, digits: &str) -> impl Iterator<Item = Vec<&ImageRef>> {
        let matching = self.by_id.iter().filter(move |(id, _)| {
            let id = id.strip_prefix("sha256:").unwrap_or(id);
            id.starts_with(digits)
        });
        matching.map(|(_, names)| {
            let is_tag = |name: &&ImageRef| matches!(name.version(), ImageVersion::Tag(_));
            let tags: Vec<_> = names.iter().filter(is_tag).collect();
            match tags.is_empty() {
                true => names.iter().collect(),
                false => tags,
            }
        })
    }
}

fn name_of(image: &ImageSelector) -> Option<&ImageRef> {
    match image {
        ImageSelector::Name(name) => Some(name),
        ImageSelector::Id(_) => None,
    }
}

/// The digits of an id that is shorter than an id must be to be told from a name: `docker rmi 3fa`
/// comes as the name `3fa:latest`.
pub(super) fn short_id(image: &ImageRef) -> Option<&str> {
    let name = image.repository().strip_prefix("library/")?;
    let is_hex = name
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_plain = image.registry() == "docker.io" && image.version().as_str() == "latest";
    (is_hex && is_plain && name.len() < 12).then_some(name)
}
