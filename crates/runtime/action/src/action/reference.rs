//! What an action refers to: the objects whose owner the broker must know before it acts.

use std::fmt;

use super::Action;
use crate::container::{Bind, BindSource, ContainerCreate, Endpoint, Mount, NetworkMode};
use crate::image::ImageSelector;
use crate::name::{ContainerRef, ExecId, NetworkRef, VolumeRef};

/// An object that an action refers to, as the caller named it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A container.
    Container(ContainerRef),
    /// A network.
    Network(NetworkRef),
    /// A volume; one that is not there yet is made by a create.
    Volume(VolumeRef),
    /// An exec.
    Exec(ExecId),
    /// An image to be looked at, tagged or removed.
    Image(ImageSelector),
}

/// The same, for the broker to put the full id or name in its place.
#[derive(Debug)]
pub enum ReferenceMut<'a> {
    /// A container.
    Container(&'a mut ContainerRef),
    /// A network.
    Network(&'a mut NetworkRef),
    /// A volume.
    Volume(&'a mut VolumeRef),
    /// An exec.
    Exec(&'a mut ExecId),
    /// An image; an id must become a name, or the floor refuses it.
    Image(&'a mut ImageSelector),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Container(container) => container.fmt(f),
            Reference::Network(network) => network.fmt(f),
            Reference::Volume(volume) => volume.fmt(f),
            Reference::Exec(exec) => exec.fmt(f),
            Reference::Image(image) => image.fmt(f),
        }
    }
}

impl Action {
    /// Every object that this action refers to, in a fixed order.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let mut copy = self.clone();
        let references = copy.references_mut();
        references
            .into_iter()
            .map(|reference| match reference {
                ReferenceMut::Container(container) => Reference::Container(container.clone()),
                ReferenceMut::Network(network) => Reference::Network(network.clone()),
                ReferenceMut::Volume(volume) => Reference::Volume(volume.clone()),
                ReferenceMut::Exec(exec) => Reference::Exec(exec.clone()),
                ReferenceMut::Image(image) => Reference::Image(image.clone()),
            })
            .collect()
    }

    /// The name that this action gives to what it makes or renames, if the caller chose one.
    #[must_use]
    pub fn given_name(&self) -> Option<&str> {
        match self {
            Action::ContainerCreate(create) => create.name.as_ref().map(|name| name.as_str()),
            Action::ContainerRename { name, .. } => Some(name.as_str()),
            Action::NetworkCreate(network) => Some(network.name.as_str()),
            Action::VolumeCreate { name, .. } => name.as_ref().map(|name| name.as_str()),
            Action::Ping
            | Action::Version
            | Action::Info
            | Action::DiskUsage
            | Action::Events(_)
            | Action::ContainerList(_)
            | Action::ContainerInspect { .. }
            | Action::ContainerLogs(_)
            | Action::ContainerChanges { .. }
            | Action::ContainerStats { .. }
            | Action::ContainerTop { .. }
            | Action::ContainerWait { .. }
            | Action::ContainerStart { .. }
            | Action::ContainerStop { .. }
            | Action::ContainerRestart { .. }
            | Action::ContainerKill { .. }
            | Action::ContainerPause { .. }
            | Action::ContainerUnpause { .. }
            | Action::ContainerRemove { .. }
            | Action::ContainerAttach(_)
            | Action::ContainerResize { .. }
            | Action::ContainerCopyOut { .. }
            | Action::ContainerPathStat { .. }
            | Action::ContainerCopyIn { .. }
            | Action::ContainerPrune { .. }
            | Action::ExecCreate { .. }
            | Action::ExecStart { .. }
            | Action::ExecInspect { .. }
            | Action::ExecResize { .. }
            | Action::ImageList(_)
            | Action::ImageInspect { .. }
            | Action::ImageHistory { .. }
            | Action::ImagePull { .. }
            | Action::ImageTag { .. }
            | Action::ImageRemove { .. }
            | Action::NetworkList { .. }
            | Action::NetworkInspect { .. }
            | Action::NetworkRemove { .. }
            | Action::NetworkConnect { .. }
            | Action::NetworkDisconnect { .. }
            | Action::NetworkPrune { .. }
            | Action::VolumeList { .. }
            | Action::VolumeInspect { .. }
            | Action::VolumeRemove { .. }
            | Action::VolumePrune { .. } => None,
        }
    }

    /// Every object that this action refers to, to be resolved in place. The match is exhaustive,
    /// and so is the destructuring of what is made, so that no reference is forgotten.
    pub fn references_mut(&mut self) -> Vec<ReferenceMut<'_>> {
        match self {
            Action::Ping
            | Action::Version
            | Action::Info
            | Action::DiskUsage
            | Action::Events(_)
            | Action::ContainerList(_)
            | Action::ContainerPrune { filters: _ }
            | Action::ImageList(_)
            | Action::ImagePull {
                image: _,
                platform: _,
            }
            | Action::NetworkList { filters: _ }
            | Action::NetworkCreate(_)
            | Action::NetworkPrune { filters: _ }
            | Action::VolumeList { filters: _ }
            | Action::VolumeCreate { name: _, labels: _ }
            | Action::VolumePrune { filters: _ } => Vec::new(),

            Action::ContainerInspect { container, size: _ }
            | Action::ContainerChanges { container }
            | Action::ContainerStats {
                container,
                stream: _,
                one_shot: _,
            }
            | Action::ContainerTop {
                container,
                columns: _,
            }
            | Action::ContainerWait {
                container,
                condition: _,
            }
            | Action::ContainerStart {
                container,
                detach_keys: _,
            }
            | Action::ContainerStop {
                container,
                timeout: _,
            }
            | Action::ContainerRestart {
                container,
                timeout: _,
            }
            | Action::ContainerKill {
                container,
                signal: _,
            }
            | Action::ContainerPause { container }
            | Action::ContainerUnpause { container }
            | Action::ContainerRename { container, name: _ }
            | Action::ContainerRemove {
                container,
                force: _,
                volumes: _,
            }
            | Action::ContainerResize { container, size: _ }
            | Action::ContainerCopyOut { container, path: _ }
            | Action::ContainerPathStat { container, path: _ }
            | Action::ContainerCopyIn {
                container,
                path: _,
                no_overwrite_dir_non_dir: _,
                copy_uid_gid: _,
            }
            | Action::ExecCreate { container, exec: _ } => vec![ReferenceMut::Container(container)],
            Action::ContainerLogs(query) => vec![ReferenceMut::Container(&mut query.container)],
            Action::ContainerAttach(query) => vec![ReferenceMut::Container(&mut query.container)],
            Action::ContainerCreate(create) => of_create(create),

            Action::ExecStart {
                exec,
                detach: _,
                tty: _,
            }
            | Action::ExecInspect { exec }
            | Action::ExecResize { exec, size: _ } => vec![ReferenceMut::Exec(exec)],

            Action::ImageInspect { image }
            | Action::ImageHistory { image }
            | Action::ImageTag { image, target: _ }
            | Action::ImageRemove {
                image,
                force: _,
                no_prune: _,
            } => {
                vec![ReferenceMut::Image(image)]
            }

            Action::NetworkInspect { network } | Action::NetworkRemove { network } => {
                vec![ReferenceMut::Network(network)]
            }
            Action::NetworkConnect {
                container,
                endpoint:
                    Endpoint {
                        network,
                        aliases: _,
                    },
            }
            | Action::NetworkDisconnect {
                network,
                container,
                force: _,
            } => {
                vec![
                    ReferenceMut::Network(network),
                    ReferenceMut::Container(container),
                ]
            }

            Action::VolumeInspect { volume } | Action::VolumeRemove { volume, force: _ } => {
                vec![ReferenceMut::Volume(volume)]
            }
        }
    }
}

fn of_create(create: &mut ContainerCreate) -> Vec<ReferenceMut<'_>> {
    let ContainerCreate {
        name: _,
        image: _,
        platform: _,
        labels: _,
        process: _,
        storage,
        network,
        security,
        resources: _,
        lifecycle: _,
    } = create;
    let binds = storage.binds.iter_mut().filter_map(|bind| {
        let Bind {
            source,
            target: _,
            read_only: _,
            no_copy: _,
        } = bind;
        match source {
            BindSource::Volume(volume) => Some(ReferenceMut::Volume(volume)),
            BindSource::Host(_) => None,
        }
    });
    let mounts = storage.mounts.iter_mut().filter_map(|mount| match mount {
        Mount::Volume { source, .. } => source.as_mut().map(ReferenceMut::Volume),
        Mount::Tmpfs { .. } | Mount::Host { .. } => None,
    });
    let mode = match &mut network.mode {
        NetworkMode::Default | NetworkMode::Bridge | NetworkMode::None => None,
        NetworkMode::Network(network) => Some(ReferenceMut::Network(network)),
        NetworkMode::Container(container) => Some(ReferenceMut::Container(container)),
    };
    let endpoint = network
        .endpoint
        .as_mut()
        .map(|it| ReferenceMut::Network(&mut it.network));
    let pid = security.pid_of.as_mut().map(ReferenceMut::Container);
    binds
        .chain(mounts)
        .chain(mode)
        .chain(endpoint)
        .chain(pid)
        .collect()
}
