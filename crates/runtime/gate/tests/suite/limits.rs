//! What one caller may have, and how long a client may take.

use cofferdam_action::refusal::Rule;

use crate::broker::Broker;
use crate::client::{connect, open, request, until};
use crate::gate::Place;

#[tokio::test]
async fn a_caller_that_asks_too_often_waits_and_another_does_not() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let gate = place
        .gate("", "[limits]\nrequests_per_second = 1\nburst = 3")
        .await;
    let (alice, bob) = (gate.token("alice"), gate.token("bob"));
    let mut client = connect(gate.address).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(client.ask("GET", "/_ping", &alice).await.status);
    }
    // Another token of the same caller does not help.
    let again = gate
        .issuer
        .token("alice")
        .audience(crate::gate::AUDIENCE)
        .client("other");
    let again = again.mint(crate::gate::now()).unwrap();
    let refused = client.ask("GET", "/_ping", &again).await;
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("1"))
    );
    assert!(
        refused.message().contains("1 in a second"),
        "{}",
        refused.message()
    );
    assert_eq!(client.ask("GET", "/_ping", &bob).await.status, 200);
    assert_eq!(broker.actions().len(), 4);
}

#[tokio::test]
async fn the_tokens_of_one_owner_share_an_allowance_in_both_dialects() {
    let place = Place::new();
    let _broker = Broker::plain(place.path());
    let limits = "[limits]\nrequests_per_second = 1\nburst = 3";
    let file = crate::gate::write_config(place.path(), "listen_rest = \"127.0.0.1:0\"", limits);
    let text = std::fs::read_to_string(&file).unwrap();
    let gate = place
        .gate_of(&format!("{text}owner_claim = \"repository\"\n"))
        .await;
    // A job's subject names its branch, and whoever may push makes as many as they like.
    let job = |branch: &str, repository: &str| {
        let token = gate.issuer.token(branch).audience(crate::gate::AUDIENCE);
        let token = token.claim("repository", serde_json::json!(repository));
        token.mint(crate::gate::now()).unwrap()
    };
    let mut docker = connect(gate.address).await;
    let mut rest = connect(gate.rest.unwrap()).await;
    let mut statuses = Vec::new();
    for branch in ["a", "b"] {
        let token = job(branch, "o/r");
        statuses.push(docker.ask("GET", "/_ping", &token).await.status);
        statuses.push(rest.ask("GET", "/v1/ping", &token).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    let other = job("a", "o/other");
    assert_eq!(docker.ask("GET", "/_ping", &other).await.status, 200);
}

#[tokio::test]
async fn requests_and_streams_under_way_are_counted_apart() {
    let place = Place::new();
    let (_broker, _heard, go) = Broker::held(place.path());
    let gate = place
        .gate("", "[limits]\nconcurrent = 1\nstreams = 2")
        .await;
    let token = gate.token("alice");
    let open = async |target: &str| open(gate.address, target, &token).await;
    let (first, head) = open("/events").await;
    assert_eq!(head.status, 200);
    let (_second, head) = open("/containers/a/logs?follow=1&stdout=1").await;
    assert_eq!(head.status, 200);
    let (_third, head) = open("/events").await;
    assert_eq!((head.status, head.header("retry-after")), (429, Some("5")));
    let (mut short, head) = open("/info").await;
    assert_eq!(head.status, 200);
    let (_fourth, head) = open("/info").await;
    assert_eq!(head.status, 429);
    // Whatever ends makes room for another.
    drop(first);
    for _ in 0..3 {
        go.notify_one();
    }
    assert_eq!(short.chunk().await, None);
    until("the stream is still counted", async || {
        open("/events").await.1.status == 200
    })
    .await;
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let place = Place::new();
    let _broker = Broker::plain(place.path());
    let gate = place.gate("", "[limits]\nconnections_per_peer = 2").await;
    let token = gate.token("alice");
    let mut first = connect(gate.address).await;
    let mut second = connect(gate.address).await;
    assert_eq!(first.ask("GET", "/_ping", &token).await.status, 200);
    assert_eq!(second.ask("GET", "/_ping", &token).await.status, 200);
    let mut third = connect(gate.address).await;
    let (bytes, _) = third.rest().await;
    assert!(bytes.is_empty());
    drop(first);
    until("the connection is still counted", async || {
        let mut again = connect(gate.address).await;
        again.send(request("GET", "/_ping", &token, "", b"")).await;
        again.more().await.is_ok_and(|more| more)
    })
    .await;
}

#[tokio::test]
async fn a_head_that_trickles_a_body_that_stalls_and_a_silent_client_are_not_waited_for() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let times = "[limits]\nhead = \"200ms\"\nbody = \"200ms\"\nidle = \"200ms\"";
    let gate = place.gate("", times).await;
    let token = gate.token("alice");

    let mut silent = connect(gate.address).await;
    assert!(silent.rest().await.0.is_empty());

    let mut slow = connect(gate.address).await;
    slow.send("GET /_ping HTT").await;
    let (answer, _) = slow.rest().await;
    assert!(!String::from_utf8(answer).unwrap().contains(" 200 "));

    let mut stalling = connect(gate.address).await;
    let head = request(
        "POST",
        "/containers/create",
        &token,
        "Content-Type: application/json\r\nContent-Length: 100\r\n",
        b"",
    );
    stalling
        .send([head, b"{\"Image\":".to_vec()].concat())
        .await;
    let answer = stalling.answer(false).await;
    assert_eq!(answer.status, 408);
    assert!(stalling.rest().await.0.is_empty());
    assert!(broker.actions().is_empty());

    let type_ = "Content-Type: application/x-tar\r\nContent-Length: 100000\r\n";
    let mut upload = connect(gate.address).await;
    upload
        .send(request(
            "PUT",
            "/containers/a/archive?path=/",
            &token,
            type_,
            b"",
        ))
        .await;
    assert_eq!(upload.answer(false).await.status, 408);
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let json = "Content-Type: application/json\r\n";

    // A long target is a client's right: dockerode repeats its body there.
    let mut client = connect(gate.address).await;
    let long = format!("/containers/create?x={}", "y".repeat(60_000));
    client
        .send(request(
            "POST",
            &long,
            &token,
            json,
            br#"{"Image":"allowed/app:1"}"#,
        ))
        .await;
    assert_eq!(client.answer(false).await.status, 200);
    assert_eq!(broker.actions().len(), 1);

    let longer = format!("/containers/create?x={}", "y".repeat(70_000));
    client
        .send(request("POST", &longer, &token, json, b"{}"))
        .await;
    assert!([413, 414, 431].contains(&client.answer(false).await.status));

    for headers in [
        "X-Many: 1\r\n".repeat(200),
        format!("X-Long: {}\r\n", "z".repeat(200_000)),
    ] {
        let mut client = connect(gate.address).await;
        client
            .send(request("GET", "/_ping", &token, &headers, b""))
            .await;
        assert_eq!(client.answer(false).await.status, 431);
    }

    let mut client = connect(gate.address).await;
    let head = format!("{json}Content-Length: 2000000\r\n");
    client
        .send(request("POST", "/containers/create", &token, &head, b""))
        .await;
    assert_eq!(client.answer(false).await.status, 413);
    assert_eq!(broker.refusals().last().unwrap().1, Rule::BodySize);
    assert_eq!(broker.actions().len(), 1);
}
