//! Events: those of the tenant's own objects, and of images that they may see.

use std::collections::BTreeSet;

use cofferdam_action::filter::{FilterKey, Filters};
use cofferdam_action::name::PREDEFINED_NETWORKS;
use serde_json::{Map, Value};

use super::json::{object, rename_member, text};
use crate::tenancy::mark;
use crate::tenancy::owner::Kind;
use crate::tenancy::sight::Sight;

/// Filters by the name or id of an object, which the engine cannot apply: it does not know the
/// tenant's names. Keys narrow each other, the values of one are alternatives.
#[derive(Debug, Default)]
pub(crate) struct EventFilter(Vec<BTreeSet<String>>);

impl EventFilter {
    /// Takes these filters out of those that the engine applies.
    pub(crate) fn take_from(filters: &mut Filters) -> Self {
        let keys = [FilterKey::Container, FilterKey::Network, FilterKey::Volume];
        Self(
            keys.iter()
                .filter_map(|key| filters.0.remove(key))
                .collect(),
        )
    }

    /// As the engine has it: a value is wanted that the id or the name begins with.
    fn wants(&self, id: &str, name: &str) -> bool {
        self.0.iter().all(|values| {
            let mut values = values.iter().map(String::as_str);
            values.any(|value| id.starts_with(value) || name.starts_with(value))
        })
    }
}

/// Shows an event; nothing where it is not for the tenant.
pub(super) fn event(event: &mut Value, filter: &EventFilter, sight: &Sight) -> Option<()> {
    let event = event.as_object_mut()?;
    let kind = text(event, "Type").to_owned();
    let actor = object(event, "Actor")?;
    if !sight.sees_all && !is_own(&kind, actor, sight) {
        return None;
    }
    if kind == "volume" {
        rename_member(actor, "ID", sight);
    }
    if let Some(attributes) = object(actor, "Attributes") {
        attributes.retain(|name, _| !name.starts_with(mark::PREFIX));
        for name in ["name", "oldName"] {
            rename_member(attributes, name, sight);
        }
        // A container of another in one's own network, by an operator's hand.
        let container = text(attributes, "container");
        let owner = sight.store.owner_of(Kind::Container, container);
        if !sight.sees_all && owner.is_some_and(|owner| owner != sight.owner) {
            attributes.remove("container");
        }
    }
    let name = actor.get("Attributes").and_then(|it| it.get("name"));
    let name = name.and_then(Value::as_str).unwrap_or_default();
    filter.wants(text(actor, "ID"), name).then_some(())
}

fn is_own(kind: &str, actor: &Map<String, Value>, sight: &Sight) -> bool {
    let id = text(actor, "ID");
    let attribute = |name| {
        let attributes = actor.get("Attributes").and_then(Value::as_object);
        attributes.map_or("", |attributes| text(attributes, name))
    };
    let name = attribute("name");
    let own = |kind, engine_name| match sight.store.owner_of(kind, id) {
        Some(owner) => owner == sight.owner,
        None => sight.was_own(engine_name),
    };
    match kind {
        "container" => own(Kind::Container, name),
        // Own containers join and leave the engine's networks.
        "network" if PREDEFINED_NETWORKS.contains(&name) => {
            sight.is_own(Kind::Container, attribute("container"))
        }
        "network" => own(Kind::Network, name),
        // An anonymous volume is told of by its container.
        "volume" => own(Kind::Volume, id) || sight.is_own(Kind::Container, attribute("container")),
        // Pulls have the reference for an id, and tags for a name.
        "image" => sight.sees_image(id) || sight.sees_image(name),
        _ => false,
    }
}
