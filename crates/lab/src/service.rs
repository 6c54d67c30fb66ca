//! What all routes share: the state, the form of a refusal, and who may speak to the lab at all.

use crate::deployment::Secrets;
use crate::hole::{Hole, Switches};
use crate::legacy_tokens::LegacyTokens;
use crate::resolve::Resolver;
use crate::root::Root;
use crate::routes;
use crate::shell::Shell;
use crate::store::Store;
use crate::verify::{Auth, Group, Principal, Refused, raw_token};
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, HeaderValue, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use cofferdam_docker::Client;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt;

/// How many bytes a request body may have.
pub(crate) const BODY: usize = 64 * 1024;

/// The service behind its routes.
pub(crate) struct State {
    pub(crate) switches: Switches,
    pub(crate) auth: Auth,
    pub(crate) legacy: LegacyTokens,
    pub(crate) store: Store,
    pub(crate) engine: Client,
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

    /// Lets a caller in. See [`Auth::check`].
    pub(crate) fn enter(
        &self,
        request: &HttpRequest,
        group: Group,
        scope: &str,
    ) -> Result<Principal, Problem> {
        self.auth
            .check(request, group, scope)
            .map_err(|refused| self.explain(request, group, refused.into()))
    }

    /// Adds what the developer of a group wanted to see with every error: the caller's request, its
    /// token included.
    pub(crate) fn explain(&self, request: &HttpRequest, group: Group, problem: Problem) -> Problem {
        let talkative = group == Group::JobResults && self.is_open(Hole::TokenInError);
        match raw_token(request).filter(|_| talkative) {
            Some(token) => Problem {
                context: Some(Box::new(json!({
                    "path": request.path(),
                    "authorization": format!("Bearer {token}"),
                }))),
                ..problem
            },
            None => problem,
        }
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
    context: Option<Box<Value>>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            challenge: None,
            retry_after: None,
            context: None,
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

    pub(crate) fn unauthorized(message: &str) -> Self {
        Self {
            challenge: Some("Bearer realm=\"legacy\"".to_owned()),
            ..Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self {
            challenge: Some(refused.challenge),
            ..Self::new(
                StatusCode::from_u16(refused.status).unwrap_or(StatusCode::UNAUTHORIZED),
                refused.code,
                refused.message,
            )
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
        let mut body = json!({"error": self.code, "message": self.message});
        if let Some(context) = &self.context {
            body["context"] = Value::clone(context);
        }
        answer.json(body)
    }
}

/// Reads a JSON body, after the caller was let in.
pub(crate) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad(format!("the body is wrong: {error}")))
}

/// Registers every route.
pub(crate) fn configure(config: &mut ServiceConfig, switches: &Switches) {
    routes::public::configure(config);
    routes::help::configure(config);
    routes::account::configure(config);
    routes::platform::configure(config);
    routes::containers::configure(config);
    routes::files::configure(config);
    routes::outbound::configure(config);
    routes::diagnostics::configure(config);
    routes::jobs::configure(config);
    routes::assistant::configure(config);
    routes::admin::configure(config);
    routes::legacy::configure(config);
    if switches.is_open(Hole::RuntimeApi) {
        routes::runtime::configure(config);
    }
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
