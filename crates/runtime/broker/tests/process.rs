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
use cofferdam_audit::log::{Log, Options};
use cofferdam_audit::note::SigningKey as AuditKey;
use cofferdam_audit::reader::Reader;
use cofferdam_audit::record::{Event, Record};
use cofferdam_audit::verify::verify;
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

    fn log(&self) -> std::path::PathBuf {
        self.path().join("state/audit")
    }

    fn audit_key(&self) -> AuditKey {
        let text = std::fs::read_to_string(self.path().join("etc/audit.key")).unwrap();
        AuditKey::parse(&text).unwrap()
    }

    /// Writes a log of so many records, as an earlier broker has.
    fn fill_log(&self, count: u64) {
        let options = Options {
            queue: count as usize,
            ..Options::default()
        };
        let (log, _) = Log::open(&self.log(), self.audit_key(), options).unwrap();
        let record = |number: u64| Record {
            time_ms: number,
            event: Event::Notice {
                text: format!("record {number}"),
            },
        };
        for number in 0..count {
            log.submit(&record(number), |_| {}).unwrap();
        }
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
        Self::of(&mut place.command())
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
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
async fn the_service_manager_hears_when_it_is_ready_reloads_and_stops() {
    let place = Place::new();
    let _engine = place.engine().await;
    let socket = place.path().join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || {
        let mut bytes = [0; 64];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let running = Running::of(place.command().env("NOTIFY_SOCKET", &socket));
    assert_eq!(heard(), "READY=1");
    running.signal(rustix::process::Signal::HUP);
    assert_eq!([heard(), heard()], ["RELOADING=1", "READY=1"]);
    assert_eq!(running.stop().0, Some(0));
    assert_eq!(heard(), "STOPPING=1");
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

#[tokio::test(flavor = "multi_thread")]
async fn it_moves_old_records_away_while_it_runs_and_the_log_still_verifies() {
    let place = Place::new();
    let _engine = place.engine().await;
    place.configure("[audit]\nkeep = '1d'\narchive = '../old'");
    // More than it moves at once.
    place.fill_log(65 * 256 + 100);
    let mut running = Running::start(&place);
    running.until("16640 records were moved from the audit log");
    let volume = serde_json::json!({ "VolumeCreate": { "name": "data", "labels": {} } });
    let made = place.ask(volume);
    assert!(matches!(made, Outcome::Done(_)), "{made:?}");
    let (code, said) = running.stop();
    assert_eq!(code, Some(0), "{said:#?}");

    let reader = Reader::open(&place.log()).unwrap();
    assert_eq!(reader.first(), 65 * 256);
    let archive = place.path().join("old");
    let key = place.audit_key().verifying_key();
    let report = verify(&place.log(), None, &key, None).unwrap();
    assert!(report.is_intact() && report.moved == 65 * 256, "{report:?}");
    let report = verify(&place.log(), Some(&archive), &key, None).unwrap();
    assert!(
        report.is_intact() && report.archived == 65 * 256,
        "{report:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_moved_stays_and_is_told_and_the_broker_goes_on() {
    let place = Place::new();
    let _engine = place.engine().await;
    place.configure("[audit]\nkeep_records = 256\narchive = '../old'");
    place.fill_log(1000);
    // A file in the way of the folder, as a full disk would be.
    std::fs::create_dir(place.path().join("old")).unwrap();
    place.write("old/tile", "");
    let mut running = Running::start(&place);
    running.until("old records cannot be moved to");
    let volume = serde_json::json!({ "VolumeCreate": { "name": "data", "labels": {} } });
    let made = place.ask(volume);
    assert!(matches!(made, Outcome::Done(_)), "{made:?}");
    assert_eq!(running.stop().0, Some(0));
    assert_eq!(Reader::open(&place.log()).unwrap().first(), 0);
    let key = place.audit_key().verifying_key();
    let report = verify(&place.log(), None, &key, None).unwrap();
    assert!(report.is_intact() && report.moved == 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_published_is_told_once_and_when_it_works_again() {
    let place = Place::new();
    let _engine = place.engine().await;
    let mut running = Running::start(&place);
    // A folder in the way of the new checkpoint, as a full disk would be. A publication under way
    // may have its file there.
    let in_the_way = place.log().join("checkpoint.new");
    let begun = std::time::Instant::now();
    while std::fs::create_dir(&in_the_way).is_err() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    let volume = serde_json::json!({ "VolumeCreate": { "name": "data", "labels": {} } });
    let made = place.ask(volume);
    assert!(matches!(made, Outcome::Done(_)), "{made:?}");
    running.until("the audit log cannot be published");
    std::fs::remove_dir(in_the_way).unwrap();
    running.until("the audit log is published again");
    let (code, said) = running.stop();
    assert_eq!(code, Some(0));
    let told = said
        .iter()
        .filter(|line| line.contains("cannot be published"));
    assert_eq!(told.count(), 1, "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn relative_paths_begin_at_the_configuration_wherever_it_was_started() {
    let place = Place::new();
    let _engine = place.engine().await;
    place.write(
        "etc/broker.toml",
        "socket = '../run/broker.sock'\nengine = '../engine.sock'\nstate = '../state'\n\
         audit_key = 'audit.key'\nsandbox = 'best-effort'\nimages.allow = ['*']\n\
         [[issuer]]\nissuer = 'https://idp.example'\naudience = 'a'\nkeys = 'keys'\n",
    );
    for (directory, config) in [
        ("etc", "broker.toml"),
        ("", "etc/broker.toml"),
        ("run", "../etc/broker.toml"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cofferdam-broker"));
        command
            .args(["--config", config])
            .current_dir(place.path().join(directory))
            .env_clear()
            .stderr(Stdio::piped());
        let mut running = Running::of(&mut command);
        let volume = serde_json::json!({ "VolumeCreate": { "name": "data", "labels": {} } });
        let made = place.ask(volume);
        assert!(matches!(made, Outcome::Done(_)), "{made:?}");
        // What is read again must be within reach of the confined process as well.
        running.signal(rustix::process::Signal::HUP);
        running.until("the configuration was read again");
        assert_eq!(running.stop().0, Some(0));
    }
}

#[test]
fn a_configuration_is_checked_without_a_start() {
    let place = Place::new();
    let output = place.run(&["--check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("warning: every image is allowed"), "{said}");
    assert!(
        said.contains("warning: no container engine answers"),
        "{said}"
    );
    let found = String::from_utf8_lossy(&output.stdout);
    for line in [
        "audit key: broker.test+",
        "keys: of `https://idp.example`",
        "policy: ",
    ] {
        assert!(found.contains(line), "{line}: {found}");
    }
    std::fs::remove_file(place.path().join("etc/audit.key")).unwrap();
    place.configure("gate_user = 'no-such-user'");
    let output = place.run(&["--check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for line in [
        "error: the key of the audit log cannot be read",
        "error: `gate_user`: ",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
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
