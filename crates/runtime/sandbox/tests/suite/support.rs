//! Starts probes and reads what they say.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::probe;

/// A probe to be started.
pub(crate) struct Probe {
    command: Command,
    attempts: Vec<String>,
}

impl Probe {
    pub(crate) fn new(role: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([probe::FLAG, role]).env_clear();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Self {
            command,
            attempts: Vec::new(),
        }
    }

    pub(crate) fn option(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.command.arg(format!("{name}={value}"));
        self
    }

    pub(crate) fn path(self, name: &str, path: impl AsRef<Path>) -> Self {
        self.option(name, path.as_ref().display())
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn attempt(mut self, attempt: impl Into<String>) -> Self {
        self.attempts.push(attempt.into());
        self
    }

    pub(crate) fn on(self, attempt: &str, target: impl fmt::Display) -> Self {
        self.attempt(format!("{attempt}={target}"))
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Outcome {
        self.command.arg("--").args(&self.attempts);
        let output = self.command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        Outcome {
            attempts: self.attempts,
            lines: said.lines().map(str::to_owned).collect(),
            status: output.status,
        }
    }

    /// Starts it and returns once it waits in the sandbox; it ends with the value.
    pub(crate) fn wait(self) -> Waiting {
        self.wait_in("wait", "")
    }

    /// The same for an attempt that says when it waits.
    pub(crate) fn wait_in(mut self, attempt: &str, argument: impl fmt::Display) -> Waiting {
        self.command.args(["--", &format!("{attempt}={argument}")]);
        self.command.stdin(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let waits = output.lines().any(|line| line.unwrap() == "waiting");
        assert!(waits, "the probe did not enter the sandbox");
        Waiting(child)
    }
}

/// What a probe has said.
#[derive(Debug)]
pub(crate) struct Outcome {
    attempts: Vec<String>,
    pub(crate) lines: Vec<String>,
    status: ExitStatus,
}

impl Outcome {
    /// What came of each attempt, in order.
    #[track_caller]
    pub(crate) fn answers(&self) -> Vec<&str> {
        assert!(self.status.success(), "{self:?}");
        let answer = |attempt: &String| {
            let mut said = self
                .lines
                .iter()
                .filter_map(|line| line.strip_prefix(attempt.as_str())?.strip_prefix(' '));
            said.next().unwrap_or_else(|| panic!("{attempt}: {self:?}"))
        };
        self.attempts.iter().map(answer).collect()
    }

    /// Every attempt had this answer.
    #[track_caller]
    pub(crate) fn all(&self, expected: &str) {
        let answers = self.answers();
        let all = answers.iter().all(|answer| *answer == expected);
        assert!(all && !answers.is_empty(), "{expected}: {self:?}");
    }

    /// The signal that ended it.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Whether it came to its end.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// The line of the report on `measure`.
    #[track_caller]
    pub(crate) fn reported(&self, measure: &str) -> &str {
        let mut lines = self.lines.iter().filter_map(|line| {
            line.strip_prefix(probe::REPORT)?
                .strip_prefix(measure)?
                .strip_prefix(": ")
        });
        lines
            .next()
            .unwrap_or_else(|| panic!("{measure}: {self:?}"))
    }
}

/// A probe that sits in the sandbox.
pub(crate) struct Waiting(Child);

impl Waiting {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// The value of a line of `/proc/PID/status`.
    pub(crate) fn status(&self, name: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let value = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap().trim().to_owned()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A folder that every user can reach, with a file `listed` to read and a folder `state` to write.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        mode(&place.path(""), 0o755);
        for name in ["listed", "unlisted"] {
            std::fs::write(place.path(name), name).unwrap();
        }
        std::fs::create_dir(place.path("state")).unwrap();
        mode(&place.path("state"), 0o777);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A probe that may read `listed` and write in `state`.
    pub(crate) fn probe(&self, role: &str) -> Probe {
        Probe::new(role)
            .path("read", self.path("listed"))
            .path("write", self.path("state"))
    }
}

pub(crate) fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
