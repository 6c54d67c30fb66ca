//! One decision of the broker, floor and policy, beside the floor alone.
//!
//! `cargo run --release -p cofferdam-bench --bin decision`
//!
//! A decision is timed with the shipped policies, and with fifty: the shipped ones and made-up ones
//! that look at the same action. The floor alone is what the same action costs without policy. Each
//! row is measured in turns, many times, and the best turn of each counts: what disturbs a machine
//! only ever adds. The copy of the action that the floor consumes is in every figure.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::hint::black_box;
use std::time::Instant;

use cofferdam_action::action::{Action, ActionKind};
use cofferdam_action::floor::{Caller, Floor, FloorConfig};
use cofferdam_policy::{
    PolicySet, Principal, Request, Resource, ResourceKind, SHIPPED, Source, example,
};
use serde_json::json;

const OWNER: &str = "ifbegrcfifbegrcfifbe";
const NOW: u64 = 1_795_521_600;
const TURNS: usize = 1000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let shipped = PolicySet::shipped()?;
    let fifty = fifty(&shipped)?;
    println!(
        "| action | floor µs | floor and shipped policies | ×floor | floor and 50 policies | ×floor |"
    );
    println!("|---|---|---|---|---|---|");
    let inspect: Action = serde_json::from_str(example(ActionKind::ContainerInspect))?;
    for (name, action) in [
        ("container.inspect", inspect),
        ("container.create", create(0)?),
        ("container.create on 3 objects", create(2)?),
    ] {
        compare(name, &action, &shipped, &fifty)?;
    }
    load(&shipped)
}

fn compare(
    name: &str,
    action: &Action,
    shipped: &PolicySet,
    fifty: &PolicySet,
) -> Result<(), Failure> {
    let config = json!({ "images": { "allow": ["registry.example/*"] } });
    let floor = Floor::new(serde_json::from_value::<FloorConfig>(config)?);
    let caller = Caller {
        scopes: SCOPES.map(str::to_owned).into(),
        ..Caller::default()
    };
    let ids = ["0".repeat(64), "1".repeat(64), "2".repeat(64)];
    let kinds = action.references().len();
    let kind = match action.kind() {
        ActionKind::ContainerCreate => ResourceKind::Volume,
        _ => ResourceKind::Container,
    };
    let resources: Vec<Resource<'_>> = ids
        .iter()
        .take(kinds)
        .map(|id| Resource::new(kind, id, Some(OWNER)).named("web"))
        .collect();
    let decide = |policies: &PolicySet| {
        let Ok(approved) = floor.judge(black_box(action).clone(), &caller) else {
            return false;
        };
        let request = Request {
            principal: principal(),
            action: approved.action(),
            given_name: approved.action().given_name(),
            resources: &resources,
            now: NOW,
        };
        policies.decide(&request).is_allowed()
    };
    let [floor, shipped, fifty] = turns([
        &mut || floor.judge(black_box(action).clone(), &caller).is_ok(),
        &mut || decide(shipped),
        &mut || decide(fifty),
    ]);
    println!(
        "| {name} | {floor:.2} | {shipped:.2} | {:.1} | {fifty:.2} | {:.1} |",
        shipped / floor,
        fifty / floor,
    );
    Ok(())
}

const SCOPES: [&str; 10] = [
    "containers:read",
    "containers:run",
    "containers:exec",
    "images:read",
    "images:write",
    "networks:read",
    "networks:write",
    "volumes:read",
    "volumes:write",
    "system:read",
];

fn principal() -> Principal<'static> {
    Principal {
        owner: OWNER,
        issuer: "https://idp.example/realms/main",
        subject: "5ba552d67a1e4f0d",
        client: Some("cli"),
        scopes: SCOPES.to_vec(),
        roles: vec!["runner"],
        groups: vec!["developers", "on-call"],
    }
}

/// A container as people start them, with so many volumes.
fn create(volumes: usize) -> Result<Action, Failure> {
    let binds: Vec<_> = (0..volumes)
        .map(|at| json!({ "source": { "volume": format!("data{at}") }, "target": format!("/d{at}") }))
        .collect();
    let create = json!({ "ContainerCreate": {
        "name": "web",
        "image": "registry.example/team/web:1.4",
        "labels": { "com.docker.compose.project": "shop", "com.docker.compose.service": "web" },
        "process": {
            "command": ["serve", "--port", "8080"],
            "environment": ["MODE=production", "PORT=8080", "LANG=C.UTF-8"],
        },
        "storage": { "binds": binds, "read_only_root": true },
        "network": { "published_ports": { "8080": [{ "address": "127.0.0.1", "port": "18080" }] } },
        "resources": { "memory": 268_435_456u64, "nano_cpus": 500_000_000u64 },
    }});
    Ok(serde_json::from_value(create)?)
}

/// The shipped policies and made-up ones, fifty together.
fn fifty(shipped: &PolicySet) -> Result<PolicySet, Failure> {
    let mut sources: Vec<Source> = SHIPPED
        .iter()
        .map(|(name, text)| Source::new(*name, *text))
        .collect();
    let more = 50usize.saturating_sub(shipped.policies().len());
    let more: String = (0..more)
        .map(|at| match at % 2 {
            0 => format!(
                "@id(\"team-{at}\") permit (principal in Group::\"team-{at}\", action in \
                 Action::\"containers:read\", resource) when {{ resource in Tenant::\"t{at}\" }};\n"
            ),
            _ => format!(
                "@id(\"no-{at}\") forbid (principal, action == Action::\"container.create\", resource) \
                 when {{ context.image.registry == \"r{at}.example\" && context.memory > {at} }};\n"
            ),
        })
        .collect();
    sources.push(Source::new("more.cedar", more));
    let set = PolicySet::parse(sources)?;
    assert_eq!(set.policies().len(), 50);
    Ok(set)
}

/// What a reload takes.
fn load(shipped: &PolicySet) -> Result<(), Failure> {
    let start = Instant::now();
    let again = PolicySet::shipped()?;
    println!(
        "\n{} policies read and validated in {:.1} ms",
        again.policies().len(),
        start.elapsed().as_secs_f64() * 1e3
    );
    assert_eq!(again.fingerprint(), shipped.fingerprint());
    Ok(())
}

/// The microseconds of one call, in the best of many turns that each has in rotation.
fn turns<const N: usize>(mut subjects: [&mut dyn FnMut() -> bool; N]) -> [f64; N] {
    let mut best = [f64::INFINITY; N];
    for _ in 0..TURNS {
        for (subject, best) in subjects.iter_mut().zip(&mut best) {
            let calls = 20;
            let start = Instant::now();
            for _ in 0..calls {
                assert!(subject(), "a subject does not do what is measured");
            }
            *best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
        }
    }
    best
}
