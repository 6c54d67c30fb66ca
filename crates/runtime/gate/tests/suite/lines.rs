//! What is logged of a refused request.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::broker::Broker;
use crate::client::{connect, request};
use crate::gate::Place;

/// Keeps what the gate says: the whole process says it, since connections have threads of their own.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

/// Those of all tests: there is one subscriber for a process.
static LINES: LazyLock<Lines> = LazyLock::new(|| {
    let lines = Lines::default();
    tracing::subscriber::set_global_default(lines.clone()).unwrap();
    lines
});

impl Lines {
    /// Those with a word in them.
    fn with(&self, word: &str) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        let with = lines.iter().filter(|line| line.contains(word));
        with.cloned().collect()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("cofferdam_gate")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn each_refusal_is_told_with_its_address_and_those_of_strangers_seldom() {
    LazyLock::force(&LINES);
    let place = Place::new();
    let _broker = Broker::plain(place.path());
    let gate = place.gate("listen_rest = \"127.0.0.1:0\"", "").await;
    let token = gate.token("alice");
    for (dialect, address) in [("docker", gate.address), ("rest", gate.rest.unwrap())] {
        for number in 0..3 {
            let target = format!("/v1/nothing-of-{dialect}-{number}");
            let answer = connect(address).await.ask("GET", &target, &token).await;
            assert!([400, 404].contains(&answer.status));
            let lines = LINES.with(&target);
            let [line] = &lines[..] else {
                panic!("one line was due: {lines:?}");
            };
            for part in [
                "peer=127.0.0.1 ",
                "https://idp.example",
                "request=",
                "reason=",
            ] {
                assert!(line.contains(part), "{part}: {line}");
            }
            assert!(!line.contains(&token) && !line.contains("alice"), "{line}");
        }
        for number in 0..3 {
            let mut client = connect(address).await;
            let target = format!("/v1/strangers-of-{dialect}-{number}");
            client
                .send(format!("GET {target} HTTP/1.1\r\nHost: gate\r\n\r\n"))
                .await;
            assert_eq!(client.answer(false).await.status, 401);
        }
        assert!(LINES.with(&format!("strangers-of-{dialect}")).len() <= 1);
    }
    let strangers = LINES.with("strangers-of-");
    let [line] = &strangers[..] else {
        panic!("one line was due: {strangers:?}");
    };
    assert!(
        line.contains("peer=127.0.0.1 ") && line.contains("status=401"),
        "{line}"
    );
}

#[tokio::test]
async fn a_head_that_the_server_found_elsewhere_than_on_the_wire_is_told() {
    LazyLock::force(&LINES);
    let place = Place::new();
    let _broker = Broker::plain(place.path());
    let gate = place.gate("listen_rest = \"127.0.0.1:0\"", "").await;
    let token = gate.token("alice");
    // Behind a body whose length nobody has said no other request is read.
    let headers = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    let first = request("POST", "/v1/nothing-in-front", &token, headers, b"");
    let behind = request("GET", "/v1/smuggled-behind", &token, "", b"");
    let mut client = connect(gate.rest.unwrap()).await;
    let body = b"2\r\n{}\r\n0\r\n\r\n".to_vec();
    client.send([first, body, behind].concat()).await;
    assert_eq!(client.answer(false).await.status, 404);
    assert_eq!(client.answer(false).await.status, 400);
    assert!(client.rest().await.0.is_empty());
    let lines = LINES.with("/v1/smuggled-behind");
    let [line] = &lines[..] else {
        panic!("one line was due: {lines:?}");
    };
    for part in ["peer=127.0.0.1 ", "status=400", "reason=\"request.http\""] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!line.contains(&token), "{line}");
}
