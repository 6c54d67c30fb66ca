//! What must hold for every action and every body.

use cofferdam_action::action::Action;
use cofferdam_action::encode::{EngineBody, EngineRequest, encode};
use cofferdam_action::floor::{Caller, Floor, FloorConfig};
use cofferdam_action::refusal::Rule;
use cofferdam_action::request::Head;
use cofferdam_action::rest::RestBody;
use cofferdam_action::{docker, rest};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::strategies::{action, create, member};
use crate::support::floor;

const JSON: &[(&str, &[u8])] = &[("content-type", b"application/json")];

fn reparse(engine: &EngineRequest) -> Result<Action, cofferdam_action::refusal::Refusal> {
    let (headers, body): (&[(&str, &[u8])], Vec<u8>) = match &engine.body {
        EngineBody::Json(body) => (JSON, body.to_string().into_bytes()),
        EngineBody::Empty => (&[], Vec::new()),
        EngineBody::Archive => (&[], vec![0; 512]),
    };
    docker::parse(
        Head {
            method: engine.method,
            target: &engine.target,
            headers,
        },
        &body,
    )
}

/// A floor on which everything that can be excepted is, so that what is left is what never passes.
fn open_floor() -> Floor {
    let config = json!({
        "images": { "allow": ["*"] },
        "exception": [
            { "host_path": "/", "below": true, "mode": "rw", "scope": "all" },
            { "host_port": "1-65535", "scope": "all" },
            { "user": "root", "scope": "all" },
        ],
    });
    Floor::new(serde_json::from_value::<FloorConfig>(config).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_action_written_for_the_engine_reads_as_itself(action in action()) {
        let engine = encode(&action).unwrap();
        prop_assert_eq!(reparse(&engine).unwrap(), action);
    }

    #[test]
    fn an_action_written_for_a_gate_reads_as_itself(action in action()) {
        let Some(request) = rest::encode(&action) else { return Ok(()) };
        let (headers, body): (&[(&str, &[u8])], Vec<u8>) = match &request.body {
            RestBody::Json(body) => (JSON, body.to_string().into_bytes()),
            RestBody::Empty => (&[], Vec::new()),
            RestBody::Archive => (&[], vec![0; 512]),
        };
        let head = Head { method: request.method, target: &request.target, headers };
        prop_assert_eq!(rest::parse(head, &body).unwrap(), action);
    }

    #[test]
    fn an_action_passes_from_gate_to_broker_unchanged(action in action()) {
        let wire = serde_json::to_string(&action).unwrap();
        prop_assert_eq!(serde_json::from_str::<Action>(&wire).unwrap(), action);
    }

    #[test]
    fn what_the_floor_lets_through_is_hardened_and_stays_so(create in create()) {
        let caller = Caller { scopes: ["all".to_owned(), "containers:exec".to_owned()].into(), ..Caller::default() };
        let action = Action::ContainerCreate(Box::new(create));
        if let Ok(approved) = open_floor().judge(action, &caller) {
            let Some(EngineRequest { body: EngineBody::Json(body), .. }) = encode(approved.action()) else {
                panic!("a create has a body");
            };
            let host = &body["HostConfig"];
            prop_assert_eq!(&host["CapDrop"], &json!(["ALL"]));
            prop_assert_eq!(&host["SecurityOpt"], &json!(["no-new-privileges"]));
            prop_assert!(host["PidsLimit"].as_u64().unwrap() <= 4096);
            prop_assert!(host["Memory"].as_u64().unwrap() <= 8 << 30);
            for never in ["Privileged", "UsernsMode", "UTSMode", "Runtime", "CgroupParent", "VolumesFrom", "GroupAdd"] {
                prop_assert!(host[never].is_null());
            }
            // Judging it again changes nothing.
            let again = open_floor().judge(approved.action().clone(), &caller).unwrap();
            prop_assert_eq!(again.action(), approved.action());
        }
    }

    #[test]
    fn a_caller_without_scopes_gets_nothing_of_the_host(create in create()) {
        let host = create.storage.binds.iter().any(|bind| matches!(bind.source, cofferdam_action::container::BindSource::Host(_)));
        let refused = floor().judge(Action::ContainerCreate(Box::new(create.clone())), &Caller::default());
        if host || !create.security.devices.is_empty() || !create.security.sysctls.is_empty() {
            prop_assert!(refused.is_err());
        }
    }

    #[test]
    fn a_member_in_another_case_or_twice_is_always_refused(create in create(), pick in any::<prop::sample::Index>(), twice in any::<bool>()) {
        let Some(EngineRequest { body: EngineBody::Json(body), .. }) = encode(&Action::ContainerCreate(Box::new(create))) else {
            panic!("a create has a body");
        };
        let mut host = body["HostConfig"].as_object().unwrap().clone();
        let name = host.keys().nth(pick.index(host.len())).unwrap().clone();
        let folded = name.replace(['s', 'S'], "\u{17f}").replace(['k', 'K'], "\u{212a}");
        let other = if folded == name { name.to_uppercase() } else { folded };
        let value = if twice { host[&name].clone() } else { host.remove(&name).unwrap() };
        host.insert(other, value);
        let mut body = body.clone();
        body["HostConfig"] = Value::Object(host);
        let head = Head { method: "POST", target: "/v1.41/containers/create", headers: JSON };
        let rule = docker::parse(head, body.to_string().as_bytes()).unwrap_err().rule;
        let meant = if twice { Rule::JsonDuplicate } else { Rule::JsonCase };
        prop_assert_eq!(rule, meant);
    }

    #[test]
    fn a_member_that_no_action_has_is_refused_unless_it_is_at_its_default(name in member(), depth in 0usize..4) {
        let mut value = json!("x");
        for _ in 0..depth {
            value = json!({ "Inner": value });
        }
        let name = format!("X{name}");
        let head = Head { method: "POST", target: "/v1.41/containers/create", headers: JSON };
        let body = |value: Value| json!({ "Image": "allowed/app:1", "HostConfig": { &name: value } }).to_string();
        prop_assert_eq!(docker::parse(head, body(value).as_bytes()).unwrap_err().rule, Rule::JsonUnknown);
        let default = json!({ "A": [], "B": "", "C": { "D": 0 } });
        let accepted = docker::parse(head, body(default).as_bytes()).is_ok();
        prop_assert!(accepted);
    }

    #[test]
    fn no_request_makes_a_dialect_panic(
        method in "GET|POST|PUT|DELETE|HEAD|[A-Z]{1,4}",
        target in "/(v1[./][0-9]{1,2}/)?(containers|images|networks|volumes|exec|v1)(/[a-zA-Z0-9%._:@-]{1,8}){0,3}(/(json|create|start|exec|archive|tag|logs))?(\\?[a-zA-Z0-9%&=+.]{0,20})?",
        body in prop_oneof![prop::collection::vec(any::<u8>(), 0..64), "[{}\\[\\]\":,a-zA-Z0-9]{0,60}".prop_map(String::into_bytes)],
    ) {
        let head = Head { method: &method, target: &target, headers: JSON };
        let _ = docker::parse(head, &body);
        let _ = rest::parse(head, &body);
    }
}

#[test]
fn the_rest_dialect_makes_the_same_actions() {
    let parse = |method, target: &str, body: &str| {
        let headers = if body.is_empty() { &[][..] } else { JSON };
        rest::parse(
            Head {
                method,
                target,
                headers,
            },
            body.as_bytes(),
        )
    };
    let docker = |method, target: &str, body: &str| {
        let headers = if body.is_empty() { &[][..] } else { JSON };
        docker::parse(
            Head {
                method,
                target,
                headers,
            },
            body.as_bytes(),
        )
    };
    for ((method, rest, rest_body), (docker_method, target, docker_body)) in [
        (("GET", "/v1/ping", ""), ("GET", "/_ping", "")),
        (
            ("GET", "/v1/containers?all=1", ""),
            ("GET", "/containers/json?all=1", ""),
        ),
        (
            ("GET", "/v1/containers/web", ""),
            ("GET", "/containers/web/json", ""),
        ),
        (
            ("POST", "/v1/containers/web/stop?t=5", ""),
            ("POST", "/containers/web/stop?t=5", ""),
        ),
        (
            ("DELETE", "/v1/containers/web?force=1", ""),
            ("DELETE", "/containers/web?force=1", ""),
        ),
        (
            (
                "POST",
                "/v1/containers",
                r#"{"image":"allowed/app:1","process":{"command":["ls"]}}"#,
            ),
            (
                "POST",
                "/containers/create",
                r#"{"Image":"allowed/app:1","Cmd":["ls"]}"#,
            ),
        ),
        (
            (
                "POST",
                "/v1/containers/web/exec",
                r#"{"command":["ls"],"attach_stdout":true}"#,
            ),
            (
                "POST",
                "/containers/web/exec",
                r#"{"Cmd":["ls"],"AttachStdout":true}"#,
            ),
        ),
        (
            ("POST", "/v1/images/pull", r#"{"image":"allowed/app:1"}"#),
            ("POST", "/images/create?fromImage=allowed/app&tag=1", ""),
        ),
        (
            ("GET", "/v1/images/allowed/app:1/history", ""),
            ("GET", "/images/allowed/app:1/history", ""),
        ),
        (
            ("POST", "/v1/networks", r#"{"name":"net","internal":true}"#),
            (
                "POST",
                "/networks/create",
                r#"{"Name":"net","Internal":true}"#,
            ),
        ),
        (
            (
                "POST",
                "/v1/networks/net/connect",
                r#"{"container":"web","aliases":["db"]}"#,
            ),
            (
                "POST",
                "/networks/net/connect",
                r#"{"Container":"web","EndpointConfig":{"Aliases":["db"]}}"#,
            ),
        ),
        (
            ("POST", "/v1/volumes", r#"{"name":"data"}"#),
            ("POST", "/volumes/create", r#"{"Name":"data"}"#),
        ),
        (
            ("POST", "/v1/containers/prune", ""),
            (
                "POST",
                "/containers/prune?filters=%7B%22label%22%3A%5B%22com.cofferdam.owner%3Dme%22%5D%7D",
                "",
            ),
        ),
    ] {
        let made =
            parse(method, rest, rest_body).unwrap_or_else(|refusal| panic!("{rest}: {refusal}"));
        assert_eq!(
            made,
            docker(docker_method, target, docker_body).unwrap(),
            "{rest}"
        );
    }
}

#[test]
fn the_rest_dialect_is_as_strict() {
    let rule = |target: &str, body: &str| {
        let head = Head {
            method: "POST",
            target,
            headers: JSON,
        };
        rest::parse(head, body.as_bytes())
            .and_then(|action| floor().judge(action, &Caller::default()))
            .unwrap_err()
            .rule
    };
    for (body, meant) in [
        (
            r#"{"image":"allowed/app:1","privileged":true}"#,
            Rule::JsonType,
        ),
        (
            r#"{"image":"allowed/app:1","image":"x"}"#,
            Rule::JsonDuplicate,
        ),
        (
            r#"{"image":"allowed/app:1","network":{"mode":{"network":"host"}}}"#,
            Rule::JsonType,
        ),
        (
            r#"{"image":"allowed/app:1","network":{"mode":"host"}}"#,
            Rule::JsonType,
        ),
        (
            r#"{"image":"allowed/app:1","storage":{"binds":[{"source":{"host":"/"},"target":"/h"}]}}"#,
            Rule::HostPath,
        ),
        (
            r#"{"image":"allowed/app:1","storage":{"binds":[{"source":{"volume":"d"},"target":"/h:rw"}]}}"#,
            Rule::JsonType,
        ),
        (
            r#"{"image":"allowed/app:1","security":{"cap_add":["SYS_ADMIN"]}}"#,
            Rule::Capability,
        ),
        (r#"{"image":"allowed/app:1"}}"#, Rule::JsonSyntax),
        (r#"{"image":"evil/app:1"}"#, Rule::ImageNotAllowed),
    ] {
        assert_eq!(rule("/v1/containers", body), meant, "{body}");
    }
    assert_eq!(rule("/v1/containers/../x", "{}"), Rule::Target);
    assert_eq!(rule("/v1.41/containers/create", "{}"), Rule::Route);
}
