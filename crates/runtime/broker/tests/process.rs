//! The program itself: how it starts, serves, reloads and stops, and with what it does not start.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use cofferdam_action::action::Action;
use cofferdam_action::wire::{self, Answer, Ask, Call, Frame, Outcome, RawToken};
use cofferdam_audit::note::SigningKey as AuditKey;
use cofferdam_audit::reader::Reader;
use cofferdam_audit::record::Event;
use cofferdam_engine::{Engine, EngineOptions};
use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::Algorithm;

const PATIENCE: Duration = Duration::from_secs(30);

struct Place {
    dir: tempfile::TempDir,
    issuer: Issuer,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["etc", "run", "host"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let place = Self {
            issuer: Issuer::new("https://idp.example", key),
            dir,
        };
        let audit = AuditKey::generate("broker.test").unwrap();
        place.write("etc/audit.key", &audit.to_secret_text());
        place.write("etc/keys", &place.issuer.jwks().to_string());
        place.configure("images.allow = ['*']");
        place
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// Without `required` it starts on every kernel.
    fn configure(&self, more: &str) {
        let text = format!(
            "socket = '{at}/run/broker.sock'\nengine = '{at}/engine.sock'\nstate = '{at}/state'\n\
             audit_key = '{at}/etc/audit.key'\nsandbox = 'best-effort'\n{more}\n\
             [[issuer]]\nissuer = 'https://idp.example'\naudience = 'a'\nkeys = '{at}/etc/keys'\n",
            at = self.path().display()
        );
        self.write("etc/broker.toml", &text);
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cofferdam-broker"));
        command
            .arg("--config")
            .arg(self.path().join("etc/broker.toml"))
            .env_clear()
            .stderr(Stdio::piped());
        command
    }

    /// Runs it to its end, which must come by itself.
    fn run(&self, more: &[&str]) -> Output {
        self.command().args(more).output().unwrap()
    }

    async fn engine(&self) -> Engine {
        let socket = self.path().join("engine.sock");
        let options = EngineOptions::new(socket, self.path().join("host"));
        Engine::start(options).await.unwrap()
    }

    fn token(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        self.issuer
            .token("alice")
            .audience("a")
            .scope("containers:run volumes:write builds:bind")
            .claim("roles", serde_json::json!(["runner"]))
            .mint(now.as_secs())
            .unwrap()
    }

    fn ask(&self, action: serde_json::Value) -> Outcome {
        let action: Action = serde_json::from_value(action).unwrap();
        let call = Call {
            token: RawToken::new(self.token()),
            certificate: None,
            ask: Ask::Act(Box::new(action)),
        };
        let mut bytes = BytesMut::new();
        let json = serde_json::to_vec(&call).unwrap();
        wire::encode(&Frame::Call(json.into()), &mut bytes).unwrap();
        wire::encode(&Frame::End, &mut bytes).unwrap();
        let mut stream = UnixStream::connect(self.path().join("run/broker.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&bytes).unwrap();
        let mut heard = BytesMut::new();
        loop {
            if let Some(Frame::Answer(json)) = wire::decode(&mut heard).unwrap() {
                return serde_json::from_slice::<Answer>(&json).unwrap().outcome;
            }
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the broker closed the connection");
            heard.extend_from_slice(&buffer[..read]);
        }
    }
}

/// A broker that runs; killed when it is dropped.
struct Running {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    said: Vec<String>,
}

impl Running {
    fn start(place: &Place) -> Self {
        let mut child = place.command().spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut running = Self {
            child,
            lines,
            said: Vec::new(),
        };
        running.until("ready");
        running
    }

    /// Waits for a line with this in it.
    fn until(&mut self, wanted: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no `{wanted}` in {:#?}", self.said));
            let found = line.contains(wanted);
            self.said.push(line);
            if found {
                return;
            }
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, signal).unwrap();
    }

    fn stop(mut self) -> (Option<i32>, Vec<String>) {
        self.signal(rustix::process::Signal::TERM);
        let code = self.child.wait().unwrap().code();
        self.said.extend(self.lines.try_iter());
        (code, std::mem::take(&mut self.said))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_confined_and_reloads_and_stops() {
    let place = Place::new();
    let engine = place.engine().await;
    let mut running = Running::start(&place);
    let volume = serde_json::json!({ "VolumeCreate": { "name": "data", "labels": {} } });
    let made = place.ask(volume.clone());
    assert!(matches!(made, Outcome::Done(_)), "{made:?}");

    // A file of keys that is replaced, as a careful writer does, is read again by itself.
    let other = Issuer::new(
        "https://idp.example",
        SigningKey::generate(Algorithm::EdDsa).unwrap(),
    );
    place.write("etc/keys.new", &other.jwks().to_string());
    std::fs::rename(
        place.path().join("etc/keys.new"),
        place.path().join("etc/keys"),
    )
    .unwrap();
    running.until("has other keys now");
    let refused = place.ask(volume);
    assert!(matches!(refused, Outcome::Refused(_)), "{refused:?}");

    place.configure("policy_mode = 'nonsense'");
    running.signal(rustix::process::Signal::HUP);
    running.until("stays in force");
    place.configure("policy_mode = 'would-deny'");
    running.signal(rustix::process::Signal::HUP);
    running.until("was read again");

    let (code, said) = running.stop();
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(!place.path().join("run/broker.sock").exists());
    for line in [
        "environment: ",
        "network: none, unix sockets only",
        "policy: enforced",
    ] {
        assert!(
            said.iter().any(|it| it.starts_with(line)),
            "{line}: {said:#?}"
        );
    }
    let reader = Reader::open(&place.path().join("state/audit")).unwrap();
    let events: Vec<Event> = reader
        .entries(0)
        .map(|entry| entry.unwrap().record().unwrap().event)
        .collect();
    let intents = events
        .iter()
        .filter(|it| matches!(it, Event::Intent(_)))
        .count();
    let outcomes = events
        .iter()
        .filter(|it| matches!(it, Event::Outcome { success: true, .. }))
        .count();
    assert_eq!((intents, outcomes), (1, 1), "{events:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn confined_it_still_walks_the_paths_that_an_exception_allows() {
    let place = Place::new();
    let _engine = place.engine().await;
    let builds = std::fs::canonicalize(place.path()).unwrap().join("builds");
    std::fs::create_dir(&builds).unwrap();
    std::os::unix::fs::symlink("/etc", builds.join("out")).unwrap();
    place.configure(&format!(
        "images.allow = ['*']\n[[exception]]\nhost_path = '{}'\nbelow = true\nscope = 'builds:bind'",
        builds.display()
    ));
    let running = Running::start(&place);
    let create = |path: &Path| {
        serde_json::json!({ "ContainerCreate": {
            "image": "allowed/app:1",
            "storage": { "binds": [{ "source": { "host": path }, "target": "/b", "read_only": true }] },
        }})
    };
    let made = place.ask(create(&builds));
    assert!(matches!(made, Outcome::Done(_)), "{made:?}");
    let refused = place.ask(create(&builds.join("out")));
    let Outcome::Refused(refused) = refused else {
        panic!("{refused:?}");
    };
    assert!(refused.message.contains("symbolic link"), "{refused:?}");
    assert_eq!(running.stop().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_broker_does_not_take_the_place_of_the_first() {
    let place = Place::new();
    let _engine = place.engine().await;
    let running = Running::start(&place);
    let output = place.run(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("is another broker running?"), "{said}");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn without_an_engine_it_does_not_start_and_says_so() {
    let place = Place::new();
    let output = place.run(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no container engine answers at"), "{said}");
    assert!(!place.path().join("run/broker.sock").exists());
}

#[test]
fn a_configuration_is_checked_without_a_start() {
    let place = Place::new();
    let output = place.run(&["--check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("warning: every image is allowed"), "{said}");
    place.configure("polcy = 'x'");
    let output = place.run(&["--check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("broker.toml:6:1: unknown field `polcy`"),
        "{said}"
    );
    let output = place.run(&["--nonsense"]);
    assert_eq!(output.status.code(), Some(2));
}
