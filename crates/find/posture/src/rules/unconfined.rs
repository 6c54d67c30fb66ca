//! A confinement that the engine applies by default is switched off.
//!
//! # What it finds
//! `seccomp:unconfined`, `apparmor:unconfined`, `label:disable`, `systempaths=unconfined`, an engine
//! without a seccomp filter, and `/proc` that is not masked.
//!
//! # Why it matters
//! The default filter keeps a container from hundreds of system calls, among them those that most
//! kernel flaws need; the default profile keeps it from mounting and from foreign processes.
//!
//! # How it is proved
//! By the line (`firm`), or live by `/proc/self/status`, `attr/current` and the mount table (`proven`).
//!
//! # How to fix
//! Leave the option out, or write a profile that allows the one call that is missing.
//!
//! # References
//! - CWE-693 Protection Mechanism Failure
//! - CIS Docker Benchmark 5.2, 5.3, 5.22
//! - ATT&CK T1611 Escape to Host

use super::Subject;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity};

pub(super) const META: Meta = Meta {
    id: "posture.unconfined",
    title: "A confinement that the engine applies by default is switched off",
    severity: Severity::Medium,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Leave the default profiles on, or allow the one call that is missing in a profile of your own.",
    cwe: &[693],
    owasp_api: None,
    attack: &["T1611"],
};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    // A privileged container has none of them, which is its own finding.
    if subject.is(Condition::Privileged) {
        return Vec::new();
    }
    [
        (Condition::SeccompOff, "seccomp", Severity::Medium, "no system call is filtered"),
        (Condition::ProcUnmasked, "proc", Severity::Medium, "kernel files in /proc are neither masked nor read-only"),
        (Condition::LsmOff, "lsm", Severity::Low, "neither AppArmor nor SELinux confines it"),
    ]
    .into_iter()
    .filter_map(|(condition, part, severity, what)| {
        let finding = subject.finding(&META, &[condition], Some(part))?;
        Some(
            finding
                .severity(severity)
                .titled(format!("`{}` runs without a confinement that is on by default", subject.name))
                .described(format!("in `{}` {what}", subject.name)),
        )
    })
    .collect()
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &[
        "services:\n  a:\n    security_opt: [\"seccomp:unconfined\"]\n",
        "services:\n  a:\n    security_opt: [apparmor=unconfined]\n",
        "services:\n  a:\n    security_opt: [systempaths=unconfined]\n",
        "[{\"Id\":\"1\",\"Config\":{},\"AppArmorProfile\":\"docker-default\",\"HostConfig\":{\"MaskedPaths\":[]}}]",
    ],
    silent: &[
        "services:\n  a:\n    security_opt: [no-new-privileges:true, \"seccomp:./profile.json\"]\n",
        "[{\"Id\":\"1\",\"Config\":{},\"AppArmorProfile\":\"docker-default\",\"HostConfig\":{\"MaskedPaths\":[\"/proc/kcore\"]}}]",
    ],
};
