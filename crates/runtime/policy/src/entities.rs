//! Requests as Cedar entities.

use std::collections::{HashMap, HashSet};
use std::str::FromStr as _;

use cedar_policy::{
    ActionConstraint, Entity, EntityId, EntityTypeName, EntityUid, Policy,
    RestrictedExpression as Value,
};
use cofferdam_action::action::ActionKind;

use crate::context::{image, text, texts};
use crate::error::LoadError;
use crate::request::{Principal, ResourceKind};
use crate::schema::effect;
use crate::subject::Subject;
use crate::validate::internal;

/// The id of the one [`ResourceKind::System`].
pub(crate) const ENGINE: &str = "engine";

/// The names of entity types and the entities of all actions, made once for a policy set.
#[derive(Debug)]
pub(crate) struct Names {
    principal: EntityTypeName,
    tenant: EntityTypeName,
    role: EntityTypeName,
    group: EntityTypeName,
    resources: Vec<EntityTypeName>,
    actions: Vec<NamedAction>,
}

/// An action with the groups that it is in.
#[derive(Debug)]
pub(crate) struct NamedAction {
    pub(crate) uid: EntityUid,
    pub(crate) entity: Entity,
    groups: [EntityUid; 2],
}

impl Names {
    /// # Errors
    /// None, as a test holds: every name is a constant.
    pub(crate) fn new() -> Result<Self, LoadError> {
        let name = |text: &str| EntityTypeName::from_str(text).map_err(|error| internal(&error));
        let action = name("Action")?;
        let uid = |id: &str| EntityUid::from_type_name_and_id(action.clone(), EntityId::new(id));
        let actions = ActionKind::ALL.iter().map(|&kind| {
            let groups = [uid(effect(kind)), uid(kind.scope())];
            let uid = uid(kind.id());
            let parents = HashSet::from(groups.clone());
            NamedAction {
                entity: Entity::new_no_attrs(uid.clone(), parents),
                uid,
                groups,
            }
        });
        let resources = ResourceKind::ALL.iter();
        Ok(Self {
            principal: name("Principal")?,
            tenant: name("Tenant")?,
            role: name("Role")?,
            group: name("Group")?,
            resources: resources
                .map(|kind| name(kind.entity_type()))
                .collect::<Result<_, _>>()?,
            actions: actions.collect(),
        })
    }

    /// The entity of an action, with the groups that it is in. `ActionKind::ALL` is in the order of
    /// the variants, as a test holds.
    pub(crate) fn action(&self, kind: ActionKind) -> Option<&NamedAction> {
        self.actions.get(kind as usize)
    }

    /// Whether the scope of a policy names an action: itself, a group that it is in, or every one.
    /// A policy that does not is not satisfied by a request for it, whatever its conditions are,
    /// and cannot fail on it either.
    pub(crate) fn names(&self, policy: &Policy, kind: ActionKind) -> bool {
        let Some(NamedAction { uid, groups, .. }) = self.action(kind) else {
            return true;
        };
        let is = |named: &EntityUid| named == uid || groups.contains(named);
        match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(named) => named == *uid,
            ActionConstraint::In(named) => named.iter().any(is),
        }
    }

    pub(crate) fn principal(&self, principal: &Principal<'_>) -> Result<Entity, String> {
        let Principal {
            owner,
            issuer,
            subject,
            client,
            scopes,
            roles,
            groups,
        } = principal;
        let roles = roles.iter().map(|role| uid(&self.role, role));
        let groups = groups.iter().map(|group| uid(&self.group, group));
        let mut attributes = HashMap::from([
            (
                "owner".to_owned(),
                Value::new_entity_uid(uid(&self.tenant, owner)),
            ),
            ("issuer".to_owned(), text(issuer)),
            ("subject".to_owned(), text(subject)),
            ("scopes".to_owned(), texts(scopes.iter().copied())),
        ]);
        if let Some(client) = client {
            attributes.insert("client".to_owned(), text(client));
        }
        // An issuer has no fragment (RFC 8414, section 2), so the two cannot run into each other.
        let id = format!("{issuer}#{subject}");
        let parents = roles.chain(groups).collect();
        Entity::new(uid(&self.principal, &id), attributes, parents)
            .map_err(|error| error.to_string())
    }

    pub(crate) fn resource(&self, subject: &Subject<'_>) -> Result<Entity, String> {
        let resource = &subject.resource;
        let mut attributes = HashMap::new();
        let named = matches!(
            resource.kind,
            ResourceKind::Container | ResourceKind::Network | ResourceKind::Volume
        );
        if let Some(name) = resource.name.filter(|_| named) {
            attributes.insert("name".to_owned(), text(name));
        }
        let mut id = resource.id.to_owned();
        if let Some(of_image) = &subject.image {
            attributes.insert("image".to_owned(), image(of_image)?);
            id = of_image.to_string();
        }
        let parents = match (resource.kind, resource.owner) {
            (ResourceKind::Tenant | ResourceKind::System, _) => HashSet::new(),
            (ResourceKind::Image, None) => HashSet::from([self.engine()?]),
            (_, None) => HashSet::new(),
            (_, Some(owner)) => HashSet::from([uid(&self.tenant, owner)]),
        };
        let kind = self.kind(resource.kind)?;
        Entity::new(uid(kind, &id), attributes, parents).map_err(|error| error.to_string())
    }

    /// What the images are in that nobody owns.
    fn engine(&self) -> Result<EntityUid, String> {
        self.kind(ResourceKind::System)
            .map(|kind| uid(kind, ENGINE))
    }

    fn kind(&self, kind: ResourceKind) -> Result<&EntityTypeName, String> {
        let found = self.resources.get(kind as usize);
        found.ok_or_else(|| "a kind of object has no entity type".to_owned())
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_their_place() {
        let names = Names::new().unwrap();
        for &kind in ActionKind::ALL {
            let action = names.action(kind).unwrap();
            assert_eq!(action.uid.id().unescaped(), kind.id());
        }
        for &kind in ResourceKind::ALL {
            let name = &names.resources[kind as usize];
            assert_eq!(name.basename(), kind.entity_type());
        }
    }
}
