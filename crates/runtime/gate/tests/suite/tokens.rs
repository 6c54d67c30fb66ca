//! Who may ask at all.

use aws_lc_rs::digest;
use cofferdam_issuer::{Issuer, Server, SigningKey};
use cofferdam_token::{Algorithm, base64url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use crate::broker::Broker;
use crate::client::{connect, connect_tls};
use crate::gate::{AUDIENCE, Place, now, tls};

#[tokio::test]
async fn a_stranger_is_told_what_to_do_and_the_broker_hears_nothing() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let gate = place.gate("", "").await;
    let good = gate.token("alice");
    let other = gate.issuer.token("alice").audience("https://other.example");
    let other = other.scope("containers:read").mint(now()).unwrap();
    let expired = gate
        .issuer
        .token("alice")
        .audience(AUDIENCE)
        .mint(now() - 5000)
        .unwrap();
    let mut forged = good.clone();
    forged.replace_range(good.len() - 6..good.len() - 2, "AAAA");
    for (status, lines, word) in [
        (401, String::new(), "HttpHeaders"),
        (
            401,
            "Authorization: Basic YTpi\r\n".to_owned(),
            "HttpHeaders",
        ),
        (
            401,
            format!("Authorization: Bearer {other}\r\n"),
            "not valid here",
        ),
        (
            401,
            format!("Authorization: Bearer {forged}\r\n"),
            "not valid here",
        ),
        (
            401,
            format!("Authorization: Bearer {expired}\r\n"),
            "expired",
        ),
        (401, format!("Authorization: DPoP {good}\r\n"), "DPoP"),
        (
            400,
            format!("Authorization: Bearer {good}\r\nauthorization: Bearer {good}\r\n"),
            "given twice",
        ),
        (
            400,
            format!("Authorization: Bearer {good}\r\nCookie: access_token={good}\r\n"),
            "outside",
        ),
        (
            400,
            format!("Authorization: Bearer {}\r\n", "a".repeat(20_000)),
            "longer",
        ),
    ] {
        let mut client = connect(gate.address).await;
        client
            .send(format!(
                "GET /containers/json HTTP/1.1\r\nHost: d\r\n{lines}\r\n"
            ))
            .await;
        let answer = client.answer(false).await;
        assert_eq!(answer.status, status, "{lines}");
        assert!(answer.message().contains(word), "{}", answer.message());
        assert!(
            answer
                .header("www-authenticate")
                .unwrap()
                .starts_with("Bearer")
        );
        assert!(!answer.head.contains(&good) && !answer.text().contains(&good));
    }
    let mut client = connect(gate.address).await;
    let target = format!("/containers/json?access_token={good}");
    assert_eq!(client.ask("GET", &target, &good).await.status, 400);
    // The ping is no exception: whether there is an engine is nobody's business.
    let mut client = connect(gate.address).await;
    client.send("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n").await;
    assert_eq!(client.answer(false).await.status, 401);
    assert!(broker.heard().is_empty());
    assert_eq!(client.ask("GET", "/_ping", &good).await.status, 200);
}

#[tokio::test]
async fn who_guesses_is_slowed_down_and_who_has_a_token_is_not() {
    let place = Place::new();
    let _broker = Broker::plain(place.path());
    let gate = place.gate("", "").await;
    let mut client = connect(gate.address).await;
    let mut slowed = 0;
    for _ in 0..40 {
        let answer = client.ask("GET", "/_ping", "a.b.c").await;
        if answer.status == 429 {
            assert_eq!(answer.header("retry-after"), Some("1"));
            slowed += 1;
        }
    }
    assert!(slowed > 0);
    assert_eq!(
        client
            .ask("GET", "/_ping", &gate.token("alice"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_certificate_needs_it_on_the_connection() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let gate = place.gate("", &tls("optional")).await;
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/client.pem");
    let certificate = CertificateDer::from_pem_file(data).unwrap();
    let thumbprint = base64url::encode(digest::digest(&digest::SHA256, &certificate).as_ref());
    let bound = gate.issuer.token("alice").audience(AUDIENCE);
    let bound = bound
        .claim("cnf", json!({ "x5t#S256": thumbprint }))
        .mint(now())
        .unwrap();

    let mut without = connect_tls(gate.address, None).await.unwrap();
    let refused = without.ask("GET", "/_ping", &bound).await;
    assert_eq!(refused.status, 401);
    assert!(refused.message().contains("proof of possession"));
    assert!(broker.heard().is_empty());
    let mut with = connect_tls(gate.address, Some("client")).await.unwrap();
    assert_eq!(with.ask("GET", "/_ping", &bound).await.status, 200);
    assert_eq!(broker.heard()[0].certificate.as_deref(), Some(&*thumbprint));
}

#[tokio::test]
async fn where_certificates_are_required_nobody_gets_in_without() {
    let place = Place::new();
    let broker = Broker::plain(place.path());
    let gate = place.gate("", &tls("required")).await;
    let token = gate.token("alice");
    // With TLS 1.3 the client learns of it when it reads.
    if let Ok(mut client) = connect_tls(gate.address, None).await {
        client
            .send(format!(
                "GET /_ping HTTP/1.1\r\nHost: d\r\nAuthorization: Bearer {token}\r\n\r\n"
            ))
            .await;
        let (bytes, whole) = client.rest().await;
        assert!(bytes.is_empty() && !whole);
    }
    assert!(broker.heard().is_empty());
    let mut with = connect_tls(gate.address, Some("client")).await.unwrap();
    assert_eq!(with.ask("GET", "/_ping", &token).await.status, 200);
}

#[tokio::test]
async fn keys_are_fetched_where_no_file_is_named_and_an_issuer_that_is_down_holds_up_nobody_else() {
    let key = || SigningKey::generate(Algorithm::Es256).unwrap();
    let up = Server::start(key()).await.unwrap();
    let url = up.issuer().url().to_owned();
    // Nobody listens there any more.
    let down = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let down = Issuer::new(format!("http://{down}"), key());
    let place = Place::new();
    let _broker = Broker::plain(place.path());
    let tables = format!(
        "[[issuer]]\nissuer = \"{url}\"\naudience = \"{AUDIENCE}\"\ndiscover = true\n\
         [[issuer]]\nissuer = \"{0}\"\naudience = \"{AUDIENCE}\"\njwks_uri = \"{0}/jwks\"\n",
        down.url()
    );
    let gate = place.gate("", &tables).await;
    let token = up
        .issuer()
        .token("alice")
        .audience(AUDIENCE)
        .mint(now())
        .unwrap();
    let mut client = connect(gate.address).await;
    assert_eq!(client.ask("GET", "/_ping", &token).await.status, 200);
    let token = down.token("alice").audience(AUDIENCE).mint(now()).unwrap();
    let refused = client.ask("GET", "/_ping", &token).await;
    assert_eq!(
        (refused.status, refused.header("www-authenticate")),
        (503, None)
    );
    assert!(
        refused.message().contains("at the moment"),
        "{}",
        refused.message()
    );
    assert_eq!(
        client
            .ask("GET", "/_ping", &gate.token("alice"))
            .await
            .status,
        200
    );
}
