//! The engine says that its API is open on TCP.
//!
//! # What it finds
//! The warning of `docker info` that the API is accessible over plain HTTP.
//!
//! # Why it matters
//! Whoever reaches the port creates containers, also one that has the disk of the host.
//!
//! # How it is proved
//! By the engine's own warning (`firm`).
//!
//! # How to fix
//! Close the port, or require client certificates (`--tlsverify`).
//!
//! # References
//! - CWE-306 Missing Authentication for Critical Function
//! - CIS Docker Benchmark 2.7
//! - ATT&CK T1610 Deploy Container

use super::Subject;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity};

pub(super) const META: Meta = Meta {
    id: "posture.engine-tcp",
    title: "The engine says that its API is open on TCP",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Close port 2375, or require client certificates (`--tlsverify`).",
    cwe: &[306],
    owasp_api: None,
    attack: &["T1610", "T1611"],
};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let finding = subject.finding(&META, &[Condition::NetDockerTcp], None);
    let text = "the engine warns that its API is accessible without encryption";
    finding.map(|finding| finding.described(text)).into_iter().collect()
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &["{\"ServerVersion\":\"28.0\",\"SecurityOptions\":[],\"Warnings\":[\"[DEPRECATION NOTICE]: API is accessible on http://0.0.0.0:2375 without encryption.\"]}"],
    silent: &["{\"ServerVersion\":\"28.0\",\"SecurityOptions\":[],\"Warnings\":[\"WARNING: No swap limit support\"]}"],
};
