//! A process in a container may gain privileges.
//!
//! # What it finds
//! Containers without `no-new-privileges`, unless the engine sets it for all.
//!
//! # Why it matters
//! A program with the set-user bit in the image then makes root out of any user.
//!
//! # How it is proved
//! By its absence (`firm`), or live by `/proc/self/status` (`proven`).
//!
//! # How to fix
//! `security_opt: [no-new-privileges:true]`, or `"no-new-privileges": true` in the engine's `daemon.json`.
//!
//! # References
//! - PR_SET_NO_NEW_PRIVS(2const)
//! - CWE-250 Execution with Unnecessary Privileges
//! - CIS Docker Benchmark 5.26
//! - ATT&CK T1548.001 Setuid and Setgid

use super::Subject;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity};

pub(super) const META: Meta = Meta {
    id: "posture.no-new-privileges",
    title: "A process in a container may gain privileges",
    severity: Severity::Low,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Set `security_opt: [no-new-privileges:true]`.",
    cwe: &[250],
    owasp_api: None,
    attack: &["T1548.001"],
};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let finding = subject.finding(&META, &[Condition::NnpOff], None);
    let text = format!("`no-new-privileges` is not set for `{}`", subject.name);
    finding.map(|finding| finding.described(text)).into_iter().collect()
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &["services:\n  a:\n    image: b\n", "services:\n  a:\n    security_opt: [\"no-new-privileges:false\"]\n"],
    silent: &[
        "services:\n  a:\n    security_opt: [\"no-new-privileges:true\"]\n",
        "services:\n  a:\n    security_opt: [no-new-privileges]\n",
    ],
};
