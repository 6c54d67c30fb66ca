//! What a server-side request may reach from inside, and how its answers are known.

use cofferdam_finding::Condition;
use serde_json::Value;

/// One address that only the inside should reach.
pub(crate) struct Internal {
    /// The URL that is asked.
    pub(crate) url: &'static str,
    /// What answers there, for people.
    pub(crate) what: &'static str,
    /// What an answer establishes.
    pub(crate) condition: Condition,
    /// Whether a text is its answer.
    pub(crate) telling: fn(&str) -> bool,
}

const fn internal(
    url: &'static str,
    what: &'static str,
    condition: Condition,
    telling: fn(&str) -> bool,
) -> Internal {
    Internal {
        url,
        what,
        condition,
        telling,
    }
}

/// All of them, those first whose answer leads furthest. Only what is read without a change.
pub(crate) const INTERNAL: &[Internal] = &[
    internal(
        "http://docker:2375/version",
        "the Docker API without TLS",
        Condition::NetDockerTcp,
        is_version_text,
    ),
    internal(
        "http://host.docker.internal:2375/version",
        "the Docker API without TLS",
        Condition::NetDockerTcp,
        is_version_text,
    ),
    internal(
        "http://172.17.0.1:2375/version",
        "the Docker API without TLS",
        Condition::NetDockerTcp,
        is_version_text,
    ),
    internal(
        "http://127.0.0.1:2375/version",
        "the Docker API without TLS",
        Condition::NetDockerTcp,
        is_version_text,
    ),
    internal(
        "http://192.168.65.7:2375/version",
        "the engine of Docker Desktop",
        Condition::NetDockerDesktop,
        is_version_text,
    ),
    internal(
        "http://169.254.169.254/latest/meta-data/",
        "the instance metadata service",
        Condition::NetImdsV1,
        imds,
    ),
    internal(
        "http://metadata.google.internal/computeMetadata/v1/instance/",
        "the metadata server of Google Cloud",
        Condition::NetImdsHeader,
        needs_header,
    ),
    internal(
        "http://169.254.169.254/metadata/instance?api-version=2021-02-01",
        "the metadata service of Azure",
        Condition::NetImdsHeader,
        needs_header,
    ),
    internal(
        "http://172.17.0.1:10255/pods",
        "the kubelet's read-only port",
        Condition::NetKubeletRo,
        pods,
    ),
    internal(
        "https://172.17.0.1:10250/pods",
        "the kubelet without authentication",
        Condition::NetKubeletAnon,
        pods,
    ),
    internal(
        "http://127.0.0.1:10255/pods",
        "the kubelet's read-only port",
        Condition::NetKubeletRo,
        pods,
    ),
    internal(
        "https://127.0.0.1:10250/pods",
        "the kubelet without authentication",
        Condition::NetKubeletAnon,
        pods,
    ),
    internal(
        "https://kubernetes.default.svc/api/v1/namespaces",
        "the Kubernetes API without a credential",
        Condition::NetApiserverAnon,
        namespaces,
    ),
    internal(
        "http://127.0.0.1:2379/version",
        "etcd without a client certificate",
        Condition::NetEtcd,
        etcd,
    ),
];

/// Where an instance metadata service of the second version hands out a session.
pub(crate) const IMDS_SESSION: &str = "http://169.254.169.254/latest/api/token";

/// Whether a text is the engine's answer to `GET /version`.
pub(crate) fn is_version_text(text: &str) -> bool {
    json_in(text).is_some_and(|json| super::is_engine_version(&json))
}

/// The listing of `/latest/meta-data/`: names of categories, one a line.
fn imds(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    [
        "ami-id",
        "instance-id",
        "instance-type",
        "local-ipv4",
        "hostname",
        "iam/",
        "placement/",
        "mac",
    ]
    .iter()
    .filter(|name| lines.contains(*name))
    .count()
        >= 3
}

/// Google's and Azure's refusals name the header that is missing; the instance's listing shows it
/// was not even needed.
fn needs_header(text: &str) -> bool {
    let lower = text.to_lowercase();
    lower.contains("metadata-flavor")
        || lower.contains("required metadata header not specified")
        || text
            .lines()
            .filter(|line| matches!(line.trim(), "service-accounts/" | "machine-type" | "zone"))
            .count()
            >= 2
}

fn pods(text: &str) -> bool {
    kind(text, "PodList")
}

fn namespaces(text: &str) -> bool {
    kind(text, "NamespaceList")
}

fn kind(text: &str, kind: &str) -> bool {
    json_in(text).is_some_and(|json| json["kind"] == kind && json["items"].is_array())
}

fn etcd(text: &str) -> bool {
    json_in(text)
        .is_some_and(|json| json["etcdserver"].is_string() && json["etcdcluster"].is_string())
}

fn json_in(text: &str) -> Option<Value> {
    // An answer that was wrapped may carry a status line or header fields before the body.
    let from = text.find(['{', '['])?;
    serde_json::Deserializer::from_str(&text[from..])
        .into_iter::<Value>()
        .next()?
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_inside_is_known_by_its_shape() {
        assert!(is_version_text(
            "HTTP/1.1 200 OK\r\n\r\n{\"ApiVersion\":\"1.47\",\"Os\":\"linux\",\"GitCommit\":\"a\"}"
        ));
        assert!(imds("ami-id\nhostname\niam/\ninstance-id\n"));
        assert!(!imds(
            "the ami-id is not shown, nor is the hostname or iam/"
        ));
        assert!(needs_header("Missing Metadata-Flavor:Google header."));
        assert!(pods(r#"{"kind":"PodList","items":[]}"#));
        assert!(!pods(r#"{"kind":"Status"}"#));
        assert!(etcd(r#"{"etcdserver":"3.5.9","etcdcluster":"3.5.0"}"#));
        assert!(!is_version_text("http://docker:2375/version"));
    }

    #[test]
    fn no_address_is_asked_twice() {
        let mut seen = std::collections::BTreeSet::new();
        assert!(INTERNAL.iter().all(|internal| seen.insert(internal.url)));
    }
}
