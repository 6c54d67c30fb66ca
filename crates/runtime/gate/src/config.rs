//! `gate.toml`: what the operator of a gate writes.

mod examine;
mod limits;
mod text;
mod warnings;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use cofferdam_guard::metadata_url;
use cofferdam_sandbox::Enforcement;
use cofferdam_token::settings::{IssuerSettings, SettingsError};
use cofferdam_token::{KeyStore, PolicyError, Verifier};
use serde::Deserialize;

pub use examine::Examined;
pub use limits::LimitSettings;

/// Bytes that a configuration file may have.
const MAX_FILE: u64 = 1 << 20;

/// Where systems keep the certificates of the authorities that they trust. Those of Debian are links
/// from the first into the last two.
const SYSTEM_CERTIFICATES: &[&str] = &[
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/var/lib/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// The configuration of a gate. Unknown keys are refused. Paths that are relative begin at the
/// directory of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateConfig {
    /// Where the Docker Engine API is served; port 0 picks one.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// Where the REST API is served; port 0 picks one.
    #[serde(default)]
    pub listen_rest: Option<SocketAddr>,
    /// How both are encrypted.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// Allows another address than one of this machine without TLS, for a proxy in front that does
    /// it. Tokens pass in the clear then.
    #[serde(default)]
    pub plain_http: bool,
    /// The broker's socket.
    pub broker: PathBuf,
    /// The URL by which clients know the REST API, with https unless it is of this machine. Challenges
    /// of both dialects lead from it to the metadata that says where a token is to be had (RFC 9728),
    /// which the REST API serves.
    #[serde(default)]
    pub public_url: Option<String>,
    /// How much may be asked at once.
    #[serde(default)]
    pub limits: LimitSettings,
    /// Whose tokens are accepted.
    #[serde(default, rename = "issuer")]
    pub issuers: Vec<IssuerSettings>,
    /// The user to become, a name or a number.
    #[serde(default)]
    pub user: Option<String>,
    /// The group to become; the user's own where there is none.
    #[serde(default)]
    pub group: Option<String>,
    /// What happens where the process cannot be confined.
    #[serde(default)]
    pub sandbox: Enforcement,
    /// The file that it was read from, for a reload.
    #[serde(skip)]
    source: Option<PathBuf>,
}

/// `[tls]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The certificate chain in PEM, the server's own first.
    pub cert: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
    /// The authorities of client certificates in PEM. Without it no client is asked for one.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether a client must have a certificate, where `client_ca` is there.
    #[serde(default)]
    pub client_certificates: ClientCertificates,
}

/// Whether clients need a certificate. With either, a token that is bound to one (RFC 8705) is
/// accepted from whoever has that certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificates {
    /// A client may show one.
    Optional,
    /// A client that shows none is not talked to.
    #[default]
    Required,
}

/// What is wrong with a configuration. `Display` begins with the file, and its line where there is
/// one.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {error}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is no configuration.
    #[error("{}:{line}: {message}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A group to change to, and no user.
    #[error(
        "`group` needs `user`: without one the gate stays the user that starts it, with its groups"
    )]
    GroupWithoutUser,
    /// Nothing to listen on.
    #[error("there is nothing to serve: set `listen` for the Docker API, or `listen_rest`")]
    NothingToServe,
    /// An address of the network without TLS.
    #[error(
        "`{0}` is not an address of this machine, and tokens would pass in the clear: add `[tls]`, or set `plain_http = true` where a proxy in front does TLS"
    )]
    PlainHttp(SocketAddr),
    /// A limit that lets nothing through.
    #[error("`limits.{0}` is 0, which lets nothing through")]
    NoLimit(&'static str),
    /// An issuer without keys, or with more than one place of them.
    #[error("issuer `{0}` needs one of `keys`, `jwks_uri` and `discover = true`")]
    Keys(String),
    /// The settings of an issuer do not fit together.
    #[error(transparent)]
    Issuer(#[from] SettingsError),
    /// The issuers would let through what they must not.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// No URL.
    #[error(
        "`public_url` is `{0}`, which is no https URL of a host, perhaps with a path: http is for this machine alone, and a query, a fragment, `@`, `*` and braces have no place in it"
    )]
    PublicUrl(String),
    /// A URL behind which nothing would be.
    #[error("`public_url` is the URL of the REST API: set `listen_rest` too")]
    NoRest,
    /// `client_certificates` without `client_ca`.
    #[error("`tls.client_certificates` needs `tls.client_ca`: whose certificates are accepted")]
    ClientCa,
}

impl GateConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let fail = |error| ConfigError::Read {
            path: path.to_owned(),
            error,
        };
        let text = text::read(path, MAX_FILE).map_err(fail)?;
        Self::parse(&text, path)
    }

    /// Reads the text of a file; `path` is for messages, and for paths that are relative.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: text::line(text, error.span()),
            message: error.message().trim_end().replace('\n', ", "),
        })?;
        let source = std::path::absolute(path).map_err(|error| ConfigError::Read {
            path: path.to_owned(),
            error,
        })?;
        config.begin_at(source.parent().unwrap_or(&source));
        config.source = Some(source);
        config.check()?;
        Ok(config)
    }

    /// Lets relative paths begin at a directory.
    fn begin_at(&mut self, directory: &Path) {
        let keys = self.issuers.iter_mut().filter_map(|it| it.keys.as_mut());
        let tls = self.tls.iter_mut().flat_map(|tls| {
            [&mut tls.cert, &mut tls.key]
                .into_iter()
                .chain(&mut tls.client_ca)
        });
        for path in [&mut self.broker].into_iter().chain(keys).chain(tls) {
            *path = directory.join(&path);
        }
    }

    /// Checks what the form alone does not say. [`GateConfig::parse`] has done it.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.group.is_some() && self.user.is_none() {
            return Err(ConfigError::GroupWithoutUser);
        }
        let addresses: Vec<SocketAddr> = self.listen.into_iter().chain(self.listen_rest).collect();
        if addresses.is_empty() {
            return Err(ConfigError::NothingToServe);
        }
        let open = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
        if let Some(address) = addresses.iter().find(open)
            && self.tls.is_none()
            && !self.plain_http
        {
            return Err(ConfigError::PlainHttp(*address));
        }
        if let Some(tls) = &self.tls
            && tls.client_ca.is_none()
            && tls.client_certificates == ClientCertificates::Optional
        {
            return Err(ConfigError::ClientCa);
        }
        if let Some(url) = &self.public_url {
            if metadata_url(url).is_none() {
                return Err(ConfigError::PublicUrl(url.clone()));
            }
            if self.listen_rest.is_none() {
                return Err(ConfigError::NoRest);
            }
        }
        self.limits.check()?;
        let mut policies = Vec::new();
        for issuer in &self.issuers {
            let places = [
                issuer.keys.is_some(),
                issuer.jwks_uri.is_some(),
                issuer.discover,
            ];
            if places.into_iter().filter(|place| *place).count() != 1 {
                return Err(ConfigError::Keys(issuer.issuer.clone()));
            }
            policies.push(issuer.policy(KeyStore::empty())?);
        }
        Verifier::new(policies)?;
        Ok(())
    }

    /// What weakens this configuration, a sentence each: for `config check`.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        warnings::of(self)
    }

    /// What it names, looked at: whether a gate would start with it.
    #[must_use]
    pub fn examine(&self) -> Examined {
        examine::of(self)
    }

    /// The file that it was read from.
    #[must_use]
    pub fn source(&self) -> Option<&Path> {
        self.source.as_deref()
    }

    /// The directories that the gate reads from while it runs: the configuration, certificates and
    /// keys are read again on a reload, and a file may have been replaced by then, so it is their
    /// directories. Where keys are fetched, the system's certificates as far as they are there. For
    /// the sandbox.
    #[must_use]
    pub fn readable(&self) -> Vec<PathBuf> {
        let mut directories = self.directories();
        if self.issuers.iter().any(|issuer| issuer.keys.is_none()) {
            let certificates = SYSTEM_CERTIFICATES.iter().map(PathBuf::from);
            directories.extend(certificates.filter(|directory| directory.is_dir()));
        }
        directories.into_iter().collect()
    }

    /// Those of the files that it names, and its own.
    fn directories(&self) -> BTreeSet<PathBuf> {
        let tls = self
            .tls
            .iter()
            .flat_map(|tls| [&tls.cert, &tls.key].into_iter().chain(&tls.client_ca));
        let keys = self.issuers.iter().filter_map(|it| it.keys.as_ref());
        let files = tls.chain(keys).chain(&self.source);
        files
            .filter_map(|file| Some(file.parent()?.to_owned()))
            .collect()
    }

    /// The TCP ports to which the gate opens connections: those of issuers whose keys it fetches.
    /// An issuer that is found by discovery may name another host, whose port is taken for 443. For
    /// the sandbox.
    #[must_use]
    pub fn connects_to(&self) -> Vec<u16> {
        let fetching = self.issuers.iter().filter(|issuer| issuer.keys.is_none());
        let mut ports: Vec<u16> = fetching
            .flat_map(|issuer| {
                let url = issuer.jwks_uri.as_deref().unwrap_or(&issuer.issuer);
                let named = url.parse::<hyper::Uri>().ok();
                let default = if url.starts_with("http://") { 80 } else { 443 };
                let port = named.and_then(|url| url.port_u16()).unwrap_or(default);
                [Some(port), issuer.discover.then_some(443)]
            })
            .flatten()
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// The URL of the metadata that says where a token is to be had.
    pub(crate) fn resource_metadata(&self) -> Option<String> {
        metadata_url(self.public_url.as_deref()?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LEAST: &str = r#"
listen = "127.0.0.1:0"
broker = "/run/cofferdam/broker.sock"

[[issuer]]
issuer = "https://idp.example"
audience = "https://containers.example"
keys = "/etc/cofferdam/keys/idp.json"
"#;

    fn parse(text: &str) -> Result<GateConfig, String> {
        GateConfig::parse(text, Path::new("gate.toml")).map_err(|error| error.to_string())
    }

    fn change(from: &str, to: &str) -> Result<GateConfig, String> {
        assert!(LEAST.contains(from));
        parse(&LEAST.replace(from, to))
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (line, from, to) in [
            (2, "127.0.0.1:0", "nowhere"),
            (3, "broker =", "brokers ="),
            (6, "issuer = \"", "issure = \""),
            (7, "\"https://containers.example\"", "5"),
        ] {
            let error = change(from, to).unwrap_err();
            let told = error.strip_prefix("gate.toml:").unwrap_or_default();
            let told = told.split(':').next().unwrap_or_default();
            // A missing key is told at the table that misses it.
            assert!(told.parse::<usize>().unwrap() <= line, "{error}");
        }
        let error = change("127.0.0.1:0", "nowhere").unwrap_err();
        assert!(error.starts_with("gate.toml:2: "), "{error}");
        let error = parse(&format!("unknown = 1\n{LEAST}")).unwrap_err();
        assert!(
            error.starts_with("gate.toml:1: unknown field `unknown`"),
            "{error}"
        );
    }

    #[test]
    fn tokens_do_not_pass_the_network_in_the_clear() {
        let refused = change("127.0.0.1:0", "0.0.0.0:2375").unwrap_err();
        assert!(refused.contains("add `[tls]`"), "{refused}");
        let allowed = change(
            "listen = \"127.0.0.1:0\"",
            "listen = \"0.0.0.0:2375\"\nplain_http = true",
        );
        let warnings = allowed.unwrap().warnings();
        assert!(warnings.iter().any(|it| it.contains("in the clear")));
        assert!(change("127.0.0.1:0", "[::1]:0").is_ok());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (from, to, word) in [
            ("listen = \"127.0.0.1:0\"", "", "nothing to serve"),
            (
                "keys = \"/etc/cofferdam/keys/idp.json\"",
                "",
                "needs one of",
            ),
            (
                "audience = \"https://containers.example\"",
                "audience = \"\"",
                "audience",
            ),
            (
                "broker =",
                "public_url = \"https://c.example\"\nbroker =",
                "listen_rest",
            ),
        ] {
            let error = change(from, to).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        let error = change("broker =", "group = \"gate\"\nbroker =").unwrap_err();
        assert!(error.contains("`group` needs `user`"), "{error}");
        let limits = |text: &str| parse(&format!("{LEAST}\n[limits]\n{text}"));
        assert!(
            limits("streams = 0")
                .unwrap_err()
                .contains("limits.streams")
        );
        assert!(limits("body = \"0s\"").unwrap_err().contains("limits.body"));
        assert!(
            limits("body = \"ten\"")
                .unwrap_err()
                .starts_with("gate.toml:11: ")
        );
        let good = limits("body = \"500ms\"\narchive = \"64MiB\"").unwrap();
        assert_eq!(good.limits.body, Duration::from_millis(500));
        assert_eq!(good.limits.archive, 64 << 20);
    }

    #[test]
    fn the_sandbox_learns_what_is_read_and_where_keys_come_from() {
        let config = GateConfig::parse(LEAST, Path::new("/etc/cofferdam/gate.toml")).unwrap();
        let expected = [
            PathBuf::from("/etc/cofferdam"),
            "/etc/cofferdam/keys".into(),
        ];
        assert_eq!(config.readable(), expected);
        assert!(config.connects_to().is_empty());
        let fetching = change(
            "keys = \"/etc/cofferdam/keys/idp.json\"",
            "jwks_uri = \"https://idp.example:8443/jwks\"",
        );
        let fetching = fetching.unwrap();
        assert_eq!(fetching.connects_to(), [8443]);
        let certificates = SYSTEM_CERTIFICATES.iter().map(PathBuf::from);
        let there: Vec<PathBuf> = certificates.filter(|place| place.is_dir()).collect();
        assert!(
            there
                .iter()
                .all(|place| fetching.readable().contains(place))
        );
        let found = change("keys = \"/etc/cofferdam/keys/idp.json\"", "discover = true");
        assert_eq!(found.unwrap().connects_to(), [443]);
    }

    #[test]
    fn paths_begin_at_the_directory_of_the_file() {
        let text = LEAST
            .replace("/run/cofferdam/", "")
            .replace("/etc/cofferdam/", "");
        let text =
            format!("{text}\n[tls]\ncert = \"tls/c\"\nkey = \"tls/k\"\nclient_ca = \"../ca\"\n");
        let config = GateConfig::parse(&text, Path::new("/a/b/gate.toml")).unwrap();
        assert_eq!(config.broker, Path::new("/a/b/broker.sock"));
        let expected = ["/a/b", "/a/b/..", "/a/b/keys", "/a/b/tls"].map(PathBuf::from);
        assert_eq!(config.readable(), expected);
        let here = std::env::current_dir().unwrap();
        assert_eq!(parse(&text).unwrap().broker, here.join("broker.sock"));
    }

    #[test]
    fn metadata_stands_before_the_path() {
        let url = |url: &str| {
            let rest = "listen_rest = \"127.0.0.1:0\"";
            let text = format!("public_url = \"{url}\"\n{rest}\n{LEAST}");
            parse(&text).map(|config| config.resource_metadata().unwrap())
        };
        let known = "https://c.example/.well-known/oauth-protected-resource";
        assert_eq!(url("https://c.example").unwrap(), known);
        let below = url("https://c.example/gate/").unwrap();
        assert_eq!(below, format!("{known}/gate"));
        assert!(url("http://127.0.0.1:8080").is_ok() && url("http://[::1]:8080").is_ok());
        for wrong in [
            "",
            "x",
            "c.example",
            "http://c.example",
            "https://",
            "https:///x",
            "https://c.example?a",
            "https://c.example#a",
            "https://a@c.example",
            "https://c.example/{x}",
            "https://c.example/*",
            "ftp://c.example",
            "urn:c",
        ] {
            let error = url(wrong).unwrap_err();
            assert!(error.contains("public_url"), "{wrong}: {error}");
        }
    }
}
