//! The volumes: a directory each, unless the options of the local driver name another place.

use crate::answer::Refusal;
use crate::files::Root;
use crate::state::{Engine, Inner, MOST, full};
use jiff::Timestamp;
use rustix::io::Errno;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One volume.
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) options: Option<BTreeMap<String, String>>,
    /// Whether the engine made up its name.
    pub(crate) anonymous: bool,
}

impl Volume {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "CreatedAt": format!("{:.0}", self.created),
            "Driver": "local",
            "Labels": self.labels,
            "Mountpoint": mount_point(&self.name),
            "Name": self.name,
            "Options": self.options,
            "Scope": "local",
        })
    }

    /// The files behind it. The local driver hands its options to mount(2), so a bind or an overlay
    /// shows a directory of the host.
    pub(crate) fn open(&self, engine: &Engine) -> Result<(Root, bool), Refusal> {
        let option = |name: &str| {
            let options = self.options.as_ref()?;
            options.get(name).map(String::as_str)
        };
        let flags: Vec<_> = option("o").unwrap_or_default().split(',').collect();
        let on_host = if flags.iter().any(|flag| *flag == "bind" || *flag == "rbind") {
            option("device")
        } else if option("type") == Some("overlay") {
            flags
                .iter()
                .find_map(|flag| flag.strip_prefix("lowerdir="))
                .map(|lower| lower.split(':').next().unwrap_or_default())
        } else {
            None
        };
        let Some(path) = on_host else {
            let directory = engine.make_directory(&format!("volume-{}", self.name));
            return Ok((directory.map_err(Refusal::internal)?, false));
        };
        let failed = |error: Errno| {
            Refusal::internal(format!(
                "failed to mount local volume: mount {path}:{}: {}",
                mount_point(&self.name),
                std::io::Error::from(error)
            ))
        };
        match engine.host.below(&host_path(path)).map_err(failed)? {
            Ok(directory) => Ok((directory, true)),
            Err(_) => Err(failed(Errno::NOTDIR)),
        }
    }

    pub(crate) fn attributes(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("driver".to_owned(), "local".to_owned())])
    }
}

impl Inner {
    /// The volume of this name, made when it is not there.
    pub(crate) fn add_volume(
        &mut self,
        engine: &Engine,
        volume: Volume,
    ) -> Result<&Volume, Refusal> {
        let name = volume.name.clone();
        if !self.volumes.contains_key(&name) {
            if self.volumes.len() >= MOST {
                return Err(full("volumes"));
            }
            // Its directory, where it has one of its own, is made here: it is there when it is empty.
            if volume.options.is_none() {
                volume.open(engine)?;
            }
            engine
                .events
                .tell("volume", "create", &name, volume.attributes());
            self.volumes.insert(name.clone(), volume);
        }
        self.volumes
            .get(&name)
            .ok_or_else(|| Refusal::internal("the volume is gone"))
    }

    /// Forgets a volume that no container uses, and its files.
    pub(crate) fn remove_volume(&mut self, engine: &Engine, name: &str) -> Result<(), Refusal> {
        if !self.volumes.contains_key(name) {
            return Err(Refusal::not_found(format!("get {name}: no such volume")));
        }
        let users = self.users_of(name);
        if !users.is_empty() {
            return Err(Refusal::conflict(format!(
                "remove {name}: volume is in use - [{}]",
                users.join(", ")
            )));
        }
        if let Some(volume) = self.volumes.remove(name) {
            engine.remove_directory(&format!("volume-{name}"));
            engine
                .events
                .tell("volume", "destroy", name, volume.attributes());
        }
        Ok(())
    }

    /// The containers that mount a volume.
    pub(crate) fn users_of(&self, volume: &str) -> Vec<String> {
        self.containers
            .values()
            .filter(|record| {
                record
                    .mounts
                    .iter()
                    .any(|mount| mount.volume.as_deref() == Some(volume))
            })
            .map(|record| record.id.clone())
            .collect()
    }
}

pub(crate) fn mount_point(name: &str) -> String {
    format!("/var/lib/docker/volumes/{name}/_data")
}

/// A path of the host with the way through `/proc` that leads to its root again.
pub(crate) fn host_path(path: &str) -> String {
    let mut path = crate::files::normal(path);
    while let Some(rest) = path
        .strip_prefix("/proc/self/root")
        .or_else(|| path.strip_prefix("/proc/thread-self/root"))
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
    {
        path = crate::files::normal(rest);
    }
    path
}
