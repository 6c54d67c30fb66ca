//! A writable volume is shared between containers.
//!
//! # What it finds
//! A named volume that this container mounts writable and another one mounts too.
//!
//! # Why it matters
//! Who writes files in the one container may run in the other, if that one loads or serves them.
//!
//! # How it is proved
//! By the lines (`firm` that it is shared; whether the other runs what is in it is not known, so the
//! finding is `tentative`).
//!
//! # How to fix
//! Mount it read-only wherever it is not written, and do not share it across levels of trust.
//!
//! # References
//! - CWE-732 Incorrect Permission Assignment
//! - ATT&CK T1080 Taint Shared Content

use super::Subject;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity};

pub(super) const META: Meta = Meta {
    id: "posture.shared-volume",
    title: "A writable volume is shared between containers",
    severity: Severity::Low,
    confidence: Confidence::Tentative,
    since: "0.1.0",
    active: false,
    remediation: "Mount the volume read-only where it is not written.",
    cwe: &[732],
    owasp_api: None,
    attack: &["T1080"],
};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let finding = subject.finding(&META, &[Condition::VolumeShared], None);
    let text = format!("what `{}` writes there, another container reads", subject.name);
    finding.map(|finding| finding.described(text)).into_iter().collect()
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &["services:\n  a:\n    volumes: [\"s:/x\"]\n  b:\n    volumes: [\"s:/y:ro\"]\nvolumes:\n  s:\n"],
    silent: &["services:\n  a:\n    volumes: [\"s:/x\"]\n  b:\n    volumes: [\"t:/y\"]\nvolumes:\n  s:\n  t:\n"],
};
