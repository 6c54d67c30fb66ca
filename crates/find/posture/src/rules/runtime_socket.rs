//! A container runtime's socket is mounted into a container.
//!
//! # What it finds
//! `docker.sock`, `containerd.sock`, `crio.sock`, `cri-dockerd.sock`, `podman.sock` and
//! `buildkitd.sock` in any directory, the directories that hold them (`/run`, `/var/run`), the pipe of
//! Docker on Windows, and compose's `use_api_socket`. Where the root directory of the host is mounted
//! that is the cause, and `posture.host-path` reports it. Read-only mounts count: they keep
//! nobody from connecting. A socket proxy that lets nothing through that changes anything is low.
//!
//! # Why it matters
//! Whoever speaks to the socket creates containers, also one that has the disk of the host. A flaw
//! in the API that runs commands, or that speaks to unix sockets, is then a way to the host. A flaw
//! that only reads files is not: opening a socket fails.
//!
//! # How it is proved
//! By the line that mounts it (`firm`), or live: the mount table shows it, or opening its path
//! through a proven file read fails with `ENXIO` (`proven`).
//!
//! # How to fix
//! Take the mount away. Where the service has to act on containers, let it ask a gate that knows
//! a few typed actions; where another process has to, give the socket to that process alone. A user
//! that is neither root nor in the socket's group cannot connect.
//!
//! # References
//! - CWE-250 Execution with Unnecessary Privileges, CWE-668 Exposure of Resource to Wrong Sphere
//! - CIS Docker Benchmark 5.32
//! - ATT&CK T1610 Deploy Container, T1611 Escape to Host

use super::Subject;
use crate::conditions::is_filter;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity, SourceLine, Truth};

pub(super) const META: Meta = Meta {
    id: "posture.runtime-socket",
    title: "A container runtime's socket is mounted into a container",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Do not mount the socket or a directory that holds it; let the service ask for typed \
                  actions at a gate instead. A read-only mount does not help.",
    cwe: &[250, 668],
    owasp_api: None,
    attack: &["T1610", "T1611"],
};

const SOCKETS: &[Condition] = &[
    Condition::SockDocker,
    Condition::SockContainerd,
    Condition::SockCri,
];

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let sockets: Vec<Condition> = SOCKETS
        .iter()
        .copied()
        .filter(|socket| !is_within_root(subject, *socket))
        .collect();
    let Some(mut finding) = subject.finding(&META, &sockets, None) else {
        return Vec::new();
    };
    let kept_out = subject.facts.truth(Condition::UserRoot) == Truth::No
        && subject.facts.truth(Condition::UserDockergid) == Truth::No;
    if kept_out {
        // It takes another step, to root in the container, to speak to it.
        finding.severity = Severity::High;
    }
    let filters = !subject.descriptions.is_empty()
        && subject.descriptions.iter().all(|settings| {
            settings.published.is_empty() && is_filter(settings)
        });
    if filters {
        // A socket proxy that lets others only read is what keeps the socket from them.
        finding.severity = Severity::Low;
    }
    let kinds: Vec<&str> = finding
        .conditions
        .iter()
        .map(|condition| match condition {
            Condition::SockDocker => "docker",
            Condition::SockContainerd => "containerd",
            _ => "a CRI runtime",
        })
        .collect();
    let mut text = format!("`{}` can reach the socket of {}", subject.name, kinds.join(" and "));
    if subject.is(Condition::SockRo) {
        text.push_str("; that it is mounted read-only keeps nobody from connecting");
    }
    vec![finding.described(text)]
}

/// Whether the socket is there only because the root directory of the host is. Then that mount is the
/// cause, and `posture.host-path` reports it.
fn is_within_root(subject: &Subject<'_>, socket: Condition) -> bool {
    let pieces = |condition| {
        let fact = subject.facts.fact(condition);
        fact.filter(|fact| fact.truth == Truth::Yes)
            .map_or(&[][..], |fact| fact.evidence.as_slice())
    };
    let roots: Vec<&SourceLine> = pieces(Condition::MountRoot)
        .iter()
        .filter_map(|piece| piece.source.as_ref())
        .collect();
    // Where it is mounted: a socket that was looked for below is that of the host.
    let files = subject.descriptions.iter().flat_map(|settings| &settings.mounts);
    let mut points: Vec<&str> = files
        .filter(|mount| mount.value.host().is_some_and(|(_, path)| path.text() == "/"))
        .map(|mount| mount.value.target.as_str())
        .collect();
    points.extend(
        roots
            .iter()
            .filter(|source| source.file == "/proc/self/mountinfo")
            .filter_map(|source| source.text.split(' ').nth(4)),
    );
    let below = |path: &str| {
        points.iter().any(|point| {
            path.strip_prefix(point.trim_end_matches('/'))
                .is_some_and(|rest| rest.starts_with('/'))
        })
    };
    !roots.is_empty()
        && pieces(socket)
            .iter()
            .filter_map(|piece| piece.source.as_ref())
            .all(|source| roots.contains(&source) || below(&source.file))
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &[
        "services:\n  a:\n    volumes: [\"/var/run/docker.sock:/var/run/docker.sock:ro\"]\n",
        "services:\n  a:\n    volumes:\n      - type: bind\n        source: /run\n        target: /host/run\n",
        "services:\n  a:\n    volumes: [\"/:/host:ro\", \"/run/docker.sock:/s\"]\n",
        "services:\n  a:\n    use_api_socket: true\n",
        "services:\n  a:\n    volumes: [\"${SOCK:-/run/podman/podman.sock}:/var/run/docker.sock\"]\n",
    ],
    silent: &[
        "services:\n  a:\n    volumes: [\"/:/host:ro\"]\n",
        "services:\n  a:\n    volumes: [\"run:/run\", \"/run/postgresql:/run/postgresql\", \"./docker:/x\"]\nvolumes:\n  run:\n",
        "services:\n  a:\n    use_api_socket: false\n",
    ],
};
