use crate::forge::testing::{claims_of, refused};
use crate::testing::{Request, Response, Sample, api, scanned, verify};
use cofferdam_finding::{Confidence, State};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A kitchen whose labels only the chef may read, by a path that leads out of their folder.
fn kitchen(verified: bool) -> Sample {
    let file = json!([{ "name": "file", "in": "query", "required": true, "example": "soup.txt" }]);
    let description = api(json!({
        "/orders": { "get": {} },
        "/kitchen/label": { "get": { "parameters": file } },
    }));
    Sample::new("kitchen", description, move |request: &Request| {
        let claims = request.bearer().and_then(|token| match verified {
            true => verify(token),
            false => claims_of(token),
        });
        let Some(claims) = claims else {
            return refused();
        };
        match request.path() {
            "/orders" => Response::json(200, json!({ "orders": [{ "dish": "soup" }] })),
            "/kitchen/label" if claims["sub"] == "chef" => {
                let file = request.query("file").unwrap_or_default();
                match joined(&file).as_str() {
                    "/srv/labels/soup.txt" => Response::text(200, "soup, 400 g\n"),
                    "/etc/passwd" => Response::text(200, "root:x:0:0:root:/root:/bin/sh\n"),
                    _ => Response::json(404, json!({ "detail": "no such label" })),
                }
            }
            _ => Response::json(
                403,
                json!({ "detail": "Only the Chef is allowed to see this" }),
            ),
        }
    })
    .options(|options| {
        let both = ["token.signature", "reach.path-traversal"];
        options.only = Some(BTreeSet::from(both.map(str::to_owned)));
    })
}

/// The file that a careless join opens.
fn joined(name: &str) -> String {
    let mut parts = vec!["srv", "labels"];
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[tokio::test]
async fn what_only_a_forged_identity_opens_is_looked_into() {
    let scan = scanned("token.signature", kitchen(false)).await;
    let beyond: Vec<_> = scan
        .findings
        .iter()
        .filter(|finding| finding.check == "reach.path-traversal")
        .collect();
    let [finding] = beyond.as_slice() else {
        panic!("{:?}\n{:#?}", scan.notes, scan.findings);
    };
    assert_eq!(finding.confidence, Confidence::Proven);
    assert_eq!(finding.from, State::ForgedIdentity);
    assert_eq!(finding.grants, [State::FileRead]);
    assert!(
        scan.notes.iter().any(|note| note.contains("`chef`")),
        "{:?}",
        scan.notes
    );
    let text = serde_json::to_value(&scan).unwrap().to_string();
    let forged = |text: &str| text.contains("eyJ") && !text.contains("[");
    assert!(
        !text.split('"').any(forged),
        "a forged token stands in the scan"
    );
}

#[tokio::test]
async fn nothing_is_opened_where_signatures_are_verified() {
    let scan = scanned("token.signature", kitchen(true)).await;
    assert!(scan.findings.is_empty(), "{:#?}", scan.findings);
    assert!(
        !scan.notes.iter().any(|note| note.contains("forged")),
        "{:?}",
        scan.notes
    );
}

#[test]
fn people_and_words_are_taken_from_answers() {
    let mut names = Vec::new();
    let answer: Value = json!({ "users": [{ "username": "mike", "age": 4 }, { "login": "saul" }] });
    super::people(&answer, &mut names);
    assert_eq!(names, ["mike", "saul"]);
    assert_eq!(
        super::words(r#"{"detail":"Only Chef is authorized"}"#),
        ["chef"]
    );
}
