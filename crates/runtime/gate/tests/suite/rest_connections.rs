//! The connections of the REST dialect: how long a client may take, what goes on over a reload, and
//! what ends when somebody goes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use cofferdam_action::wire::Body;
use cofferdam_gate::Control;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::client::TlsStream;

use crate::broker::Broker;
use crate::client::{Client, connect, connect_tls, noticed, open, request, until};
use crate::gate::{Gate, Place, tls};

const REST: &str = "listen_rest = \"127.0.0.1:0\"";
const FOLLOW: &str = "/v1/containers/web/logs?follow=1&stdout=1";

async fn start(place: Place, tables: &str) -> (Gate, SocketAddr) {
    let gate = place.gate(REST, tables).await;
    let address = gate.rest.unwrap();
    (gate, address)
}

/// Opens a stream, and reads the head of its answer.
async fn follow(rest: SocketAddr, token: &str) -> Client<TcpStream> {
    let (client, head) = open(rest, FOLLOW, token).await;
    assert_eq!(head.status, 200);
    client
}

#[tokio::test]
async fn no_head_takes_longer_than_it_may_neither_the_first_nor_another() {
    let place = Place::new();
    let _broker = Broker::plain(place.path());
    let (_gate, rest) = start(place, "[limits]\nhead = \"200ms\"").await;
    let mut silent = connect(rest).await;
    assert!(silent.rest().await.0.is_empty());
    let mut first = connect(rest).await;
    first.send("G").await;
    first.rest().await;
    let mut second = connect(rest).await;
    second
        .send("GET /ready HTTP/1.1\r\nHost: gate\r\n\r\n")
        .await;
    assert_eq!(second.answer(false).await.status, 200);
    second.send("G").await;
    let (answer, _) = second.rest().await;
    assert!(answer.is_empty());
    // A connection on which nothing is asked is kept for longer.
    let mut idle = connect(rest).await;
    for _ in 0..2 {
        idle.send("GET /ready HTTP/1.1\r\nHost: gate\r\n\r\n").await;
        assert_eq!(idle.answer(false).await.status, 200);
        // As long as a head may take, and one that began later.
        let mut silent = connect(rest).await;
        assert!(silent.rest().await.0.is_empty());
    }
}

#[tokio::test]
async fn a_handshake_takes_no_longer_than_it_may() {
    let place = Place::new();
    let _broker = Broker::plain(place.path());
    let tables = format!("{}\n[limits]\nhead = \"200ms\"", tls(""));
    let (_gate, rest) = start(place, &tables).await;
    let start = Instant::now();
    let mut silent = connect(rest).await;
    assert!(silent.rest().await.0.is_empty());
    // The time of actix-tls would be three seconds.
    assert!(start.elapsed().as_secs() < 3);
    let mut client: Client<TlsStream<TcpStream>> = connect_tls(rest, None).await.unwrap();
    client
        .send("GET /ready HTTP/1.1\r\nHost: gate\r\n\r\n")
        .await;
    assert_eq!(client.answer(false).await.status, 200);
}

#[tokio::test]
async fn one_address_has_so_many_connections_over_both_dialects() {
    let place = Place::new();
    let _broker = Broker::plain(place.path());
    let (gate, rest) = start(place, "[limits]\nconnections_per_peer = 2").await;
    let token = gate.token("alice");
    let mut docker = connect(gate.address).await;
    assert_eq!(docker.ask("GET", "/_ping", &token).await.status, 200);
    let mut first = connect(rest).await;
    assert_eq!(first.ask("GET", "/v1/ping", &token).await.status, 200);
    let mut second = connect(rest).await;
    assert!(second.rest().await.0.is_empty());
    drop(docker);
    until("the connection is still counted", async || {
        let mut again = connect(rest).await;
        again
            .send(request("GET", "/v1/ping", &token, "", b""))
            .await;
        again.more().await.is_ok_and(|more| more)
    })
    .await;
}

#[tokio::test]
async fn requests_that_come_all_at_once_are_answered_in_turn() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let (gate, rest) = start(place, "").await;
    let token = gate.token("alice");
    let mut client = connect(rest).await;
    let one = request("GET", "/v1/containers", &token, "", b"");
    let body = br#"{"image":"allowed/app:1"}"#;
    let json = "Content-Type: application/json\r\n";
    let two = request("POST", "/v1/containers", &token, json, body);
    client.send([one.clone(), two, one].concat()).await;
    for _ in 0..3 {
        assert_eq!(client.answer(false).await.status, 200);
    }
    // After a body whose length nobody has said the connection ends.
    let chunked = "Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n";
    let target = "/v1/containers/web/archive?path=/tmp";
    let head = request("PUT", target, &token, chunked, b"");
    let body = [&b"400\r\n"[..], &[0; 1024], b"\r\n0\r\n\r\n"].concat();
    client.send([head, body].concat()).await;
    let answer = client.answer(false).await;
    assert_eq!(
        (answer.status, answer.header("connection")),
        (200, Some("close"))
    );
    assert!(client.rest().await.0.is_empty());
    assert_eq!(broker.actions().len(), 4);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call() {
    let place = Place::new();
    let (_broker, gone) = Broker::until_gone(place.path());
    let (gate, rest) = start(place, "[limits]\nstreams = 1").await;
    let token = gate.token("alice");
    drop(follow(rest, &token).await);
    noticed(&gone).await;
    // Its place among the streams is free again, a moment later.
    until("the stream is still counted", async || {
        open(rest, FOLLOW, &token).await.1.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_reload_is_for_open_connections_too_and_breaks_none() {
    let place = Place::new();
    let go = Arc::new(Notify::new());
    let goes = Arc::clone(&go);
    let _broker = Broker::start(place.path(), move |call, mut link| {
        let goes = Arc::clone(&goes);
        async move {
            link.rest().await;
            if !format!("{:?}", call.ask).contains("ContainerLogs") {
                link.json(200, "{}").await;
                return Some(link);
            }
            link.done(200, None, Body::Stream).await;
            link.data(b"before").await;
            goes.notified().await;
            link.data(b"after").await;
            link.end().await;
            Some(link)
        }
    });
    let (mut gate, rest) = start(place, "").await;
    let old = gate.token("alice");
    let mut stream = follow(rest, &old).await;
    assert_eq!(stream.chunk().await.unwrap(), b"before");
    let mut kept = connect(rest).await;
    assert_eq!(kept.ask("GET", "/v1/containers", &old).await.status, 200);

    let key = cofferdam_issuer::SigningKey::generate(cofferdam_token::Algorithm::Es256).unwrap();
    gate.issuer.rotate(key);
    gate.issuer.retire();
    let keys = gate.folder.path().join("keys.json");
    std::fs::write(keys, gate.issuer.jwks().to_string()).unwrap();
    gate.tell(Control::Reload).await;
    let new = gate.token("alice");
    until("the new key is not taken", async || {
        kept.ask("GET", "/v1/containers", &new).await.status == 200
    })
    .await;
    let refused = kept.ask("GET", "/v1/containers", &old).await;
    assert_eq!(refused.status, 401);
    go.notify_one();
    assert_eq!(stream.chunk().await.unwrap(), b"after");
    assert_eq!(stream.chunk().await, None);
    gate.tell(Control::Stop).await;
    gate.ended().await.unwrap();
}

#[tokio::test]
async fn a_stop_answers_what_was_asked_and_breaks_off_what_does_not_end() {
    let place = Place::new();
    let (_broker, heard, go) = Broker::held(place.path());
    let (gate, rest) = start(place, "[limits]\nstop = \"500ms\"").await;
    let token = gate.token("alice");
    let mut short = connect(rest).await;
    short
        .send(request("GET", "/v1/info", &token, "", b""))
        .await;
    heard.notified().await;
    let mut stream = follow(rest, &token).await;
    heard.notified().await;
    let mut idle = connect(rest).await;
    idle.send("GET /ready HTTP/1.1\r\nHost: gate\r\n\r\n").await;
    assert_eq!(idle.answer(false).await.status, 200);
    gate.tell(Control::Stop).await;
    // An idle connection ends at once: by then nothing more is accepted.
    assert!(idle.rest().await.0.is_empty());
    go.notify_one();
    assert_eq!(short.answer(false).await.status, 200);
    let (rest_of_it, _) = stream.rest().await;
    assert!(!rest_of_it.ends_with(b"0\r\n\r\n"));
    gate.ended().await.unwrap();
    assert!(TcpStream::connect(rest).await.is_err());
}

#[tokio::test]
async fn after_its_answer_neither_a_body_nor_a_silent_client_is_waited_for_without_end() {
    let place = Place::new();
    let _broker = Broker::plain(place.path());
    let (gate, rest) = start(place, "[limits]\nidle = \"300ms\"").await;
    let known = gate.token("alice");
    let mut clients = tokio::task::JoinSet::new();
    for token in [known, "no.to.ken".to_owned()] {
        for length in ["Transfer-Encoding: chunked", "Content-Length: 1000"] {
            let headers = format!("Content-Type: application/json\r\n{length}\r\n");
            let head = request("GET", "/v1/swarm", &token, &headers, b"");
            clients.spawn(async move {
                let mut client = connect(rest).await;
                client.send([head, b"2\r\n{}\r\n".to_vec()].concat()).await;
                assert!([401, 404].contains(&client.answer(false).await.status));
                assert!(client.rest().await.0.is_empty(), "{length}");
            });
        }
        clients.spawn(async move {
            let mut client = connect(rest).await;
            client.ask("GET", "/v1/containers", &token).await;
            assert!(client.rest().await.0.is_empty());
        });
    }
    clients.join_all().await;
}
