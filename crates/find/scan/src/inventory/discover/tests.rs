//! Small services without a description, and what is found on them.

use super::*;
use crate::testing::{Request as Asked, Response, serve, token_of};
use crate::{Identity, inventory};
use serde_json::json;
use std::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// A parcel service with names of its own and string ids, in the manner of actix: an empty 404.
fn parcels(request: &Asked) -> Response {
    let Some(who) = request.subject() else {
        return Response::text(401, "no");
    };
    let own = if who == "alice" { "pk-anna" } else { "pk-bert" };
    match (request.method.as_str(), request.path()) {
        (_, "/") => Response::json(200, json!({ "resources": ["parcels", "depots"] })),
        ("GET", "/parcels") => Response::json(200, json!([{ "ref": own, "weight": 3 }])),
        ("GET", path) if path == format!("/parcels/{own}") => Response::json(
            200,
            json!({ "ref": own, "scans_url": format!("/parcels/{own}/scans") }),
        ),
        ("GET", path) if path == format!("/parcels/{own}/scans") => {
            Response::json(200, json!({ "scans": [] }))
        }
        ("GET", "/depots") => match request.query("town") {
            Some(town) => Response::json(200, json!({ "town": town })),
            None => Response::text(400, "Query deserialize error: missing field `town`"),
        },
        ("GET", "/reset") => Response::json(200, json!({ "gone": true })),
        ("OPTIONS", "/parcels") => Response::text(204, "").header("allow", "GET, POST"),
        _ => Response::text(404, ""),
    }
}

async fn found(service: fn(&Asked) -> Response) -> (Vec<String>, Vec<String>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let running = serve(Arc::new(move |request: &Asked| {
        seen.lock()
            .unwrap()
            .push(format!("{} {}", request.method, request.target));
        service(request)
    }))
    .await;
    let mut options = ScanOptions::new(running.base.clone());
    options.identities = vec![
        Identity::new("alice", token_of("alice")),
        Identity::new("bob", token_of("bob")),
    ];
    let client = Client::new(&options, Arc::default(), CancellationToken::new()).unwrap();
    let ids = match inventory::take(&options, &client).await {
        Ok(inventory) => inventory.operations.iter().map(Operation::id).collect(),
        Err(_) => Vec::new(),
    };
    (ids, asked.lock().unwrap().clone())
}

#[tokio::test]
async fn a_service_without_a_description_gives_its_operations_away() {
    let (ids, asked) = found(parcels).await;
    for wanted in [
        "GET /parcels",
        "GET /parcels/{id}",
        "GET /parcels/{id}/scans",
        "GET /depots",
        "POST /parcels",
    ] {
        assert!(ids.iter().any(|id| id == wanted), "{wanted}: {ids:?}");
    }
    assert!(!ids.iter().any(|id| id.contains("reset")), "{ids:?}");
    assert!(ids.len() <= 7, "{ids:?}");
    assert!(
        asked
            .iter()
            .all(|line| !line.contains("reset") && !line.contains('{')),
        "{asked:?}"
    );
    assert!(
        asked
            .iter()
            .all(|line| line.starts_with("GET ") || line.starts_with("OPTIONS "))
    );
}

#[tokio::test]
async fn a_service_that_answers_everything_alike_has_no_operations() {
    let (ids, _) =
        found(|request| Response::json(200, json!({ "you_asked_for": request.path() }))).await;
    assert!(ids.is_empty(), "{ids:?}");
    let (ids, _) = found(|_| Response::text(401, "no")).await;
    assert!(ids.is_empty(), "{ids:?}");
}

#[test]
fn a_raw_path_belongs_to_a_template() {
    assert!(matches("/a/{id}/b", "/a/x/b/"));
    assert!(!matches("/a/{id}", "/a"));
    assert!(!matches("/a/{id}", "/a/x/y"));
    assert_eq!(shape("/a/{x}/b/{y}"), shape("/a/{n}/b/{m}"));
}

#[tokio::test]
async fn a_body_is_learned_from_the_refusals_and_only_when_the_level_allows_it() {
    fn service(request: &Asked) -> Response {
        if request.subject().is_none() {
            return Response::text(401, "");
        }
        let body = request.json().unwrap_or_default();
        match (request.method.as_str(), request.path()) {
            ("POST", "/jobs") if body["image"].is_null() => Response::text(
                400,
                "Json deserialize error: missing field `image` at line 1 column 2",
            ),
            ("POST", "/jobs") if body["retries"].is_null() => Response::text(
                400,
                "Json deserialize error: missing field `retries` at line 1 column 9",
            ),
            ("POST", "/jobs") if !body["retries"].is_u64() => Response::text(
                400,
                "Json deserialize error: invalid type: string \"x\", expected u32 at line 1 column 9",
            ),
            ("POST", "/jobs") => Response::json(201, json!({ "id": "j-1" })),
            (_, "/jobs") => Response::text(405, ""),
            _ => Response::text(404, ""),
        }
    }
    for (level, learned) in [(Level::Safe, false), (Level::Active, true)] {
        let running = serve(Arc::new(service)).await;
        let mut options = ScanOptions::new(running.base.clone());
        options.identities = vec![Identity::new("alice", token_of("alice"))];
        options.level = level;
        let client = Client::new(&options, Arc::default(), CancellationToken::new()).unwrap();
        let inventory = inventory::take(&options, &client)
            .await
            .map_err(|_| ())
            .unwrap();
        let ids: Vec<String> = inventory.operations.iter().map(Operation::id).collect();
        assert_eq!(ids, ["POST /jobs"]);
        let noted = inventory
            .notes
            .iter()
            .any(|note| note.ends_with("with POST /jobs"));
        assert_eq!(noted, learned);
        let example = inventory.operations[0]
            .body
            .as_ref()
            .and_then(|body| body.example.clone());
        let expected = json!({ "image": "sample", "retries": 1 });
        assert_eq!(example, learned.then_some(expected), "{level:?}");
    }
}
