//! A container shares a namespace with the host.
//!
//! # What it finds
//! The host's process, network or IPC namespace (`pid: host`, `network_mode: host`, `ipc: host`), a
//! process namespace shared with another container, and a container that opts out of user namespaces
//! (`userns_mode: host`).
//!
//! # Why it matters
//! The process namespace shows the host's processes with their command lines, and together with
//! `SYS_PTRACE` their memory. The network namespace gives the loopback of the host, where services trust
//! whoever reaches them. The IPC namespace gives shared memory of others.
//!
//! # How it is proved
//! By the line (`firm`); the process namespace also live, by the name of process 1.
//!
//! # How to fix
//! Leave the member out. Publish ports instead of sharing the network.
//!
//! # References
//! - CWE-668 Exposure of Resource to Wrong Sphere
//! - CIS Docker Benchmark 5.10, 5.16, 5.17, 5.31
//! - ATT&CK T1611 Escape to Host

use super::Subject;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity};

pub(super) const META: Meta = Meta {
    id: "posture.host-namespace",
    title: "A container shares a namespace with the host",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Leave the namespace to the container; publish the ports that are needed.",
    cwe: &[668],
    owasp_api: None,
    attack: &["T1611"],
};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    [
        (Condition::NsPid, "pid", Severity::High, "sees and may signal the processes of the host"),
        (Condition::NsNet, "network", Severity::Medium, "is on the network of the host, its loopback included"),
        (Condition::NsIpc, "ipc", Severity::Medium, "shares memory segments and queues with the host"),
        (Condition::NsPidShared, "pid-shared", Severity::Low, "sees the processes of another container"),
    ]
    .into_iter()
    .filter_map(|(condition, part, severity, what)| {
        let finding = subject.finding(&META, &[condition], Some(part))?;
        let shared = condition == Condition::NsPidShared;
        let whose = if shared { "another container" } else { "the host" };
        let name = part.trim_end_matches("-shared");
        let title = format!("`{}` shares the {name} namespace of {whose}", subject.name);
        let text = format!("`{}` {what}", subject.name);
        Some(finding.severity(severity).titled(title).described(text))
    })
    .collect()
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &[
        "services:\n  a:\n    pid: host\n",
        "services:\n  a:\n    network_mode: host\n",
        "services:\n  a:\n    pid: service:b\n  b: {image: x}\n",
        "[{\"Id\":\"1\",\"Config\":{},\"HostConfig\":{\"IpcMode\":\"host\"}}]",
    ],
    silent: &[
        "services:\n  a:\n    network_mode: bridge\n    ipc: private\n",
        "[{\"Id\":\"1\",\"Config\":{},\"HostConfig\":{\"IpcMode\":\"private\",\"PidMode\":\"\",\"NetworkMode\":\"shop_default\"}}]",
    ],
};
