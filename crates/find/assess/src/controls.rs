//! Controls of the posture rules: what of a deployment holds, and what no file tells.

use crate::routes::Known;
use cofferdam_finding::{Condition, Confidence, Control, ControlStatus, Finding, Truth};
use cofferdam_posture::Rule;

/// What each rule is about: the conditions that must be known to say that it holds.
const ABOUT: &[(&str, &[Condition])] = &[
    (
        "posture.runtime-socket",
        &[
            Condition::SockDocker,
            Condition::SockContainerd,
            Condition::SockCri,
        ],
    ),
    ("posture.privileged", &[Condition::Privileged]),
    ("posture.docker-tcp", &[Condition::NetDockerTcp]),
    (
        "posture.host-path",
        &[
            Condition::MountRoot,
            Condition::MountEtc,
            Condition::MountHome,
            Condition::MountVarlog,
            Condition::MountKubelet,
            Condition::MountDockerlib,
            Condition::MountProc,
            Condition::MountSys,
            Condition::MountBin,
            Condition::MountRun,
        ],
    ),
    ("posture.host-device", &[Condition::MountDev]),
    (
        "posture.host-namespace",
        &[
            Condition::NsPid,
            Condition::NsNet,
            Condition::NsIpc,
            Condition::NsPidShared,
        ],
    ),
    (
        "posture.capability",
        &[
            Condition::CapSysAdmin,
            Condition::CapSysModule,
            Condition::CapSysPtrace,
            Condition::CapDacReadSearch,
            Condition::CapSysRawio,
            Condition::CapBpf,
            Condition::CapNetAdmin,
        ],
    ),
    (
        "posture.unconfined",
        &[
            Condition::SeccompOff,
            Condition::ProcUnmasked,
            Condition::LsmOff,
        ],
    ),
    ("posture.mount-propagation", &[Condition::MountRshared]),
    ("posture.root", &[Condition::UserRoot]),
    ("posture.no-new-privileges", &[Condition::NnpOff]),
    ("posture.secret-in-environment", &[Condition::SecretsEnv]),
    ("posture.shared-volume", &[Condition::VolumeShared]),
    ("posture.engine-rootful", &[Condition::EngineRootful]),
    ("posture.engine-tcp", &[Condition::NetDockerTcp]),
    (
        "posture.outdated-runtime",
        &[Condition::RuncVuln, Condition::ShimAbstract],
    ),
];

/// What became of each posture rule over these containers: failed with a finding that is at least
/// firm, held when every condition that it is about is known not to hold in every container, and
/// untested otherwise.
pub(crate) fn posture(containers: &[Known], findings: &[Finding]) -> Vec<Control> {
    let known: Vec<&Known> = containers
        .iter()
        .filter(|known| known.named || !known.facts.is_empty())
        .collect();
    cofferdam_posture::rules()
        .iter()
        .map(|rule| control(rule, &known, findings))
        .collect()
}

fn control(rule: &Rule, containers: &[&Known], findings: &[Finding]) -> Control {
    let id = rule.meta.id;
    let own: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.check == id)
        .collect();
    let places: usize = own.iter().map(|finding| finding.places.len()).sum();
    let (status, reason) = if own
        .iter()
        .any(|finding| finding.confidence >= Confidence::Firm)
    {
        let s = if places == 1 { "" } else { "s" };
        (ControlStatus::Failed, format!("fails at {places} place{s}"))
    } else if containers.is_empty() {
        let reason = "no deployment file was given and nothing was read live";
        (ControlStatus::Untested, reason.to_owned())
    } else {
        let untold = with_truth(id, containers, Truth::Unknown);
        let elsewhere = with_truth(id, containers, Truth::Yes);
        if !own.is_empty() {
            (
                ControlStatus::Untested,
                "a sign, which no file settles".to_owned(),
            )
        } else if !elsewhere.is_empty() {
            let names = elsewhere.join(", ");
            let reason = format!("follows from another finding, or was read live, for {names}");
            (ControlStatus::Untested, reason)
        } else if untold.is_empty() {
            let s = if containers.len() == 1 { "" } else { "s" };
            (
                ControlStatus::Held,
                format!("in {} container{s}", containers.len()),
            )
        } else {
            (
                ControlStatus::Untested,
                format!("not told of {}", untold.join(", ")),
            )
        }
    };
    Control {
        check: id.to_owned(),
        title: rule.meta.title.to_owned(),
        status,
        reason,
        operations: 0,
    }
}

/// The containers of which a condition of the rule has this truth; a rule without conditions is
/// unknown of all.
fn with_truth<'a>(id: &str, containers: &[&'a Known], truth: Truth) -> Vec<&'a str> {
    let about = ABOUT.iter().find(|(rule, _)| *rule == id);
    let conditions = about.map_or(&[][..], |(_, conditions)| conditions);
    containers
        .iter()
        .filter(|known| {
            (conditions.is_empty() && truth == Truth::Unknown)
                || conditions
                    .iter()
                    .any(|condition| known.facts.truth(*condition) == truth)
        })
        .map(|known| known.name.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_finding::{Evidence, Fact, Facts, SourceLine};

    fn all(truth: Truth) -> Facts {
        let mut facts = Facts::new();
        for condition in Condition::ALL {
            let source = SourceLine {
                file: "inspect.json".to_owned(),
                line: Some(1),
                text: String::new(),
            };
            facts.learn(
                *condition,
                Fact {
                    truth,
                    confidence: Confidence::Firm,
                    evidence: vec![Evidence::new("it says so").source(source)],
                },
            );
        }
        facts
    }

    fn api(facts: Facts) -> Known {
        Known {
            name: "api".to_owned(),
            named: true,
            facts,
            source: None,
            shares_volumes_with: Vec::new(),
            api: true,
        }
    }

    #[test]
    fn the_table_knows_every_rule_and_the_conditions_of_its_findings() {
        let rules = cofferdam_posture::rules();
        assert_eq!(rules.len(), ABOUT.len());
        for rule in rules {
            assert!(
                ABOUT.iter().any(|(id, _)| *id == rule.meta.id),
                "{}",
                rule.meta.id
            );
        }
        for finding in cofferdam_posture::findings("api", &all(Truth::Yes)) {
            let about = ABOUT.iter().find(|(id, _)| *id == finding.check).unwrap().1;
            for condition in &finding.conditions {
                assert!(about.contains(condition), "{}: {condition}", finding.check);
            }
        }
    }

    #[test]
    fn what_no_file_tells_is_untested_and_not_held() {
        let statuses = |facts: Facts| -> Vec<ControlStatus> {
            posture(&[api(facts)], &[])
                .into_iter()
                .map(|control| control.status)
                .collect()
        };
        assert!(
            statuses(all(Truth::No))
                .iter()
                .all(|status| *status == ControlStatus::Held)
        );
        assert!(
            statuses(Facts::new())
                .iter()
                .all(|status| *status == ControlStatus::Untested)
        );
        assert!(
            posture(&[], &[])
                .iter()
                .all(|control| control.status == ControlStatus::Untested)
        );
    }

    #[test]
    fn a_firm_finding_fails_its_control() {
        let facts = all(Truth::Yes);
        let findings = cofferdam_posture::findings("api", &facts);
        let controls = posture(&[api(facts)], &findings);
        let privileged = controls
            .iter()
            .find(|control| control.check == "posture.privileged");
        assert_eq!(privileged.unwrap().status, ControlStatus::Failed);
    }
}
