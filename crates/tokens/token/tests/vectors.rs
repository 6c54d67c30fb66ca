//! Other people's vectors: Project Wycheproof, the examples of the RFCs, JSONTestSuite. What they
//! are and where they come from stands in `data/README.md`.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use cofferdam_token::dpop::{ProofPolicy, ProofRejection, Target};
use cofferdam_token::json::{Document, Limits};
use cofferdam_token::{Algorithm, AlgorithmSet, Jwk, JwkSet, KeyError, Rejection, base64url};
use cofferdam_token::{danger, jws};
use serde_json::{Value, json};

/// The set that a JWK or JWK set makes, each public key without its private members as its owner
/// would publish it.
fn keys(jwk: &Value) -> Option<JwkSet> {
    let mut keys = match &jwk["keys"] {
        Value::Array(keys) => keys.clone(),
        _ => vec![jwk.clone()],
    };
    for key in &mut keys {
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            key.as_object_mut().unwrap().remove(private);
        }
    }
    danger::jwk_set_with_secrets(json!({ "keys": keys }).to_string().as_bytes()).ok()
}

fn accepts(jwk: &Value, token: &str) -> Result<(), String> {
    let keys = keys(jwk).ok_or("no set")?;
    let everything: AlgorithmSet = keys.algorithms();
    jws::verify(token, &keys, everything)
        .map(drop)
        .map_err(|rejection| rejection.id().to_owned())
}

#[test]
fn wycheproof_is_judged_as_labelled() {
    let errata: Value = serde_json::from_str(include_str!("data/wycheproof/ERRATA.json")).unwrap();
    let correction = |id: &Value| {
        let all = errata["override"].as_array().unwrap();
        all.iter()
            .find(|each| each["tcId"] == *id)
            .map(|each| each["use"].as_str().unwrap())
    };
    let mut judged = 0;
    let mut wrong = Vec::new();
    for (name, file) in [
        (
            "signature",
            include_str!("data/wycheproof/json_web_signature_test.json"),
        ),
        (
            "key",
            include_str!("data/wycheproof/json_web_key_test.json"),
        ),
        (
            "crypto",
            include_str!("data/wycheproof/json_web_crypto_test.json"),
        ),
    ] {
        let file: Value = serde_json::from_str(file).unwrap();
        for group in file["testGroups"].as_array().unwrap() {
            let jwk = group.get("public").unwrap_or(&group["private"]);
            for test in group["tests"].as_array().unwrap() {
                // A JWE is not a token here at all, so valid ones are refused as well.
                let is_jwe = test.get("jwe").is_some();
                let token = test.get("jws").or(test.get("jwe")).unwrap();
                let token = token
                    .as_str()
                    .map_or_else(|| token.to_string(), str::to_owned);
                let corrected = correction(&test["tcId"]).filter(|_| name == "signature");
                let want = match corrected.or(test["result"].as_str()).unwrap() {
                    "skip" => continue,
                    label => label == "valid" && !is_jwe,
                };
                let verdict = accepts(jwk, &token);
                judged += 1;
                if verdict.is_ok() != want {
                    let (id, comment) = (&test["tcId"], &test["comment"]);
                    wrong.push(format!("{name} {id} {comment}: {verdict:?} {token}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(judged, 401 + 26 + 83 - 4);
}

#[test]
fn the_examples_of_the_rfcs_hold() {
    let examples: Value = serde_json::from_str(include_str!("data/rfc-examples.json")).unwrap();
    for example in examples["jws"].as_array().unwrap() {
        let verdict = match example.get("jwk") {
            Some(jwk) => accepts(jwk, example["jws"].as_str().unwrap()),
            None => Err("no key".to_owned()),
        };
        assert_eq!(
            verdict.is_ok(),
            example["result"] == "valid",
            "{}",
            example["name"]
        );
    }
    let thumbprint = &examples["jwk_thumbprint"];
    let key = Jwk::parse(thumbprint["jwk"].to_string().as_bytes()).unwrap();
    assert_eq!(key.thumbprint(), thumbprint["thumbprint"]);
}

#[test]
fn the_proof_for_a_resource_of_rfc_9449_holds_and_for_nothing_else() {
    let examples: Value = serde_json::from_str(include_str!("data/rfc-examples.json")).unwrap();
    let token = examples["dpop_access_tokens"][0]["token"].as_str().unwrap();
    let example = &examples["dpop"][2];
    let proof = example["proof"].as_str().unwrap();
    let issued = example["payload"]["iat"].as_u64().unwrap();
    let policy = ProofPolicy::default();
    let target = Target {
        method: "GET",
        uri: "https://resource.example.org/protectedresource?a=1",
    };
    let verify = |target: &Target<'_>, token: &str, now| {
        policy
            .verify([proof], target, token, now)
            .map(|proof| proof.thumbprint().to_owned())
    };
    assert_eq!(verify(&target, token, issued + 60).unwrap(), example["jkt"]);
    for (verdict, reason) in [
        (
            verify(
                &Target {
                    method: "POST",
                    ..target
                },
                token,
                issued,
            ),
            ProofRejection::Method,
        ),
        (
            verify(
                &Target {
                    uri: "https://resource.example.org/",
                    ..target
                },
                token,
                issued,
            ),
            ProofRejection::Uri,
        ),
        (verify(&target, "another", issued), ProofRejection::Token),
        (verify(&target, token, issued + 61), ProofRejection::Time),
        (verify(&target, token, issued - 6), ProofRejection::Time),
    ] {
        assert_eq!(verdict.unwrap_err(), reason);
    }
    // The two proofs for the token endpoint have no `ath`.
    for example in &examples["dpop"].as_array().unwrap()[..2] {
        let target = Target {
            method: "POST",
            uri: example["payload"]["htu"].as_str().unwrap(),
        };
        let now = example["payload"]["iat"].as_u64().unwrap();
        let verdict = policy.verify([example["proof"].as_str().unwrap()], &target, token, now);
        assert_eq!(verdict.unwrap_err(), ProofRejection::Claim("ath"));
    }
}

#[test]
fn the_cookbook_of_rfc_7520_is_read_where_it_is_compact() {
    for (file, why) in [
        (
            include_str!("data/rfc7520/4_1.rsa_v15_signature.json"),
            None,
        ),
        (
            include_str!("data/rfc7520/4_2.rsa-pss_signature.json"),
            None,
        ),
        // ES512 on P-521, which no access token of an issuer we know uses.
        (
            include_str!("data/rfc7520/4_3.ecdsa_signature.json"),
            Some("algorithm-unknown"),
        ),
        (
            include_str!("data/rfc7520/4_4.hmac-sha2_integrity_protection.json"),
            None,
        ),
        // The payload is elsewhere, so what stands in its place was not signed.
        (
            include_str!("data/rfc7520/4_5.signature_with_detached_content.json"),
            Some("signature-invalid"),
        ),
        (
            include_str!("data/rfc7520/4_6.protecting_specific_header_fields.json"),
            Some("not-compact"),
        ),
        (
            include_str!("data/rfc7520/4_7.protecting_content_only.json"),
            Some("not-compact"),
        ),
        (
            include_str!("data/rfc7520/4_8.multiple_signatures.json"),
            Some("not-compact"),
        ),
        (include_str!("data/rfc7520/rfc8037.ed25519.json"), None),
        // RFC 7797 §7: never in a JWT.
        (
            include_str!("data/rfc7520/rfc7797.b64_false.json"),
            Some("header-forbidden"),
        ),
    ] {
        let example: Value = serde_json::from_str(file).unwrap();
        let mut key = example["input"]["key"].clone();
        if key.is_array() {
            key = key[0].clone();
        }
        // The example's set has one key for several algorithms of its type.
        key.as_object_mut().unwrap().remove("alg");
        let output = &example["output"];
        let token = match output["compact"].as_str() {
            Some(compact) => compact.to_owned(),
            None => output["json"].to_string(),
        };
        let keys = keys(&key).unwrap();
        let allowed = Algorithm::ASYMMETRIC
            .into_iter()
            .chain([Algorithm::Hs256])
            .collect();
        let verdict = jws::verify(&token, &keys, allowed);
        assert_eq!(
            verdict.as_ref().err().map(Rejection::id),
            why,
            "{}",
            example["title"]
        );
        if let Ok(payload) = verdict {
            assert_eq!(
                payload,
                example["input"]["payload"].as_str().unwrap().as_bytes()
            );
        }
    }
}

#[test]
fn every_document_of_json_test_suite_is_judged_by_rfc_8259() {
    let suite: Value =
        serde_json::from_str(include_str!("data/jsontestsuite/parsing.json")).unwrap();
    // Valid JSON that this reader refuses on purpose: a member name twice (RFC 8259 §4 leaves it
    // open, RFC 8725bis §3.7 does not).
    let stricter = [
        "y_object_duplicated_key",
        "y_object_duplicated_key_and_value",
    ];
    // Open in RFC 8259, and read here: a number that is rounded to zero, and these only.
    let taken = ["i_number_double_huge_neg_exp", "i_number_real_underflow"];
    let mut judged = 0;
    for (name, text) in suite.as_object().unwrap() {
        let bytes = base64url::decode(text.as_str().unwrap()).unwrap();
        let verdict = Document::parse(bytes, &Limits::CLAIMS);
        let want = match name.as_bytes()[0] {
            b'y' => !stricter.contains(&name.as_str()),
            b'n' => false,
            _ => taken.contains(&name.as_str()),
        };
        assert_eq!(verdict.is_ok(), want, "{name}: {verdict:?}");
        judged += 1;
    }
    assert_eq!(judged, 316);
    // The two large ones of the suite.
    let limits = Limits {
        max_bytes: 1 << 20,
        max_depth: usize::MAX,
        ..Limits::KEYS
    };
    assert!(Document::parse(vec![b'['; 100_000], &limits).is_err());
    assert!(Document::parse("[{\"\":".repeat(50_000).into_bytes(), &limits).is_err());
}

#[test]
fn a_key_is_refused_for_the_reason_that_makes_it_bad() {
    let file: Value =
        serde_json::from_str(include_str!("data/wycheproof/json_web_key_test.json")).unwrap();
    let reason = |comment: &str| {
        let groups = file["testGroups"].as_array().unwrap();
        let group = groups
            .iter()
            .find(|group| group["comment"] == comment)
            .unwrap();
        let set = keys(group.get("public").unwrap_or(&group["private"])).unwrap();
        set.skipped().first().map(|skipped| skipped.error.clone())
    };
    assert_eq!(reason("jws_rsa_roca_key"), Some(KeyError::Roca));
    assert_eq!(reason("keysize_too_small"), Some(KeyError::RsaSize(1024)));
    assert_eq!(reason("exponentOne"), Some(KeyError::RsaExponent));
    assert_eq!(reason("invalid_use"), Some(KeyError::Use));
    assert_eq!(reason("invalid_point"), Some(KeyError::Invalid));
}
