//! The runtime has a known way out of its containers.
//!
//! # What it finds
//! runc before 1.2.8, 1.3.3 or 1.4.0-rc.3, and containerd before 1.3.9 or 1.4.3, where `docker info`
//! names a version.
//!
//! # Why it matters
//! CVE-2025-31133, CVE-2025-52565, CVE-2025-52881 and older ones let a container write files of the
//! host while it is created; CVE-2020-15257 gives the containerd shim to the host's network.
//!
//! # How it is proved
//! By the version. Distributions mend old versions without a new number, so this is `tentative`.
//!
//! # How to fix
//! Update runc and containerd.
//!
//! # References
//! - CVE-2019-5736, CVE-2024-21626, CVE-2025-31133, CVE-2025-52565, CVE-2025-52881, CVE-2020-15257
//! - CWE-1395 Dependency on Vulnerable Third-Party Component
//! - ATT&CK T1611 Escape to Host

use super::Subject;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity};

pub(super) const META: Meta = Meta {
    id: "posture.outdated-runtime",
    title: "The runtime has a known way out of its containers",
    severity: Severity::Medium,
    confidence: Confidence::Tentative,
    since: "0.1.0",
    active: false,
    remediation: "Update runc and containerd.",
    cwe: &[1395],
    owasp_api: None,
    attack: &["T1611"],
};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let conditions = [Condition::RuncVuln, Condition::ShimAbstract];
    let finding = subject.finding(&META, &conditions, None);
    let text = "the version has a known way out, unless the distribution has mended it";
    finding.map(|finding| finding.described(text)).into_iter().collect()
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &["{\"ServerVersion\":\"26.0\",\"SecurityOptions\":[],\"RuncCommit\":{\"ID\":\"v1.1.12-0-g51d5e94\"}}"],
    silent: &[
        "{\"ServerVersion\":\"29.0\",\"SecurityOptions\":[],\"RuncCommit\":{\"ID\":\"v1.3.3-0-gd842d77\"}}",
        "{\"ServerVersion\":\"26.0\",\"SecurityOptions\":[],\"RuncCommit\":{\"ID\":\"51d5e94601ceffbbd85688df1c928ecccbfa4685\"}}",
    ],
};
