//! The real engine that a test runs against, and the `docker` command line.
//!
//! It is the one at `COFFERDAM_TEST_ENGINE` (the path of a socket), else that of `DOCKER_HOST`, else
//! the usual one where it answers. Without one a test says on standard error that it was skipped,
//! and fails under `COFFERDAM_REQUIRE_ENGINE=1`, which CI sets.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test stops at the first surprise, and takes the part that it needs"
)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long an engine may take to answer `/_ping`.
const PING: Duration = Duration::from_secs(5);

/// The socket of a real engine; `None` where `test` has to be skipped, which is said.
pub fn real(test: &str) -> Option<PathBuf> {
    let found = socket().filter(|socket| answers(socket));
    if found.is_none() {
        skip(test, "no engine answers; `.ci/engine start` starts one");
    }
    found
}

/// Whether the `docker` command line is there; where it is not `test` has to be skipped, which is
/// said.
pub fn has_docker_cli(test: &str) -> bool {
    let found = Command::new("docker")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        skip(test, "the `docker` command line is not installed");
    }
    found
}

/// Says that a test was skipped for want of an engine, or of what drives one.
///
/// # Panics
/// Under `COFFERDAM_REQUIRE_ENGINE=1`.
pub fn skip(test: &str, why: &str) {
    let required = std::env::var("COFFERDAM_REQUIRE_ENGINE").is_ok_and(|value| value == "1");
    assert!(!required, "{test}: {why}, and COFFERDAM_REQUIRE_ENGINE=1");
    say_skipped(test, why);
}

/// Says that a test, or a part of one, was skipped, past the capture of its output.
pub fn say_skipped(test: &str, why: &str) {
    let text = format!("\nSKIPPED {test}: {why}\n");
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

fn socket() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("COFFERDAM_TEST_ENGINE") {
        return Some(named.into());
    }
    if let Ok(host) = std::env::var("DOCKER_HOST") {
        return host.strip_prefix("unix://").map(PathBuf::from);
    }
    let usual = Path::new("/var/run/docker.sock");
    usual.exists().then(|| usual.to_owned())
}

fn answers(socket: &Path) -> bool {
    let asked = || -> std::io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PING))?;
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200 "))
    };
    asked().unwrap_or(false)
}
