//! Streams in both directions, with half-close and without being gathered.

use bytes::Bytes;
use cofferdam_action::wire::{Body, Frame, Outcome};
use cofferdam_audit::record::Event;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::common::{
    ALL_SCOPES, AUDIENCE, Gate, Lab, Played, Setup, act, create, drain, json as parsed, now, text,
};

async fn running(lab: &Lab, name: &str, command: &[&str]) -> String {
    let alice = lab.token("alice");
    let (_, body) = lab.ask(&alice, create(name, command)).await.unwrap();
    let start = json!({ "ContainerStart": { "container": name, "detach_keys": null } });
    lab.ask(&alice, start).await.unwrap();
    parsed(&body)["Id"].as_str().unwrap().to_owned()
}

/// Frames of output, until there are at least `wanted` bytes of text in them.
async fn output(gate: &mut Gate, wanted: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < wanted {
        match gate.frame().await {
            Some(Frame::Data(bytes)) => all.extend_from_slice(&bytes),
            other => panic!("{other:?} after {all:?}"),
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_is_joined_and_its_input_ends_before_its_output() {
    let lab = Lab::new().await;
    let alice = lab.token("alice");
    running(&lab, "db", &["sleep", "600"]).await;
    let exec = json!({ "ExecCreate": { "container": "db", "exec": {
        "command": ["cat"],
        "attach_stdin": true, "attach_stdout": true, "attach_stderr": true,
    }}});
    let (_, body) = lab.ask(&alice, exec).await.unwrap();
    let exec = parsed(&body)["Id"].clone();
    let start = json!({ "ExecStart": { "exec": exec, "detach": false, "tty": false } });
    let mut gate = lab.connect().await;
    // Input may come before the answer.
    gate.send(&act(&alice, start), &[Frame::Data("one ".into())])
        .await;
    let done = gate.done().await;
    assert_eq!((done.status, done.body), (101, Body::Streams));
    gate.put(Frame::Data("two".into())).await;
    gate.put(Frame::End).await;
    // What `cat` says comes after the end of its input.
    let body = gate.rest().await;
    let said: Vec<u8> = cofferdam_docker::stream::decode(&body)
        .unwrap()
        .into_iter()
        .flat_map(|frame| frame.bytes)
        .collect();
    assert_eq!(said, b"one two");
    // And the connection serves the next call.
    let (_, body) = gate
        .ask(&alice, json!({ "ExecInspect": { "exec": exec } }))
        .await
        .unwrap();
    assert_eq!(parsed(&body)["ExitCode"], 0);
    // Another principal's exec is not theirs.
    let inspect = json!({ "ExecInspect": { "exec": exec } });
    assert_eq!(
        lab.ask(&lab.token("bob"), inspect)
            .await
            .unwrap_err()
            .status,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_followed_as_they_come() {
    let lab = Lab::new().await;
    running(&lab, "loop", &["sh", "-c", "echo one; sleep 600"]).await;
    let follow =
        json!({ "ContainerLogs": { "container": "loop", "stdout": true, "follow": true } });
    let mut gate = lab.connect().await;
    gate.send(&act(&lab.token("alice"), follow), &[Frame::End])
        .await;
    assert_eq!(gate.done().await.body, Body::Stream);
    let said = output(&mut gate, 8 + 4).await;
    assert!(said.ends_with(b"one\n"), "{said:?}");
    drop(gate);
    // A read's outcome is that it began.
    let (_, records) = lab.finish().await;
    let read = records.iter().find(|record| {
        record
            .decision()
            .is_some_and(|it| it.action == "container.logs")
    });
    let request = read.unwrap().request().unwrap();
    let outcome = records.iter().find(|record| {
        matches!(&record.event, Event::Outcome { request: found, success: true, .. } if found == request)
    });
    assert!(outcome.is_some(), "{records:?}");
}

/// A tar archive with one file, in the form of POSIX.1-1988.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut head = [0u8; 512];
    head[..name.len()].copy_from_slice(name.as_bytes());
    head[100..108].copy_from_slice(b"0000644\0");
    head[108..116].copy_from_slice(b"0000000\0");
    head[116..124].copy_from_slice(b"0000000\0");
    head[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    head[136..148].copy_from_slice(b"00000000000\0");
    head[148..156].copy_from_slice(b"        ");
    head[156] = b'0';
    head[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = head.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_goes_in_and_comes_out() {
    let lab = Lab::new().await;
    let alice = lab.token("alice");
    running(&lab, "db", &["sleep", "600"]).await;
    let content = vec![b'x'; 300_000];
    let copy_in = json!({ "ContainerCopyIn": {
        "container": "db", "path": "/tmp",
        "no_overwrite_dir_non_dir": false, "copy_uid_gid": false,
    }});
    let mut gate = lab.connect().await;
    gate.send(&act(&alice, copy_in), &[]).await;
    let bytes = Bytes::from(archive("big", &content));
    gate.put(Frame::Data(bytes)).await;
    gate.put(Frame::End).await;
    assert_eq!(gate.done().await.status, 200);
    gate.rest().await;

    let path = json!({ "container": "db", "path": "/tmp/big" });
    let stat = json!({ "ContainerPathStat": path });
    let (done, body) = gate.ask(&alice, stat).await.unwrap();
    assert!(done.path_stat.is_some() && body.is_empty(), "{done:?}");
    let (done, body) = gate
        .ask(&alice, json!({ "ContainerCopyOut": path }))
        .await
        .unwrap();
    assert_eq!(done.body, Body::Stream);
    assert!(body.windows(1000).any(|window| window == &content[..1000]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_refused_hears_why_while_it_still_sends() {
    let lab = Lab::new().await;
    let mut gate = lab.connect().await;
    let copy_in = json!({ "ContainerCopyIn": {
        "container": "nobodys", "path": "/tmp",
        "no_overwrite_dir_non_dir": false, "copy_uid_gid": false,
    }});
    let alice = lab.token("alice");
    gate.send(&act(&alice, copy_in), &[]).await;
    for _ in 0..100 {
        gate.put(Frame::Data(Bytes::from(vec![0; 60_000]))).await;
    }
    gate.put(Frame::End).await;
    let Outcome::Refused(refused) = gate.answer().await.outcome else {
        panic!("it was refused");
    };
    assert_eq!(refused.status, 404);
    assert_eq!(gate.frame().await, Some(Frame::End));
    let (_, body) = gate.ask(&alice, json!("Ping")).await.unwrap();
    assert_eq!(text(&body), "OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_broken_off_has_failed() {
    let lab = Lab::new().await;
    let alice = lab.token("alice");
    running(&lab, "db", &["sleep", "600"]).await;
    let copy_in = json!({ "ContainerCopyIn": {
        "container": "db", "path": "/tmp",
        "no_overwrite_dir_non_dir": false, "copy_uid_gid": false,
    }});
    let mut gate = lab.connect().await;
    gate.send(&act(&alice, copy_in), &[]).await;
    gate.put(Frame::Data(Bytes::from(archive("a", b"b")[..700].to_vec())))
        .await;
    drop(gate);
    let intent = lab
        .record(|record| {
            record
                .decision()
                .is_some_and(|it| it.action == "container.copy-in")
        })
        .await;
    let outcome = lab
        .record(crate::common::outcome_of(intent.request().unwrap()))
        .await;
    let success = matches!(outcome.event, Event::Outcome { success: true, .. });
    assert!(!success, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_attaches_to_a_silent_container_and_goes_holds_no_connection() {
    let lab = Lab::new().await;
    let alice = lab.token("alice");
    running(&lab, "silent", &["sleep", "600"]).await;
    let attach =
        json!({ "ContainerAttach": { "container": "silent", "stream": true, "stdout": true } });
    // More often than the server has connections.
    for _ in 0..70 {
        let mut gate = lab.connect().await;
        gate.send(&act(&alice, attach.clone()), &[Frame::End]).await;
        assert_eq!(gate.done().await.body, Body::Streams);
    }
    let (_, body) = lab.ask(&alice, json!("Ping")).await.unwrap();
    assert_eq!(text(&body), "OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_outlives_its_token_unless_it_is_to_end_with_it() {
    let ends = Lab::with(Setup {
        config: format!("streams = 'end-with-token'\n{}", Setup::default().config),
        ..Setup::default()
    })
    .await;
    let goes_on = Lab::new().await;
    let follow = json!({ "ContainerLogs": { "container": "db", "stdout": true, "follow": true } });
    let (mut gates, mut others) = (Vec::new(), Vec::new());
    // The token of the streams that go on is over a second before the one of those that end.
    for (lab, gates, since) in [(&goes_on, &mut others, 56), (&ends, &mut gates, 55)] {
        running(lab, "db", &["sleep", "600"]).await;
        let exec = json!({ "ExecCreate": { "container": "db", "exec": {
            "command": ["cat"], "attach_stdin": true, "attach_stdout": true,
        }}});
        let (_, body) = lab.ask(&lab.token("alice"), exec).await.unwrap();
        let exec = json!({ "ExecStart": {
            "exec": parsed(&body)["Id"], "detach": false, "tty": false,
        }});
        // It is over for so many seconds, and accepted for 60.
        let issued = now() - 60 - since;
        let token = lab.issuer.token("alice").audience(AUDIENCE);
        let token = token
            .scope(ALL_SCOPES)
            .claim("roles", json!(["runner", "reader"]))
            .lifetime(60)
            .mint(issued)
            .unwrap();
        for (action, after) in [(exec, None), (follow.clone(), Some(Frame::End))] {
            let mut gate = lab.connect().await;
            let after: Vec<Frame> = after.into_iter().collect();
            gate.send(&act(&token, action), &after).await;
            gate.done().await;
            gates.push(gate);
        }
    }
    for gate in &mut gates {
        assert_eq!(gate.frame().await, None, "it has no end, but breaks off");
    }
    // The other broker's are as they were, and the logs end when the container does.
    let [exec, logs] = others.as_mut_slice() else {
        panic!("there are {} streams", others.len());
    };
    exec.put(Frame::Data("still".into())).await;
    assert!(output(exec, 8 + 5).await.ends_with(b"still"));
    let kill = json!({ "ContainerKill": { "container": "db", "signal": null } });
    let alice = goes_on.token("alice");
    goes_on.ask(&alice, kill).await.unwrap();
    assert_eq!(logs.frame().await, Some(Frame::End));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_long_ends_nobodys_stream() {
    let engine = Played::new(|_, mut stream| async move {
        let begins = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        stream.write_all(begins.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; 3 << 20]).await.unwrap();
        let event =
            json!({ "Type": "image", "Action": "pull", "Actor": { "ID": "allowed/app:1" } });
        let text = format!("\n{event}\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        drain(&mut stream).await;
    });
    let lab = Lab::with(Setup {
        engine: Some(engine.socket.clone()),
        ..Setup::default()
    })
    .await;
    let mut gate = lab.connect().await;
    let call = act(&lab.token("alice"), json!({ "Events": {} }));
    gate.send(&call, &[Frame::End]).await;
    gate.done().await;
    let line = output(&mut gate, 1).await;
    assert_eq!(parsed(&line.into())["Action"], "pull");
}
