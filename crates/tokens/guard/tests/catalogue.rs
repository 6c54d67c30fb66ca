//! Every known kind of bad token against a running server, and the page that says what it answered.
//!
//! `UPDATE_DOCS=1 cargo test -p cofferdam-guard --test catalogue` writes the page anew.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

mod support;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use actix_web::HttpServer;
use cofferdam_guard::token::{Algorithm, IssuerPolicy, Verifier};
use cofferdam_guard::{Guard, Principal, danger, get, resource, scope};
use serde_json::Value;
use support::exchange;

/// The time that the tokens of the catalogue are for.
const NOW: u64 = 1_795_505_225;

fn policy(attacks: &Value, alg: &str) -> IssuerPolicy {
    let keys = format!(r#"{{"keys":[{}]}}"#, attacks["keys"][alg]);
    let keys = cofferdam_guard::token::danger::jwk_set_with_secrets(keys.as_bytes()).unwrap();
    let algorithm = Algorithm::from_name(alg).unwrap();
    let policy = IssuerPolicy::new(attacks["iss"].as_str().unwrap(), keys)
        .audience(attacks["aud"].as_str().unwrap())
        .algorithms([algorithm]);
    match algorithm.is_hmac() {
        true => cofferdam_guard::token::danger::allow_hmac(policy),
        false => policy,
    }
}

fn serve(attacks: &Value, alg: &str) -> SocketAddr {
    let guard = Guard::new(Verifier::new([policy(attacks, alg)]).unwrap().cache(64));
    let guard = danger::without_throttle(danger::with_clock(guard, || NOW));
    let server = HttpServer::new(move || {
        let handler = async |principal: Principal| principal.subject().unwrap().to_owned();
        guard
            .app()
            .service(resource("/").route(get().to(handler).require(scope("containers:read"))))
            .build()
    })
    .workers(1)
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    address
}

#[actix_web::test]
async fn every_known_attack_is_answered_as_stated() {
    let attacks = include_str!("../../token/tests/data/attacks.json");
    let attacks: Value = serde_json::from_str(attacks).unwrap();
    assert_eq!(attacks["now"], NOW);
    let mut servers = HashMap::new();
    let mut page = String::from(
        "# Known attacks, and what the guard answers\n\n\
         Written by the test `every_known_attack_is_answered_as_stated`, which sends each token to a \
         running server. `accept` means that a standard wants the token accepted.\n\n\
         | case | what it is | wanted | answer | rule |\n|---|---|---|---|---|\n",
    );
    let mut wrong = Vec::new();
    for case in attacks["cases"].as_array().unwrap() {
        let alg = case["alg"].as_str().unwrap();
        let token = case["token"].as_str().unwrap();
        let server = *servers.entry(alg).or_insert_with(|| serve(&attacks, alg));
        let request = format!(
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        let answer = exchange(server, request.into_bytes()).await;
        let expected: &[u16] = match case["want"].as_str().unwrap() {
            "accept" => &[200],
            _ => &[400, 401],
        };
        // A space at the end of a field belongs to HTTP and not to the field (RFC 9110 §5.5), so
        // what arrives is the token without it.
        let trimmed_by_http = case["id"] == "st-trail-ws" || case["id"] == "st-trail-nl";
        if !expected.contains(&answer.status) && !trimmed_by_http {
            wrong.push(format!("{}: {}", case["id"], answer.status));
        }
        let verdict = Verifier::new([policy(&attacks, alg)])
            .unwrap()
            .verify(token, NOW);
        let rule = verdict.err().map_or("", |rejection| rejection.id());
        let note = if trimmed_by_http {
            " (HTTP takes the end of a field off)"
        } else {
            ""
        };
        writeln!(
            page,
            "| `{}` | {} | {} | {}{note} | {rule} |",
            case["id"].as_str().unwrap(),
            case["why"].as_str().unwrap().replace('|', "\\|"),
            case["want"].as_str().unwrap(),
            answer.status,
        )
        .unwrap();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/guard/attacks.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/guard/attacks.md is out of date: run with UPDATE_DOCS=1"
    );
}
