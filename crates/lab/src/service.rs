//! What all routes share: the state, the form of a refusal, and who may speak to the lab at all.

use crate::deployment::Secrets;
use crate::flawed::FlawedVerifier;
use crate::guards::Guards;
use crate::hole::{Hole, Switches};
use crate::legacy_tokens::LegacyTokens;
use crate::resolve::Resolver;
use crate::root::Root;
use crate::routes;
use crate::runtime::Runtime;
use crate::shell::Shell;
use crate::store::Store;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    AUTHORIZATION, HOST, HeaderValue, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use cofferdam_guard::GuardedApp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt;

/// How many bytes a request body may have.
pub(crate) const BODY: usize = 64 * 1024;

/// The service behind its routes.
pub(crate) struct State {
    pub(crate) switches: Switches,
    pub(crate) flawed: FlawedVerifier,
    pub(crate) legacy: LegacyTokens,
    pub(crate) store: Store,
    pub(crate) runtime: Runtime,
    pub(crate) root: Root,
    /// There where the command injection is.
    pub(crate) shell: Option<Shell>,
    pub(crate) resolver: Resolver,
    pub(crate) secrets: Secrets,
    pub(crate) jwks: Value,
    pub(crate) openapi: String,
    /// `Host` values that are the lab's own.
    pub(crate) hosts: Vec<String>,
}

impl State {
    pub(crate) fn is_open(&self, hole: Hole) -> bool {
        self.switches.is_open(hole)
    }
}

/// An error answer.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    challenge: Option<String>,
    retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            challenge: None,
            retry_after: None,
        }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("there is no such {what}"),
        )
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(crate) fn throttled(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "too many bad tokens came from this address",
            )
        }
    }

    /// A refusal with its `WWW-Authenticate`.
    pub(crate) fn challenge(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        challenge: String,
    ) -> Self {
        Self {
            challenge: Some(challenge),
            ..Self::new(status, code, message)
        }
    }
}

impl From<cofferdam_docker::Error> for Problem {
    fn from(error: cofferdam_docker::Error) -> Self {
        use cofferdam_docker::Error;
        let status = match error.status() {
            Some(403) => StatusCode::FORBIDDEN,
            Some(404) => StatusCode::NOT_FOUND,
            Some(409) => StatusCode::CONFLICT,
            Some(400) => StatusCode::BAD_REQUEST,
            _ => StatusCode::BAD_GATEWAY,
        };
        let message = match error {
            Error::Engine { message, .. } => message,
            _ => "the container runtime does not answer".to_owned(),
        };
        Self::new(status, "runtime_error", message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        if let Some(challenge) = &self.challenge {
            answer.insert_header((WWW_AUTHENTICATE, challenge.as_str()));
        }
        if let Some(seconds) = self.retry_after {
            answer.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        answer.json(json!({"error": self.code, "message": self.message}))
    }
}

/// Reads a JSON body, after the caller was let in.
pub(crate) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad(format!("the body is wrong: {error}")))
}

/// Declares every route, with what it asks of a token. What is not declared is not there.
///
/// An open token hole declares its route public, or asks too little, as whoever has no guard does.
pub(crate) fn declare(guards: &Guards, state: &State) -> GuardedApp {
    let mut app = guards.bearer.app();
    app = routes::public::declare(app);
    app = routes::help::declare(app);
    app = routes::account::declare(app);
    app = routes::platform::declare(app, &guards.dpop, state);
    app = routes::containers::declare(app);
    app = routes::files::declare(app);
    app = routes::outbound::declare(app);
    app = routes::diagnostics::declare(app);
    app = routes::jobs::declare(app);
    app = routes::assistant::declare(app);
    app = routes::admin::declare(app, state);
    app = routes::legacy::declare(app);
    if state.is_open(Hole::RuntimeApi) {
        app = routes::runtime::declare(app);
    }
    app
}

/// The token that came in the header, for whoever repeats it or judges it by hand.
pub(crate) fn raw_token(request: &HttpRequest) -> Option<&str> {
    after(request, "Bearer ")
}

/// What follows a scheme in `Authorization`.
pub(crate) fn after<'r>(request: &'r HttpRequest, scheme: &str) -> Option<&'r str> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let token = value.strip_prefix(scheme)?.trim();
    (!token.is_empty()).then_some(token)
}

/// Refuses whoever does not speak to the lab under its own name: a web page that had its name
/// resolved to loopback (DNS rebinding), or one of another origin. No switch turns this off.
pub(crate) async fn only_own_host(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> actix_web::Result<ServiceResponse<actix_web::body::BoxBody>> {
    let own = |value: &HeaderValue, prefix: &str| {
        let value = value.to_str().unwrap_or_default();
        let host = value.strip_prefix(prefix).unwrap_or_default();
        state.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    };
    let mut hosts = request.headers().get_all(HOST);
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => own(host, ""),
        _ => false,
    };
    if !named {
        let problem = Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected_request",
            "this service has another name",
        );
        return Ok(request.error_response(problem).map_into_boxed_body());
    }
    if !request
        .headers()
        .get_all(ORIGIN)
        .all(|origin| own(origin, "http://"))
    {
        let problem = Problem::forbidden("requests of other origins are refused");
        return Ok(request.error_response(problem).map_into_boxed_body());
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}
