//! Another library as a witness: what is accepted here, `jsonwebtoken` accepts as well. It accepts
//! more, which is why this crate exists; `attacks.rs` lists what.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use std::sync::LazyLock;

use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::{Algorithm, IssuerPolicy, Profile, Verifier};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: u64 = 1_795_505_225;

fn witness(issuer: &Issuer, audience: &str, token: &str) -> bool {
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(issuer.key().public_jwk()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
    let mut rules = jsonwebtoken::Validation::new(issuer.key().algorithm().name().parse().unwrap());
    rules.set_audience(&[audience]);
    rules.set_issuer(&[issuer.url()]);
    // Its clock is the system's; the tokens are of another time.
    rules.validate_exp = false;
    jsonwebtoken::decode::<Value>(token, &key, &rules).is_ok()
}

static ISSUERS: LazyLock<Vec<Issuer>> = LazyLock::new(|| {
    [
        Algorithm::Ps384,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ]
    .into_iter()
    .map(|algorithm| {
        Issuer::new(
            "https://idp.example",
            SigningKey::generate(algorithm).unwrap(),
        )
    })
    .collect()
});

fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        Just(json!("api")),
        Just(json!(["api", "b"])),
        Just(json!(["b", 1])),
        Just(json!({})),
        any::<String>().prop_map(Value::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_here_another_library_accepts(
        which in 0usize..4,
        claim in prop_oneof![Just("aud"), Just("iss"), Just("sub"), Just("nbf"), Just("iat"), Just("x")],
        value in odd(),
        change in any::<Option<(prop::sample::Index, u8)>>(),
    ) {
        let issuer = &ISSUERS[which];
        let token = issuer.token("alice").audience("api").claim(claim, value).mint(NOW).unwrap();
        let mut bytes = token.into_bytes();
        if let Some((place, byte)) = change {
            let place = place.index(bytes.len());
            bytes[place] = byte & 0x7F;
        }
        let token = String::from_utf8(bytes).unwrap();
        let policy = IssuerPolicy::new(issuer.url(), issuer.key_set())
            .audience("api")
            .profile(Profile::RFC9068);
        if Verifier::new([policy]).unwrap().verify(&token, NOW).is_ok() {
            prop_assert!(witness(issuer, "api", &token));
        }
    }
}
