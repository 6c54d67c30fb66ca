//! The token holes: each group has its own mistake, and no other.

use crate::client::{alice, get, hardened, only, raw};
use aws_lc_rs::hmac;
use cofferdam_issuer::SigningKey;
use cofferdam_lab::{Hole, Lab};
use cofferdam_token::base64url::{decode, encode};
use serde_json::{Value, json};

/// Alice's token with other claims, signed by the staging key.
fn minted(lab: &Lab, change: impl FnOnce(&mut Value)) -> String {
    let (mut header, mut claims) = parts(alice(lab));
    change(&mut claims);
    let key = SigningKey::from_pem(lab.signing_key_pem()).unwrap();
    header["kid"] = json!(key.kid());
    key.sign(&header.to_string(), &claims.to_string()).unwrap()
}

fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| decode(part).unwrap());
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (next(), next())
}

fn now(lab: &Lab) -> i64 {
    parts(alice(lab)).1["iat"].as_i64().unwrap()
}

/// What each hole lets through, and where.
fn attacks(lab: &Lab) -> Vec<(Hole, &'static str, String)> {
    let token = alice(lab);
    let (body, signature) = token.rsplit_once('.').unwrap();
    let tampered = format!(
        "{body}.{}A",
        &signature[..signature.len() - 1].replace('B', "C")
    );
    let (header, _) = parts(token);
    let payload = token.split('.').nth(1).unwrap();
    let with_header = |alg: &str| {
        let mut header = header.clone();
        header["alg"] = json!(alg);
        format!("{}.{payload}", encode(header.to_string().as_bytes()))
    };
    let none = format!("{}.", with_header("nOnE"));
    let confused = with_header("HS256");
    let key = hmac::Key::new(hmac::HMAC_SHA256, public_pem(lab).as_bytes());
    let tag = hmac::sign(&key, confused.as_bytes());
    let confused = format!("{confused}.{}", encode(tag.as_ref()));
    let now = now(lab);
    let scoped = |scope: &str| minted(lab, |claims| claims["scope"] = json!(scope));
    vec![
        (Hole::TokenMissing, "/v1/capacity", String::new()),
        (Hole::TokenMalformed, "/v1/events", "anything".to_owned()),
        (Hole::TokenSignature, "/v1/images", tampered),
        (Hole::TokenUnsigned, "/v1/usage", format!("{body}.")),
        (Hole::TokenAlgNone, "/v1/builds", none),
        (Hole::TokenKeyConfusion, "/v1/repositories", confused),
        (
            Hole::TokenExpired,
            "/v1/volumes",
            minted(lab, |claims| {
                claims["iat"] = json!(now - 7200);
                claims["exp"] = json!(now - 3600);
            }),
        ),
        (
            Hole::TokenAudience,
            "/v1/networks",
            minted(lab, |claims| claims["aud"] = json!("https://other.example")),
        ),
        (
            Hole::TokenIssuer,
            "/v1/nodes",
            minted(lab, |claims| claims["iss"] = json!("https://other.example")),
        ),
        (Hole::TokenScope, "/v1/audit", scoped("jobs:read")),
        (
            Hole::TokenScopeSubstring,
            "/v1/policies",
            scoped("x:policy:read-none"),
        ),
        (
            Hole::TokenUnbound,
            "/v1/deployments",
            minted(lab, |claims| {
                claims["cnf"] = json!({"jkt": encode(&[7; 32])});
            }),
        ),
        (
            Hole::TokenNotBefore,
            "/v1/schedules",
            minted(lab, |claims| claims["nbf"] = json!(now + 7200)),
        ),
    ]
}

/// SubjectPublicKeyInfo of the published RSA key.
fn public_pem(lab: &Lab) -> String {
    let key = &lab.jwks()["keys"][0];
    let number = |name: &str| {
        let mut bytes = decode(key[name].as_str().unwrap()).unwrap();
        if bytes[0] >= 0x80 {
            bytes.insert(0, 0);
        }
        der(0x02, &bytes)
    };
    let rsa = der(0x30, &[number("n"), number("e")].concat());
    let algorithm = [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let bits = der(0x03, &[&[0], &rsa[..]].concat());
    let whole = encode(&der(0x30, &[&algorithm[..], &bits].concat()));
    let mut text = whole.replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    )
}

fn der(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(bytes.len()) {
        Ok(length) if length < 128 => out.push(length),
        _ => {
            out.push(0x82);
            out.extend_from_slice(&u16::try_from(bytes.len()).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
    out
}

#[test]
fn each_group_has_its_own_mistake_and_no_other() {
    for hole in Hole::ALL.iter().copied() {
        let lab = only(hole);
        let attacks = attacks(&lab);
        if !attacks.iter().any(|(attacked, ..)| *attacked == hole) {
            continue;
        }
        for (attack, path, token) in &attacks {
            assert_eq!(get(&lab, path, alice(&lab)).status, 200, "{hole}: {path}");
            let status = get(&lab, path, token).status;
            if *attack == hole {
                assert_eq!(status, 200, "{hole} does not let {attack} through");
            } else {
                assert!(
                    matches!(status, 401 | 403),
                    "{hole} lets {attack} through: {status}"
                );
            }
            let garbage = get(&lab, path, "garbage").status;
            let expected = if (hole, *attack) == (Hole::TokenMalformed, Hole::TokenMalformed) {
                200
            } else {
                401
            };
            assert_eq!(garbage, expected, "{hole}: garbage at {path}");
            let nothing = get(&lab, path, "").status;
            let expected = if (hole, *attack) == (Hole::TokenMissing, Hole::TokenMissing) {
                200
            } else {
                401
            };
            assert_eq!(nothing, expected, "{hole}: nothing at {path}");
        }
        // Within its group a hole lets through nothing but its own kind.
        let (_, path, _) = attacks
            .iter()
            .find(|(attacked, ..)| *attacked == hole)
            .unwrap();
        for (attack, _, token) in &attacks {
            let subsumed = match hole {
                Hole::TokenMalformed => *attack != Hole::TokenMissing,
                // A signature that is not looked at may be missing, of no algorithm or of another.
                Hole::TokenSignature => matches!(
                    attack,
                    Hole::TokenUnsigned | Hole::TokenAlgNone | Hole::TokenKeyConfusion
                ),
                _ => false,
            };
            let own_scope = matches!(attack, Hole::TokenScope | Hole::TokenScopeSubstring);
            if *attack != hole && !subsumed && !own_scope && *attack != Hole::TokenMalformed {
                let status = get(&lab, path, token).status;
                assert!(
                    matches!(status, 401 | 403),
                    "{hole} at {path} lets {attack} through: {status}"
                );
            }
        }
    }
}

#[test]
fn the_hardened_lab_refuses_every_bad_token_everywhere() {
    let lab = hardened();
    let attacks = attacks(&lab);
    for (_, path, _) in &attacks {
        for (attack, _, token) in &attacks {
            let needs_other_scope = !matches!(attack, Hole::TokenScope | Hole::TokenScopeSubstring);
            let status = get(&lab, path, token).status;
            let right = if needs_other_scope {
                status == 401
            } else {
                status == 403
            };
            assert!(right, "{attack} at {path}: {status}");
        }
    }
}

#[test]
fn refusals_carry_the_challenge_of_rfc_6750() {
    let lab = hardened();
    let bare = get(&lab, "/v1/containers", "");
    assert_eq!(
        bare.headers("www-authenticate"),
        ["Bearer realm=\"containers\""]
    );
    let garbage = get(&lab, "/v1/containers", "garbage");
    assert!(
        garbage
            .header("www-authenticate")
            .unwrap()
            .contains("error=\"invalid_token\"")
    );
    let little = minted(&lab, |claims| claims["scope"] = json!("x"));
    let little = get(&lab, "/v1/containers", &little);
    assert_eq!(little.status, 403);
    assert!(
        little
            .header("www-authenticate")
            .unwrap()
            .contains("scope=\"containers:read\"")
    );
    let both = get(&lab, "/v1/deployments", "");
    assert_eq!(
        both.headers("www-authenticate"),
        [
            "Bearer realm=\"containers\"",
            "DPoP realm=\"containers\", algs=\"RS256 ES256\""
        ]
    );
}

#[test]
fn a_bound_token_passes_with_its_proof_once() {
    let lab = hardened();
    let key = SigningKey::generate(cofferdam_token::Algorithm::Es256).unwrap();
    let token = minted(&lab, |claims| claims["cnf"] = json!({"jkt": key.kid()}));
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    let mut jwk = key.public_jwk();
    for name in ["kid", "alg", "use"] {
        jwk.as_object_mut().unwrap().remove(name);
    }
    let url = format!("{}/v1/deployments", lab.base_url());
    let proof = |htu: &str, jti: &str| {
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
        let claims = json!({"htm": "GET", "htu": htu, "jti": jti, "ath": encode(hash.as_ref()), "iat": now(&lab)});
        key.sign(&header.to_string(), &claims.to_string()).unwrap()
    };
    let send = |proof: &str| {
        let host = lab.base_url().replace("http://", "");
        raw(&lab, &format!("GET /v1/deployments HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n\r\n")).status
    };
    assert_eq!(send(&proof(&url, "1")), 200);
    assert_eq!(send(&proof(&url, "1")), 401, "a replay");
    assert_eq!(send(&proof("http://other/", "2")), 401);
    assert_eq!(send("garbage"), 401);
    assert_eq!(
        get(&lab, "/v1/deployments", &token).status,
        401,
        "without a proof"
    );
}

#[test]
fn opaque_tokens_are_random_and_guessing_is_throttled() {
    let lab = hardened();
    let token = &lab.identities()["acme-ci"];
    assert_eq!(token.len(), 14);
    assert_eq!(
        get(&lab, "/legacy/containers", token).json()["tenant"],
        "acme"
    );
    assert_eq!(get(&lab, "/legacy/containers", alice(&lab)).status, 401);
    for _ in 0..9 {
        assert_eq!(get(&lab, "/legacy/containers", "bad").status, 401);
    }
    let late = get(&lab, "/legacy/containers", "bad");
    assert_eq!(late.status, 429);
    assert!(late.header("retry-after").unwrap().parse::<u64>().unwrap() <= 30);
    assert_eq!(get(&lab, "/legacy/containers", token).status, 200);
    assert_eq!(get(&lab, "/v1/containers", token).status, 401);
}

#[test]
fn guessable_tokens_have_neighbours() {
    let lab = only(Hole::TokenGuessable);
    let number: u32 = lab.identities()["acme-ci"]
        .strip_prefix("ci-")
        .unwrap()
        .parse()
        .unwrap();
    let neighbour = format!("ci-{:06}", number + 1);
    assert_eq!(
        get(&lab, "/legacy/containers", &neighbour).json()["tenant"],
        "globex"
    );
    assert_eq!(get(&lab, "/legacy/containers", "ci-000001").status, 401);
}

#[test]
fn bad_opaque_tokens_may_be_tried_without_end_when_the_hole_is_open() {
    let lab = only(Hole::TokenThrottle);
    for _ in 0..25 {
        assert_eq!(get(&lab, "/legacy/containers", "bad").status, 401);
    }
}

#[test]
fn a_token_in_the_query_counts_only_when_the_hole_is_open() {
    let lab = only(Hole::TokenInQuery);
    let path = |lab: &Lab, token: &str| {
        get(
            lab,
            &format!("/v1/containers/ctr-4f1d2a90/logs?access_token={token}"),
            "",
        )
        .status
    };
    assert_eq!(path(&lab, alice(&lab)), 200);
    assert_eq!(path(&lab, "garbage"), 401);
    let lab = hardened();
    assert_eq!(path(&lab, alice(&lab)), 400);
}

#[test]
fn an_answer_repeats_the_token_only_when_the_hole_is_open() {
    let lab = only(Hole::TokenInAnswer);
    assert!(
        get(&lab, "/v1/session", alice(&lab))
            .body
            .contains(alice(&lab))
    );
    let lab = hardened();
    let session = get(&lab, "/v1/session", alice(&lab));
    assert_eq!(session.json()["tenant"], "acme");
    assert!(!session.body.contains(alice(&lab)));
}

#[test]
fn an_error_repeats_the_token_only_when_the_hole_is_open() {
    let lab = only(Hole::TokenInError);
    let absent = get(&lab, "/v1/jobs/job-none", alice(&lab));
    assert_eq!(absent.status, 404);
    assert!(absent.body.contains(alice(&lab)));
    let refused = get(&lab, "/v1/jobs/job-none", "garbage-0815");
    assert_eq!(refused.status, 401);
    assert!(refused.body.contains("garbage-0815"));
    let lab = hardened();
    assert!(
        !get(&lab, "/v1/jobs/job-none", alice(&lab))
            .body
            .contains(alice(&lab))
    );
    assert!(
        !get(&lab, "/v1/jobs/job-none", "garbage-0815")
            .body
            .contains("garbage")
    );
}
