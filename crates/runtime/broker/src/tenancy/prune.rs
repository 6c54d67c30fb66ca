//! Prunes: the caller's own objects, one by one.

mod until;

use std::collections::BTreeSet;

use cofferdam_action::action::{Action, ContainerListQuery};
use cofferdam_action::filter::{FilterKey, Filters};
use cofferdam_action::name::{ContainerRef, NetworkRef, VolumeRef};
use cofferdam_action::wire::{By, Refused};
use serde_json::{Value, json};

use super::engine::{Engine, EngineFailure};
use super::owner::{Kind, Tenant};
use super::resolve::no_answer;
use super::store::Found;
use super::volumes::is_anonymous;
use super::{Tenancy, mark};
use until::Until;

/// States in which a container is stopped.
const STOPPED: [&str; 3] = ["created", "exited", "dead"];

/// What a prune removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruned {
    /// The answer's body, as the engine would have it. Its status is 200.
    pub body: Value,
    /// Full ids of what is gone, for the audit record.
    pub removed: Vec<String>,
}

/// What a prune is narrowed to, beyond what the engine's list can apply.
struct Narrow {
    labels_not: BTreeSet<String>,
    until: Option<Until>,
}

impl<E: Engine> Tenancy<E> {
    /// Removes what a prune is of, one object after the other: the engine's own prune would remove
    /// what is another's. It takes the place of the engine's answer and of the settling.
    ///
    /// # Errors
    /// 400 for a moment that is none; 503 where the engine does not answer to the list. What it
    /// refuses to remove, since it is in use again, stays, as with its own prune.
    pub async fn prune(&self, action: &Action, tenant: &Tenant) -> Result<Pruned, Refused> {
        let pruned = match action {
            Action::ContainerPrune { filters } => {
                let (narrow, filters) = Narrow::take_from(filters)?;
                self.prune_containers(&narrow, filters, tenant).await
            }
            Action::NetworkPrune { filters } => {
                let (narrow, filters) = Narrow::take_from(filters)?;
                self.prune_networks(&narrow, filters, tenant).await
            }
            Action::VolumePrune { filters } => {
                let (narrow, filters) = Narrow::take_from(filters)?;
                self.prune_volumes(&narrow, filters, tenant).await
            }
            _ => Ok(Pruned {
                body: Value::Null,
                removed: Vec::new(),
            }),
        };
        pruned.map_err(|failure| no_answer(&failure))
    }

    async fn prune_containers(
        &self,
        narrow: &Narrow,
        mut filters: Filters,
        tenant: &Tenant,
    ) -> Result<Pruned, EngineFailure> {
        let labels = filters.0.entry(FilterKey::Label).or_default();
        labels.insert(format!("{}={}", mark::OWNER, tenant.owner));
        let states = STOPPED.map(str::to_owned);
        filters.0.insert(FilterKey::Status, states.into());
        let list = Action::ContainerList(ContainerListQuery {
            all: true,
            size: true,
            filters,
            ..ContainerListQuery::default()
        });
        let list = self.engine.ask(&list).await?.json("GET /containers/json")?;
        let (mut removed, mut space) = (Vec::new(), 0u64);
        for container in list.as_array().into_iter().flatten() {
            let Some(found) = self.own(Kind::Container, container, "Id", tenant) else {
                continue;
            };
            let created = container.get("Created").and_then(Value::as_i64);
            if !narrow.wants(container, created) {
                continue;
            }
            let Ok(container_ref) = ContainerRef::parse(&found.id) else {
                continue;
            };
            // Its anonymous volumes stay the owner's.
            self.own_mounted(container, found.owner);
            let remove = Action::ContainerRemove {
                container: container_ref,
                force: false,
                volumes: false,
            };
            if self.remove(&remove, &found, Kind::Container).await? {
                let size = container.get("SizeRw").and_then(Value::as_u64);
                space = space.saturating_add(size.unwrap_or(0));
                removed.push(found.id.to_string());
            }
        }
        Ok(Pruned {
            body: json!({ "ContainersDeleted": removed, "SpaceReclaimed": space }),
            removed,
        })
    }

    async fn prune_networks(
        &self,
        narrow: &Narrow,
        filters: Filters,
        tenant: &Tenant,
    ) -> Result<Pruned, EngineFailure> {
        let list = Action::NetworkList { filters };
        let list = self.engine.ask(&list).await?.json("GET /networks")?;
        let (mut removed, mut names) = (Vec::new(), Vec::new());
        for network in list.as_array().into_iter().flatten() {
            let Some(found) = self.own(Kind::Network, network, "Id", tenant) else {
                continue;
            };
            let created = network.get("Created").and_then(Value::as_str);
            let created = created.and_then(until::seconds);
            let (true, Ok(network)) =
                (narrow.wants(network, created), NetworkRef::parse(&found.id))
            else {
                continue;
            };
            // One that a running container is in is refused by the engine, and stays.
            let remove = Action::NetworkRemove { network };
            if self.remove(&remove, &found, Kind::Network).await? {
                names.push(found.name.to_string());
                removed.push(found.id.to_string());
            }
        }
        Ok(Pruned {
            body: json!({ "NetworksDeleted": names }),
            removed,
        })
    }

    async fn prune_volumes(
        &self,
        narrow: &Narrow,
        mut filters: Filters,
        tenant: &Tenant,
    ) -> Result<Pruned, EngineFailure> {
        // The pinned version of the API removes named ones too, unless it is told otherwise.
        let named = match filters.0.remove(&FilterKey::All) {
            Some(values) => values.iter().any(|value| matches!(&**value, "1" | "true")),
            None => true,
        };
        self.learn_volumes(tenant).await?;
        filters
            .0
            .insert(FilterKey::Dangling, ["true".to_owned()].into());
        let list = Action::VolumeList { filters };
        let list = self.engine.ask(&list).await?.json("GET /volumes")?;
        let (mut removed, mut names) = (Vec::new(), Vec::new());
        let volumes = list.get("Volumes").and_then(Value::as_array);
        for volume in volumes.into_iter().flatten() {
            let Some(found) = self.own(Kind::Volume, volume, "Name", tenant) else {
                continue;
            };
            let wanted = narrow.wants(volume, None) && (named || is_anonymous(&found.id));
            let (true, Ok(volume)) = (wanted, VolumeRef::parse(&found.id)) else {
                continue;
            };
            let remove = Action::VolumeRemove {
                volume,
                force: false,
            };
            if self.remove(&remove, &found, Kind::Volume).await? {
                names.push(found.name.to_string());
                removed.push(found.id.to_string());
            }
        }
        Ok(Pruned {
            body: json!({ "VolumesDeleted": names, "SpaceReclaimed": 0 }),
            removed,
        })
    }

    /// What the store knows of a listed object, if it is the tenant's own: whoever sees all prunes
    /// their own too.
    fn own(&self, kind: Kind, listed: &Value, id: &str, tenant: &Tenant) -> Option<Found> {
        let id = listed.get(id)?.as_str()?;
        let found = self.store.object(kind, id)?;
        (found.owner == tenant.owner).then_some(found)
    }

    /// Whether the engine removed an object. Where it is gone already, it was not this prune.
    async fn remove(
        &self,
        remove: &Action,
        found: &Found,
        kind: Kind,
    ) -> Result<bool, EngineFailure> {
        let reply = self.engine.ask(remove).await?;
        let removed = (200..300).contains(&reply.status);
        if removed || reply.status == 404 {
            // Where the journal cannot be written, the next reconciliation forgets it again.
            let _ = self.store.gone(kind, &found.id);
        }
        Ok(removed)
    }
}

impl Narrow {
    /// Takes out of the filters what the engine's lists do not have.
    fn take_from(filters: &Filters) -> Result<(Self, Filters), Refused> {
        let mut filters = filters.clone();
        let labels_not = filters.0.remove(&FilterKey::LabelNot).unwrap_or_default();
        let until = filters.0.remove(&FilterKey::Until).unwrap_or_default();
        let mut moments = until.iter().map(|text| Until::parse(text).ok_or(text));
        let until = match (moments.next(), moments.next()) {
            (None, _) => None,
            (Some(Ok(until)), None) => Some(until),
            (Some(Err(text)), _) => return Err(no_moment(text)),
            (Some(Ok(_)), Some(_)) => return Err(no_moment("more than one")),
        };
        Ok((Self { labels_not, until }, filters))
    }

    fn wants(&self, object: &Value, created: Option<i64>) -> bool {
        let labels = object.get("Labels").and_then(Value::as_object);
        let has = |label: &String| {
            let (name, wanted) = match label.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (&**label, None),
            };
            let value = labels.and_then(|labels| labels.get(name)?.as_str());
            value.is_some_and(|value| wanted.is_none_or(|wanted| wanted == value))
        };
        // As the engine has it: what has all of these labels stays.
        let stays = !self.labels_not.is_empty() && self.labels_not.iter().all(has);
        let old = self
            .until
            .as_ref()
            .is_none_or(|until| created.is_some_and(|created| until.is_after(created)));
        !stays && old
    }
}

fn no_moment(text: &str) -> Refused {
    Refused {
        by: By::Broker,
        status: 400,
        message: format!(
            "{} is no moment for `until`; write a duration such as `24h`, or one time",
            cofferdam_action::refusal::quote(text)
        ),
        rules: Vec::new(),
        scope: None,
        retry_after: None,
    }
}
