//! What was made or went while the broker was not there.

use std::collections::{BTreeSet, HashMap, HashSet};

use cofferdam_action::action::{Action, ActionKind, ContainerListQuery};
use cofferdam_action::filter::Filters;
use cofferdam_audit::record::Decision;
use serde_json::Value;

use super::engine::{Engine, EngineFailure};
use super::owner::{Kind, Owner};
use super::volumes::{is_anonymous, mounted};
use super::{Tenancy, mark, names};

/// What a reconciliation changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Objects that the engine no longer has.
    pub gone: usize,
    /// Objects that were made for an intent in the audit log, and whose owner is known again.
    pub adopted: usize,
    /// Objects with a mark whose intent is not in the log, or does not fit. Nobody sees them but
    /// those who see all.
    pub unknown: usize,
}

/// An object as the engine lists it.
#[derive(Debug)]
struct Listed {
    kind: Kind,
    id: String,
    engine_name: String,
    request: Option<String>,
    owner: Option<Owner>,
    /// Of a container, the volumes that it mounts.
    volumes: Vec<String>,
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
        intents: impl FnOnce(&BTreeSet<String>) -> HashMap<String, Decision>,
    ) -> Result<Reconciled, EngineFailure> {
        // What the store knew before the engine listed is gone if it is not in the list. What is
        // made meanwhile is in neither.
        let before =
            [Kind::Container, Kind::Network, Kind::Volume].map(|kind| self.store.all(kind));
        let tags = self.store.tags();
        let containers = all_containers();
        let containers = self.list(&containers, Kind::Container).await?;
        let networks = Action::NetworkList {
            filters: Filters::default(),
        };
        let networks = self.list(&networks, Kind::Network).await?;
        let volumes = Action::VolumeList {
            filters: Filters::default(),
        };
        let volumes = self.list(&volumes, Kind::Volume).await?;
        let images = self.images.find(&self.engine, |_| false).await?;

        let mut reconciled = Reconciled::default();
        let kinds = [Kind::Container, Kind::Network, Kind::Volume];
        let lists = [containers, networks, volumes];
        let mut strangers = Vec::new();
        let mut mounting = Vec::new();
        for ((kind, list), before) in kinds.into_iter().zip(lists).zip(before) {
            // An engine without such a route has no such objects, and tells nothing of them.
            let Some(mut listed) = list else { continue };
            for container in &mut listed {
                let volumes = std::mem::take(&mut container.volumes);
                if !volumes.is_empty() {
                    mounting.push((container.id.clone(), volumes));
                }
            }
            let there: HashSet<&str> = listed.iter().map(|listed| &*listed.id).collect();
            let names: HashMap<&str, &str> = before.iter().map(|it| (&*it.id, &*it.name)).collect();
            for found in before.iter().filter(|found| !there.contains(&*found.id)) {
                // A journal that cannot be written has the object again at the next start, which
                // comes here first.
                let _ = self.store.gone(kind, &found.id);
                reconciled.gone += 1;
            }
            for listed in listed {
                match self.store.object(kind, &listed.id) {
                    Some(found) => {
                        if let Some(name) = names.get(&*listed.id) {
                            self.note_name(&listed, &found.owner, name);
                        }
                    }
                    None if listed.request.is_some() => strangers.push(listed),
                    None => {}
                }
            }
        }
        for (image, _) in tags.iter().filter(|(image, _)| !images.has(image)) {
            let _ = self.store.untag(image);
            reconciled.gone += 1;
        }
        self.adopt(strangers, intents, &mut reconciled);
        // Volumes that a create made by name or without one carry no mark; their containers tell.
        for (container, volumes) in mounting {
            if let Some(owner) = self.store.owner_of(Kind::Container, &container) {
                for volume in &volumes {
                    self.own_volume(volume, owner);
                }
            }
        }
        Ok(reconciled)
    }

    /// Takes note of one of the engine's events, a line of `GET /events` without filters: objects
    /// that are gone, whoever removed them, and images that came or went. Whether something was made
    /// or named, which may be what nobody knows of an action that was not answered.
    pub fn observe(&self, line: &[u8]) -> bool {
        let Ok(event) = serde_json::from_slice::<Value>(line) else {
            return false;
        };
        let member = |name| event.get(name).and_then(Value::as_str).unwrap_or_default();
        let actor = event.get("Actor");
        let id = actor.and_then(|actor| actor.get("ID")?.as_str());
        let id = id.unwrap_or_default();
        let kind = match (member("Type"), member("Action")) {
            ("container", "destroy") => Kind::Container,
            ("network", "destroy" | "remove") => Kind::Network,
            ("volume", "destroy") => Kind::Volume,
            ("container", "create" | "rename") | ("network" | "volume", "create") => return true,
            ("image", action) => {
                self.images.changed();
                return action == "tag";
            }
            _ => return false,
        };
        // As at a reconciliation, which comes before the store is used again.
        let _ = self.store.gone(kind, id);
        false
    }

    /// A list of the engine's; nothing where it has no such route. Of each object only that much is
    /// held, since the list has whatever anybody has put into their labels and commands.
    async fn list(
        &self,
        action: &Action,
        kind: Kind,
    ) -> Result<Option<Vec<Listed>>, EngineFailure> {
        let mut listed = Vec::new();
        let take = |_: &str, object: Value| {
            if let Some(mut object) = Listed::of(&object, kind) {
                let is_new = |volume: &String| self.store.owner_of(Kind::Volume, volume).is_none();
                object.volumes.retain(is_new);
                listed.push(object);
            }
            None
        };
        let reply = self.engine.ask_each(action, take).await?;
        if reply.status == 404 {
            return Ok(None);
        }
        reply.json(match kind {
            Kind::Container => "GET /containers/json",
            Kind::Network => "GET /networks",
            _ => "GET /volumes",
        })?;
        Ok(Some(listed))
    }

    /// A container that was renamed before the broker could take note of it. `name` is what the
    /// store had before the engine was asked: what was renamed since is not in the list.
    fn note_name(&self, listed: &Listed, owner: &Owner, name: &str) {
        if listed.kind != Kind::Container {
            return;
        }
        if let Some((of, now)) = names::split(&listed.engine_name)
            && of == *owner
            && now != name
        {
            let _ = self.store.rename_from(&listed.id, name, now);
        }
    }

    /// Gives back to their owners what was made for an intent of theirs. The mark leads to the
    /// intent, and the intent decides.
    fn adopt(
        &self,
        strangers: Vec<Listed>,
        intents: impl FnOnce(&BTreeSet<String>) -> HashMap<String, Decision>,
        reconciled: &mut Reconciled,
    ) {
        let requests: BTreeSet<String> = strangers
            .iter()
            .filter_map(|it| it.request.clone())
            .collect();
        if requests.is_empty() {
            return;
        }
        let intents = intents(&requests);
        for stranger in strangers {
            let intent = stranger.request.as_ref().and_then(|id| intents.get(id));
            let whose = intent.and_then(|intent| stranger.fits(intent));
            match whose {
                Some((owner, name)) => {
                    let _ = self.store.own(stranger.kind, &stranger.id, owner, name);
                    reconciled.adopted += 1;
                }
                None => reconciled.unknown += 1,
            }
        }
    }
}

impl Listed {
    /// An object of a list, with the broker's marks.
    fn of(object: &Value, kind: Kind) -> Option<Self> {
        let text = |member| object.get(member).and_then(Value::as_str);
        let engine_name = match kind {
            Kind::Container => object
                .get("Names")?
                .get(0)?
                .as_str()?
                .trim_start_matches('/'),
            _ => text("Name")?,
        };
        let id = match kind {
            Kind::Volume => engine_name,
            _ => text("Id")?,
        };
        let label = |name| object.get("Labels")?.get(name)?.as_str();
        Some(Self {
            kind,
            id: id.to_owned(),
            engine_name: engine_name.to_owned(),
            request: label(mark::OPERATION).map(str::to_owned),
            owner: label(mark::OWNER).and_then(|owner| Owner::parse(owner).ok()),
            volumes: mounted(object).map(str::to_owned).collect(),
        })
    }

    /// The owner and the name, if this is what the intent was of.
    fn fits(&self, intent: &Decision) -> Option<(Owner, &str)> {
        let owner = self.owner.filter(|owner| owner.as_str() == intent.owner)?;
        let made_by = match self.kind {
            Kind::Container => [ActionKind::ContainerCreate; 2],
            Kind::Network => [ActionKind::NetworkCreate; 2],
            // A mount makes volumes too.
            _ => [ActionKind::VolumeCreate, ActionKind::ContainerCreate],
        };
        if !made_by.iter().any(|kind| kind.id() == intent.action) {
            return None;
        }
        match names::split(&self.engine_name) {
            Some((of, name)) => {
                let is_named = intent.objects.iter().any(|object| object == name);
                (of == owner && is_named).then_some((owner, name))
            }
            None if self.kind == Kind::Volume && is_anonymous(&self.engine_name) => {
                Some((owner, &self.engine_name))
            }
            None => None,
        }
    }
}

fn all_containers() -> Action {
    Action::ContainerList(ContainerListQuery {
        all: true,
        ..ContainerListQuery::default()
    })
}
