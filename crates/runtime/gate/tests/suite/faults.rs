//! A broker that is gone, restarted, silent or out of step.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cofferdam_action::wire::{Body, Frame};

use crate::broker::Broker;
use crate::client::connect;
use crate::gate::Place;

const CREATE: &str = "/v1.41/containers/create?name=one";
const BODY: &str = r#"{"Image":"allowed/app:1"}"#;

#[tokio::test]
async fn without_a_broker_the_client_is_told_so_and_what_to_look_at() {
    let gate = Place::new().gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    let answer = client.ask("GET", "/containers/json", &token).await;
    assert_eq!(answer.status, 503);
    assert!(
        answer.message().contains("is it running?"),
        "{}",
        answer.message()
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    // What is refused is refused all the same.
    assert_eq!(client.ask("POST", "/build", &token).await.status, 403);
}

#[tokio::test]
async fn a_restarted_broker_is_found_again_without_a_failed_request() {
    let place = Place::new();
    let first = Broker::plain(place.path());
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    assert_eq!(client.post(CREATE, &token, BODY).await.status, 200);
    first.stop().await;
    let second = Broker::plain(gate.folder.path());
    assert_eq!(client.post(CREATE, &token, BODY).await.status, 200);
    assert_eq!(client.ask("GET", "/info", &token).await.status, 200);
    assert_eq!(second.actions().len(), 2);
}

/// Breaks every second call off when it has read it.
fn flaky(place: &Place) -> Broker {
    let count = Arc::new(AtomicUsize::new(0));
    Broker::start(place.path(), move |_, mut link| {
        let broken = count.fetch_add(1, Ordering::SeqCst) % 2 == 1;
        async move {
            link.rest().await;
            if broken {
                return None;
            }
            link.json(200, "{}").await;
            Some(link)
        }
    })
}

#[tokio::test]
async fn what_may_have_changed_something_is_not_sent_a_second_time() {
    let place = Place::new();
    let broker = flaky(&place);
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    assert_eq!(client.post(CREATE, &token, BODY).await.status, 200);
    let answer = client.post(CREATE, &token, BODY).await;
    assert_eq!(answer.status, 502);
    assert!(
        answer.message().contains("audit log"),
        "{}",
        answer.message()
    );
    assert_eq!(broker.actions().len(), 2);
}

#[tokio::test]
async fn what_only_reads_is_asked_again_on_a_fresh_connection() {
    let place = Place::new();
    let broker = flaky(&place);
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    assert_eq!(client.ask("GET", "/info", &token).await.status, 200);
    assert_eq!(client.ask("GET", "/info", &token).await.status, 200);
    assert_eq!(broker.actions().len(), 3);
    assert_eq!(broker.connections(), 2);
}

#[tokio::test]
async fn what_is_no_answer_is_not_passed_on() {
    for fault in 0..4 {
        let place = Place::new();
        let _broker = Broker::start(place.path(), move |_, mut link| async move {
            link.rest().await;
            match fault {
                0 => link.write(Frame::Answer("{\"request\":1}".into())).await,
                1 => link.data(b"before the head").await,
                2 => link.end().await,
                _ => link.write(Frame::Abort("no".into())).await,
            };
            Some(link)
        });
        let gate = place.gate("", "").await;
        let token = gate.token("alice");
        let mut client = connect(gate.address).await;
        let answer = client.post(CREATE, &token, BODY).await;
        assert_eq!(answer.status, 502, "{fault}");
        assert!(!answer.text().contains("before the head"));
    }
}

#[tokio::test]
async fn a_broker_that_speaks_out_of_turn_is_not_believed_by_the_next_call() {
    let place = Place::new();
    let _broker = Broker::start(place.path(), |_, mut link| async move {
        link.rest().await;
        link.done(200, None, Body::Empty).await;
        // The answer to a question that nobody has asked.
        link.json(200, "\"of another\"").await;
        Some(link)
    });
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    for _ in 0..5 {
        let answer = client.ask("GET", "/info", &token).await;
        assert_eq!((answer.status, answer.text()), (200, ""));
    }
}
