//! A secret is in the environment of a container.
//!
//! # What it finds
//! Variables whose name is that of a password, token or key and whose value stands in the file, and
//! URLs with a password in them. A name that ends in `_FILE`, and a value that is a variable, are none.
//!
//! # Why it matters
//! The environment is in `/proc/self/environ`, in crash reports, and in the answer of the engine to
//! whoever may inspect the container; a flaw that reads one file of the container reads it.
//!
//! # How it is proved
//! By the line; the value is not kept (`firm`). Live, by the names in `/proc/self/environ` (`proven`).
//!
//! # How to fix
//! Pass secrets as files to the one process that needs them (`secrets:` and `…_FILE`).
//!
//! # References
//! - CWE-522 Insufficiently Protected Credentials, CWE-526 Cleartext Storage in an Environment Variable
//! - ATT&CK T1552.007 Container API

use super::Subject;
use cofferdam_finding::{Condition, Confidence, Finding, Meta, Severity};

pub(super) const META: Meta = Meta {
    id: "posture.secret-in-environment",
    title: "A secret is in the environment of a container",
    severity: Severity::Low,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Pass secrets as files to the one process that needs them.",
    cwe: &[522, 526],
    owasp_api: None,
    attack: &["T1552.007"],
};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let finding = subject.finding(&META, &[Condition::SecretsEnv], None);
    let text = format!("variables of `{}` hold secrets; their values are not shown", subject.name);
    finding.map(|finding| finding.described(text)).into_iter().collect()
}

#[cfg(test)]
pub(super) const SAMPLES: super::Samples = super::Samples {
    reports: &[
        "services:\n  a:\n    environment: {DB_PASSWORD: hunter2}\n",
        "services:\n  a:\n    environment: [\"DATABASE_URL=postgres://u:p@db/x\"]\n",
        "[{\"Id\":\"1\",\"Config\":{\"Env\":[\"API_KEY=k\"]},\"HostConfig\":{}}]",
    ],
    silent: &[
        "services:\n  a:\n    environment: {DB_PASSWORD_FILE: /run/secrets/db, TOKEN_TTL: 60, DB_PASSWORD: \"${DB_PASSWORD}\"}\n",
    ],
};
