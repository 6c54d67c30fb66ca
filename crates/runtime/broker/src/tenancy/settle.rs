//! What became of an action, for the store.

use cofferdam_action::action::{Action, Reference};
use cofferdam_action::container::{BindSource, ContainerCreate, Mount};
use cofferdam_action::image::ImageSelector;
use serde_json::Value;

use super::engine::Engine;
use super::owner::{Kind, Tenant};
use super::store::{JournalError, Store};
use super::{Begun, Tenancy, names};

/// What the store took note of.
#[derive(Debug, Default)]
#[must_use]
pub struct Settled {
    /// Full ids of what was made, for the audit record.
    pub created: Vec<String>,
    /// Why the journal could not be written. The action is done and the store knows it until the
    /// process ends; an operator should hear of it.
    pub failure: Option<JournalError>,
}

impl<E: Engine> Tenancy<E> {
    /// Takes note of what the engine did: what was made, renamed and removed, and what it turned
    /// out not to have. `status` and `body` are the engine's own answer; of a stream the body is
    /// empty. A pull is settled after its last line, anything else as soon as the answer is there.
    /// What was begun is still held, and with it a new name of an image: any status but one of a
    /// success says that it was not made.
    pub fn settle(
        &self,
        action: &Action,
        begun: &Begun,
        status: u16,
        body: &[u8],
        tenant: &Tenant,
    ) -> Settled {
        let mut settled = Settled::default();
        if let (Action::ImageTag { target, .. }, Some(tag), 300..) = (action, &begun.tag, status)
            && tag.is_new()
        {
            settled.note(self.store.untag(target));
        }
        match status {
            200..300 => self.done(action, body, tenant, &mut settled),
            404 => self.missing(action, body, &mut settled),
            _ => {}
        }
        settled
    }

    fn done(&self, action: &Action, body: &[u8], tenant: &Tenant, settled: &mut Settled) {
        let store = &self.store;
        let made = |member| text(body, member);
        match action {
            Action::ContainerCreate(create) => {
                if let (Some(id), Some(name)) = (made("Id"), &create.name) {
                    settled.made(store, Kind::Container, id, name.as_str(), tenant);
                }
                for volume in named_volumes(create) {
                    settled.volume(store, volume, tenant);
                }
            }
            Action::NetworkCreate(network) => {
                if let Some(id) = made("Id") {
                    settled.made(store, Kind::Network, id, network.name.as_str(), tenant);
                }
            }
            Action::VolumeCreate { .. } => {
                if let Some(name) = made("Name") {
                    let engine_name = name.clone();
                    settled.made(store, Kind::Volume, name, &engine_name, tenant);
                }
            }
            Action::ExecCreate { container, .. } => {
                if let Some(id) = made("Id") {
                    settled.note(store.own_exec(&id, container.as_str(), tenant.principal));
                    settled.created.push(id);
                }
            }
            Action::ContainerRename { container, name } => {
                let name = name.as_str();
                let name = names::split(name).map_or(name, |(_, name)| name);
                settled.note(store.rename(container.as_str(), name));
            }
            Action::ContainerRemove { container, .. } => {
                settled.note(store.gone(Kind::Container, container.as_str()));
            }
            Action::NetworkRemove { network } => {
                settled.note(store.gone(Kind::Network, network.as_str()));
            }
            Action::VolumeRemove { volume, .. } => {
                settled.note(store.gone(Kind::Volume, volume.as_str()));
            }
            Action::ImageTag { target, .. } => {
                settled.note(store.own_tag(target, tenant.owner));
                self.images.changed();
            }
            Action::ImageRemove { image, .. } => {
                if let ImageSelector::Name(image) = image {
                    settled.note(store.untag(image));
                }
                self.images.changed();
            }
            Action::ImagePull { .. } => self.images.changed(),
            _ => {}
        }
    }

    /// Forgets what the engine says it does not have, such as a container that removed itself.
    fn missing(&self, action: &Action, body: &[u8], settled: &mut Settled) {
        let message = text(body, "message").unwrap_or_default();
        for reference in action.references() {
            let (kind, id) = match &reference {
                Reference::Container(container) => (Kind::Container, container.as_str()),
                Reference::Network(network) => (Kind::Network, network.as_str()),
                Reference::Volume(volume) => (Kind::Volume, volume.as_str()),
                Reference::Image(ImageSelector::Name(image)) => {
                    self.images.changed();
                    if matches!(action, Action::ImageRemove { .. }) {
                        settled.note(self.store.untag(image));
                    }
                    continue;
                }
                Reference::Image(ImageSelector::Id(_)) | Reference::Exec(_) => continue,
            };
            // A file that is not in a container is answered with the container's id, too.
            let absent = match kind {
                Kind::Container => format!("no such container: {id}"),
                Kind::Network => format!("network {id} not found"),
                _ => format!("{id}: no such volume"),
            };
            if message
                .to_ascii_lowercase()
                .contains(&absent.to_ascii_lowercase())
            {
                settled.note(self.store.gone(kind, id));
            }
        }
        if matches!(action, Action::ContainerCreate(_)) {
            self.images.changed();
        }
    }
}

impl Settled {
    fn made(&mut self, store: &Store, kind: Kind, id: String, engine_name: &str, tenant: &Tenant) {
        let name = names::split(engine_name).map_or(engine_name, |(_, name)| name);
        self.note(store.own(kind, &id, tenant.owner, name));
        self.created.push(id);
    }

    /// A volume that a create names. It has been made with the container, if it was not there.
    fn volume(&mut self, store: &Store, volume: &str, tenant: &Tenant) {
        let Some((owner, name)) = names::split(volume) else {
            return;
        };
        if owner == tenant.owner && store.owner_of(Kind::Volume, volume).is_none() {
            self.note(store.own(Kind::Volume, volume, owner, name));
            self.created.push(volume.to_owned());
        }
    }

    fn note(&mut self, noted: Result<(), JournalError>) {
        if let Err(failure) = noted {
            self.failure.get_or_insert(failure);
        }
    }
}

/// The volumes that a new container mounts by name.
fn named_volumes(create: &ContainerCreate) -> impl Iterator<Item = &str> {
    let binds = create.storage.binds.iter();
    let binds = binds.filter_map(|bind| match &bind.source {
        BindSource::Volume(volume) => Some(volume.as_str()),
        BindSource::Host(_) => None,
    });
    let mounts = create.storage.mounts.iter();
    binds.chain(mounts.filter_map(|mount| match mount {
        Mount::Volume { source, .. } => source.as_ref().map(|volume| volume.as_str()),
        Mount::Tmpfs { .. } | Mount::Host { .. } => None,
    }))
}

/// A member of the engine's answer.
fn text(body: &[u8], member: &str) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(body.get(member)?.as_str()?.to_owned())
}
