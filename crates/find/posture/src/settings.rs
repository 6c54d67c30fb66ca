//! What a deployment file says about one container, in one shape for every format.

use crate::host_path::HostPath;
use cofferdam_finding::{Evidence, SourceLine};
use serde::{Deserialize, Serialize};

/// A value and the line that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) at: SourceLine,
}

impl<T> At<T> {
    /// The line as a piece of evidence for `shows`.
    pub(crate) fn shows(&self, shows: impl Into<String>) -> Evidence {
        Evidence::new(shows).source(self.at.clone())
    }
}

/// Which format it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A compose file: what is meant to run.
    Compose,
    /// `docker inspect`: what was created, the image's own settings included.
    Inspect,
}

/// A compose service or an inspected container.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) origin: Origin,
    /// The compose service's name, or the container's.
    pub(crate) name: String,
    /// Compose service and explicit container names, by which descriptions are joined.
    pub(crate) service: Option<String>,
    /// The compose project, where it is named: two projects may have services of one name.
    pub(crate) project: Option<String>,
    pub(crate) container_name: Option<String>,
    /// Where the description begins.
    pub(crate) at: SourceLine,
    /// Whether what is absent is known to be absent; false when `extends` was not followed.
    pub(crate) complete: bool,
    /// Members whose value is a variable without a default.
    pub(crate) unresolved: Vec<&'static str>,
    /// Whether more environment comes from files that were not read.
    pub(crate) more_environment: bool,
    /// Whether a kubelet made it.
    pub(crate) kubernetes: bool,
    pub(crate) image: Option<At<String>>,
    pub(crate) privileged: Option<At<bool>>,
    pub(crate) read_only: Option<At<bool>>,
    pub(crate) use_api_socket: Option<At<bool>>,
    /// An empty value is root, as the engine has it; absent means that the image decides.
    pub(crate) user: Option<At<String>>,
    pub(crate) groups: Vec<At<String>>,
    pub(crate) cap_add: Vec<At<String>>,
    pub(crate) cap_drop: Vec<At<String>>,
    pub(crate) security_opt: Vec<At<String>>,
    pub(crate) pid: Option<At<String>>,
    pub(crate) ipc: Option<At<String>>,
    pub(crate) network: Option<At<String>>,
    /// The compose networks it joins; empty when it has the host's, another's or none.
    pub(crate) networks: Vec<String>,
    pub(crate) userns: Option<At<String>>,
    pub(crate) runtime: Option<At<String>>,
    pub(crate) restart: Option<At<String>>,
    /// The profile that the engine reports, and whether SELinux labels the process.
    pub(crate) apparmor: Option<At<String>>,
    pub(crate) selinux_label: Option<At<String>>,
    /// Set when the engine reports an empty list of masked or read-only paths.
    pub(crate) unmasked: Option<At<()>>,
    pub(crate) mounts: Vec<At<Mount>>,
    pub(crate) devices: Vec<At<String>>,
    pub(crate) environment: Vec<At<Variable>>,
    pub(crate) published: Vec<At<PublishedPort>>,
    pub(crate) command: Vec<At<String>>,
}

impl Settings {
    pub(crate) fn new(origin: Origin, name: &str, at: SourceLine) -> Self {
        Self {
            origin,
            name: name.to_owned(),
            service: None,
            project: None,
            container_name: None,
            at,
            complete: true,
            unresolved: Vec::new(),
            more_environment: false,
            kubernetes: false,
            image: None,
            privileged: None,
            read_only: None,
            use_api_socket: None,
            user: None,
            groups: Vec::new(),
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            security_opt: Vec::new(),
            pid: None,
            ipc: None,
            network: None,
            networks: Vec::new(),
            userns: None,
            runtime: None,
            restart: None,
            apparmor: None,
            selinux_label: None,
            unmasked: None,
            mounts: Vec::new(),
            devices: Vec::new(),
            environment: Vec::new(),
            published: Vec::new(),
            command: Vec::new(),
        }
    }

    /// The value of a variable whose value is kept.
    pub(crate) fn variable(&self, name: &str) -> Option<&At<Variable>> {
        self.environment
            .iter()
            .find(|variable| variable.value.name == name)
    }
}

/// A mount as the container sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) source: MountSource,
    pub(crate) target: String,
    pub(crate) read_only: bool,
    pub(crate) propagation: Option<String>,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MountSource {
    /// A path of the host, as written and as understood.
    Host { written: String, path: HostPath },
    /// A named volume.
    Volume(String),
    /// Memory, an anonymous volume, an image, a cluster volume: nothing of the host.
    Private,
}

impl Mount {
    /// The host's path, when it is one.
    pub(crate) fn host(&self) -> Option<(&str, &HostPath)> {
        match &self.source {
            MountSource::Host { written, path } => Some((written, path)),
            _ => None,
        }
    }
}

/// An environment variable: its name, and what its value tells without being kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    /// Whether a literal value stands in the file.
    pub(crate) literal: bool,
    /// Whether the value is a URL with a password in it.
    pub(crate) url_password: bool,
    /// Kept only for the few names that say where an engine is, without user information.
    pub(crate) kept: Option<String>,
}

/// The variables whose values are kept: none of them is a secret.
const KEPT: &[&str] = &[
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_TLS_CERTDIR",
    "DOCKER_CERT_PATH",
    "POST",
];

/// Longest value that is kept, in bytes.
const MAX_KEPT: usize = 256;

impl Variable {
    /// Reads a variable; `value` is looked at and dropped.
    pub(crate) fn new(name: &str, value: Option<&str>) -> Self {
        let value = value.unwrap_or_default();
        let literal = !value.is_empty() && !value.contains("${");
        let user_info = value.split_once("://").and_then(|(_, rest)| {
            let authority = rest.split(['/', '?']).next()?;
            authority.rsplit_once('@')
        });
        let url_password = user_info.is_some_and(|(info, _)| {
            info.split_once(':')
                .is_some_and(|(_, password)| !password.is_empty() && !password.contains("${"))
        });
        let kept = (KEPT.contains(&name) && value.len() <= MAX_KEPT && user_info.is_none())
            .then(|| value.to_owned());
        Self {
            name: name.to_owned(),
            literal,
            url_password,
            kept,
        }
    }

    /// Whether a secret stands in the file, as far as its name or shape tells.
    pub(crate) fn is_secret(&self) -> bool {
        self.url_password || (self.literal && is_secret_name(&self.name))
    }
}

/// Whether a variable of this name holds a secret. `…_FILE` names a file, `PUBLIC` is public.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    if name.ends_with("_FILE")
        || name.ends_with("_PATH")
        || name.ends_with("_URL")
        || name.contains("PUBLIC")
        || name.starts_with("ALLOW_EMPTY")
        || name.contains("TOKEN_EXPIR")
        || name.contains("TOKEN_TTL")
        || name.contains("RANDOM_ROOT_PASSWORD")
        || name.contains("EMPTY_PASSWORD")
    {
        return false;
    }
    [
        "PASSWORD",
        "PASSWD",
        "SECRET",
        "API_KEY",
        "APIKEY",
        "PRIVATE_KEY",
        "ACCESS_KEY",
        "SIGNING_KEY",
        "ENCRYPTION_KEY",
        "CREDENTIAL",
    ]
    .iter()
    .any(|part| name.contains(part))
        || name == "TOKEN"
        || name.ends_with("_TOKEN")
        || name.ends_with("_PASS")
}

/// A port that the host offers on behalf of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The address on the host; absent means every address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The port on the host; absent when the engine chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<u16>,
    /// The port in the container.
    pub container: u16,
}

impl PublishedPort {
    /// Whether others than the host itself reach it.
    pub fn is_public(&self) -> bool {
        !self.address.as_deref().is_some_and(|address| {
            address.starts_with("127.") || address.trim_matches(['[', ']']) == "::1"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_name_or_by_the_password_in_a_url() {
        for (name, value) in [
            ("POSTGRES_PASSWORD", "hunter2"),
            ("JWT_SECRET", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("GITHUB_TOKEN", "x"),
            ("DATABASE_URL", "postgres://u:p@db/x"),
        ] {
            assert!(Variable::new(name, Some(value)).is_secret(), "{name}");
        }
        for (name, value) in [
            ("POSTGRES_PASSWORD_FILE", "/run/secrets/db"),
            ("POSTGRES_PASSWORD", ""),
            ("POSTGRES_PASSWORD", "${DB_PASSWORD}"),
            ("DATABASE_URL", "postgres://db/x"),
            ("DATABASE_URL", "postgres://u:${P}@db/x"),
            ("JWT_PUBLIC_KEY", "x"),
            ("TOKENIZERS", "4"),
            ("MYSQL_ALLOW_EMPTY_PASSWORD", "yes"),
        ] {
            assert!(
                !Variable::new(name, Some(value)).is_secret(),
                "{name}={value}"
            );
        }
    }

    #[test]
    fn no_value_of_a_variable_is_kept_but_where_the_engine_is() {
        let secret = Variable::new("API_KEY", Some("k-123456"));
        assert!(!format!("{secret:?}").contains("k-123456"));
        let engine = Variable::new("DOCKER_HOST", Some("tcp://docker:2375"));
        assert_eq!(engine.kept.as_deref(), Some("tcp://docker:2375"));
        let odd = Variable::new("DOCKER_HOST", Some("ssh://root:pw@host"));
        assert!(!format!("{odd:?}").contains("pw"), "{odd:?}");
    }
}
