//! A broker before an engine that the test plays.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

use cofferdam_action::wire::{Ask, Call, Outcome, RawToken};
use cofferdam_audit::note::SigningKey as AuditKey;
use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::Algorithm;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use super::*;
use crate::config::BrokerConfig;
use crate::pipeline::serve;
use crate::tenancy::{Kind, Owner};
use crate::upstream::Timing;

const PATIENCE: Duration = Duration::from_secs(20);

/// What the engine has, and how it behaves.
#[derive(Default)]
struct Played {
    containers: Mutex<Vec<Value>>,
    /// How many volumes of somebody it has, with a mebibyte of labels each.
    volumes: usize,
    /// How often it still refuses to tell its events.
    refuses: AtomicUsize,
    subscribed: AtomicUsize,
    listed: AtomicUsize,
    events: Mutex<Vec<u8>>,
    more: Notify,
}

struct Lab {
    dir: tempfile::TempDir,
    issuer: Issuer,
    engine: Arc<Played>,
    broker: Arc<Broker>,
}

impl Lab {
    fn new(engine: Played) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        let issuer = Issuer::new("https://i", SigningKey::generate(Algorithm::EdDsa).unwrap());
        std::fs::write(dir.path().join("keys"), issuer.jwks().to_string()).unwrap();
        let key = AuditKey::generate("broker.test").unwrap();
        std::fs::write(dir.path().join("audit.key"), key.to_secret_text().as_str()).unwrap();
        std::fs::create_dir(dir.path().join("state")).unwrap();
        let text = format!(
            "socket = '{at}/s'\nengine = '{at}/engine'\nstate = '{at}/state'\n\
             audit_key = '{at}/audit.key'\nimages.allow = ['*']\n\
             [[issuer]]\nissuer = 'https://i'\naudience = 'a'\nkeys = '{at}/keys'\n"
        );
        let config = BrokerConfig::parse(&text, Path::new("broker.toml")).unwrap();
        let listener = UnixListener::bind(&config.engine).unwrap();
        let engine = Arc::new(engine);
        tokio::spawn(play(Arc::clone(&engine), listener));
        let broker = Broker::open(&config, Timing::default(), Arc::new(|_: &str| {})).unwrap();
        Self {
            dir,
            issuer,
            engine,
            broker: Arc::new(broker),
        }
    }

    fn intents(&self) -> Intents {
        Intents::all(self.dir.path().join("state/audit"))
    }

    fn follow(&self) {
        let apart = Duration::from_millis(20);
        let intents = self.intents().after_now();
        tokio::spawn(Follower::new(Arc::clone(&self.broker), intents, apart).run());
    }

    async fn ask(&self, action: Value) -> Outcome {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let token = self.issuer.token("alice").audience("a");
        let token = token
            .scope("containers:run containers:read")
            .claim("roles", json!(["runner"]))
            .mint(now.as_secs())
            .unwrap();
        let action: Action = serde_json::from_value(action).unwrap();
        let call = Call {
            token: RawToken::new(token),
            certificate: None,
            ask: Ask::Act(Box::new(action)),
        };
        serve(&self.broker, call, Outgoing::Empty)
            .await
            .answer
            .outcome
    }

    fn owns(&self, id: &str) -> bool {
        let owner = self.broker.tenancy().store().owner_of(Kind::Container, id);
        owner == Some(alice())
    }

    async fn eventually(&self, what: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !what(self) {
            assert!(Instant::now() < deadline, "it never came");
            // The store and the requests of the played engine tell nobody that they have changed.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Played {
    fn tell(&self, line: &[u8]) {
        let mut events = self.events.lock().unwrap();
        events.extend_from_slice(line);
        events.push(b'\n');
        drop(events);
        self.more.notify_one();
    }
}

fn alice() -> Owner {
    Owner::of("https://i", "alice")
}

fn id(number: u8) -> String {
    format!("{number:02x}").repeat(32)
}

async fn play(engine: Arc<Played>, listener: UnixListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            // Whoever goes away in the midst of it has what they wanted.
            let _ = answer(&engine, stream).await;
        });
    }
}

async fn answer(engine: &Played, mut stream: UnixStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.to_ascii_lowercase();
    let length = length.lines().find_map(|line| {
        let length = line.strip_prefix("content-length: ")?;
        length.parse().ok()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    let target = head.split_whitespace().nth(1).unwrap();
    let ok = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    if target.contains("/events") {
        if engine.refuses.load(Relaxed) > 0 {
            engine.refuses.fetch_sub(1, Relaxed);
            let no = b"HTTP/1.1 500 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            return stream.write_all(no).await;
        }
        stream.write_all(ok.as_bytes()).await?;
        engine.subscribed.fetch_add(1, Relaxed);
        loop {
            let events = std::mem::take(&mut *engine.events.lock().unwrap());
            stream.write_all(&events).await?;
            engine.more.notified().await;
        }
    }
    if target.contains("/containers/create") {
        // It makes it and says nothing.
        let create: Value = serde_json::from_slice(&body).unwrap();
        let (_, name) = target.split_once("name=").unwrap();
        engine
            .containers
            .lock()
            .unwrap()
            .push(container(7, name, &create["Labels"]));
        return Ok(());
    }
    stream.write_all(ok.as_bytes()).await?;
    if target.contains("/containers/json") {
        engine.listed.fetch_add(1, Relaxed);
        let list = Value::from(engine.containers.lock().unwrap().clone());
        stream.write_all(list.to_string().as_bytes()).await
    } else if target.contains("/volumes") {
        let owner = Owner::of("https://i", "mallory");
        let label = "x".repeat(1 << 20);
        stream.write_all(b"{\"Volumes\":[").await?;
        for number in 0..engine.volumes {
            let comma = if number > 0 { "," } else { "" };
            let name = format!("cf-{owner}.v{number}");
            let text = format!("{comma}{{\"Name\":\"{name}\",\"Labels\":{{\"l\":\"{label}\"}}}}");
            stream.write_all(text.as_bytes()).await?;
        }
        stream.write_all(b"],\"Warnings\":null}").await
    } else {
        stream.write_all(b"[]").await
    }
}

fn container(number: u8, name: &str, labels: &Value) -> Value {
    json!({ "Id": id(number), "Names": [format!("/{name}")], "Labels": labels, "Mounts": [] })
}

#[tokio::test(flavor = "multi_thread")]
async fn more_labels_than_memory_do_not_keep_a_broker_from_starting() {
    let lab = Lab::new(Played {
        volumes: 70,
        ..Played::default()
    });
    let store = lab.broker.tenancy().store();
    let owner = Owner::of("https://i", "mallory");
    for volume in [format!("cf-{owner}.v69"), format!("cf-{owner}.v70")] {
        store.own(Kind::Volume, &volume, owner, "v").unwrap();
    }
    reconcile(&lab.broker, &lab.intents()).await.unwrap();
    assert_eq!(
        store.counts().objects,
        1,
        "the last one is seen, and one is gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_fails_leaves_no_gap() {
    let lab = Lab::new(Played {
        refuses: AtomicUsize::new(1),
        ..Played::default()
    });
    // It has gone while nobody heard.
    let store = lab.broker.tenancy().store();
    store.own(Kind::Container, &id(1), alice(), "db").unwrap();
    lab.follow();
    lab.eventually(|lab| !lab.owns(&id(1))).await;
    assert_eq!(lab.engine.subscribed.load(Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_made_without_an_answer_is_given_to_who_asked_for_it() {
    let lab = Lab::new(Played::default());
    lab.follow();
    lab.eventually(|lab| lab.engine.listed.load(Relaxed) > 0)
        .await;
    let create = json!({ "ContainerCreate": { "name": "db", "image": "app:1" } });
    let Outcome::Refused(refused) = lab.ask(create).await else {
        panic!("there was no answer");
    };
    assert!(refused.message.contains("is not known"), "{refused:?}");
    lab.eventually(|lab| lab.owns(&id(7))).await;
    assert!(
        lab.broker
            .tenancy()
            .store()
            .find(&alice(), Kind::Container, "db")
            .is_some()
    );

    // What it does later on is told by an event.
    let renamed = format!("cf-{}.web", alice());
    lab.engine.containers.lock().unwrap()[0]["Names"] = json!([format!("/{renamed}")]);
    let event = json!({ "Type": "container", "Action": "rename", "Actor": { "ID": id(7) } });
    lab.engine.tell(event.to_string().as_bytes());
    lab.eventually(|lab| {
        let store = lab.broker.tenancy().store();
        store.find(&alice(), Kind::Container, "web").is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_long_ends_nothing_and_is_made_up_for() {
    let lab = Lab::new(Played::default());
    lab.follow();
    lab.eventually(|lab| lab.engine.listed.load(Relaxed) > 0)
        .await;
    let store = lab.broker.tenancy().store();
    store.own(Kind::Container, &id(1), alice(), "db").unwrap();
    store.own(Kind::Container, &id(2), alice(), "web").unwrap();
    let here = container(1, &format!("cf-{}.db", alice()), &json!({}));
    lab.engine.containers.lock().unwrap().push(here);
    // It is of the second one, and cannot be read.
    lab.engine.tell(&vec![b'x'; MAX_EVENT + 1]);
    lab.eventually(|lab| !lab.owns(&id(2))).await;
    let gone = json!({ "Type": "container", "Action": "destroy", "Actor": { "ID": id(1) } });
    lab.engine.tell(gone.to_string().as_bytes());
    lab.eventually(|lab| !lab.owns(&id(1))).await;
    assert_eq!(lab.engine.subscribed.load(Relaxed), 1);
}
