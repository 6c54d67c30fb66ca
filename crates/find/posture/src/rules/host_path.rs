//! A sensitive path of the host is mounted into a container.
//!
//! # What it finds
//! The root directory, `/etc` and what in it decides over the host (cron, ssh, passwd, systemd), homes
//! and keys in them, `/proc`, `/sys`, `/dev`, programs and kernel modules, the data of docker and of
//! kubelet, logs, and credentials of a person such as `~/.aws`. Named volumes, the files of a project
//! and things like `/etc/localtime` are none of it.
//!
//! # Why it matters
//! What is mounted writable can make the host run something: a cron file, a key for ssh, a unit. What
//! is mounted read-only can be read by any flaw of the API that reads files.
//!
//! # How it is proved
//! By the line of the mount (`firm`), or by the mount table of the running container (`proven`).
//!
//! # How to fix
//! Use a named volume, or mount the one file that is needed, read-only.
//!
//! # References
//! - CWE-552 Files Accessible to External Parties, CWE-732 Incorrect Permission Assignment
//! - CIS Docker Benchmark 5.6
//! - ATT&CK T1611 Escape to Host

use super::Subject;
use crate::Sensitivity;
use crate::host_path::Socket;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity, Truth};

pub(super) const META: Meta = Meta {
    id: "posture.host-path",
    title: "A sensitive path of the host is mounted into a container",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Use a named volume, or mount only the file that is needed, read-only.",
    cwe: &[552, 732],
    owasp_api: None,
    attack: &["T1611"],
};

/// Conditions of a live reading, where there are no mounts to look at one by one.
const CONDITIONS: &[Condition] = &[
    Condition::MountRoot,
    Condition::MountEtc,
    Condition::MountHome,
    Condition::MountVarlog,
    Condition::MountKubelet,
    Condition::MountDockerlib,
    Condition::MountProc,
    Condition::MountBin,
];

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    if subject.descriptions.is_empty() {
        let writable = subject.facts.truth(Condition::MountRo) == Truth::No;
        let root = subject.is(Condition::MountRoot);
        let finding = subject.finding(&META, CONDITIONS, None);
        return finding
            .map(|finding| {
                let severity = if root {
                    Severity::Critical
                } else if writable { Severity::High } else { Severity::Medium };
                finding.severity(severity).described(format!(
                    "the mount table of `{}` shows paths of the host",
                    subject.name
                ))
            })
            .into_iter()
            .collect();
    }
    let mut findings: Vec<Finding> = Vec::new();
    for mount in subject.descriptions.iter().flat_map(|settings| &settings.mounts) {
        let Some((written, path)) = mount.value.host() else {
            continue;
        };
        let writable = !mount.value.read_only;
        let Some(sensitivity) = path.sensitivity(writable) else {
            continue;
        };
        let evidence = mount.shows(format!("`{written}` is mounted at `{}`", mount.value.target));
        // The same mount in a compose file and in an inspection is one finding.
        let known = findings
            .iter_mut()
            .find(|known| known.places.first().and_then(|p| p.parameter.as_deref()) == Some(path.text()));
        if let Some(known) = known {
            let more = subject.reported(&META, vec![evidence], Some(path.text()));
            if let Some(more) = more {
                known.places.extend(more.places);
                known.evidence.extend(more.evidence);
            }
            continue;
        }
        let Some(finding) = subject.reported(&META, vec![evidence], Some(path.text())) else {
            continue;
        };
        let (severity, why) = judge(sensitivity);
        let mut finding = finding
            .severity(severity)
            .titled(format!("`{written}` of the host is mounted into `{}`", subject.name))
            .described(format!("{why}; it is mounted {}", if writable { "writable" } else { "read-only" }));
        finding.conditions = path.conditions(writable);
        if path.sockets().contains(&Socket::Docker) {
            // A read-only mount keeps nobody from connecting.
            finding.severity = Severity::Critical;
            finding.description.push_str("; the engine's socket lies in it");
        }
        findings.push(finding);
    }
    findings
}

fn judge(sensitivity: Sensitivity) -> (Severity, &'static str) {
    match sensitivity {
        Sensitivity::Host => (Severity::Critical, "writing there makes the host run something"),
        Sensitivity::HostData => (Severity::High, "it holds secrets of the host or of other containers"),
        Sensitivity::Credentials => (Severity::Medium, "it holds the credentials of a person or an account"),
        Sensitivity::Logs => (Severity::Low, "it tells what the host does"),
    }
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &[
        "services:\n  a:\n    volumes: [\"/etc:/host/etc\"]\n",
        "services:\n  a:\n    volumes: [\"~/.aws:/root/.aws:ro\"]\n",
        "services:\n  a:\n    volumes: [\"x:/x\"]\nvolumes:\n  x:\n    driver_opts: {type: none, o: bind, device: /root}\n",
        "services:\n  a:\n    volumes: [\"/var/lib/docker:/d:ro\"]\n",
    ],
    silent: &[
        "services:\n  a:\n    volumes: [\"/etc/localtime:/etc/localtime:ro\", \"./conf:/etc/nginx:ro\", \"data:/data\", \"/srv/x:/x\"]\nvolumes:\n  data:\n",
        "services:\n  a:\n    tmpfs: [/tmp]\n    volumes: [/var/lib/mysql]\n",
    ],
};
