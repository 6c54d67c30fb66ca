//! Streams in both directions, as attach and exec have them.

use std::sync::Arc;
use std::time::Duration;

use cofferdam_action::action::Action;
use cofferdam_action::wire::{Ask, Body, Frame};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::broker::{Broker, Link};
use crate::client::{Client, connect, connect_tls, noticed, request};
use crate::gate::{Place, tls};

const RAW: &str = "application/vnd.docker.raw-stream";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: tcp\r\n";

/// Gives each part back as it comes, and after the end of the input says so.
async fn echo(mut link: Link) -> Option<Link> {
    link.done(101, Some(RAW), Body::Streams).await;
    loop {
        match link.read().await? {
            Frame::Data(bytes) => link.data(&bytes).await,
            Frame::End => break,
            _ => return None,
        };
    }
    link.data(b"that was all").await;
    link.end().await;
    Some(link)
}

/// Input that comes with the request, input that comes later, the end of the input, and what the
/// container has to say after it.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(mut client: Client<S>, head: Vec<u8>) {
    client.send([head, b"early ".to_vec()].concat()).await;
    let answer = client.head().await;
    assert!(
        answer.head.starts_with("HTTP/1.1 101 UPGRADED\r\n"),
        "{}",
        answer.head
    );
    assert_eq!(answer.header("upgrade"), Some("tcp"));
    assert_eq!(answer.header("connection"), Some("Upgrade"));
    assert_eq!(answer.header("content-type"), Some(RAW));
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(client.take(6).await, b"early ");
    let much = vec![b'x'; 300_000];
    client.send(b"late ").await;
    assert_eq!(client.take(5).await, b"late ");
    for part in much.chunks(30_000) {
        client.send(part).await;
        assert_eq!(client.take(part.len()).await, part);
    }
    client.finish().await;
    let (rest, whole) = client.rest().await;
    assert_eq!((rest, whole), (b"that was all".to_vec(), true));
}

fn attach(token: &str) -> Vec<u8> {
    let target = "/v1.41/containers/mine/attach?stream=1&stdin=1&stdout=1&stderr=1";
    let headers = format!("{UPGRADE}Content-Type: text/plain\r\n");
    request("POST", target, token, &headers, b"")
}

fn exec(token: &str) -> Vec<u8> {
    let target = format!("/v1.41/exec/{}/start", "e".repeat(64));
    let headers = format!("{UPGRADE}Content-Type: application/json\r\n");
    request(
        "POST",
        &target,
        token,
        &headers,
        br#"{"Detach":false,"Tty":true}"#,
    )
}

#[tokio::test]
async fn output_still_comes_after_the_input_has_ended() {
    let place = Place::new();
    let broker = Broker::start(place.path(), |_, link| echo(link));
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    for _ in 0..3 {
        talk(connect(gate.address).await, attach(&token)).await;
        talk(connect(gate.address).await, exec(&token)).await;
    }
    assert!(matches!(broker.actions()[0], Action::ContainerAttach(_)));
    assert!(matches!(
        broker.actions()[1],
        Action::ExecStart { tty: true, .. }
    ));
}

#[tokio::test]
async fn output_still_comes_after_the_input_has_ended_with_tls() {
    let place = Place::new();
    let _broker = Broker::start(place.path(), |_, link| echo(link));
    let gate = place.gate("", &tls("")).await;
    let token = gate.token("alice");
    for _ in 0..3 {
        talk(
            connect_tls(gate.address, None).await.unwrap(),
            attach(&token),
        )
        .await;
        talk(connect_tls(gate.address, None).await.unwrap(), exec(&token)).await;
    }
}

#[tokio::test]
async fn the_end_of_the_output_ends_the_connection_without_waiting_for_the_input() {
    let place = Place::new();
    let _broker = Broker::start(place.path(), |_, mut link| async move {
        link.done(101, Some(RAW), Body::Streams).await;
        link.data(b"bye").await;
        link.end().await;
        // The gate lets go of the input as well.
        while link.read().await.is_some() {}
        None
    });
    let gate = place.gate("", "").await;
    let mut client = connect(gate.address).await;
    client.send(attach(&gate.token("alice"))).await;
    assert_eq!(client.head().await.status, 101);
    assert_eq!(client.rest().await, (b"bye".to_vec(), true));
}

#[tokio::test]
async fn what_breaks_off_is_no_clean_end() {
    let place = Place::new();
    let _broker = Broker::start(place.path(), |_, mut link| async move {
        link.done(101, Some(RAW), Body::Streams).await;
        link.data(b"half of").await;
        // It goes on when the client has what came so far.
        assert_eq!(link.read().await, Some(Frame::Data("go".into())));
        link.write(Frame::Abort("the engine is gone".into())).await;
        None
    });
    let gate = place.gate("", "").await;
    let mut client = connect(gate.address).await;
    client.send(attach(&gate.token("alice"))).await;
    assert_eq!(client.head().await.status, 101);
    assert_eq!(client.take(7).await, b"half of");
    client.send("go").await;
    let (rest, whole) = client.rest().await;
    assert!(rest.is_empty() && !whole);
}

#[tokio::test]
async fn what_breaks_off_is_no_clean_end_with_tls() {
    let place = Place::new();
    let _broker = Broker::start(place.path(), |_, mut link| async move {
        link.done(101, Some(RAW), Body::Streams).await;
        assert_eq!(link.read().await, Some(Frame::Data("go".into())));
        // No word of farewell at all.
        None
    });
    let gate = place.gate("", &tls("")).await;
    let mut client = connect_tls(gate.address, None).await.unwrap();
    client.send(attach(&gate.token("alice"))).await;
    assert_eq!(client.head().await.status, 101);
    client.send("go").await;
    let (rest, whole) = client.rest().await;
    assert!(rest.is_empty() && !whole);
}

#[tokio::test]
async fn a_client_that_vanishes_ends_the_call() {
    let place = Place::new();
    let gone = Arc::new(Notify::new());
    let told = Arc::clone(&gone);
    let _broker = Broker::start(place.path(), move |_, mut link| {
        let told = Arc::clone(&told);
        async move {
            link.done(101, Some(RAW), Body::Streams).await;
            // Output that nobody takes shows that nobody is there, if the end of the input does not.
            while link.data(b"tick").await {}
            told.notify_one();
            None
        }
    });
    let gate = place.gate("", "").await;
    let mut client = connect(gate.address).await;
    client.send(attach(&gate.token("alice"))).await;
    assert_eq!(client.head().await.status, 101);
    drop(client);
    noticed(&gone).await;
}

#[tokio::test]
async fn a_client_that_vanishes_after_its_input_ends_the_call_of_a_silent_container() {
    for tls in [String::new(), tls("")] {
        let place = Place::new();
        let (half, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let told = (Arc::clone(&half), Arc::clone(&gone));
        let _broker = Broker::start(place.path(), move |_, mut link| {
            let (half, gone) = told.clone();
            async move {
                link.done(101, Some(RAW), Body::Streams).await;
                assert_eq!(link.read().await, Some(Frame::End));
                half.notify_one();
                assert_eq!(link.read().await, None);
                gone.notify_one();
                None
            }
        });
        let gate = place.gate("", &tls).await;
        let head = attach(&gate.token("alice"));
        match tls.is_empty() {
            true => {
                let mut client = connect(gate.address).await;
                half_then_vanish(&mut client, head, &half).await;
                reset(client.stream);
            }
            false => {
                let mut client = connect_tls(gate.address, None).await.unwrap();
                half_then_vanish(&mut client, head, &half).await;
                reset(client.stream.into_inner().0);
            }
        }
        noticed(&gone).await;
    }
}

async fn half_then_vanish<S>(client: &mut Client<S>, head: Vec<u8>, half: &Notify)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    client.send(head).await;
    assert_eq!(client.head().await.status, 101);
    client.finish().await;
    half.notified().await;
}

#[tokio::test]
async fn a_client_that_vanishes_while_its_input_waits_ends_the_call() {
    let place = Place::new();
    let gone = Arc::new(Notify::new());
    let told = Arc::clone(&gone);
    let _broker = Broker::start(place.path(), move |_, mut link| {
        let told = Arc::clone(&told);
        async move {
            link.done(101, Some(RAW), Body::Streams).await;
            // It takes no input until there is nobody more to take it from.
            link.closed().await;
            told.notify_one();
            None
        }
    });
    let gate = place.gate("", "").await;
    let mut client = connect(gate.address).await;
    client.send(attach(&gate.token("alice"))).await;
    assert_eq!(client.head().await.status, 101);
    // More than all buffers in between take.
    let part = vec![0; 1 << 20];
    while tokio::time::timeout(Duration::from_millis(300), client.stream.write_all(&part))
        .await
        .is_ok()
    {}
    reset(client.stream);
    noticed(&gone).await;
}

/// Ends a connection as the system does for a process that is gone, when something still comes.
fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

#[tokio::test]
async fn without_an_upgrade_the_output_comes_as_a_body_and_there_is_no_input() {
    let place = Place::new();
    let broker = Broker::start(place.path(), |_, mut link| async move {
        assert_eq!(link.read().await, Some(Frame::End));
        link.done(101, Some(RAW), Body::Streams).await;
        link.data(b"output").await;
        link.end().await;
        Some(link)
    });
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    for _ in 0..2 {
        let answer = client
            .ask("POST", "/containers/mine/attach?stdout=1&stream=1", &token)
            .await;
        assert_eq!((answer.status, answer.text()), (200, "output"));
        assert_eq!(answer.header("content-type"), Some(RAW));
    }
    assert_eq!(broker.connections(), 1);
}

#[tokio::test]
async fn a_detached_exec_is_no_stream_although_an_upgrade_was_offered() {
    let place = Place::new();
    let _broker = Broker::start(place.path(), |call, mut link| async move {
        assert!(
            matches!(call.ask, Ask::Act(action) if matches!(*action, Action::ExecStart { detach: true, .. }))
        );
        link.rest().await;
        link.done(200, None, Body::Empty).await;
        Some(link)
    });
    let gate = place.gate("", "").await;
    let target = format!("/exec/{}/start", "e".repeat(64));
    let headers = format!("{UPGRADE}Content-Type: application/json\r\n");
    let token = gate.token("alice");
    let mut client = connect(gate.address).await;
    client
        .send(request(
            "POST",
            &target,
            &token,
            &headers,
            br#"{"Detach":true}"#,
        ))
        .await;
    let answer = client.answer(false).await;
    assert_eq!(
        (answer.status, answer.header("connection")),
        (200, Some("close"))
    );
}

#[tokio::test]
async fn a_refused_upgrade_smuggles_no_request_behind_it() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let gate = place.gate("", "").await;
    let token = gate.token("alice");
    let headers = "Connection: Upgrade\r\nUpgrade: h2c\r\n";
    let wire = [
        request(
            "POST",
            "/containers/mine/attach?stream=1",
            &token,
            headers,
            b"",
        ),
        request("GET", "/info", &token, "", b""),
    ]
    .concat();
    let mut client = connect(gate.address).await;
    client.send(wire).await;
    assert_eq!(client.answer(false).await.status, 400);
    let (rest, _) = client.rest().await;
    assert!(rest.is_empty(), "{rest:?}");
    assert!(broker.actions().is_empty());
}
