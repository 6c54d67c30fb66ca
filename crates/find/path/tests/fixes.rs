//! The set of fixes, against brute force that applies fixes to facts and builds the graph anew.

use cofferdam_finding::{
    Condition, Confidence, Evidence, Fact, Facts, Finding, Meta, Place, Severity, SourceLine,
    State, Truth,
};
use cofferdam_path::{Container, Fix, FixKind, Graph, Neighbour, data};
use proptest::prelude::*;

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

fn fact(truth: Truth, confidence: Confidence, line: u32, text: &str) -> Fact {
    let source = SourceLine {
        file: "compose.yaml".to_owned(),
        line: Some(line),
        text: text.to_owned(),
    };
    Fact {
        truth,
        confidence,
        evidence: vec![Evidence::new("a line says so").source(source)],
    }
}

fn yes(conditions: &[(Condition, u32)]) -> Facts {
    let mut facts = Facts::new();
    for (condition, line) in conditions {
        let text = format!("line {line}");
        facts.learn(*condition, fact(Truth::Yes, Confidence::Firm, *line, &text));
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

fn ids(fixes: &[Fix]) -> Vec<&str> {
    fixes.iter().map(|fix| fix.id.as_str()).collect()
}

use Condition::*;

#[test]
fn one_mount_is_one_fix_with_its_line() {
    let facts = yes(&[
        (SockDocker, 14),
        (MountRun, 14),
        (UserRoot, 3),
        (EngineRootful, 1),
    ]);
    let findings = [
        flaw("/run", State::TokenHolder, State::Exec),
        flaw("/tool", State::TokenHolder, State::SsrfUnix),
    ];
    let graph = Graph::build(&findings, own(&facts), &[], State::TokenHolder);
    let set = graph.fixes(State::Host);
    assert_eq!(
        ids(&set.fixes),
        ["F.mounts"],
        "two ways in, one mount: the mount is cheaper"
    );
    let fix = &set.fixes[0];
    assert_eq!(fix.kind, FixKind::Deployment);
    assert_eq!(fix.places[0].line, Some(14));
    assert_eq!(fix.container.as_deref(), Some("api"));
    assert_eq!(
        fix.cuts,
        (0..graph.paths_to(State::Host).paths.len()).collect::<Vec<_>>()
    );
    assert!(set.exact && !set.incurable);
}

#[test]
fn a_socket_with_a_line_of_its_own_is_not_mended_by_another_mount() {
    let mut facts = yes(&[
        (SockDocker, 14),
        (MountRun, 14),
        (UserRoot, 3),
        (EngineRootful, 1),
    ]);
    facts.learn(
        SockDocker,
        fact(Truth::Yes, Confidence::Firm, 15, "line 15"),
    );
    let graph = Graph::build(&[], own(&facts), &[], State::Exec);
    let set = graph.fixes(State::Host);
    assert_eq!(ids(&set.fixes), ["F.broker"]);
    let lines: Vec<_> = set.fixes[0].places.iter().map(|place| place.line).collect();
    assert_eq!(lines, [Some(14), Some(15)]);
}

#[test]
fn what_holds_twice_is_mended_twice() {
    // seccomp:unconfined on a line of its own, and privileged besides.
    let mut facts = yes(&[
        (Privileged, 4),
        (SeccompOff, 4),
        (CapSysAdmin, 4),
        (UserRoot, 3),
    ]);
    facts.learn(
        CapSysAdmin,
        fact(Truth::Yes, Confidence::Firm, 9, "cap_add: SYS_ADMIN"),
    );
    for (condition, line) in [(CgroupV1rw, 1), (LsmOff, 6)] {
        facts.learn(condition, fact(Truth::Yes, Confidence::Firm, line, "x"));
    }
    let graph = Graph::build(&[], own(&facts), &[], State::Exec);
    let set = graph.fixes(State::Host);
    let mut chosen = ids(&set.fixes);
    chosen.sort_unstable();
    assert_eq!(chosen, ["F.caps", "F.unpriv"]);
}

#[test]
fn a_fix_of_the_code_names_its_operation() {
    let facts = yes(&[
        (Privileged, 4),
        (UserRoot, 3),
        (MountRoot, 8),
        (SockDocker, 9),
        (EngineRootful, 1),
    ]);
    let findings = [flaw("/run", State::TokenHolder, State::Exec)];
    let graph = Graph::build(&findings, own(&facts), &[], State::TokenHolder);
    let set = graph.fixes(State::Host);
    assert_eq!(ids(&set.fixes), ["test.flaw"]);
    assert_eq!(set.fixes[0].kind, FixKind::Application);
    assert_eq!(set.fixes[0].places[0].to_string(), "GET /run");
    assert_eq!(
        set.fixes[0].title,
        "No shell: a fixed program with typed arguments"
    );
    assert_eq!(
        set.fixes[0].fingerprint.as_ref(),
        Some(&findings[0].fingerprint)
    );
}

#[test]
fn guesses_are_cut_only_where_there_is_nothing_surer() {
    let mut facts = yes(&[(Privileged, 4), (UserRoot, 3)]);
    facts.learn(RuncVuln, fact(Truth::Yes, Confidence::Tentative, 2, "runc"));
    let graph = Graph::build(&[], own(&facts), &[], State::Exec);
    let set = graph.fixes(State::Host);
    assert_eq!(
        (set.level, ids(&set.fixes)),
        (Confidence::Firm, vec!["F.unpriv"])
    );

    let facts = yes(&[(SockDocker, 9)]);
    let graph = Graph::build(&[], own(&facts), &[], State::Exec);
    let set = graph.fixes(State::Host);
    assert_eq!(set.level, Confidence::Tentative);
    assert!(!set.fixes.is_empty());
}

#[test]
fn a_path_without_any_fix_is_said_to_be_incurable() {
    let none = Facts::new();
    let graph = Graph::build(&[], own(&none), &[], State::K8sAdmin);
    assert!(graph.cheapest_to(State::Host).is_some());
    let set = graph.fixes(State::Host);
    assert!(set.incurable && set.fixes.is_empty());
}

#[test]
fn no_path_needs_no_fix() {
    let none = Facts::new();
    let set = Graph::build(&[], own(&none), &[], State::TokenHolder).fixes(State::Host);
    assert!(set.fixes.is_empty() && !set.incurable && set.exact);
}

#[test]
fn the_other_container_is_mended_where_it_is_described() {
    let facts = yes(&[(VolumeShared, 5)]);
    let other = yes(&[(Privileged, 22), (UserRoot, 23)]);
    let neighbours = [Neighbour {
        container: Container {
            name: "worker",
            facts: &other,
            source: None,
        },
        shares_volume: true,
    }];
    let findings = [
        flaw("/a", State::TokenHolder, State::Exec),
        flaw("/b", State::TokenHolder, State::FileWrite),
    ];
    let graph = Graph::build(&findings, own(&facts), &neighbours, State::TokenHolder);
    let set = graph.fixes(State::Host);
    assert_eq!(ids(&set.fixes), ["F.unpriv"]);
    assert_eq!(set.fixes[0].container.as_deref(), Some("worker"));
    assert_eq!(set.fixes[0].places[0].line, Some(22));
}

/// A fix that could be applied, with its cost.
#[derive(Debug, Clone)]
enum Apply {
    Finding(usize),
    Data(&'static str),
}

fn choices(facts: &Facts, findings: &[Finding]) -> Vec<(Apply, u32)> {
    let mut all: Vec<(Apply, u32)> = (0..findings.len())
        .map(|i| (Apply::Finding(i), 2))
        .collect();
    for fix in data()
        .fixes
        .iter()
        .filter(|fix| fix.kind == FixKind::Deployment)
    {
        let changes = fix.removes.iter().any(|c| facts.truth(*c) != Truth::No)
            || fix.adds.iter().any(|c| facts.truth(*c) != Truth::Yes);
        if changes {
            all.push((Apply::Data(&fix.id), fix.cost));
        }
    }
    all
}

fn left_after(facts: &Facts, findings: &[Finding], level: Confidence, applied: &[&Apply]) -> bool {
    let mut changed = facts.clone();
    let mut gone: Vec<Condition> = Vec::new();
    let mut added: Vec<Condition> = Vec::new();
    let mut kept: Vec<Finding> = Vec::new();
    for (index, finding) in findings.iter().enumerate() {
        if !applied
            .iter()
            .any(|a| matches!(a, Apply::Finding(i) if *i == index))
        {
            kept.push(finding.clone());
        }
    }
    for id in applied.iter().filter_map(|a| match a {
        Apply::Data(id) => Some(*id),
        Apply::Finding(_) => None,
    }) {
        for fix in data().fixes.iter().filter(|fix| fix.id == id) {
            gone.extend(&fix.removes);
            added.extend(&fix.adds);
        }
    }
    let mut fresh = Facts::new();
    for (condition, fact) in changed.iter() {
        if !gone.contains(&condition) && !added.contains(&condition) {
            fresh.learn(condition, fact.clone());
        }
    }
    for condition in gone {
        // Least sure, so that what still follows from another condition holds.
        fresh.learn(
            condition,
            fact(Truth::No, Confidence::Tentative, 1, "applied"),
        );
    }
    for condition in added {
        fresh.learn(
            condition,
            fact(Truth::Yes, Confidence::Proven, 1, "applied"),
        );
    }
    changed = fresh;
    let graph = Graph::build(&kept, own(&changed), &[], State::TokenHolder);
    graph.cheapest_to_any(level)
}

trait Reaches {
    fn cheapest_to_any(&self, level: Confidence) -> bool;
}

impl Reaches for Graph<'_> {
    fn cheapest_to_any(&self, level: Confidence) -> bool {
        self.cheapest_to(State::Host)
            .is_some_and(|path| path.confidence >= level)
    }
}

/// Whether some set that costs less than `limit` leaves no path.
fn cheaper(
    all: &[(Apply, u32)],
    limit: u32,
    taken: &mut Vec<usize>,
    from: usize,
    cut: &dyn Fn(&[usize]) -> bool,
) -> bool {
    if cut(taken) {
        return true;
    }
    for index in from..all.len() {
        if all[index].1 < limit {
            taken.push(index);
            if cheaper(all, limit - all[index].1, taken, index + 1, cut) {
                return true;
            }
            taken.pop();
        }
    }
    false
}

/// Conditions that meet in many edges, so that small random instances are interesting.
const POOL: &[Condition] = &[
    Privileged,
    SockDocker,
    SockContainerd,
    MountRoot,
    MountEtc,
    MountRo,
    MountDev,
    CapSysAdmin,
    CapSysModule,
    SeccompOff,
    LsmOff,
    CgroupV1rw,
    CorePatternW,
    UserRoot,
    NetDockerTcp,
    NsNet,
    EngineRootful,
    UsernsNone,
];

const GRANTS: &[(State, State)] = &[
    (State::TokenHolder, State::Exec),
    (State::TokenHolder, State::FileWrite),
    (State::TokenHolder, State::SsrfFull),
    (State::TokenHolder, State::SsrfUnix),
    (State::FileRead, State::RuntimeControl),
    (State::TokenHolder, State::RuntimeControl),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_set_cuts_every_path_none_of_it_is_idle_and_none_is_cheaper(
        truths in prop::collection::vec(0_u8..3, POOL.len()),
        granted in prop::collection::vec(prop::bool::weighted(0.5), GRANTS.len()),
    ) {
        let mut facts = Facts::new();
        for condition in Condition::ALL {
            let place = POOL.iter().position(|c| c == condition);
            let truth = match place.map(|index| truths[index]) {
                Some(0) => Truth::Yes,
                Some(1) => Truth::Unknown,
                _ => Truth::No,
            };
            // A line each, so that no condition is another's.
            let line = Condition::ALL.iter().position(|c| c == condition).unwrap() as u32 + 1;
            // A `no` is the least sure, as after a fix: what follows from others may hold.
            let confidence = if truth == Truth::No { Confidence::Tentative } else { Confidence::Firm };
            facts.learn(*condition, fact(truth, confidence, line, condition.id()));
        }
        let findings: Vec<Finding> = GRANTS
            .iter()
            .zip(&granted)
            .enumerate()
            .filter(|(_, (_, granted))| **granted)
            .map(|(index, ((from, to), _))| flaw(&format!("/{index}"), *from, *to))
            .collect();
        let graph = Graph::build(&findings, own(&facts), &[], State::TokenHolder);
        let set = graph.fixes(State::Host);
        prop_assert!(set.exact && !set.incurable);
        let level = set.level;
        let all = choices(&facts, &findings);
        let cut = |taken: &[usize]| {
            let applied: Vec<&Apply> = taken.iter().map(|index| &all[*index].0).collect();
            !left_after(&facts, &findings, level, &applied)
        };
        let chosen: Vec<usize> = set
            .fixes
            .iter()
            .map(|fix| {
                all.iter()
                    .position(|(apply, _)| match apply {
                        Apply::Finding(i) => fix.fingerprint.as_ref() == Some(&findings[*i].fingerprint),
                        Apply::Data(id) => fix.id == *id,
                    })
                    .expect("a fix that changes something")
            })
            .collect();
        prop_assert!(cut(&chosen), "{:?} leaves a path", ids(&set.fixes));
        for index in 0..chosen.len() {
            let mut without = chosen.clone();
            without.remove(index);
            prop_assert!(!cut(&without), "{} is needless in {:?}", set.fixes[index].id, ids(&set.fixes));
        }
        let cost: u32 = set.fixes.iter().map(|fix| fix.cost).sum();
        prop_assert!(!cheaper(&all, cost, &mut Vec::new(), 0, &cut) || cost == 0, "{:?} is not the cheapest", ids(&set.fixes));
        let again = Graph::build(&findings, own(&facts), &[], State::TokenHolder).fixes(State::Host);
        prop_assert_eq!(again, set);
    }
}
