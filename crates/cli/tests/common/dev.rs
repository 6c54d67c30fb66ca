//! `cofferdam gate --dev` as a process: gate, broker and engine of a test's own.

#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test stops at the first surprise and says what it saw, and takes the part that it needs"
)]

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take until everything answers.
const READY: Duration = Duration::from_secs(120);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Looks until there is something to see, and fails with `what` where there is nothing within `limit`.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(
            began.elapsed() < limit,
            "{what}: not so after {} s",
            limit.as_secs()
        );
        // What other processes write, serve and leave behind announces itself to nobody.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Gate, broker and, unless another is named, the embedded engine. They end with this.
pub struct Dev {
    folder: Option<tempfile::TempDir>,
    dir: PathBuf,
    child: Child,
    json: Value,
}

impl Dev {
    /// With the embedded engine, in a folder of its own.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With the engine behind a socket.
    pub fn with_engine(socket: &Path) -> Self {
        Self::with(&["--engine", socket.to_str().unwrap()])
    }

    /// With more options, in a folder of its own.
    pub fn with(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut dev = Self::within(&folder.path().join("dev"), more);
        dev.folder = Some(folder);
        dev
    }

    /// In a directory that is kept, which an earlier start may have made.
    pub fn within(dir: &Path, more: &[&str]) -> Self {
        // What it says goes to a file: a pipe that nobody reads would stop it.
        let says = dir.with_extension("says");
        let file = std::fs::File::create(&says).unwrap();
        // Tests that are started by `nohup` hand on that SIGHUP is ignored.
        let child = Command::new("/usr/bin/env")
            .args(["--default-signal=HUP", env!("CARGO_BIN_EXE_cofferdam")])
            .args(["gate", "--dev", "--listen", "127.0.0.1:0", "--dir"])
            .arg(dir)
            .args(more)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut dev = Self {
            folder: None,
            dir: dir.to_owned(),
            child,
            json: Value::Null,
        };
        dev.json = until("`gate --dev` is ready", READY, || {
            // It is renamed into its place, so what is there is whole.
            if let Ok(text) = std::fs::read_to_string(dir.join("dev.json")) {
                return Some(serde_json::from_str(&text).unwrap());
            }
            let ended = dev.ended();
            assert_eq!(ended, None, "`gate --dev` has ended");
            None
        });
        dev
    }

    /// The directory of everything that it has made.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `dev.json`.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// `tcp://127.0.0.1:PORT`.
    pub fn docker_url(&self) -> &str {
        self.json["docker_url"].as_str().unwrap()
    }

    /// `http://127.0.0.1:PORT`.
    pub fn rest_url(&self) -> &str {
        self.json["rest_url"].as_str().unwrap()
    }

    /// Where the Docker API is served.
    pub fn docker_address(&self) -> SocketAddr {
        let (_, address) = self.docker_url().split_once("://").unwrap();
        address.parse().unwrap()
    }

    /// The token of `alice`, `alice-exec`, `bob` or `reader`.
    pub fn token(&self, name: &str) -> String {
        let file = self.json["tokens"][name].as_str().unwrap();
        std::fs::read_to_string(file).unwrap()
    }

    /// The folder for `DOCKER_CONFIG` with which `docker` is somebody.
    pub fn docker_config(&self, name: &str) -> PathBuf {
        self.json["docker_configs"][name].as_str().unwrap().into()
    }

    /// The `docker` command line as somebody.
    pub fn docker(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .args(["--host", self.docker_url()])
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DOCKER_CONFIG", self.docker_config(name))
            .stdin(Stdio::null());
        command
    }

    /// `cofferdam audit` on the broker's log.
    pub fn audit(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cofferdam"));
        command
            .arg("audit")
            .args(args)
            .arg("--config")
            .arg(&self.dir)
            .env_clear();
        command
    }

    /// The records of the log, each with its `index`.
    pub fn records(&self, args: &[&str]) -> Vec<Value> {
        let output = self.audit(args).arg("--json").output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let lines = String::from_utf8(output.stdout).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Opens a connection to the Docker API.
    pub fn connect(&self) -> TcpStream {
        connect(self.docker_address()).unwrap()
    }

    /// Sends bytes as they are, and reads what is answered until the gate closes.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        exchange(self.connect(), bytes)
    }

    /// One request to the Docker API as somebody, with a JSON body where there is one.
    pub fn ask(&self, name: &str, method: &str, target: &str, body: Option<&Value>) -> Answer {
        let token = self.token(name);
        Self::ask_at(self.docker_address(), &token, method, target, body).unwrap()
    }

    /// The same to the REST API.
    pub fn rest(&self, name: &str, method: &str, target: &str, body: Option<&Value>) -> Answer {
        let (_, address) = self.rest_url().split_once("://").unwrap();
        let address = address.parse().unwrap();
        Self::ask_at(address, &self.token(name), method, target, body).unwrap()
    }

    /// The same to whatever gate listens at an address, with a token. The error is that of
    /// connecting.
    pub fn ask_at(
        address: SocketAddr,
        token: &str,
        method: &str,
        target: &str,
        body: Option<&Value>,
    ) -> std::io::Result<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = match body.is_empty() {
            true => "",
            false => "Content-Type: application/json\r\n",
        };
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Ok(exchange(connect(address)?, request.as_bytes()))
    }

    /// What it has said on its standard output and error.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.dir.with_extension("says")).unwrap()
    }

    /// The process that started the others.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its children by name: `gate`, `broker`, `engine`.
    pub fn child(&self, name: &str) -> Option<u32> {
        let pid = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().find_map(|child| {
            let line = std::fs::read_to_string(format!("/proc/{child}/cmdline")).ok()?;
            (line.split('\0').nth(1) == Some(name)).then(|| child.parse().ok())?
        })
    }

    /// Asks it to stop, and answers how long that took.
    pub fn stop(&mut self) -> Duration {
        let began = Instant::now();
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().unwrap();
        began.elapsed()
    }

    /// Sends a signal to the process that started the others.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_child(&self.child);
        // It may have ended by itself.
        let _ = rustix::process::kill_process(process, signal);
    }

    /// How the process that started the others has ended, if it has.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if self.json.is_null() {
                // It was never ready, and may not hear.
                self.signal(rustix::process::Signal::KILL);
            }
            self.stop();
        }
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.dir.with_extension("says"));
            let said = said.unwrap_or_default();
            let lines: Vec<&str> = said.lines().collect();
            let last = &lines[lines.len().saturating_sub(30)..];
            eprintln!("`gate --dev` said at last:\n{}", last.join("\n"));
        }
    }
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER))?;
    Ok(stream)
}

fn exchange(mut stream: TcpStream, bytes: &[u8]) -> Answer {
    // The gate may refuse by the head, and close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    // A reset after a refusal leaves what was read before.
    let _ = stream.read_to_end(&mut answer);
    Answer::of(&answer)
}

/// An answer over HTTP, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 0 where there was none.
    pub status: u16,
    pub head: String,
    /// Without the framing of chunks.
    pub body: Vec<u8>,
}

impl Answer {
    pub fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n");
        let (head, body) = match end {
            Some(end) => (&bytes[..end], &bytes[end + 4..]),
            None => (bytes, &[][..]),
        };
        let head = String::from_utf8_lossy(head).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let is_chunked = head
            .to_ascii_lowercase()
            .contains("\r\ntransfer-encoding: chunked");
        Self {
            status: status.unwrap_or(0),
            body: match is_chunked {
                true => chunks(body),
                false => body.to_vec(),
            },
            head,
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The sentence that the Docker command line shows.
    pub fn message(&self) -> String {
        self.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// The bytes of a chunked body, as far as they are there.
fn chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|it| it == b"\r\n") {
        let size = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let Ok(size @ 1..) = usize::from_str_radix(size.trim(), 16) else {
            break;
        };
        let chunk = &bytes[end + 2..];
        body.extend_from_slice(&chunk[..size.min(chunk.len())]);
        bytes = chunk.get(size + 2..).unwrap_or_default();
    }
    body
}
