//! Paths and fixes of the whole assessment, from the attack graph of each container that the API may
//! run in.

use crate::{FindingRef, Fix, Path, Side, Step};
use cofferdam_finding::{Confidence, Facts, Finding, SourceLine, State};
use cofferdam_path::{AttackPath, Container, FixKind, Graph, MAX_PATHS, Neighbour, StepBy};
use std::collections::BTreeMap;

/// Paths to the host that a report lists. More of them tell a reader nothing new.
const MOST_PATHS: usize = 64;

/// Paths, fixes, and what a reader should know about them.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    pub(crate) paths: Vec<Path>,
    pub(crate) fixes: Vec<Fix>,
    pub(crate) notes: Vec<String>,
}

/// A container and what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) name: String,
    /// Whether the name is the deployment's, and not a phrase for a container that no file names.
    pub(crate) named: bool,
    pub(crate) facts: Facts,
    pub(crate) source: Option<SourceLine>,
    pub(crate) shares_volumes_with: Vec<String>,
    /// Whether paths start in it.
    pub(crate) api: bool,
}

impl Known {
    fn container(&self) -> Container<'_> {
        Container {
            name: &self.name,
            facts: &self.facts,
            source: self.source.as_ref(),
        }
    }
}

/// A path, and where it comes from: the graph, and its place in that graph's list.
struct Found {
    path: Path,
    origin: Option<(usize, usize)>,
}

/// Every path to the host, the cheapest path to each other harm, and the fixes that cut the former.
///
/// With `guess` it is not known which of the containers of the API is the right one, so that a path
/// that depends on one of them is tentative.
pub(crate) fn routes(
    findings: &[Finding],
    containers: &[Known],
    start: State,
    guess: bool,
) -> Routes {
    let mut routes = Routes::default();
    let mut to_host: Vec<Found> = Vec::new();
    let mut harm: Vec<Path> = Vec::new();
    let mut fixes: Vec<(usize, cofferdam_path::Fix)> = Vec::new();
    let mut incurable = false;
    for (index, own) in containers.iter().filter(|known| known.api).enumerate() {
        let neighbours: Vec<Neighbour<'_>> = containers
            .iter()
            .filter(|other| other.name != own.name)
            .map(|other| Neighbour {
                container: other.container(),
                shares_volume: own.shares_volumes_with.contains(&other.name),
            })
            .collect();
        let graph = Graph::build(findings, own.container(), &neighbours, start);
        if graph.left_out() > 0 {
            let number = graph.left_out();
            let note = format!(
                "{number} more containers beside `{}` were not looked at",
                own.name
            );
            routes.notes.push(note);
        }
        let all = graph.paths_to(State::Host);
        if all.cut_short {
            let note =
                format!("more than {MAX_PATHS} paths lead to the host; the cheapest are listed");
            routes.notes.push(note);
        }
        for (position, path) in all.paths.into_iter().enumerate() {
            let path = model(path, own, guess);
            if !to_host.iter().any(|known| same(&known.path, &path)) {
                let origin = Some((index, position));
                to_host.push(Found { path, origin });
            }
        }
        for path in graph
            .harm()
            .into_iter()
            .filter(|path| path.to != State::Host)
        {
            let path = model(path, own, guess);
            if !harm.iter().any(|known| same(known, &path)) {
                harm.push(path);
            }
        }
        let set = graph.fixes(State::Host);
        incurable |= set.incurable;
        if !set.exact {
            routes.notes.push(format!(
                "the fixes for `{}` cut every path, but a cheaper set may exist",
                own.name
            ));
        }
        fixes.extend(set.fixes.into_iter().map(|fix| (index, fix)));
    }
    // What is at least firm comes first; within that the graph's own order, the cheapest first.
    to_host.sort_by_key(|found| found.path.confidence < Confidence::Firm);
    if to_host.len() > MOST_PATHS {
        let note = format!(
            "{MOST_PATHS} of {} paths to the host are listed",
            to_host.len()
        );
        routes.notes.push(note);
        to_host.truncate(MOST_PATHS);
    }
    let others = harm.into_iter().map(|path| Found { path, origin: None });
    let mut ids: BTreeMap<(usize, usize), String> = BTreeMap::new();
    for (index, found) in to_host.into_iter().chain(others).enumerate() {
        let mut path = found.path;
        path.id = format!("P{}", index + 1);
        if let Some(origin) = found.origin {
            ids.insert(origin, path.id.clone());
        }
        routes.paths.push(path);
    }
    // A set that leaves a path open is no answer to "what cuts them all".
    if !incurable {
        routes.fixes = merge(fixes, &ids, findings);
    }
    routes
}

/// Whether two paths are one: the same steps by the same causes.
fn same(a: &Path, b: &Path) -> bool {
    a.to == b.to && a.container == b.container && a.steps == b.steps
}

fn model(path: AttackPath, own: &Known, guess: bool) -> Path {
    let deployed = path
        .steps
        .iter()
        .any(|step| matches!(step.by, StepBy::Fact { .. }));
    let mut assumes: Vec<String> = path
        .assumes
        .iter()
        .map(|condition| format!("`{condition}`: {}", condition.label()))
        .collect();
    let mut confidence = path.confidence;
    if guess && deployed {
        assumes.insert(0, format!("`{}` is the container of the API", own.name));
        confidence = Confidence::Tentative;
    }
    Path {
        id: String::new(),
        from: path.from,
        to: path.to,
        confidence,
        container: (own.named && (deployed || !guess)).then(|| own.name.clone()),
        steps: path
            .steps
            .into_iter()
            .map(|step| self::step(step, own))
            .collect(),
        assumes,
    }
}

fn step(step: cofferdam_path::Step, own: &Known) -> Step {
    let (finding, edge, facts, container) = match step.by {
        StepBy::Finding { check, fingerprint } => {
            let finding = FindingRef { check, fingerprint };
            (Some(finding), None, Vec::new(), None)
        }
        StepBy::Fact {
            edge,
            conditions,
            container,
        } => {
            let other = container != own.name || own.named;
            (None, Some(edge), conditions, other.then_some(container))
        }
    };
    Step {
        from: step.from,
        to: step.to,
        title: step.title,
        finding,
        edge,
        facts,
        container,
        confidence: step.confidence,
        evidence: step.evidence,
        place: step.place,
        assumes: step.assumes,
        attack: step.attack.iter().map(|id| technique(id)).collect(),
    }
}

/// An ATT&CK id without the matrix that the edge data note behind it, as in `T1552.004@linux`.
fn technique(id: &str) -> String {
    id.split('@').next().unwrap_or(id).to_owned()
}

/// The fixes of all graphs, each once, the one that cuts most first.
fn merge(
    all: Vec<(usize, cofferdam_path::Fix)>,
    ids: &BTreeMap<(usize, usize), String>,
    findings: &[Finding],
) -> Vec<Fix> {
    let mut merged: Vec<(cofferdam_path::Fix, Vec<String>)> = Vec::new();
    for (graph, fix) in all {
        let cuts = fix
            .cuts
            .iter()
            .filter_map(|path| ids.get(&(graph, *path)).cloned());
        let cuts: Vec<String> = cuts.collect();
        let key = |fix: &cofferdam_path::Fix| {
            (
                fix.id.clone(),
                fix.fingerprint.clone(),
                fix.container.clone(),
            )
        };
        match merged.iter_mut().find(|(known, _)| key(known) == key(&fix)) {
            Some((_, known)) => known.extend(cuts),
            None => merged.push((fix, cuts)),
        }
    }
    merged.sort_by_key(|(_, cuts)| std::cmp::Reverse(cuts.len()));
    merged
        .into_iter()
        .enumerate()
        .map(|(index, (fix, cuts))| Fix {
            id: (index + 1).to_string(),
            title: fix.title.clone(),
            side: match fix.kind {
                FixKind::Application => Side::Api,
                FixKind::Deployment => Side::Deployment,
            },
            place: fix.places.first().cloned(),
            findings: mended(&fix, findings),
            conditions: fix.removes,
            container: fix.container,
            cuts,
        })
        .collect()
}

/// The findings that a fix mends: the one that it is for, or those of the same container about a
/// condition that it takes away.
fn mended(fix: &cofferdam_path::Fix, findings: &[Finding]) -> Vec<FindingRef> {
    findings
        .iter()
        .filter(|finding| match &fix.fingerprint {
            Some(fingerprint) => finding.fingerprint == *fingerprint,
            None => {
                let here = finding
                    .places
                    .iter()
                    .any(|place| place.container == fix.container);
                let mut conditions = finding.conditions.iter();
                here && finding.check.starts_with("posture.")
                    && conditions.any(|condition| fix.removes.contains(condition))
            }
        })
        .map(|finding| FindingRef {
            check: finding.check.clone(),
            fingerprint: finding.fingerprint.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_finding::{Condition, Evidence, Fact, Meta, Place, Severity, Truth};

    fn known(name: &str, conditions: &[Condition], api: bool) -> Known {
        let mut facts = Facts::new();
        for condition in conditions {
            let source = SourceLine {
                file: "compose.yaml".to_owned(),
                line: Some(3),
                text: String::new(),
            };
            facts.learn(
                *condition,
                Fact {
                    truth: Truth::Yes,
                    confidence: Confidence::Firm,
                    evidence: vec![Evidence::new("the file says so").source(source)],
                },
            );
        }
        Known {
            name: name.to_owned(),
            named: true,
            facts,
            source: None,
            shares_volumes_with: Vec::new(),
            api,
        }
    }

    const OPEN: &[Condition] = &[
        Condition::Privileged,
        Condition::UserRoot,
        Condition::UsernsNone,
        Condition::SockDocker,
        Condition::EngineRootful,
    ];

    fn injection() -> Finding {
        let meta = Meta {
            id: "reach.command-injection",
            title: "A parameter is run by a shell",
            severity: Severity::Critical,
            confidence: Confidence::Proven,
            since: "0.1.0",
            active: true,
            remediation: "No shell.",
            cwe: &[78],
            owasp_api: None,
            attack: &[],
        };
        let places = vec![Place::operation("POST", "/v1/diagnostics")];
        Finding::new(&meta, places, vec![Evidence::new("seen")])
            .grants([State::Exec, State::OtherTenant])
    }

    #[test]
    fn a_finding_and_a_fact_make_a_path_that_the_fixes_cut() {
        let findings = [injection()];
        let routes = routes(
            &findings,
            &[known("api", OPEN, true)],
            State::TokenHolder,
            false,
        );
        let first = &routes.paths[0];
        assert_eq!((first.id.as_str(), first.to), ("P1", State::Host));
        assert_eq!(first.confidence, Confidence::Firm);
        assert_eq!(first.container.as_deref(), Some("api"));
        assert_eq!(
            first.steps[0].finding.as_ref().unwrap().fingerprint,
            findings[0].fingerprint
        );
        assert!(!first.steps[1].facts.is_empty() && first.steps[1].edge.is_some());
        assert_eq!(routes.fixes.len(), 1, "{:#?}", routes.fixes);
        let fix = &routes.fixes[0];
        assert_eq!((fix.id.as_str(), fix.side), ("1", Side::Api));
        let firm: Vec<&String> = routes
            .paths
            .iter()
            .filter(|path| path.to == State::Host && path.confidence >= Confidence::Firm)
            .map(|path| &path.id)
            .collect();
        assert!(firm.iter().all(|id| fix.cuts.contains(id)));
    }

    #[test]
    fn where_the_container_is_a_guess_its_paths_are_tentative_and_say_so() {
        let findings = [injection()];
        let containers = [known("api", OPEN, true), known("worker", OPEN, true)];
        let routes = routes(&findings, &containers, State::TokenHolder, true);
        let to_host: Vec<&Path> = routes
            .paths
            .iter()
            .filter(|path| path.to == State::Host)
            .collect();
        assert!(
            to_host
                .iter()
                .all(|path| path.confidence == Confidence::Tentative)
        );
        for name in ["api", "worker"] {
            let own = to_host
                .iter()
                .find(|path| path.container.as_deref() == Some(name));
            let assumes = &own.unwrap().assumes;
            assert!(
                assumes[0].contains(&format!("`{name}` is the container")),
                "{assumes:?}"
            );
        }
        let tenant: Vec<&Path> = routes
            .paths
            .iter()
            .filter(|path| path.to == State::OtherTenant)
            .collect();
        assert_eq!(
            tenant.len(),
            1,
            "a path of findings alone depends on no container"
        );
        assert_eq!(tenant[0].confidence, Confidence::Proven);
    }

    #[test]
    fn without_a_way_in_or_a_way_out_there_is_no_path_to_the_host() {
        let closed = routes(&[], &[known("api", OPEN, true)], State::TokenHolder, false);
        assert!(closed.paths.is_empty() && closed.fixes.is_empty());
        let mut tight = known("api", &[], true);
        for condition in Condition::ALL {
            tight.facts.learn(
                *condition,
                Fact {
                    truth: Truth::No,
                    confidence: Confidence::Firm,
                    evidence: vec![Evidence::new("the file says so")],
                },
            );
        }
        let kept_in = routes(&[injection()], &[tight], State::TokenHolder, false);
        assert!(kept_in.paths.iter().all(|path| path.to != State::Host));
        assert!(!kept_in.paths.is_empty());
    }

    #[test]
    fn ids_are_unique_and_every_cut_names_a_path() {
        let findings = [injection()];
        let containers = [known("api", OPEN, true), known("worker", OPEN, true)];
        for start in [State::TokenHolder, State::Exec, State::FileRead] {
            let routes = routes(&findings, &containers, start, false);
            let mut ids: Vec<&String> = routes.paths.iter().map(|path| &path.id).collect();
            let all = ids.len();
            for fix in &routes.fixes {
                assert!(fix.cuts.iter().all(|cut| ids.contains(&cut)));
            }
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), all);
        }
    }
}
