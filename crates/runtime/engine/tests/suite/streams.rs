//! Connections that a client takes over, and answers that come as they are written.

use crate::support::{Rig, body, get, raw, rig};
use cofferdam_docker::wire::ExecCreate;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// Asks for the connection; answers it behind the head of the answer.
async fn take_over(rig: &Rig, path: &str, body: &str) -> BufReader<UnixStream> {
    let mut stream = BufReader::new(UnixStream::connect(rig.engine.socket()).await.unwrap());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("HTTP/1.1 101 "), "{line}");
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
    }
    stream
}

/// The next frame: its stream, and its bytes.
async fn frame(stream: &mut BufReader<UnixStream>) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes(head[4..].try_into().unwrap());
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes).await.unwrap();
    Some((head[0], bytes))
}

async fn interactive(rig: &Rig, command: &[&str], once: bool, tty: bool) -> String {
    let body = json!({
        "Image": "allowed/app:1", "Cmd": command, "OpenStdin": true, "StdinOnce": once, "Tty": tty,
    });
    rig.client.create(None, &body).await.unwrap().id
}

#[tokio::test]
async fn the_input_may_end_before_the_output() {
    let rig = rig(|_| ()).await;
    let id = interactive(&rig, &["sh", "-c", "cat; echo end"], true, false).await;
    let path = format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1");
    let mut stream = take_over(&rig, &path, "").await;
    rig.client.start(&id).await.unwrap();
    stream.write_all(b"one\n").await.unwrap();
    assert_eq!(frame(&mut stream).await, Some((1, b"one\n".to_vec())));
    stream.write_all(b"two\n").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(frame(&mut stream).await, Some((1, b"two\n".to_vec())));
    assert_eq!(frame(&mut stream).await, Some((1, b"end\n".to_vec())));
    assert_eq!(frame(&mut stream).await, None);
    assert_eq!(rig.client.wait(&id).await.unwrap(), 0);
}

#[tokio::test]
async fn an_input_that_is_not_for_once_outlives_a_client() {
    let rig = rig(|_| ()).await;
    let id = interactive(&rig, &["cat"], false, false).await;
    let path = format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1");
    rig.client.start(&id).await.unwrap();
    for word in [&b"one\n"[..], b"two\n"] {
        let mut stream = take_over(&rig, &path, "").await;
        stream.write_all(word).await.unwrap();
        assert_eq!(frame(&mut stream).await, Some((1, word.to_vec())));
        stream.shutdown().await.unwrap();
    }
    assert!(rig.client.inspect(&id).await.unwrap().state.running);
}

#[tokio::test]
async fn whoever_does_not_read_holds_the_program_up_and_loses_nothing() {
    let rig = rig(|_| ()).await;
    let id = interactive(&rig, &["seq", "500000"], false, false).await;
    let path = format!("/containers/{id}/attach?stream=1&stdout=1");
    let mut stream = take_over(&rig, &path, "").await;
    rig.client.start(&id).await.unwrap();
    // The connection's buffers are full long before the last number.
    let state = rig.client.inspect(&id).await.unwrap().state;
    assert!(state.running);
    let mut all = Vec::new();
    while let Some((_, bytes)) = frame(&mut stream).await {
        all.extend_from_slice(&bytes);
    }
    assert_eq!(all.iter().filter(|byte| **byte == b'\n').count(), 500_000);
    assert!(all.ends_with(b"\n500000\n"));
}

#[tokio::test]
async fn a_command_reads_its_input_and_is_over_when_its_stream_is() {
    let rig = rig(|_| ()).await;
    let id = rig
        .client
        .create(None, &body(&["sleep", "infinity"], &[]))
        .await
        .unwrap()
        .id;
    rig.client.start(&id).await.unwrap();
    let exec = ExecCreate {
        cmd: ["sh", "-c", "cat; exit 5"].map(str::to_owned).to_vec(),
        attach_stdin: true,
        attach_stdout: true,
        ..ExecCreate::default()
    };
    let exec = rig.client.exec_create(&id, &exec).await.unwrap();
    let mut stream = take_over(&rig, &format!("/exec/{exec}/start"), "{}").await;
    stream.write_all(b"in\n").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(frame(&mut stream).await, Some((1, b"in\n".to_vec())));
    assert_eq!(frame(&mut stream).await, None);
    let exec = rig.client.exec_inspect(&exec).await.unwrap();
    assert_eq!((exec.running, exec.exit_code), (false, Some(5)));
}

#[tokio::test]
async fn a_terminal_has_one_stream_a_size_and_an_echo() {
    let rig = rig(|_| ()).await;
    let id = interactive(&rig, &["sh"], true, true).await;
    let path = format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1");
    let mut stream = take_over(&rig, &path, "").await;
    rig.client.start(&id).await.unwrap();
    let size = raw(&rig, &format!("POST /containers/{id}/resize?h=24&w=80 HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")).await;
    assert!(size.starts_with("HTTP/1.1 200"), "{size}");
    stream
        .write_all(b"stty size; echo y\x7fx\rexit 3\r")
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.contains("24 80\r\nx\r\n"), "{text:?}");
    assert_eq!(rig.client.wait(&id).await.unwrap(), 3);
}

#[tokio::test]
async fn a_paused_container_writes_when_it_is_not_paused_any_more() {
    let rig = rig(|_| ()).await;
    let id = interactive(&rig, &["cat"], true, false).await;
    let path = format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1");
    let mut stream = take_over(&rig, &path, "").await;
    rig.client.start(&id).await.unwrap();
    let post = async |action: &str| {
        let head = format!(
            "POST /containers/{id}/{action} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"
        );
        raw(&rig, &head).await[9..12].to_owned()
    };
    assert_eq!(post("pause").await, "204");
    assert_eq!(post("pause").await, "409");
    assert_eq!(
        rig.client.inspect(&id).await.unwrap().state.status,
        "paused"
    );
    stream.write_all(b"x\n").await.unwrap();
    assert_eq!(post("unpause").await, "204");
    assert_eq!(frame(&mut stream).await, Some((1, b"x\n".to_vec())));
}

#[tokio::test]
async fn events_are_told_as_they_happen_and_kept_for_later() {
    let rig = rig(|_| ()).await;
    let mut live = BufReader::new(UnixStream::connect(rig.engine.socket()).await.unwrap());
    let filters =
        "%7B%22label%22%3A%5B%22a%3Db%22%5D%2C%22event%22%3A%5B%22create%22%2C%22die%22%5D%7D";
    live.write_all(format!("GET /events?filters={filters} HTTP/1.1\r\nHost: d\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        live.read_line(&mut line).await.unwrap();
    }
    let mut other = body(&["true"], &[]);
    for label in ["c", "b"] {
        other.config.labels.insert("a".to_owned(), label.to_owned());
        let id = rig
            .client
            .create(Some(&format!("the-{label}")), &other)
            .await
            .unwrap()
            .id;
        rig.client.start(&id).await.unwrap();
        assert_eq!(rig.client.wait(&id).await.unwrap(), 0);
    }
    for action in ["create", "die"] {
        let event = loop {
            line.clear();
            live.read_line(&mut line).await.unwrap();
            if line.starts_with('{') {
                break serde_json::from_str::<Value>(&line).unwrap();
            }
        };
        assert_eq!(event["Action"], action);
        assert_eq!(event["Actor"]["Attributes"]["name"], "the-b");
    }
    // All that has happened until now, oldest first.
    let now = jiff::Timestamp::now();
    let now = format!("{}.{:09}", now.as_second(), now.subsec_nanosecond());
    let past = get(&rig, &format!("/events?since=1&until={now}")).await;
    let actions: Vec<_> = past
        .lines()
        .filter_map(|line| {
            serde_json::from_str::<Value>(line).ok()?["Action"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(actions, ["create", "start", "die"].repeat(2));
}
