//! The application of the REST dialect: every operation of the table, declared to the guard, and what
//! stands around them all.

use std::future::ready;
use std::sync::{Arc, LazyLock};

use actix_service::Service as _;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use actix_web::http::{ConnectionType, Method};
use actix_web::web::Data;
use actix_web::{App, HttpResponse};
use bytes::Bytes;
use cofferdam_action::action::ActionKind;
use cofferdam_guard::{Guard, GuardedApp, Resource, authenticated, get, method, resource, scope};
use futures_util::future::Either;

use crate::broker::Broker;
use crate::caller::{Keys, verifier};
use crate::config::{ConfigError, GateConfig};
use crate::connection::tap::{Follows, Head};
use crate::gate::{Gate, Live};
use crate::log;
use crate::refusal::{HttpError, Refused};

use super::body::Served;
use super::routes::{OPERATIONS, operation, pattern};
use super::service::{Shared, Told, serve};
use super::{answer, openapi};

/// The methods that a request can be an action with, or be told that it is none.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// The OpenAPI document, which is the same for everybody.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| openapi::document().to_string().into());

/// Every path that could be one of an action.
const ANY: &str = "/v1/{path:.*}";

/// The guard of a configuration that was checked.
pub(crate) fn guard(config: &GateConfig, keys: &Keys) -> Result<Guard, ConfigError> {
    let mut guard = Guard::new(verifier(config, keys)?).realm("containers");
    if let Some(url) = &config.public_url {
        guard = guard.protected_resource(url);
    }
    for fetcher in keys.fetchers() {
        guard = guard.refresh(Arc::clone(fetcher) as _);
    }
    Ok(guard)
}

/// The application of a configuration, for one thread.
pub(super) fn application(
    gate: &Arc<Gate>,
    broker: &Arc<Broker>,
    live: &Arc<Live>,
    guard: &Guard,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<Served>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    let shared = Data::new(Shared {
        gate: Arc::clone(gate),
        broker: Arc::clone(broker),
        live: Arc::clone(live),
    });
    let gate = Arc::clone(gate);
    declare(guard)
        .build()
        .app_data(shared)
        .wrap_fn(move |request, app| {
            let head = request.conn_data::<Head>().cloned();
            let follows = follows(&request);
            let Some(head) = head.filter(|head| head.take(follows).is_some()) else {
                // The server saw a head that ends elsewhere than it did on the wire.
                let refused = Refused::Http(HttpError::Head);
                let mut response = answer::refused(&refused, None, None);
                response.extensions_mut().insert(Told {
                    issuer: None,
                    request: None,
                    reason: refused.id().to_owned(),
                });
                let mut response = request.into_response(response);
                tell(&gate, &response);
                close(&mut response);
                return Either::Left(ready(Ok(
                    response.map_body(|_, body| Served::new(body, None))
                )));
            };
            let gate = Arc::clone(&gate);
            let answer = app.call(request);
            Either::Right(async move {
                let answer = answer.await;
                if answer.is_err() {
                    head.be_idle();
                }
                let mut response = answer?;
                tell(&gate, &response);
                if follows == Follows::Rest {
                    close(&mut response);
                }
                Ok(response.map_body(|_, body| Served::new(body, Some(head))))
            })
        })
}

/// Declares every operation. The scope of its action is named for the metadata of the resource; it is
/// the broker that asks for it, so that the audit log has who lacks it. For the same reason what could
/// be an operation and is none asks for a caller too.
fn declare(guard: &Guard) -> GuardedApp {
    let openapi = || {
        let response = HttpResponse::Ok()
            .content_type("application/json")
            .body(DOCUMENT.clone());
        ready(response)
    };
    let mut app = guard
        .app()
        .service(resource("/openapi.json").route(get().to(openapi).public()))
        .service(resource("/ready").route(get().to(readiness).public()));
    let mut paths: Vec<&str> = OPERATIONS.iter().map(|operation| operation.path).collect();
    paths.dedup();
    for path in paths {
        let kind = |method: &Method| operation(method.as_str(), path).map(|it| it.kind);
        app = app.service(every_method(&pattern(path), kind));
    }
    app.service(every_method(ANY, |_| None))
}

/// A resource that answers every method: those that are an operation here, and the rest by what they
/// are refused with.
fn every_method(path: &str, kind: impl Fn(&Method) -> Option<ActionKind>) -> Resource {
    METHODS.iter().fold(resource(path), |resource, each| {
        let kind = kind(each);
        let handler =
            move |shared, request, body, caller| serve(kind, shared, request, body, caller);
        let requirement = match kind {
            Some(kind) => scope(kind.scope()).or(authenticated()),
            None => authenticated(),
        };
        resource.route(method(each.clone()).to(handler).require(requirement))
    })
}

/// What follows a head in the eyes of the server.
fn follows(request: &ServiceRequest) -> Follows {
    let headers = request.headers();
    let endless = [TRANSFER_ENCODING, UPGRADE]
        .iter()
        .any(|name| headers.contains_key(name));
    if endless || request.method() == Method::CONNECT {
        return Follows::Rest;
    }
    let Some(length) = headers.get(CONTENT_LENGTH) else {
        return Follows::Body(0);
    };
    let length = length
        .to_str()
        .ok()
        .and_then(|length| length.trim().parse().ok());
    length.map_or(Follows::Rest, Follows::Body)
}

fn close<B>(response: &mut ServiceResponse<B>) {
    let head = response.response_mut().head_mut();
    head.set_connection_type(ConnectionType::Close);
}

/// Tells of a refusal, whoever has refused.
fn tell(gate: &Gate, response: &ServiceResponse<BoxBody>) {
    let (request, answer) = (response.request(), response.response());
    let by_guard = answer
        .error()
        .and_then(|error| error.as_error::<cofferdam_guard::Error>());
    let extensions = answer.extensions();
    let told = extensions.get::<Told>();
    let (reason, told) = match (told, by_guard) {
        (Some(told), _) => (told.reason.as_str(), Some(told)),
        (None, Some(error)) => (error.id(), None),
        (None, None) => return,
    };
    let Some(peer) = request.peer_addr() else {
        return;
    };
    let refusal = log::Refusal {
        peer: peer.ip(),
        route: &log::route(request.method().as_str(), request.path()),
        issuer: told.and_then(|told| told.issuer.as_deref()),
        request: told.and_then(|told| told.request.as_deref()),
        status: answer.status().as_u16(),
        reason,
    };
    log::refused(&gate.strangers, &refusal);
}

/// Whether the broker takes connections: 200 or 503, and nothing more for strangers.
async fn readiness(shared: Data<Shared>) -> HttpResponse {
    match shared.broker.check().await {
        Ok(()) => HttpResponse::Ok()
            .content_type("text/plain")
            .body("ready\n"),
        Err(_) => HttpResponse::ServiceUnavailable()
            .content_type("text/plain")
            .body("the broker cannot be reached\n"),
    }
}
