//! What was made or went while the broker was not there.

use std::collections::{BTreeSet, HashMap, HashSet};

use cofferdam_action::action::{Action, ActionKind, ContainerListQuery};
use cofferdam_action::filter::Filters;
use cofferdam_audit::record::Decision;
use serde_json::Value;

use super::engine::{Engine, EngineFailure};
use super::owner::{Kind, Owner};
use super::volumes::is_anonymous;
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
        let containers = self.list(&all_containers(), "GET /containers/json").await?;
        let networks = Action::NetworkList {
            filters: Filters::default(),
        };
        let networks = self.list(&networks, "GET /networks").await?;
        let volumes = Action::VolumeList {
            filters: Filters::default(),
        };
        let volumes = self.list(&volumes, "GET /volumes").await?;
        let volumes = volumes.map(|mut answer| match answer.get_mut("Volumes") {
            Some(volumes) => volumes.take(),
            None => Value::Null,
        });
        let images = self.images.find(&self.engine, |_| false).await?;

        let mut reconciled = Reconciled::default();
        let kinds = [Kind::Container, Kind::Network, Kind::Volume];
        let lists = [&containers, &networks, &volumes];
        let mut strangers = Vec::new();
        for ((kind, list), before) in kinds.into_iter().zip(lists).zip(before) {
            // An engine without such a route has no such objects, and tells nothing of them.
            let Some(list) = list else { continue };
            let listed: Vec<Listed> = objects(list, kind).collect();
            let there: HashSet<&str> = listed.iter().map(|listed| &*listed.id).collect();
            for found in before.iter().filter(|found| !there.contains(&*found.id)) {
                // A journal that cannot be written has the object again at the next start, which
                // comes here first.
                let _ = self.store.gone(kind, &found.id);
                reconciled.gone += 1;
            }
            for listed in listed {
                match self.store.object(kind, &listed.id) {
                    Some(found) => self.note_name(&listed, &found.owner, &found.name),
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
        for container in containers.iter().filter_map(Value::as_array).flatten() {
            let id = container.get("Id").and_then(Value::as_str);
            let owner = id.and_then(|id| self.store.owner_of(Kind::Container, id));
            if let Some(owner) = owner {
                self.own_mounted(container, owner);
            }
        }
        Ok(reconciled)
    }

    /// Takes note of one of the engine's events, a line of `GET /events` without filters: objects
    /// that are gone, whoever removed them, and images that came or went.
    pub fn observe(&self, line: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Value>(line) else {
            return;
        };
        let member = |name| event.get(name).and_then(Value::as_str).unwrap_or_default();
        let actor = event.get("Actor");
        let id = actor.and_then(|actor| actor.get("ID")?.as_str());
        let id = id.unwrap_or_default();
        let kind = match (member("Type"), member("Action")) {
            ("container", "destroy") => Kind::Container,
            ("network", "destroy" | "remove") => Kind::Network,
            ("volume", "destroy") => Kind::Volume,
            ("image", _) => return self.images.changed(),
            _ => return,
        };
        // As at a reconciliation, which comes before the store is used again.
        let _ = self.store.gone(kind, id);
    }

    /// A list of the engine's; nothing where it has no such route.
    async fn list(
        &self,
        action: &Action,
        what: &'static str,
    ) -> Result<Option<Value>, EngineFailure> {
        let reply = self.engine.ask(action).await?;
        match reply.status {
            404 => Ok(None),
            _ => reply.json(what).map(Some),
        }
    }

    /// A container that was renamed before the broker could take note of it.
    fn note_name(&self, listed: &Listed, owner: &Owner, name: &str) {
        if listed.kind != Kind::Container {
            return;
        }
        if let Some((of, now)) = names::split(&listed.engine_name)
            && of == *owner
            && now != name
        {
            let _ = self.store.rename(&listed.id, now);
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

/// The objects of a list, with the broker's marks.
fn objects(list: &Value, kind: Kind) -> impl Iterator<Item = Listed> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(move |object| {
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
            Some(Listed {
                kind,
                id: id.to_owned(),
                engine_name: engine_name.to_owned(),
                request: label(mark::OPERATION).map(str::to_owned),
                owner: label(mark::OWNER).and_then(|owner| Owner::parse(owner).ok()),
            })
        })
}
