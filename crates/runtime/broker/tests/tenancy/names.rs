//! Names, references and filters as tenants write them.

use cofferdam_action::action::Reference;
use cofferdam_broker::tenancy::Kind;
use serde_json::{Value, json};

use crate::world::{Answer, World, operator, tenant};

fn create(name: &str) -> Value {
    json!({ "ContainerCreate": { "name": name, "image": "app" } })
}

fn inspect(container: &str) -> Value {
    json!({ "ContainerInspect": { "container": container, "size": false } })
}

fn id(answer: &Answer) -> String {
    answer.json()["Id"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer:?}"))
        .to_owned()
}

#[tokio::test]
async fn two_tenants_both_have_a_container_of_one_name() {
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    let hers = id(&world.ask(&alice, create("db")).await);
    let his = id(&world.ask(&bob, create("db")).await);
    for (who, id) in [(&alice, &hers), (&bob, &his)] {
        let shown = world.ask(who, inspect("db")).await.json();
        assert_eq!(shown["Id"], **id);
        assert_eq!(shown["Name"], "/db");
        assert_eq!(shown["Config"]["Labels"], json!({}));
        for text in [&**id, &id[..12], &id[..1]] {
            assert_eq!(world.ask(who, inspect(text)).await.json()["Id"], **id);
        }
    }
    // A second one is refused by the engine, in the tenant's words.
    let taken = world.ask(&alice, create("db")).await;
    assert_eq!(taken.status, 409);
    assert!(
        taken
            .body
            .contains("The container name \\\"/db\\\" is already in use"),
        "{taken:?}"
    );
}

#[tokio::test]
async fn what_is_anothers_is_answered_like_what_is_not_there() {
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    let container = id(&world.ask(&alice, create("db")).await);
    let network = id(&world
        .ask(&alice, json!({ "NetworkCreate": { "name": "net" } }))
        .await);
    world
        .ask(
            &alice,
            json!({ "VolumeCreate": { "name": "data", "labels": {} } }),
        )
        .await;
    let exec = json!({ "ExecCreate": { "container": "db", "exec": { "command": ["true"] } } });
    let exec = id(&world.ask(&alice, exec).await);
    let engine = format!("cf-{}.db", alice.owner);
    let nobodys = "0".repeat(64);
    let cases = [
        (
            "No such container: X",
            vec![&*container, "db", &engine, &nobodys],
            inspect("X"),
        ),
        (
            "network X not found",
            vec![&*network, "net", &nobodys],
            json!({ "NetworkInspect": { "network": "X" } }),
        ),
        (
            "get X: no such volume",
            vec!["data", &nobodys],
            json!({ "VolumeInspect": { "volume": "X" } }),
        ),
        (
            "No such exec instance: X",
            vec![&*exec, &nobodys],
            json!({ "ExecInspect": { "exec": "X".repeat(64) } }),
        ),
    ];
    for (message, texts, request) in cases {
        for text in texts {
            let request = request
                .to_string()
                .replace(&"X".repeat(64), text)
                .replace("\"X\"", &format!("\"{text}\""));
            let answer = world
                .ask(&bob, serde_json::from_str(&request).unwrap())
                .await;
            assert_eq!(answer.status, 404, "{text}");
            assert_eq!(answer.json()["message"], message.replace('X', text));
        }
    }
}

#[tokio::test]
async fn an_exec_is_its_principals_even_where_two_share_an_owner() {
    let mut world = World::new();
    let job = tenant("repository");
    let mut other = job.clone();
    other.principal = tenant("another job").owner;
    world.ask(&job, create("build")).await;
    let exec = json!({ "ExecCreate": { "container": "build", "exec": { "command": ["true"] } } });
    let exec = id(&world.ask(&job, exec).await);
    let request = json!({ "ExecInspect": { "exec": exec } });
    assert_eq!(world.ask(&job, request.clone()).await.status, 200);
    assert_eq!(world.ask(&other, inspect("build")).await.status, 200);
    assert_eq!(world.ask(&other, request).await.status, 404);
}

#[tokio::test]
async fn a_container_without_a_name_gets_one_that_people_can_say() {
    let mut world = World::new();
    let alice = tenant("alice");
    let unnamed = json!({ "ContainerCreate": { "image": "app" } });
    let container = id(&world.ask(&alice, unnamed.clone()).await);
    let name = world.ask(&alice, inspect(&container)).await.json()["Name"].clone();
    let name = name.as_str().unwrap().trim_start_matches('/').to_owned();
    assert!(name.contains('_') && !name.contains('.'), "{name}");
    assert_eq!(
        world.ask(&alice, inspect(&name)).await.json()["Id"],
        container
    );
    for _ in 0..200 {
        assert_eq!(world.ask(&alice, unnamed.clone()).await.status, 201);
    }
}

#[tokio::test]
async fn a_container_answers_to_its_name_in_its_networks() {
    let mut world = World::new();
    let alice = tenant("alice");
    for name in ["front", "back"] {
        world
            .ask(&alice, json!({ "NetworkCreate": { "name": name } }))
            .await;
    }
    let create = json!({ "ContainerCreate": { "name": "db", "image": "app", "network": {
        "mode": { "network": "front" }, "endpoint": { "network": "front", "aliases": ["sql"] },
    } } });
    world.ask(&alice, create).await;
    let connect =
        json!({ "NetworkConnect": { "container": "db", "endpoint": { "network": "back" } } });
    assert_eq!(world.ask(&alice, connect).await.status, 200);
    let shown = world.ask(&alice, inspect("db")).await.json();
    let networks = &shown["NetworkSettings"]["Networks"];
    assert_eq!(networks["front"]["Aliases"], json!(["sql", "db"]));
    assert_eq!(networks["back"]["Aliases"], json!(["db"]));
    assert_eq!(shown["HostConfig"]["NetworkMode"], "front");
    // What clients send who name the network in the endpoint alone.
    let create = json!({ "ContainerCreate": { "name": "web", "image": "app", "network": {
        "endpoint": { "network": "front" },
    } } });
    world.ask(&alice, create).await;
    let shown = world.ask(&alice, inspect("web")).await.json();
    assert_eq!(
        shown["NetworkSettings"]["Networks"]["front"]["Aliases"],
        json!(["web"])
    );
    // The container is in it, by its name; somebody else's is never.
    let network = world
        .ask(&alice, json!({ "NetworkInspect": { "network": "front" } }))
        .await
        .json();
    assert_eq!(network["Containers"].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_joined_is_ones_own() {
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    let container = id(&world.ask(&alice, create("db")).await);
    let network = id(&world
        .ask(&alice, json!({ "NetworkCreate": { "name": "net" } }))
        .await);
    for change in [
        json!({ "network": { "mode": { "network": network } } }),
        json!({ "network": { "mode": { "container": container } } }),
        json!({ "network": { "endpoint": { "network": network } } }),
        json!({ "security": { "pid_of": container } }),
    ] {
        let mut request = json!({ "ContainerCreate": { "name": "xx", "image": "app" } });
        for (name, value) in change.as_object().unwrap() {
            request["ContainerCreate"][name] = value.clone();
        }
        let refused = world.ask(&bob, request.clone()).await;
        assert_eq!(refused.status, 409, "{request}");
        assert_eq!(world.ask(&alice, request).await.status, 201);
        world
            .ask(
                &alice,
                json!({ "ContainerRemove": { "container": "xx", "force": true, "volumes": false } }),
            )
            .await;
    }
    // Another's volume by its name is one's own of that name, and by the engine's is none.
    world
        .ask(
            &alice,
            json!({ "VolumeCreate": { "name": "data", "labels": { "whose": "hers" } } }),
        )
        .await;
    let mount = |volume: &str| {
        json!({ "ContainerCreate": { "name": "mm", "image": "app", "storage": { "binds": [
        { "source": { "volume": volume }, "target": "/d" }
    ] } } })
    };
    assert_eq!(world.ask(&bob, mount("data")).await.status, 201);
    let his = world
        .ask(&bob, json!({ "VolumeInspect": { "volume": "data" } }))
        .await
        .json();
    assert_ne!(his["Labels"]["whose"], "hers");
    let refused = world
        .ask(&bob, mount(&format!("cf-{}.data", alice.owner)))
        .await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.body.contains("name.reserved"));
}

#[tokio::test]
async fn a_new_name_leaves_room_for_its_owner() {
    let mut world = World::new();
    let alice = tenant("alice");
    assert_eq!(
        world.ask(&alice, create(&"x".repeat(231))).await.status,
        201
    );
    let long = world.ask(&alice, create(&"x".repeat(232))).await;
    assert_eq!(long.status, 400);
    assert!(long.body.contains("more than 231 letters"), "{long:?}");
    let engine = world
        .ask(&alice, create(&format!("cf-{}.db", tenant("bob").owner)))
        .await;
    assert_eq!(engine.status, 403);
}

#[tokio::test]
async fn lists_are_narrowed_by_ones_own_names_and_numbers() {
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    world
        .ask(&alice, json!({ "NetworkCreate": { "name": "net" } }))
        .await;
    world.ask(&alice, create("one")).await;
    let two = json!({ "ContainerCreate": { "name": "two", "image": "app",
        "network": { "mode": { "network": "net" } },
        "storage": { "binds": [{ "source": { "volume": "data" }, "target": "/d" }] } } });
    world.ask(&alice, two).await;
    world.ask(&bob, create("three")).await;
    let mut list = async |filters: Value, limit: Option<u32>| {
        let request =
            json!({ "ContainerList": { "all": true, "limit": limit, "filters": filters } });
        let answer = world.ask(&alice, request).await;
        let list = answer.json();
        let Some(list) = list.as_array() else {
            return vec![answer.body];
        };
        let names = list
            .iter()
            .map(|it| it["Names"][0].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(list(json!({}), None).await, ["/two", "/one"]);
    // The newest of one's own, though another's is newer.
    assert_eq!(list(json!({}), Some(1)).await, ["/two"]);
    assert_eq!(list(json!({ "name": ["^/on"] }), None).await, ["/one"]);
    assert_eq!(list(json!({ "name": ["three"] }), None).await, [""; 0]);
    assert_eq!(list(json!({ "network": ["net"] }), None).await, ["/two"]);
    assert_eq!(list(json!({ "volume": ["data"] }), None).await, ["/two"]);
    assert_eq!(list(json!({ "before": ["two"] }), None).await, ["/one"]);
    assert_eq!(
        list(json!({ "label": ["com.cofferdam.owner=me"] }), None).await,
        ["/two", "/one"]
    );
    let missing = list(json!({ "before": ["three"] }), None).await;
    assert_eq!(missing, [r#"{"message":"No such container: three"}"#]);
}

#[tokio::test]
async fn who_sees_all_names_others_as_the_engine_does() {
    let mut world = World::new();
    let (alice, operator) = (tenant("alice"), operator());
    let hers = id(&world.ask(&alice, create("db")).await);
    let own = id(&world.ask(&operator, create("db")).await);
    let engine = format!("cf-{}.db", alice.owner);
    assert_eq!(world.ask(&operator, inspect("db")).await.json()["Id"], own);
    for text in [&hers, &engine] {
        let objects = world.objects(&operator, inspect(text)).await;
        assert_eq!(
            objects,
            [(Kind::Container, Some(hers.clone()), "db".to_owned())]
        );
    }
    let list = world
        .ask(&operator, json!({ "ContainerList": { "all": true } }))
        .await
        .json();
    assert_eq!(list.as_array().unwrap().len(), 2);
    // A new name keeps its owner.
    let rename = json!({ "ContainerRename": { "container": engine, "name": "sql" } });
    assert_eq!(world.ask(&operator, rename).await.status, 204);
    assert_eq!(world.ask(&alice, inspect("sql")).await.json()["Id"], hers);
    // The networks of the engine are no way to the host, by their ids neither.
    let networks = world
        .ask(&operator, json!({ "NetworkList": { "filters": {} } }))
        .await
        .json();
    let host = networks
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["Name"] == "host")
        .unwrap()["Id"]
        .clone();
    let joins = json!({ "ContainerCreate": { "name": "xx", "image": "app", "network": { "mode": { "network": host } } } });
    assert_eq!(world.ask(&operator, joins).await.status, 409);
}

#[tokio::test]
async fn images_are_found_by_id_among_those_that_are_seen() {
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    let by_id = |id: &str| json!({ "ImageInspect": { "image": { "id": id } } });
    let short = json!({ "ImageInspect": { "image": { "name": "111" } } });
    for request in [
        by_id(&"1".repeat(12)),
        by_id(&format!("sha256:{}", "1".repeat(64))),
        short,
    ] {
        assert_eq!(
            world.ask(&alice, request).await.json()["RepoTags"],
            json!(["app:latest"])
        );
    }
    let hidden = world.ask(&alice, by_id(&"2".repeat(12))).await;
    assert_eq!(
        (hidden.status, hidden.json()["message"].clone()),
        (404, json!("No such image: 222222222222"))
    );

    let tag = |name: &str| json!({ "ImageTag": { "image": { "name": "app" }, "target": name } });
    assert_eq!(world.ask(&alice, tag("mine/app:dev")).await.status, 201);
    let tags = world.ask(&alice, by_id(&"1".repeat(12))).await.json()["RepoTags"].clone();
    assert_eq!(tags, json!(["app:latest", "mine/app:dev"]));
    // Another neither sees nor takes nor uses it.
    let tags = world.ask(&bob, by_id(&"1".repeat(12))).await.json()["RepoTags"].clone();
    assert_eq!(tags, json!(["app:latest"]));
    let taken = world.ask(&bob, tag("mine/app:dev")).await;
    assert!(
        taken.status == 403 && taken.body.contains("image.tag"),
        "{taken:?}"
    );
    let uses = json!({ "ContainerCreate": { "name": "xx", "image": "mine/app:dev" } });
    assert_eq!(world.ask(&bob, uses.clone()).await.status, 403);
    // Not even by who sees all, since no policy is asked about the image of a create.
    assert_eq!(world.ask(&operator(), uses.clone()).await.status, 403);
    assert_eq!(world.ask(&alice, uses).await.status, 201);
    let remove = json!({ "ImageRemove": { "image": { "name": "mine/app:dev" }, "force": false, "no_prune": false } });
    assert_eq!(world.ask(&bob, remove.clone()).await.status, 403);
    // By id, it is the one name of hers that goes.
    let remove = json!({ "ImageRemove": { "image": { "id": "1".repeat(12) }, "force": false, "no_prune": false } });
    let removed = world.ask(&alice, remove).await;
    assert_eq!(removed.json(), json!([{ "Untagged": "mine/app:dev" }]));
    assert_eq!(world.ask(&bob, tag("mine/app:dev")).await.status, 201);
}

/// Where whatever the engine has is allowed, what it has is whole repositories.
#[tokio::test]
async fn a_repository_of_the_host_is_pulled_in_other_versions_and_takes_no_tag() {
    let mut world = World::with_images(json!({ "local": true, "pull_local": true }));
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    let pull = |image: &str| json!({ "ImagePull": { "image": image, "platform": null } });
    let tag = |name: &str| json!({ "ImageTag": { "image": { "name": "app" }, "target": name } });

    let beside = world.ask(&alice, tag("app:2")).await;
    assert!(
        beside.status == 403 && beside.body.contains("image.tag"),
        "{beside:?}"
    );
    assert_eq!(world.ask(&alice, tag("mine/app:1")).await.status, 201);
    assert_eq!(world.ask(&alice, tag("mine/app:2")).await.status, 201);
    assert_eq!(world.ask(&bob, tag("mine/app:3")).await.status, 403);

    assert_eq!(world.ask(&bob, pull("other/tool:2")).await.status, 200);
    // A tag of a tenant's brings no repository with it, neither to them nor to others.
    for tenant in [&alice, &bob] {
        for image in ["evil/app:1", "mine/app:9"] {
            let refused = world.ask(tenant, pull(image)).await;
            assert!(
                refused.status == 403 && refused.body.contains("image.not-allowed"),
                "{image}: {refused:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_image_of_anothers_is_answered_like_one_that_is_not_there() {
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    let tag = json!({ "ImageTag": { "image": { "name": "app" }, "target": "mine/app:1" } });
    assert_eq!(world.ask(&alice, tag).await.status, 201);
    // Where the operator allows what the engine has, too.
    for local in [false, true] {
        let images = json!({ "images": { "allow": ["app"], "local": local } });
        let config = serde_json::from_value(images).unwrap();
        world.floor = cofferdam_action::floor::Floor::new(config);
        world.tenancy.allow(world.floor.config().images.clone());
        let name = |name: &str| json!({ "name": name });
        for request in [
            json!({ "ImageInspect": { "image": name("NAME") } }),
            json!({ "ImageHistory": { "image": name("NAME") } }),
            json!({ "ImageTag": { "image": name("NAME"), "target": "his/app:1" } }),
            json!({ "ImageRemove": { "image": name("NAME"), "force": false, "no_prune": false } }),
            json!({ "ImagePull": { "image": "NAME", "platform": null } }),
            json!({ "ContainerCreate": { "name": "xx", "image": "NAME" } }),
            json!({ "ContainerCreate": { "name": "xx", "image": "NAME",
                "security": { "devices": [{ "on_host": "/dev/kvm", "in_container": "/dev/kvm", "access": "r" }] } } }),
        ] {
            let mut answers = Vec::new();
            for image in ["mine/app:1", "none/app:1"] {
                let request = request.to_string().replace("NAME", image);
                let request = serde_json::from_str(&request).unwrap();
                let mut answer = world.ask(&bob, request).await;
                answer.body = answer.body.replace(image, "NAME");
                answers.push(answer);
            }
            assert!(answers[0].status >= 400, "{request}: {answers:?}");
            assert_eq!(answers[0], answers[1], "{request}");
        }
    }
}

#[tokio::test]
async fn a_list_by_image_tells_nothing_of_images_that_are_not_seen() {
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    world.ask(&alice, create("db")).await;
    for (who, target) in [(&alice, "mine/app:1"), (&bob, "secret/app:1")] {
        let tag = json!({ "ImageTag": { "image": { "name": "app" }, "target": target } });
        assert_eq!(world.ask(who, tag).await.status, 201);
    }
    let mut count = async |who: &cofferdam_broker::tenancy::Tenant, images: Value| {
        let list = json!({ "ContainerList": { "all": true, "filters": { "ancestor": images } } });
        let list = world.ask(who, list).await.json();
        list.as_array().unwrap().len()
    };
    for (images, expected) in [
        (json!(["app"]), 1),
        (json!(["mine/app:1"]), 1),
        (json!(["1".repeat(64)]), 1),
        (json!(["111"]), 1),
        (json!(["secret/app:1"]), 0),
        (json!(["secret/app:1", "none/app:1"]), 0),
        (json!(["secret/app:1", "app"]), 1),
    ] {
        assert_eq!(count(&alice, images.clone()).await, expected, "{images}");
    }
    assert_eq!(count(&operator(), json!(["secret/app:1"])).await, 1);
}

#[tokio::test]
async fn the_engines_own_networks_can_be_looked_at_and_nothing_else() {
    let mut world = World::new();
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    let hers = id(&world.ask(&alice, create("db")).await);
    world.ask(&bob, create("db")).await;
    let inspect = |network: &str| json!({ "NetworkInspect": { "network": network } });
    let bridge = world.ask(&alice, inspect("bridge")).await.json();
    let containers = bridge["Containers"].as_object().unwrap();
    assert_eq!(containers.keys().collect::<Vec<_>>(), [&hers]);
    assert_eq!(containers[&hers]["Name"], "db");
    let full = bridge["Id"].as_str().unwrap();
    for text in ["host", "none", full, &full[..12]] {
        let looked = world.ask(&alice, inspect(text)).await;
        assert_eq!(looked.status, 200, "{text}");
    }
    let everyones = world.ask(&operator(), inspect("bridge")).await.json();
    assert_eq!(everyones["Containers"].as_object().unwrap().len(), 2);
    for request in [
        json!({ "NetworkRemove": { "network": full } }),
        json!({ "NetworkConnect": { "container": "db", "endpoint": { "network": full } } }),
        json!({ "NetworkDisconnect": { "container": "db", "network": full, "force": true } }),
    ] {
        assert_eq!(
            world.ask(&alice, request.clone()).await.status,
            404,
            "{request}"
        );
    }
}

/// Policies look at the objects by the references, one by one.
#[tokio::test]
async fn objects_are_in_the_order_of_the_references() {
    let mut world = World::new();
    let alice = tenant("alice");
    world
        .ask(&alice, json!({ "NetworkCreate": { "name": "net" } }))
        .await;
    world.ask(&alice, create("db")).await;
    for change in [
        json!({}),
        json!({ "mode": { "network": "net" } }),
        json!({ "endpoint": { "network": "net" } }),
        json!({ "mode": { "network": "net" }, "endpoint": { "network": "net" } }),
        json!({ "mode": { "container": "db" } }),
    ] {
        let mut create = crate::world::action(json!({ "ContainerCreate": {
            "name": "web", "image": "app", "network": change, "security": { "pid_of": "db" },
            "storage": { "binds": [{ "source": { "volume": "data" }, "target": "/d" }] },
        } }));
        let objects = world.tenancy.resolve(&mut create, &alice).await.unwrap();
        let kinds: Vec<_> = objects.iter().map(|object| object.kind.as_str()).collect();
        let references = create.references();
        let of_references = references.iter().map(|reference| match reference {
            Reference::Container(_) => "container",
            Reference::Network(_) => "network",
            Reference::Volume(_) => "volume",
            Reference::Exec(_) => "exec",
            Reference::Image(_) => "image",
        });
        let expected: Vec<_> = std::iter::once("container")
            .chain(of_references)
            .chain(["image"])
            .collect();
        assert_eq!(kinds, expected, "{change}");
    }
}
