//! The application: declared resources, and the gate in front of them.

use std::rc::Rc;

use actix_web::body::BoxBody;
use actix_web::dev::{ResourceDef, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, web};

use crate::admission;
use crate::guard::Guard;
use crate::route::{Access, Resource};

/// Builds an application of which every route is declared.
#[must_use = "an application that is not built serves nothing"]
pub struct GuardedApp {
    guard: Guard,
    /// Each with the guard that judges its requests.
    resources: Vec<(Guard, Resource)>,
}

/// What the gate knows of one resource.
pub(crate) struct Declared {
    pub(crate) guard: Guard,
    pub(crate) pattern: ResourceDef,
    pub(crate) routes: Vec<(Method, Access)>,
}

impl GuardedApp {
    pub(crate) fn new(guard: Guard) -> GuardedApp {
        GuardedApp {
            guard,
            resources: Vec::new(),
        }
    }

    /// Adds a resource. As in actix-web, the first one whose path matches serves.
    ///
    /// # Panics
    /// Where the path was added before: its routes belong into one resource.
    #[track_caller]
    pub fn service(self, resource: Resource) -> GuardedApp {
        let guard = self.guard.clone();
        self.declare(guard, resource)
    }

    /// Adds the resources of another guard, which goes on to judge them: for a service of which a
    /// part takes DPoP, or has another realm. What neither declares is answered by the first guard.
    ///
    /// # Panics
    /// Where both have a resource of one path.
    #[track_caller]
    pub fn merge(self, other: GuardedApp) -> GuardedApp {
        let mut app = self;
        for (guard, resource) in other.resources {
            app = app.declare(guard, resource);
        }
        app
    }

    #[track_caller]
    fn declare(mut self, guard: Guard, resource: Resource) -> GuardedApp {
        let taken = self
            .resources
            .iter()
            .any(|(_, other)| other.path == resource.path);
        assert!(
            !taken,
            "`{}` is declared twice: put its routes into one resource",
            resource.path
        );
        self.resources.push((guard, resource));
        self
    }

    /// The metadata of each guard that has some, unless the path is declared.
    fn documents(&self) -> Vec<(Guard, Resource)> {
        let mut documents: Vec<(Guard, Resource)> = Vec::new();
        let guards = self.resources.iter().map(|(guard, _)| guard);
        for guard in std::iter::once(&self.guard).chain(guards) {
            let Some(metadata) = &guard.inner().metadata else {
                continue;
            };
            let all = self.resources.iter().chain(&documents);
            if all
                .into_iter()
                .any(|(_, other)| other.path == metadata.path())
            {
                continue;
            }
            let own = self.resources.iter().filter(|(other, _)| other.is(guard));
            let own: Vec<&Resource> = own.map(|(_, resource)| resource).collect();
            let document = metadata.document(guard.inner(), &own);
            documents.push((guard.clone(), document));
        }
        documents
    }

    #[cfg(feature = "utoipa")]
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.iter().map(|(_, resource)| resource)
    }

    /// An actix-web application, to which data and middleware can be added as to any other.
    ///
    /// What is added to it besides (`service`, `route`, `configure`, `default_service`, a scope) is
    /// not declared, so the gate answers 404 in its place.
    ///
    /// Middleware that is added to it is passed before the gate, and the router comes behind both: a
    /// path that it rewrites (`NormalizePath`) is the one that the gate judges and the router
    /// matches, so nothing is reached without its requirement. A DPoP proof must be for the
    /// rewritten path then, which a client does not know; so let clients ask for the path as it is.
    ///
    /// # Panics
    /// Where a path is no pattern of actix-web.
    pub fn build(
        self,
    ) -> App<
        impl ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
            InitError = (),
        >,
    > {
        let mut app = App::new();
        let mut declared = Vec::new();
        let documents = self.documents();
        for (guard, resource) in self.resources.into_iter().chain(documents) {
            let mut routes = Vec::new();
            // For the answers of extractors.
            let mut service = web::resource(resource.path.as_str()).app_data(guard.clone());
            for route in resource.routes {
                routes.push((route.method, route.access));
                service = service.route(route.route);
            }
            // The router matches the same definition against the same text, in the same order, and
            // whatever is added later comes behind: what the gate finds is what will be served.
            declared.push(Declared {
                guard,
                pattern: ResourceDef::new(resource.path.as_str()),
                routes,
            });
            app = app.service(service);
        }
        let declared: Rc<[Declared]> = declared.into();
        let guard = self.guard;
        app.wrap(from_fn(
            move |request: ServiceRequest, next: Next<BoxBody>| {
                admission::admit(guard.clone(), Rc::clone(&declared), request, next)
            },
        ))
    }
}
