//! Resources and routes that say what they ask of a token.

use actix_web::dev::ResourceDef;
use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Responder, web};
use cofferdam_token::Requirement;

/// What a route asks.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    Public,
    /// Who brings a token is known by it.
    Optional,
    Require(Requirement),
}

/// A path and its routes.
pub struct Resource {
    pub(crate) path: String,
    pub(crate) routes: Vec<Route>,
}

/// Begins a resource at `path`, in the syntax of actix-web: `/containers/{id}`. The path is the
/// whole one: there are no scopes to nest it in.
///
/// The rest of a path is taken by a segment with the pattern `.*`: `/files/{path:.*}`.
///
/// # Panics
/// Where `path` is no pattern, does not begin with a slash, ends with a tail pattern (`{tail}*`), or takes every
/// path (`/{all:.*}`), which would declare what nobody has looked at.
#[track_caller]
pub fn resource(path: &str) -> Resource {
    assert!(
        path.starts_with('/'),
        "path `{path}` does not begin with a slash"
    );
    // A path of so many segments, all of them unlikely, is matched by what takes everything.
    let unlikely = "/-.~".repeat(64);
    assert!(
        !path.ends_with('*') && !ResourceDef::new(path).is_match(&unlikely),
        "path `{path}` takes whatever comes: name the routes, or where they begin, as in `/files/{{path:.*}}`"
    );
    Resource {
        path: path.to_owned(),
        routes: Vec::new(),
    }
}

impl Resource {
    /// Adds a route, which has said what it asks.
    ///
    /// # Panics
    /// Where the resource already has a route for that method.
    #[must_use]
    #[track_caller]
    pub fn route(mut self, route: Route) -> Resource {
        let taken = self.routes.iter().any(|other| other.method == route.method);
        assert!(!taken, "`{} {}` has two routes", route.method, self.path);
        self.routes.push(route);
        self
    }
}

/// A route that has said what it asks, and can be served.
pub struct Route {
    pub(crate) method: Method,
    pub(crate) access: Access,
    pub(crate) route: actix_web::Route,
}

/// A route that has not said yet what it asks, and cannot be served.
#[must_use = "say `.require(…)`, `.optional()` or `.public()`"]
pub struct Undeclared {
    method: Method,
    route: actix_web::Route,
}

impl Undeclared {
    /// Serves requests whose token has this.
    pub fn require(self, requirement: Requirement) -> Route {
        Route {
            method: self.method,
            access: Access::Require(requirement),
            route: self.route,
        }
    }

    /// Serves everybody, and knows who brings a token by it: a handler takes
    /// `Option<Principal>`, which is `None` where no token came. One that is not valid is refused
    /// with 401, as on any other route (RFC 6750 §3.1): a client that has lost its login is told so,
    /// and not served as a stranger. A route that has to be reached with a stale token, such as the
    /// one that renews it, is [`Undeclared::public`].
    pub fn optional(self) -> Route {
        Route {
            method: self.method,
            access: Access::Optional,
            route: self.route,
        }
    }

    /// Serves everybody, with or without a token; what comes as one is not looked at, so handlers
    /// find no principal. Where they shall, see [`Undeclared::optional`].
    pub fn public(self) -> Route {
        Route {
            method: self.method,
            access: Access::Public,
            route: self.route,
        }
    }
}

/// A route that has no handler yet.
#[derive(Debug)]
#[must_use = "say `.to(handler)`"]
pub struct RouteBuilder(Method);

impl RouteBuilder {
    /// Sets the handler, an ordinary one of actix-web.
    pub fn to<F, Args>(self, handler: F) -> Undeclared
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let route = web::method(self.0.clone()).to(handler);
        Undeclared {
            method: self.0,
            route,
        }
    }
}

/// A route for any method.
pub fn method(method: Method) -> RouteBuilder {
    RouteBuilder(method)
}

/// A route for `GET`.
pub fn get() -> RouteBuilder {
    RouteBuilder(Method::GET)
}

/// A route for `HEAD`.
pub fn head() -> RouteBuilder {
    RouteBuilder(Method::HEAD)
}

/// A route for `POST`.
pub fn post() -> RouteBuilder {
    RouteBuilder(Method::POST)
}

/// A route for `PUT`.
pub fn put() -> RouteBuilder {
    RouteBuilder(Method::PUT)
}

/// A route for `PATCH`.
pub fn patch() -> RouteBuilder {
    RouteBuilder(Method::PATCH)
}

/// A route for `DELETE`.
pub fn delete() -> RouteBuilder {
    RouteBuilder(Method::DELETE)
}

/// A route for `OPTIONS`.
pub fn options() -> RouteBuilder {
    RouteBuilder(Method::OPTIONS)
}
