//! What a model engine has, and what it answers to each action.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use cofferdam_action::action::{Action, ContainerListQuery};
use cofferdam_action::container::{BindSource, ContainerCreate, Mount, NetworkMode};
use cofferdam_action::filter::{FilterKey, Filters};
use cofferdam_action::value::Labels;
use serde_json::{Map, Value, json};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) by: String,
    pub(super) made: BTreeMap<String, u64>,
    pub(super) containers: Vec<Container>,
    pub(super) networks: Vec<Network>,
    pub(super) volumes: Vec<Volume>,
    pub(super) execs: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, Tag>,
    pub(super) events: Vec<Value>,
}

#[derive(Clone, Debug)]
pub(super) struct Tag {
    pub(super) by: String,
    pub(super) id: String,
}

#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) by: String,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) image: String,
    pub(super) image_id: String,
    pub(super) created: u64,
    pub(super) running: bool,
    pub(super) labels: Labels,
    pub(super) mounts: Vec<String>,
    pub(super) mode: String,
    /// By the network's id.
    pub(super) networks: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) by: String,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) labels: Labels,
}

#[derive(Clone, Debug)]
pub(super) struct Volume {
    pub(super) by: String,
    pub(super) name: String,
    pub(super) labels: Labels,
}

impl State {
    pub(super) fn id(&mut self, by: &str) -> String {
        let count = self.made.entry(by.to_owned()).or_default();
        *count += 1;
        let digest = digest::digest(&digest::SHA256, format!("{by} {count}").as_bytes());
        digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    pub(super) fn tell(&mut self, kind: &str, action: &str, id: &str, name: &str) {
        self.events.push(json!({
            "Type": kind,
            "Action": action,
            "Actor": { "ID": id, "Attributes": { "name": name } },
        }));
    }

    fn container(&mut self, text: &str) -> Result<usize, (u16, Value)> {
        let containers: Vec<_> = self
            .containers
            .iter()
            .map(|it| (&*it.name, &*it.id))
            .collect();
        find(&containers, text).ok_or_else(|| error(404, format!("No such container: {text}")))
    }

    fn network(&mut self, text: &str) -> Result<usize, (u16, Value)> {
        let networks: Vec<_> = self
            .networks
            .iter()
            .map(|it| (&*it.name, &*it.id))
            .collect();
        find(&networks, text).ok_or_else(|| error(404, format!("network {text} not found")))
    }

    fn volume(&mut self, text: &str) -> Result<usize, (u16, Value)> {
        let found = self.volumes.iter().position(|it| it.name == text);
        found.ok_or_else(|| error(404, format!("get {text}: no such volume")))
    }

    /// The id of an image, by a name or the beginning of an id.
    fn image(&self, text: &str) -> Result<String, (u16, Value)> {
        let mut ids = self.tags.values().map(|it| &it.id);
        let digits = |text: &str| text.trim_start_matches("sha256:").to_owned();
        let by_id = ids.find(|id| digits(id).starts_with(&digits(text)));
        let tag = self.tags.get(text);
        let tag = tag.or_else(|| self.tags.get(&format!("{text}:latest")));
        let found = tag.map(|it| &it.id).or(by_id).cloned();
        found.ok_or_else(|| error(404, format!("No such image: {text}")))
    }

    fn tags_of(&self, id: &str) -> Vec<&String> {
        let tags = self.tags.iter().filter(|(_, it)| it.id == id);
        tags.map(|(tag, _)| tag).collect()
    }

    pub(super) fn answer(&mut self, action: &Action) -> (u16, Value) {
        self.act(action).unwrap_or_else(|error| error)
    }

    fn act(&mut self, action: &Action) -> Result<(u16, Value), (u16, Value)> {
        Ok(match action {
            Action::ContainerList(query) => (200, self.list_containers(query)),
            Action::ContainerInspect { container, .. } => {
                let at = self.container(container.as_str())?;
                (200, self.inspect(&self.containers[at]))
            }
            Action::ContainerCreate(create) => self.create(create)?,
            Action::ContainerStart { container, .. } => {
                let at = self.container(container.as_str())?;
                self.containers[at].running = true;
                let Container { id, name, .. } = self.containers[at].clone();
                self.tell("container", "start", &id, &name);
                (204, Value::Null)
            }
            Action::ContainerStop { container, .. } => {
                let at = self.container(container.as_str())?;
                self.containers[at].running = false;
                (204, Value::Null)
            }
            Action::ContainerRename { container, name } => {
                let at = self.container(container.as_str())?;
                self.free_name(name.as_str())?;
                self.containers[at].name = name.to_string();
                (204, Value::Null)
            }
            Action::ContainerRemove {
                container,
                force,
                volumes,
            } => {
                let at = self.container(container.as_str())?;
                if self.containers[at].running && !force {
                    return Err(error(409, "You cannot remove a running container"));
                }
                let gone = self.containers.remove(at);
                if *volumes {
                    let anonymous = |name: &String| gone.mounts.contains(name) && name.len() == 64;
                    self.volumes.retain(|it| !anonymous(&it.name));
                }
                self.execs.retain(|_, container| *container != gone.id);
                self.tell("container", "destroy", &gone.id, &gone.name);
                (204, Value::Null)
            }
            Action::ExecCreate { container, .. } => {
                let at = self.container(container.as_str())?;
                let of = self.containers[at].id.clone();
                let id = self.id(&self.by.clone());
                self.execs.insert(id.clone(), of);
                (201, json!({ "Id": id }))
            }
            Action::ExecInspect { exec } => match self.execs.get(exec.as_str()) {
                Some(container) => (200, json!({ "ID": exec, "ContainerID": container })),
                None => return Err(error(404, format!("No such exec instance: {exec}"))),
            },

            Action::ExecStart { exec, .. } => match self.execs.contains_key(exec.as_str()) {
                true => (200, Value::Null),
                false => return Err(error(404, format!("No such exec instance: {exec}"))),
            },

            Action::Events(_) => (200, self.events.clone().into()),

            Action::NetworkList { filters } => {
                let networks = self
                    .networks
                    .iter()
                    .filter(|it| labelled(&it.labels, filters));
                (
                    200,
                    networks.map(|it| self.show_network(it, false)).collect(),
                )
            }
            Action::NetworkInspect { network } => {
                let at = self.network(network.as_str())?;
                (200, self.show_network(&self.networks[at], true))
            }
            Action::NetworkCreate(network) => {
                if self
                    .networks
                    .iter()
                    .any(|it| it.name == network.name.as_str())
                {
                    let message = format!("network with name {} already exists", network.name);
                    return Err(error(409, message));
                }
                let (by, id) = (self.by.clone(), self.id(&self.by.clone()));
                self.networks.push(Network {
                    by,
                    id: id.clone(),
                    name: network.name.to_string(),
                    labels: network.labels.clone(),
                });
                self.tell("network", "create", &id, network.name.as_str());
                (201, json!({ "Id": id, "Warning": "" }))
            }
            Action::NetworkRemove { network } => {
                let at = self.network(network.as_str())?;
                let Network { id, name, .. } = self.networks[at].clone();
                let used = |it: &&Container| it.running && it.networks.contains_key(&id);
                if self.containers.iter().any(|it| used(&it)) {
                    let message = format!("network {name} id {id} has active endpoints");
                    return Err(error(403, message));
                }
                self.networks.remove(at);
                (204, Value::Null)
            }
            Action::NetworkConnect {
                container,
                endpoint,
            } => {
                let network = self.network(endpoint.network.as_str())?;
                let network = self.networks[network].id.clone();
                let at = self.container(container.as_str())?;
                let aliases = endpoint.aliases.iter().map(ToString::to_string).collect();
                self.containers[at].networks.insert(network, aliases);
                (200, Value::Null)
            }
            Action::NetworkDisconnect {
                network, container, ..
            } => {
                let network = self.network(network.as_str())?;
                let network = self.networks[network].id.clone();
                let at = self.container(container.as_str())?;
                self.containers[at].networks.remove(&network);
                (200, Value::Null)
            }

            Action::VolumeList { filters } => {
                let dangling = filters.0.contains_key(&FilterKey::Dangling);
                let used = |name| self.containers.iter().any(|it| it.mounts.contains(name));
                let volumes = self.volumes.iter();
                let volumes = volumes.filter(|it| labelled(&it.labels, filters));
                let volumes = volumes.filter(|it| !dangling || !used(&it.name));
                let volumes: Vec<_> = volumes.map(show_volume).collect();
                (200, json!({ "Volumes": volumes, "Warnings": null }))
            }
            Action::VolumeInspect { volume } => {
                let at = self.volume(volume.as_str())?;
                (200, show_volume(&self.volumes[at]))
            }
            Action::VolumeCreate { name, labels } => {
                let name = match name {
                    Some(name) => name.to_string(),
                    None => self.id(&self.by.clone()),
                };
                self.make_volume(&name, labels);
                (
                    201,
                    show_volume(
                        &self.volumes[self.volumes.iter().position(|it| it.name == name).unwrap()],
                    ),
                )
            }
            Action::VolumeRemove { volume, .. } => {
                let at = self.volume(volume.as_str())?;
                let name = self.volumes[at].name.clone();
                if let Some(user) = self.containers.iter().find(|it| it.mounts.contains(&name)) {
                    let message = format!("remove {name}: volume is in use - [{}]", user.id);
                    return Err(error(409, message));
                }
                self.volumes.remove(at);
                (204, Value::Null)
            }

            Action::ImageList(_) => {
                let mut images: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                for (tag, Tag { id, .. }) in &self.tags {
                    images.entry(id).or_default().push(tag);
                }
                let images = images.iter();
                (
                    200,
                    images
                        .map(|(id, tags)| json!({ "Id": id, "RepoTags": tags, "Size": 7 }))
                        .collect(),
                )
            }
            Action::ImageInspect { image } => {
                let id = self.image(&image.to_string())?;
                (200, json!({ "Id": id, "RepoTags": self.tags_of(&id) }))
            }
            Action::ImageHistory { image } => {
                let id = self.image(&image.to_string())?;
                (200, json!([{ "Id": id, "Tags": self.tags_of(&id) }]))
            }
            Action::ImagePull { image, .. } => {
                let pulled = Tag {
                    by: "the engine".into(),
                    id: format!("sha256:{}", "3".repeat(64)),
                };
                self.tags.entry(image.to_string()).or_insert(pulled);
                (200, Value::Null)
            }
            Action::ImageTag { image, target } => {
                let (id, by) = (self.image(&image.to_string())?, self.by.clone());
                self.tell("image", "tag", &id, &target.to_string());
                self.tags.insert(target.to_string(), Tag { by, id });
                (201, Value::Null)
            }
            Action::ImageRemove { image, .. } => match self.tags.remove(&image.to_string()) {
                Some(_) => (200, json!([{ "Untagged": image.to_string() }])),
                None => return Err(error(404, format!("No such image: {image}"))),
            },

            Action::Info => (
                200,
                json!({
                    "Containers": self.containers.len(), "Images": 2, "Name": "host", "NCPU": 2,
                }),
            ),
            Action::DiskUsage => {
                let containers = self.list_containers(&ContainerListQuery {
                    all: true,
                    ..Default::default()
                });
                let volumes: Vec<_> = self.volumes.iter().map(show_volume).collect();
                (
                    200,
                    json!({
                        "LayersSize": 14, "Images": [], "Containers": containers, "Volumes": volumes, "BuildCache": [],
                    }),
                )
            }
            // No container of the model has a file.
            Action::ContainerCopyOut { container, path } => {
                let at = self.container(container.as_str())?;
                let (id, path) = (&self.containers[at].id, path.as_str());
                let text = format!("Could not find the file {path} in container {id}");
                return Err(error(404, text));
            }
            _ => return Err(error(404, "page not found")),
        })
    }

    fn free_name(&self, name: &str) -> Result<(), (u16, Value)> {
        match self.containers.iter().find(|it| it.name == name) {
            None => Ok(()),
            Some(other) => Err(error(
                409,
                format!(
                    "Conflict. The container name \"/{name}\" is already in use by container \"{}\".",
                    other.id
                ),
            )),
        }
    }

    fn make_volume(&mut self, name: &str, labels: &Labels) {
        if !self.volumes.iter().any(|it| it.name == name) {
            let (by, labels) = (self.by.clone(), labels.clone());
            self.volumes.push(Volume {
                by,
                name: name.to_owned(),
                labels,
            });
        }
    }

    fn create(&mut self, create: &ContainerCreate) -> Result<(u16, Value), (u16, Value)> {
        let name = create.name.as_ref().unwrap().to_string();
        let image_id = self.image(&create.image.to_string())?;
        self.free_name(&name)?;
        let by = self.by.clone();
        let mut mounts = Vec::new();
        for bind in &create.storage.binds {
            if let BindSource::Volume(volume) = &bind.source {
                self.make_volume(volume.as_str(), &Labels::default());
                mounts.push(volume.to_string());
            }
        }
        for mount in &create.storage.mounts {
            if let Mount::Volume {
                source: Some(volume),
                labels,
                ..
            } = mount
            {
                self.make_volume(volume.as_str(), labels);
                mounts.push(volume.to_string());
            }
        }
        for _ in &create.storage.anonymous_volumes {
            let volume = self.id(&by);
            self.make_volume(&volume, &Labels::default());
            mounts.push(volume);
        }
        let (mode, networks) = match &create.network.mode {
            NetworkMode::Network(network) => {
                let at = self.network(network.as_str())?;
                let aliases = create.network.endpoint.as_ref().map(|it| &it.aliases);
                let aliases = aliases
                    .into_iter()
                    .flatten()
                    .map(ToString::to_string)
                    .collect();
                (
                    network.to_string(),
                    [(self.networks[at].id.clone(), aliases)].into(),
                )
            }
            NetworkMode::Container(container) => {
                let at = self.container(container.as_str())?;
                (
                    format!("container:{}", self.containers[at].id),
                    BTreeMap::new(),
                )
            }
            _ => {
                let at = self.network("bridge")?;
                (
                    "default".to_owned(),
                    [(self.networks[at].id.clone(), vec![])].into(),
                )
            }
        };
        let id = self.id(&by);
        self.tell("container", "create", &id, &name);
        let created = self.made[&by];
        self.containers.push(Container {
            by,
            id: id.clone(),
            name,
            image: create.image.to_string(),
            image_id,
            created,
            running: false,
            labels: create.labels.clone(),
            mounts,
            mode,
            networks,
        });
        Ok((201, json!({ "Id": id, "Warnings": [] })))
    }

    fn list_containers(&self, query: &ContainerListQuery) -> Value {
        let has = |key| query.filters.0.get(&key);
        let listed = self.containers.iter().rev().filter(|it| {
            let state = if it.running { "running" } else { "created" };
            let networks = has(FilterKey::Network).is_none_or(|values| {
                values
                    .iter()
                    .any(|value| it.networks.keys().any(|id| id.starts_with(value.as_str())))
            });
            let volumes = has(FilterKey::Volume)
                .is_none_or(|values| values.iter().any(|value| it.mounts.contains(value)));
            let images = has(FilterKey::Ancestor).is_none_or(|values| {
                let mut images = values.iter().filter_map(|value| self.image(value).ok());
                images.any(|id| id == it.image_id)
            });
            // In the order of making, which a list is sorted by.
            let place = |id: &String| self.containers.iter().position(|it| it.id == *id);
            let own = place(&it.id);
            let before =
                has(FilterKey::Before).is_none_or(|ids| ids.iter().all(|id| own < place(id)));
            (query.all || it.running)
                && has(FilterKey::Status).is_none_or(|states| states.contains(state))
                && labelled(&it.labels, &query.filters)
                && networks
                && volumes
                && images
                && before
        });
        let limit = query.limit.unwrap_or(u32::MAX) as usize;
        listed.take(limit).map(|it| self.inspect(it)).collect()
    }

    /// The list and the inspection in one, with the members of both.
    fn inspect(&self, container: &Container) -> Value {
        let networks: Map<String, Value> = container
            .networks
            .iter()
            .map(|(id, aliases)| {
                let name = self
                    .networks
                    .iter()
                    .find(|it| it.id == *id)
                    .map_or("gone", |it| &it.name);
                (
                    name.to_owned(),
                    json!({ "NetworkID": id, "Aliases": aliases }),
                )
            })
            .collect();
        let mounts: Vec<_> = container
            .mounts
            .iter()
            .map(|name| json!({ "Type": "volume", "Name": name, "Source": format!("/var/lib/{name}/_data") }))
            .collect();
        json!({
            "Id": container.id,
            "Name": format!("/{}", container.name),
            "Names": [format!("/{}", container.name)],
            "Image": container.image,
            "Created": container.created,
            "State": if container.running { "running" } else { "created" },
            "Labels": container.labels,
            "Config": { "Labels": container.labels },
            "HostConfig": { "NetworkMode": container.mode },
            "LogPath": format!("/var/lib/{}", container.id),
            "NetworkSettings": { "Networks": networks },
            "Mounts": mounts,
        })
    }

    fn show_network(&self, network: &Network, full: bool) -> Value {
        let inside = self
            .containers
            .iter()
            .filter(|it| full && it.networks.contains_key(&network.id));
        let inside: Map<String, Value> = inside
            .map(|it| (it.id.clone(), json!({ "Name": it.name })))
            .collect();
        json!({
            "Id": network.id,
            "Name": network.name,
            "Created": "2026-01-01T00:00:00Z",
            "Labels": network.labels,
            "Containers": inside,
        })
    }
}

fn show_volume(volume: &Volume) -> Value {
    json!({
        "Name": volume.name,
        "Labels": volume.labels,
        "Mountpoint": format!("/var/lib/{}/_data", volume.name),
    })
}

/// As the engine finds: by name, by id, by the beginning of one id alone.
fn find(objects: &[(&str, &str)], text: &str) -> Option<usize> {
    let by = |is: &dyn Fn(&(&str, &str)) -> bool| objects.iter().position(is);
    by(&|(name, _)| *name == text)
        .or_else(|| by(&|(_, id)| *id == text))
        .or_else(|| {
            let mut matching = objects
                .iter()
                .enumerate()
                .filter(|(_, (_, id))| id.starts_with(text));
            let first = matching.next()?.0;
            matching.next().is_none().then_some(first)
        })
}

fn labelled(labels: &Labels, filters: &Filters) -> bool {
    filters
        .0
        .get(&FilterKey::Label)
        .into_iter()
        .flatten()
        .all(|wanted| {
            let (name, value) = wanted.split_once('=').unwrap_or((wanted, ""));
            labels.0.get(name).is_some_and(|it| it == value)
        })
}

fn error(status: u16, message: impl Into<String>) -> (u16, Value) {
    (status, json!({ "message": message.into() }))
}
