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
    resources: Vec<Resource>,
}

/// What the gate knows of one resource.
pub(crate) struct Declared {
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
    pub fn service(mut self, resource: Resource) -> GuardedApp {
        let taken = self
            .resources
            .iter()
            .any(|other| other.path == resource.path);
        assert!(
            !taken,
            "`{}` is declared twice: put its routes into one resource",
            resource.path
        );
        self.resources.push(resource);
        self
    }

    #[cfg(feature = "utoipa")]
    pub(crate) fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// An actix-web application, to which data and middleware can be added as to any other.
    ///
    /// What is added to it besides (`service`, `route`, `configure`, `default_service`, a scope) is
    /// not declared, so the gate answers 404 in its place.
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
        for resource in self.resources {
            let mut routes = Vec::new();
            let mut service = web::resource(resource.path.as_str());
            for route in resource.routes {
                routes.push((route.method, route.access));
                service = service.route(route.route);
            }
            // The router matches the same definition against the same text, in the same order, and
            // whatever is added later comes behind: what the gate finds is what will be served.
            declared.push(Declared {
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
