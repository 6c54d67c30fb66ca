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
use crate::image::{ImageRef, ImageSelector, ImageVersion};
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
        if self
            .config
            .images
            .allow
            .iter()
            .any(|pattern| pattern.matches(image))
        {
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

    /// A new tag must not take the place of an image that others are allowed by name. Where every
    /// image is allowed, the broker must see that the tag is free or the caller's own.
    fn tag_target(&self, target: &ImageRef) -> Result<(), Refusal> {
        if let ImageVersion::Digest(_) = target.version() {
            return Err(Refusal::new(Rule::ImageSyntax, "a new name is a tag").at("repo"));
        }
        let named = |pattern: &crate::image::ImagePattern| {
            *pattern != crate::image::ImagePattern::Any && pattern.matches(target)
        };
        if self.config.images.allow.iter().any(named) {
            return Err(Refusal::new(
                Rule::ImageTag,
                format!(
                    "{} is an allowed image; choose a name of your own",
                    quote(&target.to_string())
                ),
            )
            .at("repo"));
        }
        Ok(())
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
