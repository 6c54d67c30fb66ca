//! A disk or the memory of the host is passed into a container.
//!
//! # What it finds
//! `devices` that name a disk, a partition, a mapped or a memory device. Terminals, graphics cards,
//! `/dev/fuse` and `/dev/net/tun` are none of it.
//!
//! # Why it matters
//! Root in the container reads and writes the file system of the host below all permissions.
//!
//! # How it is proved
//! By the line that passes the device (`firm`).
//!
//! # How to fix
//! Mount the directory that is needed, or let a process outside of the container do the work.
//!
//! # References
//! - CWE-668 Exposure of Resource to Wrong Sphere
//! - CIS Docker Benchmark 5.18
//! - ATT&CK T1006 Direct Volume Access, T1611 Escape to Host

use super::Subject;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity};

pub(super) const META: Meta = Meta {
    id: "posture.host-device",
    title: "A disk or the memory of the host is passed into a container",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Do not pass disks or memory devices; mount the directory that is needed.",
    cwe: &[250, 668],
    owasp_api: None,
    attack: &["T1611"],
};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    // A privileged container has them all, which is its own finding.
    if subject.is(Condition::Privileged) {
        return Vec::new();
    }
    let finding = subject.finding(&META, &[Condition::MountDev], None);
    let text = format!("`{}` has a disk or the memory of the host as a device", subject.name);
    finding.map(|finding| finding.described(text)).into_iter().collect()
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &[
        "services:\n  a:\n    devices: [\"/dev/sda:/dev/sda\"]\n",
        "[{\"Id\":\"1\",\"Config\":{},\"HostConfig\":{\"Devices\":[{\"PathOnHost\":\"/dev/mem\"}]}}]",
    ],
    silent: &["services:\n  a:\n    devices: [\"/dev/ttyUSB0:/dev/ttyUSB0\", \"/dev/dri\", \"/dev/fuse\"]\n"],
};
