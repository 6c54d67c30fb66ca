//! What holds for any request.

use cofferdam_action::action::{Action, ActionKind};
use cofferdam_policy::{Decision, Resource, ResourceKind, example};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::support::{SHIPPED, named, principal, request, set};

const ROLES: [&str; 6] = ["reader", "runner", "operator", "ci-job", "agent", "other"];

fn scopes() -> Vec<&'static str> {
    let mut scopes: Vec<_> = ActionKind::ALL.iter().map(|kind| kind.scope()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// An action of any kind; a create that may join volumes, a network and another's processes.
fn action() -> impl Strategy<Value = Action> {
    let example = |kind| serde_json::from_str::<Action>(example(kind)).unwrap();
    let each = select(ActionKind::ALL).prop_map(example);
    let joins = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let create = joins.prop_map(|(bind, mount, network, pid)| {
        let mut create = serde_json::json!({ "image": "alpine", "network": { "mode": "none" } });
        if bind {
            let bind = serde_json::json!({ "source": { "volume": "data" }, "target": "/a" });
            create["storage"]["binds"] = serde_json::json!([bind]);
        }
        if mount {
            let mount = serde_json::json!({ "volume": { "source": "more", "target": "/b" } });
            create["storage"]["mounts"] = serde_json::json!([mount]);
        }
        if network {
            create["network"] = serde_json::json!({ "mode": { "network": "net" } });
        }
        if pid {
            create["security"]["pid_of"] = serde_json::json!("web");
        }
        serde_json::from_value(serde_json::json!({ "ContainerCreate": create })).unwrap()
    });
    prop_oneof![3 => each, 1 => create]
}

fn resources<'a>(names: &'a [(ResourceKind, String)], foreign: &[bool]) -> Vec<Resource<'a>> {
    names
        .iter()
        .enumerate()
        .map(|(at, (kind, name))| {
            let owner = if foreign[at % foreign.len()] {
                "bob"
            } else {
                "alice"
            };
            Resource::new(*kind, name, Some(owner)).named(name)
        })
        .collect()
}

proptest! {
    #[test]
    fn nobody_acts_on_what_another_owns_without_the_scope_for_it(
        action in action(),
        roles in subsequence(&ROLES[..], 0..=6),
        scopes in subsequence(scopes(), 0..=10),
        mut foreign in proptest::collection::vec(any::<bool>(), 5),
        at in 0usize..5,
    ) {
        let names = named(&action);
        prop_assume!(!names.is_empty());
        // One at least is another's.
        foreign[at % names.len()] = true;
        let resources = resources(&names, &foreign);
        let principal = principal("alice", &roles, &scopes);
        let request = request(principal, &action, &resources);
        prop_assert!(!SHIPPED.decide(&request).is_allowed());
    }

    #[test]
    fn the_scope_for_everyone_helps_an_operator_alone_and_lets_nobody_in(
        action in action(),
        roles in subsequence(&ROLES[..], 0..=6),
        foreign in Just(vec![true]),
    ) {
        let names = named(&action);
        prop_assume!(!names.is_empty());
        let mut scopes = scopes();
        scopes.push("tenants:all");
        let resources = resources(&names, &foreign);
        let principal = principal("alice", &roles, &scopes);
        let request = request(principal, &action, &resources);
        let decision = SHIPPED.decide(&request);
        if decision.is_allowed() {
            prop_assert!(roles.contains(&"operator"));
            let id = action.kind().id();
            let enters = id.starts_with("exec.") || id.contains("copy") || id.contains("create");
            prop_assert!(!enters && id != "container.attach" && id != "network.connect", "{}", id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    // Each case reads a set of its own.
    #[test]
    fn a_forbid_wins_whatever_else_there_is(
        action in action(),
        forbidden in select(ActionKind::ALL),
        permits in 0usize..4,
    ) {
        let mut text = format!(
            "@id(\"no\") forbid (principal, action == Action::\"{}\", resource);\n",
            forbidden.id()
        );
        for at in 0..permits {
            text.push_str(&format!("@id(\"yes{at}\") permit (principal, action, resource);\n"));
        }
        let names = named(&action);
        let resources = resources(&names, &[false]);
        let principal = principal("alice", &[], &[]);
        let request = request(principal, &action, &resources);
        let decision = set(&text).decide(&request);
        let allowed = permits > 0 && action.kind() != forbidden;
        prop_assert_eq!(decision.is_allowed(), allowed);
        if action.kind() == forbidden {
            prop_assert_eq!(decision.policies(), &["no".to_owned()][..]);
        }
    }
}

proptest! {
    #[test]
    fn a_denial_says_why_in_one_line(
        action in action(),
        roles in proptest::collection::vec(".{0,40}", 0..4),
        name in ".{1,300}",
    ) {
        let names = named(&action);
        let owned: Vec<Resource<'_>> = names
            .iter()
            .map(|(kind, id)| Resource::new(*kind, id, Some("bob")).named(&name))
            .collect();
        let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
        let principal = principal("alice", &roles, &[]);
        let request = request(principal, &action, &owned);
        let Decision::Deny { reason, .. } = SHIPPED.decide(&request) else {
            return Ok(());
        };
        prop_assert!(!reason.chars().any(char::is_control), "{:?}", reason);
        prop_assert!(reason.chars().count() < 3000);
    }
}
