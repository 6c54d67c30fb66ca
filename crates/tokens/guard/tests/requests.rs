//! What a request must be, against a real server.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

mod support;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::HttpServer;
use actix_web::web::Bytes;
use cofferdam_guard::token::dpop::{NonceIssuer, ProofPolicy};
use cofferdam_guard::token::refresh::Refresh;
use cofferdam_guard::token::state::{Answer, Key, Memory, State, StateError, revocation_key};
use cofferdam_guard::token::{Algorithm, IssuerPolicy, KeyStore, Verifier, base64url, preset};
use cofferdam_guard::{
    ClientCertificate, Guard, Principal, TypedClaims, danger, get, post, resource, scope,
};
use cofferdam_issuer::SigningKey;
use serde::Deserialize;
use serde_json::json;
use support::{AUDIENCE, bearer, exchange, guard, issuer, now, send, token};

async fn who(principal: Principal) -> String {
    principal.subject().unwrap_or_default().to_owned()
}

async fn echo(body: Bytes) -> Bytes {
    body
}

#[derive(Deserialize)]
struct Tenant {
    tenant: u32,
}

async fn tenant(claims: TypedClaims<Tenant>) -> String {
    claims.0.tenant.to_string()
}

/// Serves the guard's routes on a free port.
fn serve(guard: Guard) -> SocketAddr {
    let server = HttpServer::new(move || {
        guard
            .app()
            .service(
                resource("/containers")
                    .route(get().to(who).require(scope("containers:read")))
                    .route(post().to(echo).require(scope("containers:read"))),
            )
            .service(resource("/tenant").route(get().to(tenant).require(scope("containers:read"))))
            .service(resource("/health").route(get().to(async || "ok").public()))
            .build()
    })
    .workers(1)
    // The tests' stand-in for TLS: a connection from this address has shown a certificate.
    .on_connect(|connection, data| {
        let stream = connection.downcast_ref::<actix_web::rt::net::TcpStream>();
        if stream.is_some_and(|stream| stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback()))
        {
            data.insert(ClientCertificate::new(b"certificate".to_vec()));
        }
    })
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    address
}

#[actix_web::test]
async fn a_token_is_taken_from_one_place_only() {
    let issuer = issuer();
    let server = serve(guard(&issuer));
    let (_, good) = bearer(&issuer, "containers:read");
    let raw = good.strip_prefix("Bearer ").unwrap();
    let line = "GET /containers";
    let good_field = ("authorization", good.as_str());
    assert_eq!(send(server, line, &[good_field]).await.body, "alice");
    let lower = format!("bEARER {raw}");
    assert_eq!(
        send(server, line, &[("authorization", &lower)])
            .await
            .status,
        200
    );
    for (line, fields) in [
        (line.to_owned(), vec![good_field, good_field]),
        (
            line.to_owned(),
            vec![good_field, ("authorization", "Bearer evil")],
        ),
        (
            line.to_owned(),
            vec![("authorization", "Basic eDp5"), good_field],
        ),
        (format!("{line}?access_token={raw}"), vec![]),
        (format!("{line}?access_token={raw}"), vec![good_field]),
        (format!("{line}?a=1&access%5Ftoken=x"), vec![good_field]),
        (
            line.to_owned(),
            vec![good_field, ("cookie", "a=b; access_token=x")],
        ),
    ] {
        let answer = send(server, &line, &fields).await;
        assert_eq!(answer.status, 400, "{line} {answer:?}");
        let challenge = answer.fields("www-authenticate")[0];
        assert!(
            challenge.contains(r#"error="invalid_request""#),
            "{challenge}"
        );
        assert!(!answer.body.contains(raw) && !answer.head.contains(raw));
    }
    // Names that only look like the field mean nothing.
    for name in [
        "x-authorization",
        "authorization_",
        "proxy-authorization",
        "x-forwarded-authorization",
    ] {
        assert_eq!(
            send(server, line, &[(name, good.as_str())]).await.status,
            401,
            "{name}"
        );
    }
}

#[actix_web::test]
async fn a_token_in_a_form_is_refused_and_other_bodies_arrive_whole() {
    let issuer = issuer();
    let server = serve(guard(&issuer));
    let (_, good) = bearer(&issuer, "containers:read");
    let post_bytes = async |kind: &str, body: &[u8]| {
        let head = format!(
            "POST /containers HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {good}\r\n\
             content-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        exchange(server, [head.as_bytes(), body].concat()).await
    };
    let post = async |kind: &str, body: &str| post_bytes(kind, body.as_bytes()).await;
    let form = "application/x-www-form-urlencoded";
    assert_eq!(post(form, "a=1&access_token=x").await.status, 400);
    assert_eq!(
        post(&format!("{form}; charset=utf-8"), "access%5ftoken=x")
            .await
            .status,
        400
    );
    assert_eq!(
        post(form, "a=1&b=access_token").await.body,
        "a=1&b=access_token"
    );
    assert_eq!(
        post("text/plain", "access_token=x").await.body,
        "access_token=x"
    );
    let long = format!("a={}", "x".repeat((64 << 10) - 2));
    assert_eq!(post(form, &long).await.body, long);
    let long = "x".repeat(200_000);
    assert_eq!(post("text/plain", &long).await.body, long);
    // Bytes that are no UTF-8 hide nothing.
    for hidden in [&b"a=\xff&access_token=x"[..], b"access_token=\xc3"] {
        assert_eq!(post_bytes(form, hidden).await.status, 400);
    }
    assert_eq!(post_bytes(form, b"a=\xff").await.status, 200);
}

#[actix_web::test]
async fn a_form_that_is_too_long_to_be_looked_at_is_refused() {
    let issuer = issuer();
    let usual = serve(guard(&issuer));
    let wide = serve(guard(&issuer).max_form(300_000));
    let (_, good) = bearer(&issuer, "containers:read");
    let post = async |server, body: &str| {
        let request = format!(
            "POST /containers HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {good}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(server, request.into_bytes()).await
    };
    let long = format!("a={}", "x".repeat(200_000));
    let hidden = format!("{long}&access_token=x");
    for body in [&long, &hidden] {
        assert_eq!(post(usual, body).await.status, 413);
    }
    assert_eq!(post(wide, &long).await.body, long);
    assert_eq!(post(wide, &hidden).await.status, 400);
}

#[actix_web::test]
async fn a_cookie_in_another_character_set_hides_no_token() {
    let issuer = issuer();
    let server = serve(guard(&issuer));
    let (_, good) = bearer(&issuer, "containers:read");
    let get = async |cookie: &[u8]| {
        let head = format!(
            "GET /containers HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {good}\r\ncookie: "
        );
        let request = [head.as_bytes(), cookie, b"\r\n\r\n"].concat();
        exchange(server, request).await.status
    };
    assert_eq!(get("lang=é; access_token=x".as_bytes()).await, 400);
    assert_eq!(get(b"lang=\xe9; access_token=x").await, 400);
    assert_eq!(get(b"lang=\xe9").await, 200);
}

#[actix_web::test]
async fn an_oversized_token_is_refused_and_the_server_goes_on() {
    let issuer = issuer();
    let server = serve(guard(&issuer));
    for size in [17 << 10, 64 << 10] {
        let value = format!("Bearer {}", "a.".repeat(size / 2));
        let answer = send(server, "GET /containers", &[("authorization", &value)]).await;
        assert_eq!(answer.status, 400, "{size}");
    }
    // Beyond what actix-web reads of a head the connection ends.
    let value = format!("Bearer {}", "a".repeat(1 << 20));
    let answer = send(server, "GET /containers", &[("authorization", &value)]).await;
    assert!(
        matches!(answer.status, 0 | 400 | 413 | 431),
        "{}",
        answer.status
    );
    assert_eq!(send(server, "GET /health", &[]).await.status, 200);
}

#[actix_web::test]
async fn claims_reach_the_handler_as_its_own_type() {
    let issuer = issuer();
    let server = serve(guard(&issuer));
    for (claim, status) in [(json!(7), 200), (json!("7"), 401), (json!(null), 401)] {
        let token = token(&issuer, "containers:read").claim("tenant", claim.clone());
        let value = format!("Bearer {}", token.mint(now()).unwrap());
        let answer = send(server, "GET /tenant", &[("authorization", &value)]).await;
        assert_eq!(answer.status, status, "{claim}");
        if status == 200 {
            assert_eq!(answer.body, "7");
        }
    }
}

#[actix_web::test]
async fn a_token_bound_to_the_connections_certificate_passes() {
    let issuer = issuer();
    let server = serve(guard(&issuer));
    let status = async |thumbprint: &str| {
        let token =
            token(&issuer, "containers:read").claim("cnf", json!({ "x5t#S256": thumbprint }));
        let value = format!("Bearer {}", token.mint(now()).unwrap());
        // A field that claims a certificate changes nothing.
        let fields = [
            ("authorization", value.as_str()),
            ("client-cert", ":b3RoZXI=:"),
        ];
        send(server, "GET /containers", &fields).await.status
    };
    let hash = |der: &[u8]| base64url::encode(&sha256(der));
    assert_eq!(status(&hash(b"certificate")).await, 200);
    assert_eq!(status(&hash(b"other")).await, 401);
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes)
        .as_ref()
        .to_vec()
}

#[actix_web::test]
async fn proofs_of_possession_are_asked_for_checked_and_used_once() {
    let issuer = issuer();
    let nonces = NonceIssuer::new(&[3; 32]);
    let guard = guard(&issuer).dpop(
        "https://public.example/",
        ProofPolicy::default()
            .algorithms([Algorithm::Es256])
            .nonces(nonces.clone()),
    );
    let server = serve(guard);
    let client = SigningKey::generate(Algorithm::Es256).unwrap();
    let token = token(&issuer, "containers:read")
        .claim("cnf", json!({ "jkt": client.kid() }))
        .mint(now())
        .unwrap();
    let proof = |id: &str, nonce: Option<&str>| {
        let mut jwk = client.public_jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let claims = json!({
            "jti": id, "htm": "GET", "htu": "https://public.example/containers", "iat": now(),
            "ath": base64url::encode(&sha256(token.as_bytes())), "nonce": nonce,
        });
        client
            .sign(&header.to_string(), &claims.to_string())
            .unwrap()
    };
    let ask = async |scheme: &str, proofs: &[&str]| {
        let value = format!("{scheme} {token}");
        let mut fields = vec![("authorization", value.as_str())];
        fields.extend(proofs.iter().map(|proof| ("dpop", *proof)));
        send(server, "GET /containers?page=1", &fields).await
    };
    // Under `Bearer` a bound token is refused, proof or not, and both schemes are offered.
    let downgrade = ask("Bearer", &[&proof("1", Some(&nonces.issue(now())))]).await;
    assert_eq!(downgrade.status, 401);
    let challenges = downgrade.fields("www-authenticate");
    assert_eq!(challenges[0], r#"Bearer realm="containers""#);
    assert!(challenges[1].starts_with("DPoP ") && challenges[1].contains(r#"algs="ES256""#));
    assert_eq!(ask("DPoP", &[]).await.status, 401);
    // Whatever the refusal, a client learns the nonce with it.
    let missing = send(server, "GET /containers", &[]).await;
    assert_eq!(missing.fields("dpop-nonce").len(), 1);
    let without = ask("DPoP", &[&proof("2", None)]).await;
    assert_eq!(without.status, 401);
    assert!(without.fields("www-authenticate")[1].contains(r#"error="use_dpop_nonce""#));
    let nonce = without.fields("dpop-nonce")[0].to_owned();
    let good = proof("3", Some(&nonce));
    assert_eq!(ask("DPoP", &[&good]).await.body, "alice");
    let replayed = ask("DPoP", &[&good]).await;
    assert_eq!(replayed.status, 401);
    assert!(replayed.fields("www-authenticate")[1].contains(r#"error="invalid_dpop_proof""#));
    let fresh = proof("4", Some(&nonce));
    assert_eq!(ask("DPoP", &[&fresh, &fresh]).await.status, 401);
    assert_eq!(ask("DPoP", &[&proof("5", Some(&nonce))]).await.status, 200);
}

/// A proof for `GET` of the path, for that token.
fn proof(client: &SigningKey, token: &str, origin: &str, id: &str) -> String {
    let mut jwk = client.public_jwk();
    jwk.as_object_mut().unwrap().remove("kid");
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
    let claims = json!({
        "jti": id, "htm": "GET", "htu": format!("{origin}/containers"), "iat": now(),
        "ath": base64url::encode(&sha256(token.as_bytes())),
    });
    let (header, claims) = (header.to_string(), claims.to_string());
    client.sign(&header, &claims).unwrap()
}

#[actix_web::test]
async fn who_has_no_token_fills_no_store_of_proofs_and_shuts_nobody_out() {
    const ORIGIN: &str = "https://api.test";
    let issuer = issuer();
    let store = Arc::new(Memory::new(3));
    let server = serve(danger::without_throttle(
        guard(&issuer)
            .dpop(ORIGIN, ProofPolicy::default())
            .proof_store(store),
    ));
    let ask = async |token: &str, proof: &str| {
        let value = format!("DPoP {token}");
        let fields = [("authorization", value.as_str()), ("dpop", proof)];
        send(server, "GET /containers", &fields).await.status
    };
    let client = SigningKey::generate(Algorithm::Es256).unwrap();
    let bound = |kid: &str| {
        let token = token(&issuer, "containers:read").claim("cnf", json!({ "jkt": kid }));
        token.mint(now()).unwrap()
    };
    let good = bound(client.kid());
    let foreign = bound("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    for id in 0..10 {
        let id = id.to_string();
        for token in ["x", "a.b.c", &foreign, &good.replacen('.', ".x", 1)] {
            assert_eq!(ask(token, &proof(&client, token, ORIGIN, &id)).await, 401);
        }
        // Nor does somebody who stole a token, without its key: the signature is another's.
        let thief = SigningKey::generate(Algorithm::Es256).unwrap();
        let forged = proof(&thief, &good, ORIGIN, &id);
        let mut parts: Vec<&str> = forged.split('.').collect();
        let own = proof(&client, &good, ORIGIN, &id);
        parts[0] = own.split('.').next().unwrap();
        assert_eq!(ask(&good, &parts.join(".")).await, 401);
    }
    for (id, status) in [("a", 200), ("a", 401), ("b", 200), ("c", 200), ("d", 503)] {
        assert_eq!(ask(&good, &proof(&client, &good, ORIGIN, id)).await, status);
    }
}

#[actix_web::test]
async fn an_error_stands_in_the_challenge_of_the_scheme_that_was_used() {
    const ORIGIN: &str = "https://api.test";
    let issuer = issuer();
    let server = serve(guard(&issuer).dpop(ORIGIN, ProofPolicy::default()));
    let client = SigningKey::generate(Algorithm::Es256).unwrap();
    let token = token(&issuer, "containers:read").claim("cnf", json!({ "jkt": client.kid() }));
    let expired = token.mint(now() - 100_000).unwrap();
    let proof = proof(&client, &expired, ORIGIN, "1");
    let error = r#"error="invalid_token""#;
    for (scheme, used) in [("Bearer", 0), ("DPoP", 1)] {
        let value = format!("{scheme} {expired}");
        let fields = [("authorization", value.as_str()), ("dpop", &proof)];
        let answer = send(server, "GET /containers", &fields).await;
        assert_eq!(answer.status, 401);
        let challenges = answer.fields("www-authenticate");
        assert!(challenges[used].contains(error), "{challenges:?}");
        assert!(!challenges[1 - used].contains("error"), "{challenges:?}");
    }
}

#[actix_web::test]
async fn the_store_of_proofs_is_the_one_that_was_named_before_or_after() {
    const ORIGIN: &str = "https://api.test";
    let issuer = issuer();
    let down = || Arc::new(Down);
    let before = guard(&issuer).proof_store(down());
    let before = before.dpop(ORIGIN, ProofPolicy::default());
    let after = guard(&issuer).dpop(ORIGIN, ProofPolicy::default());
    for guard in [before, after.proof_store(down())] {
        let server = serve(guard);
        let client = SigningKey::generate(Algorithm::Es256).unwrap();
        let token = token(&issuer, "containers:read").claim("cnf", json!({ "jkt": client.kid() }));
        let token = token.mint(now()).unwrap();
        let value = format!("DPoP {token}");
        let proof = proof(&client, &token, ORIGIN, "1");
        let fields = [("authorization", value.as_str()), ("dpop", &proof)];
        let answer = send(server, "GET /containers", &fields).await;
        assert_eq!(answer.status, 503);
    }
}

#[test]
#[should_panic(expected = "`api.example` is no https origin")]
fn an_origin_that_no_proof_could_be_for_is_a_mistake_that_shows_at_start() {
    let _ = guard(&issuer()).dpop("api.example", ProofPolicy::default());
}

#[test]
#[should_panic(expected = "is no https origin")]
fn an_origin_has_no_path() {
    let _ = guard(&issuer()).dpop("https://api.example/v1", ProofPolicy::default());
}

#[actix_web::test]
async fn a_guard_without_dpop_does_not_take_the_scheme() {
    let issuer = issuer();
    let server = serve(guard(&issuer));
    let (_, good) = bearer(&issuer, "containers:read");
    let value = good.replace("Bearer", "DPoP");
    let answer = send(server, "GET /containers", &[("authorization", &value)]).await;
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.fields("www-authenticate"),
        [r#"Bearer realm="containers""#]
    );
}

#[actix_web::test]
async fn who_guesses_is_slowed_down_and_who_has_a_token_is_not() {
    let issuer = issuer();
    let server = serve(guard(&issuer).throttle(3, 1));
    let (_, good) = bearer(&issuer, "containers:read");
    let line = "GET /containers";
    let mut limited = 0;
    for _ in 0..20 {
        let answer = send(server, line, &[("authorization", "Bearer a.b.c")]).await;
        limited += usize::from(answer.status == 429);
        if answer.status == 429 {
            assert_eq!(answer.fields("retry-after"), ["1"]);
        }
        assert_eq!(
            send(server, line, &[("authorization", &good)]).await.status,
            200
        );
    }
    assert!(limited >= 10, "{limited}");
    // Having no token at all is no guess.
    assert_eq!(send(server, line, &[]).await.status, 401);
}

#[actix_web::test]
async fn a_revoked_token_is_refused_on_its_next_use() {
    let issuer = issuer();
    let revoked = Arc::new(Memory::new(100));
    let server = serve(guard(&issuer).revocations(revoked.clone()));
    let value = |id: serde_json::Value| {
        let token = token(&issuer, "containers:read").claim("jti", id);
        format!("Bearer {}", token.mint(now()).unwrap())
    };
    let (first, second) = (value(json!("1")), value(json!("2")));
    let ask = async |value: &str| {
        send(server, "GET /containers", &[("authorization", value)])
            .await
            .status
    };
    assert_eq!((ask(&first).await, ask(&second).await), (200, 200));
    revoked
        .insert_now(revocation_key(issuer.url(), "1"), now() + 300, now())
        .unwrap();
    assert_eq!((ask(&first).await, ask(&second).await), (401, 200));
    // The same id of another issuer is another token.
    revoked
        .insert_now(revocation_key("https://other", "2"), now() + 300, now())
        .unwrap();
    assert_eq!(ask(&second).await, 200);
}

#[derive(Debug)]
struct Down;

impl State for Down {
    fn insert(&self, _: Key, _: u64, _: u64) -> Answer<'_, bool> {
        down()
    }

    fn contains(&self, _: &Key, _: u64) -> Answer<'_, bool> {
        down()
    }

    fn put(&self, _: Key, _: Vec<u8>, _: u64, _: u64) -> Answer<'_, ()> {
        down()
    }

    fn load(&self, _: &Key, _: u64) -> Answer<'_, Option<Vec<u8>>> {
        down()
    }
}

fn down<T: Send + 'static>() -> Answer<'static, T> {
    Answer::Pending(Box::pin(async {
        Err(StateError::Unavailable("down".into()))
    }))
}

#[actix_web::test]
async fn a_store_that_does_not_answer_closes_the_door() {
    let issuer = issuer();
    let server = serve(guard(&issuer).revocations(Arc::new(Down)));
    let (_, good) = bearer(&issuer, "containers:read");
    let answer = send(server, "GET /containers", &[("authorization", &good)]).await;
    assert_eq!(answer.status, 503);
    assert!(answer.fields("www-authenticate").is_empty());
}

#[actix_web::test]
async fn observing_lets_through_and_tells_what_would_have_been() {
    let issuer = issuer();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let guard = danger::observe_only(guard(&issuer), move |outcome| {
        log.lock()
            .unwrap()
            .push((outcome.verdict, outcome.route.map(str::to_owned)));
    });
    let server = HttpServer::new(move || {
        guard
            .app()
            .service(resource("/x/{id}").route(get().to(async || "ok").require(scope("a"))))
            .build()
    })
    .workers(1)
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    let (_, good) = bearer(&issuer, "a");
    let (_, little) = bearer(&issuer, "b");
    for fields in [
        vec![],
        vec![("authorization", good.as_str())],
        vec![("authorization", &little)],
    ] {
        assert_eq!(send(address, "GET /x/1", &fields).await.body, "ok");
    }
    let route = Some("/x/{id}".to_owned());
    assert_eq!(
        *seen.lock().unwrap(),
        [
            ("missing", route.clone()),
            ("granted", route.clone()),
            ("insufficient", route)
        ]
    );
}

#[actix_web::test]
async fn who_was_refused_after_the_token_was_verified_is_known_by_it() {
    let issuer = issuer();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let server = serve(guard(&issuer).observer(move |outcome| {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let who = (text(outcome.issuer), text(outcome.client_id));
        log.lock().unwrap().push((outcome.status, who));
    }));
    let (_, good) = bearer(&issuer, "containers:read");
    let (_, little) = bearer(&issuer, "nothing");
    for value in [&good, &little, "Bearer a.b.c"] {
        send(server, "GET /containers", &[("authorization", value)]).await;
    }
    let who = || (Some(issuer.url().to_owned()), Some("dev".to_owned()));
    assert_eq!(
        *seen.lock().unwrap(),
        [(None, who()), (Some(403), who()), (Some(401), (None, None))]
    );
}

/// Counts how often it was asked, and brings the new key.
#[derive(Debug)]
struct Rotation {
    store: Arc<KeyStore>,
    new: Mutex<Option<SigningKey>>,
    asked: AtomicUsize,
    /// False where another request has brought it just before, so that nothing changes any more.
    is_first: bool,
}

impl Refresh for Rotation {
    fn refresh<'r>(
        &'r self,
        issuer: &'r str,
    ) -> std::pin::Pin<Box<dyn Future<Output = bool> + Send + 'r>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            assert!(matches!(issuer, "https://idp.test" | "spiffe://prod.test"));
            let Some(key) = self.new.lock().unwrap().take() else {
                return false;
            };
            self.store
                .replace(cofferdam_issuer::Issuer::new("https://idp.test", key).key_set());
            self.is_first
        })
    }
}

#[actix_web::test]
async fn a_token_of_a_new_key_is_verified_after_one_refresh() {
    for is_first in [true, false] {
        one_refresh_is_enough(is_first).await;
    }
}

async fn one_refresh_is_enough(is_first: bool) {
    let old = issuer();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let again = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
    let new = cofferdam_issuer::Issuer::new(old.url(), key);
    let store: Arc<KeyStore> = old.key_set().into();
    let policy = IssuerPolicy::new(old.url(), Arc::clone(&store)).audience(AUDIENCE);
    let rotation = Arc::new(Rotation {
        store,
        new: Mutex::new(Some(again)),
        asked: AtomicUsize::new(0),
        is_first,
    });
    let server = serve(Guard::new(Verifier::new([policy]).unwrap()).refresh(rotation.clone()));
    let (_, value) = bearer(&new, "containers:read");
    let ask = async |value: &str| {
        send(server, "GET /containers", &[("authorization", value)])
            .await
            .status
    };
    assert_eq!(ask(&value).await, 200);
    assert_eq!(rotation.asked.load(Ordering::SeqCst), 1);
    // A known key asks for nothing, an unknown issuer's token neither.
    assert_eq!(ask(&value).await, 200);
    let foreign = cofferdam_issuer::Issuer::new(
        "https://foreign",
        SigningKey::generate(Algorithm::Es256).unwrap(),
    );
    assert_eq!(ask(&bearer(&foreign, "containers:read").1).await, 401);
    assert_eq!(rotation.asked.load(Ordering::SeqCst), 1);
}

#[actix_web::test]
async fn a_svid_without_an_issuer_of_a_new_key_is_verified_after_one_refresh() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let again = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
    let old = SigningKey::generate(Algorithm::Es256).unwrap();
    let store: Arc<KeyStore> = cofferdam_issuer::Issuer::new("https://idp.test", old)
        .key_set()
        .into();
    let policy = preset::spiffe("prod.test", Arc::clone(&store)).audience(AUDIENCE);
    let rotation = Arc::new(Rotation {
        store,
        new: Mutex::new(Some(again)),
        asked: AtomicUsize::new(0),
        is_first: true,
    });
    let server = serve(Guard::new(Verifier::new([policy]).unwrap()).refresh(rotation.clone()));
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": key.kid() });
    let ask = async |subject: &str| {
        let claims = json!({
            "sub": subject, "aud": [AUDIENCE], "exp": now() + 300, "scope": "containers:read",
        });
        let token = key.sign(&header.to_string(), &claims.to_string()).unwrap();
        let value = format!("Bearer {token}");
        send(server, "GET /containers", &[("authorization", &value)])
            .await
            .status
    };
    assert_eq!(ask("spiffe://other.test/web").await, 401);
    assert_eq!(rotation.asked.load(Ordering::SeqCst), 0);
    assert_eq!(ask("spiffe://prod.test/web").await, 200);
    assert_eq!(rotation.asked.load(Ordering::SeqCst), 1);
}

#[actix_web::test]
async fn no_answer_of_ours_repeats_the_token() {
    let issuer = issuer();
    let server = serve(guard(&issuer).throttle(1000, 1000));
    let (_, good) = bearer(&issuer, "nothing");
    let raw = good.strip_prefix("Bearer ").unwrap();
    let mut seen = HashSet::new();
    let tampered = format!("Bearer {}", raw.replacen('.', ".x", 1));
    for value in [good.as_str(), tampered.as_str(), "Bearer s3cr3t-opaque"] {
        let answer = send(server, "GET /containers", &[("authorization", value)]).await;
        for part in value.trim_start_matches("Bearer ").split('.') {
            assert!(
                !answer.head.contains(part) && !answer.body.contains(part),
                "{part}"
            );
        }
        seen.insert(answer.status);
    }
    assert_eq!(seen, HashSet::from([401, 403]));
}
