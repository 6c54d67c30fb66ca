//! What single policies do.

use cofferdam_action::action::{Action, ActionKind};
use cofferdam_policy::{
    Decision, PolicySet, Request, Resource, ResourceKind, SHIPPED_CASES, Source, example,
    parse_cases,
};

use crate::support::{SHIPPED, decide, principal, request, set};

fn action(kind: ActionKind) -> Action {
    serde_json::from_str(example(kind)).unwrap()
}

#[test]
fn the_shipped_policies_pass_their_cases() {
    let policies = &*SHIPPED;
    for case in parse_cases(SHIPPED_CASES).unwrap() {
        let verdict = case.decide(policies).unwrap();
        assert!(verdict.meets(&case), "{}: {verdict}", case.name);
    }
}

#[test]
fn every_shipped_policy_names_its_role() {
    for (file, text) in cofferdam_policy::SHIPPED {
        let role = file.strip_suffix(".cedar").unwrap();
        let alone = PolicySet::parse([Source::new(file, text)]).unwrap();
        for policy in alone.policies() {
            assert!(policy.id.starts_with(&format!("{role}.")), "{}", policy.id);
            assert!(!policy.actions.is_empty(), "{}", policy.id);
        }
        let heads = text.matches("permit (").count() + text.matches("forbid (").count();
        let named = text
            .matches(&format!("principal in Role::\"{role}\""))
            .count();
        assert_eq!(heads, named, "{file}");
    }
}

#[test]
fn the_default_is_to_deny() {
    let policies =
        set("@id(\"a\") permit (principal, action == Action::\"system.ping\", resource);");
    let decision = decide(
        &policies,
        principal("a", &[], &[]),
        &action(ActionKind::Info),
        |_, _| None,
    );
    let Decision::Deny { policies, reason } = decision else {
        panic!("{decision:?}");
    };
    assert!(policies.is_empty());
    insta::assert_snapshot!(reason, @"no policy permits `system.info` for a caller without a role");
}

#[test]
fn a_forbid_outweighs_every_permit_and_says_why() {
    let policies = set(r#"
        @id("all") permit (principal, action, resource);
        @id("digests")
        @reason("name images by digest, not by tag")
        forbid (principal, action == Action::"container.create", resource)
        unless { context.image has digest };
    "#);
    let create = action(ActionKind::ContainerCreate);
    let who = || principal("a", &["runner", "`x`"], &[]);
    let decision = decide(&policies, who(), &create, |_, _| Some("a"));
    let Decision::Deny {
        policies: by,
        reason,
    } = decision
    else {
        panic!("{decision:?}");
    };
    assert_eq!(by, ["digests"]);
    insta::assert_snapshot!(reason, @"the policy `digests` forbids `container.create`: name images by digest, not by tag");

    let other = decide(&policies, who(), &action(ActionKind::Ping), |_, _| None);
    assert_eq!(
        other,
        Decision::Allow {
            policies: vec!["all".to_owned()]
        }
    );
}

#[test]
fn a_policy_that_cannot_be_evaluated_denies_what_another_permits() {
    let policies = set(r#"
        @id("all") permit (principal, action, resource);
        @id("sum") forbid (principal, action == Action::"container.create", resource)
        when { context.memory + 1 > 1000 };
    "#);
    // Without a limit the memory is the highest number.
    let mut create = action(ActionKind::ContainerCreate);
    if let Action::ContainerCreate(create) = &mut create {
        create.resources.memory = None;
    }
    let decision = decide(&policies, principal("a", &[], &[]), &create, |_, _| {
        Some("a")
    });
    let Decision::Deny { policies, reason } = decision else {
        panic!("{decision:?}");
    };
    assert_eq!(policies, ["sum"]);
    insta::assert_snapshot!(reason, @"the policy `sum` cannot be evaluated: integer overflow while attempting to add the values `9223372036854775807` and `1`");
}

#[test]
fn an_action_on_two_objects_must_be_permitted_on_both() {
    let policies = set(r#"
        @id("own") permit (principal, action, resource) when { resource in principal.owner };
    "#);
    let connect = action(ActionKind::NetworkConnect);
    let with = |foreign: Option<ResourceKind>| {
        decide(
            &policies,
            principal("a", &["runner"], &[]),
            &connect,
            |kind, _| Some(if Some(kind) == foreign { "b" } else { "a" }),
        )
    };
    assert!(with(None).is_allowed());
    let Decision::Deny { reason, .. } = with(Some(ResourceKind::Container)) else {
        panic!("another's container is connected");
    };
    // Whoever names it by its id does not learn its name.
    insta::assert_snapshot!(reason, @"no policy permits `network.connect` on another's container for the role `runner`");
    assert!(!with(Some(ResourceKind::Network)).is_allowed());
}

#[test]
fn objects_that_are_not_those_of_the_action_are_denied() {
    let policies = set("@id(\"all\") permit (principal, action, resource);");
    let inspect = action(ActionKind::ContainerInspect);
    let list = action(ActionKind::ContainerList);
    let create = action(ActionKind::ContainerCreate);
    let container = Resource::new(ResourceKind::Container, "c", Some("a"));
    let volume = Resource::new(ResourceKind::Volume, "v", Some("a"));
    let everyone = Resource::everyone();
    let decide = |action: &Action, resources: &[Resource<'_>]| {
        policies.decide(&request(principal("a", &[], &[]), action, resources))
    };
    assert!(decide(&inspect, &[container]).is_allowed());
    assert!(decide(&list, &[]).is_allowed());
    assert!(decide(&list, &[everyone]).is_allowed());
    for (action, resources) in [
        (&inspect, &[][..]),
        (&inspect, &[volume]),
        (&inspect, &[container, container]),
        (&inspect, &[everyone]),
        (&list, &[container]),
        (&create, &[everyone]),
        (&create, &[volume]),
    ] {
        let Decision::Deny { reason, .. } = decide(action, resources) else {
            panic!("{:?} on {resources:?}", action.kind());
        };
        assert!(reason.starts_with("it cannot be decided: "), "{reason}");
    }
}

#[test]
fn what_nobody_owns_is_out_of_reach_but_for_images() {
    let policies = &*SHIPPED;
    let scopes: Vec<&str> = ActionKind::ALL.iter().map(|kind| kind.scope()).collect();
    for &kind in ActionKind::ALL {
        let action = action(kind);
        let refers = !action.references().is_empty();
        let decision = decide(
            policies,
            principal("a", &["runner"], &scopes),
            &action,
            |_, _| None,
        );
        let on_image = matches!(
            kind,
            ActionKind::ImageInspect | ActionKind::ImageHistory | ActionKind::ImageTag
        );
        assert_eq!(
            decision.is_allowed(),
            !refers || on_image,
            "{kind:?}: {decision:?}"
        );
    }
}

#[test]
fn a_context_says_what_the_action_does() {
    let conditions = [
        r#"context has name && context.name == "db""#,
        r#"context.image.name == "ghcr.io/team/db" && context.image.registry == "ghcr.io""#,
        r#"context.image.repository == "team/db" && context.image has tag && context.image.tag == "16""#,
        r#"!(context.image has digest)"#,
        r#"context has program && context.program == "postgres""#,
        r#"context has user && context.user == "70""#,
        r#"context.labels == ["a=b"]"#,
        r#"context.network == "none""#,
        r#"context.publishes && !context.publishes_beyond_loopback"#,
        r#"context.lowest_host_port == 5432 && context.highest_host_port == 5440"#,
        r#"context.host_paths == ["/srv/a", "/srv/b"]"#,
        r#"context.writable_host_paths == ["/srv/b"]"#,
        r#"context.devices == ["/dev/kvm"] && context.sysctls == ["net.core.somaxconn"]"#,
        r#"context.capabilities == ["NET_RAW"] && !context.shares_processes"#,
        r#"context.read_only_root && context.health_command && context.auto_remove"#,
        r#"context.memory == 1024 && context.cpu == 1500 && context.pids == 9223372036854775807"#,
        r#"context.restart == "on-failure""#,
        r#"context.time == { now: 1795521600, hour: 12, weekday: 2 }"#,
        r#"principal.subject == "alice" && principal.issuer == "https://idp.example""#,
        r#"principal has client && principal.client == "cli""#,
        r#"principal in Group::"developers" && principal == Principal::"https://idp.example#alice""#,
        r#"resource == principal.owner"#,
    ];
    let create: Action = serde_json::from_value(serde_json::json!({ "ContainerCreate": {
        "name": "db", "image": "ghcr.io/team/db:16", "labels": { "a": "b" },
        "process": {
            "user": "70", "entrypoint": [], "command": ["postgres", "-c", "x=y"],
            "health": { "test": { "shell": "pg_isready" } },
        },
        "storage": {
            "binds": [{ "source": { "host": "/srv/a" }, "target": "/a", "read_only": true }],
            "mounts": [{ "host": { "source": "/srv/b", "target": "/b" } }],
            "read_only_root": true,
        },
        "network": {
            "mode": "none",
            "published_ports": {
                "5432": [{ "address": "127.0.0.1", "port": "5433-5440" }, { "address": "::1", "port": "5432" }],
            },
        },
        "security": {
            "cap_add": ["NET_RAW"], "sysctls": { "net.core.somaxconn": "1" },
            "devices": [{ "on_host": "/dev/kvm", "in_container": "/dev/kvm", "access": "r" }],
        },
        "resources": { "memory": 1024, "cpu_quota": 75000, "cpu_period": 50000, "pids": 0 },
        "lifecycle": { "auto_remove": true, "restart": { "on_failure": 2 } },
    }}))
    .unwrap();
    // Each by a policy of its own, so that a failure names it.
    let policies: String = conditions
        .iter()
        .enumerate()
        .map(|(at, condition)| {
            format!(
                "@id(\"{at}\") permit (principal, action == Action::\"container.create\", \
                 resource is Tenant) when {{ {condition} }};\n"
            )
        })
        .collect();
    let decision = decide(
        &set(&policies),
        principal("a", &[], &[]),
        &create,
        |_, _| Some("a"),
    );
    for (at, condition) in conditions.iter().enumerate() {
        assert!(decision.policies().contains(&at.to_string()), "{condition}");
    }

    let policies = set(r#"
        @id("kill") permit (principal, action == Action::"container.kill", resource)
        when { context.signal == 9 };
    "#);
    for (signal, kills) in [
        ("null", true),
        ("\"9\"", true),
        ("\"SIGKILL\"", true),
        ("\"TERM\"", false),
    ] {
        let kill = format!("{{\"ContainerKill\":{{\"container\":\"web\",\"signal\":{signal}}}}}");
        let kill: Action = serde_json::from_str(&kill).unwrap();
        let decision = decide(&policies, principal("a", &[], &[]), &kill, |_, _| Some("a"));
        assert_eq!(decision.is_allowed(), kills, "{signal}");
    }
}

/// The action that is decided has the engine's names in it, which no policy is written for.
#[test]
fn a_name_is_the_one_that_the_caller_gave_and_not_that_in_the_action() {
    let policies = set(r#"
        @id("all") permit (principal, action, resource);
        @id("create") forbid (principal, action == Action::"container.create", resource)
        when { context has name && context.name like "prod-*" };
        @id("volume") forbid (principal, action == Action::"volume.create", resource)
        when { context has name && context.name like "prod-*" };
        @id("other") forbid (
          principal, action in [Action::"container.rename", Action::"network.create"], resource
        ) when { context.name like "prod-*" };
    "#);
    let named = [
        r#"{"ContainerCreate":{"name":"cf-x.prod-1","image":"alpine"}}"#,
        r#"{"ContainerRename":{"container":"web","name":"cf-x.prod-1"}}"#,
        r#"{"NetworkCreate":{"name":"cf-x.prod-1"}}"#,
        r#"{"VolumeCreate":{"name":"cf-x.prod-1","labels":{}}}"#,
    ];
    for text in named {
        let action: Action = serde_json::from_str(text).unwrap();
        let web = [Resource::new(ResourceKind::Container, "c", Some("a"))];
        let resources = &web[..action.references().len()];
        let decide = |given_name| {
            policies.decide(&Request {
                given_name,
                ..request(principal("a", &[], &[]), &action, resources)
            })
        };
        assert!(!decide(Some("prod-1")).is_allowed(), "{text}");
        assert!(decide(Some("test-1")).is_allowed(), "{text}");
        // A name that the broker makes up is not the caller's, and one that must be there is missed.
        let may_lack = matches!(
            action.kind(),
            ActionKind::ContainerCreate | ActionKind::VolumeCreate
        );
        assert_eq!(decide(None).is_allowed(), may_lack, "{text}");
    }
}

#[test]
fn a_container_that_names_a_network_in_its_endpoint_alone_joins_it() {
    let policies = set(r#"
        @id("own") permit (principal, action == Action::"container.create", resource)
        when { context.network == "network" };
    "#);
    let create = r#"{"ContainerCreate":{"image":"a","network":{"endpoint":{"network":"net"}}}}"#;
    let create: Action = serde_json::from_str(create).unwrap();
    let decision = decide(&policies, principal("a", &[], &[]), &create, |_, _| {
        Some("a")
    });
    assert!(decision.is_allowed(), "{decision:?}");
}

#[test]
fn a_fingerprint_is_that_of_the_texts() {
    let text = "@id(\"a\") permit (principal, action, resource);";
    let of = |name: &str, text: &str| {
        let set = PolicySet::parse([Source::new(name, text)]).unwrap();
        set.fingerprint().to_owned()
    };
    assert_eq!(of("a", text), of("a", text));
    assert_ne!(of("a", text), of("b", text));
    assert_ne!(of("a", text), of("a", &format!("{text} ")));
    assert_eq!(of("a", text).len(), 64);
}
