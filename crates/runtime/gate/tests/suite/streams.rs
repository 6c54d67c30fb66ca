//! Answers that come bit by bit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cofferdam_action::wire::{Body, Frame};
use tokio::sync::{Notify, mpsc};

use crate::broker::Broker;
use crate::client::{connect, noticed, open, request};
use crate::gate::Place;

#[tokio::test]
async fn the_head_of_wait_comes_before_there_is_anything_to_say() {
    let place = Place::new();
    let exit = Arc::new(Notify::new());
    let exited = Arc::clone(&exit);
    let _broker = Broker::start(place.path(), move |_, mut link| {
        let exited = Arc::clone(&exited);
        async move {
            link.rest().await;
            link.done(200, Some("application/json"), Body::Stream).await;
            exited.notified().await;
            link.data(b"{\"StatusCode\":3}\n").await;
            link.end().await;
            Some(link)
        }
    });
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    let target = "/v1.41/containers/mine/wait?condition=next-exit";
    client.send(request("POST", target, &token, "", b"")).await;
    assert_eq!(client.head().await.status, 200);
    exit.notify_one();
    assert_eq!(client.chunk().await.unwrap(), b"{\"StatusCode\":3}\n");
    assert_eq!(client.chunk().await, None);
}

#[tokio::test]
async fn each_part_of_a_stream_comes_when_it_is_there() {
    let place = Place::new();
    let (say, said) = mpsc::unbounded_channel::<&[u8]>();
    let said = Arc::new(tokio::sync::Mutex::new(said));
    let _broker = Broker::start(place.path(), move |_, mut link| {
        let said = Arc::clone(&said);
        async move {
            link.rest().await;
            link.done(200, None, Body::Stream).await;
            while let Some(part) = said.lock().await.recv().await {
                link.data(part).await;
            }
            link.end().await;
            Some(link)
        }
    });
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    client
        .send(request(
            "GET",
            "/containers/mine/logs?follow=1&stdout=1",
            &token,
            "",
            b"",
        ))
        .await;
    assert_eq!(client.head().await.header("content-type"), None);
    for part in [&b"one"[..], b"two", b"three"] {
        say.send(part).unwrap();
        assert_eq!(client.chunk().await.unwrap(), part);
    }
    drop(say);
    assert_eq!(client.chunk().await, None);
}

#[tokio::test]
async fn a_long_answer_of_known_length_keeps_it() {
    let place = Place::new();
    let text = format!("\"{}\"", "x".repeat(500_000));
    let due = text.clone();
    let _broker = Broker::start(place.path(), move |_, mut link| {
        let text = text.clone();
        async move {
            link.rest().await;
            link.json(200, &text).await;
            Some(link)
        }
    });
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    for _ in 0..2 {
        let answer = client.ask("GET", "/containers/json", &token).await;
        assert_eq!(answer.header("content-length"), Some("500002"));
        assert_eq!(answer.text(), due);
    }
}

#[tokio::test]
async fn what_is_broken_off_has_no_end() {
    // An `Abort`, a connection that closes, a body that is shorter than was said, and one that is
    // longer.
    for fault in 0..4 {
        let place = Place::new();
        let _broker = Broker::start(place.path(), move |_, mut link| async move {
            link.rest().await;
            let body = match fault {
                0 | 1 => Body::Stream,
                _ => Body::Sized(200_000),
            };
            link.done(200, None, body).await;
            link.data(b"half of it").await;
            match fault {
                0 => drop(link.write(Frame::Abort("gone".into())).await),
                1 => return None,
                2 => drop(link.end().await),
                _ => drop(link.data(&vec![0; 300_000]).await),
            }
            Some(link)
        });
        let gate = place.gate("", "").await;
        let mut client = connect(gate.address).await;
        let target = "/containers/mine/logs?stdout=1";
        client
            .send(request("GET", target, &gate.token("alice"), "", b""))
            .await;
        // Whether what came before goes out is a question of time; its end must not.
        let (answer, _) = client.rest().await;
        assert!(!answer.ends_with(b"0\r\n\r\n"), "{fault}");
        assert!(answer.len() < 200_000, "{fault}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call() {
    let place = Place::new();
    let (_broker, gone) = Broker::until_gone(place.path());
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    for target in ["/events", "/containers/mine/logs?follow=1&stdout=1"] {
        drop(open(gate.address, target, &token).await);
        noticed(&gone).await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_before_the_answer_ends_the_call() {
    let place = Place::new();
    let (heard, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let told = (Arc::clone(&heard), Arc::clone(&gone));
    let _broker = Broker::start(place.path(), move |_, mut link| {
        let (heard, gone) = told.clone();
        async move {
            link.rest().await;
            heard.notify_one();
            assert_eq!(link.read().await, None);
            gone.notify_one();
            None
        }
    });
    let gate = place.gate("", "").await;
    let mut client = connect(gate.address).await;
    client
        .send(request(
            "POST",
            "/containers/mine/stop",
            &gate.token("alice"),
            "",
            b"",
        ))
        .await;
    heard.notified().await;
    drop(client);
    noticed(&gone).await;
}

#[tokio::test]
async fn a_reader_that_is_slow_slows_the_broker() {
    const PART: usize = 64 << 10;
    const ALL: usize = 128 << 20;
    // What the sockets of both sides and the buffers in between may hold.
    const HELD: usize = 24 << 20;
    let place = Place::new();
    let (taken, moved) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let counts = (Arc::clone(&taken), Arc::clone(&moved));
    let _broker = Broker::start(place.path(), move |_, mut link| {
        let (taken, moved) = counts.clone();
        async move {
            link.rest().await;
            link.done(200, None, Body::Stream).await;
            let part = vec![7; PART];
            for _ in 0..ALL / PART {
                if !link.data(&part).await {
                    return None;
                }
                taken.fetch_add(PART, Ordering::SeqCst);
                moved.notify_one();
            }
            link.end().await;
            Some(link)
        }
    });
    let gate = place.gate("", "").await;
    let mut client = connect(gate.address).await;
    let target = "/containers/mine/logs?follow=1&stdout=1";
    client
        .send(request("GET", target, &gate.token("alice"), "", b""))
        .await;
    client.head().await;
    // Nobody reads: the broker is held up when what lies between is full.
    while tokio::time::timeout(Duration::from_millis(300), moved.notified())
        .await
        .is_ok()
    {
        assert!(
            taken.load(Ordering::SeqCst) < HELD,
            "the gate buffers without bound"
        );
    }
    let mut read = 0;
    while let Some(part) = client.chunk().await {
        read += part.len();
        assert!(taken.load(Ordering::SeqCst) < read + HELD);
    }
    assert_eq!(read, ALL);
}
