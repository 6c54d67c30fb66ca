//! All `token` checks together, as in a real scan: a service with another flaw on each route gives
//! exactly one finding a route, and its sound twin none.

use super::signing_key::SigningKey;
use super::testing::{
    TestIssuer, claims_of, forbidden, header_of, is_past, notes, refused, whoami,
};
use crate::testing::{Request, Response, api, serve};
use crate::{Identity, Scan, ScanOptions, SpecSource, checks, scan};
use cofferdam_finding::{Confidence, ControlStatus};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Each route has the flaw that it is named after.
const ROUTES: [&str; 16] = [
    "alg-none",
    "audience",
    "expired",
    "in-answer",
    "in-error",
    "in-query",
    "issuer",
    "key-confusion",
    "malformed",
    "missing",
    "not-before",
    "scope",
    "scope-substring",
    "signature",
    "unbound",
    "unsigned",
];

fn description() -> Value {
    let paths: serde_json::Map<String, Value> = ROUTES
        .iter()
        .map(|route| {
            let operation = json!({ "get": { "security": [{ "bearer": ["read"] }] } });
            (format!("/{route}/items"), operation)
        })
        .collect();
    api(Value::Object(paths))
}

/// The service. With `flaws` off every route is strict.
fn answer(request: &Request, issuer: &TestIssuer, flaws: bool) -> Response {
    let route = request
        .path()
        .trim_start_matches('/')
        .trim_end_matches("/items");
    if !ROUTES.contains(&route) {
        return Response::json(404, json!({ "error": "no such route" }));
    }
    let flaw = if flaws { route } else { "" };
    let query = request.query("access_token");
    let token = match (request.bearer(), flaw) {
        (Some(token), _) => token,
        (None, "missing") => return notes(),
        (None, "in-query") => query.as_deref().unwrap_or_default(),
        (None, _) => "",
    };
    let refuse = |why: &str| match flaw {
        "in-error" => Response::json(401, json!({ "error": format!("{why}: {token}") })),
        "unbound" => refused().header("www-authenticate", "Bearer, DPoP algs=\"ES256\""),
        _ => refused(),
    };
    if flaw == "malformed" && token.contains('.') && token.len() > 30 {
        return notes();
    }
    let header = header_of(token).unwrap_or_default();
    let alg = header["alg"].as_str().unwrap_or_default();
    let claims = match flaw {
        "signature" => claims_of(token),
        "unsigned" if token.ends_with('.') && alg == "RS256" => claims_of(token),
        "alg-none" if alg == "none" => claims_of(token),
        "key-confusion" if alg == "HS256" => {
            let (_, pem) = issuer.public().as_secrets().remove(0);
            TestIssuer::with_key("HS256", SigningKey::hmac(pem)).verify(token)
        }
        _ => issuer.verify(token),
    };
    let Some(claims) = claims else {
        return refuse("bad signature");
    };
    let times = (flaw == "expired" || !is_past(&claims, "exp"))
        && (flaw == "not-before" || claims["nbf"].is_null() || is_past(&claims, "nbf"));
    let names = (flaw == "audience" || claims["aud"] == "sample")
        && (flaw == "issuer" || claims["iss"] == "https://issuer.example")
        && (flaw == "unbound" || claims["cnf"].is_null());
    if !times || !names {
        return refuse("bad claims");
    }
    let scopes = claims["scope"].as_str().unwrap_or_default();
    let enough = match flaw {
        "scope" => true,
        "scope-substring" => scopes.contains("read"),
        _ => scopes.split(' ').any(|scope| scope == "read"),
    };
    match (enough, flaw) {
        (false, _) => forbidden(),
        (true, "in-answer") => Response::json(200, json!({ "you": claims["sub"], "jwt": token })),
        (true, "signature") => whoami(&claims),
        (true, _) => notes(),
    }
}

async fn scanned(flaws: bool) -> Scan {
    let (issuer, key) = TestIssuer::rsa();
    let issuer = Arc::new(issuer);
    let known = Arc::clone(&issuer);
    let running = serve(Arc::new(move |request| answer(request, &known, flaws))).await;
    let mut options = ScanOptions::new(running.base.clone());
    options.identities = ["alice", "bob"]
        .map(|name| Identity::new(name, issuer.token_of(name)))
        .to_vec();
    options.spec = Some(SpecSource::File {
        name: "openapi.json".to_owned(),
        text: description().to_string(),
    });
    options.signing_key = Some(key);
    options.only = Some(
        checks::ALL
            .iter()
            .map(|check| check.meta.id.to_owned())
            .filter(|id| id.starts_with("token."))
            .collect(),
    );
    let scan = scan(options, |_| {}, CancellationToken::new())
        .await
        .unwrap();
    assert!(scan.complete, "{:?}", scan.stopped);
    scan
}

#[tokio::test]
async fn each_flaw_is_reported_once_on_its_own_route_and_nowhere_else() {
    let scan = scanned(true).await;
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in &scan.findings {
        assert!(finding.confidence >= Confidence::Firm, "{}", finding.check);
        let places = finding.places.iter().map(ToString::to_string);
        found
            .entry(finding.check.clone())
            .or_default()
            .extend(places);
    }
    let expected: BTreeMap<String, Vec<String>> = ROUTES
        .iter()
        .map(|route| {
            let parameter = if *route == "in-query" {
                " (access_token)"
            } else {
                ""
            };
            let place = format!("GET /{route}/items{parameter}");
            (format!("token.{route}"), vec![place])
        })
        .collect();
    assert_eq!(found, expected);
    let signature = scan
        .findings
        .iter()
        .find(|finding| finding.check == "token.signature")
        .unwrap();
    let told = signature
        .evidence
        .iter()
        .any(|piece| piece.observed.is_some());
    assert!(told, "the forged subject is shown");
}

#[tokio::test]
async fn a_strict_service_gives_no_finding_and_every_control_says_why() {
    let scan = scanned(false).await;
    assert!(scan.findings.is_empty(), "{:?}", scan.findings);
    for control in &scan.controls {
        let expected = match control.check.as_str() {
            "token.weak-secret" | "token.unbound" | "token.guessable" => ControlStatus::Untested,
            _ => ControlStatus::Held,
        };
        assert_eq!(
            control.status, expected,
            "{}: {}",
            control.check, control.reason
        );
        assert!(!control.reason.is_empty());
    }
    // A bound, so that a change that makes each check ask again what another knows is noticed.
    let each = scan.requests / u32::try_from(ROUTES.len()).unwrap();
    assert!(each < 60, "{each} requests an operation");
}

#[tokio::test]
async fn nothing_that_is_secret_stands_in_a_finding() {
    let scan = scanned(true).await;
    let text = serde_json::to_string(&scan).unwrap();
    let beginning = text.match_indices("eyJ").count();
    assert_eq!(
        beginning, 0,
        "a token, or the beginning of one, is in the report"
    );
}
