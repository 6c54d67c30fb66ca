//! `cofferdam token`: what it answers, end to end.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "what the files of tests share is not used by each of them"
)]

mod common;

use common::Cofferdam;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Output, Stdio};

/// Runs with this on standard input.
fn feed(cofferdam: &Cofferdam, args: &[&str], input: &str) -> Output {
    let mut child = cofferdam
        .command(args)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // It may refuse before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const WHO: [&str; 4] = [
    "--issuer",
    "https://idp.example",
    "--audience",
    "https://api.example",
];

/// A key and its set in the folder.
fn keys(cofferdam: &Cofferdam, alg: &str) {
    let key = cofferdam.run(&["token", "key", "--alg", alg]);
    cofferdam.file("key.pem", &text(&key.stdout));
    let set = cofferdam.run(&["token", "jwks", "key.pem", "--alg", alg]);
    cofferdam.file("jwks.json", &text(&set.stdout));
}

#[test]
fn a_token_is_minted_and_verified() {
    for alg in ["ES256", "EdDSA", "PS256"] {
        let cofferdam = Cofferdam::new();
        keys(&cofferdam, alg);
        let mut mint = vec!["token", "mint", "--key", "key.pem", "--alg", alg];
        mint.extend(WHO);
        mint.extend([
            "--scope",
            "a",
            "--scope",
            "b",
            "--claim",
            "tenant=7",
            "--subject",
            "alice",
        ]);
        let token = text(&cofferdam.run(&mint).stdout);
        let mut verify = vec!["token", "verify", "--jwks", "jwks.json"];
        verify.extend(WHO);
        verify.extend(["--scope", "b", "--alg", alg]);
        let output = feed(&cofferdam, &verify, &token);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let principal: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(principal["subject"], "alice");
        assert_eq!(principal["issuer"], "https://idp.example");
        assert_eq!(principal["scopes"], json!(["a", "b"]));
        assert_eq!(principal["claims"]["tenant"], 7);

        verify.extend(["--scope", "c"]);
        let output = feed(&cofferdam, &verify, &token);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        assert!(text(&output.stderr).contains("(insufficient-scope)"));
    }
}

#[test]
fn every_known_attack_is_judged_as_stated() {
    let attacks = include_str!("../../tokens/token/tests/data/attacks.json");
    let attacks: Value = serde_json::from_str(attacks).unwrap();
    let cofferdam = Cofferdam::new();
    let now = attacks["now"].to_string();
    for (alg, jwk) in attacks["keys"].as_object().unwrap() {
        cofferdam.file(
            &format!("{alg}.json"),
            &json!({ "keys": [jwk] }).to_string(),
        );
    }
    for case in attacks["cases"].as_array().unwrap() {
        let alg = case["alg"].as_str().unwrap();
        let jwks = format!("{alg}.json");
        let args = [
            "token",
            "verify",
            "--jwks",
            &jwks,
            "--alg",
            alg,
            "--at",
            &now,
            "--issuer",
            attacks["iss"].as_str().unwrap(),
            "--audience",
            attacks["aud"].as_str().unwrap(),
        ];
        // As a shell writes it: one line end is no part of the token, and any more is.
        let line = format!("{}\n", case["token"].as_str().unwrap());
        let output = feed(&cofferdam, &args, &line);
        let expected = if case["want"] == "accept" { 0 } else { 1 };
        let said = text(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{}: {said}",
            case["id"]
        );
        assert_eq!(
            said.contains("warning: with an HMAC"),
            alg == "HS256",
            "{said}"
        );
        assert_eq!(said.contains("refused: "), expected == 1, "{said}");
    }
}

#[test]
fn a_svid_needs_no_issuer_and_is_of_the_trust_domain_whatever_the_profile_is_called() {
    let cofferdam = Cofferdam::new();
    keys(&cofferdam, "ES256");
    let who = ["--issuer", "spiffe://prod.example", "--audience", "api"];
    let mint = |subject: &str, more: &[&str]| {
        let mut args = vec!["token", "mint", "--key", "key.pem", "--subject", subject];
        args.extend(who);
        args.extend(["--header", r#"typ="JWT""#, "--claim", "client_id=null"]);
        args.extend(more);
        text(&cofferdam.run(&args).stdout)
    };
    let verify = |profile: &str, token: &str| {
        let mut args = vec!["token", "verify", "--jwks", "jwks.json"];
        args.extend(who);
        args.extend(["--profile", profile]);
        let output = feed(&cofferdam, &args, token);
        (output.status.code(), text(&output.stderr))
    };
    let svid = mint("spiffe://prod.example/ns/web", &["--claim", "iss=null"]);
    for profile in ["spiffe", "spiffe-jwt-svid"] {
        assert_eq!(verify(profile, &svid), (Some(0), String::new()));
    }
    let other = mint("spiffe://other.example/ns/web", &[]);
    let (code, said) = verify("spiffe", &other);
    assert_eq!(code, Some(1));
    assert!(said.contains("(claim-mismatch)"), "{said}");
}

#[test]
fn a_carriage_return_is_no_part_of_a_token() {
    let cofferdam = Cofferdam::new();
    keys(&cofferdam, "ES256");
    let mut mint = vec!["token", "mint", "--key", "key.pem"];
    mint.extend(WHO);
    let token = text(&cofferdam.run(&mint).stdout);
    let token = token.trim_end();
    let mut verify = vec!["token", "verify", "--jwks", "jwks.json"];
    verify.extend(WHO);
    for (end, code) in [("", 0), ("\n", 0), ("\r\n", 1), ("\r", 1), ("\n\n", 1)] {
        let output = feed(&cofferdam, &verify, &format!("{token}{end}"));
        assert_eq!(output.status.code(), Some(code), "{end:?}");
    }
}

#[test]
fn inspecting_believes_nothing() {
    let cofferdam = Cofferdam::new();
    // {"alg":"none"} and {"exp":0}, without a signature.
    let output = feed(
        &cofferdam,
        &["token", "inspect"],
        "eyJhbGciOiJub25lIn0.eyJleHAiOjB9.\n",
    );
    assert_eq!(output.status.code(), Some(0));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "verified": false, "header": { "alg": "none" }, "claims": { "exp": 0 },
        "signature_bytes": 0,
    });
    assert_eq!(shown, expected);
    let output = feed(&cofferdam, &["token", "inspect"], "opaque");
    assert_eq!(output.status.code(), Some(1));
    assert!(!text(&output.stderr).contains("opaque"));
}

#[test]
fn what_cannot_be_used_is_an_error_with_a_reason() {
    let cofferdam = Cofferdam::new();
    keys(&cofferdam, "ES256");
    cofferdam.file("bad.json", "{}");
    let verify = |jwks: &str, more: &[&str]| {
        let mut args = vec!["token", "verify", "--jwks", jwks];
        args.extend(WHO);
        args.extend(more);
        let output = feed(&cofferdam, &args, "x");
        (output.status.code(), text(&output.stderr))
    };
    let (code, said) = verify("missing.json", &[]);
    assert_eq!(code, Some(2));
    assert!(said.contains("`missing.json`"), "{said}");
    let (code, said) = verify("bad.json", &[]);
    assert_eq!(code, Some(2));
    assert!(said.contains("no array `keys`"), "{said}");
    for more in [
        ["--alg", "none"],
        ["--profile", "anything"],
        ["--scope", "a b"],
        ["--leeway", "301"],
    ] {
        assert_eq!(verify("jwks.json", &more).0, Some(2), "{more:?}");
    }
    let (code, said) = verify("jwks.json", &[]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("refused: ") && said.contains("(not-compact)"),
        "{said}"
    );
}
