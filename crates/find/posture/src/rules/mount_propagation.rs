//! Mounts made in a container appear on the host.
//!
//! # What it finds
//! A sensitive path of the host that is mounted with `shared` or `rshared` propagation.
//!
//! # Why it matters
//! With `SYS_ADMIN` a process in the container mounts something over a path of the host, which then
//! sees that instead of its own files.
//!
//! # How it is proved
//! By the line of the mount (`firm`), or by `shared:` in the mount table (`proven`).
//!
//! # How to fix
//! Use `rslave` when the container has to see new mounts of the host, `rprivate` otherwise.
//!
//! # References
//! - mount_namespaces(7)
//! - CWE-668 Exposure of Resource to Wrong Sphere
//! - CIS Docker Benchmark 5.20
//! - ATT&CK T1611 Escape to Host

use super::Subject;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity};

pub(super) const META: Meta = Meta {
    id: "posture.mount-propagation",
    title: "Mounts made in a container appear on the host",
    severity: Severity::Medium,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Use `rslave` or `rprivate` propagation.",
    cwe: &[668],
    owasp_api: None,
    attack: &["T1611"],
};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let finding = subject.finding(&META, &[Condition::MountRshared], None);
    let text = format!("what `{}` mounts below that path, the host sees", subject.name);
    finding.map(|finding| finding.described(text)).into_iter().collect()
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &["services:\n  a:\n    volumes: [\"/:/host:rshared\"]\n"],
    silent: &["services:\n  a:\n    volumes: [\"/:/host:ro,rslave\", \"/srv/media:/media:rshared\"]\n"],
};
