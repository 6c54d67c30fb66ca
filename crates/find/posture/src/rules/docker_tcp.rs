//! The engine's API is reachable without a certificate.
//!
//! # What it finds
//! `DOCKER_HOST=tcp://…` with port 2375 or without `DOCKER_TLS_VERIFY`; an engine in the same
//! compose file that listens without TLS (`docker:dind` with an empty `DOCKER_TLS_CERTDIR`, or
//! `dockerd -H tcp://…:2375`); an engine that warns of it. A socket proxy that does not let `POST`
//! through is none.
//!
//! # Why it matters
//! Whoever reaches the port creates containers, also one that has the disk of the host. A server-side
//! request of the API is enough, since it takes no more than HTTP.
//!
//! # How it is proved
//! By the line that names or opens the port (`firm`). A scan proves it by an answer of the engine.
//!
//! # How to fix
//! Close the port, or let the engine ask for client certificates. Where a service has to act on
//! containers, let it ask a gate that knows a few typed actions.
//!
//! # References
//! - CWE-306 Missing Authentication for Critical Function
//! - CIS Docker Benchmark 2.7
//! - ATT&CK T1610 Deploy Container

use super::Subject;
use crate::conditions::open_engine;
use cofferdam_finding::{Condition, Confidence, Evidence, Finding, Meta, Severity};

pub(super) const META: Meta = Meta {
    id: "posture.docker-tcp",
    title: "The engine's API is reachable without a certificate",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Close port 2375, or require client certificates (`--tlsverify`) on 2376.",
    cwe: &[306, 668],
    owasp_api: None,
    attack: &["T1610", "T1611"],
};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    // An engine's warning about itself is reported once, by `posture.engine-tcp`.
    let of_container = subject.facts.fact(Condition::NetDockerTcp).is_some_and(|fact| {
        fact.evidence.iter().any(|piece| {
            piece.source.as_ref().is_none_or(|source| !source.text.starts_with("Warnings:"))
        })
    });
    let reached = of_container
        .then(|| subject.finding(&META, &[Condition::NetDockerTcp], None))
        .flatten();
    if let Some(finding) = reached {
        let text = format!("`{}` reaches an engine that asks for no certificate", subject.name);
        return vec![finding.described(text)];
    }
    // The engine's own service: its line says that it listens.
    let evidence: Vec<Evidence> = subject
        .descriptions
        .iter()
        .filter_map(|settings| open_engine(settings))
        .map(|at| at.shows("this engine listens without TLS"))
        .collect();
    let finding = subject.reported(&META, evidence, None);
    let text = format!("`{}` is an engine that asks for no certificate", subject.name);
    finding.map(|finding| finding.described(text)).into_iter().collect()
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &[
        "services:\n  a:\n    environment: {DOCKER_HOST: \"tcp://172.17.0.1:2375\"}\n",
        "services:\n  a:\n    environment: [\"DOCKER_HOST=tcp://docker:2376\"]\n",
        "services:\n  a: {image: x}\n  docker:\n    image: docker:27-dind\n    environment: {DOCKER_TLS_CERTDIR: \"\"}\n",
        "services:\n  a: {image: x}\n  d:\n    image: docker:dind\n    command: [\"dockerd\", \"-H\", \"tcp://0.0.0.0:2375\"]\n",
    ],
    silent: &[
        "services:\n  a:\n    environment: {DOCKER_HOST: \"tcp://docker:2376\", DOCKER_TLS_VERIFY: 1}\n  docker:\n    image: docker:dind\n",
        "services:\n  a:\n    environment: {DOCKER_HOST: \"unix:///run/docker.sock\"}\n",
        "services:\n  a:\n    environment: {DOCKER_HOST: \"tcp://proxy:2375\"}\n  proxy:\n    image: tecnativa/docker-socket-proxy\n    environment: {CONTAINERS: 1}\n",
    ],
};
