//! What is made, lost, pruned, and found again after a stop.

use std::collections::{BTreeSet, HashMap};

use cofferdam_audit::record::Decision;
use cofferdam_broker::tenancy::{Engine as _, Reconciled, Tenant};
use serde_json::{Value, json};

use crate::world::{World, operator, tenant};

fn create(name: &str) -> Value {
    json!({ "ContainerCreate": { "name": name, "image": "app" } })
}

fn inspect(container: &str) -> Value {
    json!({ "ContainerInspect": { "container": container, "size": false } })
}

fn remove(container: &str) -> Value {
    json!({ "ContainerRemove": { "container": container, "force": true, "volumes": false } })
}

async fn volumes(world: &mut World, who: &Tenant) -> Vec<String> {
    let list = world
        .ask(who, json!({ "VolumeList": { "filters": {} } }))
        .await
        .json();
    let names = list["Volumes"].as_array().unwrap().iter();
    names
        .map(|it| it["Name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn an_anonymous_volume_is_its_containers_owners_and_stays_so() {
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    let anonymous = json!({ "ContainerCreate": { "name": "db", "image": "app",
        "storage": { "anonymous_volumes": ["/data"] } } });
    world.ask(&alice, anonymous.clone()).await;
    // By its own name, before any list has told of it.
    let mounted = world.ask(&alice, inspect("db")).await.json()["Mounts"][0]["Name"].clone();
    let look = json!({ "VolumeInspect": { "volume": mounted } });
    assert_eq!(world.ask(&bob, look.clone()).await.status, 404);
    assert_eq!(world.ask(&alice, look.clone()).await.status, 200);
    // And of one that nobody has looked at before its container went.
    let mut second = anonymous;
    second["ContainerCreate"]["name"] = "db2".into();
    world.ask(&alice, second).await;
    world.ask(&alice, remove("db")).await;
    world.ask(&alice, remove("db2")).await;
    assert_eq!(volumes(&mut world, &alice).await.len(), 2);
    assert_eq!(volumes(&mut world, &bob).await.len(), 0);
    let answer = world
        .ask(&alice, json!({ "VolumePrune": { "filters": {} } }))
        .await
        .json();
    assert_eq!(answer["VolumesDeleted"].as_array().unwrap().len(), 2);
    assert_eq!(world.ask(&alice, look).await.status, 404);
}

#[tokio::test]
async fn a_prune_removes_ones_own_that_it_is_narrowed_to() {
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    let labelled = |name: &str, label: &str| json!({ "ContainerCreate": { "name": name, "image": "app", "labels": { "keep": label } } });
    for who in [&alice, &bob] {
        world.ask(who, labelled("aa", "yes")).await;
        world.ask(who, labelled("bb", "no")).await;
        world.ask(who, create("runs")).await;
        world
            .ask(
                who,
                json!({ "ContainerStart": { "container": "runs", "detach_keys": null } }),
            )
            .await;
        for network in ["used", "free"] {
            world
                .ask(who, json!({ "NetworkCreate": { "name": network } }))
                .await;
        }
        let connect =
            json!({ "NetworkConnect": { "container": "runs", "endpoint": { "network": "used" } } });
        world.ask(who, connect).await;
        world
            .ask(
                who,
                json!({ "VolumeCreate": { "name": "data", "labels": {} } }),
            )
            .await;
    }
    let others = world.model.made_by(bob.owner.as_str());
    let prune = |filters: Value| json!({ "ContainerPrune": { "filters": filters } });
    let too_new = world
        .ask(&alice, prune(json!({ "until": ["1970-01-01"] })))
        .await
        .json();
    assert_eq!(
        too_new,
        json!({ "ContainersDeleted": [], "SpaceReclaimed": 0 })
    );
    let wrong = world.ask(&alice, prune(json!({ "until": ["soon"] }))).await;
    assert_eq!(wrong.status, 400);
    let kept = world
        .ask(&alice, prune(json!({ "label!": ["keep=yes"] })))
        .await
        .json();
    assert_eq!(kept["ContainersDeleted"].as_array().unwrap().len(), 1);
    let rest = world
        .ask(
            &alice,
            prune(json!({ "label": ["keep=yes"], "until": ["1h"] })),
        )
        .await
        .json();
    assert_eq!(rest["ContainersDeleted"].as_array().unwrap().len(), 1);
    assert_eq!(world.ask(&alice, inspect("runs")).await.status, 200);
    let networks = world
        .ask(&alice, json!({ "NetworkPrune": { "filters": {} } }))
        .await
        .json();
    assert_eq!(networks, json!({ "NetworksDeleted": ["free"] }));
    let kept = world
        .ask(
            &alice,
            json!({ "VolumePrune": { "filters": { "all": ["false"] } } }),
        )
        .await
        .json();
    assert_eq!(kept["VolumesDeleted"], json!([]));
    let named = world
        .ask(&alice, json!({ "VolumePrune": { "filters": {} } }))
        .await
        .json();
    assert_eq!(named["VolumesDeleted"], json!(["data"]));
    assert_eq!(world.model.made_by(bob.owner.as_str()), others);
    // Whoever sees all prunes their own too.
    world.ask(&operator(), prune(json!({}))).await;
    assert_eq!(world.model.made_by(bob.owner.as_str()), others);
}

#[tokio::test]
async fn a_container_that_went_by_itself_frees_its_name() {
    let mut world = World::new();
    let alice = tenant("alice");
    world.ask(&alice, create("db")).await;
    world.model.lose(&format!("cf-{}.db", alice.owner));
    // Whether the event has been heard,
    let events = world.model.events();
    assert_eq!(world.tenancy.store().counts().objects, 1);
    world.tenancy.observe(events.last().unwrap().as_bytes());
    assert_eq!(world.tenancy.store().counts().objects, 0);
    // or only the engine's answer has told of it,
    world.ask(&alice, create("db")).await;
    world.model.lose(&format!("cf-{}.db", alice.owner));
    assert_eq!(world.ask(&alice, inspect("db")).await.status, 404);
    assert_eq!(world.tenancy.store().counts().objects, 0);
    // or nothing yet: the name is free, and the new one is found by it.
    world.ask(&alice, create("db")).await;
    world.model.lose(&format!("cf-{}.db", alice.owner));
    let again = world.ask(&alice, create("db")).await.json();
    assert_eq!(
        world.ask(&alice, inspect("db")).await.json()["Id"],
        again["Id"]
    );
}

/// The audit log's intents, as far as the world remembers its requests.
fn log(
    world: &World,
    owner: &Tenant,
    action: &str,
) -> impl FnOnce(&BTreeSet<String>) -> HashMap<String, Decision> {
    let (intents, owner, action) = (
        world.intents.clone(),
        owner.owner.to_string(),
        action.to_owned(),
    );
    move |wanted| {
        let decision = |id: &String| {
            let decision = Decision {
                request: id.clone(),
                owner: owner.clone(),
                action: action.clone(),
                objects: intents.get(id)?.clone(),
                ..Decision::default()
            };
            Some((id.clone(), decision))
        };
        wanted.iter().filter_map(decision).collect()
    }
}

#[tokio::test]
async fn what_was_made_while_the_broker_died_is_given_back_by_its_intent() {
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    let made = json!({ "ContainerCreate": { "name": "db", "image": "app", "storage": {
        "binds": [{ "source": { "volume": "data" }, "target": "/d" }], "anonymous_volumes": ["/c"],
    } } });
    world.ask_and_die(&alice, made).await;
    world.restart();
    assert_eq!(world.ask(&alice, inspect("db")).await.status, 404);
    // The intent of another, or of another kind, gives nothing to anybody.
    for (owner, action) in [(&bob, "container.create"), (&alice, "network.create")] {
        let intents = log(&world, owner, action);
        let reconciled = world.tenancy.reconcile(intents).await.unwrap();
        assert_eq!(
            reconciled,
            Reconciled {
                unknown: 1,
                ..Reconciled::default()
            }
        );
    }
    let none = world.tenancy.reconcile(|_| HashMap::new()).await.unwrap();
    assert_eq!(none.unknown, 1);
    assert_eq!(world.ask(&alice, inspect("db")).await.status, 404);
    let intents = log(&world, &alice, "container.create");
    let reconciled = world.tenancy.reconcile(intents).await.unwrap();
    assert_eq!(
        reconciled,
        Reconciled {
            adopted: 1,
            ..Reconciled::default()
        }
    );
    assert_eq!(world.ask(&alice, inspect("db")).await.status, 200);
    assert_eq!(world.ask(&bob, inspect("db")).await.status, 404);
    // And its volumes with it.
    assert_eq!(volumes(&mut world, &alice).await.len(), 2);
    world.restart();
    assert_eq!(world.ask(&alice, inspect("db")).await.status, 200);
}

#[tokio::test]
async fn what_went_while_the_broker_was_not_there_is_forgotten() {
    let mut world = World::new();
    let alice = tenant("alice");
    for name in ["one", "two"] {
        world.ask(&alice, create(name)).await;
    }
    world
        .ask(&alice, json!({ "NetworkCreate": { "name": "net" } }))
        .await;
    let tag = json!({ "ImageTag": { "image": { "name": "app" }, "target": "mine/app:1" } });
    assert_eq!(world.ask(&alice, tag).await.status, 201);
    world.ask_and_die(&alice, remove("one")).await;
    let gone = json!({ "ImageRemove": { "image": { "name": "mine/app:1" }, "force": false, "no_prune": false } });
    world.ask_and_die(&alice, gone).await;
    world
        .ask_and_die(
            &alice,
            json!({ "ContainerRename": { "container": "two", "name": "three" } }),
        )
        .await;
    world.restart();
    let reconciled = world.tenancy.reconcile(|_| HashMap::new()).await.unwrap();
    assert_eq!(
        reconciled,
        Reconciled {
            gone: 2,
            ..Reconciled::default()
        }
    );
    assert_eq!(world.tenancy.store().counts().tags, 0);
    assert_eq!(world.tenancy.store().counts().objects, 2);
    assert_eq!(world.ask(&alice, inspect("three")).await.status, 200);
}

#[tokio::test]
async fn a_new_name_is_not_undone_by_a_list_that_was_read_before() {
    let mut world = World::new();
    let alice = tenant("alice");
    world.ask(&alice, create("one")).await;
    let rename = json!({ "ContainerRename": { "container": "one", "name": "two" } });
    let mut rename = crate::world::action(rename);
    let tenancy = &world.tenancy;
    // The containers have been listed when the networks are.
    let (reached, goes_on) = world.model.stop_at_networks();
    let reconciles = tenancy.reconcile(|_| HashMap::new());
    let renames = async {
        reached.await.unwrap();
        tenancy.resolve(&mut rename, &alice).await.unwrap();
        let begun = tenancy.begin(&mut rename, &alice).await.unwrap();
        let reply = world.model.ask(&rename).await.unwrap();
        let settled = tenancy.settle(&rename, &begun, reply.status, &reply.body, &alice);
        assert!(settled.failure.is_none());
        goes_on.send(()).unwrap();
    };
    let (reconciled, ()) = tokio::join!(reconciles, renames);
    assert_eq!(reconciled.unwrap(), Reconciled::default());
    assert_eq!(world.ask(&alice, inspect("two")).await.status, 200);
    assert_eq!(world.ask(&alice, inspect("one")).await.status, 404);
}

#[tokio::test]
async fn a_label_that_an_image_brings_owns_nothing() {
    // An image may have any label; what it marks is adopted by an intent or not at all.
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    world.ask_and_die(&alice, create("db")).await;
    std::fs::remove_file(world.journal()).unwrap();
    world.restart();
    let wrong_name = |_: &BTreeSet<String>| {
        let decision = Decision {
            request: "r0".into(),
            owner: alice.owner.to_string(),
            action: "container.create".into(),
            objects: vec!["web".into()],
            ..Decision::default()
        };
        HashMap::from([("r0".to_owned(), decision)])
    };
    let reconciled = world.tenancy.reconcile(wrong_name).await.unwrap();
    assert_eq!(reconciled.unknown, 1);
    for who in [&alice, &bob] {
        assert_eq!(world.ask(who, inspect("db")).await.status, 404);
    }
    // Whoever sees all sees it.
    let engine = format!("cf-{}.db", alice.owner);
    assert_eq!(world.ask(&operator(), inspect(&engine)).await.status, 200);
}

#[tokio::test]
async fn a_file_that_is_not_there_says_nothing_of_its_container() {
    let mut world = World::new();
    let alice = tenant("alice");
    world.ask(&alice, create("db")).await;
    let copy = json!({ "ContainerCopyOut": { "container": "db", "path": "/none" } });
    assert_eq!(world.ask(&alice, copy).await.status, 404);
    assert_eq!(world.ask(&alice, inspect("db")).await.status, 200);
}

#[tokio::test]
async fn a_tag_that_was_made_while_the_broker_died_is_its_makers() {
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    let tag = |target: &str, image: &str| json!({ "ImageTag": { "image": { "name": image }, "target": target } });
    world.ask_and_die(&alice, tag("mine/app:1", "app")).await;
    world.restart();
    let reconciled = world.tenancy.reconcile(|_| HashMap::new()).await.unwrap();
    assert_eq!(reconciled, Reconciled::default());
    let uses = json!({ "ContainerCreate": { "name": "xx", "image": "mine/app:1" } });
    assert_eq!(world.ask(&bob, uses.clone()).await.status, 403);
    assert_eq!(world.ask(&alice, uses).await.status, 201);
    assert_eq!(
        world.ask(&alice, tag("mine/app:1", "app")).await.status,
        201
    );
}

#[tokio::test]
async fn a_tag_that_was_not_made_is_nobodys() {
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    let tag = json!({ "ImageTag": { "image": { "name": "app" }, "target": "mine/app:1" } });
    // The engine says no: nobody has the tag, and another may make it.
    let mut action = crate::world::action(tag.clone());
    world.tenancy.resolve(&mut action, &alice).await.unwrap();
    let begun = world.tenancy.begin(&mut action, &alice).await.unwrap();
    let body = br#"{"message":"no"}"#;
    let settled = world.tenancy.settle(&action, &begun, 500, body, &alice);
    assert!(settled.failure.is_none());
    drop(begun);
    assert_eq!(world.tenancy.store().counts().tags, 0);
    assert_eq!(world.ask(&bob, tag.clone()).await.status, 201);
    // One that was there before stays its maker's when it cannot be moved.
    let begun = world.tenancy.begin(&mut action, &bob).await.unwrap();
    let settled = world.tenancy.settle(&action, &begun, 500, body, &bob);
    assert!(settled.failure.is_none());
    drop(begun);
    assert_eq!(world.tenancy.store().counts().tags, 1);
    // And where the broker died before it was made, it is free at the next start.
    world.ask(&bob, json!({ "ImageRemove": { "image": { "name": "mine/app:1" }, "force": false, "no_prune": false } })).await;
    let begun = world.tenancy.begin(&mut action, &alice).await.unwrap();
    std::mem::forget(begun);
    world.restart();
    assert_eq!(world.tenancy.store().counts().tags, 1);
    let reconciled = world.tenancy.reconcile(|_| HashMap::new()).await.unwrap();
    assert_eq!(reconciled.gone, 1);
    assert_eq!(world.ask(&bob, tag).await.status, 201);
}
