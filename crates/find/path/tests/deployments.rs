//! From deployment files to paths and fixes: what a person sees.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use cofferdam_finding::{Condition, Confidence, Evidence, Finding, Meta, Place, Severity, State};
use cofferdam_path::{Container, FixKind, Graph, Neighbour, StepBy};
use cofferdam_posture::{Deployment, Input, Workload};

const COMPOSE: &str = "\
services:
  api:
    image: tenants-api
    ports: [\"127.0.0.1:4711:8080\"]
    volumes:
      - /run:/host/run:ro
      - workspaces:/srv
  watch:
    image: containrrr/watchtower
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock
      - workspaces:/srv:ro
volumes:
  workspaces:
";
const INSPECT: &str = "[{\"Id\":\"1\",\"Name\":\"/t-api-1\",\"HostConfig\":{\"Privileged\":false},\
    \"Config\":{\"User\":\"\",\"Labels\":{\"com.docker.compose.service\":\"api\"}}}]";
const INFO: &str = "{\"ServerVersion\":\"28\",\"SecurityOptions\":[\"name=apparmor\",\
    \"name=seccomp,profile=builtin\"],\"CgroupVersion\":\"2\"}";

static INJECTION: Meta = Meta {
    id: "process.command-injection",
    title: "An operation runs a command that the caller names",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: true,
    remediation: "Run a fixed program with typed arguments.",
    cwe: &[78],
    owasp_api: None,
    attack: &["T1059.004"],
};

fn injection() -> Finding {
    let place = Place::operation("POST", "/v1/diagnostics").parameter("target");
    Finding::new(
        &INJECTION,
        vec![place],
        vec![Evidence::new("11111 came back")],
    )
    .grants([State::Exec])
}

fn read(files: &[(&str, &str)]) -> Deployment {
    let inputs: Vec<Input<'_>> = files
        .iter()
        .map(|(name, text)| Input {
            name,
            bytes: text.as_bytes(),
        })
        .collect();
    Deployment::read(&inputs).unwrap()
}

fn container(workload: &Workload) -> Container<'_> {
    Container {
        name: &workload.name,
        facts: &workload.facts,
        source: workload.sources.first(),
    }
}

fn graph<'a>(
    deployment: &'a Deployment,
    findings: &'a [Finding],
    name: &str,
    start: State,
) -> Graph<'a> {
    let own = deployment.workload(name).unwrap();
    let neighbours: Vec<Neighbour<'_>> = deployment
        .workloads
        .iter()
        .filter(|workload| workload.name != name)
        .map(|workload| Neighbour {
            container: container(workload),
            shares_volume: own.shares_volumes_with.contains(&workload.name),
        })
        .collect();
    Graph::build(findings, container(own), &neighbours, start)
}

#[test]
fn a_token_leads_to_the_host_in_three_steps() {
    let deployment = read(&[
        ("compose.yaml", COMPOSE),
        ("i.json", INSPECT),
        ("info", INFO),
    ]);
    let findings = [injection()];
    let graph = graph(&deployment, &findings, "api", State::TokenHolder);
    let host = graph.cheapest_to(State::Host).unwrap();
    assert_eq!(host.confidence, Confidence::Firm);
    assert!(host.assumes.is_empty());
    let states: Vec<State> = host.steps.iter().map(|step| step.to).collect();
    assert_eq!(states, [State::Exec, State::RuntimeControl, State::Host]);
    let places: Vec<String> = host
        .steps
        .iter()
        .map(|step| step.place.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(
        places,
        ["POST /v1/diagnostics (target)", "compose.yaml:6", "info:1"]
    );
    assert!(
        matches!(&host.steps[1].by, StepBy::Fact { edge, container, .. } if edge == "X01" && container == "api")
    );

    let harm: Vec<State> = graph.harm().iter().map(|path| path.to).collect();
    assert_eq!(harm[0], State::Host);
    assert!(harm.contains(&State::RuntimeControl));

    let set = graph.fixes(State::Host);
    assert_eq!(set.level, Confidence::Firm);
    assert_eq!(set.fixes.len(), 1);
    assert_eq!(set.fixes[0].kind, FixKind::Application);
}

#[test]
fn two_ways_in_are_cut_at_the_mount() {
    let deployment = read(&[
        ("compose.yaml", COMPOSE),
        ("i.json", INSPECT),
        ("info", INFO),
    ]);
    let proxy = Finding::new(
        &INJECTION,
        vec![Place::operation("POST", "/v1/proxy")],
        vec![Evidence::new("an answer of the engine")],
    )
    .grants([State::SsrfUnix]);
    let findings = [injection(), proxy];
    let graph = graph(&deployment, &findings, "api", State::TokenHolder);
    let set = graph.fixes(State::Host);
    let [fix] = set.fixes.as_slice() else {
        panic!("{:#?}", set.fixes);
    };
    assert_eq!(fix.id, "F.mounts");
    assert_eq!(fix.places[0].to_string(), "compose.yaml:6");
    assert!(
        fix.removes.contains(&Condition::MountRun),
        "{:?}",
        fix.removes
    );
    assert_eq!(
        fix.cuts.len(),
        graph
            .paths_to(State::Host)
            .paths
            .iter()
            .filter(|p| p.confidence >= Confidence::Firm)
            .count()
    );
}

#[test]
fn a_compose_file_alone_says_what_it_assumes() {
    let deployment = read(&[("compose.yaml", COMPOSE)]);
    let graph = graph(&deployment, &[], "api", State::Exec);
    let host = graph.cheapest_to(State::Host).unwrap();
    assert_eq!(host.confidence, Confidence::Tentative);
    assert_eq!(
        host.assumes,
        [Condition::UserDockergid, Condition::EngineRootful]
    );
    let set = graph.fixes(State::Host);
    assert_eq!(set.level, Confidence::Tentative);
    assert!(!set.fixes.is_empty() && set.exact);
}

#[test]
fn a_file_read_beside_a_socket_is_no_path() {
    let deployment = read(&[
        ("compose.yaml", COMPOSE),
        ("i.json", INSPECT),
        ("info", INFO),
    ]);
    let graph = graph(&deployment, &[], "api", State::FileRead);
    assert!(graph.cheapest_to(State::Host).is_none());
    assert!(graph.cheapest_to(State::RuntimeControl).is_none());
}

#[test]
fn an_ordinary_deployment_has_no_path_from_inside() {
    let text = "services:\n  web:\n    image: web\n    restart: always\n    ports: [\"80:80\"]\n    \
                volumes: [\"./static:/static:ro\", \"data:/data\"]\n  db:\n    image: postgres:17\n    \
                environment: {POSTGRES_PASSWORD: example}\n    volumes: [\"db:/var/lib/postgresql/data\"]\n\
                volumes:\n  data:\n  db:\n";
    for files in [
        vec![("compose.yaml", text)],
        vec![("compose.yaml", text), ("info", INFO)],
    ] {
        let deployment = read(&files);
        for name in ["web", "db"] {
            for start in [
                State::Exec,
                State::FileRead,
                State::FileWrite,
                State::SsrfFull,
            ] {
                let graph = graph(&deployment, &[], name, start);
                for to in [
                    State::Host,
                    State::RuntimeControl,
                    State::HostFileRead,
                    State::CloudCredentials,
                    State::K8sToken,
                ] {
                    assert!(graph.cheapest_to(to).is_none(), "{name}: {start} to {to}");
                }
            }
        }
    }
}
