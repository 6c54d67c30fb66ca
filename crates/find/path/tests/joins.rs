//! What is joined and what is not: the classic false joins are the reason for most of these.

use cofferdam_finding::{
    Condition, Confidence, Evidence, Fact, Facts, Finding, Meta, Place, Severity, SourceLine,
    State, Truth,
};
use cofferdam_path::{AttackPath, Container, Graph, Neighbour, StepBy, data};

static META: Meta = Meta {
    id: "test.flaw",
    title: "A flaw",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Mend it.",
    cwe: &[],
    owasp_api: None,
    attack: &[],
};

fn flaw(name: &str, from: State, to: State) -> Finding {
    let place = vec![Place::operation("GET", name)];
    Finding::new(&META, place, vec![Evidence::new("it was seen")])
        .from(from)
        .grants([to])
}

fn know(facts: &mut Facts, condition: Condition, truth: Truth, confidence: Confidence) {
    let source = SourceLine {
        file: "compose.yaml".to_owned(),
        line: Some(7),
        text: condition.id().to_owned(),
    };
    facts.learn(
        condition,
        Fact {
            truth,
            confidence,
            evidence: vec![Evidence::new("a line says so").source(source)],
        },
    );
}

fn yes(conditions: &[Condition]) -> Facts {
    let mut facts = Facts::new();
    for condition in conditions {
        know(&mut facts, *condition, Truth::Yes, Confidence::Firm);
    }
    facts
}

/// `yes`, and everything else known not to hold.
fn only(conditions: &[Condition]) -> Facts {
    let mut facts = yes(conditions);
    for condition in Condition::ALL {
        if !conditions.contains(condition) {
            know(&mut facts, *condition, Truth::No, Confidence::Firm);
        }
    }
    facts
}

fn own(facts: &Facts) -> Container<'_> {
    Container {
        name: "api",
        facts,
        source: None,
    }
}

fn path(facts: &Facts, start: State, to: State) -> Option<AttackPath> {
    Graph::build(&[], own(facts), &[], start).cheapest_to(to)
}

fn edges(path: &AttackPath) -> Vec<&str> {
    path.steps
        .iter()
        .map(|step| match &step.by {
            StepBy::Finding { .. } => "finding",
            StepBy::Fact { edge, .. } => edge.as_str(),
        })
        .collect()
}

use Condition::*;

#[test]
fn a_file_read_never_speaks_to_a_socket() {
    let facts = yes(&[
        SockDocker,
        UserRoot,
        UserDockergid,
        EngineRootful,
        UsernsNone,
    ]);
    for start in [
        State::FileRead,
        State::FileWrite,
        State::SsrfGet,
        State::SsrfFull,
    ] {
        let graph = Graph::build(&[], own(&facts), &[], start);
        assert!(!graph.reached().contains(&State::RuntimeControl), "{start}");
        assert!(graph.cheapest_to(State::Host).is_none(), "{start}");
    }
    // What can connect does.
    for start in [State::Exec, State::SsrfUnix] {
        let host = path(&facts, start, State::Host).unwrap();
        assert_eq!(host.confidence, Confidence::Firm, "{start}");
        assert_eq!(host.steps.len(), 2);
    }
}

#[test]
fn a_read_only_socket_is_a_socket() {
    let facts = yes(&[SockDocker, SockRo, MountRo, UserDockergid, EngineRootful]);
    assert_eq!(
        edges(&path(&facts, State::Exec, State::Host).unwrap()),
        ["X01", "D04"]
    );
}

#[test]
fn reading_by_path_does_not_use_dac_read_search() {
    let facts = only(&[CapDacReadSearch, UserRoot, UsernsNone, RuntimeShared]);
    assert!(path(&facts, State::FileRead, State::HostFileRead).is_none());
    assert!(path(&facts, State::Exec, State::HostFileRead).is_some());
}

#[test]
fn a_get_does_not_get_a_session_token_of_the_metadata_service() {
    let facts = only(&[NetImdsV2Hop2]);
    assert!(path(&facts, State::SsrfGet, State::CloudCredentials).is_none());
    assert!(path(&facts, State::SsrfFull, State::CloudCredentials).is_some());
    let plain = only(&[NetImdsV1]);
    assert!(path(&plain, State::SsrfGet, State::CloudCredentials).is_some());
}

#[test]
fn negative_edges_are_in_no_graph() {
    let all = yes(Condition::ALL);
    for start in State::ALL {
        let graph = Graph::build(&[], own(&all), &[], *start);
        for to in State::ALL {
            for path in graph.paths_to(*to).paths.iter().take(8) {
                for edge in edges(path) {
                    assert!(!data().is_negative(edge), "{edge}");
                }
            }
        }
    }
}

#[test]
fn application_edges_exist_only_where_a_finding_grants_them() {
    let all = yes(Condition::ALL);
    let graph = Graph::build(&[], own(&all), &[], State::TokenHolder);
    assert_eq!(graph.reached(), [State::TokenHolder]);
    let findings = [flaw("/d", State::TokenHolder, State::Exec)];
    let graph = Graph::build(&findings, own(&all), &[], State::TokenHolder);
    assert!(graph.reached().contains(&State::Host));
}

#[test]
fn nothing_known_is_no_path_from_the_container() {
    let none = Facts::new();
    for start in [
        State::Exec,
        State::FileRead,
        State::FileWrite,
        State::SsrfFull,
        State::SsrfUnix,
    ] {
        assert!(path(&none, start, State::Host).is_none(), "{start}");
        assert!(
            path(&none, start, State::RuntimeControl).is_none(),
            "{start}"
        );
        assert!(path(&none, start, State::K8sToken).is_none(), "{start}");
    }
    // Control of a runtime of which nothing is known is control of the host by default.
    let host = path(&none, State::RuntimeControl, State::Host).unwrap();
    assert_eq!(host.confidence, Confidence::Tentative);
    assert_eq!(host.assumes, [EngineRootful]);
}

#[test]
fn flaws_of_the_platform_are_not_assumed() {
    let facts = yes(&[UserRoot, RuntimeShared, SeccompOff, NsNet]);
    assert!(path(&facts, State::Exec, State::KernelExec).is_none());
    assert!(path(&facts, State::Exec, State::Host).is_none());
}

#[test]
fn what_is_unknown_and_holds_by_default_makes_a_path_tentative() {
    let facts = yes(&[SockDocker]);
    let host = path(&facts, State::Exec, State::Host).unwrap();
    assert_eq!(host.confidence, Confidence::Tentative);
    assert_eq!(host.assumes, [UserDockergid, EngineRootful]);
    let mut rootless = facts.clone();
    know(&mut rootless, EngineRootful, Truth::No, Confidence::Firm);
    assert!(path(&rootless, State::Exec, State::Host).is_none());
    let mut nobody = yes(&[SockDocker, EngineRootful]);
    for no in [UserRoot, UserDockergid, NnpOff] {
        know(&mut nobody, no, Truth::No, Confidence::Firm);
    }
    assert!(path(&nobody, State::Exec, State::Host).is_none());
}

#[test]
fn root_in_the_container_satisfies_what_needs_root() {
    let mut facts = yes(&[SockDocker, EngineRootful, NnpOff, RootfsRw]);
    know(&mut facts, UserRoot, Truth::No, Confidence::Firm);
    know(&mut facts, UserDockergid, Truth::No, Confidence::Firm);
    let host = path(&facts, State::Exec, State::Host).unwrap();
    assert_eq!(edges(&host), ["X33", "X01", "D04"]);
    assert_eq!(host.confidence, Confidence::Tentative);
    assert_eq!(
        path(&facts, State::ExecRoot, State::Host)
            .unwrap()
            .confidence,
        Confidence::Firm
    );
}

#[test]
fn a_privileged_container_is_one_step_and_a_sandbox_or_user_namespace_closes_it() {
    let facts = yes(&[Privileged, UserRoot]);
    let host = path(&facts, State::Exec, State::Host).unwrap();
    assert_eq!(
        (edges(&host), host.confidence),
        (vec!["X04"], Confidence::Firm)
    );
    for closed in [UsernsNone, RuntimeShared] {
        let mut facts = facts.clone();
        know(&mut facts, closed, Truth::No, Confidence::Firm);
        let host = path(&facts, State::Exec, State::Host);
        assert!(
            host.is_none_or(|host| host.confidence == Confidence::Tentative),
            "{closed}"
        );
    }
}

#[test]
fn a_command_writes_what_a_file_write_can() {
    let facts = only(&[MountEtc, UserRoot]);
    // Known user namespaces would close it.
    let mut facts = facts;
    know(&mut facts, UsernsNone, Truth::Yes, Confidence::Proven);
    assert_eq!(
        edges(&path(&facts, State::Exec, State::Host).unwrap()),
        ["W02"]
    );
    let mut read_only = facts.clone();
    know(&mut read_only, MountRo, Truth::Yes, Confidence::Proven);
    let host = path(&read_only, State::Exec, State::Host);
    assert!(host.is_none_or(|host| host.confidence == Confidence::Tentative));
}

#[test]
fn process_ids_of_the_host_show_command_lines_and_not_files() {
    let facts = only(&[NsPid, UserRoot]);
    assert!(path(&facts, State::FileRead, State::HostInfo).is_some());
    assert!(path(&facts, State::FileRead, State::HostFileRead).is_none());
}

#[test]
fn another_container_is_left_by_its_own_conditions() {
    let shared = only(&[VolumeShared]);
    let plain = only(&[]);
    let mut traefik = only(&[SockDocker, UserRoot, UserDockergid]);
    know(&mut traefik, EngineRootful, Truth::Yes, Confidence::Proven);
    let mut shared_rootful = shared.clone();
    know(
        &mut shared_rootful,
        EngineRootful,
        Truth::Yes,
        Confidence::Proven,
    );
    let build = |shares: bool, neighbour: &Facts| {
        let neighbours = [Neighbour {
            container: Container {
                name: "traefik",
                facts: neighbour,
                source: None,
            },
            shares_volume: shares,
        }];
        let facts = shared_rootful.clone();
        let graph = Graph::build(&[], own(&facts), &neighbours, State::FileWrite);
        graph.cheapest_to(State::Host)
    };
    let host = build(true, &traefik).unwrap();
    assert_eq!(edges(&host), ["W08", "K10", "D04"]);
    assert!(matches!(&host.steps[1].by, StepBy::Fact { container, .. } if container == "traefik"));
    assert_eq!(
        host.confidence,
        Confidence::Tentative,
        "whether it runs the files is not known"
    );
    assert!(
        build(true, &plain).is_none(),
        "its own conditions decide, not ours"
    );
    assert!(
        build(false, &traefik).is_none(),
        "it does not share the volume"
    );
    // Ours do not help in another container either.
    let privileged = only(&[Privileged, UserRoot, VolumeShared]);
    let neighbours = [Neighbour {
        container: Container {
            name: "web",
            facts: &plain,
            source: None,
        },
        shares_volume: true,
    }];
    let graph = Graph::build(&[], own(&privileged), &neighbours, State::NeighbourExec);
    assert!(graph.cheapest_to(State::Host).is_none());
}

#[test]
fn a_surer_path_comes_before_a_shorter_guess() {
    let mut facts = yes(&[SockDocker, UserDockergid, EngineRootful]);
    know(&mut facts, RuncVuln, Truth::Yes, Confidence::Tentative);
    know(&mut facts, UserRoot, Truth::Yes, Confidence::Firm);
    let graph = Graph::build(&[], own(&facts), &[], State::Exec);
    let paths = graph.paths_to(State::Host);
    assert_eq!(edges(&paths.paths[0]), ["X01", "D04"]);
    assert!(paths.paths.iter().any(|path| edges(path) == ["X26"]));
    assert_eq!(
        graph.cheapest_to(State::Host).as_ref(),
        Some(&paths.paths[0])
    );
}

#[test]
fn a_finding_teaches_the_conditions_that_it_establishes() {
    let none = Facts::new();
    let finding = flaw("/f", State::TokenHolder, State::SsrfFull).conditions([NetDockerTcp]);
    let findings = [finding];
    let graph = Graph::build(&findings, own(&none), &[], State::TokenHolder);
    let host = graph.cheapest_to(State::Host).unwrap();
    assert_eq!(edges(&host), ["finding", "S02", "D04"]);
    assert_eq!(
        host.steps[1].confidence,
        Confidence::Firm,
        "the edge's own limit"
    );
    assert!(!host.steps[1].evidence.is_empty());
    assert_eq!(host.assumes, [EngineRootful]);
}

#[test]
fn a_step_that_was_possible_before_is_not_listed_after_another() {
    let facts = yes(&[Privileged, UserRoot]);
    let findings = [
        flaw("/forge", State::TokenHolder, State::ForgedIdentity),
        flaw("/run", State::TokenHolder, State::Exec),
    ];
    let graph = Graph::build(&findings, own(&facts), &[], State::TokenHolder);
    let paths = graph.paths_to(State::Host).paths;
    assert!(
        paths.iter().all(|path| path.steps[0].to == State::Exec),
        "{paths:#?}"
    );
    // Who has no token at all needs the forged one.
    let findings = [
        flaw("/forge", State::Outside, State::ForgedIdentity),
        flaw("/run", State::TokenHolder, State::Exec),
    ];
    let graph = Graph::build(&findings, own(&facts), &[], State::Outside);
    assert_eq!(graph.cheapest_to(State::Host).unwrap().steps.len(), 3);
}

#[test]
fn the_listing_of_paths_is_limited_and_says_so() {
    let facts = yes(Condition::ALL);
    let findings: Vec<Finding> = (0..300)
        .map(|index| flaw(&format!("/{index}"), State::TokenHolder, State::Exec))
        .collect();
    let graph = Graph::build(&findings, own(&facts), &[], State::TokenHolder);
    let paths = graph.paths_to(State::Host);
    assert!(paths.cut_short);
    assert_eq!(paths.paths.len(), cofferdam_path::MAX_PATHS);
    assert_eq!(
        Some(&paths.paths[0]),
        graph.cheapest_to(State::Host).as_ref()
    );
    let order: Vec<_> = paths
        .paths
        .iter()
        .map(|path| (std::cmp::Reverse(path.confidence), path.steps.len()))
        .collect();
    assert!(order.is_sorted());
}

#[test]
fn paths_have_the_shape_that_the_report_promises() {
    let facts = yes(&[Privileged, UserRoot]);
    let findings = [flaw("/run", State::TokenHolder, State::Exec)];
    let graph = Graph::build(&findings, own(&facts), &[], State::TokenHolder);
    let json = serde_json::to_value(graph.cheapest_to(State::Host)).unwrap();
    assert_eq!(json["to"], "host");
    assert_eq!(json["confidence"], "firm");
    let steps = json["steps"].as_array().unwrap();
    assert_eq!(steps[0]["from"], "token_holder");
    assert_eq!(steps[0]["by"]["finding"]["check"], "test.flaw");
    assert_eq!(steps[1]["by"]["fact"]["conditions"][0], "privileged");
    assert_eq!(steps[1]["place"]["file"], "compose.yaml");
    let back: AttackPath = serde_json::from_value(json).unwrap();
    assert_eq!(Some(back), graph.cheapest_to(State::Host));
}
