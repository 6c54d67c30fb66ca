//! Neither of two tenants ever sees or changes what is the other's, whatever they do.

use cofferdam_action::action::Action;
use cofferdam_broker::tenancy::Tenant;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Answer, World, tenant};

/// What a step names: a word of its own choice, or one of the engine's for some object of anybody's,
/// cut to a length.
#[derive(Clone, Debug)]
enum Word {
    Own(&'static str),
    Engine(prop::sample::Index, usize),
}

#[derive(Clone, Debug)]
struct Step {
    by_bob: bool,
    verb: usize,
    words: [Word; 3],
    /// An image, in the words of [`IMAGES`].
    image: &'static str,
    flag: bool,
}

/// What the operator allows, what each of the two may tag, what nobody may use, and ids.
const IMAGES: [&str; 9] = [
    "app",
    "app:latest",
    "alice/app:1",
    "alice/app:2",
    "bob/app:1",
    "bob/app:2",
    "other/tool:1",
    "111111111111",
    "222222222222",
];

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        3 => prop::sample::select(vec!["db", "web", "data", "net"]).prop_map(Word::Own),
        2 => (any::<prop::sample::Index>(), prop::sample::select(vec![1, 2, 3, 12, 64, 255]))
            .prop_map(|(index, length)| Word::Engine(index, length)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    (
        any::<bool>(),
        0usize..VERBS,
        [word(), word(), word()],
        prop::sample::select(&IMAGES[..]),
        any::<bool>(),
    )
        .prop_map(|(by_bob, verb, words, image, flag)| Step {
            by_bob,
            verb,
            words,
            image,
            flag,
        })
}

const VERBS: usize = 42;

/// The request of a step; nothing where its words are outside the grammar.
fn request(step: &Step, words: &[String]) -> Option<Action> {
    let word = |at: usize| match &step.words[at] {
        Word::Own(text) => (*text).to_owned(),
        Word::Engine(index, length) => {
            let text = &words[index.index(words.len())];
            text[..text.len().min(*length)].to_owned()
        }
    };
    let (a, b, c, flag) = (word(0), word(1), word(2), step.flag);
    // Most words are of no exec.
    let execs = words.iter().filter(|word| word.starts_with("exec "));
    let execs: Vec<_> = execs.collect();
    let exec = match &step.words[2] {
        Word::Engine(index, _) if !execs.is_empty() => execs[index.index(execs.len())],
        _ => &c,
    };
    let exec = exec.trim_start_matches("exec ");
    let image = match step.image.starts_with(|first: char| first.is_ascii_digit()) {
        true => json!({ "id": step.image }),
        false => json!({ "name": step.image }),
    };
    // Names of images are everybody's, so each has a namespace to tag in.
    let own = if step.by_bob { "bob" } else { "alice" };
    let target = format!("{own}/app:{}", 1 + usize::from(flag));
    let filters = |key: &str| json!({ key: [a] });
    let list = |filters: Value, limit: Option<u32>| json!({ "ContainerList": { "all": true, "filters": filters, "limit": limit } });
    let value = match step.verb {
        0 | 1 => json!({ "ContainerCreate": { "name": a, "image": "app" } }),
        2 => {
            json!({ "ContainerCreate": { "name": a, "image": "app", "network": { "mode": { "network": b } } } })
        }
        3 => json!({ "ContainerCreate": { "name": a, "image": "app", "storage": { "binds": [
            { "source": { "volume": b }, "target": "/a" }
        ] } } }),
        4 => json!({ "ContainerCreate": { "name": a, "image": "app", "storage": {
            "mounts": [{ "volume": { "source": b, "target": "/a" } }], "anonymous_volumes": ["/c"],
        } } }),
        5 => {
            json!({ "ContainerCreate": { "name": a, "image": "app", "network": { "mode": { "container": b } } } })
        }
        6 => {
            json!({ "ContainerCreate": { "name": a, "image": "app", "security": { "pid_of": b } } })
        }
        7 => list(json!({}), flag.then_some(1)),
        8 => list(filters("name"), None),
        9 => list(filters("network"), None),
        10 => list(filters("volume"), None),
        11 => list(filters("before"), None),
        12 => json!({ "ContainerInspect": { "container": a, "size": false } }),
        13 => json!({ "ContainerStart": { "container": a, "detach_keys": null } }),
        14 => json!({ "ContainerStop": { "container": a, "timeout": null } }),
        15 => json!({ "ContainerRename": { "container": a, "name": b } }),
        16 => json!({ "ContainerRemove": { "container": a, "force": true, "volumes": flag } }),
        17 => json!({ "ExecCreate": { "container": a, "exec": { "command": ["true"] } } }),
        18 => json!({ "ExecInspect": { "exec": exec } }),
        19 | 20 => json!({ "NetworkCreate": { "name": a } }),
        21 => json!({ "NetworkInspect": { "network": a } }),
        22 => json!({ "NetworkRemove": { "network": a } }),
        23 => {
            json!({ "NetworkConnect": { "container": b, "endpoint": { "network": a, "aliases": ["x"] } } })
        }
        24 => json!({ "NetworkDisconnect": { "network": a, "container": b, "force": flag } }),
        25 => {
            json!({ "NetworkList": { "filters": if flag { filters("name") } else { json!({}) } } })
        }
        26 => json!({ "VolumeCreate": { "name": flag.then_some(a), "labels": {} } }),
        27 => match flag {
            true => json!({ "VolumeInspect": { "volume": a } }),
            false => json!({ "VolumeRemove": { "volume": a, "force": false } }),
        },
        28 => json!({ "VolumeList": { "filters": {} } }),
        29 => match flag {
            true => json!("Info"),
            false => json!("DiskUsage"),
        },
        30 => match flag {
            true => json!({ "ContainerPrune": { "filters": {} } }),
            false => json!({ "VolumePrune": { "filters": {} } }),
        },
        31 => json!({ "NetworkPrune": { "filters": {} } }),
        32 => json!({ "ExecStart": { "exec": exec, "detach": true, "tty": false } }),
        33 => match flag {
            true => json!({ "Events": { "filters": { "container": [a] } } }),
            false => json!({ "Events": { "filters": { "network": [a], "volume": [b] } } }),
        },
        34 => match flag {
            true => json!({ "ImageList": { "filters": { "before": [step.image] } } }),
            false => json!({ "ImageList": { "all": true } }),
        },
        35 => json!({ "ImageInspect": { "image": image } }),
        36 => json!({ "ImageHistory": { "image": image } }),
        37 => json!({ "ImageTag": { "image": image, "target": target } }),
        38 => json!({ "ImageRemove": { "image": image, "force": flag, "no_prune": false } }),
        39 => json!({ "ImagePull": { "image": step.image, "platform": null } }),
        40 => list(json!({ "ancestor": [step.image] }), None),
        _ => json!({ "ContainerCreate": { "name": a, "image": step.image } }),
    };
    serde_json::from_value(value).ok()
}

/// A step as one of the tenants takes it, with the answer.
async fn take(world: &mut World, who: &Tenant, step: &Step) -> Option<(Action, Answer)> {
    let words = world.model.words();
    let request = request(step, &words)?;
    let answer = world.one(who, request.clone(), true).await;
    Some((request, answer))
}

fn run<F: Future<Output = Result<(), TestCaseError>>>(test: F) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(test)
}

/// What an answer must not have in it: the other's ids and names of the engine's, the marks, the
/// prefix. What the caller has written themselves comes back in refusals.
fn leaks(answer: &str, written: &str, others: &[String]) -> Option<String> {
    let prefix = |name| format!("cf-{}.", tenant(name).owner);
    let hidden = [
        prefix("alice"),
        prefix("bob"),
        "com.cofferdam".into(),
        "/var/lib".into(),
    ];
    let hidden = hidden.iter().chain(others);
    let said = |text: &&String| answer.contains(text.as_str()) && !written.contains(text.as_str());
    hidden.into_iter().find(said).cloned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn nobody_sees_or_changes_what_is_anothers(steps in prop::collection::vec(step(), 1..60)) {
        run(async {
            let mut world = World::new();
            let tenants = [tenant("alice"), tenant("bob")];
            for step in &steps {
                let (who, other) = match step.by_bob {
                    false => (&tenants[0], &tenants[1]),
                    true => (&tenants[1], &tenants[0]),
                };
                let before = world.model.made_by(other.owner.as_str());
                let engines = world.model.made_by("the engine");
                let Some((request, answer)) = take(&mut world, who, step).await else {
                    continue;
                };
                prop_assert_eq!(&world.model.made_by(other.owner.as_str()), &before, "{:?}", request);
                prop_assert_eq!(&world.model.made_by("the engine"), &engines, "{:?}", request);
                let mut others = world.model.words_of(|by| by == other.owner.as_str());
                others.push(format!("{}/app", if step.by_bob { "alice" } else { "bob" }));
                let written = serde_json::to_string(&request).unwrap();
                let leak = leaks(&answer.body, &written, &others);
                prop_assert_eq!(leak, None, "{:?}: {:?}", request, answer);
            }
            for who in &tenants {
                for event in world.events(who).await {
                    prop_assert_eq!(leaks(&event, "", &[]), None, "{}", event);
                }
            }
            Ok(())
        })?;
    }

    /// The strongest form: what one is answered does not depend on the other's being there.
    #[test]
    fn what_one_is_answered_does_not_depend_on_the_other(steps in prop::collection::vec(step(), 1..60)) {
        run(async {
            let (alice, bob) = (tenant("alice"), tenant("bob"));
            let (mut shared, mut alone) = (World::new(), World::new());
            for step in &steps {
                if step.by_bob {
                    take(&mut shared, &bob, step).await;
                    continue;
                }
                // The words are of the shared engine: in the other one some mean nothing.
                let words = shared.model.words();
                let Some(request) = request(step, &words) else { continue };
                // A volume without a name has one that depends on nothing else here; whatever a
                // request says, it says in both.
                let there = shared.one(&alice, request.clone(), true).await;
                let here = alone.one(&alice, request.clone(), true).await;
                prop_assert_eq!(there, here, "{:?}", request);
            }
            prop_assert_eq!(shared.events(&alice).await, alone.events(&alice).await);
            Ok(())
        })?;
    }
}

/// The two properties would hold of a broker that refuses everything.
#[test]
fn every_verb_is_done_now_and_then() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let steps = prop::collection::vec(step(), 3000);
    let steps = steps.new_tree(&mut runner).unwrap().current();
    let mut done = std::collections::BTreeSet::new();
    let counted = run(async {
        let mut world = World::new();
        for step in &steps {
            let taken = take(&mut world, &tenant("alice"), step).await;
            if taken.is_some_and(|(_, answer)| answer.status < 300) {
                done.insert(step.verb);
            }
        }
        Ok(())
    });
    counted.unwrap();
    assert_eq!(done, (0..VERBS).collect());
}
