//! The store in memory.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use cofferdam_action::image::ImageRef;

use super::Counts;
use super::journal::Change;
use crate::tenancy::names;
use crate::tenancy::owner::{Kind, Owner};

/// Execs that a container may have; the oldest is forgotten beyond it. The engine itself forgets
/// an exec some minutes after its end.
const EXECS: usize = 1024;

/// Made-up names that are remembered as handed out, until their containers are there.
const HANDED_OUT: usize = 1024;

/// An object, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The full id, or the name of a volume in the engine.
    pub(crate) id: Arc<str>,
    /// Whose it is.
    pub(crate) owner: Owner,
    /// What the owner calls it; the id where it has no name.
    pub(crate) name: Arc<str>,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    objects: HashMap<Kind, HashMap<Arc<str>, Entry>>,
    holdings: HashMap<(Owner, Kind), Holding>,
    execs: HashMap<Arc<str>, Exec>,
    /// Execs of a container, the oldest first.
    execs_of: HashMap<Arc<str>, VecDeque<Arc<str>>>,
    tags: HashMap<ImageRef, Owner>,
    claims: HashMap<ImageRef, Owner>,
    handed_out: VecDeque<(Owner, String)>,
}

#[derive(Debug)]
struct Entry {
    owner: Owner,
    name: Arc<str>,
}

/// What one owner has of one kind. Ids are sorted, for prefixes.
#[derive(Debug, Default)]
struct Holding {
    by_name: HashMap<Arc<str>, Arc<str>>,
    ids: BTreeSet<Arc<str>>,
}

#[derive(Debug)]
struct Exec {
    container: Arc<str>,
    principal: Owner,
}

impl Memory {
    /// Makes a change; whether it is one.
    pub(super) fn apply(&mut self, change: &Change) -> bool {
        match change {
            Change::Own {
                kind,
                id,
                owner,
                name,
            } => self.own(*kind, id, *owner, name),
            Change::Rename { id, name } => self.rename(id, name),
            Change::Gone { kind, id } => self.gone(*kind, id),
            Change::Exec {
                id,
                container,
                principal,
            } => self.own_exec(id, container, *principal),
            Change::Tag { image, owner } => self.tags.insert(image.clone(), *owner) != Some(*owner),
            Change::Untag { image } => self.tags.remove(image).is_some(),
        }
    }

    /// The changes that make this memory out of an empty one.
    pub(super) fn snapshot(&self) -> Vec<Change> {
        let objects = self.objects.iter().flat_map(|(kind, objects)| {
            objects.iter().map(|(id, entry)| Change::Own {
                kind: *kind,
                id: id.to_string(),
                owner: entry.owner,
                name: entry.name.to_string(),
            })
        });
        // An exec follows its container, and each container's execs stay in their order.
        let execs = self.execs_of.values().flatten().filter_map(|id| {
            let exec = self.execs.get(id)?;
            Some(Change::Exec {
                id: id.to_string(),
                container: exec.container.to_string(),
                principal: exec.principal,
            })
        });
        let tags = self.tags.iter().map(|(image, owner)| Change::Tag {
            image: image.clone(),
            owner: *owner,
        });
        objects.chain(execs).chain(tags).collect()
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            objects: self.objects.values().map(HashMap::len).sum(),
            execs: self.execs.len(),
            tags: self.tags.len(),
        }
    }

    pub(super) fn object(&self, kind: Kind, id: &str) -> Option<Found> {
        let (id, entry) = self.objects.get(&kind)?.get_key_value(id)?;
        Some(entry.found(id))
    }

    pub(super) fn find(&self, owner: &Owner, kind: Kind, text: &str) -> Option<Found> {
        let holding = self.holdings.get(&(*owner, kind))?;
        let id = match (holding.by_name.get(text), kind) {
            (Some(id), _) => id,
            // A volume has no id but its name in the engine.
            (None, Kind::Volume) => return None,
            (None, _) if text.is_empty() => return None,
            (None, _) => holding.by_prefix(text)?,
        };
        self.object(kind, id)
    }

    pub(super) fn all(&self, kind: Kind) -> Vec<Found> {
        let objects = self.objects.get(&kind).into_iter().flatten();
        objects.map(|(id, entry)| entry.found(id)).collect()
    }

    pub(super) fn made_up_name(&mut self, owner: &Owner) -> String {
        let holding = self.holdings.get(&(*owner, Kind::Container));
        let name = names::made_up(|name| {
            let there = holding.is_some_and(|holding| holding.by_name.contains_key(name));
            there
                || self
                    .handed_out
                    .iter()
                    .any(|(to, out)| to == owner && out == name)
        });
        self.handed_out.truncate(HANDED_OUT - 1);
        self.handed_out.push_front((*owner, name.clone()));
        name
    }

    pub(super) fn exec(&self, exec: &str, principal: &Owner) -> Option<Found> {
        let exec = self.execs.get(exec)?;
        if exec.principal != *principal {
            return None;
        }
        self.object(Kind::Container, &exec.container)
    }

    pub(super) fn tag_owner(&self, image: &ImageRef) -> Option<Owner> {
        let owner = self.tags.get(image).or_else(|| self.claims.get(image));
        owner.copied()
    }

    pub(super) fn tags(&self) -> Vec<(ImageRef, Owner)> {
        let tags = self.tags.iter();
        let made = tags.filter(|(image, _)| !self.claims.contains_key(*image));
        made.map(|(image, owner)| (image.clone(), *owner)).collect()
    }

    /// Whether the name is the owner's already or was free, and nobody is at it.
    pub(super) fn claim_tag(&mut self, image: &ImageRef, owner: Owner) -> bool {
        let free = self.tags.get(image).is_none_or(|of| *of == owner);
        let claimed = self.claims.contains_key(image);
        if free && !claimed {
            self.claims.insert(image.clone(), owner);
        }
        free && !claimed
    }

    pub(super) fn release_tag(&mut self, image: &ImageRef) {
        self.claims.remove(image);
    }

    fn own(&mut self, kind: Kind, id: &str, owner: Owner, name: &str) -> bool {
        let objects = self.objects.entry(kind).or_default();
        if objects.contains_key(id) {
            return false;
        }
        let (id, name): (Arc<str>, Arc<str>) = (id.into(), name.into());
        objects.insert(
            id.clone(),
            Entry {
                owner,
                name: name.clone(),
            },
        );
        let holding = self.holdings.entry((owner, kind)).or_default();
        holding.ids.insert(id.clone());
        self.give_name(kind, owner, &id, name);
        true
    }

    fn rename(&mut self, id: &str, name: &str) -> bool {
        let kind = Kind::Container;
        let objects = self.objects.entry(kind).or_default();
        let Some((id, entry)) = objects.get_key_value(id) else {
            return false;
        };
        let (id, owner, before) = (id.clone(), entry.owner, entry.name.clone());
        if *before == *name {
            return false;
        }
        let name: Arc<str> = name.into();
        if let Some(entry) = objects.get_mut(&id) {
            entry.name = name.clone();
        }
        if let Some(holding) = self.holdings.get_mut(&(owner, kind)) {
            holding.forget_name(&before, &id);
        }
        self.give_name(kind, owner, &id, name);
        true
    }

    /// Lets a name lead to an object. The engine gives no name twice, so another object that had
    /// it is gone or was renamed behind the broker's back; that one has its id alone from now on.
    fn give_name(&mut self, kind: Kind, owner: Owner, id: &Arc<str>, name: Arc<str>) {
        let holding = self.holdings.entry((owner, kind)).or_default();
        let before = holding.by_name.insert(name, id.clone());
        let Some(before) = before.filter(|before| before != id) else {
            return;
        };
        let objects = self.objects.entry(kind).or_default();
        if let Some(entry) = objects.get_mut(&before) {
            entry.name = before;
        }
    }

    fn gone(&mut self, kind: Kind, id: &str) -> bool {
        let objects = self.objects.entry(kind).or_default();
        let Some((id, entry)) = objects.remove_entry(id) else {
            return false;
        };
        let key = (entry.owner, kind);
        if let Some(holding) = self.holdings.get_mut(&key) {
            holding.forget_name(&entry.name, &id);
            holding.ids.remove(&id);
            if holding.ids.is_empty() {
                self.holdings.remove(&key);
            }
        }
        if kind == Kind::Container {
            for exec in self.execs_of.remove(&id).into_iter().flatten() {
                self.execs.remove(&exec);
            }
        }
        true
    }

    fn own_exec(&mut self, id: &str, container: &str, principal: Owner) -> bool {
        // The engine never gives an exec's id twice, and an exec does not outlive its container.
        let containers = self.objects.get(&Kind::Container);
        let known = containers.and_then(|objects| objects.get_key_value(container));
        let Some((container, _)) = known else {
            return false;
        };
        if self.execs.contains_key(id) {
            return false;
        }
        let (id, container): (Arc<str>, _) = (id.into(), container.clone());
        let execs = self.execs_of.entry(container.clone()).or_default();
        execs.push_back(id.clone());
        if execs.len() > EXECS
            && let Some(oldest) = execs.pop_front()
        {
            self.execs.remove(&oldest);
        }
        let exec = Exec {
            container,
            principal,
        };
        self.execs.insert(id, exec);
        true
    }
}

impl Counts {
    /// How many changes make a memory of these.
    pub(super) const fn total(&self) -> usize {
        self.objects + self.execs + self.tags
    }
}

impl Entry {
    fn found(&self, id: &Arc<str>) -> Found {
        Found {
            id: id.clone(),
            owner: self.owner,
            name: self.name.clone(),
        }
    }
}

impl Holding {
    /// The one id that begins with `text`. A whole id is a prefix of itself alone.
    fn by_prefix(&self, text: &str) -> Option<&Arc<str>> {
        let from = (Bound::Included(text), Bound::Unbounded);
        let mut found = self
            .ids
            .range::<str, _>(from)
            .take_while(|id| id.starts_with(text));
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// Forgets a name, unless it leads to another object.
    fn forget_name(&mut self, name: &str, id: &str) {
        if self
            .by_name
            .get(name)
            .is_some_and(|leads_to| **leads_to == *id)
        {
            self.by_name.remove(name);
        }
    }
}
