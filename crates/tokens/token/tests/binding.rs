//! Tokens that are bound to their sender: by a DPoP proof, by a client certificate.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use aws_lc_rs::digest;
use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::dpop::{NonceIssuer, Proof, ProofPolicy, ProofRejection, Target};
use cofferdam_token::state::Memory;
use cofferdam_token::{
    Algorithm, Binding, IssuerPolicy, Rejection, Sender, Verifier, base64url, requirement,
};
use serde_json::{Value, json};

const NOW: u64 = 1_795_505_225;
const TARGET: Target<'static> = Target {
    method: "POST",
    uri: "https://api.example/containers",
};

struct Setting {
    issuer: Issuer,
    verifier: Verifier,
    client: SigningKey,
}

fn setting() -> Setting {
    let issuer = Issuer::new(
        "https://idp.example",
        SigningKey::generate(Algorithm::Es256).unwrap(),
    );
    let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("api");
    Setting {
        verifier: Verifier::new([policy]).unwrap().cache(16),
        client: SigningKey::generate(Algorithm::Es256).unwrap(),
        issuer,
    }
}

impl Setting {
    fn token(&self, confirmation: Value) -> String {
        let token = self
            .issuer
            .token("alice")
            .audience("api")
            .claim("cnf", confirmation);
        token.mint(NOW).unwrap()
    }

    /// A token bound to the client's key, whose id is its thumbprint.
    fn bound(&self) -> String {
        self.token(json!({ "jkt": self.client.kid() }))
    }

    fn proof(&self, token: &str, header: Value, claims: Value) -> String {
        let mut jwk = self.client.public_jwk();
        jwk.as_object_mut()
            .unwrap()
            .retain(|name, _| matches!(name.as_str(), "kty" | "crv" | "x" | "y"));
        let whole = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        let stock = json!({
            "jti": "1", "htm": "POST", "htu": TARGET.uri, "iat": NOW,
            "ath": base64url::encode(hash.as_ref()),
        });
        let header = changed(whole, header);
        self.client
            .sign(&header.to_string(), &changed(stock, claims).to_string())
            .unwrap()
    }
}

/// The members replaced; `null` takes one out.
fn changed(mut whole: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        whole[name] = value.clone();
    }
    whole
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    whole
}

fn check(proof: &str, token: &str) -> Result<Proof, ProofRejection> {
    ProofPolicy::default().verify([proof], &TARGET, token, NOW)
}

#[test]
fn a_bound_token_passes_with_its_proof_and_never_without() {
    let setting = setting();
    let token = setting.bound();
    let proof = check(&setting.proof(&token, json!({}), json!({})), &token).unwrap();
    // Twice, so that the second verdict comes from the cache.
    for _ in 0..2 {
        let verified = setting
            .verifier
            .verify_from(&token, NOW, &proof.sender())
            .unwrap();
        assert_eq!(verified.binding(), Binding::Dpop);
        let needed = requirement::sender_bound();
        assert!(needed.check(&verified, NOW).into_result().is_ok());
        // RFC 9449 §7.2: under `Bearer` it is refused, from the cache too.
        assert_eq!(
            setting.verifier.verify(&token, NOW).unwrap_err(),
            Rejection::ProofMissing
        );
    }
}

#[test]
fn a_proof_with_another_key_or_for_an_unbound_token_is_refused() {
    let setting = setting();
    let thief = SigningKey::generate(Algorithm::Es256).unwrap();
    let token = setting.bound();
    let stolen = Setting {
        client: thief,
        ..setting
    };
    let proof = check(&stolen.proof(&token, json!({}), json!({})), &token).unwrap();
    assert_eq!(
        stolen
            .verifier
            .verify_from(&token, NOW, &proof.sender())
            .unwrap_err(),
        Rejection::SenderMismatch
    );
    let unbound = stolen.token(Value::Null);
    assert_eq!(
        stolen
            .verifier
            .verify_from(&unbound, NOW, &proof.sender())
            .unwrap_err(),
        Rejection::NotBound
    );
}

#[test]
fn each_check_of_rfc_9449_holds() {
    let setting = setting();
    let token = setting.bound();
    let refused =
        |header, claims| check(&setting.proof(&token, header, claims), &token).unwrap_err();
    let policy = ProofPolicy::default();
    let none: [&str; 0] = [];
    assert_eq!(
        policy.verify(none, &TARGET, &token, NOW).unwrap_err(),
        ProofRejection::Missing
    );
    let good = setting.proof(&token, json!({}), json!({}));
    let twice = policy.verify([good.as_str(), &good], &TARGET, &token, NOW);
    assert_eq!(twice.unwrap_err(), ProofRejection::Multiple);

    assert_eq!(
        refused(json!({ "typ": "JWT" }), json!({})),
        ProofRejection::Type
    );
    assert_eq!(
        refused(json!({ "typ": null }), json!({})),
        ProofRejection::Type
    );
    for alg in ["none", "HS256x"] {
        let reason = ProofRejection::Jwt(Rejection::AlgorithmUnknown);
        assert_eq!(refused(json!({ "alg": alg }), json!({})), reason);
    }
    let hmac = refused(json!({ "alg": "HS256" }), json!({}));
    assert_eq!(hmac, ProofRejection::Jwt(Rejection::AlgorithmNotAllowed));
    assert_eq!(
        refused(json!({ "jwk": null }), json!({})),
        ProofRejection::Key
    );
    let oct = json!({ "jwk": { "kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0" } });
    assert_eq!(refused(oct, json!({})), ProofRejection::Key);
    let mut private = setting.client.public_jwk();
    private["d"] = json!("AAAA");
    assert_eq!(
        refused(json!({ "jwk": private }), json!({})),
        ProofRejection::Key
    );
    let other = SigningKey::generate(Algorithm::Es256).unwrap().public_jwk();
    let swapped = refused(json!({ "jwk": other }), json!({}));
    assert_eq!(swapped, ProofRejection::Jwt(Rejection::SignatureInvalid));

    for name in ["jti", "htm", "htu", "iat", "ath"] {
        assert_eq!(
            refused(json!({}), json!({ name: null })),
            ProofRejection::Claim(name)
        );
        assert_eq!(
            refused(json!({}), json!({ name: [] })),
            ProofRejection::Claim(name)
        );
    }
    let long = "j".repeat(257);
    assert_eq!(
        refused(json!({}), json!({ "jti": long })),
        ProofRejection::Claim("jti")
    );
    assert_eq!(
        refused(json!({}), json!({ "htm": "post" })),
        ProofRejection::Method
    );
    let uri = json!({ "htu": "https://api.example/other" });
    assert_eq!(refused(json!({}), uri), ProofRejection::Uri);
    assert_eq!(
        refused(json!({}), json!({ "iat": NOW - 61 })),
        ProofRejection::Time
    );
    assert_eq!(
        refused(json!({}), json!({ "iat": NOW + 6 })),
        ProofRejection::Time
    );
    assert_eq!(
        refused(json!({}), json!({ "ath": "AAAA" })),
        ProofRejection::Token
    );
}

#[test]
fn a_nonce_is_asked_for_and_recognized() {
    let setting = setting();
    let token = setting.bound();
    let nonces = NonceIssuer::new(&[7; 32]);
    let policy = ProofPolicy::default().nonces(nonces.clone());
    let verify = |claims| {
        let proof = setting.proof(&token, json!({}), claims);
        policy
            .verify([proof.as_str()], &TARGET, &token, NOW)
            .map(drop)
    };
    assert_eq!(verify(json!({})), Err(ProofRejection::Nonce));
    assert_eq!(
        verify(json!({ "nonce": "guess" })),
        Err(ProofRejection::Nonce)
    );
    assert_eq!(verify(json!({ "nonce": nonces.issue(NOW - 10) })), Ok(()));
    assert_eq!(
        verify(json!({ "nonce": nonces.issue(NOW - 301) })),
        Err(ProofRejection::Nonce)
    );
}

#[test]
fn a_proof_is_new_once_per_key_and_id() {
    let setting = setting();
    let token = setting.bound();
    let store = Memory::new(10);
    let remember = |setting: &Setting, id: &str| {
        let proof = setting.proof(&token, json!({}), json!({ "jti": id }));
        let proof = check(&proof, &token).unwrap();
        assert!(proof.remember_until() > NOW + 60);
        store
            .insert_now(proof.replay_key(), proof.remember_until(), NOW)
            .unwrap()
    };
    assert!(remember(&setting, "1"));
    assert!(!remember(&setting, "1"));
    assert!(remember(&setting, "2"));
    let client = SigningKey::generate(Algorithm::Es256).unwrap();
    let other = Setting { client, ..setting };
    assert!(remember(&other, "1"));
}

#[test]
fn a_proof_is_remembered_for_as_long_as_its_time_is_accepted() {
    let setting = setting();
    let token = setting.bound();
    let policy = ProofPolicy::default();
    // Whatever its time says, made just now, as early and as late as it may be.
    for issued in [NOW - 60, NOW, NOW + 5] {
        let proof = setting.proof(&token, json!({}), json!({ "iat": issued }));
        let verify = |now| policy.verify([proof.as_str()], &TARGET, &token, now);
        let store = Memory::new(10);
        let mut uses = 0;
        for now in NOW..NOW + 200 {
            let Ok(proof) = verify(now) else {
                continue;
            };
            let is_new = store.insert_now(proof.replay_key(), proof.remember_until(), now);
            uses += usize::from(is_new.unwrap());
        }
        assert_eq!(uses, 1, "{issued}");
        let first = verify(NOW).unwrap();
        for second in 0..=1 {
            assert!(verify(issued + 60 + second).is_ok() == (second == 0));
            assert!(first.remember_until() > issued + 60 + second);
        }
    }
}

#[test]
fn a_token_bound_to_a_certificate_passes_with_it_alone() {
    let setting = setting();
    let certificate = b"the DER of a certificate";
    let hash = digest::digest(&digest::SHA256, certificate);
    let token = setting.token(json!({ "x5t#S256": base64url::encode(hash.as_ref()) }));
    let verify = |sender: &Sender<'_>| setting.verifier.verify_from(&token, NOW, sender);
    let verified = verify(&Sender::bearer().with_certificate(certificate)).unwrap();
    assert_eq!(verified.binding(), Binding::Certificate);
    assert_eq!(
        verify(&Sender::bearer()).unwrap_err(),
        Rejection::ProofMissing
    );
    let other = Sender::bearer().with_certificate(b"another");
    assert_eq!(verify(&other).unwrap_err(), Rejection::SenderMismatch);
    // A token that is not bound passes with a certificate as without (RFC 8705 §3).
    let unbound = setting.token(Value::Null);
    assert!(setting.verifier.verify_from(&unbound, NOW, &other).is_ok());
}

#[test]
fn a_binding_that_is_not_understood_is_not_ignored() {
    let setting = setting();
    for (confirmation, reason) in [
        (json!({}), Rejection::ConfirmationUnsupported),
        (json!({ "kid": "1" }), Rejection::ConfirmationUnsupported),
        (
            json!({ "jwk": { "kty": "EC" } }),
            Rejection::ConfirmationUnsupported,
        ),
        (json!({ "jkt": 1 }), Rejection::ClaimMalformed("cnf")),
        (json!({ "jkt": "short" }), Rejection::ClaimMalformed("cnf")),
        (json!("jkt"), Rejection::ClaimMalformed("cnf")),
    ] {
        let token = setting.token(confirmation.clone());
        assert_eq!(
            setting.verifier.verify(&token, NOW).unwrap_err(),
            reason,
            "{confirmation}"
        );
    }
}
