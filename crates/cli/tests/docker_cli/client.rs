//! A client: the `docker` command line with an engine to speak to.

use crate::cases::{Case, Input};
use crate::dev::Dev;
use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The first letters of every name that a run uses, since an engine may be shared.
const MARK: &str = "cft";

/// How long a command may take before it counts as hung, in seconds, for timeout(1).
const PATIENCE: &str = "60";

pub struct Client {
    /// `DOCKER_HOST` and `DOCKER_CONFIG`.
    host: String,
    config: PathBuf,
    /// What stands for `@` in names: as long for everyone, so that columns are as wide.
    pub prefix: String,
    /// Where files are copied from and to.
    folder: tempfile::TempDir,
    /// Seconds since 1970.
    began: u64,
    /// Whether it cleans up behind itself.
    cleans: bool,
}

/// How a command ended, and what it printed, without what differs from run to run.
#[derive(PartialEq, Eq)]
pub struct Ended {
    pub code: i32,
    pub text: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.code, self.text)
    }
}

impl Client {
    pub fn straight(socket: &Path) -> Self {
        let folder = folder();
        let config = folder.path().join("config");
        std::fs::create_dir(&config).unwrap();
        Self {
            host: format!("unix://{}", socket.display()),
            config,
            prefix: prefix('s'),
            folder,
            began: now(),
            cleans: true,
        }
    }

    pub fn through(gate: &Dev, name: &str) -> Self {
        Self {
            host: gate.docker_url().to_owned(),
            config: gate.docker_config(name),
            prefix: prefix('g'),
            folder: folder(),
            began: now(),
            cleans: true,
        }
    }

    /// The same names with another token of the same tenant.
    pub fn with_token_of(&self, gate: &Dev, name: &str) -> Self {
        Self {
            host: self.host.clone(),
            config: gate.docker_config(name),
            prefix: self.prefix.clone(),
            folder: folder(),
            began: self.began,
            cleans: false,
        }
    }

    pub fn run(&self, case: &Case) -> Ended {
        let words: Vec<_> = case.line.split(' ').map(|word| self.word(word)).collect();
        let mut command = match case.input {
            Input::Terminal(_) => {
                // A terminal is what script(1) makes; it ends as the command does.
                let quoted = words.iter().map(|word| format!("'{word}'"));
                let line = quoted.fold("docker".to_owned(), |line, word| line + " " + &word);
                let mut command = Command::new("timeout");
                command.args([PATIENCE, "script", "-qec", &line, "/dev/null"]);
                command
            }
            _ => {
                let mut command = Command::new("timeout");
                command.args([PATIENCE, "docker"]).args(&words);
                command
            }
        };
        let (code, text) = match case.input {
            Input::Terminal(typed) => self.type_into(&mut command, typed),
            _ => self.end(&mut command, case.input.text()),
        };
        let mut text = self.plain(&text);
        if case.line.starts_with("diff ") {
            // The engine has no order for them.
            let mut lines: Vec<_> = text.lines().collect();
            lines.sort_unstable();
            text = lines.join("\n");
        }
        Ended { code, text }
    }

    /// Runs a command with this client's environment and some input.
    pub fn end(&self, command: &mut Command, input: &str) -> (i32, String) {
        let mut child = self.spawn(command);
        // A command that takes no input may have ended.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        ended(child.wait_with_output().unwrap())
    }

    /// Runs a command on a terminal, and types once there is a prompt, as a person would. The
    /// terminal stays until the command ends.
    fn type_into(&self, command: &mut Command, typed: &str) -> (i32, String) {
        let mut child = self.spawn(command);
        let mut keyboard = child.stdin.take().unwrap();
        let mut screen = child.stdout.take().unwrap();
        let mut shown = Vec::new();
        let mut piece = [0; 1024];
        let mut is_typed = typed.is_empty();
        while let Ok(length @ 1..) = screen.read(&mut piece) {
            shown.extend_from_slice(&piece[..length]);
            if !is_typed && shown.windows(2).any(|end| end == b"# ") {
                is_typed = true;
                // It may have ended after its prompt.
                let _ = keyboard.write_all(typed.as_bytes());
            }
        }
        let mut output = child.wait_with_output().unwrap();
        output.stdout = shown;
        ended(output)
    }

    fn spawn(&self, command: &mut Command) -> Child {
        command
            .current_dir(self.folder.path())
            .env("DOCKER_HOST", &self.host)
            .env("DOCKER_CONFIG", &self.config)
            .env("DOCKER_BUILDKIT", "0")
            .env("DOCKER_CLI_HINTS", "0")
            .env_remove("DOCKER_TLS_VERIFY")
            .env_remove("DOCKER_CONTEXT")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn word(&self, word: &str) -> String {
        word.replace('|', " ")
            .replace('@', &self.prefix)
            .replace("%began", &self.began.to_string())
            .replace("%now", &(now() + 1).to_string())
    }

    /// Without names, identifiers, times and numbers that no two runs share.
    fn plain(&self, text: &str) -> String {
        let text = text.replace(&self.prefix, "@");
        let mut plain = String::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let is_word = |letter: char| letter.is_ascii_alphanumeric();
            let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
            let word = &rest[..end];
            let is_hex = word
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            plain.push_str(match word.len() {
                64 if is_hex => "<id>",
                12 if is_hex => "<short id>",
                3.. if word.bytes().all(|byte| byte.is_ascii_digit()) => "<number>",
                _ => word,
            });
            let other = rest[end..].chars().next();
            plain.extend(other);
            rest = &rest[end + other.map_or(0, char::len_utf8)..];
        }
        plain
    }
}

impl Drop for Client {
    /// Removes what a failed run has left; what is there is told by the names.
    fn drop(&mut self) {
        if !self.cleans {
            return;
        }
        for (list, remove) in [
            ("ps -aq --filter name=@", "rm -fv"),
            ("network ls -q --filter name=@", "network rm"),
            ("volume ls -q --filter name=@", "volume rm"),
            ("image ls -q @*", "rmi -f"),
        ] {
            let list: Vec<_> = list.split(' ').map(|word| self.word(word)).collect();
            let (_, ids) = self.end(Command::new("docker").args(&list), "");
            let ids: Vec<_> = ids.split_whitespace().collect();
            if !ids.is_empty() {
                let remove = remove.split(' ');
                self.end(Command::new("docker").args(remove).args(ids), "");
            }
        }
    }
}

fn ended(output: Output) -> (i32, String) {
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).replace("\r\n", "\n");
    (output.status.code().unwrap_or(-1), text)
}

/// With the files that the cases copy.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("tree/inner")).unwrap();
    std::fs::write(folder.path().join("tree/inner/file"), "inner\n").unwrap();
    std::fs::write(folder.path().join("file.txt"), "copied\n").unwrap();
    std::fs::write(
        folder.path().join("Dockerfile"),
        "FROM allowed/app:1\nRUN true\n",
    )
    .unwrap();
    folder
}

fn prefix(side: char) -> String {
    // The tests of one run do not meet either.
    static CLIENTS: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id() % 1_000_000;
    let number = CLIENTS.fetch_add(1, Ordering::Relaxed) % 100;
    format!("{MARK}{side}{pid:06}x{number:02}-")
}

fn now() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    since.as_secs()
}
