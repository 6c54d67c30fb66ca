//! `broker.toml`: what the operator of a broker writes.

mod examine;
mod rotation;
mod warnings;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use cofferdam_action::action::ActionKind;
use cofferdam_action::floor::{Capabilities, Exception, FloorConfig, Images, LabelRules, Limits};
use cofferdam_sandbox::Enforcement;
use cofferdam_token::settings::{IssuerSettings, SettingsError};
use cofferdam_token::{KeyStore, PolicyError, Verifier};
use serde::Deserialize;

pub use examine::Examined;
pub use rotation::Rotation;

/// Bytes that a configuration file may have.
const MAX_FILE: u64 = 1 << 20;

/// The configuration of a broker. Unknown keys are refused. Paths that are relative begin at the
/// directory of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// Where the gate reaches the broker: a unix socket that the broker makes.
    pub socket: PathBuf,
    /// The mode of that socket.
    #[serde(default = "socket_mode", deserialize_with = "mode")]
    pub socket_mode: u32,
    /// The group of that socket, a name or a number; the broker's own where there is none.
    #[serde(default)]
    pub socket_group: Option<String>,
    /// As whom the gate runs, a name or a number. Nobody else is heard. Without it the gate runs as
    /// the same user as the broker, which is for development.
    #[serde(default)]
    pub gate_user: Option<String>,
    /// The engine's socket.
    pub engine: PathBuf,
    /// A directory of the broker's own: the audit log in `audit`, the owners in `owners`.
    pub state: PathBuf,
    /// The key that signs the audit log.
    pub audit_key: PathBuf,
    /// What of the audit log moves away while the broker runs; nothing where it does not say.
    #[serde(default, rename = "audit")]
    pub rotation: Option<Rotation>,
    /// The policies: a folder of `*.cedar` files. The shipped ones where there is none.
    #[serde(default)]
    pub policy: Option<PathBuf>,
    /// What a policy's denial does.
    #[serde(default)]
    pub policy_mode: PolicyMode,
    /// What becomes of a stream whose token is over.
    #[serde(default)]
    pub streams: Streams,
    /// Whose tokens are accepted.
    #[serde(default, rename = "issuer")]
    pub issuers: Vec<IssuerSettings>,
    /// The user to become, a name or a number.
    #[serde(default)]
    pub user: Option<String>,
    /// The group to become; the user's own where there is none.
    #[serde(default)]
    pub group: Option<String>,
    /// All further groups: that of the engine's socket.
    #[serde(default)]
    pub groups: Vec<String>,
    /// What happens where the process cannot be confined.
    #[serde(default)]
    pub sandbox: Enforcement,
    /// Connections of the gate at most. Each open stream takes one.
    #[serde(default = "connections")]
    pub connections: usize,

    /// The floor: the allowed images.
    #[serde(default)]
    pub images: Images,
    /// The floor: bounds of what a container may use up.
    #[serde(default)]
    pub limits: Limits,
    /// The floor: capabilities.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// The floor: labels that a caller may not set.
    #[serde(default)]
    pub labels: LabelRules,
    /// The floor: the scope that a health command takes.
    #[serde(default = "exec_scope")]
    pub exec_scope: String,
    /// The floor: what is allowed all the same.
    #[serde(default, rename = "exception")]
    pub exceptions: Vec<Exception>,

    /// The file that it was read from, for a reload.
    #[serde(skip)]
    source: Option<PathBuf>,
}

/// What a policy's denial does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyMode {
    /// The action is refused.
    #[default]
    Enforce,
    /// The action is done, and the audit log says that it would have been refused: for moving in.
    /// Never what concerns another tenant, and never the floor.
    WouldDeny,
}

/// What becomes of a stream whose token is over: output that is followed, events, a connection to a
/// container or an exec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Streams {
    /// It goes on to its own end: the token was valid when it began, and a job may take longer than
    /// its token is valid. Kubernetes has it so, too.
    #[default]
    OutliveToken,
    /// It is broken off when the token would no longer be accepted.
    EndWithToken,
}

/// What is wrong with a configuration. `Display` begins with the file, and its line where there is
/// one.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any configuration.
    #[error("{}: is larger than 1 MiB", .0.display())]
    TooLarge(PathBuf),
    /// It is no TOML, or has a member that is unknown or cannot be so.
    #[error("{}:{line}:{column}: {message}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// Groups to change to, and no user.
    #[error(
        "`{0}` needs `user`: without one the broker stays the user that starts it, with its groups"
    )]
    GroupWithoutUser(&'static str),
    /// An `[audit]` that moves nothing.
    #[error("`[audit]` says neither `keep` nor `keep_records`: how much stays in the log")]
    KeepsAll,
    /// An archive within the log.
    #[error("`audit.archive` is `{}`, which is within the log itself", .0.display())]
    ArchiveInLog(PathBuf),
    /// No `[[issuer]]`.
    #[error("no issuer is configured, so no token could be valid; add an `[[issuer]]`")]
    NoIssuer,
    /// An issuer without a file of keys.
    #[error(
        "issuer `{0}` has no `keys`: the broker has no network; name a file, and let \
         `cofferdam keys sync` keep it up to date"
    )]
    NoKeys(String),
    /// The settings of an issuer do not fit together.
    #[error(transparent)]
    Issuer(#[from] SettingsError),
    /// The settings of an issuer would let through what they must not.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl BrokerConfig {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`], with the line for what is wrong in it.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MAX_FILE + 1)
            .read_to_string(&mut text)
            .map_err(failed)?;
        if text.len() as u64 > MAX_FILE {
            return Err(ConfigError::TooLarge(path.to_owned()));
        }
        Self::parse(&text, path)
    }

    /// Reads a configuration from memory; `path` is what messages name.
    ///
    /// # Errors
    /// [`ConfigError`], with the line for what is wrong in it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self =
            toml::from_str(text).map_err(|error| ConfigError::syntax(path, text, &error))?;
        // From where it was started, which `/` is for a service, nothing follows.
        let source = std::path::absolute(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        config.begin_at(source.parent().unwrap_or(&source));
        config.source = Some(source);
        config.check()?;
        Ok(config)
    }

    /// The file that it was read from.
    #[must_use]
    pub fn source(&self) -> Option<&Path> {
        self.source.as_deref()
    }

    /// The floor that it makes.
    #[must_use]
    pub fn floor(&self) -> FloorConfig {
        FloorConfig {
            images: self.images.clone(),
            limits: self.limits.clone(),
            capabilities: self.capabilities.clone(),
            labels: self.labels.clone(),
            exec_scope: self.exec_scope.clone(),
            exceptions: self.exceptions.clone(),
        }
    }

    /// Where the audit log is.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.state.join("audit")
    }

    /// Where the journal of owners is.
    #[must_use]
    pub fn owners(&self) -> PathBuf {
        self.state.join("owners")
    }

    /// What weakens it, a sentence each, for `cofferdam config check`. The modes of the files that
    /// it names are looked at.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        warnings::of(self)
    }

    /// What it names, looked at: whether a broker would start with it.
    #[must_use]
    pub fn examine(&self) -> Examined {
        examine::of(self)
    }

    /// Lets relative paths begin at a directory.
    fn begin_at(&mut self, directory: &Path) {
        let keys = self.issuers.iter_mut().filter_map(|it| it.keys.as_mut());
        let archive = self.rotation.as_mut().map(|it| &mut it.archive);
        let own = [
            &mut self.socket,
            &mut self.engine,
            &mut self.state,
            &mut self.audit_key,
        ];
        for path in own
            .into_iter()
            .chain(keys)
            .chain(archive)
            .chain(&mut self.policy)
        {
            *path = directory.join(&path);
        }
    }

    /// What can be said without the files that it names.
    fn check(&self) -> Result<(), ConfigError> {
        if self.user.is_none() {
            if self.group.is_some() {
                return Err(ConfigError::GroupWithoutUser("group"));
            }
            if !self.groups.is_empty() {
                return Err(ConfigError::GroupWithoutUser("groups"));
            }
        }
        if let Some(rotation) = &self.rotation {
            if rotation.age.is_none() && rotation.records.is_none() {
                return Err(ConfigError::KeepsAll);
            }
            if rotation.archive.starts_with(self.audit()) {
                return Err(ConfigError::ArchiveInLog(rotation.archive.clone()));
            }
        }
        if self.issuers.is_empty() {
            return Err(ConfigError::NoIssuer);
        }
        if let Some(without) = self.issuers.iter().find(|issuer| issuer.keys.is_none()) {
            return Err(ConfigError::NoKeys(without.issuer.clone()));
        }
        let policies = self
            .issuers
            .iter()
            .map(|issuer| issuer.policy(KeyStore::empty()))
            .collect::<Result<Vec<_>, _>>()?;
        Verifier::new(policies)?;
        Ok(())
    }
}

impl ConfigError {
    fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        ConfigError::Syntax {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            message: error.message().trim_end().replace('\n', "; "),
        }
    }
}

const fn socket_mode() -> u32 {
    0o660
}

const fn connections() -> usize {
    4096
}

fn exec_scope() -> String {
    ActionKind::ExecCreate.scope().to_owned()
}

fn mode<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let mode = u32::deserialize(deserializer)?;
    match mode & !0o777 {
        0 => Ok(mode),
        _ => Err(serde::de::Error::custom(
            "a mode is at most 0o777; write it in octal, such as `0o660`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
socket = "/run/cofferdam/broker.sock"
gate_user = "cofferdam-gate"
engine = "/run/docker.sock"
state = "/var/lib/cofferdam"
audit_key = "/etc/cofferdam/audit.key"
policy = "/etc/cofferdam/policy"

[images]
allow = ["docker.io/library/*"]

[[issuer]]
issuer = "https://idp.example"
audience = "https://containers.example"
keys = "/etc/cofferdam/keys/idp.json"

[[exception]]
host_path = "/srv/builds"
below = true
mode = "rw"
scope = "builds:bind"
"#;

    fn parse(text: &str) -> Result<BrokerConfig, String> {
        BrokerConfig::parse(text, Path::new("broker.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_configuration_makes_the_floor_that_it_describes() {
        let config = parse(GOOD).unwrap();
        let floor = config.floor();
        assert_eq!(floor.exceptions.len(), 1);
        assert_eq!(floor.images.allow.len(), 1);
        assert_eq!(floor.exec_scope, FloorConfig::default().exec_scope);
        assert_eq!(floor.limits, FloorConfig::default().limits);
        assert_eq!(config.socket_mode, 0o660);
        assert_eq!(config.policy_mode, PolicyMode::Enforce);
        assert_eq!(config.sandbox, Enforcement::Required);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (change, into, place) in [
            (
                "gate_user",
                "gate_usr",
                "broker.toml:3:1: unknown field `gate_usr`",
            ),
            ("[\"docker.io/library/*\"]", "5", "broker.toml:10:9: "),
            ("mode = \"rw\"", "mode = \"rwx\"", "broker.toml:17:1: "),
            (
                "keys =",
                "algorithms = [\"HS256\"]\nkeys =",
                "broker.toml:15:14: `HS256` is an HMAC",
            ),
            (
                "audience = \"https://containers.example\"\n",
                "",
                "broker.toml:12:1: missing field `audience`",
            ),
            ("= \"https://containers.example\"", "= []", "an audience"),
            ("socket =", "socket_mode = 660\nsocket =", "octal"),
        ] {
            let text = GOOD.replace(change, into);
            let error = parse(&text).unwrap_err();
            assert!(error.contains(place), "{into}: {error}");
        }
    }

    #[test]
    fn paths_begin_at_the_directory_of_the_file() {
        let text = GOOD
            .replace("/run/cofferdam/", "")
            .replace("/run/docker.sock", "../docker.sock")
            .replace("/var/lib/cofferdam", "state")
            .replace("/etc/cofferdam/", "");
        let text = format!("{text}\n[audit]\narchive = \"old\"\nkeep = \"90d\"\n");
        let at = |path: &str| {
            let config = BrokerConfig::parse(&text, Path::new(path)).unwrap();
            let source = config.source().unwrap().to_owned();
            let paths = [
                config.socket.clone(),
                config.engine.clone(),
                config.audit(),
                config.audit_key.clone(),
                config.policy.clone().unwrap(),
                config.issuers[0].keys.clone().unwrap(),
                config.rotation.unwrap().archive,
            ];
            (source, paths)
        };
        let (source, paths) = at("/a/b/broker.toml");
        assert_eq!(source, Path::new("/a/b/broker.toml"));
        let expected = [
            "/a/b/broker.sock",
            "/a/b/../docker.sock",
            "/a/b/state/audit",
            "/a/b/audit.key",
            "/a/b/policy",
            "/a/b/keys/idp.json",
            "/a/b/old",
        ];
        assert_eq!(paths, expected.map(PathBuf::from));
        let here = std::env::current_dir().unwrap();
        let (source, paths) = at("broker.toml");
        assert_eq!(source, here.join("broker.toml"));
        assert_eq!(paths[0], here.join("broker.sock"));
    }

    #[test]
    fn groups_are_nothing_without_a_user_to_become() {
        for (line, key) in [
            ("group = 'docker'", "group"),
            ("groups = ['docker']", "groups"),
        ] {
            let text = format!("{line}\n{GOOD}");
            let error = parse(&text).unwrap_err();
            assert!(error.contains(&format!("`{key}` needs `user`")), "{error}");
            assert!(parse(&format!("user = 'broker'\n{text}")).is_ok());
        }
    }

    #[test]
    fn what_moves_away_is_said_with_where_to() {
        let with = |text: &str| parse(&format!("{GOOD}\n[audit]\narchive = '/srv/old'\n{text}"));
        let rotation = with("keep = '90d'\nkeep_records = 1000000")
            .unwrap()
            .rotation;
        let keep = rotation.unwrap().keep();
        assert_eq!(keep.age.unwrap().as_secs(), 90 * 24 * 3600);
        assert_eq!(keep.entries, Some(1_000_000));
        for (text, word) in [
            ("", "neither `keep` nor `keep_records`"),
            ("keep = 90", "broker.toml:25:8: "),
            ("keep = '-1d'", "broker.toml:25:8: `-1d` is no time"),
            ("keep = '1 month'", "is no time"),
            ("keep = ''", "is no time"),
            ("kep = '1d'", "unknown field `kep`"),
        ] {
            let error = with(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        let within =
            format!("{GOOD}\n[audit]\nkeep = '1d'\narchive = '/var/lib/cofferdam/audit/x'");
        assert!(parse(&within).unwrap_err().contains("within the log"));
    }

    #[test]
    fn the_broker_fetches_no_keys() {
        let text = GOOD.replace("keys = \"/etc/cofferdam/keys/idp.json\"", "discover = true");
        assert!(parse(&text).unwrap_err().contains("keys sync"));
        let (head, _) = GOOD.split_once("[[issuer]]").unwrap();
        assert!(parse(head).unwrap_err().contains("[[issuer]]"));
    }
}
