//! What lies in the directory of `--dev`, and how it is made.

use super::{Engine, Options, tls};
use crate::input::{self, Failure};
use crate::output;
use cofferdam_action::action::ActionKind;
use cofferdam_audit::note::SigningKey as AuditKey;
use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::Algorithm;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How long the tokens live: a working day, since each start mints new ones.
const TOKENS_LIVE: u64 = 12 * 60 * 60;
/// Where the issuers' names begin. They are no places: the keys come from files.
const ISSUERS: &str = "https://cofferdam-dev.invalid";
/// For whom its tokens are.
pub(super) const AUDIENCE: &str = "cofferdam-dev";
/// The longest path that a socket can have (unix(7)), without its closing zero.
const MAX_SOCKET: usize = 107;

/// Somebody with a token.
struct Identity {
    name: &'static str,
    subject: &'static str,
    role: &'static str,
    scopes: fn(&str) -> bool,
}

const IDENTITIES: [Identity; 4] = [
    Identity {
        name: "alice",
        subject: "alice",
        role: "runner",
        scopes: |scope| scope != "containers:exec",
    },
    Identity {
        name: "alice-exec",
        subject: "alice",
        role: "runner",
        scopes: |_| true,
    },
    Identity {
        name: "bob",
        subject: "bob",
        role: "runner",
        scopes: |scope| scope != "containers:exec",
    },
    Identity {
        name: "reader",
        subject: "reader",
        role: "reader",
        scopes: |scope| scope.ends_with(":read"),
    },
];

/// The directory. Keys, policies and the audit log are kept from one start to the next, and what
/// somebody wrote into the configurations too; tokens are minted anew.
pub(super) struct Files {
    dir: PathBuf,
    /// The issuer's name.
    issuer: String,
    /// Held as long as this program serves from the directory.
    _lock: File,
}

impl Files {
    /// Makes what is not there yet.
    pub(super) fn prepare(options: &Options) -> Result<Self, Failure> {
        let dir = std::path::absolute(&options.dir)
            .map_err(|error| Failure::new(format!("`--dir`: {error}")))?;
        check(&dir)?;
        let lock = lock(&dir)?;
        let mut files = Self {
            dir,
            issuer: String::new(),
            _lock: lock,
        };
        for folder in ["keys", "tokens", "docker", "policy", "run", "state", "host"] {
            make_folder(&files.path(folder))?;
        }
        files.make(".gitignore", || Ok("*\n".to_owned()))?;
        files.forget();
        let issuer = files.make_issuer()?;
        issuer.url().clone_into(&mut files.issuer);
        files.make("keys/dev.json", || Ok(issuer.jwks().to_string()))?;
        files.make("audit.key", || {
            let key = AuditKey::generate("cofferdam-dev").map_err(Failure::new)?;
            Ok(key.to_secret_text().to_string())
        })?;
        for (name, text) in cofferdam_policy::SHIPPED {
            files.make(&format!("policy/{name}"), || Ok(text.to_owned()))?;
        }
        if options.tls {
            tls::prepare(&files)?;
        }
        for identity in &IDENTITIES {
            files.admit(identity, &issuer, options.tls)?;
        }
        files.configure(options)?;
        Ok(files)
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The issuer's name.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn broker_config(&self) -> PathBuf {
        self.path("broker.toml")
    }

    pub(super) fn gate_config(&self) -> PathBuf {
        self.path("gate.toml")
    }

    pub(super) fn engine_socket(&self) -> PathBuf {
        self.path("run/engine.sock")
    }

    /// What plays the root of the host for the embedded engine.
    pub(super) fn host(&self) -> PathBuf {
        self.path("host")
    }

    /// The names of those who have tokens.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        IDENTITIES.iter().map(|identity| identity.name)
    }

    pub(super) fn token(&self, name: &str) -> PathBuf {
        self.path("tokens").join(name)
    }

    /// The folder for `DOCKER_CONFIG` with which `docker` is `name`.
    pub(super) fn docker_config(&self, name: &str) -> PathBuf {
        match name {
            "alice" => self.path("docker"),
            other => self.path("docker").join(other),
        }
    }

    /// Says where everything answers.
    pub(super) fn announce(&self, json: &serde_json::Value) -> Result<(), Failure> {
        self.write("dev.json", &format!("{json:#}\n"))
    }

    /// Takes it back.
    pub(super) fn forget(&self) {
        // It is not there before the first start.
        drop(std::fs::remove_file(self.path("dev.json")));
    }

    /// Writes a file of this user alone, whole or not at all.
    pub(super) fn write(&self, below: &str, text: &str) -> Result<(), Failure> {
        output::write_file(&self.path(below), text)
    }

    /// Makes a file that is not there yet.
    fn make(
        &self,
        below: &str,
        text: impl FnOnce() -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        match self.path(below).exists() {
            true => Ok(()),
            false => self.write(below, &text()?),
        }
    }

    fn make_issuer(&self) -> Result<Issuer, Failure> {
        let failed = |error| Failure::new(format!("the issuer's key: {error}"));
        self.make("issuer.pem", || {
            let key = SigningKey::generate(Algorithm::Es256).map_err(failed)?;
            key.to_pem().map_err(failed)
        })?;
        let pem = input::key(&self.path("issuer.pem"))?;
        let key = SigningKey::from_pem(pem.reveal()).map_err(failed)?;
        // Another directory has another issuer, so that its `alice` is somebody else to an engine
        // that both share.
        let name = format!("{ISSUERS}/{}", key.kid());
        Ok(Issuer::new(name, key))
    }

    /// Mints somebody's token, and puts it where `docker` finds it.
    fn admit(&self, identity: &Identity, issuer: &Issuer, tls: bool) -> Result<(), Failure> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| Failure::new("the clock is before 1970"))?;
        let mut token = issuer
            .token(identity.subject)
            .client("cofferdam-dev")
            .audience(AUDIENCE)
            .claim("roles", json!([identity.role]))
            .lifetime(TOKENS_LIVE);
        for scope in scopes()
            .into_iter()
            .filter(|scope| (identity.scopes)(scope))
        {
            token = token.scope(scope);
        }
        let token = token.mint(now.as_secs()).map_err(Failure::new)?;
        output::write_file(&self.token(identity.name), &token)?;
        let folder = self.docker_config(identity.name);
        make_folder(&folder)?;
        let config = json!({ "HttpHeaders": { "Authorization": format!("Bearer {token}") } });
        output::write_file(&folder.join("config.json"), &format!("{config:#}\n"))?;
        match tls {
            // Where `docker --tlsverify` looks for it.
            true => output::write_file(
                &folder.join("ca.pem"),
                &input::text(&self.path("tls/ca.pem"))?,
            ),
            false => Ok(()),
        }
    }

    /// Writes both configurations, or sets in those that are there what this start was told.
    fn configure(&self, options: &Options) -> Result<(), Failure> {
        let engine = match &options.engine {
            Engine::Embedded => self.engine_socket(),
            Engine::Socket(path) => std::path::absolute(path)
                .map_err(|error| Failure::new(format!("`--engine`: {error}")))?,
        };
        let issuer = format!(
            "[[issuer]]\nissuer = {}\naudience = {}\nkeys = {}\n",
            quoted(&self.issuer),
            quoted(AUDIENCE),
            quoted_path(&self.path("keys/dev.json"))?,
        );
        let socket = quoted_path(&self.path("run/broker.sock"))?;

        self.make("broker.toml", || {
            Ok(format!(
                "# The broker of `cofferdam gate --dev`. Changes are kept, but for `engine`.\n\
                 engine = \"\"\n\
                 socket = {socket}\n\
                 socket_mode = 0o600\n\
                 gate_user = \"{}\"\n\
                 state = {}\n\
                 audit_key = {}\n\
                 policy = {}\n\
                 sandbox = \"best-effort\"\n\
                 \n\
                 # Every image of the engine and every version of it, so that the floor stands alone.\n\
                 [images]\n\
                 local = true\n\
                 pull_local = true\n\
                 \n\
                 {issuer}",
                rustix::process::getuid().as_raw(),
                quoted_path(&self.path("state"))?,
                quoted_path(&self.path("audit.key"))?,
                quoted_path(&self.path("policy"))?,
            ))
        })?;
        self.set("broker.toml", &[("engine", Some(quoted_path(&engine)?))])?;

        self.make("gate.toml", || {
            Ok(format!(
                "# The gate of `cofferdam gate --dev`. Changes are kept, but for `listen`,\n\
                 # `listen_rest` and `tls`.\n\
                 listen = \"\"\n\
                 listen_rest = \"\"\n\
                 broker = {socket}\n\
                 sandbox = \"best-effort\"\n\
                 \n\
                 [limits]\n\
                 stop = \"1s\"\n\
                 \n\
                 {issuer}"
            ))
        })?;
        let tls = match options.tls {
            true => Some(format!(
                "{{ cert = {}, key = {} }}",
                quoted_path(&self.path("tls/server.pem"))?,
                quoted_path(&self.path("tls/server.key"))?,
            )),
            false => None,
        };
        self.set(
            "gate.toml",
            &[
                ("listen", Some(quoted(&options.listen.to_string()))),
                (
                    "listen_rest",
                    Some(quoted(&options.listen_rest.to_string())),
                ),
                ("tls", tls),
            ],
        )
    }

    /// Sets members of a configuration that stand before its first table.
    fn set(&self, below: &str, members: &[(&str, Option<String>)]) -> Result<(), Failure> {
        let text = input::text(&self.path(below))?;
        self.write(below, &with_members(&text, members))
    }
}

/// A directory of somebody's files is not one to write into, and one into which others may write is
/// none for keys: they could put their own in place of them.
fn check(dir: &Path) -> Result<(), Failure> {
    let name = dir.display();
    if dir.join("run/engine.sock").as_os_str().len() > MAX_SOCKET {
        return Err(
            Failure::new(format!("`{name}` is too long for a socket in it"))
                .hint("name a shorter one with `--dir`"),
        );
    }
    let Ok(found) = std::fs::metadata(dir) else {
        return make_folder(dir);
    };
    let mode = found.mode() & 0o777;
    let not_own = if found.uid() != rustix::process::geteuid().as_raw() {
        Some("it belongs to another user".to_owned())
    } else if mode & 0o022 != 0 {
        Some(format!("others may write into it (mode {mode:03o})"))
    } else {
        None
    };
    if let Some(why) = not_own {
        return Err(
            Failure::new(format!("`{name}` is no place for keys and tokens: {why}"))
                .hint("name a directory of your own with `--dir`, or one that is not there yet"),
        );
    }
    let mut entries = std::fs::read_dir(dir)
        .map_err(|error| Failure::new(format!("cannot look into `{name}`: {error}")))?;
    match entries.next().is_none() || dir.join("lock").exists() {
        true => Ok(()),
        false => Err(
            Failure::new(format!("`{name}` has files that are not of `gate --dev`"))
                .hint("name a directory that is empty or not there yet"),
        ),
    }
}

fn lock(dir: &Path) -> Result<File, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(format!("cannot lock `{}`: {error}", dir.display()))
    };
    let file = File::create(dir.join("lock")).map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(failed(&"`gate --dev` serves from it already")),
        Err(TryLockError::Error(error)) => Err(failed(&error)),
    }
}

/// Every scope that some action takes.
fn scopes() -> BTreeSet<&'static str> {
    ActionKind::ALL.iter().map(|kind| kind.scope()).collect()
}

/// A TOML text whose members before the first table are these; what else is in it stays.
fn with_members(text: &str, members: &[(&str, Option<String>)]) -> String {
    let is_member = |line: &str| {
        let name = line.split_once('=').map(|(name, _)| name.trim());
        members.iter().any(|(member, _)| name == Some(*member))
    };
    let tables = text
        .lines()
        .position(|line| line.trim_start().starts_with('['))
        .unwrap_or(usize::MAX);
    let mut lines: Vec<&str> = text
        .lines()
        .enumerate()
        .filter(|(number, line)| *number >= tables || !is_member(line))
        .map(|(_, line)| line)
        .collect();
    let set: Vec<String> = members
        .iter()
        .filter_map(|(name, value)| Some(format!("{name} = {}", value.as_ref()?)))
        .collect();
    let comments = lines
        .iter()
        .take_while(|line| line.starts_with('#'))
        .count();
    lines.splice(comments..comments, set.iter().map(String::as_str));
    lines.join("\n") + "\n"
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::new(format!("cannot make `{}`: {error}", path.display())))
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn quoted_path(path: &Path) -> Result<String, Failure> {
    path.to_str().map(quoted).ok_or_else(|| {
        Failure::new(format!("`{}` is no text in UTF-8", path.display()))
            .hint("name another directory with `--dir`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_set_before_the_first_table_and_nothing_else_changes() {
        let text = "# head\nlisten = \"a\"\nbroker = \"b\"\n\n[limits]\nlisten = 5\n";
        let set = [("listen", Some("\"c\"".to_owned())), ("tls", None)];
        assert_eq!(
            with_members(text, &set),
            "# head\nlisten = \"c\"\nbroker = \"b\"\n\n[limits]\nlisten = 5\n"
        );
        let set = [("tls", Some("{ cert = \"x\" }".to_owned()))];
        let with = with_members(text, &set);
        assert!(
            with.starts_with("# head\ntls = { cert = \"x\" }\nlisten"),
            "{with}"
        );
        assert_eq!(with_members(&with, &[("tls", None)]), text);
    }

    #[test]
    fn alice_has_every_scope_but_exec_and_the_reader_those_that_read() {
        let of = |name: &str| -> Vec<&str> {
            let identity = IDENTITIES.iter().find(|it| it.name == name).unwrap();
            scopes()
                .into_iter()
                .filter(|scope| (identity.scopes)(scope))
                .collect()
        };
        assert!(!of("alice").contains(&"containers:exec"));
        assert!(of("alice").contains(&"containers:run"));
        assert_eq!(of("alice-exec").len(), scopes().len());
        assert!(of("reader").iter().all(|scope| scope.ends_with(":read")));
    }
}
