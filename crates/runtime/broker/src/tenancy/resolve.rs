//! Names to full ids, among the caller's own.

use std::sync::Arc;

use cofferdam_action::action::{Action, ReferenceMut};
use cofferdam_action::container::{ContainerCreate, Endpoint, NetworkMode};
use cofferdam_action::filter::Filters;
use cofferdam_action::image::{ImageId, ImageRef, ImageSelector};
use cofferdam_action::name::{
    ContainerName, ContainerRef, ExecId, Hostname, NetworkName, NetworkRef, PREDEFINED_NETWORKS,
    VolumeName, VolumeRef,
};
use cofferdam_action::refusal::{Refusal, Rule, quote};
use cofferdam_action::wire::{By, Refused};
use serde_json::Value;

use super::engine::{Engine, EngineFailure};
use super::images::{Known, short_id};
use super::owner::{Kind, Object, Owner, Tenant};
use super::sight::Sight;
use super::store::Found;
use super::volumes::is_anonymous;
use super::{Tenancy, names};

impl<E: Engine> Tenancy<E> {
    /// Puts full ids and names of the engine in the place of what the caller wrote, and says what
    /// the action is about. What is another's is answered like what is not there.
    ///
    /// The engine is asked only where memory cannot tell: for an image that it did not know, for an
    /// anonymous volume of one of the caller's containers, and for what only those see who see all.
    ///
    /// # Errors
    /// 404 in the engine's own words for an object that is not the caller's (409 for one that a
    /// create refers to, since clients pull the image at a 404); 403 for a name that cannot be
    /// given; 503 where the engine had to be asked and did not answer.
    pub async fn resolve(
        &self,
        action: &mut Action,
        tenant: &Tenant,
    ) -> Result<Vec<Object>, Refused> {
        if let Action::ContainerCreate(create) = action {
            join_by_endpoint(create);
        }
        let mut objects = self.references(action, tenant).await?;
        match action {
            Action::ContainerCreate(create) => {
                objects.insert(0, self.name_container(create, tenant)?);
                self.image_of_create(&create.image, tenant).await?;
                objects.push(self.image_object(&create.image));
                alias_of_create(create);
            }
            Action::ContainerRename { name, .. } => {
                // The new name is the owner's, even where somebody else gives it.
                let owner = objects.first().and_then(|object| object.owner);
                let engine = name_in_engine(&owner.unwrap_or(tenant.owner), name.as_str())?;
                *name = checked(ContainerName::parse(&engine))?;
            }
            Action::NetworkConnect { endpoint, .. } => {
                let container = objects.iter().find(|object| object.kind == Kind::Container);
                if let Some(container) = container {
                    let name = names::split(&container.name);
                    alias(endpoint, name.map_or(&*container.name, |(_, name)| name));
                }
            }
            Action::NetworkCreate(network) => {
                objects.push(to_make(Kind::Network, network.name.as_str(), tenant));
                let engine = name_in_engine(&tenant.owner, network.name.as_str())?;
                network.name = checked(NetworkName::parse(&engine))?;
            }
            Action::VolumeCreate {
                name: Some(name), ..
            } => {
                objects.push(to_make(Kind::Volume, name.as_str(), tenant));
                let engine = name_in_engine(&tenant.owner, name.as_str())?;
                *name = checked(VolumeName::parse(&engine))?;
            }
            Action::ImagePull { image, .. } => {
                if self.sight(tenant).pulls_local() {
                    let is_there = |known: &Known| known.versions_of(image).next().is_some();
                    self.known_images(is_there).await?;
                }
                objects.push(self.image_object(image));
            }
            Action::ImageInspect {
                image: ImageSelector::Name(image),
            } => {
                // Clients look for an object of any kind by one name, and go on at a 404 alone.
                let known = self.images.known();
                if !known.has(image) || !self.sight(tenant).sees_image_ref(image) {
                    return Err(missing(Kind::Image, &image.to_string()));
                }
            }
            Action::ImageTag { target, .. } => {
                // Whether the name is free is for the floor to say, by a list that is new.
                self.known_images(|_| false).await?;
                objects.push(Object {
                    owner: Some(tenant.owner),
                    ..self.image_object(target)
                });
            }
            _ => {}
        }
        Ok(objects)
    }

    /// Puts ids and names of the engine in the place of every reference, and says what they are, in
    /// the order of the references.
    async fn references(
        &self,
        action: &mut Action,
        tenant: &Tenant,
    ) -> Result<Vec<Object>, Refused> {
        let creates = matches!(action, Action::ContainerCreate(_));
        let removes = matches!(action, Action::ImageRemove { .. });
        let inspects = matches!(action, Action::NetworkInspect { .. });
        // Clients take a 404 to a create for a missing image, and pull it.
        let in_create = |refused: Refused| match creates && refused.status == 404 {
            true => Refused {
                status: 409,
                ..refused
            },
            false => refused,
        };
        let mut objects = Vec::new();
        for reference in action.references_mut() {
            match reference {
                ReferenceMut::Container(container) => {
                    let object = self
                        .object(Kind::Container, container.as_str(), tenant)
                        .await;
                    let object = object.map_err(in_create)?;
                    *container = checked(ContainerRef::parse(object.recorded()))?;
                    objects.push(object);
                }
                ReferenceMut::Network(network) => {
                    let object = match inspects {
                        true => self.network_to_see(network.as_str(), tenant).await,
                        false => self.object(Kind::Network, network.as_str(), tenant).await,
                    };
                    let object = object.map_err(in_create)?;
                    *network = checked(NetworkRef::parse(object.recorded()))?;
                    objects.push(object);
                }
                ReferenceMut::Volume(volume) => {
                    objects.push(self.volume(volume, creates, tenant).await?);
                }
                ReferenceMut::Exec(exec) => objects.push(self.exec(exec, tenant)?),
                ReferenceMut::Image(image) => {
                    objects.push(self.image(image, removes, tenant).await?);
                }
            }
        }
        Ok(objects)
    }

    /// The object that a tenant means.
    async fn object(&self, kind: Kind, text: &str, tenant: &Tenant) -> Result<Object, Refused> {
        let found = self.look_up(kind, text, tenant).await?;
        found.ok_or_else(|| missing(kind, text))
    }

    async fn look_up(
        &self,
        kind: Kind,
        text: &str,
        tenant: &Tenant,
    ) -> Result<Option<Object>, Refused> {
        let own = || self.store.find(&tenant.owner, kind, text);
        let mut found = own();
        if found.is_none() && kind == Kind::Volume && is_anonymous(text) {
            self.learn_volumes(tenant)
                .await
                .map_err(|it| no_answer(&it))?;
            found = own();
        }
        match found {
            Some(found) => Ok(Some(known(kind, &found))),
            None if tenant.sees_all => self.anybodys(kind, text).await,
            None => Ok(None),
        }
    }

    /// A network to look at: one that the tenant sees, or one of the engine's own, which clients look
    /// for. Of these the tenant sees no more than their own containers, so it counts as theirs.
    async fn network_to_see(&self, text: &str, tenant: &Tenant) -> Result<Object, Refused> {
        if let Some(own) = self.store.find(&tenant.owner, Kind::Network, text) {
            return Ok(known(Kind::Network, &own));
        }
        // Not by the engine's own way of finding, which a network of another could stand in.
        let list = Action::NetworkList {
            filters: Filters::default(),
        };
        let mut predefined: Vec<(String, String)> = Vec::new();
        let take = |_: &str, network: Value| {
            let text_of = |member| Some(network.get(member)?.as_str()?.to_owned());
            let found = text_of("Name").zip(text_of("Id"));
            predefined.extend(found.filter(|(name, _)| PREDEFINED_NETWORKS.contains(&&**name)));
            None
        };
        let list = self.engine.ask_each(&list, take).await;
        let list = list.map_err(|it| no_answer(&it))?;
        list.json("GET /networks").map_err(|it| no_answer(&it))?;
        let mut by_name = predefined.iter().filter(|(name, _)| name == text);
        let mut by_id = predefined.iter().filter(|(_, id)| id.starts_with(text));
        match (by_name.next(), by_id.next(), by_id.next()) {
            (Some((name, id)), _, _) | (None, Some((name, id)), None) => Ok(Object {
                kind: Kind::Network,
                id: Some(id.clone()),
                name: name.clone(),
                owner: Some(tenant.owner),
            }),
            _ => self.object(Kind::Network, text, tenant).await,
        }
    }

    /// What the engine finds under a name or id of its own, whoever's it is.
    async fn anybodys(&self, kind: Kind, text: &str) -> Result<Option<Object>, Refused> {
        let inspect = match kind {
            Kind::Container => Action::ContainerInspect {
                container: checked(ContainerRef::parse(text))?,
                size: false,
            },
            Kind::Network => Action::NetworkInspect {
                network: checked(NetworkRef::parse(text))?,
            },
            Kind::Volume => Action::VolumeInspect {
                volume: checked(VolumeRef::parse(text))?,
            },
            Kind::Exec | Kind::Image => return Ok(None),
        };
        let reply = self
            .engine
            .ask(&inspect)
            .await
            .map_err(|it| no_answer(&it))?;
        if reply.status == 404 {
            return Ok(None);
        }
        let found = reply.json("an inspection").map_err(|it| no_answer(&it))?;
        let member = |name| found.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = member("Name").trim_start_matches('/');
        let id = match kind {
            Kind::Volume => name,
            _ => member("Id"),
        };
        // The engine's own networks are nobody's to join or to remove, by whatever name.
        if id.is_empty() || (kind == Kind::Network && PREDEFINED_NETWORKS.contains(&name)) {
            return Ok(None);
        }
        Ok(Some(match self.store.object(kind, id) {
            Some(found) => known(kind, &found),
            None => Object {
                kind,
                id: Some(id.to_owned()),
                name: name.to_owned(),
                owner: None,
            },
        }))
    }

    /// A volume that is there, or, for a create, one that the engine will make.
    async fn volume(
        &self,
        volume: &mut VolumeRef,
        makes: bool,
        tenant: &Tenant,
    ) -> Result<Object, Refused> {
        let text = volume.as_str().to_owned();
        // Whoever sees all and makes `data` means their own, not what somebody left in the engine.
        let is_engines = names::split(&text).is_some() || is_anonymous(&text);
        let own_alone = Tenant {
            sees_all: tenant.sees_all && (is_engines || !makes),
            ..tenant.clone()
        };
        let object = match self.look_up(Kind::Volume, &text, &own_alone).await? {
            Some(object) => object,
            None if makes => {
                VolumeName::parse(&text).map_err(|refusal| refused(&refusal))?;
                let engine = name_in_engine(&tenant.owner, &text)?;
                *volume = checked(VolumeRef::parse(&engine))?;
                return Ok(to_make(Kind::Volume, &text, tenant));
            }
            None => return Err(missing(Kind::Volume, &text)),
        };
        *volume = checked(VolumeRef::parse(object.recorded()))?;
        Ok(object)
    }

    /// An exec is its principal's, whoever else sees the container.
    fn exec(&self, exec: &ExecId, tenant: &Tenant) -> Result<Object, Refused> {
        let container = self.store.exec(exec.as_str(), &tenant.principal);
        let container = container.filter(|it| tenant.sees_all || it.owner == tenant.owner);
        let container = container.ok_or_else(|| missing(Kind::Exec, exec.as_str()))?;
        Ok(Object {
            kind: Kind::Exec,
            id: Some(exec.to_string()),
            name: exec.to_string(),
            owner: Some(container.owner),
        })
    }

    /// Gives a container its name in the engine.
    fn name_container(
        &self,
        create: &mut ContainerCreate,
        tenant: &Tenant,
    ) -> Result<Object, Refused> {
        let name = match &create.name {
            Some(name) => name.to_string(),
            None => self.store.made_up_name(&tenant.owner),
        };
        let engine = name_in_engine(&tenant.owner, &name)?;
        create.name = Some(checked(ContainerName::parse(&engine))?);
        Ok(to_make(Kind::Container, &name, tenant))
    }

    /// Where the operator allows what the engine has, the list must be new enough to tell.
    async fn image_of_create(&self, image: &ImageRef, tenant: &Tenant) -> Result<(), Refused> {
        let sight = self.sight(tenant);
        if sight.allows_local() && !sight.is_allowed(image) {
            self.known_images(|known| known.has(image)).await?;
        }
        Ok(())
    }

    /// Puts a name that the caller may see in the place of an id. A name stays as it is: whether it
    /// may be used is for the floor to say, which refuses what is another's like what is not there.
    async fn image(
        &self,
        image: &mut ImageSelector,
        removes: bool,
        tenant: &Tenant,
    ) -> Result<Object, Refused> {
        let digits = match image {
            ImageSelector::Name(name) => {
                let known = self.known_images(|known| known.has(name)).await?;
                match short_id(name).filter(|_| !known.has(name)) {
                    Some(digits) => digits.to_owned(),
                    None => return Ok(self.image_object(name)),
                }
            }
            ImageSelector::Id(id) => digits(id).to_owned(),
        };
        let known = self
            .known_images(|known| known.by_prefix(&digits).next().is_some())
            .await?;
        let sight = self.sight(tenant);
        let seen = |names: Vec<&ImageRef>| -> Vec<ImageRef> {
            let names = names.into_iter().filter(|name| sight.sees_image_ref(name));
            names.cloned().collect()
        };
        let mut images = known
            .by_prefix(&digits)
            .map(seen)
            .filter(|it| !it.is_empty());
        let (Some(mut names), None) = (images.next(), images.next()) else {
            return Err(missing(Kind::Image, &image.to_string()));
        };
        names.sort();
        if removes {
            // Only one's own tags can be removed, and an id does not say which of several.
            let own = |name: &&ImageRef| self.store.tag_owner(name) == Some(tenant.owner);
            let own: Vec<_> = names.iter().filter(own).cloned().collect();
            if own.len() > 1 {
                return Err(Refused {
                    status: 409,
                    message: format!(
                        "conflict: {} has several names of yours; remove it by name",
                        quote(&image.to_string())
                    ),
                    ..missing(Kind::Image, "")
                });
            }
            if !own.is_empty() {
                names = own;
            }
        }
        let Some(name) = names.into_iter().next() else {
            return Err(missing(Kind::Image, &image.to_string()));
        };
        let object = self.image_object(&name);
        *image = ImageSelector::Name(name);
        Ok(object)
    }

    /// A name of an image is an object, and whoever made it has it.
    fn image_object(&self, image: &ImageRef) -> Object {
        Object {
            kind: Kind::Image,
            id: None,
            name: image.to_string(),
            owner: self.store.tag_owner(image),
        }
    }

    async fn known_images(&self, has: impl Fn(&Known) -> bool) -> Result<Arc<Known>, Refused> {
        let known = self.images.find(&self.engine, has).await;
        known.map_err(|failure| no_answer(&failure))
    }

    /// What a tenant sees.
    pub(super) fn sight(&self, tenant: &Tenant) -> Sight {
        Sight::new(tenant, &self.store, self.allowed())
    }
}

/// Has a new container join its network by an endpoint, which can have aliases. It comes before
/// references are resolved, so that what is resolved is what the action refers to afterwards.
fn join_by_endpoint(create: &mut ContainerCreate) {
    let network = &mut create.network;
    match (&network.mode, &network.endpoint) {
        (NetworkMode::Network(joined), None) => {
            network.endpoint = Some(Endpoint {
                network: joined.clone(),
                aliases: Vec::new(),
            });
        }
        // The engine takes an id for the network's name only where it is that of the mode.
        (NetworkMode::Default, Some(endpoint)) => {
            network.mode = NetworkMode::Network(endpoint.network.clone());
        }
        _ => {}
    }
}

/// The name of a container is an alias of it in every network of the tenant's, since the engine
/// would answer to the engine's name alone.
fn alias_of_create(create: &mut ContainerCreate) {
    let name = create.name.as_ref().map(|name| name.as_str());
    let name = name.and_then(names::split).map(|(_, name)| name.to_owned());
    if let (Some(endpoint), Some(name)) = (&mut create.network.endpoint, name) {
        alias(endpoint, &name);
    }
}

fn alias(endpoint: &mut Endpoint, name: &str) {
    // A name such as `a..b` is no host name; it has no alias.
    if let Ok(host) = Hostname::parse(name)
        && !endpoint.aliases.contains(&host)
    {
        endpoint.aliases.push(host);
    }
}

/// A name of the engine's for a new object.
fn name_in_engine(owner: &Owner, name: &str) -> Result<String, Refused> {
    let engine = names::in_engine(owner, name);
    let refusal = if engine.len() > names::LONGEST {
        let most = names::LONGEST - names::in_engine(owner, "").len();
        Refusal::new(
            Rule::Name,
            format!("{} has more than {most} letters", quote(name)),
        )
    } else if names::split(name).is_some() {
        Refusal::new(
            Rule::NameReserved,
            format!(
                "{} has the form of a name in the engine; choose another",
                quote(name)
            ),
        )
    } else {
        return Ok(engine);
    };
    Err(refused(&refusal))
}

fn to_make(kind: Kind, name: &str, tenant: &Tenant) -> Object {
    Object {
        kind,
        id: None,
        name: name.to_owned(),
        owner: Some(tenant.owner),
    }
}

fn known(kind: Kind, found: &Found) -> Object {
    Object {
        kind,
        id: Some(found.id.to_string()),
        name: found.name.to_string(),
        owner: Some(found.owner),
    }
}

fn digits(id: &ImageId) -> &str {
    id.as_str().strip_prefix("sha256:").unwrap_or(id.as_str())
}

/// What is not there or is another's, in the engine's words: clients look at them.
pub(super) fn missing(kind: Kind, text: &str) -> Refused {
    let message = match kind {
        Kind::Container => format!("No such container: {text}"),
        Kind::Network => format!("network {text} not found"),
        Kind::Volume => format!("get {text}: no such volume"),
        Kind::Exec => format!("No such exec instance: {text}"),
        Kind::Image => format!("No such image: {text}"),
    };
    Refused {
        by: By::Ownership,
        status: 404,
        message,
        rules: Vec::new(),
        scope: None,
        retry_after: None,
    }
}

/// A refusal of a name by its grammar, which the parser could not see.
fn refused(refusal: &Refusal) -> Refused {
    Refused {
        by: By::Floor,
        status: refusal.status(),
        message: refusal.to_string(),
        rules: vec![refusal.rule.id().to_owned()],
        scope: None,
        retry_after: None,
    }
}

/// What the engine itself calls an object passes the grammar of its references; an engine that
/// names one otherwise is not answered for.
fn checked<T>(parsed: Result<T, Refusal>) -> Result<T, Refused> {
    parsed.map_err(|refusal| refused(&refusal))
}

pub(super) fn no_answer(failure: &EngineFailure) -> Refused {
    Refused {
        by: By::Broker,
        status: 503,
        message: match failure {
            EngineFailure::Unreachable(_) => "the engine does not answer; try again",
            EngineFailure::Answer { .. } => "the engine could not be asked; its log has the reason",
        }
        .to_owned(),
        rules: Vec::new(),
        scope: None,
        retry_after: Some(1),
    }
}
