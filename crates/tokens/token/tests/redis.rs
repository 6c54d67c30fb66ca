//! The store in Redis, against a real server on a unix socket. Without `redis-server` on the machine
//! there is nothing to test against, and the tests say so.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]
#![expect(
    clippy::print_stdout,
    reason = "a test that does not run has to say so"
)]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cofferdam_token::danger;
use cofferdam_token::state::{Redis, State, StateError, key};
#[cfg(feature = "fetch")]
use {
    cofferdam_token::fetch::{Client, IntrospectionClient},
    cofferdam_token::introspect::Introspect as _,
    cofferdam_token::{IssuerPolicy, JwkSet, Rejection, Sender, base64url},
    std::io::{Read as _, Write as _},
    std::net::TcpListener,
    std::sync::atomic::{AtomicUsize, Ordering},
};

struct Server {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Option<Server> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("redis.sock");
        let child = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendonly",
                "no",
                "--unixsocket",
            ])
            .arg(&socket)
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            println!("SKIPPED: there is no `redis-server` on this machine");
            return None;
        };
        let waiting = async {
            while !socket.exists() {
                // The server says by its socket alone that it listens.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting)
            .await
            .unwrap();
        Some(Server {
            child,
            url: format!("redis+unix://{}", socket.display()),
            _folder: folder,
        })
    }

    /// The names of all keys and their values, as the server tells whoever may ask it.
    #[cfg(feature = "fetch")]
    fn contents(&self) -> String {
        let socket = self.url.trim_start_matches("redis+unix://");
        let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        let script =
            "return {redis.call('KEYS','*'), redis.call('MGET', unpack(redis.call('KEYS','*')))}";
        write!(stream, "EVAL \"{script}\" 0\r\nQUIT\r\n").unwrap();
        let mut contents = Vec::new();
        stream.read_to_end(&mut contents).unwrap();
        String::from_utf8_lossy(&contents).into_owned()
    }

    async fn store(&self) -> Redis {
        Redis::connect(&self.url, "test:").await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn what_one_machine_has_seen_the_other_knows() {
    let Some(server) = Server::start().await else {
        return;
    };
    let (first, second) = (server.store().await, server.store().await);
    let proof = key(&["dpop", "thumbprint", "1"]);
    assert_eq!(first.insert(proof, 1060, 1000).get().await, Ok(true));
    assert_eq!(second.insert(proof, 1060, 1000).get().await, Ok(false));
    assert_eq!(first.insert(proof, 1060, 1000).get().await, Ok(false));
    assert_eq!(second.contains(&proof, 1000).get().await, Ok(true));
    assert_eq!(
        second.contains(&key(&["other"]), 1000).get().await,
        Ok(false)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_exactly_one_is_first() {
    let Some(server) = Server::start().await else {
        return;
    };
    let proof = key(&["one"]);
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let store = server.store().await;
        tasks.push(tokio::spawn(async move {
            store.insert(proof, 1060, 1000).get().await
        }));
    }
    let mut firsts = 0;
    for task in tasks {
        firsts += usize::from(task.await.unwrap().unwrap());
    }
    assert_eq!(firsts, 1);
}

/// An introspection endpoint that gives every token one answer, and counts the questions.
#[cfg(feature = "fetch")]
fn endpoint(answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/introspect", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    // It ends with the process of the test.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            // A form ends in its last parameter.
            while !request.ends_with(b"token_type_hint=access_token") {
                let mut buffer = [0; 4096];
                let count = stream.read(&mut buffer).unwrap();
                assert!(count > 0, "the request broke off");
                request.extend_from_slice(&buffer[..count]);
            }
            counting.fetch_add(1, Ordering::SeqCst);
            let length = answer.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all((head + answer).as_bytes()).unwrap();
        }
    });
    (url, asked)
}

#[cfg(feature = "fetch")]
#[tokio::test]
async fn one_question_to_the_issuer_serves_both_machines_and_the_store_gives_nothing_away() {
    let Some(mut server) = Server::start().await else {
        return;
    };
    let (url, asked) = endpoint(
        r#"{"active":true,"sub":"alice","client_id":"web","scope":"read","aud":"api","exp":1020}"#,
    );
    let asked = || asked.load(Ordering::SeqCst);
    let policy = || IssuerPolicy::new("https://idp.example", JwkSet::default()).audience("api");
    let client = |secret: &str, store: Arc<dyn State>| {
        let client = Client::with_roots(rustls::RootCertStore::empty()).unwrap();
        let client = IntrospectionClient::new(client, &url, "rs", secret, policy());
        client.unwrap().store(store)
    };
    let first = client("s3cret", Arc::new(server.store().await));
    let second = client("s3cret", Arc::new(server.store().await));
    let ask = async |by: &IntrospectionClient, now| {
        let verified = by.introspect("opaque-1", now, Sender::bearer()).await;
        verified.map(|verified| verified.subject().map(str::to_owned))
    };
    let alice = || Ok(Some("alice".to_owned()));
    assert_eq!(ask(&first, 1000).await, alice());
    assert_eq!(ask(&second, 1000).await, alice());
    assert_eq!(ask(&first, 1019).await, alice());
    assert_eq!(asked(), 1);
    // At its end it is asked about again, though the answer would be believed for longer. Within the
    // leeway the answer holds, and is not remembered.
    assert_eq!(ask(&second, 1020).await, alice());
    assert_eq!(ask(&second, 1020).await, alice());
    assert_eq!(asked(), 3);
    assert_eq!(ask(&second, 1080).await, Err(Rejection::Expired));

    // Whoever reads all that is stored sees neither the token nor whose it is.
    let contents = server.contents();
    assert_eq!(contents.matches("test:").count(), 1, "{contents}");
    let token = base64url::encode(&cofferdam_token::state::key(&["opaque-1"]));
    for secret in ["opaque-1", "alice", "api", "web", "active", &token] {
        assert!(!contents.contains(secret), "{secret}");
    }
    // A client with another secret neither finds nor believes it.
    let before = asked();
    let stranger = client("other", Arc::new(server.store().await));
    assert_eq!(ask(&stranger, 1000).await, alice());
    assert_eq!(asked(), before + 1);

    // Without the store the token is refused, or the issuer asked, as was chosen.
    let open = client("s3cret", danger::fail_open(Arc::new(server.store().await)));
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    assert_eq!(ask(&first, 1000).await, Err(Rejection::StateUnavailable));
    assert_eq!(asked(), before + 1);
    assert_eq!(ask(&open, 1000).await, alice());
    assert_eq!(asked(), before + 2);
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_soon_and_open_only_by_choice() {
    let Some(mut server) = Server::start().await else {
        return;
    };
    let store = server.store().await;
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let asking = async {
        let seen = store.contains(&key(&["x"]), 1000).get().await;
        assert!(matches!(seen, Err(StateError::Unavailable(_))), "{seen:?}");
        let new = store.insert(key(&["x"]), 1060, 1000).get().await;
        assert!(matches!(new, Err(StateError::Unavailable(_))), "{new:?}");
        let open = danger::fail_open(Arc::new(store));
        assert_eq!(open.contains(&key(&["x"]), 1000).get().await, Ok(false));
        assert_eq!(open.insert(key(&["x"]), 1060, 1000).get().await, Ok(true));
    };
    tokio::time::timeout(Duration::from_secs(5), asking)
        .await
        .unwrap();
}
