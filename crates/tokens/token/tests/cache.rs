//! What a verified token is worth when it comes again.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use std::sync::Arc;
use std::time::Duration;

use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::authorization::{AuthorizationError, Field};
use cofferdam_token::{Algorithm, IssuerPolicy, KeyStore, Rejection, Sender, Verifier};

const NOW: u64 = 1_795_505_225;

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap()
}

fn setting(issuer: &Issuer) -> (Arc<KeyStore>, Verifier) {
    let store: Arc<KeyStore> = issuer.key_set().into();
    let policy = IssuerPolicy::new(issuer.url(), Arc::clone(&store))
        .audience("api")
        .leeway(Duration::ZERO);
    (store, Verifier::new([policy]).unwrap().cache(64))
}

#[test]
fn time_is_judged_on_every_use() {
    let issuer = Issuer::new("https://idp.example", key());
    let (_, verifier) = setting(&issuer);
    let token = issuer
        .token("alice")
        .audience("api")
        .lifetime(10)
        .mint(NOW)
        .unwrap();
    assert!(verifier.verify(&token, NOW).is_ok());
    assert!(verifier.verify(&token, NOW + 9).is_ok());
    assert_eq!(verifier.cached(), 1);
    assert_eq!(
        verifier.verify(&token, NOW + 10).unwrap_err(),
        Rejection::Expired
    );
    assert_eq!(verifier.cached(), 0);
    assert!(verifier.verify(&token, NOW).is_ok());
    // A clock that is set back does not make a token valid before its time.
    assert_eq!(
        verifier.verify(&token, NOW - 5).unwrap_err(),
        Rejection::IssuedInFuture
    );
}

#[test]
fn a_field_is_read_where_its_token_is_not_remembered_byte_for_byte() {
    let issuer = Issuer::new("https://idp.example", key());
    let (_, verifier) = setting(&issuer);
    let token = issuer.token("alice").audience("api").mint(NOW).unwrap();
    let verify = |text: &str| {
        let field = Field::split([text.as_bytes()], 4096).unwrap();
        verifier.verify_field(field, NOW, &Sender::bearer())
    };
    // The second time it is remembered.
    for _ in 0..2 {
        assert!(verify(&format!("Bearer  {token}")).unwrap().is_ok());
        for malformed in [
            format!("Bearer {token} "),
            format!("Bearer {token}\u{e9}"),
            format!("Bearer {token},{token}"),
            "Bearer ".to_owned(),
        ] {
            let error = verify(&malformed).unwrap_err();
            assert_eq!(error, AuthorizationError::Malformed, "{malformed}");
        }
    }
    assert_eq!(verifier.cache_counts().0, 1);
}

#[test]
fn a_key_that_leaves_its_set_takes_its_tokens_along() {
    let mut issuer = Issuer::new("https://idp.example", key());
    let (store, verifier) = setting(&issuer);
    let token = issuer.token("alice").audience("api").mint(NOW).unwrap();
    assert!(verifier.verify(&token, NOW).is_ok());
    // The same keys once more change nothing.
    let generation = store.generation();
    store.replace(issuer.key_set());
    assert_eq!(store.generation(), generation);
    issuer.rotate(key());
    store.replace(issuer.key_set());
    assert!(verifier.verify(&token, NOW).is_ok());
    issuer.retire();
    store.replace(issuer.key_set());
    assert_eq!(
        verifier.verify(&token, NOW).unwrap_err(),
        Rejection::KeyUnknown
    );
    store.clear();
    assert_eq!(
        verifier.verify(&token, NOW).unwrap_err(),
        Rejection::KeysUnavailable
    );
}

#[test]
fn no_more_tokens_are_kept_than_was_asked_for() {
    let issuer = Issuer::new("https://idp.example", key());
    let (_, verifier) = setting(&issuer);
    for number in 0..1000 {
        let token = issuer
            .token(format!("user-{number}"))
            .audience("api")
            .mint(NOW)
            .unwrap();
        assert!(verifier.verify(&token, NOW).is_ok());
        assert!(verifier.cached() <= 64);
    }
    assert!(verifier.cached() > 16);
}

#[test]
fn a_token_that_comes_again_outlives_those_that_come_once() {
    let issuer = Issuer::new("https://idp.example", key());
    let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("api");
    // So few that all are in each other's way.
    let verifier = Verifier::new([policy]).unwrap().cache(8);
    let mint = |subject: String| issuer.token(subject).audience("api").mint(NOW).unwrap();
    let regular = mint("regular".to_owned());
    assert!(verifier.verify(&regular, NOW).is_ok());
    for number in 0..100 {
        assert!(verifier.verify(&regular, NOW).is_ok());
        for once in 0..3 {
            let token = mint(format!("user-{number}-{once}"));
            assert!(verifier.verify(&token, NOW).is_ok());
        }
    }
    assert_eq!(verifier.cache_counts(), (100, 301));
    assert_eq!(verifier.cached(), 8);
}

#[test]
fn tokens_that_begin_alike_are_told_apart() {
    let issuer = Issuer::new("https://idp.example", key());
    let (_, verifier) = setting(&issuer);
    let token = issuer.token("alice").audience("api").mint(NOW).unwrap();
    assert!(verifier.verify(&token, NOW).is_ok());
    let cut = &token[..token.len() - 1];
    assert!(verifier.verify(cut, NOW).is_err());
    let other = issuer.token("bob").audience("api").mint(NOW).unwrap();
    assert_eq!(verifier.verify(&other, NOW).unwrap().subject(), Some("bob"));
}

#[test]
fn what_is_found_and_what_is_not_is_counted() {
    let issuer = Issuer::new("https://idp.example", key());
    let (_, verifier) = setting(&issuer);
    assert_eq!(verifier.cache_counts(), (0, 0));
    let mint = |subject: &str| issuer.token(subject).audience("api").mint(NOW).unwrap();
    let (alice, bob) = (mint("alice"), mint("bob"));
    for token in [&alice, &alice, &bob, &alice] {
        assert!(verifier.verify(token, NOW).is_ok());
    }
    assert_eq!(verifier.cache_counts(), (2, 2));
    // What is refused is not kept, so it is not found either.
    assert!(verifier.verify("a.b.c", NOW).is_err());
    assert!(verifier.verify("a.b.c", NOW).is_err());
    assert_eq!(verifier.cache_counts(), (2, 4));
}

#[test]
fn of_a_token_that_made_room_nothing_but_the_signature_is_remembered() {
    let issuer = Issuer::new("https://idp.example", key().with_kid("one"));
    let store: Arc<KeyStore> = issuer.key_set().into();
    let policy = IssuerPolicy::new(issuer.url(), Arc::clone(&store)).audience("api");
    let verifier = Verifier::new([policy]).unwrap().cache(1);
    let mint = |subject: &str| {
        let token = issuer.token(subject).audience("api").lifetime(300);
        token.mint(NOW).unwrap()
    };
    let (token, other) = (mint("alice"), mint("bob"));
    let makes_room = || {
        assert!(verifier.verify(&token, NOW).is_ok());
        assert!(verifier.verify(&other, NOW).is_ok());
        assert_eq!(verifier.cached(), 1);
    };
    makes_room();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let changed = match signature.strip_prefix('A') {
        Some(rest) => format!("{signed}.B{rest}"),
        None => format!("{signed}.A{}", &signature[1..]),
    };
    assert_eq!(
        verifier.verify(&changed, NOW).unwrap_err(),
        Rejection::SignatureInvalid
    );
    makes_room();
    assert_eq!(
        verifier.verify(&token, NOW + 361).unwrap_err(),
        Rejection::Expired
    );
    makes_room();
    // Another key under the same name: what the first one signed is worth nothing any more.
    let another = Issuer::new("https://idp.example", key().with_kid("one"));
    store.replace(another.key_set());
    assert_eq!(
        verifier.verify(&token, NOW).unwrap_err(),
        Rejection::SignatureInvalid
    );
    store.replace(issuer.key_set());
    makes_room();
    store.clear();
    assert_eq!(
        verifier.verify(&token, NOW).unwrap_err(),
        Rejection::KeysUnavailable
    );
}
