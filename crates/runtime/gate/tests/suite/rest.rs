//! The REST dialect on the wire: what the guard lets in, what the broker hears, what is answered.

use std::net::SocketAddr;

use cofferdam_action::action::{Action, ActionKind};
use cofferdam_action::refusal::Rule;
use cofferdam_action::wire::{Ask, Body, By, Refused};
use serde_json::{Value, json};

use crate::broker::{Broker, REQUEST};
use crate::client::{Answer, connect, connect_tls, request};
use crate::gate::{Gate, Place, now, tls};

const REST: &str = "listen_rest = \"127.0.0.1:0\"";

async fn start(place: Place) -> (Gate, SocketAddr) {
    let gate = place.gate(REST, "").await;
    let address = gate.rest.unwrap();
    (gate, address)
}

/// Every scope that an operation takes.
fn everything(gate: &Gate) -> String {
    let mut token = gate.issuer.token("alice").audience(crate::gate::AUDIENCE);
    let scopes: std::collections::BTreeSet<_> =
        ActionKind::ALL.iter().map(|kind| kind.scope()).collect();
    for scope in scopes {
        token = token.scope(scope);
    }
    token.mint(now()).unwrap()
}

fn problem(answer: &Answer) -> Value {
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{answer:?}"
    );
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["status"], answer.status);
    problem
}

/// An operation of the document.
struct Operation {
    method: String,
    target: String,
    /// The first scope of its security requirement.
    scope: String,
    has_body: bool,
}

/// Every operation in the document.
fn operations() -> Vec<Operation> {
    let document = cofferdam_gate::rest::document();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let target = path
            .replace("{exec}", &"0".repeat(64))
            .replace("{image}", "allowed/app:1")
            .replace(['{', '}'], "");
        for (method, operation) in methods.as_object().unwrap() {
            if operation["security"] == json!([]) {
                assert_eq!(path, "/ready");
                continue;
            }
            let scope = operation["security"][0]["bearer"][0].as_str().unwrap();
            let needs = operation["parameters"].as_array().unwrap().iter();
            let needs = needs.filter(|it| it["in"] == "query" && it["required"] == true);
            let query: Vec<String> = needs
                .map(|it| format!("{}=/x", it["name"].as_str().unwrap()))
                .collect();
            operations.push(Operation {
                method: method.to_uppercase(),
                target: format!("{target}?{}", query.join("&"))
                    .trim_end_matches('?')
                    .replace("name=/x", "name=other"),
                scope: scope.to_owned(),
                has_body: operation["requestBody"].is_object(),
            });
        }
    }
    assert!(operations.len() > 40);
    operations
}

#[tokio::test]
async fn the_broker_hears_token_and_action_and_its_answer_comes_back() {
    let place = Place::new();
    let broker = Broker::start(place.path(), |_, mut link| async move {
        link.rest().await;
        link.json(201, r#"{"Id":"c1"}"#).await;
        Some(link)
    });
    let (gate, rest) = start(place).await;
    let token = gate.token("alice");
    let mut client = connect(rest).await;
    let body = r#"{"image":"allowed/app:1","process":{"command":["ls"]}}"#;
    let answer = client.post("/v1/containers", &token, body).await;
    assert_eq!((answer.status, answer.text()), (201, r#"{"Id":"c1"}"#));
    assert_eq!(answer.header("x-request-id"), Some(REQUEST));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let [call] = &broker.heard()[..] else {
        panic!("one call was due");
    };
    assert_eq!(call.token.expose(), token);
    assert!(matches!(&call.ask, Ask::Act(action) if action.kind() == ActionKind::ContainerCreate));
}

#[tokio::test]
async fn what_is_called_like_a_word_of_a_path_can_be_looked_at_and_removed() {
    let place = Place::new();
    let broker = Broker::start(place.path(), |_, mut link| async move {
        link.rest().await;
        link.json(200, "{}").await;
        Some(link)
    });
    let (gate, rest) = start(place).await;
    let token = everything(&gate);
    let mut client = connect(rest).await;
    for target in [
        "GET /v1/containers/prune",
        "DELETE /v1/volumes/prune",
        "GET /v1/images/pull",
        "DELETE /v1/images/team/history",
        "POST /v1/networks/prune",
    ] {
        let (method, target) = target.split_once(' ').unwrap();
        client.send(request(method, target, &token, "", b"")).await;
        assert_eq!(client.answer(false).await.status, 200, "{target}");
    }
    let heard = broker.heard();
    let kinds = heard.iter().map(|call| match &call.ask {
        Ask::Act(action) => action.kind(),
        Ask::Refused { refusal, .. } => panic!("{refusal}"),
    });
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [
            ActionKind::ContainerInspect,
            ActionKind::VolumeRemove,
            ActionKind::ImageInspect,
            ActionKind::ImageRemove,
            ActionKind::NetworkPrune,
        ]
    );
}

#[tokio::test]
async fn every_operation_of_the_document_asks_for_a_token() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let (_gate, rest) = start(place).await;
    for Operation { method, target, .. } in operations() {
        let mut client = connect(rest).await;
        client
            .send(format!("{method} {target} HTTP/1.1\r\nHost: gate\r\n\r\n"))
            .await;
        let answer = client.answer(method == "HEAD").await;
        assert_eq!(answer.status, 401, "{method} {target}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer"), "{challenge}");
    }
    assert!(broker.heard().is_empty());
}

#[tokio::test]
async fn who_lacks_a_scope_hears_from_the_broker_which_so_that_the_log_has_it() {
    let place = Place::new();
    let broker = Broker::start(place.path(), |call, mut link| async move {
        let Ask::Act(action) = call.ask else {
            panic!("an action was due");
        };
        link.rest().await;
        link.refuse(Refused {
            by: By::Scope,
            status: 403,
            message: "a scope is missing".to_owned(),
            rules: vec!["scope".to_owned()],
            scope: Some(action.kind().scope().to_owned()),
            retry_after: None,
        })
        .await;
        Some(link)
    });
    let (gate, rest) = start(place).await;
    let none = gate.issuer.token("alice").audience(crate::gate::AUDIENCE);
    let none = none.scope("other").mint(now()).unwrap();
    let mut asked = 0;
    for operation in operations() {
        if operation.has_body {
            continue;
        }
        let Operation { method, target, .. } = &operation;
        let answer = connect(rest).await.ask(method, target, &none).await;
        assert_eq!(answer.status, 403, "{method} {target}: {answer:?}");
        let challenge = answer.header("www-authenticate").unwrap();
        let wanted = format!(
            "Bearer error=\"insufficient_scope\", scope=\"{}\"",
            operation.scope
        );
        assert!(challenge.starts_with(&wanted), "{target}: {challenge}");
        if method != "HEAD" {
            assert_eq!(problem(&answer)["request"], REQUEST);
        }
        asked += 1;
    }
    assert_eq!(broker.actions().len(), asked);
}

#[tokio::test]
async fn what_is_no_operation_is_told_to_the_broker_where_there_is_a_caller() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let (gate, rest) = start(place).await;
    let token = gate.token("alice");
    for (method, target) in [
        ("GET", "/v1/swarm"),
        ("GET", "/v1/containers/web/secret"),
        ("PATCH", "/v1/containers"),
        ("DELETE", "/v1/ping"),
    ] {
        let answer = connect(rest).await.ask(method, target, &token).await;
        assert_eq!(answer.status, 404, "{method} {target}");
        assert_eq!(problem(&answer)["rules"], json!([Rule::Route.id()]));
        assert_eq!(answer.header("x-request-id"), Some(REQUEST));
        let told = broker.refusals().pop().unwrap();
        assert_eq!(told, (format!("{method} {target}"), Rule::Route));
        // To a stranger it is as good as what there is.
        let mut client = connect(rest).await;
        client
            .send(format!("{method} {target} HTTP/1.1\r\nHost: gate\r\n\r\n"))
            .await;
        assert_eq!(client.answer(false).await.status, 401, "{method} {target}");
    }
    assert_eq!(broker.heard().len(), 4);
    // What lies elsewhere is nobody's business.
    let answer = connect(rest).await.ask("GET", "/secret", &token).await;
    assert_eq!(answer.status, 404);
    assert_eq!(broker.heard().len(), 4);
}

#[tokio::test]
async fn a_refusal_leads_to_where_a_token_is_to_be_had() {
    let place = Place::new();
    let _broker = Broker::plain(place.path());
    let url = "https://c.example/gate";
    let gate = place
        .gate(&format!("{REST}\npublic_url = \"{url}\""), "")
        .await;
    let path = "/.well-known/oauth-protected-resource/gate";
    let link = format!("resource_metadata=\"https://c.example{path}\"");
    for address in [gate.address, gate.rest.unwrap()] {
        let mut client = connect(address).await;
        client
            .send("GET /v1/info HTTP/1.1\r\nHost: gate\r\n\r\n")
            .await;
        let answer = client.answer(false).await;
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains(&link), "{challenge}");
    }
    let mut client = connect(gate.rest.unwrap()).await;
    client
        .send(format!("GET {path} HTTP/1.1\r\nHost: gate\r\n\r\n"))
        .await;
    let answer = client.answer(false).await;
    assert_eq!(answer.status, 200);
    let metadata: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(metadata["resource"], url);
    assert_eq!(
        metadata["authorization_servers"],
        json!(["https://idp.example"])
    );
    let scopes = metadata["scopes_supported"].as_array().unwrap();
    assert!(scopes.contains(&json!("containers:run")), "{scopes:?}");
}

#[tokio::test]
async fn what_is_no_action_is_a_problem_that_names_its_rule_and_is_told_to_the_broker() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let (gate, rest) = start(place).await;
    let token = everything(&gate);
    for (body, rule) in [
        (json!({ "image": "a", "privileged": true }), Rule::JsonType),
        (
            json!({ "image": "a", "name": "0123456789abcdef" }),
            Rule::JsonType,
        ),
    ] {
        let mut client = connect(rest).await;
        let answer = client
            .post("/v1/containers", &token, &body.to_string())
            .await;
        let problem = problem(&answer);
        assert_eq!(problem["rules"], json!([rule.id()]), "{problem}");
        assert_eq!(problem["request"], REQUEST);
        assert!(problem["detail"].as_str().unwrap().contains(rule.id()));
    }
    assert!(broker.actions().is_empty());
    let told = broker.refusals();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0], ("POST /v1/containers".to_owned(), Rule::JsonType));
}

#[tokio::test]
async fn tricks_with_the_target_reach_no_action() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let (gate, rest) = start(place).await;
    let token = everything(&gate);
    for target in [
        "//v1/containers",
        "/v1//containers",
        "/v1/containers/../info",
        "/v1/containers/%2e%2e/info",
        "/v1%2fcontainers",
        "/v1/%63ontainers",
        "/v1/containers/web%2flogs",
        "/v1/containers/",
        "/V1/containers",
        "/v1.41/containers/json",
        "http://evil.example/v1/containers",
    ] {
        let answer = connect(rest).await.ask("GET", target, &token).await;
        assert!(
            (400..500).contains(&answer.status),
            "{target}: {}",
            answer.status
        );
    }
    for headers in [
        "X-HTTP-Method-Override: DELETE\r\n",
        "X-Original-URL: /v1/info\r\n",
    ] {
        let mut client = connect(rest).await;
        client
            .send(request("GET", "/v1/containers", &token, headers, b""))
            .await;
        assert_eq!(client.answer(false).await.status, 400, "{headers}");
    }
    assert!(broker.actions().is_empty());
    // Around the same body and without a trick it is an action.
    let answer = connect(rest)
        .await
        .ask("GET", "/v1/containers", &token)
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(broker.actions().len(), 1);
}

#[tokio::test]
async fn a_token_in_another_place_than_its_header_is_refused() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let (gate, rest) = start(place).await;
    let token = everything(&gate);
    let mut client = connect(rest).await;
    client
        .send(format!(
            "GET /v1/containers?access_token={token} HTTP/1.1\r\nHost: gate\r\n\r\n"
        ))
        .await;
    assert_eq!(client.answer(false).await.status, 400);
    assert!(broker.heard().is_empty());
}

#[tokio::test]
async fn output_comes_as_it_is_written() {
    let place = Place::new();
    let _broker = Broker::start(place.path(), |_, mut link| async move {
        link.rest().await;
        let kind = Some("application/vnd.docker.raw-stream");
        link.done(200, kind, Body::Stream).await;
        link.data(b"first\n").await;
        // What follows waits until the client has the first line: it closes then.
        assert_eq!(link.read().await, None);
        None
    });
    let (gate, rest) = start(place).await;
    let mut client = connect(rest).await;
    let target = "/v1/containers/web/logs?follow=1&stdout=1";
    client
        .send(request("GET", target, &gate.token("alice"), "", b""))
        .await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.chunk().await.unwrap(), b"first\n");
}

#[tokio::test]
async fn an_archive_is_streamed_in_and_a_compressed_one_is_not() {
    let place = Place::new();
    let broker = Broker::start(place.path(), |_, mut link| async move {
        let bytes = link.rest().await.unwrap();
        link.json(200, &bytes.len().to_string()).await;
        Some(link)
    });
    let (gate, rest) = start(place).await;
    let token = everything(&gate);
    let tar = vec![0_u8; 300_000];
    let put = |body: &[u8]| {
        let target = "/v1/containers/web/archive?path=/tmp";
        request(
            "PUT",
            target,
            &token,
            "Content-Type: application/x-tar\r\n",
            body,
        )
    };
    let mut client = connect(rest).await;
    client.send(put(&tar)).await;
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.text()), (200, "300000"));
    let mut client = connect(rest).await;
    client.send(put(b"\x1f\x8b\x08compressed")).await;
    let answer = client.answer(false).await;
    assert_eq!(problem(&answer)["rules"], json!(["archive.plain-tar"]));
    assert_eq!(broker.actions().len(), 1);
}

#[tokio::test]
async fn what_the_broker_refuses_is_a_problem_with_its_status_and_challenge() {
    let place = Place::new();
    let _broker = Broker::start(place.path(), |_, mut link| async move {
        link.rest().await;
        link.refuse(Refused {
            by: By::Floor,
            status: 403,
            message: "refused by rule mount.host-path: it is the host".to_owned(),
            rules: vec!["mount.host-path".to_owned()],
            scope: None,
            retry_after: None,
        })
        .await;
        Some(link)
    });
    let (gate, rest) = start(place).await;
    let answer = connect(rest)
        .await
        .ask("GET", "/v1/containers", &gate.token("alice"))
        .await;
    let problem = problem(&answer);
    assert_eq!(answer.status, 403);
    assert_eq!(
        problem["detail"],
        "refused by rule mount.host-path: it is the host"
    );
    assert_eq!(problem["request"], REQUEST);
}

#[tokio::test]
async fn readiness_follows_the_broker_and_the_document_is_public() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let (_gate, rest) = start(place).await;
    let get = async |target: &str| {
        let mut client = connect(rest).await;
        client
            .send(format!("GET {target} HTTP/1.1\r\nHost: gate\r\n\r\n"))
            .await;
        client.answer(false).await
    };
    assert_eq!(get("/ready").await.status, 200);
    let document: Value = serde_json::from_slice(&get("/openapi.json").await.body).unwrap();
    assert_eq!(document, cofferdam_gate::rest::document());
    broker.stop().await;
    assert_eq!(get("/ready").await.status, 503);
}

#[tokio::test]
async fn whoever_asks_for_readiness_opens_no_more_connections_to_the_broker() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let (_gate, rest) = start(place).await;
    let mut client = connect(rest).await;
    for _ in 0..5 {
        client
            .send("GET /ready HTTP/1.1\r\nHost: gate\r\n\r\n")
            .await;
        assert_eq!(client.answer(false).await.status, 200);
    }
    assert_eq!(broker.connections(), 1);
}

#[tokio::test]
async fn a_client_certificate_is_told_to_the_broker() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let gate = place.gate(REST, &tls("optional")).await;
    let token = gate.token("alice");
    let mut client = connect_tls(gate.rest.unwrap(), Some("client"))
        .await
        .unwrap();
    assert_eq!(
        client.ask("GET", "/v1/containers", &token).await.status,
        200
    );
    let [call] = &broker.heard()[..] else {
        panic!("one call was due");
    };
    assert_eq!(call.certificate.as_ref().unwrap().len(), 43);
    assert!(matches!(&call.ask, Ask::Act(action) if matches!(**action, Action::ContainerList(_))));
}
