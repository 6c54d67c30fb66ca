//! A service that is not the lab and knows nothing of us: parcels and invoices of customers, labels
//! and manuals as files, written with plain actix-web and actix-web-httpauth, without an OpenAPI
//! document, with string ids.
//!
//! Two real flaws, each beside a sound twin:
//! - `GET /parcels/{reference}` does not look at the owner; `GET /invoices/{number}` does.
//! - `GET /labels/show?name=` joins the name into a path; `GET /manuals/show?name=` looks it up.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test stops at the first surprise, and takes the part that it needs"
)]

use actix_web::dev::{ServerHandle, Service, ServiceRequest};
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer, error, web};
use actix_web_httpauth::extractors::bearer::BearerAuth;
use actix_web_httpauth::middleware::HttpAuthentication;
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

/// Two customers' tokens: random, opaque.
pub const TOKENS: [(&str, &str); 2] = [
    ("nadia", "8c1f0e5b7d2a4936b1f4c7e09a3d5528"),
    ("omar", "f27b9d3c6a1840e59d0c8b7f4e62a1d3"),
];

struct Customer(&'static str);

struct Shelf {
    labels: PathBuf,
}

/// The running service; it stops when dropped.
pub struct Parcels {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// While it is set, no request is answered.
    pub stall: Arc<AtomicBool>,
    /// A word for each request that is held back.
    pub stalled: mpsc::Receiver<()>,
    handle: ServerHandle,
    _files: tempfile::TempDir,
}

impl Drop for Parcels {
    fn drop(&mut self) {
        // The future only sends a command; the server's own thread carries it out.
        drop(self.handle.stop(false));
    }
}

/// Starts the service on a port of its own.
pub fn start() -> Parcels {
    let files = tempfile::tempdir().unwrap();
    let labels = files.path().join("labels");
    std::fs::create_dir(&labels).unwrap();
    std::fs::write(labels.join("standard.txt"), "SENDER / RECIPIENT\n").unwrap();
    let (ready, started) = mpsc::channel();
    let stall = Arc::new(AtomicBool::new(false));
    let stalling = Arc::clone(&stall);
    let (held, stalled) = mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let shelf = web::Data::new(Shelf { labels });
            let server = HttpServer::new(move || {
                let (stalling, held) = (Arc::clone(&stalling), held.clone());
                App::new()
                    .wrap_fn(move |request, service| {
                        let stall = stalling.load(Ordering::SeqCst);
                        if stall {
                            // The test may have gone already.
                            let _ = held.send(());
                        }
                        let answer = service.call(request);
                        async move {
                            if stall {
                                std::future::pending::<()>().await;
                            }
                            answer.await
                        }
                    })
                    .app_data(shelf.clone())
                    .route("/", web::get().to(index))
                    .service(
                        web::scope("")
                            .wrap(HttpAuthentication::bearer(authenticate))
                            .route("/parcels", web::get().to(parcels))
                            .route("/parcels/{reference}", web::get().to(parcel))
                            .route("/invoices", web::get().to(invoices))
                            .route("/invoices/{number}", web::get().to(invoice))
                            .route("/labels", web::get().to(label_names))
                            .route("/labels/show", web::get().to(label))
                            .route("/manuals", web::get().to(manual_names))
                            .route("/manuals/show", web::get().to(manual)),
                    )
            })
            .workers(2)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .unwrap();
            let address = server.addrs()[0];
            let server = server.run();
            ready.send((address, server.handle())).unwrap();
            server.await.unwrap();
        });
    });
    let (address, handle) = started.recv().unwrap();
    Parcels {
        url: format!("http://{address}"),
        stall,
        stalled,
        handle,
        _files: files,
    }
}

async fn authenticate(
    request: ServiceRequest,
    bearer: BearerAuth,
) -> Result<ServiceRequest, (actix_web::Error, ServiceRequest)> {
    match TOKENS.iter().find(|(_, token)| *token == bearer.token()) {
        Some((name, _)) => {
            request.extensions_mut().insert(Customer(name));
            Ok(request)
        }
        None => Err((error::ErrorUnauthorized("who are you?"), request)),
    }
}

fn customer(request: &HttpRequest) -> &'static str {
    request.extensions().get::<Customer>().unwrap().0
}

async fn index() -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "service": "parcels",
        "see": ["/parcels", "/invoices", "/labels", "/manuals"],
    }))
}

const PARCELS: [(&str, &str, &str, &str); 4] = [
    ("PX-7f3a91", "nadia", "12 Quay Street", "in transit"),
    ("PX-c04d2e", "nadia", "12 Quay Street", "delivered"),
    ("PX-19ab77", "omar", "3 Mill Lane", "at the depot"),
    ("PX-e8820f", "omar", "3 Mill Lane", "in transit"),
];

async fn parcels(request: HttpRequest) -> HttpResponse {
    let own = PARCELS
        .iter()
        .filter(|parcel| parcel.1 == customer(&request));
    HttpResponse::Ok().json(
        own.map(|p| json!({"reference": p.0, "state": p.3}))
            .collect::<Vec<_>>(),
    )
}

/// Flaw: whose parcel it is does not matter.
async fn parcel(reference: web::Path<String>) -> HttpResponse {
    match PARCELS.iter().find(|parcel| parcel.0 == *reference) {
        Some(p) => HttpResponse::Ok()
            .json(json!({"reference": p.0, "customer": p.1, "address": p.2, "state": p.3})),
        None => HttpResponse::NotFound().json(json!({"problem": "no such parcel"})),
    }
}

const INVOICES: [(&str, &str, u32); 3] = [
    ("INV-A401", "nadia", 1290),
    ("INV-B772", "omar", 450),
    ("INV-B773", "omar", 899),
];

async fn invoices(request: HttpRequest) -> HttpResponse {
    let own = INVOICES
        .iter()
        .filter(|invoice| invoice.1 == customer(&request));
    HttpResponse::Ok().json(own.map(|i| json!({"number": i.0})).collect::<Vec<_>>())
}

async fn invoice(request: HttpRequest, number: web::Path<String>) -> HttpResponse {
    match INVOICES
        .iter()
        .find(|i| i.0 == *number && i.1 == customer(&request))
    {
        Some(i) => HttpResponse::Ok().json(json!({"number": i.0, "customer": i.1, "cents": i.2})),
        None => HttpResponse::NotFound().json(json!({"problem": "no such invoice"})),
    }
}

#[derive(serde::Deserialize)]
struct Show {
    name: String,
}

async fn label_names() -> HttpResponse {
    HttpResponse::Ok()
        .json(json!({"labels": ["standard.txt"], "show": "/labels/show?name=standard.txt"}))
}

/// Flaw: the name may lead out of the folder.
async fn label(shelf: web::Data<Shelf>, query: web::Query<Show>) -> HttpResponse {
    match std::fs::read(shelf.labels.join(&query.name)) {
        Ok(text) => HttpResponse::Ok().content_type("text/plain").body(text),
        Err(_) => HttpResponse::NotFound().json(json!({"problem": "no such label"})),
    }
}

async fn manual_names() -> HttpResponse {
    HttpResponse::Ok()
        .json(json!({"manuals": ["packing.txt"], "show": "/manuals/show?name=packing.txt"}))
}

async fn manual(query: web::Query<Show>) -> HttpResponse {
    match query.name.as_str() {
        "packing.txt" => HttpResponse::Ok()
            .content_type("text/plain")
            .body("Use a box.\n"),
        _ => HttpResponse::NotFound().json(json!({"problem": "no such manual"})),
    }
}
