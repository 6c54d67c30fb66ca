//! A container service behind bearer tokens.
//!
//! `cargo run -p cofferdam-guard --example containers -- ISSUER AUDIENCE JWKS-FILE`, then
//! `curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/containers`

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use actix_web::{HttpResponse, HttpServer, Responder, web};
use cofferdam_guard::token::{IssuerPolicy, JwkSet, Verifier};
use cofferdam_guard::{Guard, Principal, get, post, resource, scope};
use serde::Deserialize;

/// The images that each caller runs. A subject is unique only together with its issuer.
#[derive(Default)]
struct Containers(Mutex<HashMap<(String, String), Vec<String>>>);

impl Containers {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewContainer {
    image: String,
}

fn owner(caller: &Principal) -> (String, String) {
    (
        caller.issuer().into(),
        caller.subject().unwrap_or_default().into(),
    )
}

async fn list(caller: Principal, all: web::Data<Containers>) -> impl Responder {
    web::Json(all.lock().get(&owner(&caller)).cloned().unwrap_or_default())
}

async fn create(
    caller: Principal,
    all: web::Data<Containers>,
    new: web::Json<NewContainer>,
) -> impl Responder {
    all.lock()
        .entry(owner(&caller))
        .or_default()
        .push(new.into_inner().image);
    HttpResponse::Created()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [issuer, audience, keys] = arguments.as_slice() else {
        return Err("usage: containers ISSUER AUDIENCE JWKS-FILE".into());
    };
    let keys = JwkSet::parse(&std::fs::read(keys)?)?;
    let policy = IssuerPolicy::new(issuer, keys).audience(audience);
    let guard = Guard::new(Verifier::new([policy])?.cache(10_000)).realm("containers");
    let containers = web::Data::new(Containers::default());
    HttpServer::new(move || {
        let guarded = guard
            .app()
            .service(resource("/health").route(get().to(async || "ok").public()))
            .service(
                resource("/containers")
                    .route(get().to(list).require(scope("containers:read")))
                    .route(post().to(create).require(scope("containers:write"))),
            );
        guarded.build().app_data(containers.clone())
    })
    .bind(("127.0.0.1", 8080))?
    .run()
    .await?;
    Ok(())
}
