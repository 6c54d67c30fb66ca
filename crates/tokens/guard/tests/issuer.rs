//! A guarded server whose issuer is somewhere else: it rotates its keys under load, goes down,
//! misbehaves, and is asked about opaque tokens. Everything is on loopback.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::HttpServer;
use cofferdam_guard::token::fetch::{Client, IntrospectionClient, KeyFetcher, KeySource};
use cofferdam_guard::token::{Algorithm, IssuerPolicy, JwkSet, Verifier};
use cofferdam_guard::{Guard, Principal, get, resource, scope};
use cofferdam_issuer::{Issuer, Server as IssuerServer, SigningKey};
use serde_json::{Value, json};
use support::{AUDIENCE, now, send};

const LINE: &str = "GET /containers";
/// What nothing here takes, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(30);

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap()
}

fn client() -> Client {
    Client::with_roots(rustls::RootCertStore::empty())
        .unwrap()
        .timeout(Duration::from_millis(300))
}

async fn who(principal: Principal) -> String {
    principal.subject().unwrap_or_default().to_owned()
}

fn serve(guard: Guard) -> SocketAddr {
    let server = HttpServer::new(move || {
        let route = get().to(who).require(scope("containers:read"));
        let containers = resource("/containers").route(route);
        guard.app().service(containers).build()
    })
    .workers(2)
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    address
}

fn guard(fetcher: &Arc<KeyFetcher>, issuer: &str) -> Guard {
    let policy = IssuerPolicy::new(issuer, fetcher.store()).audience(AUDIENCE);
    let verifier = Verifier::new([policy]).unwrap().cache(64);
    Guard::new(verifier).refresh(fetcher.clone())
}

fn mint(issuer: &Issuer) -> String {
    let token = issuer.token("alice").audience(AUDIENCE);
    let token = token.scope("containers:read").mint(now()).unwrap();
    format!("Bearer {token}")
}

async fn status(server: SocketAddr, authorization: &str) -> u16 {
    send(server, LINE, &[("authorization", authorization)])
        .await
        .status
}

/// Waits until it holds, and lets the runtime work meanwhile.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "{what}");
        actix_web::rt::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Clients that ask without a pause, each over one connection and each time with a new token.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Vec<Arc<AtomicUsize>>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(server: SocketAddr, mint: impl Fn() -> String + Clone + Send + 'static) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let answered: Vec<Arc<AtomicUsize>> = (0..4).map(|_| Arc::default()).collect();
        let clients = answered
            .iter()
            .map(|count| {
                let (stop, count, mint) = (Arc::clone(&stop), Arc::clone(count), mint.clone());
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(TcpStream::connect(server).unwrap());
                    stream.get_ref().set_read_timeout(Some(DEADLINE)).unwrap();
                    let mut refused = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        let first = ask(&mut stream, &mint());
                        if !first.contains(" 200 ") {
                            refused.push(first);
                        }
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                    refused
                })
            })
            .collect();
        Load {
            stop,
            answered,
            clients,
        }
    }

    /// Waits until each client has sent a whole request that it began after this call.
    async fn round(&self) {
        let counts = || self.answered.iter().map(|each| each.load(Ordering::SeqCst));
        let before: Vec<usize> = counts().collect();
        until("the clients go on", || {
            counts().zip(&before).all(|(now, before)| now >= before + 2)
        })
        .await;
    }

    /// The first lines of the answers that were not 200, and how many answers there were.
    fn end(self) -> (Vec<String>, usize) {
        self.stop.store(true, Ordering::SeqCst);
        let refused = self.clients.into_iter();
        let refused = refused.flat_map(|client| client.join().unwrap()).collect();
        let answers = self.answered.iter().map(|each| each.load(Ordering::SeqCst));
        (refused, answers.sum())
    }
}

/// One request over a connection that stays open; the first line of its answer.
fn ask(stream: &mut BufReader<TcpStream>, authorization: &str) -> String {
    let request = format!("{LINE} HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    let mut first = String::new();
    stream.read_line(&mut first).unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
    }
    stream.read_exact(&mut vec![0; length]).unwrap();
    first.trim().to_owned()
}

#[actix_web::test]
async fn no_valid_token_fails_while_the_issuer_rotates_its_keys_and_when_it_is_gone() {
    let issuer = Arc::new(IssuerServer::start(key()).await.unwrap());
    let url = issuer.issuer().url().to_owned();
    let fetcher = KeyFetcher::builder(&url, KeySource::Discovery)
        // Of an issuer that signs with a new key at once, each rotation wants a fetch at once.
        .min_interval(Duration::ZERO)
        .start(client())
        .await
        .unwrap();
    let server = serve(guard(&fetcher, &url));
    let minting = Arc::clone(&issuer);
    let load = Load::start(server, move || mint(&minting.issuer()));
    let mut withdrawn = Vec::new();
    for rotation in 0..12 {
        load.round().await;
        let before = fetcher.store().generation();
        withdrawn.push(mint(&issuer.issuer()));
        issuer.issuer().rotate(key());
        load.round().await;
        assert!(fetcher.store().generation() > before, "{rotation}");
        // Now nobody holds a token of the former key any more.
        issuer.issuer().retire();
    }
    let (refused, answers) = load.end();
    assert_eq!(refused, [""; 0], "of {answers}");
    assert!(answers >= 24 * 4, "{answers}");

    // Keys that the issuer has withdrawn are gone, from the cache as well.
    fetcher_follows(&fetcher, &url).await;
    for old in &withdrawn {
        assert_eq!(status(server, old).await, 401);
    }

    // Taken down: the last good keys serve, what was seen before and what was not.
    let known = mint(&issuer.issuer());
    assert_eq!(status(server, &known).await, 200);
    let unseen = mint(&issuer.issuer());
    let stranger = mint(&Issuer::new(url.as_str(), key()));
    // The clients held the other one.
    drop(Arc::into_inner(issuer).unwrap());
    let address = url.strip_prefix("http://").unwrap();
    until("the issuer is gone", || {
        TcpStream::connect(address).is_err()
    })
    .await;
    assert_eq!(status(server, &known).await, 200);
    assert_eq!(status(server, &unseen).await, 200);
    assert_eq!(status(server, &stranger).await, 401);
}

/// Has the fetcher load the keys as they are published now.
async fn fetcher_follows(fetcher: &KeyFetcher, url: &str) {
    use cofferdam_guard::token::refresh::Refresh as _;
    fetcher.refresh(url).await;
}

/// What a server answers.
#[derive(Clone)]
enum Reply {
    Json(Value),
    Bytes(&'static [u8]),
    /// A gigabyte is promised, and sent as fast as the other side reads.
    Flood,
    /// One byte now and then, until the other side has enough.
    Drip,
}

/// A server that answers every request alike, counts them, and keeps the last one.
#[derive(Clone)]
struct Front {
    url: String,
    reply: Arc<Mutex<Reply>>,
    asked: Arc<AtomicUsize>,
    last: Arc<Mutex<String>>,
}

impl Front {
    fn start(reply: Reply) -> Front {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let front = Front {
            url: format!("http://{}", listener.local_addr().unwrap()),
            reply: Arc::new(Mutex::new(reply)),
            asked: Arc::default(),
            last: Arc::default(),
        };
        let accepting = front.clone();
        // They end with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let front = accepting.clone();
                std::thread::spawn(move || front.answer(stream.unwrap()));
            }
        });
        front
    }

    fn behave(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A client that hangs up is its own affair.
    fn answer(&self, mut stream: TcpStream) {
        let mut request = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        while !request.ends_with("\r\n\r\n") {
            let start = request.len();
            if reader.read_line(&mut request).unwrap_or(0) == 0 {
                return;
            }
            let line = request[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        request.push_str(&String::from_utf8_lossy(&body));
        *self.last.lock().unwrap() = request;
        let reply = self.reply.lock().unwrap().clone();
        self.asked.fetch_add(1, Ordering::SeqCst);
        let head = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        match reply {
            Reply::Json(value) => {
                let body = value.to_string();
                drop(stream.write_all(format!("{}{body}", head(body.len())).as_bytes()));
            }
            Reply::Bytes(bytes) => drop(stream.write_all(bytes)),
            Reply::Flood => {
                drop(stream.write_all(head(1 << 30).as_bytes()));
                while stream.write_all(&[b' '; 65_536]).is_ok() {}
            }
            Reply::Drip => {
                drop(stream.write_all(head(1000).as_bytes()));
                while stream.write_all(b" ").is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }
}

#[actix_web::test]
async fn an_issuer_that_misbehaves_disturbs_no_request_whose_key_is_known() {
    let issuer = Arc::new(Mutex::new(Issuer::new("https://idp.test", key())));
    let published = || Reply::Json(issuer.lock().unwrap().jwks());
    let front = Front::start(published());
    let source = KeySource::Url(format!("{}/jwks", front.url));
    let fetcher = KeyFetcher::builder("https://idp.test", source)
        .refresh_every(Duration::from_millis(10))
        .min_interval(Duration::ZERO)
        .start(client())
        .await
        .unwrap();
    let server = serve(guard(&fetcher, "https://idp.test"));
    let minting = Arc::clone(&issuer);
    let load = Load::start(server, move || mint(&minting.lock().unwrap()));
    let stranger = mint(&Issuer::new("https://idp.test", key()));
    let redirect =
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    for reply in [
        Reply::Bytes(b""),
        Reply::Bytes(b"garbage\r\n\r\n"),
        Reply::Bytes(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"),
        Reply::Bytes(redirect),
        Reply::Json(json!({ "keys": [] })),
        Reply::Json(json!("no keys")),
        Reply::Flood,
        Reply::Drip,
    ] {
        front.behave(reply);
        let before = front.asked();
        let generation = fetcher.store().generation();
        // An unknown key has the issuer asked, and its token is refused all the same.
        assert_eq!(status(server, &stranger).await, 401);
        until("the issuer is asked", || front.asked() > before + 1).await;
        load.round().await;
        assert_eq!(fetcher.store().generation(), generation);
    }
    let (refused, answers) = load.end();
    assert_eq!(refused, [""; 0], "of {answers}");
    // When it has come to its senses its new key is found.
    let old = mint(&issuer.lock().unwrap());
    issuer.lock().unwrap().rotate(key());
    front.behave(published());
    let fresh = mint(&issuer.lock().unwrap());
    let start = Instant::now();
    // A fetch that began before may have to end first, and takes what waits for it along.
    while status(server, &fresh).await != 200 {
        assert!(start.elapsed() < DEADLINE, "the new key is not found");
    }
    assert_eq!(status(server, &old).await, 200);
}

#[actix_web::test]
async fn an_opaque_token_is_judged_by_what_its_issuer_says_of_it() {
    let local = support::issuer();
    let active = json!({
        "active": true, "sub": "alice", "client_id": "web", "scope": "containers:read",
        "aud": AUDIENCE, "exp": now() + 300, "iss": "https://opaque.test",
    });
    let front = Front::start(Reply::Json(active.clone()));
    let policy = IssuerPolicy::new("https://opaque.test", JwkSet::default()).audience(AUDIENCE);
    let endpoint = format!("{}/introspect", front.url);
    let asking = IntrospectionClient::new(client(), &endpoint, "rs", "s3cret", policy).unwrap();
    let server = serve(
        support::guard(&local)
            .introspection(Arc::new(asking))
            .throttle(3, 1),
    );
    let answer = send(server, LINE, &[("authorization", "Bearer opaque+1")]).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "alice"));
    let request = front.last.lock().unwrap().clone();
    assert!(request.starts_with("POST /introspect "), "{request}");
    assert!(request.contains("token=opaque%2B1&"), "{request}");
    // `rs:s3cret`.
    assert!(request.contains("Basic cnM6czNjcmV0"), "{request}");
    // Remembered, and a token that speaks for itself is not asked about at all.
    assert_eq!(status(server, "Bearer opaque+1").await, 200);
    let (_, own) = support::bearer(&local, "containers:read");
    assert_eq!(status(server, &own).await, 200);
    assert_eq!(front.asked(), 1);

    // A good answer is not enough: the route asks for a scope, the policy for an audience.
    let mut narrow = active.clone();
    narrow["scope"] = json!("images:read");
    front.behave(Reply::Json(narrow));
    let denied = send(server, LINE, &[("authorization", "Bearer opaque-2")]).await;
    assert_eq!(denied.status, 403);
    assert!(denied.fields("www-authenticate")[0].contains(r#"error="insufficient_scope""#));

    // It cannot be asked: neither a permission nor the client's fault.
    for reply in [Reply::Bytes(b""), Reply::Flood, Reply::Drip] {
        front.behave(reply);
        assert_eq!(status(server, "Bearer opaque-3").await, 503);
    }

    // Who guesses has the issuer asked a few times, and then not any more.
    front.behave(Reply::Json(json!({ "active": false })));
    let before = front.asked();
    let first = send(server, LINE, &[("authorization", "Bearer guess-0")]).await;
    assert_eq!(first.status, 401);
    assert!(first.fields("www-authenticate")[0].contains(r#"error="invalid_token""#));
    let (mut limited, start) = (0, Instant::now());
    for number in 1..40 {
        let status = status(server, &format!("Bearer guess-{number}")).await;
        limited += usize::from(status == 429);
    }
    // Three at once and one more for each second, and none that was answered 429 but the one that
    // used up the last.
    let asked = front.asked() - before;
    let bound = 5 + start.elapsed().as_secs() as usize;
    assert!(asked <= bound, "{asked} questions, {bound} allowed");
    assert!(limited >= 39 - bound, "{limited}");
    // What was verified before still passes.
    assert_eq!(status(server, "Bearer opaque+1").await, 200);
}
