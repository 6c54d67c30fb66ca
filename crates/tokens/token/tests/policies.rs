//! What a policy may not say, and what it asks of a token's time and claims.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use std::time::Duration;

use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::requirement::{
    Requirement, acr, all_of, any_of, audience, claim, client_role, entitlement, group, issuer,
    max_age, realm_role, role, scope,
};
use cofferdam_token::{
    Algorithm, Decision, Denial, IssuerPolicy, JwkSet, PolicyError, Rejection, Verifier, danger,
};
use serde_json::json;

const NOW: u64 = 1_795_505_225;

fn new_issuer() -> Issuer {
    Issuer::new(
        "https://idp.example",
        SigningKey::generate(Algorithm::Es256).unwrap(),
    )
}

#[test]
fn a_policy_that_would_let_too_much_through_is_refused() {
    let policy = || IssuerPolicy::new("https://idp.example", JwkSet::default()).audience("api");
    let name = || "https://idp.example".to_owned();
    let refused = |policy: IssuerPolicy| Verifier::new([policy]).unwrap_err();
    let bare = IssuerPolicy::new("https://idp.example", JwkSet::default());
    assert_eq!(refused(bare), PolicyError::NoAudience(name()));
    assert_eq!(
        refused(policy().audience("")),
        PolicyError::NoAudience(name())
    );
    assert_eq!(
        refused(policy().algorithms([])),
        PolicyError::NoAlgorithm(name())
    );
    let hmac = policy().algorithms([Algorithm::Rs256, Algorithm::Hs256]);
    assert_eq!(refused(hmac.clone()), PolicyError::Hmac(name()));
    assert!(Verifier::new([danger::allow_hmac(hmac)]).is_ok());
    let long = policy().leeway(Duration::from_secs(301));
    assert_eq!(refused(long), PolicyError::Leeway(name()));
    let empty = IssuerPolicy::new("", JwkSet::default()).audience("api");
    assert_eq!(refused(empty), PolicyError::NoIssuer);
    assert_eq!(Verifier::new([]).unwrap_err(), PolicyError::NoIssuer);
    let twice = Verifier::new([policy(), policy()]).unwrap_err();
    assert_eq!(twice, PolicyError::DuplicateIssuer(name()));
}

#[test]
fn each_issuer_has_its_own_keys_and_audiences() {
    let (first, second) = (
        new_issuer(),
        Issuer::new(
            "https://two",
            SigningKey::generate(Algorithm::Es256).unwrap(),
        ),
    );
    let verifier = Verifier::new([
        IssuerPolicy::new(first.url(), first.key_set()).audience("one"),
        IssuerPolicy::new(second.url(), second.key_set()).audience("two"),
    ])
    .unwrap();
    let verify = |by: &Issuer, named: &str, audience: &str| {
        let token = by
            .token("alice")
            .claim("iss", named)
            .audience(audience)
            .mint(NOW)
            .unwrap();
        verifier
            .verify(&token, NOW)
            .map(|token| token.issuer().to_owned())
    };
    assert_eq!(verify(&first, first.url(), "one").unwrap(), first.url());
    assert_eq!(verify(&second, second.url(), "two").unwrap(), second.url());
    assert_eq!(
        verify(&first, first.url(), "two").unwrap_err(),
        Rejection::AudienceMismatch
    );
    // The mix-up: one issuer mints in the name of the other.
    assert_eq!(
        verify(&first, second.url(), "two").unwrap_err(),
        Rejection::KeyUnknown
    );
}

#[test]
fn a_lifetime_can_be_bounded() {
    let issuer = new_issuer();
    let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("api");
    let verifier = Verifier::new([policy.max_lifetime(Duration::from_secs(600))]).unwrap();
    let verify = |seconds| {
        let token = issuer
            .token("alice")
            .audience("api")
            .lifetime(seconds)
            .mint(NOW)
            .unwrap();
        verifier.verify(&token, NOW).map(drop)
    };
    assert_eq!(verify(600), Ok(()));
    assert_eq!(verify(601), Err(Rejection::LifetimeTooLong));
}

#[test]
fn a_named_claim_must_have_one_of_the_named_values() {
    let issuer = new_issuer();
    let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("api");
    let verifier = Verifier::new([policy.claim("tenant", ["a", "b"])]).unwrap();
    let verify = |tenant: serde_json::Value| {
        let token = issuer
            .token("alice")
            .audience("api")
            .claim("tenant", tenant);
        verifier.verify(&token.mint(NOW).unwrap(), NOW).map(drop)
    };
    assert_eq!(verify(json!("b")), Ok(()));
    for other in [json!("c"), json!(["a"]), json!(null), json!("A"), json!("")] {
        assert_eq!(verify(other), Err(Rejection::PolicyMismatch));
    }
}

#[test]
fn a_scope_claim_that_says_two_things_is_refused() {
    let issuer = new_issuer();
    let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("api");
    let verifier = Verifier::new([policy]).unwrap();
    let verify = |scp: serde_json::Value| {
        let token = issuer
            .token("alice")
            .audience("api")
            .scope("a b")
            .claim("scp", scp);
        verifier.verify(&token.mint(NOW).unwrap(), NOW).map(drop)
    };
    assert_eq!(verify(json!(["b", "a"])), Ok(()));
    assert_eq!(
        verify(json!(["a", "b", "admin"])),
        Err(Rejection::ClaimMalformed("scp"))
    );
    assert_eq!(
        verify(json!([["a", "b"]])),
        Err(Rejection::ClaimMalformed("scp"))
    );
}

#[test]
fn a_header_that_would_choose_the_key_or_how_to_read_the_claims_is_refused() {
    let issuer = new_issuer();
    let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("api");
    let verifier = Verifier::new([policy]).unwrap();
    let verify = |name: &str, value: serde_json::Value| {
        let token = issuer.token("alice").audience("api").header(name, value);
        verifier.verify(&token.mint(NOW).unwrap(), NOW).map(drop)
    };
    // Nothing else is wrong with these tokens: the key of the issuer has signed them.
    assert_eq!(verify("x5t", json!("AAAA")), Ok(()));
    for (name, value) in [
        ("jku", json!("https://idp.example/jwks")),
        ("jwk", issuer.key().public_jwk()),
        ("x5u", json!("https://idp.example/certificate")),
        ("x5c", json!(["MIIB"])),
        ("enc", json!("A256GCM")),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("b64", json!(true)),
    ] {
        assert_eq!(
            verify(name, value),
            Err(Rejection::HeaderForbidden(name)),
            "{name}"
        );
    }
}

#[test]
fn roles_are_read_in_the_shape_of_scim_too() {
    let issuer = new_issuer();
    let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("api");
    let verifier = Verifier::new([policy]).unwrap();
    for (name, requirement) in [
        ("roles", role as fn(&'static str) -> Requirement),
        ("groups", group),
        ("entitlements", entitlement),
    ] {
        let token = issuer.token("alice").audience("api").claim(
            name,
            json!([
                { "value": "admin", "display": "owner", "primary": true },
                "auditor", 7, { "display": "owner" }, { "value": ["owner"] }, [{ "value": "owner" }],
            ]),
        );
        let token = verifier.verify(&token.mint(NOW).unwrap(), NOW).unwrap();
        let granted = |value| requirement(value).check(&token, NOW) == Decision::Granted;
        assert!(granted("admin") && granted("auditor"), "{name}");
        assert!(!granted("owner") && !granted("7"), "{name}");
    }
}

#[test]
fn requirements_join_and_name_the_scopes_that_would_do() {
    let issuer_ = new_issuer();
    let policy = IssuerPolicy::new(issuer_.url(), issuer_.key_set())
        .audience("api")
        .audience("b");
    let verifier = Verifier::new([policy]).unwrap();
    let token = issuer_
        .token("alice")
        .audience("api")
        .scope("read")
        .claim("acr", "silver");
    let token = token.claim("auth_time", NOW - 100).mint(NOW).unwrap();
    let token = verifier.verify(&token, NOW).unwrap();
    let check = |requirement: Requirement| requirement.check(&token, NOW);
    for granted in [
        scope("read"),
        any_of([scope("write"), scope("read")]),
        all_of([]),
        audience("api").and(issuer("https://idp.example")),
        acr(["gold", "silver"]).and(max_age(100)),
    ] {
        assert_eq!(check(granted), Decision::Granted);
    }
    let insufficient = |scope: &str| {
        Decision::Denied(Denial::Insufficient {
            scope: scope.into(),
        })
    };
    let both = scope("read").and(scope("write")).and(scope("read"));
    assert_eq!(check(both), insufficient("read write"));
    assert_eq!(
        check(any_of([scope("write"), scope("admin")])),
        insufficient("write")
    );
    assert_eq!(check(any_of([])), insufficient(""));
    assert_eq!(check(audience("b")), insufficient(""));
    assert_eq!(check(issuer("https://idp.example/")), insufficient(""));
    let step_up = Denial::StepUp {
        acr_values: "gold platinum".into(),
        max_age: None,
    };
    assert_eq!(check(acr(["gold", "platinum"])), Decision::Denied(step_up));
    let step_up = Denial::StepUp {
        acr_values: String::new(),
        max_age: Some(99),
    };
    assert_eq!(check(max_age(99)), Decision::Denied(step_up));
}

#[test]
fn a_login_in_the_future_is_not_a_recent_one() {
    let issuer = new_issuer();
    let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("api");
    let verifier = Verifier::new([policy]).unwrap();
    for (time, granted) in [
        (json!(NOW - 301), false),
        (json!(NOW - 300), true),
        (json!(NOW + 60), true),
        (json!(NOW + 61), false),
        // An issuer that counts milliseconds.
        (json!(NOW * 1000), false),
        (json!(NOW.to_string()), false),
    ] {
        let token = issuer.token("alice").audience("api");
        let token = token.claim("auth_time", time.clone()).mint(NOW).unwrap();
        let token = verifier.verify(&token, NOW).unwrap();
        let decision = max_age(300).check(&token, NOW);
        assert_eq!(decision == Decision::Granted, granted, "{time}");
    }
    // How far ahead is the policy's to say.
    let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("api");
    let policy = policy.leeway(Duration::from_secs(10));
    let verifier = Verifier::new([policy]).unwrap();
    for (ahead, granted) in [(10, true), (11, false)] {
        let token = issuer.token("alice").audience("api");
        let token = token.claim("auth_time", NOW + ahead).mint(NOW).unwrap();
        let token = verifier.verify(&token, NOW).unwrap();
        let decision = max_age(300).check(&token, NOW);
        assert_eq!(decision == Decision::Granted, granted, "{ahead}");
    }
}

#[test]
#[should_panic(expected = "is not one scope")]
fn two_scopes_in_one_are_a_mistake_that_shows_at_start() {
    let _ = scope("containers:read containers:write");
}

#[test]
fn a_claim_is_found_by_its_path_and_compared_whole() {
    let issuer = new_issuer();
    let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("api");
    let verifier = Verifier::new([policy]).unwrap();
    let token = issuer
        .token("alice")
        .audience("api")
        .claim(
            "realm_access",
            json!({ "roles": ["auditor", 7, ["owner"]] }),
        )
        .claim(
            "resource_access",
            json!({ "app.v2": { "roles": ["operator"] }, "app": { "v2": { "roles": "admin" } } }),
        )
        .claim("https://idp.example/tier", "gold")
        .mint(NOW)
        .unwrap();
    let token = verifier.verify(&token, NOW).unwrap();
    let granted = |requirement: Requirement| requirement.check(&token, NOW) == Decision::Granted;
    assert!(granted(realm_role("auditor")));
    assert!(granted(client_role("app.v2", "operator")));
    assert!(granted(claim(["https://idp.example/tier"], "gold")));
    assert!(granted(claim(
        ["resource_access", "app", "v2", "roles"],
        "admin"
    )));
    for refused in [
        realm_role("audit"),
        realm_role("Auditor"),
        realm_role("7"),
        // An array inside the array is no role.
        realm_role("owner"),
        client_role("app", "operator"),
        client_role("app.v2", "auditor"),
        claim(["resource_access.app.v2.roles"], "admin"),
        claim(["realm_access"], "auditor"),
        claim(["realm_access", "roles", "0"], "auditor"),
        claim(["tier"], "gold"),
    ] {
        let told = Denial::Insufficient {
            scope: String::new(),
        };
        assert_eq!(refused.check(&token, NOW), Decision::Denied(told));
    }
}

#[test]
#[should_panic(expected = "a claim is required without a name")]
fn a_claim_without_a_name_is_refused_at_start() {
    let _ = claim([""; 0], "x");
}

#[test]
fn an_hmac_policy_takes_one_key_and_one_algorithm() {
    let secret = [7; 64];
    let policy = |bytes: &[u8], algorithm| {
        danger::hmac_policy("https://idp.example", bytes, algorithm)
            .map(|policy| policy.audience("api"))
    };
    let good = policy(&secret, Algorithm::Hs256).unwrap();
    let verifier = Verifier::new([good]).unwrap();
    let mint = |algorithm, bytes: &[u8]| {
        let mut header = jsonwebtoken::Header::new(algorithm);
        header.typ = Some("at+jwt".to_owned());
        let claims = json!({
            "iss": "https://idp.example", "sub": "alice", "aud": "api", "client_id": "web",
            "jti": "1", "iat": NOW, "exp": NOW + 60,
        });
        let key = jsonwebtoken::EncodingKey::from_secret(bytes);
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    };
    let token = mint(jsonwebtoken::Algorithm::HS256, &secret);
    assert_eq!(
        verifier.verify(&token, NOW).unwrap().subject(),
        Some("alice")
    );
    let other_key = mint(jsonwebtoken::Algorithm::HS256, &[8; 64]);
    assert_eq!(
        verifier.verify(&other_key, NOW).unwrap_err(),
        Rejection::SignatureInvalid
    );
    let other_hash = mint(jsonwebtoken::Algorithm::HS512, &secret);
    assert_eq!(
        verifier.verify(&other_hash, NOW).unwrap_err(),
        Rejection::AlgorithmNotAllowed
    );
    // A password is no key, and an RSA algorithm no HMAC.
    assert!(policy(b"correct horse", Algorithm::Hs256).is_err());
    assert!(policy(&secret, Algorithm::Rs256).is_err());
}
