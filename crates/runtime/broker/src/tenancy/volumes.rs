//! Anonymous volumes: the engine gives them their names, so the store learns of them from the
//! containers that they were made for.

use cofferdam_action::action::Action;
use cofferdam_action::name::ContainerRef;
use serde_json::Value;

use super::engine::{Engine, EngineFailure};
use super::owner::{Kind, Owner, Tenant};
use super::{Tenancy, names};

impl<E: Engine> Tenancy<E> {
    /// Takes note of the volumes of every container that the tenant has.
    pub(super) async fn learn_volumes(&self, tenant: &Tenant) -> Result<(), EngineFailure> {
        for container in self.own_containers(tenant).await? {
            self.own_mounted(&container, tenant.owner);
        }
        Ok(())
    }

    /// Takes note of the volumes of one container, whoever's it is.
    pub(super) async fn learn_volumes_of(&self, id: &str) -> Result<(), EngineFailure> {
        let owner = self.store.owner_of(Kind::Container, id);
        let (Some(owner), Ok(container)) = (owner, ContainerRef::parse(id)) else {
            return Ok(());
        };
        let inspect = Action::ContainerInspect {
            container,
            size: false,
        };
        let reply = self.engine.ask(&inspect).await?;
        // One that is gone has been found gone by whoever asked.
        if reply.status != 404 {
            self.own_mounted(&reply.json("GET /containers/{id}/json")?, owner);
        }
        Ok(())
    }

    /// A volume that nobody has and that is mounted in an owner's container was made for it: every
    /// name that a caller can write leads to a volume of theirs.
    pub(super) fn own_mounted(&self, container: &Value, owner: Owner) {
        for volume in mounted(container) {
            self.own_volume(volume, owner);
        }
    }

    /// The same for one volume.
    pub(super) fn own_volume(&self, volume: &str, owner: Owner) {
        if let Some(name) = name_for(volume, owner) {
            // Where the journal cannot be written, it is learned again.
            let _ = self.store.own(Kind::Volume, volume, owner, name);
        }
    }
}

/// The names of the volumes that a container mounts.
pub(super) fn mounted(container: &Value) -> impl Iterator<Item = &str> {
    let mounts = container.get("Mounts").and_then(Value::as_array);
    mounts.into_iter().flatten().filter_map(|mount| {
        let member = |name| mount.get(name).and_then(Value::as_str).unwrap_or_default();
        let (kind, volume) = (member("Type"), member("Name"));
        (kind == "volume" && !volume.is_empty()).then_some(volume)
    })
}

/// What an owner calls a volume of the engine; nothing where it was not made for them.
fn name_for(volume: &str, owner: Owner) -> Option<&str> {
    match names::split(volume) {
        Some((of, name)) => (of == owner).then_some(name),
        None => is_anonymous(volume).then_some(volume),
    }
}

/// Whether a name is one that the engine gives to a volume without a name.
pub(super) fn is_anonymous(volume: &str) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    volume.len() == 64 && volume.bytes().all(is_hex)
}
