//! The listener of the REST dialect: an actix-web server, which a reload replaces by a new one on
//! the same address.

use std::future::ready;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::web::Data;
use actix_web::{HttpResponse, HttpServer};
use cofferdam_action::action::ActionKind;
use cofferdam_guard::{
    ClientCertificate, Guard, GuardedApp, Requirement, any_of, get, issuer, method, resource, scope,
};
use cofferdam_token::settings::IssuerSettings;

use crate::broker::Broker;
use crate::caller::verifier;
use crate::gate::{Gate, Live};

use super::openapi;
use super::routes::{OPERATIONS, pattern};
use super::service::{Worker, serve};

/// Threads that serve. Each holds its own connections to the broker.
const WORKERS: usize = 2;

/// How long a server that was replaced goes on before it stops.
const HANDOVER: Duration = Duration::from_secs(1);

/// The listener.
pub(crate) struct Listener(TcpListener);

impl Listener {
    /// Takes a bound listener.
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self(listener)
    }

    /// Serves until the gate stops.
    pub(crate) async fn run(self, gate: Arc<Gate>) {
        let document: Arc<str> = openapi::document().to_string().into();
        loop {
            // Whatever is replaced while the server starts is noticed after it.
            let reloaded = gate.reloaded();
            let live = gate.live();
            let server = match self.server(&gate, &live, &document) {
                Ok(server) => server,
                Err(error) => {
                    tracing::error!(%error, "the REST API is not served");
                    return;
                }
            };
            let handle = server.handle();
            let serving = tokio::spawn(server);
            tokio::select! {
                () = reloaded => {
                    // Told to pause it soon accepts nothing more, but does not say when; what it has
                    // accepted until then is to reach its workers before they are told to stop.
                    handle.pause().await;
                    gate.spawn(async move {
                        tokio::time::sleep(HANDOVER).await;
                        handle.stop(true).await;
                        drop(serving);
                    });
                }
                () = gate.stopping() => {
                    handle.stop(true).await;
                    return;
                }
            }
        }
    }

    fn server(
        &self,
        gate: &Arc<Gate>,
        live: &Arc<Live>,
        document: &Arc<str>,
    ) -> io::Result<actix_web::dev::Server> {
        let limits = &live.config.limits;
        let stop = limits.stop;
        let (connections, head, idle) = (limits.connections, limits.head, limits.idle);
        let guard = guard(live)?;
        let (gate, served, document) = (Arc::clone(gate), Arc::clone(live), Arc::clone(document));
        let server = HttpServer::new(move || {
            let worker = Data::new(Worker {
                gate: Arc::clone(&gate),
                live: Arc::clone(&served),
                broker: Broker::new(gate.broker.path()),
            });
            app(&guard, &served.config.issuers, &document)
                .build()
                .app_data(worker)
        })
        .workers(WORKERS)
        .max_connections(connections / WORKERS + 1)
        .client_request_timeout(head)
        .keep_alive(idle)
        .shutdown_timeout(stop.as_secs())
        .disable_signals()
        .on_connect(ClientCertificate::remember);
        let listener = self.0.try_clone()?;
        let server = match &live.tls {
            None => server.listen(listener)?,
            Some(tls) => server.listen_rustls_0_23(listener, tls.as_ref().clone())?,
        };
        Ok(server.run())
    }
}

fn guard(live: &Live) -> io::Result<Guard> {
    let verifier = verifier(&live.config, &live.keys).map_err(io::Error::other)?;
    let mut guard = Guard::new(verifier).realm("containers");
    if let Some(url) = &live.resource_metadata {
        guard = guard.resource_metadata(url);
    }
    for fetcher in live.keys.fetchers() {
        guard = guard.refresh(Arc::clone(fetcher) as _);
    }
    Ok(guard)
}

/// Declares every operation of the table with the scope of its action.
fn app(guard: &Guard, issuers: &[IssuerSettings], document: &Arc<str>) -> GuardedApp {
    let document = Arc::clone(document);
    let openapi = move || {
        let response = HttpResponse::Ok()
            .content_type("application/json")
            .body(document.to_string());
        ready(response)
    };
    let mut app = guard
        .app()
        .service(resource("/openapi.json").route(get().to(openapi).public()))
        .service(resource("/ready").route(get().to(readiness).public()));
    let mut paths: Vec<&str> = OPERATIONS.iter().map(|operation| operation.path).collect();
    paths.dedup();
    for path in paths {
        let of_path = OPERATIONS.iter().filter(|operation| operation.path == path);
        let declared = of_path.fold(resource(&pattern(path)), |resource, operation| {
            let kind = operation.kind;
            let handler =
                move |worker, request, body, caller| serve(kind, worker, request, body, caller);
            // The table has methods of HTTP alone, which a test holds.
            let verb = Method::from_bytes(operation.method.as_bytes()).unwrap_or_default();
            let needed = needed(kind, issuers);
            resource.route(method(verb).to(handler).require(needed))
        });
        app = app.service(declared);
    }
    app
}

/// The scope of an action, in the token or given by the operator to every token of its issuer.
fn needed(kind: ActionKind, issuers: &[IssuerSettings]) -> Requirement {
    let mut given = issuers
        .iter()
        .filter(|it| it.scopes.iter().any(|scope| scope == kind.scope()))
        .map(|it| issuer(&it.issuer))
        .peekable();
    match given.peek() {
        None => scope(kind.scope()),
        Some(_) => any_of(given.chain([scope(kind.scope())])),
    }
}

/// Whether a container action could be done now: 200 or 503, and nothing more for strangers.
async fn readiness(worker: Data<Worker>) -> HttpResponse {
    match worker.broker.check().await {
        Ok(()) => HttpResponse::Ok()
            .content_type("text/plain")
            .body("ready\n"),
        Err(_) => HttpResponse::ServiceUnavailable()
            .content_type("text/plain")
            .body("the broker cannot be reached\n"),
    }
}
