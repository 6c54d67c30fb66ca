//! The engine runs as root and nothing restricts its API.
//!
//! # What it finds
//! An engine that is not rootless and has no authorization plugin. User namespaces do not count: a
//! container may opt out of them when it is created.
//!
//! # Why it matters
//! Whoever controls such an engine creates a container that has the disk of the host: control of the
//! runtime is then control of the host.
//!
//! # How it is proved
//! By `docker info` (`firm`).
//!
//! # How to fix
//! Run the engine rootless, or put a policy before its API (an authorization plugin, a broker).
//!
//! # References
//! - CWE-250 Execution with Unnecessary Privileges
//! - Docker documentation: *Rootless mode*, *Access authorization plugin*
//! - ATT&CK T1611 Escape to Host

use super::Subject;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity};

pub(super) const META: Meta = Meta {
    id: "posture.engine-rootful",
    title: "The engine runs as root and nothing restricts its API",
    severity: Severity::Low,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Run the engine rootless, or put a policy before its API.",
    cwe: &[250, 269],
    owasp_api: None,
    attack: &["T1611"],
};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let finding = subject.finding(&META, &[Condition::EngineRootful], None);
    let text = "control of this engine is control of the host";
    finding.map(|finding| finding.described(text)).into_iter().collect()
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &["{\"ServerVersion\":\"28.0\",\"SecurityOptions\":[\"name=seccomp,profile=builtin\",\"name=userns\"]}"],
    silent: &[
        "{\"ServerVersion\":\"28.0\",\"SecurityOptions\":[\"name=seccomp,profile=builtin\",\"name=rootless\"]}",
        "{\"ServerVersion\":\"28.0\",\"SecurityOptions\":[\"name=seccomp,profile=builtin\"],\"Plugins\":{\"Authorization\":[\"opa\"]}}",
    ],
};
