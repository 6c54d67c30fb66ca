//! Disks that fill up, engines that hang or break off, gates that go away.

use std::sync::Arc;
use std::time::Duration;

use cofferdam_action::wire::{By, Frame};
use cofferdam_audit::record::{Event, Record};
use cofferdam_broker::Timing;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;

use crate::common::{Lab, Played, Setup, act, drain, eventually, outcome_of};

/// A change for which nothing is asked of the engine beforehand.
fn volume(name: &str) -> Value {
    json!({ "VolumeCreate": { "name": name, "labels": {} } })
}

fn before(engine: &Played) -> Setup {
    Setup {
        engine: Some(engine.socket.clone()),
        timing: Timing {
            head: Duration::from_millis(200),
            body: Duration::from_millis(200),
            ..Timing::default()
        },
        ..Setup::default()
    }
}

/// An answer of the engine with a body of a known length.
fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What the engine says of a volume that it has made.
const VOLUME: &str =
    r#"{"Name":"x","Driver":"local","Mountpoint":"/m","Labels":{},"Scope":"local","Options":null}"#;

/// The outcome of the only intent.
async fn the_outcome(lab: &Lab) -> (bool, String) {
    let intent = lab
        .record(|record| matches!(record.event, Event::Intent(_)))
        .await;
    let request = intent.request().unwrap().to_owned();
    let Event::Outcome {
        success, detail, ..
    } = lab.record(outcome_of(&request)).await.event
    else {
        unreachable!("it was looked for");
    };
    (success, detail)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_hangs_leaves_an_outcome_that_says_so() {
    let engine = Played::hung();
    let lab = Lab::with(before(&engine)).await;
    let refused = lab
        .ask(&lab.token("alice"), volume("vol"))
        .await
        .unwrap_err();
    assert_eq!((refused.by, refused.status), (By::Broker, 504));
    assert!(refused.message.contains("is not known"), "{refused:?}");
    let (success, detail) = the_outcome(&lab).await;
    assert!(!success && detail.starts_with("unknown"), "{detail}");
    assert_eq!(engine.requests().len(), 1, "it was asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_breaks_off_is_not_asked_again() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 201 Created\r\ncontent-length: 50\r\n\r\n{\"Na",
        b"HTTP/1.1 201 Created\r\ncontent-length: 5",
        b"nonsense\r\n\r\n",
    ] {
        let engine = Played::new(move |_, mut stream| async move {
            stream.write_all(answer).await.unwrap();
        });
        let lab = Lab::with(before(&engine)).await;
        let refused = lab
            .ask(&lab.token("alice"), volume("vol"))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.by, refused.status),
            (By::Broker, 502),
            "{refused:?}"
        );
        let (success, detail) = the_outcome(&lab).await;
        assert!(!success && detail.starts_with("unknown"), "{detail}");
        assert_eq!(engine.requests().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_not_there_did_nothing_and_the_log_says_so() {
    let engine = Played::hung();
    let mut setup = before(&engine);
    setup.engine = Some(engine.socket.with_extension("gone"));
    let lab = Lab::with(setup).await;
    let refused = lab
        .ask(&lab.token("alice"), volume("vol"))
        .await
        .unwrap_err();
    assert_eq!((refused.by, refused.status), (By::Broker, 503));
    let (success, detail) = the_outcome(&lab).await;
    assert!(!success && detail.starts_with("not done"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_goes_on_to_its_outcome_when_the_gate_is_gone() {
    let go = Arc::new(Notify::new());
    let waits = Arc::clone(&go);
    let engine = Played::new(move |_, mut stream| {
        let waits = Arc::clone(&waits);
        async move {
            waits.notified().await;
            let made = answer("201 Created", VOLUME);
            stream.write_all(made.as_bytes()).await.unwrap();
            drain(&mut stream).await;
        }
    });
    let mut setup = before(&engine);
    setup.timing = Timing::default();
    let lab = Lab::with(setup).await;
    let mut gate = lab.connect().await;
    gate.send(&act(&lab.token("alice"), volume("vol")), &[Frame::End])
        .await;
    eventually(|| (!engine.requests().is_empty()).then_some(())).await;
    drop(gate);
    // The intent is on the disk already, before the engine has answered.
    let intent = |record: &Record| matches!(record.event, Event::Intent(_));
    lab.record(intent).await;
    go.notify_one();
    let (success, detail) = the_outcome(&lab).await;
    assert!(success, "{detail}");
    assert_eq!(detail, "201");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_given_up_when_the_gate_is_gone() {
    let (told, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let engine = Played::new(move |_, mut stream| {
        let told = told.clone();
        async move {
            drain(&mut stream).await;
            told.send(()).unwrap();
        }
    });
    let lab = Lab::with(before(&engine)).await;
    let mut gate = lab.connect().await;
    let call = act(&lab.token("alice"), json!({ "Events": {} }));
    gate.send(&call, &[Frame::End]).await;
    eventually(|| (!engine.requests().is_empty()).then_some(())).await;
    drop(gate);
    ended.recv().await.unwrap();
    let read = lab
        .record(|record| matches!(record.event, Event::Read(_)))
        .await;
    let outcome = lab.record(outcome_of(read.request().unwrap())).await;
    let Event::Outcome {
        success, detail, ..
    } = outcome.event
    else {
        unreachable!("it was looked for");
    };
    assert!(!success && detail.starts_with("unknown"), "{detail}");
}

/// A disk of its own takes root.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_full_disk_nothing_is_changed_and_the_engine_hears_nothing() {
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    mount(
        "tmpfs",
        &disk,
        "tmpfs",
        MountFlags::empty(),
        Some(c"size=1m"),
    )
    .unwrap();
    let engine = Played::new(|_, mut stream| async move {
        let made = answer("201 Created", VOLUME);
        stream.write_all(made.as_bytes()).await.unwrap();
        drain(&mut stream).await;
    });
    let mut setup = before(&engine);
    setup.state = Some(disk.join("state"));
    let lab = Lab::with(setup).await;
    let alice = lab.token("alice");
    let posts = || {
        let requests = engine.requests();
        requests.iter().filter(|it| it.starts_with("POST")).count()
    };

    let fill = disk.join("fill");
    let mut zeros = std::fs::File::create(&fill).unwrap();
    while std::io::Write::write_all(&mut zeros, &[0; 512]).is_ok() {}
    // The last page of the log's file has room for a few more records.
    let (mut done, mut refusals) = (0, 0);
    while refusals < 5 {
        match lab.ask(&alice, volume("vol")).await {
            Ok(_) => done += 1,
            Err(refused) => {
                assert_eq!(
                    (refused.by, refused.status),
                    (By::Broker, 503),
                    "{refused:?}"
                );
                assert!(refused.message.contains("was not done"), "{refused:?}");
                refusals += 1;
            }
        }
        assert!(done < 100, "the disk is not full");
        assert_eq!(posts(), done, "the engine heard of what is not recorded");
    }
    // Reads that cannot be recorded are not done either, once that is known.
    let mut reads = 0;
    let refused = loop {
        match lab.ask(&alice, json!("Version")).await {
            Ok(_) => reads += 1,
            Err(refused) => break refused,
        }
        assert!(reads < 100, "reads go on without a record");
    };
    assert_eq!(
        (refused.by, refused.status),
        (By::Broker, 503),
        "{refused:?}"
    );

    drop(zeros);
    std::fs::remove_file(&fill).unwrap();
    assert!(
        lab.ask(&alice, volume("vol")).await.is_ok(),
        "it goes on when there is room"
    );
    drop(lab);
    // Whoever still has a file open there has it until the end of the process.
    unmount(&disk, UnmountFlags::DETACH).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_goes_on_to_its_end_when_nobody_listens_and_its_failure_is_recorded() {
    let go = Arc::new(Notify::new());
    for (last, success) in [
        ("{\"status\":\"Downloaded\"}\r\n", true),
        ("{\"error\":\"manifest unknown\"}\r\n", false),
    ] {
        let waits = Arc::clone(&go);
        let engine = Played::new(move |head, mut stream| {
            let waits = Arc::clone(&waits);
            async move {
                if !head.starts_with("POST") {
                    let answer =
                        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n[]";
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    return;
                }
                let begins =
                    "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"status\":\"Pulling\"}\r\n";
                stream.write_all(begins.as_bytes()).await.unwrap();
                waits.notified().await;
                stream.write_all(last.as_bytes()).await.unwrap();
            }
        });
        let lab = Lab::with(before(&engine)).await;
        let mut gate = lab.connect().await;
        let pull = json!({ "ImagePull": { "image": "allowed/app:1", "platform": null } });
        gate.send(&act(&lab.token("alice"), pull), &[Frame::End])
            .await;
        assert_eq!(gate.done().await.status, 200);
        drop(gate);
        go.notify_one();
        let (succeeded, detail) = the_outcome(&lab).await;
        assert_eq!(succeeded, success, "{detail}");
        assert!(success || detail.contains("manifest unknown"), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_slow_disk_nothing_is_done_later_on() {
    let engine = Played::hung();
    let mut setup = before(&engine);
    // Slower than any disk.
    setup.timing.log = Duration::ZERO;
    let lab = Lab::with(setup).await;
    let refused = lab
        .ask(&lab.token("alice"), volume("vol"))
        .await
        .unwrap_err();
    assert_eq!((refused.by, refused.status), (By::Broker, 503));
    let (success, detail) = the_outcome(&lab).await;
    assert!(!success && detail.starts_with("not done"), "{detail}");
    assert_eq!(engine.requests(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_changes_never_end_leaves_room_for_others() {
    let engine = Played::hung();
    let mut setup = before(&engine);
    setup.timing = Timing::default();
    let lab = Lab::with(setup).await;
    let (alice, bob) = (lab.token("alice"), lab.token("bob"));
    let pull = |tag: usize| {
        let image = format!("allowed/app:{tag}");
        json!({ "ImagePull": { "image": image, "platform": null } })
    };
    let asked = async |what: &str, count: usize| {
        eventually(|| {
            let requests = engine.requests();
            let found = requests.iter().filter(|it| it.contains(what)).count();
            (found == count).then_some(())
        })
        .await;
    };
    // A quarter of all, each of them given up by its caller.
    for number in 0..32 {
        let mut gate = lab.connect().await;
        gate.send(&act(&alice, pull(number)), &[Frame::End]).await;
        asked("/images/create", number + 1).await;
    }
    for number in 0..256 {
        let mut gate = lab.connect().await;
        let call = act(&alice, volume(&format!("v{number}")));
        gate.send(&call, &[Frame::End]).await;
        asked("/volumes/create", number + 1).await;
    }
    for one_more in [pull(32), volume("one-more")] {
        let refused = lab.ask(&alice, one_more).await.unwrap_err();
        assert_eq!((refused.by, refused.status), (By::Broker, 503));
        assert!(refused.message.contains("was not done"), "{refused:?}");
        assert_eq!(refused.retry_after, Some(5));
    }
    lab.record(|record| {
        let reason = "too much is under way";
        matches!(&record.event, Event::Refused(decision) if decision.reason.contains(reason))
    })
    .await;
    // Bob's are carried out.
    for (change, what, count) in [
        (pull(0), "/images/create", 33),
        (volume("one"), "/volumes", 257),
    ] {
        let mut gate = lab.connect().await;
        gate.send(&act(&bob, change), &[Frame::End]).await;
        asked(what, count).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_whose_engine_goes_away_says_what_is_gone() {
    let ids = [1, 2, 3].map(|number| format!("{number:02x}").repeat(32));
    let made = std::sync::atomic::AtomicUsize::new(0);
    let removed = std::sync::atomic::AtomicUsize::new(0);
    let all = ids.clone();
    let engine = Played::new(move |head, mut stream| {
        let answer = match head.split_whitespace().next() {
            Some("POST") => {
                let number = made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let body = json!({ "Id": all[number], "Warnings": [] }).to_string();
                answer("201 Created", &body)
            }
            Some("DELETE") => {
                let number = removed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                match number {
                    0 | 1 => answer("204 No Content", ""),
                    _ => String::new(),
                }
            }
            _ if head.contains("/containers/json") => {
                let list = all.iter().map(|id| json!({ "Id": id, "Created": 1 }));
                answer("200 OK", &Value::from_iter(list).to_string())
            }
            _ => answer("200 OK", "[]"),
        };
        async move { stream.write_all(answer.as_bytes()).await.unwrap() }
    });
    let mut setup = before(&engine);
    setup.config = "images.allow = [\"*\"]\n".to_owned();
    let lab = Lab::with(setup).await;
    let alice = lab.token("alice");
    for name in ["one", "two", "three"] {
        let create = crate::common::create(name, &["true"]);
        lab.ask(&alice, create).await.unwrap();
    }
    let prune = json!({ "ContainerPrune": { "filters": {} } });
    let refused = lab.ask(&alice, prune).await.unwrap_err();
    assert_eq!(refused.status, 503, "{refused:?}");
    let intent = lab
        .record(|record| {
            let decision = record.decision();
            decision.is_some_and(|decision| decision.action == "container.prune")
        })
        .await;
    let outcome = lab.record(outcome_of(intent.request().unwrap())).await;
    let Event::Outcome {
        success,
        detail,
        created,
        ..
    } = outcome.event
    else {
        unreachable!("it was looked for");
    };
    assert!(
        !success && detail.starts_with("partly done: 2 removed"),
        "{detail}"
    );
    assert_eq!(created, ids[..2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_others_have_filled_is_ones_own_all_the_same() {
    let label = "x".repeat(1 << 20);
    let engine = Played::new(move |head, mut stream| {
        let label = label.clone();
        async move {
            if head.starts_with("POST") {
                let (_, name) = head.split_once("content-length: ").unwrap();
                let length = name.lines().next().unwrap().parse().unwrap();
                let mut body = vec![0; length];
                tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body)
                    .await
                    .unwrap();
                let answer = answer("201 Created", std::str::from_utf8(&body).unwrap());
                return stream.write_all(answer.as_bytes()).await.unwrap();
            }
            let begins = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
            stream.write_all(begins.as_bytes()).await.unwrap();
            if head.contains("/containers/json") {
                return stream.write_all(b"[]").await.unwrap();
            }
            let theirs = cofferdam_broker::tenancy::Owner::of(crate::common::ISSUER, "bob");
            let own = cofferdam_broker::tenancy::Owner::of(crate::common::ISSUER, "alice");
            let begins = format!("{{\"Volumes\":[{{\"Name\":\"cf-{own}.data\",\"Labels\":{{}}}}");
            stream.write_all(begins.as_bytes()).await.unwrap();
            for number in 0..70 {
                let volume = format!(
                    ",{{\"Name\":\"cf-{theirs}.v{number}\",\"Labels\":{{\"l\":\"{label}\"}}}}"
                );
                stream.write_all(volume.as_bytes()).await.unwrap();
            }
            let ends = b"],\"Warnings\":[\"cannot list bob's\"]}";
            stream.write_all(ends).await.unwrap();
        }
    });
    let mut setup = before(&engine);
    setup.timing = Timing::default();
    let lab = Lab::with(setup).await;
    let alice = lab.token("alice");
    lab.ask(&alice, volume("data")).await.unwrap();
    let list = json!({ "VolumeList": { "filters": {} } });
    let (_, body) = lab.ask(&alice, list).await.unwrap();
    let shown: Value = serde_json::from_slice(&body).unwrap();
    let wanted = json!({ "Volumes": [{ "Name": "data", "Labels": {} }], "Warnings": null });
    assert_eq!(shown, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_passed_on_as_it_is_is_not_gathered_first() {
    let go = Arc::new(Notify::new());
    let waits = Arc::clone(&go);
    let id = "0a".repeat(32);
    let engine = Played::new(move |head, mut stream| {
        let (waits, id) = (Arc::clone(&waits), id.clone());
        async move {
            if !head.contains("/changes") {
                let body = json!({ "Id": id, "Warnings": [] }).to_string();
                let answer = answer("201 Created", &body);
                return stream.write_all(answer.as_bytes()).await.unwrap();
            }
            let begins = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[";
            stream.write_all(begins.as_bytes()).await.unwrap();
            waits.notified().await;
            stream.write_all(b"]").await.unwrap();
        }
    });
    let mut setup = before(&engine);
    setup.timing = Timing::default();
    setup.config = "images.allow = [\"*\"]\n".to_owned();
    let lab = Lab::with(setup).await;
    let alice = lab.token("alice");
    lab.ask(&alice, crate::common::create("db", &["true"]))
        .await
        .unwrap();
    let mut gate = lab.connect().await;
    let changes = json!({ "ContainerChanges": { "container": "db" } });
    gate.send(&act(&alice, changes), &[Frame::End]).await;
    assert_eq!(gate.done().await.body, cofferdam_action::wire::Body::Stream);
    assert_eq!(gate.frame().await, Some(Frame::Data("[".into())));
    go.notify_one();
    assert_eq!(gate.rest().await, "]");
}
