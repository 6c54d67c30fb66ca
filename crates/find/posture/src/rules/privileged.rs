//! A container is privileged.
//!
//! # What it finds
//! `privileged: true`: every capability, no seccomp filter, no AppArmor or SELinux profile, the
//! devices of the host, and kernel files that can be written.
//!
//! # Why it matters
//! Root in a privileged container is root on the host in one step, for instance by mounting the disk
//! of the host. Whatever runs commands through the API is then on the host.
//!
//! # How it is proved
//! By the line (`firm`), or live by `/proc/self/status` and the mount table together (`proven`).
//!
//! # How to fix
//! `privileged: false`. Where a device or a capability is needed, pass that one.
//!
//! # References
//! - CWE-250 Execution with Unnecessary Privileges
//! - CIS Docker Benchmark 5.5
//! - ATT&CK T1611 Escape to Host

use super::Subject;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity};

pub(super) const META: Meta = Meta {
    id: "posture.privileged",
    title: "A container is privileged",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Set `privileged: false` and pass the one device or capability that is needed.",
    cwe: &[250],
    owasp_api: None,
    attack: &["T1611"],
};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let finding = subject.finding(&META, &[Condition::Privileged], None);
    let text = format!("root in `{}` is root on the host in one step", subject.name);
    finding.map(|finding| finding.described(text)).into_iter().collect()
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &[
        "services:\n  a:\n    privileged: true\n",
        "x-b: &b\n  privileged: yes\nservices:\n  a:\n    <<: *b\n",
        "[{\"Id\":\"1\",\"Name\":\"/a\",\"Config\":{\"User\":\"1\"},\"HostConfig\":{\"Privileged\":true}}]",
    ],
    silent: &["services:\n  a:\n    privileged: ${PRIVILEGED:-false}\n", "services:\n  a:\n    image: b\n"],
};
