//! Token exchange (RFC 8693) with a token endpoint on loopback.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use std::time::{SystemTime, UNIX_EPOCH};

use cofferdam_issuer::{ExchangeClient, Issuer, Server, SigningKey};
use cofferdam_token::fetch::{Client, FetchError, TokenExchange};
use cofferdam_token::{Algorithm, IssuerPolicy, Verified, Verifier};

async fn issuer() -> Server {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let server = Server::start(key).await.unwrap();
    server.allow_exchange(ExchangeClient::new("shop", "s3cret:&", "shop").target("gate"));
    server
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn exchange(server: &Server, secret: &str, audience: &str) -> TokenExchange {
    let client = Client::with_roots(rustls::RootCertStore::empty()).unwrap();
    let endpoint = format!("{}/token", server.issuer().url());
    TokenExchange::new(client, &endpoint, "shop", secret, audience).unwrap()
}

fn of_caller(server: &Server, audience: &str, scope: &str) -> String {
    server
        .issuer()
        .token("alice")
        .audience(audience)
        .scope(scope)
        .claim("roles", serde_json::json!(["runner"]))
        .mint(now())
        .unwrap()
}

fn at_gate(server: &Server, token: &str) -> Verified {
    let policy = {
        let issuer = server.issuer();
        IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("gate")
    };
    Verifier::new([policy])
        .unwrap()
        .verify(token, now())
        .unwrap()
}

#[tokio::test]
async fn the_exchanged_token_is_the_callers_for_the_other_audience_and_no_more() {
    let server = issuer().await;
    let subject = of_caller(&server, "shop", "containers:read orders:read");
    let wide = exchange(&server, "s3cret:&", "gate");
    let narrow = exchange(&server, "s3cret:&", "gate").scope("containers:read containers:exec");

    let issued = wide.exchange(&subject, now()).await.unwrap();
    let verified = at_gate(&server, issued.expose());
    assert_eq!(verified.subject(), Some("alice"));
    assert_eq!(verified.client_id(), Some("shop"));
    assert_eq!(verified.claims().roles().collect::<Vec<_>>(), ["runner"]);
    let act = verified.claims().get("act").unwrap();
    assert_eq!(act.get("sub").unwrap().as_str(), Some("shop"));

    // A scope that the caller does not have is not to be had.
    let issued = narrow.exchange(&subject, now()).await.unwrap();
    let verified = at_gate(&server, issued.expose());
    assert_eq!(
        verified.scopes().iter().collect::<Vec<_>>(),
        ["containers:read"]
    );

    assert!(!format!("{issued:?} {narrow:?}").contains(issued.expose()));
    assert!(!format!("{narrow:?}").contains("s3cret"));
}

#[tokio::test]
async fn who_acted_before_is_named_inside_of_who_acts_now() {
    let server = issuer().await;
    let before = serde_json::json!({ "sub": "web", "act": { "sub": "first" } });
    let subject = {
        let issuer = server.issuer();
        let token = issuer.token("alice").audience("shop");
        token.claim("act", before.clone()).mint(now()).unwrap()
    };
    let exchange = exchange(&server, "s3cret:&", "gate");
    let issued = exchange.exchange(&subject, now()).await.unwrap();
    let verified = at_gate(&server, issued.expose());
    let claims: serde_json::Value = serde_json::from_str(verified.claims().json()).unwrap();
    let expected = serde_json::json!({ "sub": "shop", "act": before });
    assert_eq!(claims["act"], expected);
}

#[tokio::test]
async fn an_issuer_of_another_name_exchanges_and_a_scope_may_stand_for_another() {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let server = Server::serve(Issuer::new("https://idp.example", key))
        .await
        .unwrap();
    let client = ExchangeClient::new("shop", "s3cret:&", "shop").target("gate");
    server.allow_exchange(client.scope("orders:write", "containers:run"));
    let client = Client::with_roots(rustls::RootCertStore::empty()).unwrap();
    let endpoint = format!("http://{}/token", server.address());
    let exchange = TokenExchange::new(client, &endpoint, "shop", "s3cret:&", "gate")
        .unwrap()
        .scope("containers:read containers:run");
    for (held, given) in [
        ("orders:write", vec!["containers:run"]),
        ("orders:read containers:read", vec!["containers:read"]),
    ] {
        let subject = of_caller(&server, "shop", held);
        let issued = exchange.exchange(&subject, now()).await.unwrap();
        let verified = at_gate(&server, issued.expose());
        assert_eq!(verified.scopes().iter().collect::<Vec<_>>(), given);
    }
}

#[tokio::test]
async fn one_exchange_serves_until_shortly_before_its_end() {
    let server = issuer().await;
    let subject = of_caller(&server, "shop", "containers:read");
    let exchange = exchange(&server, "s3cret:&", "gate");
    let text = |issued: &cofferdam_token::fetch::Issued| issued.expose().to_owned();
    let start = now();
    let first = text(&exchange.exchange(&subject, start).await.unwrap());
    assert_eq!(
        text(&exchange.exchange(&subject, start + 100).await.unwrap()),
        first
    );
    assert_ne!(
        text(&exchange.exchange(&subject, start + 295).await.unwrap()),
        first
    );
    let other = of_caller(&server, "shop", "containers:read");
    assert_ne!(
        text(&exchange.exchange(&other, start).await.unwrap()),
        first
    );
}

#[tokio::test]
async fn nothing_is_given_for_another_audience_secret_or_token() {
    let server = issuer().await;
    let subject = of_caller(&server, "shop", "containers:read");
    let status = |result: Result<_, FetchError>| match result {
        Err(FetchError::Status(_, status)) => status,
        Err(error) => panic!("{error}"),
        Ok(_) => 200,
    };
    let right = exchange(&server, "s3cret:&", "gate");
    assert_eq!(status(right.exchange(&subject, now()).await), 200);
    let foreign = of_caller(&server, "elsewhere", "containers:read");
    assert_eq!(status(right.exchange(&foreign, now()).await), 400);
    assert_eq!(status(right.exchange("no token", now()).await), 400);
    let wrong = exchange(&server, "secret", "gate");
    assert_eq!(status(wrong.exchange(&subject, now()).await), 401);
    let audience = exchange(&server, "s3cret:&", "other");
    assert_eq!(status(audience.exchange(&subject, now()).await), 400);
}
