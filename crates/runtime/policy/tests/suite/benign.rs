//! Every benign request of the vendored file is permitted to a runner with exec.

use cofferdam_action::docker;
use cofferdam_action::floor::{Caller, Floor, FloorConfig};
use cofferdam_action::request::{BodyKind, Head};
use cofferdam_policy::ResourceKind;
use serde_json::Value;

use crate::support::{SHIPPED, decide, principal};

const OWNER: &str = "alicealicealicealice";
const SCOPES: [&str; 10] = [
    "containers:read",
    "containers:run",
    "containers:exec",
    "images:read",
    "images:write",
    "networks:read",
    "networks:write",
    "volumes:read",
    "volumes:write",
    "system:read",
];

#[test]
fn every_benign_request_is_permitted_to_a_runner() {
    let policies = &*SHIPPED;
    let config = serde_json::json!({ "images": { "allow": ["allowed/app"] } });
    let floor = Floor::new(serde_json::from_value::<FloorConfig>(config).unwrap());
    let caller = Caller {
        scopes: SCOPES.map(str::to_owned).into(),
        ..Caller::default()
    };
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../action/tests/data/benign_requests.json"
    );
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let requests = document["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 85);
    for request in requests {
        let id = request["id"].as_str().unwrap();
        let text = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
        let mut body = match &request["body"] {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        let mut headers: Vec<(String, String)> = request["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        if !body.is_empty() && !headers.iter().any(|(name, _)| name == "Content-Type") {
            headers.push(("Content-Type".into(), "application/json".into()));
        }
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (&**name, value.as_bytes()))
            .collect();
        let target = text("path").replace("EXECID", &"e".repeat(64));
        let head = Head {
            method: &text("method"),
            target: &target,
            headers: &headers,
        };
        let routed = docker::route(head).unwrap_or_else(|refusal| panic!("{id}: {refusal}"));
        if routed.body() == BodyKind::Archive && body.is_empty() {
            body = vec![0; 1024];
        }
        let action = routed.action(&body).unwrap();
        let approved = floor
            .judge(action, &caller)
            .unwrap_or_else(|refusal| panic!("{id}: {refusal}"));
        let who = principal(OWNER, &["runner"], &SCOPES);
        // The images are those that the operator allows, and what is not there yet is one's own.
        let decision = decide(policies, who, approved.action(), |kind, _| {
            (kind != ResourceKind::Image).then_some(OWNER)
        });
        // A tag that one made oneself is one's own.
        let decision = match decision.is_allowed() {
            true => decision,
            false => {
                assert_eq!(
                    approved.action().kind().id(),
                    "image.remove",
                    "{id}: {decision:?}"
                );
                let who = principal(OWNER, &["runner"], &SCOPES);
                decide(policies, who, approved.action(), |_, _| Some(OWNER))
            }
        };
        assert!(decision.is_allowed(), "{id}: {decision:?}");
    }
}
