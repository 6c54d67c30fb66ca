//! Keys that are fetched: from issuers that behave, that rotate, that are down, and that do not
//! behave. Everything is on loopback.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::fetch::{Client, FetchError, IntrospectionClient, KeyFetcher, KeySource};
use cofferdam_token::introspect::Introspect as _;
use cofferdam_token::refresh::Refresh as _;
use cofferdam_token::{Algorithm, IssuerPolicy, JwkSet, Rejection, Sender, Verifier};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const NOW: u64 = 1_795_505_225;

/// What a server does with a request whose head it was given.
type Behaviour = Box<dyn Fn(&str) -> Reply + Send + Sync>;

enum Reply {
    Json(Value),
    Bytes(Vec<u8>),
    /// Endlessly, as fast as the other side reads.
    Flood,
    /// One byte now and then, for ever.
    Drip,
    Hang,
    Close,
}

/// A server whose behaviour can be changed, and which counts its requests.
#[derive(Clone)]
struct Server {
    url: String,
    hits: Arc<AtomicUsize>,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Server {
    async fn start(behaviour: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            url: format!("http://{}", listener.local_addr().unwrap()),
            hits: Arc::default(),
            behaviour: Arc::new(Mutex::new(Box::new(behaviour))),
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        server
    }

    fn behave(&self, behaviour: impl Fn(&str) -> Reply + Send + Sync + 'static) {
        *self.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        // The requests here fit one read but for the form of an introspection, which ends in its
        // last member.
        loop {
            let count = stream.read(&mut buffer).await.unwrap_or(0);
            request.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&request);
            let ended = match text.starts_with("POST") {
                true => text.ends_with("access_token"),
                false => text.contains("\r\n\r\n"),
            };
            if ended || count == 0 {
                break;
            }
        }
        self.hits.fetch_add(1, Ordering::SeqCst);
        let reply = (self.behaviour.lock().unwrap())(&String::from_utf8_lossy(&request));
        const OK: &str = "HTTP/1.1 200 OK\r\n";
        match reply {
            Reply::Json(value) => {
                let body = value.to_string();
                let answer = format!("{OK}content-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            Reply::Bytes(bytes) => drop(stream.write_all(&bytes).await),
            Reply::Flood => {
                let head = format!("{OK}content-length: 1073741824\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).await;
                while stream.write_all(&[b' '; 65536]).await.is_ok() {}
            }
            Reply::Drip => {
                let _ = stream
                    .write_all(format!("{OK}content-length: 1000\r\n\r\n").as_bytes())
                    .await;
                while stream.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Reply::Hang => std::future::pending().await,
            Reply::Close => {}
        }
    }
}

fn client() -> Client {
    Client::with_roots(rustls::RootCertStore::empty())
        .unwrap()
        .timeout(Duration::from_millis(400))
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap()
}

/// An issuer behind a server, with discovery and its current keys.
async fn issuer() -> (Server, Arc<Mutex<Issuer>>) {
    let server = Server::start(|_| Reply::Close).await;
    let issuer = Arc::new(Mutex::new(Issuer::new(server.url.clone(), key())));
    publish(&server, &issuer);
    (server, issuer)
}

fn publish(server: &Server, issuer: &Arc<Mutex<Issuer>>) {
    let issuer = Arc::clone(issuer);
    server.behave(move |head| {
        let issuer = issuer.lock().unwrap();
        match head.split(' ').nth(1).unwrap() {
            "/.well-known/openid-configuration" => Reply::Json(issuer.metadata()),
            "/jwks" => Reply::Json(issuer.jwks()),
            _ => Reply::Bytes(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec()),
        }
    });
}

fn verifier(fetcher: &KeyFetcher, issuer: &str) -> Verifier {
    Verifier::new([IssuerPolicy::new(issuer, fetcher.store()).audience("api")]).unwrap()
}

fn mint(issuer: &Mutex<Issuer>) -> String {
    issuer
        .lock()
        .unwrap()
        .token("alice")
        .audience("api")
        .mint(NOW)
        .unwrap()
}

#[tokio::test]
async fn keys_of_a_real_issuer_are_found_and_followed() {
    let server = cofferdam_issuer::Server::start(key()).await.unwrap();
    let url = server.issuer().url().to_owned();
    let fetcher = KeyFetcher::builder(&url, KeySource::Discovery)
        .min_interval(Duration::ZERO)
        .start(client())
        .await
        .unwrap();
    let verifier = verifier(&fetcher, &url);
    let mint = || {
        server
            .issuer()
            .token("alice")
            .audience("api")
            .mint(NOW)
            .unwrap()
    };
    let old = mint();
    assert!(verifier.verify(&old, NOW).is_ok());
    server.issuer().rotate(key());
    let new = mint();
    assert_eq!(
        verifier.verify(&new, NOW).unwrap_err(),
        Rejection::KeyUnknown
    );
    assert!(fetcher.refresh(&url).await);
    assert!(verifier.verify(&new, NOW).is_ok() && verifier.verify(&old, NOW).is_ok());
    server.issuer().retire();
    assert!(fetcher.refresh(&url).await);
    assert_eq!(
        verifier.verify(&old, NOW).unwrap_err(),
        Rejection::KeyUnknown
    );
    drop(server);
    assert!(!fetcher.refresh(&url).await);
    assert!(verifier.verify(&new, NOW).is_ok());
}

#[tokio::test]
async fn keys_are_found_by_discovery() {
    let (server, issuer) = issuer().await;
    let builder = KeyFetcher::builder(&server.url, KeySource::Discovery);
    let fetcher = builder.start(client()).await.unwrap();
    let verifier = verifier(&fetcher, &server.url);
    assert!(verifier.verify(&mint(&issuer), NOW).is_ok());
    assert_eq!(server.hits(), 2);
}

/// What an issuer does, and whether that is the error.
type Case = (fn() -> Reply, fn(&FetchError) -> bool);

#[tokio::test]
async fn an_issuer_that_misbehaves_is_an_error_within_bounds() {
    const REDIRECT: &[u8] =
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    const OOPS: &[u8] = b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n";
    let cases: [Case; 9] = [
        (
            || Reply::Json(json!({ "keys": [] })),
            |e| matches!(e, FetchError::Content(..)),
        ),
        (
            || Reply::Json(json!([])),
            |e| matches!(e, FetchError::Content(..)),
        ),
        (
            || Reply::Bytes(b"garbage\r\n\r\n".to_vec()),
            |e| matches!(e, FetchError::Http(..)),
        ),
        (|| Reply::Close, |e| matches!(e, FetchError::Http(..))),
        (|| Reply::Flood, |e| matches!(e, FetchError::TooLong(_))),
        (|| Reply::Drip, |e| matches!(e, FetchError::TimedOut(..))),
        (|| Reply::Hang, |e| matches!(e, FetchError::TimedOut(..))),
        (
            || Reply::Bytes(REDIRECT.to_vec()),
            |e| matches!(e, FetchError::Status(_, 302)),
        ),
        (
            || Reply::Bytes(OOPS.to_vec()),
            |e| matches!(e, FetchError::Status(_, 500)),
        ),
    ];
    for (number, (reply, expected)) in cases.into_iter().enumerate() {
        let server = Server::start(move |_| reply()).await;
        let source = KeySource::Url(format!("{}/jwks", server.url));
        let error = KeyFetcher::builder("https://idp.example", source)
            .start(client())
            .await
            .unwrap_err();
        assert!(expected(&error), "case {number}: {error}");
        assert_eq!(server.hits(), 1, "case {number}");
    }
}

#[tokio::test]
async fn metadata_of_another_issuer_is_refused() {
    let (server, issuer) = issuer().await;
    *issuer.lock().unwrap() = Issuer::new("https://evil.example", key());
    let builder = KeyFetcher::builder(&server.url, KeySource::Discovery);
    let error = builder.start(client()).await.unwrap_err();
    assert!(matches!(error, FetchError::OtherIssuer(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_valid_token_fails_while_keys_rotate() {
    let (server, issuer) = issuer().await;
    let fetcher = KeyFetcher::builder(&server.url, KeySource::Discovery)
        .refresh_every(Duration::from_millis(10))
        .min_interval(Duration::ZERO)
        .start(client())
        .await
        .unwrap();
    let verifier = Arc::new(verifier(&fetcher, &server.url).cache(64));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (verifier, fetcher) = (Arc::clone(&verifier), Arc::clone(&fetcher));
        let (issuer, url) = (Arc::clone(&issuer), server.url.clone());
        tasks.push(tokio::spawn(async move {
            for _ in 0..150 {
                let token = mint(&issuer);
                let verdict = match verifier.verify(&token, NOW) {
                    // As the guard does.
                    Err(Rejection::KeyUnknown) => {
                        fetcher.refresh(&url).await;
                        verifier.verify(&token, NOW)
                    }
                    verdict => verdict,
                };
                assert!(verdict.is_ok(), "{verdict:?}");
                tokio::task::yield_now().await;
            }
        }));
    }
    for _ in 0..20 {
        issuer.lock().unwrap().rotate(key());
        let before = server.hits();
        fetcher.refresh(&server.url).await;
        assert!(server.hits() >= before);
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_flood_of_unknown_key_ids_causes_no_second_fetch_and_hinders_no_known_key() {
    let (server, issuer) = issuer().await;
    let fetcher = KeyFetcher::builder(&server.url, KeySource::Url(format!("{}/jwks", server.url)))
        .min_interval(Duration::from_secs(60))
        .start(client())
        .await
        .unwrap();
    let verifier = verifier(&fetcher, &server.url);
    assert_eq!(server.hits(), 1);
    let flood = (0..1000).map(|_| fetcher.refresh(&server.url));
    let answers = futures_join(flood).await;
    assert!(answers.iter().all(|changed| !changed));
    // The load at the start was the one attempt of this window.
    assert_eq!(server.hits(), 1);
    assert!(verifier.verify(&mint(&issuer), NOW).is_ok());
    // Another issuer's is not this fetcher's to ask.
    assert!(!fetcher.refresh("https://evil.example").await);
    assert_eq!(server.hits(), 1);
}

#[tokio::test]
async fn all_who_wait_for_a_new_key_are_served_by_one_fetch() {
    let (server, issuer) = issuer().await;
    let source = KeySource::Url(format!("{}/jwks", server.url));
    let fetcher = KeyFetcher::builder(&server.url, source)
        .min_interval(Duration::ZERO)
        .start(client())
        .await
        .unwrap();
    issuer.lock().unwrap().rotate(key());
    let answers = futures_join((0..100).map(|_| fetcher.refresh(&server.url))).await;
    assert!(answers.iter().all(|changed| *changed));
    assert_eq!(server.hits(), 2);
}

/// Waits for all, in one task.
async fn futures_join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut results = Vec::new();
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(result) => {
                results.push(result);
                false
            }
            std::task::Poll::Pending => true,
        });
        match futures.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    results
}

/// Waits until it holds, and not longer than five seconds.
async fn until(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_last_good_keys_serve_for_a_while_and_then_none_do() {
    let (server, issuer) = issuer().await;
    let fetcher = KeyFetcher::builder(&server.url, KeySource::Discovery)
        .refresh_every(Duration::from_millis(10))
        .max_stale(Duration::from_millis(200))
        .start(client())
        .await
        .unwrap();
    let verifier = verifier(&fetcher, &server.url);
    let token = mint(&issuer);
    server.behave(|_| Reply::Close);
    let down = server.hits();
    until(|| server.hits() > down + 2).await;
    assert!(verifier.verify(&token, NOW).is_ok());
    until(|| fetcher.store().keys().is_none()).await;
    assert_eq!(
        verifier.verify(&token, NOW).unwrap_err(),
        Rejection::KeysUnavailable
    );
    // It comes back by itself.
    publish(&server, &issuer);
    until(|| fetcher.store().keys().is_some()).await;
    assert!(verifier.verify(&token, NOW).is_ok());
}

#[tokio::test]
async fn nothing_is_fetched_any_more_after_the_fetcher_is_gone() {
    let (server, _issuer) = issuer().await;
    let fetcher = KeyFetcher::builder(&server.url, KeySource::Discovery)
        .refresh_every(Duration::from_millis(10))
        .start_unloaded(client())
        .unwrap();
    let store = fetcher.store();
    until(|| store.keys().is_some()).await;
    drop(fetcher);
    // The task holds the fetcher while it fetches, and the fetcher the store.
    until(|| Arc::strong_count(&store) == 1).await;
    let after = server.hits();
    tokio::time::timeout(Duration::from_millis(50), std::future::pending::<()>())
        .await
        .unwrap_err();
    assert_eq!(server.hits(), after);
}

fn introspection(server: &Server) -> IntrospectionClient {
    let policy = IssuerPolicy::new("https://idp.example", JwkSet::default()).audience("api");
    let endpoint = format!("{}/introspect", server.url);
    IntrospectionClient::new(client(), &endpoint, "rs", "s3cr3t:%", policy).unwrap()
}

#[tokio::test]
async fn an_opaque_token_is_worth_what_its_issuer_says() {
    let good = json!({
        "active": true, "sub": "alice", "client_id": "web", "scope": "containers:read",
        "aud": "api", "exp": NOW + 300, "iss": "https://idp.example",
    });
    let answer = good.clone();
    let server = Server::start(move |request| {
        // `rs` and `s3cr3t:%`, form-encoded, in base64; the token form-encoded.
        let expected = request.contains("authorization: Basic cnM6czNjcjN0JTNBJTI1")
            && request.contains("token=opaque%2Btoken&token_type_hint=access_token");
        if expected {
            Reply::Json(answer.clone())
        } else {
            Reply::Close
        }
    })
    .await;
    let asked = introspection(&server);
    let ask = async |now| {
        asked
            .introspect("opaque+token", now, Sender::bearer())
            .await
    };
    let verified = ask(NOW).await.unwrap();
    assert_eq!(verified.subject(), Some("alice"));
    assert!(verified.scopes().contains("containers:read"));
    // Remembered for a while, and never beyond its time.
    assert!(ask(NOW + 29).await.is_ok());
    assert_eq!(server.hits(), 1);
    assert!(ask(NOW + 31).await.is_ok());
    assert_eq!(server.hits(), 2);

    for (change, reason) in [
        (json!({ "active": false }), Rejection::Inactive),
        (json!({ "active": "true" }), Rejection::Inactive),
        (json!({ "aud": "other" }), Rejection::AudienceMismatch),
        (json!({ "aud": null }), Rejection::ClaimMalformed("aud")),
        (
            json!({ "iss": "https://evil.example" }),
            Rejection::IssuerUnknown,
        ),
        (json!({ "exp": NOW - 100 }), Rejection::Expired),
        (json!({ "nbf": NOW + 100 }), Rejection::NotYetValid),
        (
            json!({ "cnf": { "jkt": "x" } }),
            Rejection::ClaimMalformed("cnf"),
        ),
    ] {
        let mut answer = good.clone();
        for (name, value) in change.as_object().unwrap() {
            answer[name] = value.clone();
        }
        let server = Server::start(move |_| Reply::Json(answer.clone())).await;
        let asked = introspection(&server);
        let verdict = asked
            .introspect("opaque+token", NOW, Sender::bearer())
            .await;
        assert_eq!(verdict.unwrap_err(), reason, "{change}");
    }
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_no_permission() {
    for reply in [|| Reply::Close, || Reply::Hang, || Reply::Flood] {
        let server = Server::start(move |_| reply()).await;
        let verdict = introspection(&server)
            .introspect("x", NOW, Sender::bearer())
            .await;
        assert_eq!(verdict.unwrap_err(), Rejection::StateUnavailable);
    }
}
