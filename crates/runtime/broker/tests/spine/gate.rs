//! A gate that was taken over: it speaks the protocol, sees live tokens, and wants more.

use cofferdam_action::action::{Action, ActionKind};
use cofferdam_action::wire::{By, Frame, Outcome};
use cofferdam_audit::record::Event;
use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::Algorithm;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::common::{
    AUDIENCE, ISSUER, Lab, Played, Setup, act, create, eventually, json as parsed, now, text,
};

/// One action of each kind. The match is exhaustive, so that no kind is forgotten.
fn sample(kind: ActionKind) -> Value {
    let container = "db";
    let archive = json!({ "container": container, "path": "/tmp" });
    let filters = json!({ "filters": {} });
    let action = match kind {
        ActionKind::Ping => json!("Ping"),
        ActionKind::Version => json!("Version"),
        ActionKind::Info => json!("Info"),
        ActionKind::DiskUsage => json!("DiskUsage"),
        ActionKind::Events => json!({ "Events": { "until": "1" } }),
        ActionKind::ContainerList => json!({ "ContainerList": { "all": true } }),
        ActionKind::ContainerInspect => {
            json!({ "ContainerInspect": { "container": container, "size": false } })
        }
        ActionKind::ContainerLogs => {
            json!({ "ContainerLogs": { "container": container, "stdout": true } })
        }
        ActionKind::ContainerChanges => json!({ "ContainerChanges": { "container": container } }),
        ActionKind::ContainerStats => {
            json!({ "ContainerStats": { "container": container, "stream": false, "one_shot": true } })
        }
        ActionKind::ContainerTop => {
            json!({ "ContainerTop": { "container": container, "columns": null } })
        }
        ActionKind::ContainerWait => {
            json!({ "ContainerWait": { "container": container, "condition": null } })
        }
        ActionKind::ContainerCreate => create("made", &["true"]),
        ActionKind::ContainerStart => {
            json!({ "ContainerStart": { "container": container, "detach_keys": null } })
        }
        ActionKind::ContainerStop => {
            json!({ "ContainerStop": { "container": container, "timeout": 0 } })
        }
        ActionKind::ContainerRestart => {
            json!({ "ContainerRestart": { "container": container, "timeout": 0 } })
        }
        ActionKind::ContainerKill => {
            json!({ "ContainerKill": { "container": container, "signal": null } })
        }
        ActionKind::ContainerPause => json!({ "ContainerPause": { "container": container } }),
        ActionKind::ContainerUnpause => json!({ "ContainerUnpause": { "container": container } }),
        ActionKind::ContainerRename => {
            json!({ "ContainerRename": { "container": container, "name": "other" } })
        }
        ActionKind::ContainerRemove => {
            json!({ "ContainerRemove": { "container": container, "force": true, "volumes": true } })
        }
        ActionKind::ContainerAttach => {
            json!({ "ContainerAttach": { "container": container, "stream": true, "stdout": true } })
        }
        ActionKind::ContainerResize => {
            json!({ "ContainerResize": { "container": container, "size": { "height": 1, "width": 1 } } })
        }
        ActionKind::ContainerCopyOut => json!({ "ContainerCopyOut": archive }),
        ActionKind::ContainerPathStat => json!({ "ContainerPathStat": archive }),
        ActionKind::ContainerCopyIn => json!({ "ContainerCopyIn": {
            "container": container, "path": "/tmp",
            "no_overwrite_dir_non_dir": false, "copy_uid_gid": false,
        }}),
        ActionKind::ContainerPrune => json!({ "ContainerPrune": filters }),
        ActionKind::ExecCreate => {
            json!({ "ExecCreate": { "container": container, "exec": { "command": ["id"] } } })
        }
        ActionKind::ExecStart => {
            json!({ "ExecStart": { "exec": "a".repeat(64), "detach": true, "tty": false } })
        }
        ActionKind::ExecInspect => json!({ "ExecInspect": { "exec": "a".repeat(64) } }),
        ActionKind::ExecResize => {
            json!({ "ExecResize": { "exec": "a".repeat(64), "size": { "height": 1, "width": 1 } } })
        }
        ActionKind::ImageList => json!({ "ImageList": {} }),
        ActionKind::ImageInspect => {
            json!({ "ImageInspect": { "image": { "name": "hers/app:1" } } })
        }
        ActionKind::ImageHistory => {
            json!({ "ImageHistory": { "image": { "name": "hers/app:1" } } })
        }
        ActionKind::ImagePull => {
            json!({ "ImagePull": { "image": "allowed/app:2", "platform": null } })
        }
        ActionKind::ImageTag => {
            json!({ "ImageTag": { "image": { "name": "hers/app:1" }, "target": "his/app:1" } })
        }
        ActionKind::ImageRemove => {
            json!({ "ImageRemove": { "image": { "name": "hers/app:1" }, "force": true, "no_prune": false } })
        }
        ActionKind::NetworkList => json!({ "NetworkList": filters }),
        ActionKind::NetworkInspect => json!({ "NetworkInspect": { "network": "net" } }),
        ActionKind::NetworkCreate => json!({ "NetworkCreate": { "name": "new" } }),
        ActionKind::NetworkRemove => json!({ "NetworkRemove": { "network": "net" } }),
        ActionKind::NetworkConnect => {
            json!({ "NetworkConnect": { "container": container, "endpoint": { "network": "net" } } })
        }
        ActionKind::NetworkDisconnect => {
            json!({ "NetworkDisconnect": { "container": container, "network": "net", "force": true } })
        }
        ActionKind::NetworkPrune => json!({ "NetworkPrune": filters }),
        ActionKind::VolumeList => json!({ "VolumeList": filters }),
        ActionKind::VolumeInspect => json!({ "VolumeInspect": { "volume": "data" } }),
        ActionKind::VolumeCreate => json!({ "VolumeCreate": { "name": "new", "labels": {} } }),
        ActionKind::VolumeRemove => json!({ "VolumeRemove": { "volume": "data", "force": true } }),
        ActionKind::VolumePrune => json!({ "VolumePrune": filters }),
    };
    let read: Action = serde_json::from_value(action.clone()).unwrap();
    assert_eq!(read.kind(), kind);
    action
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_but_a_valid_one_does_anything() {
    let engine = Played::hung();
    let lab = Lab::with(Setup {
        engine: Some(engine.socket.clone()),
        ..Setup::default()
    })
    .await;
    let stranger = Issuer::new(ISSUER, SigningKey::generate(Algorithm::EdDsa).unwrap());
    let valid = lab.token("alice");
    let mut parts: Vec<&str> = valid.split('.').collect();
    let none = format!("eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJub25lIn0.{}.", parts[1]);
    parts[2] = "";
    let bad = [
        ("empty", String::new()),
        ("no token", "Bearer".to_owned()),
        ("unsigned", none),
        ("without its signature", parts.join(".")),
        ("forged", {
            let token = stranger.token("alice").audience(AUDIENCE);
            token.scope(crate::common::ALL_SCOPES).mint(now()).unwrap()
        }),
        ("expired", {
            let token = lab.issuer.token("alice").audience(AUDIENCE).lifetime(60);
            token.mint(now() - 1000).unwrap()
        }),
        (
            "not yet valid",
            lab.mint("alice", |it| it.claim("nbf", now() + 1000)),
        ),
        ("for another audience", {
            let token = lab.issuer.token("alice").audience("https://other.example");
            token.mint(now()).unwrap()
        }),
        (
            "of another issuer",
            lab.mint("alice", |it| it.claim("iss", "https://other.example")),
        ),
        (
            "of another kind",
            lab.mint("alice", |it| it.header("typ", "JWT")),
        ),
        (
            "bound to a certificate",
            lab.mint("alice", |it| {
                it.claim(
                    "cnf",
                    json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" }),
                )
            }),
        ),
    ];
    let mut gate = lab.connect().await;
    for kind in ActionKind::ALL {
        for (what, token) in &bad {
            let refused = gate
                .ask(token, sample(*kind))
                .await
                .map(|_| ())
                .unwrap_err();
            assert_eq!(
                (refused.by, refused.status),
                (By::Token, 401),
                "{what}: {}",
                kind.id()
            );
        }
    }
    assert_eq!(engine.requests(), Vec::<String>::new());
    let (_, records) = lab.finish().await;
    let refused = records
        .iter()
        .filter(|it| matches!(it.event, Event::Refused(_)));
    assert_eq!(refused.count(), ActionKind::ALL.len() * bad.len());
    assert!(
        !records
            .iter()
            .any(|it| matches!(it.event, Event::Intent(_) | Event::Read(_)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_what_its_own_scopes_say_and_nothing_else() {
    let lab = Lab::new().await;
    let mut scopes: Vec<&str> = ActionKind::ALL.iter().map(|kind| kind.scope()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let mut gate = lab.connect().await;
    for scope in scopes {
        // A scope that only looks like another is none.
        let alike = format!("{scope} x:{scope} {scope}-ro {}", scope.to_uppercase());
        let token = lab.mint("alice", |token| token.claim("scope", alike));
        for kind in ActionKind::ALL {
            if kind.scope() == scope {
                continue;
            }
            let refused = gate
                .ask(&token, sample(*kind))
                .await
                .map(|_| ())
                .unwrap_err();
            assert_eq!(refused.by, By::Scope, "{} with {scope}", kind.id());
            assert_eq!(refused.scope.as_deref(), Some(kind.scope()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_bobs_token_nothing_of_alices_is_seen_or_changed() {
    let lab = Lab::with(Setup {
        config: "images.allow = [\"allowed/app\"]\n".to_owned(),
        ..Setup::default()
    })
    .await;
    let (alice, bob) = (lab.token("alice"), lab.token("bob"));
    for action in [
        create("db", &["sleep", "600"]),
        json!({ "ContainerStart": { "container": "db", "detach_keys": null } }),
        json!({ "NetworkCreate": { "name": "net" } }),
        json!({ "VolumeCreate": { "name": "data", "labels": {} } }),
        json!({ "ImageTag": { "image": { "name": "allowed/app:1" }, "target": "hers/app:1" } }),
    ] {
        lab.ask(&alice, action).await.unwrap();
    }
    let exec = json!({ "ExecCreate": { "container": "db", "exec": { "command": ["id"] } } });
    let exec = parsed(&lab.ask(&alice, exec).await.unwrap().1)["Id"].clone();
    let state = async |token: &str| {
        let mut state = Vec::new();
        for kind in [
            ActionKind::ContainerInspect,
            ActionKind::NetworkInspect,
            ActionKind::VolumeInspect,
            ActionKind::ImageInspect,
        ] {
            let (_, body) = lab.ask(token, sample(kind)).await.unwrap();
            state.push(text(&body).to_owned());
        }
        state
    };
    let before = state(&alice).await;
    for kind in ActionKind::ALL {
        let action = sample(*kind);
        let of_hers = [
            "\"db\"",
            "\"net\"",
            "\"data\"",
            "hers/app:1",
            "\"exec\":\"aaa",
        ];
        let refers = of_hers.iter().any(|name| action.to_string().contains(name));
        let action = serde_json::from_str(
            &action
                .to_string()
                .replace(&"a".repeat(64), exec.as_str().unwrap()),
        )
        .unwrap();
        match lab.ask(&bob, action).await {
            Ok((_, body)) => {
                assert!(!refers, "{}: {body:?}", kind.id());
                let body = String::from_utf8_lossy(&body);
                assert!(!body.contains("\"/db\"") && !body.contains(exec.as_str().unwrap()));
            }
            Err(refused) if refers => {
                let right = matches!(refused.by, By::Ownership | By::Floor);
                assert!(right, "{}: {refused:?}", kind.id());
            }
            Err(_) => {}
        }
    }
    assert_eq!(state(&alice).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gate_refuses_is_recorded_for_whom_the_token_names() {
    let lab = Lab::new().await;
    let refusal = cofferdam_action::refusal::Refusal::new(
        cofferdam_action::refusal::Rule::Privileged,
        "it is privileged",
    );
    let mut call = act(&lab.token("alice"), json!("Ping"));
    call.ask = cofferdam_action::wire::Ask::Refused {
        route: "POST /v1.41/containers/create".to_owned(),
        refusal: refusal.clone(),
    };
    let mut gate = lab.connect().await;
    gate.send(&call, &[Frame::End]).await;
    let Outcome::Refused(refused) = gate.answer().await.outcome else {
        panic!("it was refused");
    };
    assert_eq!((refused.by, refused.status), (By::Floor, 403));
    assert_eq!(refused.message, refusal.to_string());
    let (_, records) = lab.finish().await;
    let [record] = &records[..] else {
        panic!("one record, not {records:?}");
    };
    let Event::Refused(decision) = &record.event else {
        panic!("not {record:?}");
    };
    assert_eq!(decision.who.subject, "alice");
    assert_eq!(decision.policies, ["create.privileged"]);
    assert_eq!(decision.objects, ["POST /v1.41/containers/create"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_call_ends_the_connection_and_nothing_else() {
    let lab = Lab::with(Setup {
        timing: cofferdam_broker::Timing {
            call: std::time::Duration::from_millis(50),
            ..Default::default()
        },
        ..Setup::default()
    })
    .await;
    let token = lab.token("alice");
    let whole = serde_json::to_vec(&act(&token, json!("Ping"))).unwrap();
    let frame = |kind: u8, payload: &[u8]| {
        let mut bytes = vec![kind];
        bytes.extend((payload.len() as u32).to_be_bytes());
        bytes.extend(payload);
        bytes
    };
    let mut unknown: Value = serde_json::from_slice(&whole).unwrap();
    unknown["ask"] = json!({ "Act": { "ContainerCreate": {
        "image": "allowed/app:1", "privileged": true,
    }}});
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![1, 0xff, 0xff, 0xff, 0xff],
        frame(9, b""),
        frame(3, b"data before a call"),
        frame(1, b"{}"),
        frame(1, &serde_json::to_vec(&unknown).unwrap()),
        // A call, and then something before its end.
        [frame(1, &whole), frame(3, b"data")].concat(),
        // Half a call, and then nothing: that is not waited for.
        frame(1, &whole)[..20].to_vec(),
        frame(1, &whole),
    ] {
        let mut gate = lab.connect().await;
        gate.stream.write_all(&bytes).await.unwrap();
        assert_eq!(gate.frame().await, None, "{bytes:?}");
    }
    // And it goes on serving.
    assert!(lab.ask(&token, json!("Ping")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_gates_user_is_heard() {
    let own = rustix::process::geteuid().as_raw();
    let lab = Lab::with(Setup {
        uid: Some(own + 1),
        ..Setup::default()
    })
    .await;
    let mut gate = lab.connect().await;
    let call = act(&lab.token("alice"), json!("Ping"));
    let json = serde_json::to_vec(&call).unwrap();
    // It may be gone before the call is sent.
    let _ = gate.stream.write_all(&json).await;
    assert_eq!(gate.frame().await, None);
    let notice = lab
        .record(|record| match &record.event {
            Event::Notice { text } => text.contains("is for user"),
            _ => false,
        })
        .await;
    let Event::Notice { text } = notice.event else {
        unreachable!("it was looked for");
    };
    assert!(text.contains(&format!("user {own} ")), "{text}");
    let said = lab.said.lock().unwrap().clone();
    assert!(said.contains(&text), "{said:?}");
}

/// Only root can be somebody else, so for others the test above stands alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_another_user_is_not_heard_though_it_may_open_the_socket() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let lab = Lab::new().await;
    let place = lab.dir.path();
    let socket = place.join("broker.sock");
    for path in [place, &socket] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(path, mode).unwrap();
    }
    let token = lab.token("alice");
    let mut bytes = bytes::BytesMut::new();
    let json = serde_json::to_vec(&act(&token, json!("Ping"))).unwrap();
    for frame in [Frame::Call(json.into()), Frame::End] {
        cofferdam_action::wire::encode(&frame, &mut bytes).unwrap();
    }
    let speak = async |uid: u32| {
        let (socket, bytes) = (socket.clone(), bytes.clone());
        // The kernel keeps users per thread, and what counts is who connected.
        let thread = move || {
            let user = rustix::process::Uid::from_raw(uid);
            rustix::thread::set_thread_res_uid(user, user, user).unwrap();
            let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
            let mut heard = [0; 1024];
            // It may be closed before all is written, or with something unread.
            let _ = std::io::Write::write_all(&mut stream, &bytes);
            let read = std::io::Read::read(&mut stream, &mut heard).unwrap_or(0);
            heard[..read].to_vec()
        };
        let thread = std::thread::spawn(thread);
        eventually(|| thread.is_finished().then_some(())).await;
        thread.join().unwrap()
    };
    assert!(!speak(0).await.is_empty(), "the gate's user is heard");
    assert!(speak(64_001).await.is_empty(), "another is not");
}
