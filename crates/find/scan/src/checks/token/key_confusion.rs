//! A token chooses the key that it is verified with.
//!
//! # What it finds
//! Operations whose verifier takes the issuer's *public* key for an HMAC secret when the header says
//! HS256; or takes the key out of the token's own header (`jwk`); or looks the key up by a `kid`
//! that the token turns into an empty file or into a value of its own.
//!
//! # Why it matters
//! The public key is known to everyone, and the header is written by the sender. Either way
//! everybody can sign, as anyone.
//!
//! # How it is proved
//! First a token with changed claims under the old signature must be refused. Then the changed
//! claims are signed with HS256 and each form in which a server may hold its public key: PEM and
//! DER, SPKI and PKCS#1, with and without a last newline, the JWK and its number; then with a fresh
//! key that is embedded in the header; then under a `kid` that is a path or an SQL fragment. The
//! public keys are those of `--jwks`, the public half of `--signing-key`, and those that the target
//! itself publishes. It is reported where one of these is answered like the valid token.
//!
//! # How to fix
//! Bind each key to one algorithm when it is loaded, and compare the header's `alg` with it. Use
//! `kid` only as an index into the keys that are already trusted; ignore `jwk`, `jku`, `x5u`, `x5c`.
//!
//! # References
//! - RFC 8725, sections 2.1, 3.1 and 3.10
//! - CVE-2015-9235, CVE-2016-5431, CVE-2018-0114, CVE-2023-48223
//! - CWE-347 Improper Verification of Cryptographic Signature
//! - CWE-327 Use of a Broken or Risky Cryptographic Algorithm
//! - OWASP API2:2023 Broken Authentication

use crate::forge::public_key::PublicKey;
use crate::forge::{Answered, Case, Drive, confusion};
use crate::{Context, Halt, Outcome};
use cofferdam_finding::{Confidence, Meta, Severity, State};
use serde_json::Value;

pub(crate) static META: Meta = Meta {
    id: "token.key-confusion",
    title: "A token chooses the key that it is verified with",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Bind each key to one algorithm when it is loaded; take neither the algorithm nor \
                  the key from the token, and use `kid` only as an index into trusted keys.",
    cwe: &[347, 327],
    owasp_api: Some("API2:2023"),
    attack: &["T1550.001", "T1606"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let cases = Case::all(cx);
    let asymmetric = |case: &Case<'_>| !case.token.algorithm().starts_with("HS");
    let keys: &[PublicKey] = if cases.iter().any(asymmetric) {
        cx.forge().public_keys(cx).await?
    } else {
        &[]
    };
    let no_key = keys.is_empty() && cases.iter().any(asymmetric);
    let drive = Drive {
        meta: &META,
        does: [
            "operation accepts a token that was signed with a key of the sender's choice",
            "operations accept a token that was signed with a key of the sender's choice",
        ],
        none: Case::none(cx),
    };
    let mut outcome = drive
        .run(
            cx,
            cases,
            |case| try_one(cx, case, keys),
            |finding, _| finding.grants([State::ForgedIdentity]),
        )
        .await?;
    if no_key && outcome.untested.is_none() {
        outcome.untested =
            Some("the public key as a secret: no public key is known (--jwks names it)".to_owned());
    }
    Ok(outcome)
}

async fn try_one<'a>(
    cx: &'a Context,
    case: Case<'a>,
    keys: &[PublicKey],
) -> Result<Answered<'a>, Halt> {
    if !case.verifies(cx).await? {
        return Ok(Answered::Subsumed);
    }
    let algorithm = case.token.algorithm();
    let mut recipes = Vec::new();
    if !algorithm.starts_with("HS") {
        let kid = case.token.header.get("kid").and_then(Value::as_str);
        // The key that signed this token first; without a `kid`, the first that there are.
        let mut keys: Vec<&PublicKey> = keys.iter().collect();
        keys.sort_by_key(|key| key.kid.as_deref() != kid);
        for key in keys.into_iter().take(2) {
            recipes.extend(confusion::public_key_as_secret(key));
        }
    }
    let fresh = cx.forge().fresh(algorithm);
    recipes.extend(confusion::chosen_by_token(algorithm, fresh.as_ref()));
    case.try_recipes(cx, &recipes).await
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::Identity;
    use crate::forge::signing_key::SigningKey;
    use crate::forge::testing::{TestIssuer, claims_of, header_of, notes, refused, verified_by};
    use crate::testing::{Request, Response, Sample, Samples, api, verify};
    use serde_json::json;
    use std::sync::Arc;

    let description = || api(json!({ "/notes": { "get": {} } }));
    // A service whose tokens are signed with `algorithm`, and which verifies HS256 with the public
    // key in the form with this number. It publishes its keys, as issuers do.
    let confused = |name, algorithm: &'static str, form: Option<usize>| {
        let issuer = Arc::new(TestIssuer::new(algorithm));
        let known = Arc::clone(&issuer);
        Sample::new(name, description(), move |request: &Request| {
            if request.path() == "/.well-known/jwks.json" {
                return Response::json(200, known.jwks());
            }
            let token = request.bearer().unwrap_or_default();
            let header = header_of(token).unwrap_or_default();
            let claims = match (header.get("alg").and_then(Value::as_str), form) {
                (Some("HS256"), Some(form)) => {
                    let (_, secret) = known.public().as_secrets().remove(form);
                    TestIssuer::with_key("HS256", SigningKey::hmac(secret)).verify(token)
                }
                _ => known.verify(token),
            };
            claims.map_or_else(refused, |_| notes())
        })
        .options(move |options| {
            options.identities = ["alice", "bob"]
                .map(|name| Identity::new(name, issuer.token_of(name)))
                .to_vec();
        })
    };
    // A service that verifies with the key in the header, where there is one.
    let embedded = || {
        let issuer = Arc::new(TestIssuer::new("ES256"));
        let known = Arc::clone(&issuer);
        Sample::new(
            "the embedded key",
            description(),
            move |request: &Request| {
                let token = request.bearer().unwrap_or_default();
                let header = header_of(token).unwrap_or_default();
                let claims = match header.get("jwk") {
                    Some(jwk) => PublicKey::from_jwk(jwk)
                        .filter(|key| verified_by(key, token))
                        .and_then(|_| claims_of(token)),
                    None => known.verify(token),
                };
                claims.map_or_else(refused, |_| notes())
            },
        )
        .options(move |options| {
            options.identities = vec![Identity::new("alice", issuer.token_of("alice"))];
        })
    };
    Samples::new()
        .flawed(confused("RS256, PEM", "RS256", Some(0)).reports(["GET /notes"]))
        .flawed(confused("RS256, PKCS#1 DER", "RS256", Some(5)).reports(["GET /notes"]))
        .flawed(confused("EdDSA, the JWK's number", "EdDSA", Some(3)).reports(["GET /notes"]))
        .flawed(
            Sample::new("the key's path", description(), |request: &Request| {
                let token = request.bearer().unwrap_or_default();
                let header = header_of(token).unwrap_or_default();
                let claims = match header.get("kid").and_then(Value::as_str) {
                    Some(path) if path.contains("/dev/null") => {
                        TestIssuer::with_key("HS256", SigningKey::hmac(*b"")).verify(token)
                    }
                    _ => verify(token),
                };
                claims.map_or_else(refused, |_| notes())
            })
            .reports(["GET /notes"]),
        )
        .flawed(embedded().reports(["GET /notes"]))
        .sound(confused("ES256, bound to its key", "ES256", None))
        .sound(Sample::new(
            "HS256 alone",
            description(),
            |request: &Request| match request.bearer().and_then(verify) {
                Some(_) => notes(),
                None => refused(),
            },
        ))
        .sound(
            Sample::new("opaque", description(), |request: &Request| {
                match request.bearer() {
                    Some("q8Zt2vXn5Lk9pRw3sYc7Hd1Gb6Je4Mf0") => notes(),
                    _ => refused(),
                }
            })
            .options(|options| {
                options.identities =
                    vec![Identity::new("alice", "q8Zt2vXn5Lk9pRw3sYc7Hd1Gb6Je4Mf0")];
            }),
        )
}
