//! A container has a capability that leads out of it.
//!
//! # What it finds
//! `SYS_ADMIN`, `SYS_MODULE`, `SYS_PTRACE`, `DAC_READ_SEARCH`, `SYS_RAWIO`, `BPF` and `PERFMON`, `NET_ADMIN`
//! and `ALL` in `cap_add`. What Docker gives by default is not reported.
//!
//! # Why it matters
//! Each gives root in the container a part of the kernel that is not divided by containers: mounting,
//! loading modules, reading memory or any file. `NET_ADMIN` matters on the network of the host.
//!
//! # How it is proved
//! By the line (`firm`), or live by the capability mask in `/proc/self/status` (`proven`).
//!
//! # How to fix
//! `cap_drop: [ALL]`, then add back what the service fails without.
//!
//! # References
//! - capabilities(7)
//! - CWE-250 Execution with Unnecessary Privileges
//! - CIS Docker Benchmark 5.4
//! - ATT&CK T1611 Escape to Host

use super::Subject;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity};

pub(super) const META: Meta = Meta {
    id: "posture.capability",
    title: "A container has a capability that leads out of it",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Drop all capabilities and add back only those that the service fails without.",
    cwe: &[250],
    owasp_api: None,
    attack: &["T1611"],
};

/// Those that lead out alone or nearly so.
const GRAVE: &[Condition] = &[
    Condition::CapSysAdmin,
    Condition::CapSysModule,
    Condition::CapSysPtrace,
    Condition::CapDacReadSearch,
    Condition::CapSysRawio,
    Condition::CapBpf,
];

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    // A privileged container has them all, which is its own finding.
    if subject.is(Condition::Privileged) {
        return Vec::new();
    }
    let mut conditions = GRAVE.to_vec();
    conditions.push(Condition::CapNetAdmin);
    let Some(finding) = subject.finding(&META, &conditions, None) else {
        return Vec::new();
    };
    let holds = |one: Condition| finding.conditions.contains(&one);
    let severity = if holds(Condition::CapSysAdmin)
        || holds(Condition::CapSysModule)
        || holds(Condition::CapDacReadSearch)
        || holds(Condition::CapSysRawio)
        || (holds(Condition::CapSysPtrace) && subject.is(Condition::NsPid))
    {
        Severity::High
    } else if GRAVE.iter().any(|one| holds(*one)) || subject.is(Condition::NsNet) {
        Severity::Medium
    } else {
        // In a network of its own NET_ADMIN is what a VPN container needs.
        Severity::Low
    };
    let names: Vec<&str> = finding.conditions.iter().map(|condition| condition.label()).collect();
    let text = format!("root in `{}` has {}", subject.name, names.join(", "));
    vec![finding.severity(severity).described(text)]
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &[
        "services:\n  a:\n    cap_add: [SYS_ADMIN]\n",
        "services:\n  a:\n    cap_add: [cap_net_admin]\n",
        "services:\n  a:\n    cap_add: [ALL]\n",
        "[{\"Id\":\"1\",\"Config\":{},\"HostConfig\":{\"CapAdd\":[\"CAP_SYS_PTRACE\"]}}]",
    ],
    silent: &[
        "services:\n  a:\n    cap_add: [NET_BIND_SERVICE, CHOWN, IPC_LOCK]\n    cap_drop: [ALL]\n",
        "services:\n  a:\n    cap_add: [ALL]\n    cap_drop: [SYS_ADMIN, SYS_MODULE, SYS_PTRACE, DAC_READ_SEARCH, SYS_RAWIO, BPF, PERFMON, NET_ADMIN]\n",
    ],
};
