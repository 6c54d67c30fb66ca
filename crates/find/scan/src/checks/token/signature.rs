//! The signature of a token is not verified.
//!
//! # What it finds
//! Operations that accept a token whose claims were changed after it was signed, or whose signature
//! was changed.
//!
//! # Why it matters
//! The claims say who the caller is and what it may do. Where nobody verifies that the issuer said
//! so, everyone who has seen one token writes any other: another user, another tenant, an
//! administrator.
//!
//! # How it is proved
//! A claim that means nothing is added to the token of an identity, and the old signature kept; the
//! token is sent where no token and a garbage one are refused. Then the signature's bytes are
//! changed, replaced by zeros where ECDSA is used, and made anew with a key that nobody knows. It is
//! reported where such a token is
//! answered like the valid one. When the answer names a subject that exists in the forged token
//! alone, that is kept as well.
//!
//! # How to fix
//! Verify the signature with the issuer's key before any claim is read, with a function that cannot
//! be told to skip it: not `decode`, `dangerous::insecure_decode` or `verify_signature: false`.
//!
//! # References
//! - RFC 7515, section 5.2 (message signature validation)
//! - RFC 8725, section 3.3 (validate all cryptographic operations)
//! - CVE-2022-21449 (a signature of zeros)
//! - CWE-347 Improper Verification of Cryptographic Signature
//! - OWASP API2:2023 Broken Authentication

use crate::forge::{Answered, Case, Drive, Recipe};
use crate::{Context, Halt, Outcome};
use cofferdam_finding::{Confidence, Meta, Severity, State};

pub(crate) static META: Meta = Meta {
    id: "token.signature",
    title: "The signature of a token is not verified",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Verify the signature of every token with the issuer's key before any claim is \
                  read, on every route.",
    cwe: &[347, 345],
    owasp_api: Some("API2:2023"),
    attack: &["T1550.001", "T1606"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let drive = Drive {
        meta: &META,
        does: [
            "operation accepts a token whose claims or signature were changed after it was signed",
            "operations accept a token whose claims or signature were changed after it was signed",
        ],
        none: Case::none(cx),
    };
    drive
        .run(
            cx,
            Case::all(cx),
            |case| try_one(cx, case),
            |finding, _| finding.grants([State::ForgedIdentity]),
        )
        .await
}

async fn try_one<'a>(cx: &'a Context, case: Case<'a>) -> Result<Answered<'a>, Halt> {
    if case.takes_anything(cx).await? {
        return Ok(Answered::Subsumed);
    }
    let mut recipes = vec![Recipe::tampered(), Recipe::broken_signature()];
    if case.token.algorithm().starts_with("ES") {
        recipes.push(Recipe::zeros());
    }
    // A key of the same kind under the same `kid`: only the key is wrong.
    if let Some(key) = cx.forge().fresh(case.token.algorithm()) {
        recipes.push(Recipe::signed("signed with a key that nobody knows", key));
    }
    case.try_recipes(cx, &recipes).await
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::Identity;
    use crate::forge::testing::{TestIssuer, claims_of, notes, refused, whoami};
    use crate::testing::{Request, Sample, Samples, api, verify};
    use serde_json::json;
    use std::sync::Arc;

    let description = || api(json!({ "/notes": { "get": {} }, "/whoami": { "get": {} } }));
    // A service whose verifier lets r = s = 0 pass.
    let zeros = || {
        let issuer = Arc::new(TestIssuer::new("ES256"));
        let known = Arc::clone(&issuer);
        Sample::new(
            "zeros",
            api(json!({ "/notes": { "get": {} } })),
            move |request: &Request| {
                let token = request.bearer().unwrap_or_default();
                let zeros = token.ends_with(&format!(".{}", "A".repeat(86)));
                match known
                    .verify(token)
                    .or(zeros.then(|| claims_of(token)).flatten())
                {
                    Some(_) => notes(),
                    None => refused(),
                }
            },
        )
        .options(move |options| {
            options.identities = vec![Identity::new("alice", issuer.token_of("alice"))];
        })
    };
    Samples::new()
        .flawed(
            Sample::new(
                "decoded, not verified",
                description(),
                |request: &Request| match request.bearer().and_then(claims_of) {
                    Some(claims) if request.path() == "/whoami" => whoami(&claims),
                    Some(_) => notes(),
                    None => refused(),
                },
            )
            .reports(["GET /notes", "GET /whoami"]),
        )
        .flawed(
            Sample::new("one route forgotten", description(), |request: &Request| {
                let token = request.bearer().unwrap_or_default();
                match (request.path(), verify(token), claims_of(token)) {
                    ("/whoami", _, Some(claims)) => whoami(&claims),
                    ("/notes", Some(_), _) => notes(),
                    _ => refused(),
                }
            })
            .reports(["GET /whoami"]),
        )
        .flawed(zeros().reports(["GET /notes"]))
        .sound(Sample::new(
            "verified",
            description(),
            |request: &Request| match request.bearer().and_then(verify) {
                Some(claims) if request.path() == "/whoami" => whoami(&claims),
                Some(_) => notes(),
                None => refused(),
            },
        ))
        .sound(Sample::new("public", description(), |_: &Request| notes()))
        .sound(Sample::new(
            "a refusal that is a 200",
            description(),
            |request: &Request| match request.bearer().and_then(verify) {
                Some(_) => notes(),
                None => crate::testing::Response::json(
                    200,
                    json!({ "status": "fail", "message": "invalid token" }),
                ),
            },
        ))
}
