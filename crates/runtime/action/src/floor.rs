//! The floor: what no policy can allow. Total code over the typed action; what hands over the host
//! is refused, unless the operator's own configuration names that exact exception.
//!
//! Every member of what is made is destructured once, without `..`, so that a new member does not
//! compile until somebody has judged it.

mod config;
mod exception;
mod harden;
mod images;
mod labels;
mod network;
mod process;
mod resources;
mod security;
mod storage;

use std::collections::BTreeSet;

pub use config::{Capabilities, FloorConfig, Images, LabelRules, Limits};
pub use exception::{Excepted, Exception};
use images::by_name;

use crate::action::Action;
use crate::container::ContainerCreate;
use crate::image::ImageRef;
use crate::path::HostPath;
use crate::refusal::Refusal;

/// The floor with its configuration.
#[derive(Clone, Debug, Default)]
pub struct Floor {
    config: FloorConfig,
}

/// Who asks, as far as the floor wants to know. The broker takes it from the verified token and
/// its own store.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The scopes of the token, each a whole word.
    pub scopes: BTreeSet<String>,
    /// Names of images that belong to the caller: tags that they made of allowed images.
    pub own_images: BTreeSet<ImageRef>,
    /// Names of images that the engine has: those that the action names, and for a pull and a new
    /// tag the others of the same repository too.
    pub local_images: BTreeSet<ImageRef>,
    /// Names of images that are somebody else's and that the caller may not use. They are refused
    /// like any that is not allowed.
    pub foreign_images: BTreeSet<ImageRef>,
}

/// An action that the floor lets through, with the hardened defaults in it. Only the floor makes
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Approved {
    action: Action,
    host_paths: Vec<HostPathUse>,
    exceptions: Vec<Exception>,
}

/// A path of the host that an exception allows. Before it is mounted the broker resolves it without
/// following links, since a link below the excepted path could lead out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPathUse {
    /// The path that is mounted.
    pub path: HostPath,
    /// The path that the exception names; the first is this one or lies below it.
    pub within: HostPath,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// What the parts of the floor share while they judge one action.
struct Judge<'a> {
    config: &'a FloorConfig,
    caller: &'a Caller,
    host_paths: Vec<HostPathUse>,
    exceptions: Vec<Exception>,
}

impl Floor {
    /// A floor with the operator's configuration.
    #[must_use]
    pub fn new(config: FloorConfig) -> Self {
        Self { config }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &FloorConfig {
        &self.config
    }

    /// Judges an action. Its references must be resolved before: the floor sees what the engine
    /// will see.
    ///
    /// # Errors
    /// The first rule that refuses it.
    pub fn judge(&self, mut action: Action, caller: &Caller) -> Result<Approved, Refusal> {
        let mut judge = Judge {
            config: &self.config,
            caller,
            host_paths: Vec::new(),
            exceptions: Vec::new(),
        };
        judge.action(&action)?;
        if let Action::ContainerCreate(create) = &mut action {
            harden::harden(create, &self.config);
        }
        Ok(Approved {
            action,
            host_paths: judge.host_paths,
            exceptions: judge.exceptions,
        })
    }
}

impl Approved {
    /// The action, hardened.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// The action, hardened, for the broker to mark as its own.
    #[must_use]
    pub fn into_action(self) -> Action {
        self.action
    }

    /// Paths of the host to resolve before the engine is asked.
    #[must_use]
    pub fn host_paths(&self) -> &[HostPathUse] {
        &self.host_paths
    }

    /// The operator's exceptions that were used, for the audit record.
    #[must_use]
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }
}

impl Judge<'_> {
    fn action(&mut self, action: &Action) -> Result<(), Refusal> {
        match action {
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
            | Action::ContainerKill { .. }
            | Action::ContainerPause { .. }
            | Action::ContainerUnpause { .. }
            | Action::ContainerRename { .. }
            | Action::ContainerRemove { .. }
            | Action::ContainerAttach(_)
            | Action::ContainerResize { .. }
            | Action::ContainerCopyOut { .. }
            | Action::ContainerPathStat { .. }
            | Action::ContainerCopyIn { .. }
            | Action::ContainerPrune { .. }
            | Action::ExecStart { .. }
            | Action::ExecInspect { .. }
            | Action::ExecResize { .. }
            | Action::ImageList(_)
            | Action::NetworkList { .. }
            | Action::NetworkInspect { .. }
            | Action::NetworkRemove { .. }
            | Action::NetworkConnect { .. }
            | Action::NetworkDisconnect { .. }
            | Action::NetworkPrune { .. }
            | Action::VolumeList { .. }
            | Action::VolumeInspect { .. }
            | Action::VolumeRemove { .. }
            | Action::VolumePrune { .. } => Ok(()),

            Action::ContainerStop {
                container: _,
                timeout,
            }
            | Action::ContainerRestart {
                container: _,
                timeout,
            } => self
                .stop_timeout(*timeout)
                .map_err(|refusal| refusal.at("t")),
            Action::ContainerCreate(create) => self.create(create),
            Action::ExecCreate { container: _, exec } => self.exec(exec),

            Action::ImageInspect { image } | Action::ImageHistory { image } => self
                .image(by_name(image)?)
                .map_err(|refusal| refusal.at("path")),
            Action::ImagePull { image, platform: _ } => self
                .image_to_pull(image)
                .map_err(|refusal| refusal.at("fromImage")),
            Action::ImageTag { image, target } => {
                self.image(by_name(image)?)
                    .map_err(|refusal| refusal.at("path"))?;
                self.tag_target(target)
            }
            Action::ImageRemove {
                image,
                force: _,
                no_prune: _,
            } => self
                .image_to_remove(by_name(image)?)
                .map_err(|refusal| refusal.at("path")),

            Action::NetworkCreate(network) => self.labels(&network.labels, "Labels"),
            Action::VolumeCreate { name: _, labels } => self.labels(labels, "Labels"),
        }
    }

    fn create(&mut self, create: &ContainerCreate) -> Result<(), Refusal> {
        let ContainerCreate {
            name: _,
            image,
            platform: _,
            labels,
            process,
            storage,
            network,
            security,
            resources,
            lifecycle,
        } = create;
        self.security(security)?;
        self.storage(storage)?;
        self.process(process)?;
        self.network(network)?;
        self.resources(resources)?;
        self.lifecycle(lifecycle)?;
        self.labels(labels, "Labels")?;
        self.image(image).map_err(|refusal| refusal.at("Image"))
    }

    /// The exception that allows something, if the operator has one and the caller its scope.
    /// `found` says whether an exception is the one.
    fn except(
        &mut self,
        found: impl Fn(&Excepted) -> bool,
        refusal: Refusal,
    ) -> Result<(), Refusal> {
        let mut matching = self
            .config
            .exceptions
            .iter()
            .filter(|it| found(&it.what))
            .peekable();
        let Some(first) = matching.peek().copied() else {
            return Err(refusal);
        };
        match matching.find(|exception| self.caller.scopes.contains(&exception.scope)) {
            Some(exception) => {
                self.exceptions.push(exception.clone());
                Ok(())
            }
            None => Err(Refusal {
                reason: format!(
                    "{}; the operator allows it with the scope `{}`",
                    refusal.reason, first.scope
                ),
                ..refusal
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::refusal::Rule;

    fn floor(config: serde_json::Value) -> Floor {
        Floor::new(serde_json::from_value(config).unwrap())
    }

    fn create(change: serde_json::Value) -> Action {
        let mut body = json!({ "image": "app" });
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        Action::ContainerCreate(Box::new(serde_json::from_value(body).unwrap()))
    }

    fn with(scopes: &[&str]) -> Caller {
        Caller {
            scopes: scopes.iter().map(|it| (*it).to_owned()).collect(),
            ..Caller::default()
        }
    }

    fn bind(path: &str, read_only: bool) -> Action {
        let bind = json!({ "source": { "host": path }, "target": "/b", "read_only": read_only });
        create(json!({ "storage": { "binds": [bind] } }))
    }

    #[test]
    fn an_exception_allows_its_exact_path_to_its_scope() {
        let floor = floor(json!({
            "images": { "allow": ["*"] },
            "exception": [
                { "host_path": "/srv/builds", "below": true, "mode": "rw", "scope": "builds:bind" },
                { "host_path": "/srv/cache", "mode": "ro", "scope": "builds:bind" },
            ],
        }));
        let caller = with(&["builds:bind"]);
        let approved = floor.judge(bind("/srv/builds/a", false), &caller).unwrap();
        assert_eq!(approved.host_paths()[0].path.as_str(), "/srv/builds/a");
        assert_eq!(approved.host_paths()[0].within.as_str(), "/srv/builds");
        assert_eq!(approved.exceptions().len(), 1);
        assert!(floor.judge(bind("/srv/cache", true), &caller).is_ok());
        for (path, read_only) in [
            ("/srv/cache", false),
            ("/srv/cache/a", true),
            ("/srv", true),
            ("/srv/builds-2", true),
        ] {
            let refusal = floor.judge(bind(path, read_only), &caller).unwrap_err();
            assert_eq!(refusal.rule, Rule::HostPath, "{path}");
        }
        // A scope is a whole word.
        for scopes in [
            &[][..],
            &["builds"],
            &["builds:bind-ro"],
            &["x:builds:bind"],
        ] {
            let refusal = floor
                .judge(bind("/srv/builds", true), &with(scopes))
                .unwrap_err();
            assert!(
                refusal.reason.contains("the scope `builds:bind`"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn each_kind_of_exception_allows_its_own_thing_alone() {
        let floor = floor(json!({
            "images": { "allow": ["*"] },
            "exception": [
                { "capability": "NET_ADMIN", "scope": "s" },
                { "device": "/dev/kvm", "mode": "rw", "scope": "s" },
                { "sysctl": "net.core.somaxconn", "scope": "s" },
                { "host_port": "80-90", "scope": "s" },
                { "name_server": "10.0.0.53", "scope": "s" },
                { "user": "root", "scope": "s" },
            ],
        }));
        let device = |path, access| json!({ "security": { "devices": [{ "on_host": path, "in_container": "/d", "access": access }] } });
        let port = |port| json!({ "network": { "published_ports": { "80": [{ "address": null, "port": port }] } } });
        for (allowed, refused) in [
            (
                json!({ "security": { "cap_add": ["NET_ADMIN"] } }),
                json!({ "security": { "cap_add": ["NET_RAW"] } }),
            ),
            (device("/dev/kvm", "rw"), device("/dev/kvm", "rwm")),
            (device("/dev/kvm", "r"), device("/dev/fuse", "r")),
            (
                json!({ "security": { "sysctls": { "net.core.somaxconn": "1" } } }),
                json!({ "security": { "sysctls": { "net.ipv4.ip_forward": "1" } } }),
            ),
            (port("81-90"), port("90-91")),
            (
                json!({ "network": { "dns": ["10.0.0.53"] } }),
                json!({ "network": { "dns": ["10.0.0.54"] } }),
            ),
            (
                json!({ "process": { "user": "0:0" } }),
                json!({ "process": { "working_directory": "/proc" } }),
            ),
        ] {
            let judged = floor.judge(create(allowed.clone()), &with(&["s"]));
            assert!(judged.is_ok(), "{allowed}: {judged:?}");
            assert!(
                floor.judge(create(allowed.clone()), &with(&[])).is_err(),
                "{allowed}"
            );
            assert!(
                floor.judge(create(refused.clone()), &with(&["s"])).is_err(),
                "{refused}"
            );
        }
    }

    #[test]
    fn the_defaults_bound_what_a_container_uses_up() {
        let floor = floor(json!({ "images": { "allow": ["*"] } }));
        let caller = with(&["containers:exec"]);
        let rule = |change| floor.judge(create(change), &caller).err().map(|it| it.rule);
        let health = |seconds: u64| {
            let health =
                json!({ "test": { "shell": "true" }, "interval": seconds * 1_000_000_000 });
            rule(json!({ "process": { "health": health } }))
        };
        assert_eq!(health(2), None);
        assert_eq!(health(1), Some(Rule::HealthInterval));
        let shm = |bytes: u64| rule(json!({ "storage": { "shm_size": bytes } }));
        assert_eq!(shm(2 << 30), None);
        assert_eq!(shm((2 << 30) + 1), Some(Rule::ShmLimit));
        let log = |log| rule(json!({ "lifecycle": { "log": log } }));
        for within in [
            json!({ "driver": "json-file", "max_size": 1 << 20, "max_files": 1024 }),
            json!({ "driver": "local" }),
            json!({ "driver": "local", "max_files": 51 }),
            json!({ "driver": "json-file", "mode": "non-blocking", "max_buffer_size": 16 << 20 }),
        ] {
            assert_eq!(log(within.clone()), None, "{within}");
        }
        for beyond in [
            json!({ "driver": "json-file", "max_size": 1 << 20, "max_files": 1025 }),
            json!({ "driver": "json-file", "max_size": 0 }),
            // Its files have 20 MiB each and are five where nothing is said.
            json!({ "driver": "local", "max_files": 52 }),
            json!({ "driver": "local", "max_size": 300 << 20 }),
            json!({ "driver": "json-file", "mode": "non-blocking", "max_buffer_size": 17 << 20 }),
        ] {
            assert_eq!(log(beyond.clone()), Some(Rule::Log), "{beyond}");
        }
    }
}
