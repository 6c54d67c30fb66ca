//! A container runs as root.
//!
//! # What it finds
//! A user that is root by name or number, or none where docker's own description says so. A compose
//! file without `user` says nothing, since the image decides: that is reported as tentative.
//!
//! # Why it matters
//! Most ways out of a container, and connecting to most sockets, take root in it.
//!
//! # How it is proved
//! By the line (`firm`), or live by `/proc/self/status` (`proven`).
//!
//! # How to fix
//! `USER` in the image or `user:` in the deployment, with a number above 0.
//!
//! # References
//! - CWE-250 Execution with Unnecessary Privileges
//! - CIS Docker Benchmark 4.1
//! - ATT&CK T1611 Escape to Host

use super::Subject;
use cofferdam_finding::{Condition, Confidence, Evidence, Finding, Meta, Severity, Truth};

pub(super) const META: Meta = Meta {
    id: "posture.root",
    title: "A container runs as root",
    severity: Severity::Low,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Run as a user with a number above 0, in the image or in the deployment.",
    cwe: &[250],
    owasp_api: None,
    attack: &["T1611"],
};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    if let Some(finding) = subject.finding(&META, &[Condition::UserRoot], None) {
        let text = format!("the process of `{}` has user number 0", subject.name);
        return vec![finding.described(text)];
    }
    if subject.facts.truth(Condition::UserRoot) != Truth::Unknown {
        return Vec::new();
    }
    let evidence: Vec<Evidence> = subject
        .descriptions
        .iter()
        .filter(|settings| settings.user.is_none())
        .map(|settings| Evidence::new("no `user` is set: the image decides").source(settings.at.clone()))
        .collect();
    let finding = subject.reported(&META, evidence, None);
    let text = format!("`{}` sets no user, and most images then run as root", subject.name);
    finding
        .map(|finding| finding.confidence(Confidence::Tentative).described(text))
        .into_iter()
        .collect()
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &[
        "services:\n  a:\n    user: root\n",
        "services:\n  a:\n    user: \"0:0\"\n",
        "services:\n  a:\n    image: b\n",
        "[{\"Id\":\"1\",\"Config\":{\"User\":\"\"},\"HostConfig\":{}}]",
    ],
    silent: &[
        "services:\n  a:\n    user: 1000:1000\n",
        "services:\n  a:\n    user: ${UID}\n",
        "[{\"Id\":\"1\",\"Config\":{\"User\":\"node\"},\"HostConfig\":{}}]",
    ],
};
