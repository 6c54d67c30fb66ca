//! Two guarded processes that share used proofs, revoked tokens and answers of introspection through
//! a real `redis-server`.
//! Without one on the machine there is nothing to test against, and the test says so.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::HttpServer;
use cofferdam_guard::token::dpop::ProofPolicy;
use cofferdam_guard::token::fetch::{Client, IntrospectionClient};
use cofferdam_guard::token::state::{Redis, State as _, revocation_key};
use cofferdam_guard::token::{Algorithm, IssuerPolicy, JwkSet, Verifier, base64url, inspect};
use cofferdam_guard::{Guard, Principal, get, resource, scope};
use cofferdam_issuer::SigningKey;
use serde_json::json;
use support::{AUDIENCE, issuer, now, send, token};

/// Tells the process that it is one of the servers, and where the store is.
const STORE: &str = "COFFERDAM_TEST_STORE";
/// Where to ask about opaque tokens.
const ENDPOINT: &str = "COFFERDAM_TEST_ENDPOINT";
const LISTENS: &str = "listens on ";
const ORIGIN: &str = "https://api.test";

async fn who(principal: Principal) -> String {
    principal.subject().unwrap_or_default().to_owned()
}

/// One of the two: this test program, started by the test below with the keys on its input. It
/// serves until its input ends.
#[actix_web::test]
#[ignore = "the second process of `what_one_process_has_seen_the_other_refuses`"]
async fn serves_as_one_of_two_processes() {
    let url = std::env::var(STORE).unwrap();
    let mut keys = String::new();
    let mut input = BufReader::new(std::io::stdin());
    input.read_line(&mut keys).unwrap();
    let keys = JwkSet::parse(keys.trim().as_bytes()).unwrap();
    let policy = IssuerPolicy::new("https://idp.test", keys).audience(AUDIENCE);
    let store = Arc::new(Redis::connect(&url, "test:").await.unwrap());
    let endpoint = std::env::var(ENDPOINT).unwrap();
    let opaque = IssuerPolicy::new("https://opaque.test", JwkSet::default()).audience(AUDIENCE);
    let client = Client::with_roots(rustls::RootCertStore::empty()).unwrap();
    let asking = IntrospectionClient::new(client, &endpoint, "rs", "s3cret", opaque).unwrap();
    let guard = Guard::new(Verifier::new([policy]).unwrap().cache(64))
        .dpop(ORIGIN, ProofPolicy::default())
        .proof_store(store.clone())
        .introspection(Arc::new(asking.store(store.clone())))
        .revocations(store);
    let server = HttpServer::new(move || {
        let route = get().to(who).require(scope("containers:read"));
        let containers = resource("/containers").route(route);
        guard.app().service(containers).build()
    })
    .workers(1)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .unwrap();
    println!("{LISTENS}{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    actix_web::web::block(move || input.read_to_end(&mut Vec::new()))
        .await
        .unwrap()
        .unwrap();
    handle.stop(false).await;
}

/// A process that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn second_self(store: &str, endpoint: &str, keys: &str) -> (Process, SocketAddr) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "serves_as_one_of_two_processes"])
        .args(["--ignored", "--nocapture"])
        .env(STORE, store)
        .env(ENDPOINT, endpoint)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut process = Process(child.unwrap());
    writeln!(process.0.stdin.as_mut().unwrap(), "{keys}").unwrap();
    let output = BufReader::new(process.0.stdout.as_mut().unwrap());
    let address = output.lines().find_map(|line| {
        let line = line.unwrap();
        let (_, address) = line.split_once(LISTENS)?;
        Some(address.parse().unwrap())
    });
    (process, address.unwrap())
}

/// An introspection endpoint that gives every token one answer, and counts the questions.
fn endpoint(answer: String) -> (String, Arc<AtomicUsize>) {
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
            stream.write_all((head + &answer).as_bytes()).unwrap();
        }
    });
    (url, asked)
}

async fn redis(folder: &std::path::Path) -> Option<(Process, String)> {
    let socket = folder.join("redis.sock");
    let child = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .arg("--unixsocket")
        .arg(&socket)
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::null())
        .spawn();
    let process = Process(child.ok()?);
    let start = Instant::now();
    while !socket.exists() {
        assert!(start.elapsed() < Duration::from_secs(10), "redis-server");
        // The server says by its socket alone that it listens.
        actix_web::rt::time::sleep(Duration::from_millis(5)).await;
    }
    Some((process, format!("redis+unix://{}", socket.display())))
}

#[actix_web::test]
async fn what_one_process_has_seen_the_other_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let Some((store_process, url)) = redis(folder.path()).await else {
        // Not by a macro, whose output the harness keeps to itself.
        let said = "SKIPPED: there is no `redis-server` on this machine: two processes untested";
        writeln!(std::io::stderr(), "{said}").unwrap();
        return;
    };
    let issuer = issuer();
    let keys = issuer.jwks().to_string();
    let answer = json!({
        "active": true, "sub": "bob", "client_id": "web", "scope": "containers:read",
        "aud": AUDIENCE, "exp": now() + 300, "jti": "opaque-id", "iss": "https://opaque.test",
    });
    let (endpoint, asked) = endpoint(answer.to_string());
    let (_first, first) = second_self(&url, &endpoint, &keys);
    let (_second, second) = second_self(&url, &endpoint, &keys);
    let line = "GET /containers";

    // A proof that one has seen is used up for both.
    let client = SigningKey::generate(Algorithm::Es256).unwrap();
    let bound = token(&issuer, "containers:read")
        .claim("cnf", json!({ "jkt": client.kid() }))
        .mint(now())
        .unwrap();
    let ath = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bound.as_bytes());
    let proof = |id: &str| {
        let mut jwk = client.public_jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk }).to_string();
        let claims = json!({
            "jti": id, "htm": "GET", "htu": format!("{ORIGIN}/containers"), "iat": now(),
            "ath": base64url::encode(ath.as_ref()),
        });
        client.sign(&header, &claims.to_string()).unwrap()
    };
    let value = format!("DPoP {bound}");
    let ask = async |server: SocketAddr, proof: &str| {
        send(server, line, &[("authorization", &value), ("dpop", proof)]).await
    };
    for (one, other, id) in [(first, second, "1"), (second, first, "2")] {
        let proof = proof(id);
        assert_eq!(ask(one, &proof).await.body, "alice");
        for server in [other, one] {
            let replayed = ask(server, &proof).await;
            assert_eq!(replayed.status, 401);
            let challenges = replayed.fields("www-authenticate");
            assert!(challenges[1].contains(r#"error="invalid_dpop_proof""#));
        }
    }

    // A token that is revoked on one machine is refused by both, though both have it in memory.
    let plain = token(&issuer, "containers:read").mint(now()).unwrap();
    let bearer = format!("Bearer {plain}");
    let ask = async |server| {
        send(server, line, &[("authorization", &bearer)])
            .await
            .status
    };
    assert_eq!((ask(first).await, ask(second).await), (200, 200));
    let parts = inspect(&plain).unwrap();
    let id = parts.claims().root().get("jti").unwrap().as_str().unwrap();
    let revoked = revocation_key(issuer.url(), id);
    let store = Redis::connect(&url, "test:").await.unwrap();
    let inserted = store.insert(revoked, now() + 600, now()).get().await;
    assert_eq!(inserted, Ok(true));
    assert_eq!((ask(first).await, ask(second).await), (401, 401));

    // What one has asked the issuer about an opaque token the other knows, and a revoked one is
    // refused by both, though its issuer still calls it active.
    let ask_opaque = async |server| {
        let answer = send(server, line, &[("authorization", "Bearer opaque")]).await;
        (answer.status, answer.body)
    };
    for server in [first, second, first] {
        assert_eq!(ask_opaque(server).await, (200, "bob".to_owned()));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let revoked = revocation_key("https://opaque.test", "opaque-id");
    let inserted = store.insert(revoked, now() + 600, now()).get().await;
    assert_eq!(inserted, Ok(true));
    for server in [first, second] {
        assert_eq!(ask_opaque(server).await.0, 401);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    // Without the store neither lets anybody in.
    drop(store_process);
    assert_eq!((ask(first).await, ask(second).await), (503, 503));
    assert_eq!(ask_opaque(first).await.0, 503);
}
