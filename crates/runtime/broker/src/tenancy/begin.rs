//! What comes right before the engine is asked.

use std::collections::BTreeSet;

use cofferdam_action::action::{Action, ContainerListQuery};
use cofferdam_action::filter::{FilterKey, Filters, OWN};
use cofferdam_action::image::ImageSelector;
use cofferdam_action::wire::{By, Refused};
use serde_json::Value;

use super::engine::{Engine, EngineFailure};
use super::images::short_id;
use super::owner::{Kind, Tenant};
use super::resolve::{missing, no_answer};
use super::sight::Sight;
use super::store::{JournalError, TagClaim};
use super::view::{Counts, EventFilter, Lines, NameFilter, Shape, View};
use super::{Tenancy, mark};

/// An action that is about to be done. It is kept until the action is settled.
#[derive(Debug)]
#[must_use]
pub struct Begun {
    /// How the engine's answer is shown.
    pub view: View,
    /// A name of an image that nobody else may make meanwhile.
    pub(super) tag: Option<TagClaim>,
}

impl<E: Engine> Tenancy<E> {
    /// Makes ready for an action that is allowed and recorded: says how the answer will be shown,
    /// takes out of a list's filters what only the broker can apply, takes note of what the engine
    /// will forget by it, and holds what two tenants could want at once.
    ///
    /// # Errors
    /// 400 for a filter of names that would cost too much; 404 for a filter by an object that is
    /// not the caller's; 409 where somebody else is making the same name of an image; 503 where the
    /// engine had to be asked and did not answer, or where a name of an image cannot be written
    /// down.
    pub async fn begin(&self, action: &mut Action, tenant: &Tenant) -> Result<Begun, Refused> {
        let sight = self.sight(tenant);
        let claim = match action {
            Action::ImageTag { target, .. } => {
                let claim = self.store.claim_tag(target, tenant.owner);
                let claim = claim.ok_or_else(|| taken(&target.to_string()))?;
                // A tag has no mark by which it could be given back to whoever made it. So it is
                // written down before it is made, and struck out again where it was not.
                let noted = self.store.own_tag(target, tenant.owner);
                noted.map_err(|failure| {
                    if claim.is_new() {
                        // It says the same again, and the name is free.
                        let _ = self.store.untag(target);
                    }
                    not_noted(&failure)
                })?;
                Some(claim)
            }
            _ => None,
        };
        let view = self.view(action, tenant, sight).await?;
        Ok(Begun { view, tag: claim })
    }

    /// Exhaustive, so that a new action is shown to nobody before somebody has said how.
    async fn view(
        &self,
        action: &mut Action,
        tenant: &Tenant,
        sight: Sight,
    ) -> Result<View, Refused> {
        let shape = match action {
            Action::Version => Shape::Version,
            Action::Info => Shape::Info(self.counts(tenant).await?),
            Action::DiskUsage => {
                self.learn(tenant).await?;
                Shape::DiskUsage
            }
            Action::Events(query) => {
                let filter = EventFilter::take_from(&mut query.filters);
                drop_own(&mut query.filters);
                return Ok(View::lines(sight, Lines::Events(filter)));
            }

            Action::ContainerList(query) => self.list_containers(query, tenant, &sight).await?,
            Action::ContainerInspect { .. } => Shape::Container,
            Action::ContainerStats { .. } => return Ok(View::lines(sight, Lines::Stats)),
            Action::ContainerWait { .. } => return Ok(View::lines(sight, Lines::Wait)),
            Action::ContainerCreate(_) | Action::ExecCreate { .. } | Action::NetworkCreate(_) => {
                Shape::Same
            }
            Action::ContainerRemove {
                container,
                force: _,
                volumes,
            } => {
                if !*volumes {
                    // Its anonymous volumes stay, and then nothing tells whose they are.
                    let of = container.as_str().to_owned();
                    let learned = self.learn_volumes_of(&of).await;
                    learned.map_err(|failure| no_answer(&failure))?;
                }
                return Ok(View::Pass);
            }

            Action::ImageList(query) => {
                self.image_filters(&mut query.filters, &sight).await?;
                Shape::Images
            }
            Action::ImageInspect { .. } => Shape::Image,
            Action::ImageHistory { .. } => Shape::History,
            Action::ImageRemove { .. } => Shape::ImageRemoval,

            Action::NetworkList { filters } => {
                drop_own(filters);
                Shape::Networks(names(filters)?)
            }
            Action::NetworkInspect { .. } => Shape::Network,

            Action::VolumeList { filters } => {
                drop_own(filters);
                self.learn(tenant).await?;
                Shape::Volumes(names(filters)?)
            }
            Action::VolumeInspect { .. } | Action::VolumeCreate { .. } => Shape::Volume,

            Action::ExecInspect { .. }
            | Action::ContainerChanges { .. }
            | Action::ContainerTop { .. }
            | Action::Ping
            | Action::ContainerLogs(_)
            | Action::ContainerStart { .. }
            | Action::ContainerStop { .. }
            | Action::ContainerRestart { .. }
            | Action::ContainerKill { .. }
            | Action::ContainerPause { .. }
            | Action::ContainerUnpause { .. }
            | Action::ContainerRename { .. }
            | Action::ContainerAttach(_)
            | Action::ContainerResize { .. }
            | Action::ContainerCopyOut { .. }
            | Action::ContainerPathStat { .. }
            | Action::ContainerCopyIn { .. }
            | Action::ExecStart { .. }
            | Action::ExecResize { .. }
            | Action::ImagePull { .. }
            | Action::ImageTag { .. }
            | Action::NetworkRemove { .. }
            | Action::NetworkConnect { .. }
            | Action::NetworkDisconnect { .. }
            | Action::VolumeRemove { .. }
            // The broker answers a prune itself, in the tenant's names.
            | Action::ContainerPrune { .. }
            | Action::NetworkPrune { .. }
            | Action::VolumePrune { .. } => return Ok(View::Pass),
        };
        Ok(View::json(sight, shape))
    }

    /// Names are the tenant's, and a number of containers is of theirs, so the broker applies both.
    /// The engine narrows by the owner's mark first, since a list of everybody's is long.
    async fn list_containers(
        &self,
        query: &mut ContainerListQuery,
        tenant: &Tenant,
        sight: &Sight,
    ) -> Result<Shape, Refused> {
        let filters = &mut query.filters;
        drop_own(filters);
        for key in [FilterKey::Before, FilterKey::Since] {
            let Some(values) = filters.0.get_mut(&key) else {
                continue;
            };
            let ids: Result<_, Refused> = std::mem::take(values)
                .into_iter()
                .map(|text| self.own_or_all(Kind::Container, &text, tenant))
                .map(|(text, id)| id.ok_or_else(|| missing(Kind::Container, &text)))
                .collect();
            *values = ids?;
        }
        for (key, kind) in [
            (FilterKey::Network, Kind::Network),
            (FilterKey::Volume, Kind::Volume),
        ] {
            if let Some(values) = filters.0.get_mut(&key) {
                // What is none of theirs is a network of the engine's, or a path in a container.
                *values = std::mem::take(values)
                    .into_iter()
                    .map(|text| self.own_or_all(kind, &text, tenant))
                    .map(|(text, id)| id.unwrap_or(text))
                    .collect();
            }
        }
        // The engine would tell by one's own containers whether another's tag is of their image.
        let mut is_empty = false;
        if let Some(texts) = filters.0.remove(&FilterKey::Ancestor) {
            let mut seen = BTreeSet::new();
            for text in texts {
                if self.sees_image(&text, sight).await? {
                    seen.insert(text);
                }
            }
            is_empty = seen.is_empty();
            if !is_empty {
                filters.0.insert(FilterKey::Ancestor, seen);
            }
        }
        let names = names(filters)?;
        if !tenant.sees_all {
            let labels = filters.0.entry(FilterKey::Label).or_default();
            labels.insert(format!("{}={}", mark::OWNER, tenant.owner));
        }
        // With a number, the engine lists stopped ones too.
        let limit = query.limit.take().filter(|limit| *limit > 0);
        query.all |= limit.is_some();
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let limit = if is_empty { Some(0) } else { limit };
        Ok(Shape::Containers { names, limit })
    }

    /// The full id of an object of the tenant's; and whatever whoever sees all has written.
    fn own_or_all(&self, kind: Kind, text: &str, tenant: &Tenant) -> (String, Option<String>) {
        let found = self.store.find(&tenant.owner, kind, text);
        let id = found.map(|found| found.id.to_string());
        let id = id.or_else(|| tenant.sees_all.then(|| text.to_owned()));
        (text.to_owned(), id)
    }

    /// An image that a list is to begin or end at must be one that the tenant sees.
    async fn image_filters(&self, filters: &mut Filters, sight: &Sight) -> Result<(), Refused> {
        drop_own(filters);
        for key in [FilterKey::Before, FilterKey::Since] {
            for text in filters.0.get(&key).into_iter().flatten() {
                if !self.sees_image(text, sight).await? {
                    return Err(missing(Kind::Image, text));
                }
            }
        }
        Ok(())
    }

    /// Whether what a filter names is an image that is seen, or none at all.
    async fn sees_image(&self, text: &str, sight: &Sight) -> Result<bool, Refused> {
        let image = match ImageSelector::parse(text) {
            _ if sight.sees_all => return Ok(true),
            Ok(ImageSelector::Name(image)) => Some(image),
            _ => None,
        };
        if let Some(image) = image.filter(|image| short_id(image).is_none()) {
            return Ok(sight.sees_image_ref(&image));
        }
        // An id, or the beginning of one; it must be of images that are seen alone.
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let known = self.images.find(&self.engine, |known| {
            known.by_prefix(digits).next().is_some()
        });
        let known = known.await.map_err(|failure| no_answer(&failure))?;
        let mut images = known.by_prefix(digits);
        Ok(images.all(|names| names.iter().any(|name| sight.sees_image_ref(name))))
    }

    /// How many containers the tenant has; nothing for whoever sees all.
    async fn counts(&self, tenant: &Tenant) -> Result<Option<Counts>, Refused> {
        if tenant.sees_all {
            return Ok(None);
        }
        let sight = self.sight(tenant);
        let listed = self.own_containers(tenant).await;
        let containers = listed.map_err(|failure| no_answer(&failure))?;
        let images = self.images.find(&self.engine, |_| true).await;
        let images = images.map_err(|failure| no_answer(&failure))?;
        let seen = |names: &[_]| names.iter().any(|name| sight.sees_image_ref(name));
        let mut counts = Counts {
            images: images.all().filter(|names| seen(names)).count(),
            ..Counts::default()
        };
        for container in &containers {
            match container.get("State").and_then(Value::as_str) {
                Some("running" | "restarting") => counts.running += 1,
                Some("paused") => counts.paused += 1,
                _ => counts.stopped += 1,
            }
        }
        Ok(Some(counts))
    }

    async fn learn(&self, tenant: &Tenant) -> Result<(), Refused> {
        let learned = self.learn_volumes(tenant).await;
        learned.map_err(|failure| no_answer(&failure))
    }

    /// The tenant's containers as the engine lists them, stopped ones too: what they are, whether
    /// they run, and what they mount.
    pub(super) async fn own_containers(
        &self,
        tenant: &Tenant,
    ) -> Result<Vec<Value>, EngineFailure> {
        let label = format!("{}={}", mark::OWNER, tenant.owner);
        let query = ContainerListQuery {
            all: true,
            filters: Filters([(FilterKey::Label, [label].into())].into()),
            ..ContainerListQuery::default()
        };
        let mut own = Vec::new();
        let take = |_: &str, container: Value| {
            let id = container.get("Id").and_then(Value::as_str);
            let owner = id.and_then(|id| self.store.owner_of(Kind::Container, id));
            if owner == Some(tenant.owner) {
                own.push(only(container, &["Id", "State", "Mounts"]));
            }
            None
        };
        let list = Action::ContainerList(query);
        let reply = self.engine.ask_each(&list, take).await?;
        reply.json("GET /containers/json")?;
        Ok(own)
    }
}

/// These members of an object alone.
pub(super) fn only(mut object: Value, members: &[&str]) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.retain(|member, _| members.contains(&&**member));
    }
    object
}

/// Takes the names out of a filter.
fn names(filters: &mut Filters) -> Result<NameFilter, Refused> {
    let values = filters.0.remove(&FilterKey::Name).unwrap_or_default();
    NameFilter::new(values).map_err(|error| Refused {
        by: By::Broker,
        status: 400,
        message: error.to_string(),
        rules: Vec::new(),
        scope: None,
        retry_after: None,
    })
}

/// What a prune has to say, a list may say too: everything in it is the caller's own.
pub(super) fn drop_own(filters: &mut Filters) {
    if let Some(labels) = filters.0.get_mut(&FilterKey::Label) {
        labels.remove(OWN);
        if labels.is_empty() {
            filters.0.remove(&FilterKey::Label);
        }
    }
}

fn not_noted(failure: &JournalError) -> Refused {
    Refused {
        by: By::Broker,
        status: 503,
        message: format!(
            "the journal of owners cannot be written, so it was not done; ask the operator: {failure}"
        ),
        rules: Vec::new(),
        scope: None,
        retry_after: None,
    }
}

fn taken(image: &str) -> Refused {
    Refused {
        by: By::Ownership,
        status: 409,
        message: format!(
            "conflict: the name {image} is being made by somebody else; choose another"
        ),
        rules: Vec::new(),
        scope: None,
        retry_after: None,
    }
}
