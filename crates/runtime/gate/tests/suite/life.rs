//! Start, reload, stop.

use std::path::Path;

use cofferdam_action::wire::Body;
use cofferdam_gate::{Control, GateConfig, GateError, bind};
use tokio::sync::mpsc;

use crate::broker::Broker;
use crate::client::{connect, request};
use crate::gate::{Place, tls, write_config};

/// A reload is over when the next control is taken; the channel holds one.
async fn reload(gate: &crate::gate::Gate) {
    for _ in 0..3 {
        gate.tell(Control::Reload).await;
    }
}

#[tokio::test]
async fn a_reload_takes_what_is_right_and_keeps_what_was_where_it_is_wrong() {
    let place = Place::new();
    let _broker = Broker::plain(place.path());
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    assert_eq!(client.ask("GET", "/_ping", &token).await.status, 200);

    let folder = gate.folder.path();
    for (more, tables) in [
        ("nonsense = true", ""),
        ("", "[limits]\nburst = 0"),
        ("listen_rest = \"127.0.0.1:1\"", ""),
        ("", &*tls("")),
        // What is right in it does not hold either, since only a restart takes the rest.
        (
            "user = \"another\"",
            "[limits]\nrequests_per_second = 1\nburst = 1",
        ),
        (
            "sandbox = \"best-effort\"",
            "[limits]\nrequests_per_second = 1\nburst = 1",
        ),
    ] {
        write_config(folder, more, tables);
        reload(&gate).await;
        for _ in 0..5 {
            assert_eq!(client.ask("GET", "/_ping", &token).await.status, 200);
        }
    }
    write_config(folder, "", "[limits]\nrequests_per_second = 1\nburst = 1");
    reload(&gate).await;
    client.ask("GET", "/_ping", &token).await;
    assert_eq!(client.ask("GET", "/_ping", &token).await.status, 429);
}

#[tokio::test]
async fn a_stop_answers_what_was_asked_and_breaks_off_what_does_not_end() {
    let place = Place::new();
    let (_broker, heard, go) = Broker::held(place.path());
    let gate = place.gate("", "[limits]\nstop = \"500ms\"").await;
    let token = gate.token("alice");
    let address = gate.address;
    let mut short = connect(address).await;
    short.send(request("GET", "/info", &token, "", b"")).await;
    heard.notified().await;
    let mut stream = connect(address).await;
    stream
        .send(request("GET", "/events", &token, "", b""))
        .await;
    heard.notified().await;
    let mut idle = connect(address).await;
    gate.tell(Control::Stop).await;
    // An idle connection ends at once: by then nothing more is accepted.
    assert!(idle.rest().await.0.is_empty());
    go.notify_one();
    assert_eq!(short.answer(false).await.status, 200);
    stream.head().await;
    let (rest, _) = stream.rest().await;
    assert!(!rest.ends_with(b"0\r\n\r\n"));
    gate.ended().await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_gate_without_keys_or_certificate_does_not_start() {
    let place = Place::new();
    let folder = place.path();
    let start = async |file: &Path| {
        let bound = bind(GateConfig::read(file).unwrap()).unwrap();
        let (_tell, told) = mpsc::channel(1);
        bound.serve(told, |_| panic!("it is not ready")).await
    };
    let file = write_config(
        folder,
        "",
        "[tls]\ncert = \"/nowhere/cert\"\nkey = \"/nowhere/key\"",
    );
    assert!(matches!(start(&file).await, Err(GateError::Tls(_))));
    std::fs::write(folder.join("keys.json"), "{}").unwrap();
    let file = write_config(folder, "", "");
    let error = start(&file).await.unwrap_err();
    assert!(matches!(error, GateError::Keys(_)));
    assert!(error.to_string().contains("keys.json"), "{error}");
}

#[tokio::test]
async fn an_address_in_use_is_told() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = write_config(place.path(), "", "");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("127.0.0.1:0", &address)).unwrap();
    let error = bind(GateConfig::read(&file).unwrap()).unwrap_err();
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn a_stop_is_no_clean_end_of_what_a_terminal_shows() {
    let place = Place::new();
    let _broker = Broker::start(place.path(), |_, mut link| async move {
        link.done(101, None, Body::Streams).await;
        link.data(b"half of").await;
        while link.read().await.is_some() {}
        None
    });
    let gate = place.gate("", "[limits]\nstop = \"100ms\"").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    let target = "/containers/mine/attach?stream=1&stdout=1";
    let upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
    client
        .send(request("POST", target, &token, upgrade, b""))
        .await;
    assert_eq!(client.head().await.status, 101);
    assert_eq!(client.take(7).await, b"half of");
    gate.tell(Control::Stop).await;
    let (rest, whole) = client.rest().await;
    assert!(rest.is_empty() && !whole);
    gate.ended().await.unwrap();
}
