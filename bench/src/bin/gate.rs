//! What the gate and the broker cost, beside the engine's bare socket and beside HAProxy as a socket
//! proxy that verifies the same token.
//!
//! `cargo build --release -p cofferdam && cargo run --release -p cofferdam-bench --bin gate`, with
//! the path of an engine's socket as an argument where it is not to be the embedded one. Needs `wrk`
//! and `haproxy`.
//!
//! Throughput is taken in turns, each several times, and the median counts, since a machine that
//! does other work as well gives no two equal figures; the load average is printed with each. HAProxy
//! checks the signature (ES256), the issuer and the expiry of the token, keeps its connections to the
//! engine, and does nothing else: no action, no owner, no policy, no record. What is made in the
//! engine is removed again.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cofferdam_issuer::SigningKey;
use serde_json::Value;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: usize = 5;
const SECONDS: &str = "3";
const CONNECTIONS: &str = "32";
const LISTED: usize = 5;
/// Creates on each side. Docker takes half a second for one with start and remove.
const CREATES: usize = 60;
const CREATES_EMBEDDED: usize = 600;
/// Log followers. The embedded engine has 256 connections.
const FOLLOWERS: usize = 1000;
const FOLLOWERS_EMBEDDED: usize = 200;

fn main() -> Result<(), Failure> {
    let dir = std::env::temp_dir().join(format!("cofferdam-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let result = measure(&dir);
    std::fs::remove_dir_all(&dir)?;
    result
}

fn measure(dir: &Path) -> Result<(), Failure> {
    let engine = Engine::given_or_embedded(dir)?;
    let gate = Gate::start(dir, &engine.socket)?;
    let haproxy = Haproxy::start(dir, &engine.socket, &gate)?;
    println!("engine: {}", engine.name);
    reads(&gate, &haproxy)?;
    creates(&gate, &engine)?;
    durable(&gate)?;
    followers(&gate, &engine)?;
    Ok(())
}

/// Reads a second through both, the gate's as a share of HAProxy's.
fn reads(gate: &Gate, haproxy: &Haproxy) -> Result<(), Failure> {
    let body = r#"{"Image":"allowed/app:1","Cmd":["sleep","60"]}"#;
    let listed: Vec<String> = (0..LISTED)
        .map(|_| made(gate.ask("POST", "/v1.41/containers/create", body)?))
        .collect::<Result<_, _>>()?;
    section(&format!(
        "reads a second, {CONNECTIONS} connections, median of {ROUNDS}"
    ))?;
    for path in ["/v1.41/_ping", "/v1.41/containers/json"] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(wrk(gate.port, path, &gate.token)?);
            theirs.push(wrk(haproxy.port, path, &gate.token)?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "  {path}: gate {ours:.0}, HAProxy {theirs:.0}: {:.2}",
            ours / theirs
        );
    }
    for id in listed {
        let (status, answer) = gate.ask("DELETE", &format!("/v1.41/containers/{id}"), "")?;
        expect(status, 204, &answer)?;
    }
    Ok(())
}

/// How long a create takes through the gate and on the bare socket, with start and remove.
fn creates(gate: &Gate, engine: &Engine) -> Result<(), Failure> {
    let body = r#"{"Image":"allowed/app:1","Cmd":["sleep","60"]}"#;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let (mut cycle_ours, mut cycle_bare) = (Vec::new(), Vec::new());
    let count = match engine.process {
        Some(_) => CREATES_EMBEDDED,
        None => CREATES,
    };
    for _ in 0..count {
        for (times, cycles, through) in [
            (&mut ours, &mut cycle_ours, true),
            (&mut bare, &mut cycle_bare, false),
        ] {
            let ask = |method: &str, path: &str, body: &str| match through {
                true => gate.ask(method, path, body),
                false => exchange(UnixStream::connect(&engine.socket)?, method, path, body, ""),
            };
            let begun = Instant::now();
            let created = ask("POST", "/v1.41/containers/create", body)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            let id = made(created)?;
            let (status, answer) = ask("POST", &format!("/v1.41/containers/{id}/start"), "")?;
            expect(status, 204, &answer)?;
            let (status, answer) = ask("DELETE", &format!("/v1.41/containers/{id}?force=1"), "")?;
            expect(status, 204, &answer)?;
            cycles.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    let (ours, bare) = (median(ours), median(bare));
    section(&format!(
        "a create with both records durable, median of {count}"
    ))?;
    println!(
        "  gate {ours:.2} ms, bare socket {bare:.2} ms: {:.2} ms more",
        ours - bare
    );
    let (ours, bare) = (median(cycle_ours), median(cycle_bare));
    println!("  with start and remove: gate {ours:.1} ms, bare socket {bare:.1} ms");
    Ok(())
}

/// Changes a second, each with a durable intent and outcome, by how many clients ask at once.
fn durable(gate: &Gate) -> Result<(), Failure> {
    section("changes a second (a volume made, and removed), each with both records durable")?;
    for clients in [1, 16, 256] {
        let until = Instant::now() + Duration::from_secs(4);
        let workers: Vec<_> = (0..clients)
            .map(|client| {
                let gate = gate.access();
                std::thread::spawn(move || -> Result<usize, Failure> {
                    let mut done = 0;
                    let mut stream = TcpStream::connect(("127.0.0.1", gate.port))?;
                    while Instant::now() < until {
                        let name = format!("v-{clients}-{client}-{done}");
                        let mut ask = |method: &str, path: &str, body: &str| {
                            keep_alive(&mut stream, method, path, body, &gate.token)
                        };
                        let body = format!(r#"{{"Name":"{name}"}}"#);
                        let (status, answer) = ask("POST", "/v1.41/volumes/create", &body)?;
                        expect(status, 201, &answer)?;
                        let (status, answer) =
                            ask("DELETE", &format!("/v1.41/volumes/{name}"), "")?;
                        expect(status, 204, &answer)?;
                        done += 2;
                    }
                    Ok(done)
                })
            })
            .collect();
        let mut done = 0;
        for worker in workers {
            done += worker.join().map_err(|_| "a client panicked")??;
        }
        println!("  {clients} clients: {:.0}", done as f64 / 4.0);
    }
    Ok(())
}

/// What gate and broker take up while many follow the output of one idle container.
fn followers(gate: &Gate, engine: &Engine) -> Result<(), Failure> {
    let count = match engine.process {
        Some(_) => FOLLOWERS_EMBEDDED,
        None => FOLLOWERS,
    };
    // The engine sends the head of an answer with the first line.
    let body = r#"{"Image":"allowed/app:1","Cmd":["sh","-c","echo ready; exec sleep 600"]}"#;
    let id = made(gate.ask("POST", "/v1.41/containers/create", body)?)?;
    let (status, answer) = gate.ask("POST", &format!("/v1.41/containers/{id}/start"), "")?;
    expect(status, 204, &answer)?;
    let before = gate.memory()?;
    let mut open = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(("127.0.0.1", gate.port))?;
        let path = format!("/v1.41/containers/{id}/logs?follow=1&stdout=1");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\n\r\n",
            gate.token
        )?;
        let mut reader = BufReader::new(stream);
        let (status, _) = head(&mut reader)?;
        expect(status, 200, "")?;
        open.push(reader);
    }
    let after = gate.memory()?;
    section(&format!("{count} idle log followers"))?;
    for (name, before, after) in before
        .into_iter()
        .zip(after)
        .map(|((name, before), (_, after))| (name, before, after))
    {
        println!("  {name}: {after:.0} MiB ({:.0} more)", after - before);
    }
    drop(open);
    gate.ask("DELETE", &format!("/v1.41/containers/{id}?force=1"), "")?;
    Ok(())
}

struct Engine {
    name: String,
    socket: PathBuf,
    process: Option<Process>,
}

impl Engine {
    fn given_or_embedded(dir: &Path) -> Result<Self, Failure> {
        if let Some(socket) = std::env::args().nth(1) {
            return Ok(Self {
                name: socket.clone(),
                socket: socket.into(),
                process: None,
            });
        }
        let socket = dir.join("engine.sock");
        let mut command = cofferdam()?;
        command.arg("engine").arg("--socket").arg(&socket);
        command.arg("--root").arg(dir.join("host"));
        let process = Process(command.stdout(Stdio::null()).spawn()?);
        wait(|| UnixStream::connect(&socket).is_ok())?;
        Ok(Self {
            name: "embedded".to_owned(),
            socket,
            process: Some(process),
        })
    }
}

/// `cofferdam gate --dev` with limits that do not limit.
struct Gate {
    port: u16,
    token: String,
    issuer: String,
    key: PathBuf,
    process: Process,
}

/// What a client needs.
struct Access {
    port: u16,
    token: String,
}

impl Gate {
    fn start(dir: &Path, engine: &Path) -> Result<Self, Failure> {
        let dev = dir.join("dev");
        // The first start writes the configuration, the second one has the limits.
        drop(Self::run(&dev, engine)?);
        let config = dev.join("gate.toml");
        let text = std::fs::read_to_string(&config)?;
        let limits = "[limits]\nrequests_per_second = 1000000\nburst = 1000000\nconcurrent = 4096\nstreams = 4096\nconnections = 8192\nconnections_per_peer = 8192\n";
        std::fs::write(&config, text.replace("[limits]\n", limits))?;
        Self::run(&dev, engine)
    }

    fn run(dev: &Path, engine: &Path) -> Result<Self, Failure> {
        let told = dev.join("dev.json");
        let mut command = cofferdam()?;
        command
            .args(["gate", "--dev", "--listen", "127.0.0.1:0", "--dir"])
            .arg(dev);
        command.arg("--engine").arg(engine);
        let process = Process(
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?,
        );
        wait(|| told.exists())?;
        let told: Value = serde_json::from_slice(&std::fs::read(told)?)?;
        let text = |pointer: &str| {
            told.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let port = text("/docker_url")
            .rsplit(':')
            .next()
            .unwrap_or_default()
            .parse()?;
        Ok(Self {
            port,
            token: std::fs::read_to_string(text("/tokens/alice"))?,
            issuer: text("/issuer/issuer").to_owned(),
            key: text("/issuer/key").into(),
            process,
        })
    }

    fn access(&self) -> Access {
        Access {
            port: self.port,
            token: self.token.clone(),
        }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<(u16, String), Failure> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        exchange(stream, method, path, body, &self.token)
    }

    /// MiB that gate and broker have in memory.
    fn memory(&self) -> Result<Vec<(String, f64)>, Failure> {
        let mut memory = Vec::new();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let path = entry.path();
            let Ok(status) = std::fs::read_to_string(path.join("status")) else {
                continue;
            };
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name))?;
                line.split_whitespace().next()?.parse::<u32>().ok()
            };
            if field("PPid:") != Some(self.process.0.id()) {
                continue;
            }
            let command = std::fs::read(path.join("cmdline"))?;
            let name = command.split(|byte| *byte == 0).nth(1).unwrap_or_default();
            let kib = field("VmRSS:").unwrap_or_default();
            memory.push((
                String::from_utf8_lossy(name).into_owned(),
                f64::from(kib) / 1024.0,
            ));
        }
        memory.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(memory)
    }
}

struct Haproxy {
    port: u16,
    _process: Process,
}

impl Haproxy {
    fn start(dir: &Path, engine: &Path, gate: &Gate) -> Result<Self, Failure> {
        let key = SigningKey::from_pem(&std::fs::read_to_string(&gate.key)?)?;
        let public = dir.join("issuer-public.pem");
        std::fs::write(&public, public_pem(&key)?)?;
        // Freed at once: nothing else asks for a port here in between.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = dir.join("haproxy.cfg");
        std::fs::write(
            &config,
            format!(
                "global\n  maxconn 8192\n  nbthread 2\n\
                 defaults\n  mode http\n  timeout client 60s\n  timeout server 60s\n  timeout connect 5s\n\
                 frontend gate\n  bind 127.0.0.1:{port}\n\
                 \x20 http-request set-var(txn.issuer) http_auth_bearer,jwt_payload_query('$.iss')\n\
                 \x20 http-request set-var(txn.exp) http_auth_bearer,jwt_payload_query('$.exp','int')\n\
                 \x20 http-request set-var(txn.now) date()\n\
                 \x20 http-request deny unless {{ var(txn.issuer) -m str {} }}\n\
                 \x20 http-request deny if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}\n\
                 \x20 http-request deny unless {{ http_auth_bearer,jwt_verify(\"ES256\",\"{}\") -m int 1 }}\n\
                 \x20 default_backend engine\n\
                 backend engine\n  http-reuse always\n  server engine unix@{}\n",
                gate.issuer,
                public.display(),
                engine.display(),
            ),
        )?;
        let process = Command::new("haproxy").arg("-f").arg(&config).spawn()?;
        let haproxy = Self {
            port,
            _process: Process(process),
        };
        wait(|| TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        let good = exchange(
            TcpStream::connect(("127.0.0.1", port))?,
            "GET",
            "/v1.41/_ping",
            "",
            &gate.token,
        )?;
        expect(good.0, 200, &good.1)?;
        let bad = exchange(
            TcpStream::connect(("127.0.0.1", port))?,
            "GET",
            "/v1.41/_ping",
            "",
            "no.to.ken",
        )?;
        expect(bad.0, 403, &bad.1)?;
        Ok(haproxy)
    }
}

/// The public half of an ES256 key as PEM.
fn public_pem(key: &SigningKey) -> Result<String, Failure> {
    // SubjectPublicKeyInfo of a P-256 key up to its point (RFC 5480).
    const PREFIX: [u8; 27] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    let jwk = key.public_jwk();
    let mut der = PREFIX.to_vec();
    for member in ["x", "y"] {
        let text = jwk[member].as_str().ok_or("the key is no P-256 key")?;
        der.extend(cofferdam_token::base64url::decode(text).ok_or("the key is no key")?);
    }
    let mut body = cofferdam_token::base64url::encode(&der)
        .replace('-', "+")
        .replace('_', "/");
    while !body.len().is_multiple_of(4) {
        body.push('=');
    }
    Ok(format!(
        "-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"
    ))
}

/// A process that ends with this one.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Its children end with it, and it ends within two seconds of SIGTERM.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.0.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The tool itself, built beside this program.
fn cofferdam() -> Result<Command, Failure> {
    let path = std::env::current_exe()?.with_file_name("cofferdam");
    match path.exists() {
        true => Ok(Command::new(path)),
        false => Err("build it first: `cargo build --release -p cofferdam`".into()),
    }
}

fn wait(mut ready: impl FnMut() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ready() {
        if Instant::now() > deadline {
            return Err("a server did not start within 20 s".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn wrk(port: u16, path: &str, token: &str) -> Result<f64, Failure> {
    let output = Command::new("wrk")
        .args(["-t", "1", "-c", CONNECTIONS, "-d", SECONDS, "-H"])
        .arg(format!("Authorization: Bearer {token}"))
        .arg(format!("http://127.0.0.1:{port}{path}"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(line) = text.lines().find(|line| line.contains("Non-2xx")) {
        return Err(format!("{path}: {}", line.trim()).into());
    }
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(line.ok_or("`wrk` said nothing")?.trim().parse()?)
}

/// The title of what is measured next, with the load of the machine.
fn section(title: &str) -> Result<(), Failure> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    println!("\n{title} (load average {load})");
    Ok(())
}

/// The id of what was made.
fn made((status, answer): (u16, String)) -> Result<String, Failure> {
    expect(status, 201, &answer)?;
    let answer: Value = serde_json::from_str(&answer)?;
    Ok(answer["Id"].as_str().ok_or("there is no id")?.to_owned())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn expect(status: u16, wanted: u16, answer: &str) -> Result<(), Failure> {
    match status == wanted {
        true => Ok(()),
        false => Err(format!("status {status} instead of {wanted}: {answer}").into()),
    }
}

/// One request on a connection of its own.
fn exchange<S: std::io::Read + std::io::Write>(
    mut stream: S,
    method: &str,
    path: &str,
    body: &str,
    token: &str,
) -> Result<(u16, String), Failure> {
    keep_alive(&mut stream, method, path, body, token)
}

/// One request on a connection that is used again.
fn keep_alive<S: std::io::Read + std::io::Write>(
    stream: &mut S,
    method: &str,
    path: &str,
    body: &str,
    token: &str,
) -> Result<(u16, String), Failure> {
    let authorization = match token {
        "" => String::new(),
        token => format!("authorization: Bearer {token}\r\n"),
    };
    let content = match body {
        "" => "content-length: 0\r\n".to_owned(),
        body => format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        ),
    };
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: gate\r\n{authorization}{content}\r\n{body}");
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let (status, length) = head(&mut reader)?;
    let mut answer = vec![0; length];
    reader.read_exact(&mut answer)?;
    Ok((status, String::from_utf8_lossy(&answer).into_owned()))
}

/// Reads the head of an answer: its status, and the length of its body where that is told.
fn head(reader: &mut impl std::io::BufRead) -> Result<(u16, usize), Failure> {
    let (mut status, mut length, mut line) = (0, 0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err("the connection ended".into());
        }
        let trimmed = line.trim_end();
        if trimmed.is_empty() {
            return Ok((status, length));
        }
        if status == 0 {
            status = trimmed.split(' ').nth(1).unwrap_or_default().parse()?;
        } else if let Some((name, value)) = trimmed.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
}
