//! The floor: what no policy can allow. Total code over the typed action; what hands over the host
//! is refused, unless the operator's own configuration names that exact exception.
//!
//! Every member of what is made is destructured once, without `..`, so that a new member does not
//! compile until somebody has judged it.

mod config;
mod exception;
mod harden;
mod labels;
mod network;
mod process;
mod resources;
mod security;
mod storage;

use std::collections::BTreeSet;

pub use config::{Capabilities, FloorConfig, Images, LabelRules, Limits};
pub use exception::{Excepted, Exception};

use crate::action::Action;
use crate::container::ContainerCreate;
use crate::image::{ImagePattern, ImageRef, ImageSelector, ImageVersion};
use crate::path::HostPath;
use crate::refusal::{Refusal, Rule, quote};

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
            Action::ImagePull { image, platform: _ } => {
                // One's own tag is here already; what comes from a registry must be allowed.
                if self.config.images.pull_local && self.local_versions(image).next().is_some() {
                    return Ok(());
                }
                self.allowed_image(image)
                    .map_err(|refusal| refusal.at("fromImage"))
            }
            Action::ImageTag { image, target } => {
                self.image(by_name(image)?)
                    .map_err(|refusal| refusal.at("path"))?;
                self.tag_target(target)
            }
            Action::ImageRemove {
                image,
                force: _,
                no_prune: _,
            } => {
                let image = by_name(image)?;
                if self.caller.own_images.contains(image) {
                    return Ok(());
                }
                Err(Refusal::new(
                    Rule::ImageNotAllowed,
                    format!(
                        "{} is not a tag of yours; others may use it",
                        quote(&image.to_string())
                    ),
                )
                .at("path"))
            }

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

    /// An image that the operator allows or that is the caller's own tag of one.
    fn image(&self, image: &ImageRef) -> Result<(), Refusal> {
        if self.caller.own_images.contains(image) {
            Ok(())
        } else {
            self.allowed_image(image)
        }
    }

    fn allowed_image(&self, image: &ImageRef) -> Result<(), Refusal> {
        let Images {
            allow,
            local,
            pull_local: _,
        } = &self.config.images;
        let is_local = *local && self.caller.local_images.contains(image);
        let is_allowed = is_local || allow.iter().any(|pattern| pattern.matches(image));
        if is_allowed && !self.caller.foreign_images.contains(image) {
            return Ok(());
        }
        Err(Refusal::new(
            Rule::ImageNotAllowed,
            format!(
                "{} is not among the allowed images; ask the operator",
                quote(&image.to_string())
            ),
        ))
    }

    /// The tags and digests that the engine has of the repository of an image.
    fn local_versions(&self, image: &ImageRef) -> impl Iterator<Item = &ImageRef> {
        let images = self.caller.local_images.iter();
        images.filter(|other| other.is_version_of(image))
    }

    /// Whether a repository has a tag that is not the caller's, or a digest and no tag of theirs: an
    /// engine may list the digest of each tag.
    fn is_beside_others(&self, target: &ImageRef) -> bool {
        let is_own = |image: &&ImageRef| self.caller.own_images.contains(*image);
        let is_tag = |image: &&ImageRef| matches!(image.version(), ImageVersion::Tag(_));
        let (own, others): (Vec<_>, Vec<_>) = self.local_versions(target).partition(is_own);
        others.iter().any(is_tag) || (own.is_empty() && !others.is_empty())
    }

    /// A new tag must not take the place of an image that others use by its name.
    fn tag_target(&self, target: &ImageRef) -> Result<(), Refusal> {
        if let ImageVersion::Digest(_) = target.version() {
            return Err(Refusal::new(Rule::ImageSyntax, "a new name is a tag").at("repo"));
        }
        if self.caller.own_images.contains(target) {
            return Ok(());
        }
        let refuse = |why: &str| {
            let target = quote(&target.to_string());
            Err(Refusal::new(Rule::ImageTag, format!("{target} {why}")).at("repo"))
        };
        if self.caller.local_images.contains(target) {
            return refuse("is an image of others; choose a name of your own");
        }
        // Where whatever the engine has is allowed, a name beside another's is one that others will
        // use: `allowed/app:latest` beside `allowed/app:1`.
        if self.config.images.local && self.is_beside_others(target) {
            return refuse("is beside an image of others; choose a repository of your own");
        }
        let mut allow = self.config.images.allow.iter();
        match allow.find(|pattern| pattern.matches(target)) {
            Some(ImagePattern::Any) => refuse(
                "may be an image of a registry; every one is allowed here, so choose a name that \
                 begins with `localhost/`",
            ),
            Some(_) => refuse("is an image of others; choose a name of your own"),
            None => Ok(()),
        }
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

/// The name of an image; an id that the broker has not resolved is refused.
fn by_name(image: &ImageSelector) -> Result<&ImageRef, Refusal> {
    match image {
        ImageSelector::Name(image) => Ok(image),
        ImageSelector::Id(id) => Err(Refusal::new(
            Rule::ImageId,
            format!("{} is an id without an allowed name", quote(id.as_str())),
        )
        .at("path")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
    fn images_are_allowed_by_name_by_being_there_or_by_being_ones_own() {
        let image = |text| ImageRef::parse(text).unwrap();
        let name = |text| ImageSelector::Name(image(text));
        let caller = Caller {
            own_images: [image("mine/app:dev")].into(),
            local_images: [image("app"), image("mine/app:dev"), image("other/app")].into(),
            ..Caller::default()
        };
        let by_name = floor(json!({ "images": { "allow": ["allowed/app"] } }));
        let any = floor(json!({ "images": { "allow": ["*"], "local": true } }));
        let by_presence = floor(json!({ "images": { "local": true } }));
        let rule = |floor: &Floor, action| floor.judge(action, &caller).err().map(|it| it.rule);

        let inspect = |text| Action::ImageInspect { image: name(text) };
        assert_eq!(rule(&by_name, inspect("allowed/app:9")), None);
        assert_eq!(rule(&by_name, inspect("mine/app:dev")), None);
        assert_eq!(
            rule(&by_name, inspect("other/app")),
            Some(Rule::ImageNotAllowed)
        );
        assert_eq!(rule(&by_presence, inspect("other/app")), None);
        assert_eq!(
            rule(&by_presence, inspect("evil/app")),
            Some(Rule::ImageNotAllowed)
        );

        let pull = |text| Action::ImagePull {
            image: image(text),
            platform: None,
        };
        assert_eq!(rule(&by_name, pull("allowed/app")), None);
        assert_eq!(
            rule(&by_name, pull("mine/app:dev")),
            Some(Rule::ImageNotAllowed)
        );

        let tag = |target| Action::ImageTag {
            image: name("mine/app:dev"),
            target: image(target),
        };
        assert_eq!(rule(&by_name, tag("mine/app:2")), None);
        assert_eq!(rule(&by_name, tag("mine/app:dev")), None);
        assert_eq!(rule(&by_name, tag("allowed/app:1")), Some(Rule::ImageTag));
        assert_eq!(rule(&by_presence, tag("other/app")), Some(Rule::ImageTag));
        // Where every image may be pulled, a tag is below what no registry serves.
        for name in [
            "nginx:1.27",
            "x/y",
            "registry.example/a",
            "localhost:5000/a",
        ] {
            assert_eq!(rule(&any, tag(name)), Some(Rule::ImageTag), "{name}");
            assert_eq!(rule(&any, pull(name)), None, "{name}");
        }
        assert_eq!(rule(&any, tag("localhost/app:2")), None);
        assert_eq!(
            rule(&any, pull("localhost/app:2")),
            Some(Rule::ImageNotAllowed)
        );

        // What is somebody else's is refused like what is not there, whatever is allowed.
        let caller = Caller {
            foreign_images: [image("other/app")].into(),
            ..caller.clone()
        };
        for floor in [&by_name, &by_presence, &any] {
            for action in [inspect("other/app"), pull("other/app")] {
                let refusal = floor.judge(action, &caller).unwrap_err();
                assert_eq!(refusal.rule, Rule::ImageNotAllowed);
            }
        }

        let remove = |text| Action::ImageRemove {
            image: name(text),
            force: false,
            no_prune: false,
        };
        assert_eq!(rule(&by_name, remove("mine/app:dev")), None);
        assert_eq!(
            rule(&by_presence, remove("other/app")),
            Some(Rule::ImageNotAllowed)
        );

        let id = ImageSelector::parse(&"a".repeat(64)).unwrap();
        assert_eq!(
            rule(&by_presence, Action::ImageInspect { image: id }),
            Some(Rule::ImageId)
        );
    }

    #[test]
    fn a_new_tag_beside_the_image_of_others_is_theirs_where_all_that_is_there_is_allowed() {
        let image = |text: &str| ImageRef::parse(text).unwrap();
        let caller = Caller {
            own_images: [image("mine/app:dev")].into(),
            local_images: [
                image("allowed/app:1"),
                image("mine/app:dev"),
                image(&format!("mine/app@sha256:{}", "a".repeat(64))),
                image(&format!("pulled/app@sha256:{}", "a".repeat(64))),
            ]
            .into(),
            ..Caller::default()
        };
        let by_presence = floor(json!({ "images": { "local": true } }));
        let tag = |target| {
            let action = Action::ImageTag {
                image: ImageSelector::Name(image("allowed/app:1")),
                target: image(target),
            };
            let refused = by_presence.judge(action, &caller).err();
            refused.map(|refusal| refusal.rule)
        };
        assert_eq!(tag("allowed/app:latest"), Some(Rule::ImageTag));
        assert_eq!(tag("docker.io/allowed/app:2"), Some(Rule::ImageTag));
        assert_eq!(tag("pulled/app:latest"), Some(Rule::ImageTag));
        assert_eq!(tag("mine/app:2"), None);
        assert_eq!(tag("new/app:1"), None);
        assert_eq!(tag("registry.example/allowed/app:1"), None);
    }

    #[test]
    fn a_pull_may_name_another_version_of_what_is_there_only_where_that_is_configured() {
        let image = |text| ImageRef::parse(text).unwrap();
        let caller = Caller {
            local_images: [image("allowed/app:1")].into(),
            ..Caller::default()
        };
        let pull = |config, text| {
            let action = Action::ImagePull {
                image: image(text),
                platform: None,
            };
            let refused = floor(json!({ "images": config })).judge(action, &caller);
            refused.err().map(|refusal| refusal.rule)
        };
        let digest = format!("allowed/app@sha256:{}", "a".repeat(64));
        for text in ["allowed/app:2", digest.as_str()] {
            let of_dev = json!({ "local": true, "pull_local": true });
            assert_eq!(pull(of_dev, text), None, "{text}");
            let refused = pull(json!({ "local": true }), text);
            assert_eq!(refused, Some(Rule::ImageNotAllowed), "{text}");
        }
        for text in ["evil/app:1", "allowed/app2:1", "evil.example/allowed/app:1"] {
            let of_dev = json!({ "local": true, "pull_local": true });
            assert_eq!(pull(of_dev, text), Some(Rule::ImageNotAllowed), "{text}");
        }
    }
}
