//! The views, held to what a real engine answered.

use std::sync::Arc;

use cofferdam_action::filter::{FilterKey, Filters};
use cofferdam_action::floor;
use cofferdam_action::image::ImageRef;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sieve::Sieve;
use crate::tenancy::owner::{Kind, Owner, Tenant};
use crate::tenancy::store::Store;

// What dockerd 20.10.24 answered about the same objects of two tenants, the first of whom is
// the one here.
macro_rules! engine {
    ($name:literal) => {
        include_str!(concat!("../../../tests/engine-20.10/", $name))
    };
}

const CONTAINER: &str = "5ca705fa773ce0cc29d7e591a4945b9bd033d1aa81933c81c95799a6bb5ea7c8";
const NETWORK: &str = "652a52ad9eb64775e99e08a9b3bfad21b67e5b1bc367d3d0fdd97ca4d8ef119a";
const ANONYMOUS: &str = "d3f5cb7b631668985e2285221c3a3f4b491fee4278d5e69f4556ab5753089577";
const THEIRS: [&str; 4] = [
    "da371bb2a629756d2ef109c48cd18299fde4fc575cc26ec3367c6ac7c14c4a05",
    "446d0733fd57c6a2eaefbd48e81d26a525c15560b3680daf2dc1be4586fdd34c",
    "38be154cbea4823d2c685de2412c65801ed21fb085292179acafd05a4b36659f",
    "qc5l5siry5gv3r6cgbxr",
];

fn alice() -> Owner {
    Owner::of("https://i", "alice")
}

fn sight(sees_all: bool) -> (tempfile::TempDir, Sight) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("owners.jsonl")).unwrap();
    let bob = Owner::of("https://i", "bob");
    for (kind, id, owner, name) in [
        (Kind::Container, CONTAINER, alice(), "db"),
        (Kind::Network, NETWORK, alice(), "net"),
        (
            Kind::Volume,
            &*format!("cf-{}.data", alice()),
            alice(),
            "data",
        ),
        (
            Kind::Volume,
            &*format!("cf-{}.more", alice()),
            alice(),
            "more",
        ),
        (Kind::Volume, ANONYMOUS, alice(), ANONYMOUS),
        (Kind::Container, THEIRS[0], bob, "db"),
        (Kind::Network, THEIRS[1], bob, "net"),
        (Kind::Volume, &*format!("cf-{bob}.data"), bob, "data"),
        (Kind::Volume, THEIRS[2], bob, THEIRS[2]),
    ] {
        store.own(kind, id, owner, name).unwrap();
    }
    let image = |text| ImageRef::parse(text).unwrap();
    store.own_tag(&image("mine/app:dev"), bob).unwrap();
    let allowed = serde_json::from_value(json!({ "allow": ["allowed/*", "alpine"] })).unwrap();
    let tenant = Tenant {
        owner: alice(),
        principal: alice(),
        sees_all,
    };
    let sight = Sight::new(&tenant, &store, Arc::new(allowed));
    (folder, sight)
}

fn show(shape: Shape, body: &str) -> Value {
    let (_folder, sight) = sight(false);
    let view = JsonView { sight, shape };
    let shown = view.apply(body.as_bytes()).unwrap();
    // What is not kept of a list while it is read makes no difference.
    let mut sieve = Sieve::new(|member: &str, it: Value| view.keeps(member, &it).then_some(it));
    sieve.take(body.as_bytes()).unwrap();
    let sifted = sieve.end();
    assert!(!view.is_of_all() || sifted.len() <= body.len());
    if view.is_of_all() {
        assert_eq!(view.apply(&sifted).unwrap(), shown);
        for hidden in THEIRS {
            assert!(!String::from_utf8_lossy(&sifted).contains(&format!("\"Id\":\"{hidden}")));
        }
    }
    let text = String::from_utf8(shown).unwrap();
    for hidden in THEIRS
        .iter()
        .chain(&["cf-", "com.cofferdam", "/var/lib", "/run/"])
    {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    serde_json::from_str(&text).unwrap()
}

fn containers(names: &[&str], limit: Option<usize>) -> Shape {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Shape::Containers {
        names: NameFilter::new(names).unwrap(),
        limit,
    }
}

#[test]
fn a_list_of_containers_has_ones_own_by_ones_own_names() {
    let list = show(containers(&[], None), engine!("containers.json"));
    let [container] = list.as_array().unwrap().as_slice() else {
        panic!("{list}")
    };
    assert_eq!(container["Id"], CONTAINER);
    assert_eq!(container["Names"], json!(["/db"]));
    assert_eq!(container["Labels"], json!({ "mine": "1" }));
    assert_eq!(container["HostConfig"]["NetworkMode"], "net");
    let networks = container["NetworkSettings"]["Networks"]
        .as_object()
        .unwrap();
    assert_eq!(networks["net"]["NetworkID"], NETWORK);
    let volumes: Vec<_> = container["Mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["Name"])
        .collect();
    assert_eq!(
        volumes,
        [
            &json!(ANONYMOUS),
            &json!("data"),
            &json!("more"),
            &Value::Null
        ]
    );
}

#[test]
fn names_and_numbers_are_of_ones_own_list() {
    let count = |names: &[&str], limit| {
        let list = show(containers(names, limit), engine!("containers.json"));
        list.as_array().unwrap().len()
    };
    assert_eq!(count(&["^/db$"], None), 1);
    assert_eq!(count(&["gwjjbdmb6pn2ts4l6goi"], None), 0);
    // The newest of all is another's.
    assert_eq!(count(&[], Some(1)), 1);
    assert_eq!(count(&[], Some(0)), 0);
}

#[test]
fn a_container_is_shown_without_paths_of_the_host() {
    let container = show(Shape::Container, engine!("container.json"));
    assert_eq!(container["Name"], "/db");
    assert_eq!(container["LogPath"], "");
    assert_eq!(
        container["GraphDriver"],
        json!({ "Data": {}, "Name": "overlay2" })
    );
    assert_eq!(container["Config"]["Labels"], json!({ "mine": "1" }));
    let host = &container["HostConfig"];
    assert_eq!(host["Binds"], json!(["data:/data:rw"]));
    assert_eq!(host["Mounts"][0]["Source"], "more");
    assert_eq!(host["NetworkMode"], "net");
    assert_eq!(host["MaskedPaths"].as_array().unwrap().len(), 10);
    let network = &container["NetworkSettings"]["Networks"]["net"];
    assert_eq!(network["Aliases"], json!(["db", "www", "5ca705fa773c"]));
    let stats = show_line(Lines::Stats, engine!("stats.json").trim()).unwrap();
    assert_eq!(stats["name"], "/db");
}

#[test]
fn an_error_of_the_engine_is_in_the_tenants_words() {
    let of = |owner: &str| {
        let volume = format!("cf-{owner}.data");
        format!("mount /var/lib/docker/volumes/{volume}/_data: {volume} is broken")
    };
    for (owner, heard) in [
        (alice().as_str(), "mount …: data is broken"),
        (
            THEIRS[3],
            "the engine could not do it; its log has the reason",
        ),
    ] {
        let container = json!({ "State": { "ExitCode": 128, "Error": of(owner) } });
        let shown = show(Shape::Container, &container.to_string());
        assert_eq!(shown["State"], json!({ "ExitCode": 128, "Error": heard }));
        let waited = json!({ "StatusCode": 128, "Error": { "Message": of(owner) } });
        let shown = show_line(Lines::Wait, &waited.to_string()).unwrap();
        assert_eq!(shown["Error"]["Message"], heard);
    }
    let ended = json!({ "StatusCode": 0, "Error": null });
    assert_eq!(
        show_line(Lines::Wait, &ended.to_string()),
        Some(ended.clone())
    );
}

#[test]
fn networks_are_ones_own_and_the_engines_three() {
    let names = |filter: &[&str]| {
        let filter = filter.iter().map(|name| (*name).to_owned()).collect();
        let list = show(
            Shape::Networks(NameFilter::new(filter).unwrap()),
            engine!("networks.json"),
        );
        let names = list.as_array().unwrap().iter();
        names
            .map(|network| network["Name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["net", "host", "none", "bridge"]);
    assert_eq!(names(&["^net$"]), ["net"]);
    // How the host is set up is not told of the engine's own.
    let list = show(
        Shape::Networks(NameFilter::default()),
        engine!("networks.json"),
    );
    let [own, .., bridge] = list.as_array().unwrap().as_slice() else {
        panic!("{list}")
    };
    assert_eq!(bridge["Options"], json!({}));
    assert!(
        bridge["IPAM"]["Config"][0]["Subnet"].is_string(),
        "{bridge}"
    );
    assert_eq!(own["Name"], "net");
    let network = show(Shape::Network, engine!("network.json"));
    assert_eq!(network["Labels"], json!({ "mine": "1" }));
    assert_eq!(network["Containers"][CONTAINER]["Name"], "db");
    // Somebody else's container in it, by an operator's hand.
    let other = engine!("network.json").replace(CONTAINER, THEIRS[0]);
    assert_eq!(show(Shape::Network, &other)["Containers"], json!({}));
}

#[test]
fn volumes_are_ones_own() {
    let list = show(
        Shape::Volumes(NameFilter::default()),
        engine!("volumes.json"),
    );
    let names: Vec<_> = list["Volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["Name"])
        .collect();
    assert_eq!(names, ["more", "data", ANONYMOUS]);
    let volume = show(Shape::Volume, engine!("volume.json"));
    assert_eq!(volume["Name"], "data");
    assert_eq!(volume["Mountpoint"], "");
    let none = show(
        Shape::Volumes(NameFilter::default()),
        r#"{"Volumes":null,"Warnings":["x"]}"#,
    );
    assert_eq!(none, json!({ "Volumes": null, "Warnings": null }));
}

#[test]
fn images_are_those_that_the_operator_allows() {
    let tags = json!(["allowed/app:1", "alpine:3.10", "alpine:latest"]);
    assert_eq!(
        show(Shape::Images, engine!("images.json"))[0]["RepoTags"],
        tags
    );
    let image = show(Shape::Image, engine!("image.json"));
    assert_eq!(image["RepoTags"], tags);
    assert_eq!(image["Metadata"], json!({}));
    assert_eq!(
        show(Shape::History, engine!("history.json"))[0]["Tags"],
        tags
    );
    let hidden = json!([
        { "Id": "sha256:1", "RepoTags": ["other/tool:1"], "RepoDigests": null },
        { "Id": "sha256:2", "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"] },
        { "Id": "sha256:3", "RepoTags": null },
    ]);
    assert_eq!(show(Shape::Images, &hidden.to_string()), json!([]));
}

#[test]
fn the_engine_is_shown_by_ones_own_numbers() {
    let usage = show(Shape::DiskUsage, engine!("disk-usage.json"));
    assert_eq!(usage["Containers"].as_array().unwrap().len(), 1);
    assert_eq!(usage["Volumes"].as_array().unwrap().len(), 3);
    assert_eq!(usage["Images"][0]["Containers"], 1);
    assert_eq!(usage["LayersSize"], 1_982_319);
    let counts = Counts {
        running: 2,
        paused: 1,
        stopped: 4,
        images: 3,
    };
    let info = show(Shape::Info(Some(counts)), engine!("info.json"));
    assert_eq!(info["Containers"], 7);
    assert_eq!(info["Images"], 3);
    assert_eq!(info["NCPU"], 2);
    assert_eq!(info["Name"], "cofferdam");
    assert_eq!(info["DockerRootDir"], "");
    assert_eq!(info["Swarm"]["LocalNodeState"], "inactive");
    let version = show(Shape::Version, engine!("version.json"));
    assert_eq!(version["ApiVersion"], "1.41");
    assert_eq!(version["MinAPIVersion"], "1.41");
    assert_eq!(version["Components"][0]["Details"]["MinAPIVersion"], "1.41");
}

fn show_line(lines: Lines, line: &str) -> Option<Value> {
    let (_folder, sight) = sight(false);
    let shown = LinesView { sight, lines }.apply(line.as_bytes())?;
    Some(serde_json::from_slice(&shown).unwrap())
}

fn events(filters: Value) -> Vec<Value> {
    let mut filters: Filters = serde_json::from_value(filters).unwrap();
    let filter = EventFilter::take_from(&mut filters);
    assert!(!filters.0.contains_key(&FilterKey::Container));
    let (_folder, sight) = sight(false);
    let lines = Lines::Events(filter);
    let mut view = LinesView { sight, lines };
    let lines = engine!("events.jsonl").lines();
    let shown = lines.filter_map(|line| view.apply(line.as_bytes()));
    shown
        .map(|line| serde_json::from_slice(&line).unwrap())
        .collect()
}

#[test]
fn events_are_of_ones_own_objects() {
    let shown = events(json!({}));
    for event in &shown {
        let text = event.to_string();
        for hidden in THEIRS.iter().chain(&["cf-", "com.cofferdam"]) {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
    }
    let all = engine!("events.jsonl").lines();
    let of_own = |line: &&str| {
        [CONTAINER, NETWORK, ANONYMOUS, alice().as_str()]
            .iter()
            .any(|id| line.contains(id))
    };
    let own = all.filter(of_own);
    assert_eq!(shown.len(), own.count());
    let actions = |filters| -> Vec<String> {
        let shown = events(filters);
        shown
            .iter()
            .map(|event| event["Action"].as_str().unwrap().to_owned())
            .collect()
    };
    let of_container = actions(json!({ "container": ["db"] }));
    assert!(
        of_container.starts_with(&["create".into(), "start".into()]),
        "{of_container:?}"
    );
    assert_eq!(
        actions(json!({ "container": [&CONTAINER[..12]] }))
            .last()
            .unwrap(),
        "destroy"
    );
    assert_eq!(actions(json!({ "volume": ["more"] }))[0], "create");
    assert_eq!(actions(json!({ "container": ["cf-"] })), [""; 0]);
    let rename = shown
        .iter()
        .find(|event| event["Action"] == "rename")
        .unwrap();
    assert_eq!(rename["Actor"]["Attributes"]["oldName"], "/db");
    assert_eq!(rename["Actor"]["Attributes"]["name"], "dc");
}

#[test]
fn an_event_of_an_object_that_is_just_being_made_is_shown_by_its_name() {
    let event = |name: &str| {
        json!({ "Type": "container", "Action": "create", "Actor": { "ID": "e".repeat(64), "Attributes": {
            "name": name, "com.cofferdam.owner": alice().as_str(),
        } } })
    };
    let lines = || Lines::Events(EventFilter::default());
    let own = show_line(lines(), &event(&format!("cf-{}.new", alice())).to_string()).unwrap();
    assert_eq!(own["Actor"]["Attributes"], json!({ "name": "new" }));
    // A label is no proof.
    assert_eq!(show_line(lines(), &event("new").to_string()), None);
}

#[test]
fn images_and_the_daemon_have_events_too() {
    let lines = || Lines::Events(EventFilter::default());
    let event = |kind: &str, id: &str, name: &str| {
        let event = json!({ "Type": kind, "Action": "x", "Actor": { "ID": id, "Attributes": { "name": name } } });
        show_line(lines(), &event.to_string()).is_some()
    };
    assert!(event("image", "alpine:latest", "alpine"));
    assert!(event("image", "sha256:0", "allowed/app:2"));
    assert!(!event("image", "sha256:0", "mine/app:dev"));
    assert!(!event("image", "other/tool:1", "other/tool"));
    assert!(!event("daemon", "x", "vm"));
}

#[test]
fn who_sees_all_sees_others_by_the_engines_names() {
    let (_folder, sight) = sight(true);
    let shape = containers(&[], None);
    let body = engine!("containers.json").as_bytes();
    let shown = JsonView { sight, shape }.apply(body).unwrap();
    let list: Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(list[0]["Names"], json!(["/cf-qc5l5siry5gv3r6cgbxr.db"]));
    assert_eq!(
        list[0]["HostConfig"]["NetworkMode"],
        "cf-qc5l5siry5gv3r6cgbxr.net"
    );
    assert_eq!(list[1]["Names"], json!(["/db"]));
}

#[test]
fn an_answer_of_another_shape_is_not_shown() {
    let (_folder, sight) = sight(false);
    for (shape, body) in [
        (containers(&[], None), "{}"),
        (Shape::Container, "[]"),
        (Shape::Volumes(NameFilter::default()), r#"{"Volumes":"x"}"#),
        (Shape::Info(None), "null"),
        (Shape::Version, ""),
    ] {
        let view = JsonView {
            sight: sight.clone(),
            shape,
        };
        assert_eq!(view.apply(body.as_bytes()), Err(ViewError), "{body}");
    }
}

/// JSON whose members are often those that are looked at.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "Id",
        "ID",
        "Name",
        "name",
        "Names",
        "Labels",
        "HostConfig",
        "NetworkMode",
        "Binds",
        "Mounts",
        "Type",
        "volume",
        "Source",
        "VolumeOptions",
        "NetworkSettings",
        "Networks",
        "Aliases",
        "GraphDriver",
        "Config",
        "Containers",
        "Volumes",
        "Images",
        "RepoTags",
        "Actor",
        "Attributes",
        "container",
        "Components",
        "Details",
        "Size",
        "Untagged",
        "/",
        "cf-",
        "cf-gwjjbdmb6pn2ts4l6goi.",
        "/cf-gwjjbdmb6pn2ts4l6goi.x",
        CONTAINER,
        "",
    ]);
    let word = word.prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(word.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_answer_makes_a_view_panic(value in any_json()) {
        let (_folder, sight) = sight(false);
        let body = value.to_string();
        for shape in [
            containers(&["d"], Some(1)),
            Shape::Container,
            Shape::Networks(NameFilter::default()),
            Shape::Network,
            Shape::Volumes(NameFilter::default()),
            Shape::Volume,
            Shape::Images,
            Shape::Image,
            Shape::History,
            Shape::ImageRemoval,
            Shape::DiskUsage,
            Shape::Info(None),
            Shape::Version,
        ] {
            let _ = JsonView { sight: sight.clone(), shape }.apply(body.as_bytes());
        }
        for lines in [Lines::Stats, Lines::Wait, Lines::Events(EventFilter::default())] {
            let _ = LinesView { sight: sight.clone(), lines }.apply(body.as_bytes());
        }
    }
}

#[test]
fn the_floors_defaults_show_no_image() {
    let (_folder, mut sight) = sight(false);
    sight = Sight::new(
        &Tenant {
            owner: alice(),
            principal: alice(),
            sees_all: false,
        },
        &sight.store,
        Arc::new(floor::Images::default()),
    );
    assert!(!sight.sees_image("allowed/app:1"));
}
