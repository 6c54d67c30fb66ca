//! A whole scan, every check, of services that know nothing of this crate.

use super::*;
use crate::Identity;
use crate::testing::{Request, Response, serve, token_of};
use cofferdam_finding::ControlStatus;
use serde_json::{Value, json};

/// The papers that anyone may read, beside what nobody may.
fn paper(name: &str) -> Option<Vec<u8>> {
    std::fs::read(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/checks")
            .join(name),
    )
    .ok()
}

/// A parcel service: no description, string identifiers, names of its own. Two flaws, each beside a
/// sound twin: any parcel is shown to anyone while mailboxes are not, and `/papers/read` follows
/// `..` while `/papers/show` does not.
fn parcels(request: &Request) -> Response {
    let nothing = || Response::text(404, "");
    if request.path() == "/" {
        let collections = ["/parcels", "/mailboxes", "/papers"];
        return Response::json(
            200,
            json!({ "service": "parcels", "collections": collections }),
        );
    }
    let Some(who) = request.subject() else {
        return Response::text(401, "");
    };
    let segments: Vec<&str> = request.path().trim_matches('/').split('/').collect();
    let owner = |code: &str| {
        code.ends_with("-a7")
            .then_some("alice")
            .or(code.ends_with("-b2").then_some("bob"))
    };
    let end = if who == "alice" { "a7" } else { "b2" };
    match segments.as_slice() {
        ["parcels"] => Response::json(
            200,
            json!({ "parcels": [{ "code": format!("px-{end}"), "to": "Oslo" }] }),
        ),
        ["parcels", code] if code.starts_with("px-") => match owner(code) {
            Some(owner) => Response::json(
                200,
                json!({ "code": code, "owner": owner, "contents": format!("what {owner} bought") }),
            ),
            None => nothing(),
        },
        ["mailboxes"] => Response::json(200, json!([{ "slug": format!("mb-{end}") }])),
        ["mailboxes", slug] if slug.starts_with("mb-") && owner(slug) == Some(who.as_str()) => {
            Response::json(
                200,
                json!({ "slug": slug, "owner": who, "mails": ["hello"] }),
            )
        }
        ["papers"] => Response::json(
            200,
            json!({ "papers": ["terms.rs"], "read": "/papers/read", "show": "/papers/show" }),
        ),
        ["papers", how @ ("read" | "show")] => match request.query("doc") {
            None => Response::text(400, "Query deserialize error: missing field `doc`"),
            Some(doc) if doc == "terms.rs" => Response::text(200, "the terms"),
            Some(doc) if *how == "read" => {
                paper(&doc).map_or_else(nothing, |text| Response::text(200, text))
            }
            Some(_) => nothing(),
        },
        _ => nothing(),
    }
}

#[tokio::test]
async fn a_plain_service_without_a_description_has_exactly_its_two_flaws() {
    let running = serve(Arc::new(parcels)).await;
    let mut options = ScanOptions::new(running.base.clone());
    let tokens = ["alice", "bob"].map(|name| (name, token_of(name)));
    options.identities = tokens
        .iter()
        .map(|(name, token)| Identity::new(*name, token))
        .collect();
    let scan = scan(options, |_| {}, CancellationToken::new())
        .await
        .unwrap();
    assert!(scan.complete, "{:?}", scan.stopped);
    let firm: Vec<(String, String)> = scan
        .findings
        .iter()
        .filter(|finding| finding.confidence >= Confidence::Firm)
        .map(|finding| (finding.check.clone(), finding.places[0].to_string()))
        .collect();
    let expected = [
        ("object.cross-tenant-read", "GET /parcels/{id}"),
        ("reach.path-traversal", "GET /papers/read (doc)"),
    ];
    assert_eq!(
        firm,
        expected.map(|(check, place)| (check.to_owned(), place.to_owned()))
    );
    assert_eq!(scan.still_valid, ["alice", "bob"]);
    assert!(
        scan.operations.iter().all(|operation| operation.covered),
        "{:?}",
        scan.operations
    );
    // Nothing that is kept holds a token, or the secret part of one.
    let kept = serde_json::to_string(&scan).unwrap();
    for (_, token) in &tokens {
        assert!(!kept.contains(token.rsplit('.').next().unwrap()));
    }
}

#[tokio::test]
async fn without_identities_a_scan_says_what_it_could_not_test() {
    let running = serve(Arc::new(parcels)).await;
    let scan = scan(
        ScanOptions::new(running.base.clone()),
        |_| {},
        CancellationToken::new(),
    )
    .await
    .unwrap();
    assert!(scan.complete);
    assert!(
        scan.findings
            .iter()
            .all(|finding| finding.confidence < Confidence::Firm),
        "{:?}",
        scan.findings
    );
    let token = scan
        .controls
        .iter()
        .filter(|control| control.check.starts_with("token."));
    for control in token {
        assert_ne!(control.status, ControlStatus::Failed);
        assert!(!control.reason.is_empty());
    }
}

#[tokio::test]
async fn a_prompt_is_safe_and_a_chat_between_people_is_not() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let running = serve(Arc::new(move |request: &Request| {
        if request.method == "POST" {
            lock(&seen).push((
                request.path().to_owned(),
                request.json().unwrap_or(Value::Null),
            ));
        }
        Response::json(200, json!({ "reply": "hello" }))
    }))
    .await;
    let mut options = ScanOptions::new(running.base.clone());
    let body = |name: &str| json!({ "content": { "application/json": { "schema": { "type": "object", "properties": { name: { "type": "string", "example": "stop every container" } } } } } });
    options.spec = Some(crate::SpecSource::File {
        name: "api.json".to_owned(),
        text: crate::testing::api(json!({
            "/v1/assistant": { "post": { "requestBody": body("prompt") } },
            "/v1/chat/messages": { "post": { "requestBody": body("message") } },
        }))
        .to_string(),
    });
    options.only = Some(std::collections::BTreeSet::new());
    let scan = scan(options, |_| {}, CancellationToken::new())
        .await
        .unwrap();
    let asked = lock(&asked);
    assert!(!asked.is_empty());
    assert!(
        asked
            .iter()
            .all(|(path, body)| path == "/v1/assistant" && body["prompt"] == "Say hello."),
        "{asked:?}"
    );
    assert_eq!(scan.operations.len(), 2);
}
