//! Prunes: the caller's own objects, one by one.

mod until;

use std::collections::BTreeSet;

use cofferdam_action::action::{Action, ContainerListQuery};
use cofferdam_action::filter::{FilterKey, Filters};
use cofferdam_action::name::{ContainerRef, NetworkRef, VolumeRef};
use cofferdam_action::wire::{By, Refused};
use serde_json::{Value, json};

use super::begin::only;
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

/// A prune that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneBroken {
    /// For the caller.
    pub refused: Refused,
    /// Full ids of what is gone nevertheless, for the audit record.
    pub removed: Vec<String>,
    /// Whether the engine may have removed one more: it was asked to, and did not answer.
    pub in_doubt: bool,
}

/// What a prune has removed so far.
#[derive(Debug, Default)]
struct Gone {
    removed: Vec<String>,
    /// Whether the engine was asked for one more and has not answered.
    asked: bool,
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
    /// 400 for a moment that is none; 503 where the engine does not answer, with what it had removed
    /// by then. What it refuses to remove, since it is in use again, stays, as with its own prune.
    pub async fn prune(&self, action: &Action, tenant: &Tenant) -> Result<Pruned, PruneBroken> {
        let (Action::ContainerPrune { filters }
        | Action::NetworkPrune { filters }
        | Action::VolumePrune { filters }) = action
        else {
            return Ok(Pruned {
                body: Value::Null,
                removed: Vec::new(),
            });
        };
        let (narrow, filters) = Narrow::take_from(filters).map_err(|refused| PruneBroken {
            refused,
            removed: Vec::new(),
            in_doubt: false,
        })?;
        let mut gone = Gone::default();
        let pruned = match action {
            Action::ContainerPrune { .. } => {
                self.prune_containers(&narrow, filters, tenant, &mut gone)
                    .await
            }
            Action::NetworkPrune { .. } => {
                self.prune_networks(&narrow, filters, tenant, &mut gone)
                    .await
            }
            _ => {
                self.prune_volumes(&narrow, filters, tenant, &mut gone)
                    .await
            }
        };
        match pruned {
            Ok(body) => Ok(Pruned {
                body,
                removed: gone.removed,
            }),
            Err(failure) => Err(PruneBroken {
                refused: no_answer(&failure),
                removed: gone.removed,
                in_doubt: gone.asked,
            }),
        }
    }

    async fn prune_containers(
        &self,
        narrow: &Narrow,
        mut filters: Filters,
        tenant: &Tenant,
        gone: &mut Gone,
    ) -> Result<Value, EngineFailure> {
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
        let list = self
            .list_own(&list, Kind::Container, narrow, tenant)
            .await?;
        let mut space = 0u64;
        for (found, container) in &list {
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
            if self.remove(&remove, found, Kind::Container, gone).await? {
                let size = container.get("SizeRw").and_then(Value::as_u64);
                space = space.saturating_add(size.unwrap_or(0));
            }
        }
        Ok(json!({ "ContainersDeleted": gone.removed, "SpaceReclaimed": space }))
    }

    async fn prune_networks(
        &self,
        narrow: &Narrow,
        filters: Filters,
        tenant: &Tenant,
        gone: &mut Gone,
    ) -> Result<Value, EngineFailure> {
        let list = Action::NetworkList { filters };
        let list = self.list_own(&list, Kind::Network, narrow, tenant).await?;
        let mut names = Vec::new();
        for (found, _) in &list {
            let Ok(network) = NetworkRef::parse(&found.id) else {
                continue;
            };
            // One that a running container is in is refused by the engine, and stays.
            let remove = Action::NetworkRemove { network };
            if self.remove(&remove, found, Kind::Network, gone).await? {
                names.push(found.name.to_string());
            }
        }
        Ok(json!({ "NetworksDeleted": names }))
    }

    async fn prune_volumes(
        &self,
        narrow: &Narrow,
        mut filters: Filters,
        tenant: &Tenant,
        gone: &mut Gone,
    ) -> Result<Value, EngineFailure> {
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
        let list = self.list_own(&list, Kind::Volume, narrow, tenant).await?;
        let mut names = Vec::new();
        for (found, _) in &list {
            let wanted = named || is_anonymous(&found.id);
            let (true, Ok(volume)) = (wanted, VolumeRef::parse(&found.id)) else {
                continue;
            };
            let remove = Action::VolumeRemove {
                volume,
                force: false,
            };
            if self.remove(&remove, found, Kind::Volume, gone).await? {
                names.push(found.name.to_string());
            }
        }
        Ok(json!({ "VolumesDeleted": names, "SpaceReclaimed": 0 }))
    }

    /// The tenant's own among what the engine lists, as far as they are wanted: whoever sees all
    /// prunes their own too. What they mount and their size are kept of them.
    async fn list_own(
        &self,
        list: &Action,
        kind: Kind,
        narrow: &Narrow,
        tenant: &Tenant,
    ) -> Result<Vec<(Found, Value)>, EngineFailure> {
        let (id, what) = match kind {
            Kind::Container => ("Id", "GET /containers/json"),
            Kind::Network => ("Id", "GET /networks"),
            _ => ("Name", "GET /volumes"),
        };
        let mut own = Vec::new();
        let take = |_: &str, listed: Value| {
            let found = listed.get(id).and_then(Value::as_str);
            let found = found.and_then(|id| self.store.object(kind, id));
            if let Some(found) = found.filter(|found| found.owner == tenant.owner)
                && narrow.wants(&listed, created(&listed))
            {
                own.push((found, only(listed, &["Mounts", "SizeRw"])));
            }
            None
        };
        self.engine.ask_each(list, take).await?.json(what)?;
        Ok(own)
    }

    /// Whether the engine removed an object. Where it is gone already, it was not this prune.
    async fn remove(
        &self,
        remove: &Action,
        found: &Found,
        kind: Kind,
        gone: &mut Gone,
    ) -> Result<bool, EngineFailure> {
        gone.asked = true;
        let reply = self.engine.ask(remove).await?;
        gone.asked = false;
        let removed = (200..300).contains(&reply.status);
        if removed {
            gone.removed.push(found.id.to_string());
        }
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

/// When an object of a list was made. Of a volume `until` is no filter.
fn created(listed: &Value) -> Option<i64> {
    match listed.get("Created")? {
        Value::String(text) => until::seconds(text),
        number => number.as_i64(),
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
