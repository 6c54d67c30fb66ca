//! What is to be decided: who asks for which action on which objects.

use cofferdam_action::action::Action;

/// One action of one principal, after the floor has let it through.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Who asks, from the verified token.
    pub principal: Principal<'a>,
    /// What for. Of a create, policy sees what the floor has made of it.
    pub action: &'a Action,
    /// The name that the caller gives to what the action makes or renames, as they wrote it:
    /// [`Action::given_name`] before anything is put in its place.
    pub given_name: Option<&'a str>,
    /// The objects that the action refers to: one for each of
    /// [`Action::references`], in its order. A volume that a create would make belongs to the
    /// caller.
    ///
    /// A list, events, disk usage or prune refers to none: it is decided on the caller's own tenant
    /// where this is empty, and on everyone's objects where it is [`Resource::everyone`] alone.
    pub resources: &'a [Resource<'a>],
    /// The time, in seconds since 1970.
    pub now: u64,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Principal<'a> {
    /// The tenant.
    pub owner: &'a str,
    /// `iss` of the token.
    pub issuer: &'a str,
    /// `sub` of the token.
    pub subject: &'a str,
    /// `client_id` of the token.
    pub client: Option<&'a str>,
    /// Its scopes, each a whole word.
    pub scopes: Vec<&'a str>,
    /// Its roles.
    pub roles: Vec<&'a str>,
    /// Its groups.
    pub groups: Vec<&'a str>,
}

/// An object that an action refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource<'a> {
    /// What it is.
    pub kind: ResourceKind,
    /// Its full id, or its name where it has no id.
    pub id: &'a str,
    /// Its name, as its owner knows it.
    pub name: Option<&'a str>,
    /// The tenant that it belongs to. An image that belongs to none is one that the operator allows
    /// to everyone; any other object that belongs to none is out of everyone's reach.
    pub owner: Option<&'a str>,
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind {
    /// A tenant: what lists show, and where new objects go.
    Tenant,
    /// The engine.
    System,
    /// A container.
    Container,
    /// An exec.
    Exec,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

impl ResourceKind {
    /// Every kind.
    pub const ALL: &'static [ResourceKind] = &[
        ResourceKind::Tenant,
        ResourceKind::System,
        ResourceKind::Container,
        ResourceKind::Exec,
        ResourceKind::Image,
        ResourceKind::Network,
        ResourceKind::Volume,
    ];

    /// The entity type in the schema.
    #[must_use]
    pub const fn entity_type(self) -> &'static str {
        match self {
            ResourceKind::Tenant => "Tenant",
            ResourceKind::System => "System",
            ResourceKind::Container => "Container",
            ResourceKind::Exec => "Exec",
            ResourceKind::Image => "Image",
            ResourceKind::Network => "Network",
            ResourceKind::Volume => "Volume",
        }
    }

    /// The word in messages and cases.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            ResourceKind::Tenant => "tenant",
            ResourceKind::System => "system",
            ResourceKind::Container => "container",
            ResourceKind::Exec => "exec",
            ResourceKind::Image => "image",
            ResourceKind::Network => "network",
            ResourceKind::Volume => "volume",
        }
    }
}

impl<'a> Resource<'a> {
    /// An object with an id and an owner.
    #[must_use]
    pub const fn new(kind: ResourceKind, id: &'a str, owner: Option<&'a str>) -> Self {
        Self {
            kind,
            id,
            name: None,
            owner,
        }
    }

    /// The same with the name that people know it by.
    #[must_use]
    pub const fn named(mut self, name: &'a str) -> Self {
        self.name = Some(name);
        self
    }

    /// The objects of every tenant, for a list that is not to be cut down to the caller's own.
    #[must_use]
    pub const fn everyone() -> Self {
        Self::new(ResourceKind::Tenant, "*", None)
    }
}
