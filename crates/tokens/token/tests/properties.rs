//! What must hold for any token, and not only for those that somebody thought of.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use std::sync::OnceLock;

use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::json::{Document, Limits};
use cofferdam_token::{Algorithm, Claims, Credentials, IssuerPolicy, Verifier, inspect};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const NOW: u64 = 1_795_505_225;

/// One issuer for each kind of key; making an RSA key takes long.
fn issuers() -> &'static [(Issuer, Verifier)] {
    static ISSUERS: OnceLock<Vec<(Issuer, Verifier)>> = OnceLock::new();
    ISSUERS.get_or_init(|| {
        [
            Algorithm::Rs256,
            Algorithm::Ps256,
            Algorithm::Es256,
            Algorithm::EdDsa,
        ]
        .into_iter()
        .map(|algorithm| {
            let key = SigningKey::generate(algorithm).unwrap();
            let issuer = Issuer::new("https://idp.example", key);
            let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("api");
            // With a cache, since it must not change any verdict.
            (issuer, Verifier::new([policy]).unwrap().cache(64))
        })
        .collect()
    })
}

/// Any JSON that is within the limits: depth 4, numbers that keep their value.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn to_value(value: cofferdam_token::json::Value<'_>) -> Value {
    if let Some(text) = value.as_str() {
        return json!(text);
    }
    if let Some(members) = value.as_object() {
        return Value::Object(
            members
                .map(|(name, value)| (name.to_owned(), to_value(value)))
                .collect(),
        );
    }
    if let Some(elements) = value.as_array() {
        return elements.map(to_value).collect();
    }
    let number = value
        .as_i64()
        .map(Value::from)
        .or(value.as_u64().map(Value::from));
    number
        .or(value.as_f64().map(Value::from))
        .or(value.as_bool().map(Value::from))
        .unwrap_or(Value::Null)
}

fn get(claims: &Claims, name: &str) -> Option<Value> {
    claims.get(name).map(to_value)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_token_with_any_one_byte_changed_is_refused(
        which in 0usize..4, place in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let (issuer, verifier) = &issuers()[which];
        let token = issuer.token("alice").audience("api").scope("containers:read").mint(NOW).unwrap();
        prop_assert!(verifier.verify(&token, NOW).is_ok());
        let mut bytes = token.clone().into_bytes();
        let place = place.index(bytes.len());
        prop_assume!(bytes[place] != byte);
        bytes[place] = byte;
        if let Ok(changed) = String::from_utf8(bytes) {
            prop_assert!(verifier.verify(&changed, NOW).is_err());
        }
        prop_assert!(verifier.verify(&token[..place], NOW).is_err());
    }

    #[test]
    fn any_claims_within_the_limits_come_out_as_they_went_in(
        claims in prop::collection::btree_map("x[a-z]{0,12}|[\\PC]{1,8}", any_json(), 0..12),
    ) {
        let (issuer, verifier) = &issuers()[3];
        let mut token = issuer.token("alice").audience("api");
        // Names with a meaning are tested elsewhere, and `null` leaves a claim out.
        let registered = ["aud", "exp", "nbf", "iat", "iss", "sub", "jti", "scp", "scope", "cnf", "azp"];
        let claims: Map<String, Value> = claims
            .into_iter()
            .filter(|(name, value)| !registered.contains(&name.as_str()) && !value.is_null())
            .collect();
        for (name, value) in &claims {
            token = token.claim(name, value.clone());
        }
        let token = token.mint(NOW).unwrap();
        prop_assume!(token.len() < 16 << 10);
        let verified = verifier.verify(&token, NOW).unwrap();
        for (name, value) in &claims {
            prop_assert_eq!(get(verified.claims(), name), Some(value.clone()));
        }
    }

    #[test]
    fn the_reader_takes_what_serde_json_writes_and_nothing_that_it_refuses(
        value in any_json(), garbage in any::<Vec<u8>>(), cut in any::<prop::sample::Index>(),
    ) {
        let text = value.to_string();
        let document = Document::parse(text.clone().into_bytes(), &Limits::CLAIMS).unwrap();
        prop_assert_eq!(to_value(document.root()), value);
        let mut bytes = text.into_bytes();
        bytes.truncate(cut.index(bytes.len()));
        bytes.extend(garbage);
        if Document::parse(bytes.clone(), &Limits::CLAIMS).is_ok() {
            prop_assert!(serde_json::from_slice::<Value>(&bytes).is_ok());
        }
    }

    #[test]
    fn no_input_makes_a_reader_panic(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let (_, verifier) = &issuers()[0];
        prop_assert!(verifier.verify(&text, NOW).is_err());
        let _ = inspect(&text);
        let _ = Credentials::parse([bytes.as_slice()], 100);
        let _ = Document::parse(bytes, &Limits::CLAIMS);
    }

    #[test]
    fn a_scope_is_granted_only_when_it_is_one_of_the_words(
        words in prop::collection::vec("[a-c:]{1,3}", 0..6), asked in "[a-c: ]{0,4}",
    ) {
        let (issuer, verifier) = &issuers()[3];
        let token = issuer.token("alice").audience("api").claim("scope", words.join(" "));
        let verified = verifier.verify(&token.mint(NOW).unwrap(), NOW).unwrap();
        prop_assert_eq!(verified.scopes().contains(&asked), words.contains(&asked));
    }
}
