//! What an honest gate asks for comes to pass, and stands in the log.

use cofferdam_action::wire::{Body, By};
use cofferdam_audit::record::Event;
use serde_json::json;

use crate::common::{Lab, create, json, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_made_started_listed_read_and_removed() {
    let lab = Lab::new().await;
    let alice = lab.token("alice");
    let mut gate = lab.connect().await;
    let (done, body) = gate
        .ask(&alice, create("db", &["echo", "hello"]))
        .await
        .unwrap();
    assert_eq!(done.status, 201);
    let id = json(&body)["Id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 64);

    let start = json!({ "ContainerStart": { "container": "db", "detach_keys": null } });
    let (done, _) = gate.ask(&alice, start).await.unwrap();
    assert_eq!((done.status, done.body), (204, Body::Empty));
    let wait = json!({ "ContainerWait": { "container": "db", "condition": null } });
    let (done, body) = gate.ask(&alice, wait).await.unwrap();
    assert_eq!(done.body, Body::Stream);
    assert_eq!(json(&body)["StatusCode"], 0);

    let logs = json!({ "ContainerLogs": { "container": "db", "stdout": true } });
    let (_, body) = gate.ask(&alice, logs).await.unwrap();
    assert!(text(&body).ends_with("hello\n"), "{body:?}");

    let list = json!({ "ContainerList": { "all": true } });
    let (_, body) = gate.ask(&alice, list.clone()).await.unwrap();
    let listed = json(&body);
    assert_eq!(listed[0]["Names"], json!(["/db"]), "{listed}");

    let remove =
        json!({ "ContainerRemove": { "container": "db", "force": true, "volumes": false } });
    gate.ask(&alice, remove).await.unwrap();
    let (_, body) = gate.ask(&alice, list).await.unwrap();
    assert_eq!(json(&body), json!([]));

    let (_, records) = lab.finish().await;
    let intents = records
        .iter()
        .filter(|it| matches!(it.event, Event::Intent(_)));
    assert_eq!(intents.count(), 3);
    // Each decision has its outcome, and the create names what it made.
    for record in &records {
        if let Event::Intent(decision) | Event::Read(decision) = &record.event {
            assert_eq!(decision.who.subject, "alice");
            assert_eq!(decision.who.token_sha256.len(), 64);
            assert!(!decision.policies.is_empty(), "{decision:?}");
            let outcome = records.iter().find_map(|it| match &it.event {
                Event::Outcome {
                    request,
                    success,
                    created,
                    ..
                } if *request == decision.request => Some((*success, created.clone())),
                _ => None,
            });
            let (success, created) = outcome.unwrap();
            assert!(success, "{decision:?}");
            if decision.action == "container.create" {
                assert_eq!(created, std::slice::from_ref(&id));
                assert_eq!(decision.objects[0], "db");
            }
        }
    }
    let text = serde_json::to_string(&records).unwrap();
    assert!(!text.contains(&alice), "a token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anothers_is_as_if_it_were_not_there() {
    let lab = Lab::new().await;
    let (alice, bob) = (lab.token("alice"), lab.token("bob"));
    let (_, body) = lab
        .ask(&alice, create("db", &["sleep", "60"]))
        .await
        .unwrap();
    let id = json(&body)["Id"].as_str().unwrap().to_owned();
    for name in ["db", &id, &id[..12]] {
        let inspect = json!({ "ContainerInspect": { "container": name, "size": false } });
        let refused = lab.ask(&bob, inspect.clone()).await.unwrap_err();
        assert_eq!(
            (refused.by, refused.status),
            (By::Ownership, 404),
            "{refused:?}"
        );
        assert!(lab.ask(&alice, inspect).await.is_ok());
    }
    // Both can have the name.
    assert!(lab.ask(&bob, create("db", &["sleep", "60"])).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_is_asked_for_by_its_name() {
    let lab = Lab::new().await;
    let reader = lab.mint("alice", |token| {
        token.claim("scope", "containers:read x:containers:run-ro")
    });
    let refused = lab.ask(&reader, create("db", &["true"])).await.unwrap_err();
    assert_eq!((refused.by, refused.status), (By::Scope, 403));
    assert_eq!(refused.scope.as_deref(), Some("containers:run"));
    assert!(refused.message.contains("`containers:run`"), "{refused:?}");
    let (_, records) = lab.finish().await;
    let refused = records.iter().any(|record| match &record.event {
        Event::Refused(decision) => {
            decision.action == "container.create" && decision.who.subject == "alice"
        }
        _ => false,
    });
    assert!(refused, "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_floor_refuses_what_no_policy_allows() {
    let lab = Lab::new().await;
    let mut action = create("db", &["true"]);
    action["ContainerCreate"]["storage"] =
        json!({ "binds": [{ "source": { "host": "/" }, "target": "/host" }] });
    let refused = lab.ask(&lab.token("alice"), action).await.unwrap_err();
    assert_eq!((refused.by, refused.status), (By::Floor, 403));
    assert_eq!(refused.rules, ["mount.host-path"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_denies_whom_none_permits_unless_it_is_not_enforced() {
    let nobody = |lab: &Lab| lab.mint("eve", |token| token.claim("roles", json!(["nothing"])));
    let lab = Lab::new().await;
    let refused = lab
        .ask(&nobody(&lab), create("db", &["true"]))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.by, refused.status),
        (By::Policy, 403),
        "{refused:?}"
    );

    let lab = Lab::with(crate::common::Setup {
        config: "policy_mode = 'would-deny'\nimages.allow = ['*']\n".to_owned(),
        ..Default::default()
    })
    .await;
    assert!(
        lab.ask(&nobody(&lab), create("db", &["true"]))
            .await
            .is_ok()
    );
    // But never for what is another's, whatever the token's scopes.
    assert!(
        lab.ask(&lab.token("alice"), create("hers", &["true"]))
            .await
            .is_ok()
    );
    let all = lab.mint("eve", |token| {
        token
            .scope(&format!("{} tenants:all", crate::common::ALL_SCOPES))
            .claim("roles", json!(["nothing"]))
    });
    let (_, body) = lab
        .ask(&all, json!({ "ContainerList": { "all": true } }))
        .await
        .unwrap();
    assert_eq!(json(&body).as_array().unwrap().len(), 1, "{body:?}");
    let (_, records) = lab.finish().await;
    let noted = records.iter().any(|record| match &record.event {
        Event::Intent(decision) => decision.reason.starts_with("would be denied"),
        _ => false,
    });
    assert!(noted, "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_opens_its_path_and_no_link_below_it() {
    let dir = tempfile::tempdir().unwrap();
    let place = std::fs::canonicalize(dir.path()).unwrap();
    let config = format!(
        "images.allow = ['*']\n[[exception]]\nhost_path = '{}'\nbelow = true\nmode = 'rw'\nscope = 'builds:bind'\n",
        place.display()
    );
    let lab = Lab::with(crate::common::Setup {
        config,
        ..Default::default()
    })
    .await;
    std::fs::create_dir(place.join("builds")).unwrap();
    std::os::unix::fs::symlink("/etc", place.join("out")).unwrap();
    let bind = |path: &str| {
        let source = place.join(path);
        let mut action = create("builder", &["true"]);
        action["ContainerCreate"]["storage"] =
            json!({ "binds": [{ "source": { "host": source }, "target": "/b" }] });
        action
    };
    let with = lab.mint("alice", |token| token.scope("builds:bind"));
    for (token, path, word) in [
        (&lab.token("alice"), "builds", "the scope `builds:bind`"),
        (&with, "out", "symbolic link"),
        (&with, "out/ssl", "symbolic link"),
        (&with, "none", "is not there"),
    ] {
        let refused = lab.ask(token, bind(path)).await.unwrap_err();
        assert_eq!(
            (refused.by, &*refused.rules),
            (By::Floor, &["mount.host-path".to_owned()][..])
        );
        assert!(refused.message.contains(word), "{refused:?}");
    }
    let made = lab.ask(&with, bind("builds")).await;
    assert!(made.is_ok(), "{made:?}");
    let (_, records) = lab.finish().await;
    let used = records.iter().any(|record| match &record.event {
        Event::Intent(decision) => decision
            .exceptions
            .iter()
            .any(|it| it.contains("builds:bind")),
        _ => false,
    });
    assert!(used, "{records:?}");
    // They are walked when all that could take long is over, so each has its intent.
    let outcomes = records.iter().filter_map(|record| match &record.event {
        Event::Outcome {
            success, detail, ..
        } => Some((*success, &**detail)),
        _ => None,
    });
    let outcomes: Vec<_> = outcomes.collect();
    let [refused @ .., made] = &outcomes[..] else {
        panic!("{records:?}");
    };
    assert_eq!((refused.len(), made.0), (3, true), "{outcomes:?}");
    for (success, detail) in refused {
        assert!(!success && detail.starts_with("not done: "), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_sees_names_as_callers_and_owners_use_them() {
    let policies = tempfile::tempdir().unwrap();
    let text = r#"
        @id("all") permit (principal, action, resource);
        @id("prod") forbid (principal, action == Action::"container.create", resource)
        when { context has name && context.name like "prod-*" };
        @id("unnamed") forbid (principal, action == Action::"container.create", resource)
        unless { context has name };
        @id("web") forbid (principal, action == Action::"container.kill", resource)
        when { resource has name && resource.name == "web-1" };
        @id("net") forbid (principal, action == Action::"network.create", resource)
        when { context.name == "prod" };
        @id("moved") forbid (principal, action == Action::"container.rename", resource)
        when { context.name == "prod" };
    "#;
    std::fs::write(policies.path().join("p.cedar"), text).unwrap();
    let lab = Lab::with(crate::common::Setup {
        config: format!(
            "policy = '{}'\nimages.allow = ['*']\n",
            policies.path().display()
        ),
        ..Default::default()
    })
    .await;
    let alice = lab.token("alice");
    let made = lab.ask(&alice, create("web-1", &["sleep", "60"])).await;
    let id = json(&made.unwrap().1)["Id"].as_str().unwrap().to_owned();
    let operator = lab.mint("olga", |token| {
        token.scope(&format!("{} tenants:all", crate::common::ALL_SCOPES))
    });
    let mut unnamed = create("", &["true"]);
    unnamed["ContainerCreate"]["name"] = json!(null);
    let kill = json!({ "ContainerKill": { "container": id, "signal": null } });
    let rename = json!({ "ContainerRename": { "container": id, "name": "prod" } });
    for (token, action, policy) in [
        (&alice, create("prod-1", &["true"]), "prod"),
        (&alice, unnamed, "unnamed"),
        (&alice, kill.clone(), "web"),
        (&operator, kill, "web"),
        (
            &alice,
            json!({ "NetworkCreate": { "name": "prod" } }),
            "net",
        ),
        (&alice, rename.clone(), "moved"),
        (&operator, rename, "moved"),
    ] {
        let refused = lab.ask(token, action).await.unwrap_err();
        let by = (refused.by, &*refused.rules);
        assert_eq!(by, (By::Policy, &[policy.to_owned()][..]), "{refused:?}");
        if *token == operator {
            assert!(!refused.message.contains("web-1"), "{refused:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_names_what_was_asked_for_and_what_that_was() {
    let lab = Lab::new().await;
    let (alice, bob) = (lab.token("alice"), lab.token("bob"));
    let made = lab.ask(&alice, create("db", &["sleep", "60"])).await;
    let id = json(&made.unwrap().1)["Id"].as_str().unwrap().to_owned();
    let remove = |container: &str| json!({ "ContainerRemove": { "container": container, "force": true, "volumes": false } });
    let reader = lab.mint("eve", |token| token.claim("scope", "containers:read"));
    for (token, action) in [
        (&bob, remove(&id)),
        (&reader, create("db", &["true"])),
        (&alice, remove(&id[..12])),
    ] {
        let _ = lab.ask(token, action).await;
    }
    let (_, records) = lab.finish().await;
    let objects = records.iter().filter_map(|record| match &record.event {
        Event::Intent(decision) | Event::Refused(decision) => {
            Some((&*decision.who.subject, decision.objects.clone()))
        }
        _ => None,
    });
    let image = "allowed/app:1".to_owned();
    let name = || "db".to_owned();
    let expected = [
        ("alice", vec![name(), image.clone()]),
        // What is another's can be searched for, though nothing was told of it.
        ("bob", vec![id.clone()]),
        ("eve", vec![name(), image]),
        ("alice", vec![name(), id.clone(), id[..12].to_owned()]),
    ];
    assert_eq!(objects.collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_of_anothers_is_nothing_that_an_unenforced_policy_gives() {
    let lab = Lab::with(crate::common::Setup {
        config: "policy_mode = 'would-deny'\nimages.local = true\n".to_owned(),
        ..Default::default()
    })
    .await;
    let tag =
        json!({ "ImageTag": { "image": { "name": "allowed/app:1" }, "target": "hers/app:1" } });
    lab.ask(&lab.token("alice"), tag).await.unwrap();
    let all = lab.mint("eve", |token| {
        token
            .scope(&format!("{} tenants:all", crate::common::ALL_SCOPES))
            .claim("roles", json!(["nothing"]))
    });
    let inspect = |image: &str| json!({ "ImageInspect": { "image": { "name": image } } });
    lab.ask(&all, inspect("allowed/app:1")).await.unwrap();
    let refused = lab.ask(&all, inspect("hers/app:1")).await.unwrap_err();
    assert_eq!(refused.by, By::Policy, "{refused:?}");
    // Nor is it an image of one's own container, whatever else that has of one's own.
    let mut made = create("db", &["true"]);
    made["ContainerCreate"]["image"] = json!("hers/app:1");
    made["ContainerCreate"]["storage"] =
        json!({ "binds": [{ "source": { "volume": "data" }, "target": "/data" }] });
    let refused = lab.ask(&all, made).await.unwrap_err();
    assert_eq!(refused.by, By::Floor, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_token_that_says_nothing_of_an_owner_is_recorded_by_its_subject() {
    let lab = Lab::with(crate::common::Setup {
        issuer: "owner_claim = 'repository'\n".to_owned(),
        ..Default::default()
    })
    .await;
    let refused = lab.ask(&lab.token("alice"), json!("Ping")).await;
    let refused = refused.unwrap_err();
    assert_eq!((refused.by, refused.status), (By::Token, 403));
    let (_, records) = lab.finish().await;
    let [record] = &records[..] else {
        panic!("one record, not {records:?}");
    };
    let Event::Refused(decision) = &record.event else {
        panic!("not {record:?}");
    };
    assert_eq!(decision.who.subject, "alice");
    assert_eq!(decision.who.issuer, crate::common::ISSUER);
    assert_eq!(decision.who.token_sha256.len(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_everyones_with_the_scope_and_the_role_for_it() {
    let lab = Lab::new().await;
    for subject in ["alice", "bob"] {
        lab.ask(&lab.token(subject), create("db", &["true"]))
            .await
            .unwrap();
    }
    let all_scopes = format!("{} tenants:all", crate::common::ALL_SCOPES);
    let count = async |scopes: &str, role: &str| {
        let token = lab.mint("olga", |token| {
            token.claim("scope", scopes).claim("roles", json!([role]))
        });
        let list = json!({ "ContainerList": { "all": true } });
        json(&lab.ask(&token, list).await.unwrap().1)
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count(&all_scopes, "operator").await, 2);
    assert_eq!(count(&all_scopes, "runner").await, 0);
    assert_eq!(count(crate::common::ALL_SCOPES, "operator").await, 0);
}
