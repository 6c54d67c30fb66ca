//! What the tests of the forge and the samples of the `token` checks share.

use super::public_key::PublicKey;
use super::signing_key::SigningKey;
use super::{Compact, Recipe};
use crate::Secret;
use crate::testing::{Response, SECRET, now};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Claims as issuers write them, registered ones and others, some odd.
pub(crate) fn arbitrary_claims() -> impl Strategy<Value = Map<String, Value>> {
    let word = "[a-zé:./ -]{0,12}";
    let value = prop_oneof![
        word.prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        vec(word.prop_map(Value::from), 0..3).prop_map(Value::from),
        Just(Value::Null),
        Just(json!({ "a": [1, "b"] })),
    ];
    let name = prop_oneof![
        Just("aud".to_owned()),
        Just("exp".to_owned()),
        Just("iat".to_owned()),
        Just("iss".to_owned()),
        Just("nbf".to_owned()),
        Just("scope".to_owned()),
        Just("scp".to_owned()),
        Just("sub".to_owned()),
        "[a-z_]{1,10}",
    ];
    btree_map(name, value, 0..8).prop_map(|claims| claims.into_iter().collect())
}

/// An issuer and its verifier, which accepts what this key signed with this algorithm and no more.
pub(crate) struct TestIssuer {
    algorithm: &'static str,
    key: Arc<SigningKey>,
}

impl TestIssuer {
    pub(crate) fn new(algorithm: &'static str) -> Self {
        Self::with_key(algorithm, SigningKey::fresh(algorithm).unwrap())
    }

    pub(crate) fn with_key(algorithm: &'static str, key: SigningKey) -> Self {
        Self {
            algorithm,
            key: Arc::new(key),
        }
    }

    /// One with a fresh RSA key, and that key as `--signing-key` takes it.
    pub(crate) fn rsa() -> (Self, Secret) {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap();
        let body = STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        let key = SigningKey::parse(&pem).unwrap().remove(0).key;
        (Self::with_key("RS256", key), Secret::new(pem))
    }

    pub(crate) fn token_of(&self, subject: &str) -> String {
        let Value::Object(claims) = json!({
            "iss": "https://issuer.example", "aud": "sample", "sub": subject,
            "scope": "read", "iat": now(), "exp": now() + 3600,
        }) else {
            unreachable!("an object")
        };
        let base = Compact {
            header: Map::new(),
            claims,
            signature: String::new(),
        }
        .with_header("alg", self.algorithm)
        .with_header("kid", "k1");
        let forged = Recipe::signed("own", Arc::clone(&self.key)).forge(&base);
        forged.unwrap().token.reveal().to_owned()
    }

    /// The claims of a token that this issuer made.
    pub(crate) fn verify(&self, token: &str) -> Option<Value> {
        let (input, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let algorithm = header_of(token)?.get("alg")?.as_str()?.to_owned();
        if algorithm != self.algorithm {
            return None;
        }
        match &*self.key {
            // Signing again tells for a deterministic algorithm.
            SigningKey::Hmac(_) | SigningKey::Rsa(_) | SigningKey::Ed25519(_) => {
                (self.key.sign(&algorithm, input.as_bytes())? == signature).then_some(())?;
            }
            SigningKey::Ec(..) => verified_by(&self.public(), token).then_some(())?,
        }
        claims_of(token)
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from_jwk(&self.jwks()["keys"][0]).unwrap()
    }

    pub(crate) fn jwks(&self) -> Value {
        let mut jwk = self.key.public_jwk().unwrap();
        jwk["kid"] = json!("k1");
        json!({ "keys": [jwk] })
    }
}

/// The key behind the sample tokens, as `--signing-key` takes it.
pub(crate) fn signing_key() -> Secret {
    let secret = URL_SAFE_NO_PAD.encode(SECRET);
    Secret::new(json!({ "kty": "oct", "k": secret }).to_string())
}

/// The claims of a sample token whose signature is good, whatever they say.
pub(crate) fn signed_claims(token: &str) -> Option<Value> {
    TestIssuer::with_key("HS256", SigningKey::hmac(SECRET)).verify(token)
}

/// Whether the claim `name` holds a time that is past.
pub(crate) fn is_past(claims: &Value, name: &str) -> bool {
    claims[name].as_u64().is_some_and(|time| time <= now())
}

/// Whether a P-256 key signed this token, by ES256.
pub(crate) fn verified_by(key: &PublicKey, token: &str) -> bool {
    // The point stands at the end of the SubjectPublicKeyInfo.
    let spki = &key.as_secrets()[2].1;
    let point = &spki[spki.len() - 65..];
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    token.rsplit_once('.').is_some_and(|(input, signature)| {
        URL_SAFE_NO_PAD
            .decode(signature)
            .is_ok_and(|signature| key.verify(input.as_bytes(), &signature).is_ok())
    })
}

/// The claims of a token, as a service reads them that verifies nothing.
pub(crate) fn claims_of(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let claims = parts.nth(1)?;
    parts.next()?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    claims.get("sub").is_some().then_some(claims)
}

/// The header of a token.
pub(crate) fn header_of(token: &str) -> Option<Value> {
    let header = token.split('.').next()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
}

pub(crate) fn notes() -> Response {
    Response::json(200, json!({ "notes": [{ "id": "n-1", "text": "milk" }] }))
}

pub(crate) fn whoami(claims: &Value) -> Response {
    Response::json(200, json!({ "subject": claims["sub"], "plan": "free" }))
}

pub(crate) fn refused() -> Response {
    Response::json(401, json!({ "error": "invalid token" }))
}

pub(crate) fn forbidden() -> Response {
    Response::json(403, json!({ "error": "insufficient scope" }))
}
