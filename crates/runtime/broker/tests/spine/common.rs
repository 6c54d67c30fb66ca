//! A broker with an engine of its own, and a gate's end of its socket.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use cofferdam_action::action::Action;
use cofferdam_action::wire::{self, Answer, Ask, Call, Done, Frame, Outcome, RawToken, Refused};
use cofferdam_audit::note::SigningKey as AuditKey;
use cofferdam_audit::reader::Reader;
use cofferdam_audit::record::{Event, Record};
use cofferdam_broker::{Broker, BrokerConfig, Peer, Server, Timing};
use cofferdam_engine::{Engine, EngineOptions};
use cofferdam_issuer::{Issuer, SigningKey, TokenBuilder};
use cofferdam_token::Algorithm;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

pub(crate) const AUDIENCE: &str = "https://containers.example";
pub(crate) const ISSUER: &str = "https://idp.example";

/// Every scope that an action takes.
pub(crate) const ALL_SCOPES: &str = "system:read containers:read containers:run containers:exec images:read images:write networks:read networks:write volumes:read volumes:write";

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A broker under test. Its files are gone with it.
pub(crate) struct Lab {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) issuer: Issuer,
    pub(crate) broker: Arc<Broker>,
    pub(crate) said: Arc<Mutex<Vec<String>>>,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
    engine: Option<Engine>,
}

/// How a broker under test is made.
pub(crate) struct Setup {
    /// More lines of the configuration, before the issuer.
    pub(crate) config: String,
    /// More lines of the issuer's.
    pub(crate) issuer: String,
    pub(crate) timing: Timing,
    /// Whom the server hears; the test itself where there is none.
    pub(crate) uid: Option<u32>,
    /// The engine's socket; an embedded engine's where there is none.
    pub(crate) engine: Option<PathBuf>,
    /// Where the state is; below the lab's directory where there is none.
    pub(crate) state: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            config: "images.local = true\nimages.allow = [\"*\"]\n".to_owned(),
            issuer: String::new(),
            timing: Timing::default(),
            uid: None,
            engine: None,
            state: None,
        }
    }
}

impl Lab {
    pub(crate) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path();
        let (engine, socket) = match setup.engine {
            Some(socket) => (None, socket),
            None => {
                let host = place.join("host");
                std::fs::create_dir(&host).unwrap();
                let options = EngineOptions::new(place.join("engine.sock"), host);
                let engine = Engine::start(options).await.unwrap();
                let socket = engine.socket().to_owned();
                (Some(engine), socket)
            }
        };
        let issuer = Issuer::new(ISSUER, SigningKey::generate(Algorithm::EdDsa).unwrap());
        std::fs::write(place.join("keys"), issuer.jwks().to_string()).unwrap();
        let key = AuditKey::generate("broker.test").unwrap();
        std::fs::write(place.join("audit.key"), key.to_secret_text().as_str()).unwrap();
        let state = setup.state.unwrap_or_else(|| place.join("state"));
        std::fs::create_dir_all(&state).unwrap();
        let text = format!(
            "socket = '{at}/broker.sock'\nengine = '{}'\nstate = '{}'\naudit_key = '{at}/audit.key'\n\
             {}\n[[issuer]]\nissuer = '{ISSUER}'\naudience = '{AUDIENCE}'\nkeys = '{at}/keys'\n{}",
            socket.display(),
            state.display(),
            setup.config,
            setup.issuer,
            at = place.display(),
        );
        let file = place.join("broker.toml");
        std::fs::write(&file, text).unwrap();
        let config = BrokerConfig::read(&file).unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&said);
        let say = Arc::new(move |text: &str| hears.lock().unwrap().push(text.to_owned()));
        let broker = Arc::new(Broker::open(&config, setup.timing, say).unwrap());
        let listener = UnixListener::bind(&config.socket).unwrap();
        let (stop, stopped) = watch::channel(false);
        let uid = setup.uid.unwrap_or(rustix::process::geteuid().as_raw());
        let server = Server::new(Arc::clone(&broker), listener, Peer { uid }, 64);
        let serving = tokio::spawn(server.run(stopped, Duration::from_secs(2)));
        Self {
            dir,
            issuer,
            broker,
            said,
            stop,
            serving,
            engine,
        }
    }

    /// A token of `subject` with every scope and the shipped roles of a runner with exec.
    pub(crate) fn token(&self, subject: &str) -> String {
        self.mint(subject, |token| token)
    }

    pub(crate) fn mint(
        &self,
        subject: &str,
        build: impl FnOnce(TokenBuilder<'_>) -> TokenBuilder<'_>,
    ) -> String {
        let token = self
            .issuer
            .token(subject)
            .audience(AUDIENCE)
            .scope(ALL_SCOPES)
            .claim("roles", json!(["runner", "reader"]));
        build(token).mint(now()).unwrap()
    }

    pub(crate) async fn connect(&self) -> Gate {
        let path = self.dir.path().join("broker.sock");
        Gate {
            stream: UnixStream::connect(path).await.unwrap(),
            buffer: BytesMut::new(),
        }
    }

    /// One call over a connection of its own.
    pub(crate) async fn ask(&self, token: &str, action: Value) -> Result<(Done, Bytes), Refused> {
        self.connect().await.ask(token, action).await
    }

    /// Stops the server, and waits for all that is under way and its records.
    pub(crate) async fn finish(self) -> (tempfile::TempDir, Vec<Record>) {
        let _ = self.stop.send(true);
        self.serving.await.unwrap();
        self.broker.finish(PATIENCE).await;
        let records = records(&self.dir.path().join("state/audit"));
        if let Some(engine) = self.engine {
            engine.stop().await;
        }
        (self.dir, records)
    }

    /// Waits for a record, in the order of the log.
    pub(crate) async fn record(&self, wanted: impl Fn(&Record) -> bool) -> Record {
        let place = self.dir.path().join("state/audit");
        eventually(|| records(&place).into_iter().find(&wanted)).await
    }
}

/// The gate's end of a connection.
pub(crate) struct Gate {
    pub(crate) stream: UnixStream,
    buffer: BytesMut,
}

impl Gate {
    pub(crate) async fn ask(
        &mut self,
        token: &str,
        action: Value,
    ) -> Result<(Done, Bytes), Refused> {
        self.send(&act(token, action), &[Frame::End]).await;
        match self.answer().await.outcome {
            Outcome::Refused(refused) => {
                assert_eq!(self.frame().await, Some(Frame::End));
                Err(refused)
            }
            Outcome::Done(done) => Ok((done, self.rest().await)),
        }
    }

    pub(crate) async fn send(&mut self, call: &Call, frames: &[Frame]) {
        let mut buffer = BytesMut::new();
        let json = serde_json::to_vec(call).unwrap();
        wire::encode(&Frame::Call(json.into()), &mut buffer).unwrap();
        for frame in frames {
            wire::encode(frame, &mut buffer).unwrap();
        }
        self.stream.write_all(&buffer).await.unwrap();
    }

    pub(crate) async fn put(&mut self, frame: Frame) {
        let mut buffer = BytesMut::new();
        wire::encode(&frame, &mut buffer).unwrap();
        self.stream.write_all(&buffer).await.unwrap();
    }

    /// The next frame; nothing at the end of the connection.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let frame = async {
            loop {
                if let Some(frame) = wire::decode(&mut self.buffer).unwrap() {
                    return Some(frame);
                }
                // A connection that is reset has ended too.
                if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
        };
        tokio::time::timeout(PATIENCE, frame).await.unwrap()
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        match self.frame().await {
            Some(Frame::Answer(json)) => serde_json::from_slice(&json).unwrap(),
            other => panic!("no answer but {other:?}"),
        }
    }

    pub(crate) async fn done(&mut self) -> Done {
        match self.answer().await.outcome {
            Outcome::Done(done) => done,
            Outcome::Refused(refused) => panic!("{refused:?}"),
        }
    }

    /// The body until its end.
    pub(crate) async fn rest(&mut self) -> Bytes {
        let mut body = BytesMut::new();
        loop {
            match self.frame().await {
                Some(Frame::Data(bytes)) => body.extend_from_slice(&bytes),
                Some(Frame::End) => return body.freeze(),
                other => panic!("{other:?} after {body:?}"),
            }
        }
    }
}

pub(crate) fn act(token: &str, action: Value) -> Call {
    let action: Action = serde_json::from_value(action).unwrap();
    Call {
        token: RawToken::new(token),
        certificate: None,
        ask: Ask::Act(Box::new(action)),
    }
}

pub(crate) fn create(name: &str, command: &[&str]) -> Value {
    json!({ "ContainerCreate": {
        "name": name,
        "image": "allowed/app:1",
        "process": { "command": command },
    }})
}

pub(crate) fn text(body: &Bytes) -> &str {
    std::str::from_utf8(body).unwrap()
}

pub(crate) fn json(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap()
}

pub(crate) fn records(place: &std::path::Path) -> Vec<Record> {
    let Ok(reader) = Reader::open(place) else {
        return Vec::new();
    };
    reader
        .entries(0)
        .map(|entry| entry.unwrap().record().unwrap())
        .collect()
}

/// Whether it is the outcome of a request.
pub(crate) fn outcome_of(request: &str) -> impl Fn(&Record) -> bool {
    move |record| matches!(&record.event, Event::Outcome { request: found, .. } if found == request)
}

/// Waits until something is there.
pub(crate) async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "it never came");
        // What is looked for, a record in a file or what an engine heard, tells nobody of itself.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// An engine that the test plays itself: each request is handed to `answer` by its head, and what
/// that writes is the answer. Requests are counted.
pub(crate) struct Played {
    pub(crate) socket: PathBuf,
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    _dir: tempfile::TempDir,
}

impl Played {
    pub(crate) fn new<F>(answer: impl Fn(String, UnixStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (heard, answer) = (Arc::clone(&heard), Arc::clone(&answer));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    let head = String::from_utf8(head).unwrap();
                    let line = head.lines().next().unwrap().to_owned();
                    heard.lock().unwrap().push(line);
                    answer(head, stream).await;
                });
            }
        });
        Self {
            socket,
            requests,
            _dir: dir,
        }
    }

    /// One that takes requests and says nothing, until the other side goes.
    pub(crate) fn hung() -> Self {
        Self::new(|_, mut stream| async move { drain(&mut stream).await })
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads until the other side goes.
pub(crate) async fn drain(stream: &mut UnixStream) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}
