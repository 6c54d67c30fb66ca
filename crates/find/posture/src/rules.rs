//! Every rule over deployment facts, one file each: `posture.short-name` is `rules/short_name.rs`.
//!
//! A file has four parts: the doc comment, which is the published page and has the headings *What
//! it finds*, *Why it matters*, *How it is proved*, *How to fix* and *References*; `META`; the logic,
//! `check`; and `SAMPLES`, deployment files that it must and must not report.

use crate::settings::Settings;
use cofferdam_finding::{
    Condition, Confidence, Evidence, Facts, Finding, Meta, Place, State, Truth,
};

/// One rule: what it says of itself, its logic, its page, and its samples.
pub struct Rule {
    /// Id, title, severity, references.
    pub meta: &'static Meta,
    check: Check,
    source: &'static str,
    #[cfg(test)]
    samples: Samples,
}

impl Rule {
    /// The rule's page in Markdown: the doc comment of its file.
    pub fn page(&self) -> String {
        let mut page = String::new();
        for line in self.source.lines() {
            let Some(text) = line.strip_prefix("//!") else {
                break;
            };
            page.push_str(text.strip_prefix(' ').unwrap_or(text));
            page.push('\n');
        }
        page
    }
}

/// What a rule looks at.
enum Check {
    /// One container.
    Workload(fn(&Subject<'_>) -> Vec<Finding>),
    /// The engine.
    Engine(fn(&Subject<'_>) -> Vec<Finding>),
}

/// Deployment files that a rule must report and must not report.
#[cfg(test)]
struct Samples {
    reports: &'static [&'static str],
    silent: &'static [&'static str],
}

/// One container, or the engine, as rules see it.
pub(crate) struct Subject<'a> {
    pub(crate) name: &'a str,
    pub(crate) facts: &'a Facts,
    /// None when it was read live.
    pub(crate) descriptions: &'a [&'a Settings],
}

impl Subject<'_> {
    /// Whether a condition holds.
    fn is(&self, condition: Condition) -> bool {
        self.facts.truth(condition) == Truth::Yes
    }

    /// A finding of those of `conditions` that hold: their lines are its places, their evidence is
    /// its evidence, the least sure of them says how sure it is. None when none holds. `part` tells
    /// two findings of one rule in one container apart.
    fn finding(
        &self,
        meta: &Meta,
        conditions: &[Condition],
        part: Option<&str>,
    ) -> Option<Finding> {
        let mut holding = Vec::new();
        let mut evidence: Vec<Evidence> = Vec::new();
        let mut confidence = Confidence::Proven;
        for condition in conditions {
            let Some(fact) = self
                .facts
                .fact(*condition)
                .filter(|fact| fact.truth == Truth::Yes)
            else {
                continue;
            };
            holding.push(*condition);
            confidence = confidence.min(fact.confidence);
            for piece in &fact.evidence {
                if !evidence.contains(piece) {
                    evidence.push(piece.clone());
                }
            }
        }
        if holding.is_empty() {
            return None;
        }
        let mut finding = self.reported(meta, evidence, part)?;
        finding.conditions = holding;
        finding.confidence = confidence.min(meta.confidence);
        Some(finding)
    }

    /// A finding from evidence; none without.
    fn reported(
        &self,
        meta: &Meta,
        evidence: Vec<Evidence>,
        part: Option<&str>,
    ) -> Option<Finding> {
        let mut places: Vec<Place> = Vec::new();
        for source in evidence.iter().filter_map(|piece| piece.source.as_ref()) {
            let mut place = Place::file(&source.file, source.line, Some(self.name));
            place.parameter = part.map(str::to_owned);
            if !places.contains(&place) {
                places.push(place);
            }
        }
        if places.is_empty() {
            return None;
        }
        let mut finding = Finding::new(meta, places, evidence);
        // A deployment opens no way of its own: it is what an attacker in the container finds.
        finding.from = State::Exec;
        finding.confidence = meta.confidence.min(Confidence::Firm);
        Some(finding)
    }
}

/// Makes the modules and the list from one enumeration.
macro_rules! rules {
    ($($kind:ident $name:ident,)*) => {
        $(mod $name;)*

        /// Every rule, the worst first.
        static RULES: &[Rule] = &[$(Rule {
            meta: &$name::META,
            check: Check::$kind($name::check),
            source: include_str!(concat!("rules/", stringify!($name), ".rs")),
            #[cfg(test)]
            samples: $name::SAMPLES,
        },)*];

        #[cfg(test)]
        const FILES: &[&str] = &[$(concat!(stringify!($name), ".rs"),)*];
    };
}

rules! {
    Workload runtime_socket,
    Workload privileged,
    Workload docker_tcp,
    Workload host_path,
    Workload host_device,
    Workload host_namespace,
    Workload capability,
    Workload unconfined,
    Workload mount_propagation,
    Workload root,
    Workload no_new_privileges,
    Workload secret_in_environment,
    Workload shared_volume,
    Engine engine_rootful,
    Engine engine_tcp,
    Engine outdated_runtime,
}

/// Every rule, the worst first, those over engines last.
pub fn rules() -> &'static [Rule] {
    RULES
}

/// What the rules over containers say.
pub(crate) fn workload_findings(subject: &Subject<'_>) -> Vec<Finding> {
    RULES
        .iter()
        .flat_map(|rule| match rule.check {
            Check::Workload(check) => check(subject),
            Check::Engine(_) => Vec::new(),
        })
        .collect()
}

/// What the rules over the engine say.
pub(crate) fn engine_findings(facts: &Facts, name: &str) -> Vec<Finding> {
    let subject = Subject {
        name,
        facts,
        descriptions: &[],
    };
    RULES
        .iter()
        .flat_map(|rule| match rule.check {
            Check::Engine(check) => check(&subject),
            Check::Workload(_) => Vec::new(),
        })
        .map(|mut finding| {
            // Its place is the file; there is no container.
            for place in &mut finding.places {
                place.container = None;
            }
            finding.fingerprint =
                cofferdam_finding::fingerprint(&finding.check, finding.places.first());
            finding
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Deployment, Input};
    use std::collections::BTreeSet;
    use std::path::Path;

    const HEADINGS: [&str; 5] = [
        "# What it finds",
        "# Why it matters",
        "# How it is proved",
        "# How to fix",
        "# References",
    ];

    #[test]
    fn ids_are_unique_and_name_their_file() {
        let mut seen = BTreeSet::new();
        for (rule, file) in RULES.iter().zip(FILES) {
            let id = rule.meta.id;
            assert!(seen.insert(id), "{id} is there twice");
            let name = id.strip_prefix("posture.").unwrap();
            assert_eq!(format!("{}.rs", name.replace('-', "_")), *file);
        }
    }

    #[test]
    fn every_page_has_a_title_and_the_five_headings_in_order() {
        for rule in RULES {
            let page = rule.page();
            assert!(
                !page.starts_with('#') && !page.trim().is_empty(),
                "{}",
                rule.meta.id
            );
            let mut rest = page.as_str();
            for heading in HEADINGS {
                let at = rest.find(heading);
                assert!(at.is_some(), "{}: no `{heading}`", rule.meta.id);
                rest = &rest[at.unwrap() + heading.len()..];
            }
        }
    }

    #[test]
    fn no_file_in_the_folder_is_unlisted() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules");
        let mut listed: BTreeSet<&str> = FILES.iter().copied().collect();
        for file in std::fs::read_dir(root).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(
                listed.remove(name.as_str()),
                "{name} is not in the list of rules"
            );
        }
        assert!(listed.is_empty(), "{listed:?}");
    }

    fn reported_by(text: &str) -> Vec<Finding> {
        let read = Deployment::read(&[Input {
            name: "sample",
            bytes: text.as_bytes(),
        }]);
        let read = read.unwrap_or_else(|error| panic!("{error}\n{text}"));
        let engine = read.engine.into_iter().flat_map(|engine| engine.findings);
        let workloads = read
            .workloads
            .into_iter()
            .flat_map(|workload| workload.findings);
        workloads.chain(engine).collect()
    }

    #[test]
    fn every_rule_reports_its_samples_and_is_silent_on_the_others() {
        for rule in RULES {
            let id = rule.meta.id;
            assert!(
                !rule.samples.reports.is_empty() && !rule.samples.silent.is_empty(),
                "{id}"
            );
            for text in rule.samples.reports {
                let found = reported_by(text);
                let own: Vec<_> = found.iter().filter(|finding| finding.check == id).collect();
                assert!(!own.is_empty(), "{id} misses\n{text}");
                for finding in own {
                    assert!(
                        finding.confidence <= Confidence::Firm,
                        "a file proves nothing: {id}"
                    );
                    assert!(finding.places[0].line.is_some(), "{id} has no line");
                }
            }
            for text in rule.samples.silent {
                let found = reported_by(text);
                assert!(
                    found.iter().all(|finding| finding.check != id),
                    "{id} reports\n{text}"
                );
            }
        }
    }

    #[test]
    fn findings_of_one_deployment_have_fingerprints_of_their_own() {
        let text = "services:\n  a:\n    privileged: true\n    pid: host\n    ipc: host\n    network_mode: host\n    \
                    volumes: [\"/etc:/e\", \"/:/h\", \"/var/run/docker.sock:/s\"]\n  b:\n    privileged: true\n";
        let found = reported_by(text);
        let unique: BTreeSet<_> = found.iter().map(|finding| &finding.fingerprint).collect();
        assert_eq!(unique.len(), found.len(), "{found:#?}");
    }
}
