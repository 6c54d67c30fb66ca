//! A service that runs a container for its caller, without a runtime socket and without rights of
//! its own: it exchanges the caller's token for one that the gate takes (RFC 8693), and asks for a
//! typed action. The gate and the broker judge the caller; the audit log names caller and service.
//!
//! `SHOP_SECRET=… cargo run -p cofferdam-client --example helper -- ISSUER JWKS-FILE TOKEN-ENDPOINT
//! GATE-URL`, then `curl -X POST -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/reports`

use actix_web::{HttpRequest, HttpResponse, HttpServer, web};
use cofferdam_client::action::Action;
use cofferdam_client::container::{ContainerCreate, Process};
use cofferdam_client::image::ImageRef;
use cofferdam_client::{Caller, Error, Gate, TokenExchange, fetch};
use cofferdam_guard::token::{IssuerPolicy, JwkSet, Verifier};
use cofferdam_guard::{Guard, post, resource, scope};

/// The one thing that a caller can have done. What runs is not theirs to say.
async fn report(gate: web::Data<Gate>, request: HttpRequest) -> HttpResponse {
    match run(&caller(&gate, &request)).await {
        Ok(id) => HttpResponse::Created().json(serde_json::json!({ "report": id })),
        Err(Error::Refused(problem)) => HttpResponse::Forbidden().body(problem.to_string()),
        Err(error) => HttpResponse::BadGateway().body(error.to_string()),
    }
}

async fn run(caller: &Caller) -> Result<String, Error> {
    let image = ImageRef::parse("registry.example/reports/weekly:1");
    let image = image.map_err(|_| Error::NotOffered)?;
    let create = ContainerCreate {
        process: Process {
            command: Some(vec!["weekly".to_owned()]),
            ..Process::default()
        },
        ..ContainerCreate::new(image)
    };
    let create = Action::ContainerCreate(Box::new(create));
    let made: serde_json::Value = caller.act(&create).await?.json().await?;
    let id = made["Id"].as_str().unwrap_or_default().to_owned();
    if let Ok(container) = cofferdam_client::name::ContainerRef::parse(&id) {
        let start = Action::ContainerStart {
            container,
            detach_keys: None,
        };
        caller.act(&start).await?;
    }
    Ok(id)
}

/// The caller, by the token that the guard has verified.
fn caller(gate: &Gate, request: &HttpRequest) -> Caller {
    let value = request.headers().get("authorization");
    let value = value.and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.split_once(' '));
    gate.caller(token.map_or("", |(_, token)| token))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [issuer, keys, endpoint, url] = arguments.as_slice() else {
        return Err("usage: helper ISSUER JWKS-FILE TOKEN-ENDPOINT GATE-URL".into());
    };
    let secret = std::env::var("SHOP_SECRET")?;
    let exchange = TokenExchange::new(fetch::Client::new()?, endpoint, "shop", &secret, "gate")?;
    let gate = web::Data::new(Gate::new(url)?.exchange(exchange));
    let keys = JwkSet::parse(&std::fs::read(keys)?)?;
    let guard = Guard::new(Verifier::new([
        IssuerPolicy::new(issuer, keys).audience("shop")
    ])?);
    HttpServer::new(move || {
        let reports = resource("/reports").route(post().to(report).require(scope("reports:run")));
        guard.app().service(reports).build().app_data(gate.clone())
    })
    .bind(("127.0.0.1", 8080))?
    .run()
    .await?;
    Ok(())
}
