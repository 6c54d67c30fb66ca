//! Plain requests: what the broker hears, and what the client is answered.

use std::sync::Arc;

use cofferdam_action::action::{Action, ActionKind};
use cofferdam_action::refusal::Rule;
use cofferdam_action::wire::{Ask, Body, By, Frame, Refused};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;

use crate::broker::{Broker, REQUEST};
use crate::client::{connect, request};
use crate::gate::Place;

#[tokio::test]
async fn an_answer_has_the_headers_of_the_engine_api_and_the_broker_hears_token_and_action() {
    let place = Place::new();
    let broker = Broker::start(place.path(), |_, mut link| async move {
        link.rest().await;
        link.json(200, "[]").await;
        Some(link)
    });
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    let answer = client
        .ask("GET", "/v1.51/containers/json?all=1", &token)
        .await;
    assert_eq!((answer.status, answer.text()), (200, "[]"));
    for (name, value) in [
        ("api-version", "1.41"),
        ("docker-experimental", "false"),
        ("ostype", "linux"),
        ("server", "Cofferdam"),
        ("content-type", "application/json"),
        ("content-length", "2"),
        ("x-request-id", REQUEST),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let [call] = &broker.heard()[..] else {
        panic!("one call was due");
    };
    assert_eq!(call.token.expose(), token);
    assert_eq!(call.certificate, None);
    let Ask::Act(action) = &call.ask else {
        panic!("an action was due");
    };
    assert_eq!(action.kind(), ActionKind::ContainerList);
}

#[tokio::test]
async fn nothing_of_the_clients_identity_headers_reaches_the_broker() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    let headers = "X-Forwarded-For: 192.0.2.77\r\nAuthz-User: rootlike\r\nX-Registry-Auth: cmVnaXN0cnk\r\nUser-Agent: curious\r\n";
    client
        .send(request("GET", "/version", &token, headers, b""))
        .await;
    assert_eq!(client.answer(false).await.status, 200);
    let heard = serde_json::to_string(&broker.heard()).unwrap();
    for word in ["192.0.2.77", "rootlike", "cmVnaXN0cnk", "curious"] {
        assert!(!heard.contains(word), "{word}");
    }
}

#[tokio::test]
async fn one_connection_carries_call_after_call() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    for _ in 0..20 {
        assert_eq!(client.ask("GET", "/_ping", &token).await.status, 200);
        let head = client.ask("HEAD", "/_ping", &token).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        let body = r#"{"Image":"allowed/app:1"}"#;
        assert_eq!(
            client
                .post("/containers/create?name=one", &token, body)
                .await
                .status,
            200
        );
    }
    assert_eq!(broker.actions().len(), 60);
    assert_eq!(broker.connections(), 1);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let place = Place::new();
    let _broker = Broker::start(place.path(), |call, mut link| async move {
        link.rest().await;
        let Ask::Act(action) = call.ask else {
            return None;
        };
        link.json(200, &format!("\"{}\"", action.kind().id())).await;
        Some(link)
    });
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let type_ = "Content-Type: application/json\r\n";
    let body = br#"{"Image":"allowed/app:1"}"#;
    let wire = [
        request("POST", "/containers/create", &token, type_, body),
        request("GET", "/info", &token, "", b""),
        request("POST", "/containers/a/start", &token, "", b""),
    ]
    .concat();
    // At once, and in parts that end anywhere.
    for size in [wire.len(), 1, 7, 100] {
        let mut client = connect(gate.address).await;
        client.stream.set_nodelay(true).unwrap();
        for part in wire.chunks(size) {
            client.send(part).await;
        }
        for kind in ["container.create", "system.info", "container.start"] {
            assert_eq!(client.answer(false).await.text(), format!("\"{kind}\""));
        }
    }
}

#[tokio::test]
async fn what_the_broker_refuses_is_told_word_for_word() {
    let place = Place::new();
    let _broker = Broker::start(place.path(), |call, mut link| async move {
        link.rest().await;
        let Ask::Act(action) = call.ask else {
            return None;
        };
        let by_scope = matches!(*action, Action::Info);
        link.refuse(Refused {
            by: if by_scope { By::Scope } else { By::Floor },
            status: 403,
            message: "refused by rule create.privileged: HostConfig.Privileged: no".to_owned(),
            rules: vec!["create.privileged".to_owned()],
            scope: by_scope.then(|| "system:read".to_owned()),
            retry_after: (!by_scope).then_some(7),
        })
        .await;
        Some(link)
    });
    let urls = "listen_rest = \"127.0.0.1:0\"\npublic_url = \"https://c.example\"";
    let gate = place.gate(urls, "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    let refused = client.ask("GET", "/version", &token).await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        refused.message(),
        "refused by rule create.privileged: HostConfig.Privileged: no"
    );
    assert_eq!(refused.header("x-request-id"), Some(REQUEST));
    assert_eq!(refused.header("retry-after"), Some("7"));
    assert_eq!(refused.header("www-authenticate"), None);
    let refused = client.ask("GET", "/info", &token).await;
    assert_eq!(
        refused.header("www-authenticate").unwrap(),
        "Bearer error=\"insufficient_scope\", scope=\"system:read\", resource_metadata=\"https://c.example/.well-known/oauth-protected-resource\""
    );
}

#[tokio::test]
async fn what_is_not_offered_says_why_and_is_reported() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    let refused = client.ask("POST", "/v1.41/build?remote=x", &token).await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.message().contains("not offered"),
        "{}",
        refused.message()
    );
    assert_eq!(refused.header("x-request-id"), Some(REQUEST));
    assert_eq!(
        broker.refusals(),
        [("POST /v1.41/build".to_owned(), Rule::NotOffered)]
    );
    assert!(broker.actions().is_empty());
}

/// A tar archive of one file, of so many bytes.
fn tar(length: usize) -> Vec<u8> {
    let mut header = [0u8; 512];
    header[..4].copy_from_slice(b"file");
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{length:011o}\0").as_bytes());
    header[156] = b'0';
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let content = (0..length.next_multiple_of(512)).map(|at| at as u8);
    header.into_iter().chain(content).chain([0; 1024]).collect()
}

fn chunked(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    for part in bytes.chunks(size) {
        wire.extend(format!("{:x}\r\n", part.len()).as_bytes());
        wire.extend(part);
        wire.extend(b"\r\n");
    }
    wire.extend(b"0\r\n\r\n");
    wire
}

#[tokio::test]
async fn an_archive_streams_through_however_it_is_framed() {
    let place = Place::new();
    let archive = tar(300_000);
    let due = archive.clone();
    let broker = Broker::start(place.path(), move |_, mut link| {
        let due = due.clone();
        async move {
            let sent = link.rest().await;
            assert_eq!(sent, Some(due));
            link.done(200, None, Body::Empty).await;
            Some(link)
        }
    });
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let target = "/v1.41/containers/mine/archive?path=/tmp";
    let type_ = "Content-Type: application/x-tar\r\n";
    let mut client = connect(gate.address).await;
    client
        .send(request("PUT", target, &token, type_, &archive))
        .await;
    assert_eq!(client.answer(false).await.status, 200);
    // The same connection goes on after a body of a known length.
    assert_eq!(client.ask("GET", "/build", &token).await.status, 403);

    let chunks = format!("{type_}Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n");
    client
        .send(request("PUT", target, &token, &chunks, b""))
        .await;
    assert_eq!(client.head().await.status, 100);
    client.send(chunked(&archive, 7001)).await;
    let answer = client.answer(false).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(broker.actions().len(), 2);
}

#[tokio::test]
async fn an_archive_that_ends_early_is_broken_off_and_one_that_is_compressed_never_begins() {
    let place = Place::new();
    let whole = Arc::new(Notify::new());
    let told = Arc::clone(&whole);
    let broker = Broker::start(place.path(), move |_, mut link| {
        let told = Arc::clone(&told);
        async move {
            loop {
                match link.read().await {
                    Some(Frame::Data(_)) => {}
                    Some(Frame::End) => panic!("the upload was not whole"),
                    _ => {
                        told.notify_one();
                        return None;
                    }
                }
            }
        }
    });
    let gate = place.gate("", "[limits]\narchive = \"64KiB\"").await;
    let token = gate.token("alice");
    let target = "/containers/mine/archive?path=/tmp";
    let type_ = "Content-Type: application/x-tar\r\n";

    let mut client = connect(gate.address).await;
    let cut = request("PUT", target, &token, type_, &tar(10_000));
    client.send(&cut[..cut.len() - 100]).await;
    drop(client);
    whole.notified().await;

    let mut client = connect(gate.address).await;
    let chunks = format!("{type_}Transfer-Encoding: chunked\r\n");
    client
        .send(request("PUT", target, &token, &chunks, b""))
        .await;
    client.send(chunked(&tar(100_000), 4096)).await;
    let refused = client.answer(false).await;
    assert_eq!(refused.status, 413);
    whole.notified().await;

    assert_eq!(broker.actions().len(), 2);
    let mut client = connect(gate.address).await;
    let gzip = [b"\x1f\x8b".to_vec(), vec![0; 2000]].concat();
    client
        .send(request("PUT", target, &token, type_, &gzip))
        .await;
    assert_eq!(client.answer(false).await.status, 415);
    assert_eq!(broker.actions().len(), 2);
    assert_eq!(broker.refusals().last().unwrap().1, Rule::Archive);
}

#[tokio::test]
async fn a_refused_upload_is_answered_before_its_end() {
    let place = Place::new();
    let _broker = Broker::start(place.path(), |_, mut link| async move {
        link.refuse(Refused {
            by: By::Ownership,
            status: 404,
            message: "No such container: mine".to_owned(),
            rules: Vec::new(),
            scope: None,
            retry_after: None,
        })
        .await;
        None
    });
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let headers = "Content-Type: application/x-tar\r\nContent-Length: 100000000\r\n";
    let head = request(
        "PUT",
        "/containers/mine/archive?path=/",
        &token,
        headers,
        b"",
    );
    let mut client = connect(gate.address).await;
    client.send([head, tar(600)].concat()).await;
    let refused = client.answer(false).await;
    assert_eq!(
        (refused.status, refused.message().as_str()),
        (404, "No such container: mine")
    );
}

#[tokio::test]
async fn the_stat_of_a_path_comes_in_its_header() {
    let place = Place::new();
    let _broker = Broker::start(place.path(), |_, mut link| async move {
        link.rest().await;
        link.path_stat("eyJuYW1lIjoiYSJ9").await;
        Some(link)
    });
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    let answer = client
        .ask("HEAD", "/containers/mine/archive?path=/a", &token)
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("x-docker-container-path-stat"),
        Some("eyJuYW1lIjoiYSJ9")
    );
}

#[tokio::test]
async fn whoever_sends_a_large_body_to_what_is_refused_still_reads_why() {
    let place = Place::new();
    let _broker = Broker::plain(place.path());
    let gate = place.gate("listen_rest = \"127.0.0.1:0\"", "").await;
    let token = gate.token("alice");
    let part = vec![b'x'; 64 << 10];
    let chunk = [format!("{:x}\r\n", part.len()).as_bytes(), &part, b"\r\n"].concat();
    for (address, target, who, status) in [
        (gate.address, "/v1.41/build?version=1", token.as_str(), 403),
        (gate.address, "/v1.41/build?version=1", "no.to.ken", 401),
        (gate.rest.unwrap(), "/v1/containers", token.as_str(), 400),
    ] {
        let mut client = connect(address).await;
        let kind = match target {
            "/v1/containers" => "application/json",
            _ => "application/x-tar",
        };
        let headers = format!("Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n");
        client
            .send(request("POST", target, who, &headers, b""))
            .await;
        // A client whose write fails says that, and not what it was answered.
        for _ in 0..1024 {
            client.stream.write_all(&chunk).await.unwrap();
        }
        client.stream.write_all(b"0\r\n\r\n").await.unwrap();
        let answer = client.answer(false).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert!(!answer.body.is_empty());
    }
}
