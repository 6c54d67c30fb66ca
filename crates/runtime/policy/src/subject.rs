//! On which objects an action is decided.

use cofferdam_action::action::{Action, ActionKind, Reference};
use cofferdam_action::image::{ImageRef, ImageSelector};

use crate::entities::ENGINE;
use crate::request::{Request, Resource, ResourceKind};

/// An object with what the action itself says of it.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) resource: Resource<'a>,
    /// The image that an [`ResourceKind::Image`] is.
    pub(crate) image: Option<ImageRef>,
}

impl<'a> Subject<'a> {
    fn of(resource: Resource<'a>) -> Self {
        Self {
            resource,
            image: None,
        }
    }
}

/// Every object on which the request must be permitted, at least one.
///
/// # Errors
/// What does not fit: the resolved objects are not those of the action. That is an error of the
/// program that asks, and is denied.
pub(crate) fn subjects<'a>(request: &Request<'a>) -> Result<Vec<Subject<'a>>, String> {
    let own = Resource::new(
        ResourceKind::Tenant,
        request.principal.owner,
        Some(request.principal.owner),
    );
    let mut subjects = Vec::with_capacity(request.resources.len() + 1);
    match request.action {
        Action::Ping | Action::Version | Action::Info => {
            let engine = Resource::new(ResourceKind::System, ENGINE, None);
            subjects.push(Subject::of(engine));
        }
        Action::ImagePull { image, platform: _ } => subjects.push(Subject {
            resource: Resource::new(ResourceKind::Image, "", None),
            image: Some(image.clone()),
        }),
        action if concerns_a_tenant(action.kind()) => {
            if action.kind() != ActionKind::ContainerCreate
                && let [resource] = request.resources
                && *resource == Resource::everyone()
            {
                return Ok(vec![Subject::of(*resource)]);
            }
            subjects.push(Subject::of(own));
        }
        _ => {}
    }
    let references = request.action.references();
    if references.len() != request.resources.len() {
        return Err(format!(
            "`{}` refers to {} objects, and {} were resolved",
            request.action.kind().id(),
            references.len(),
            request.resources.len()
        ));
    }
    for (reference, resource) in references.into_iter().zip(request.resources) {
        let (kind, image) = match reference {
            Reference::Container(_) => (ResourceKind::Container, None),
            Reference::Network(_) => (ResourceKind::Network, None),
            Reference::Volume(_) => (ResourceKind::Volume, None),
            Reference::Exec(_) => (ResourceKind::Exec, None),
            Reference::Image(ImageSelector::Name(image)) => (ResourceKind::Image, Some(image)),
            Reference::Image(ImageSelector::Id(_)) => {
                return Err("an image by its id has no name to decide on".to_owned());
            }
        };
        if kind != resource.kind {
            return Err(format!(
                "`{}` refers to a {}, and a {} was resolved",
                request.action.kind().id(),
                kind.word(),
                resource.kind.word()
            ));
        }
        // An object that is referred to twice is decided once.
        let seen = |it: &Subject<'_>| it.resource == *resource && it.image == image;
        if !subjects.iter().any(seen) {
            subjects.push(Subject {
                resource: *resource,
                image,
            });
        }
    }
    Ok(subjects)
}

/// Whether an action concerns a tenant: it shows, makes or sweeps away objects of one.
fn concerns_a_tenant(kind: ActionKind) -> bool {
    crate::schema::resource_kinds(kind).contains(&ResourceKind::Tenant)
}
