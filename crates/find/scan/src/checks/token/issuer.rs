//! A token from another issuer is accepted.
//!
//! # What it finds
//! Operations that accept a token whose `iss` names another issuer, under the same key.
//!
//! # Why it matters
//! Issuers of one product share keys more often than one thinks: tenants of one identity provider,
//! a staging and a production realm, a rotated name. Where `iss` is not compared exactly, who
//! controls one of them writes tokens for the others.
//!
//! # How it is proved
//! With the issuer's key (`--signing-key`, or a secret that was guessed) the claims of an identity
//! are signed again as a control, which must be accepted, and once more with an `iss` that nobody
//! has. It is reported where the second is answered like the first. Where the identity's token
//! names no issuer, nothing is said.
//!
//! # How to fix
//! Compare `iss` with the configured issuer, character by character, and use only the keys of that
//! issuer.
//!
//! # References
//! - RFC 8725, section 3.8; RFC 9068, section 4
//! - CVE-2024-53861 (an issuer compared as a part of a text)
//! - CWE-345 Insufficient Verification of Data Authenticity
//! - OWASP API2:2023 Broken Authentication

use crate::forge::{Answered, Case, Drive, negative};
use crate::{Context, Halt, Outcome};
use cofferdam_finding::{Confidence, Meta, Severity};

pub(crate) static META: Meta = Meta {
    id: "token.issuer",
    title: "A token from another issuer is accepted",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Compare `iss` exactly with the configured issuer and use that issuer's keys alone.",
    cwe: &[345, 346],
    owasp_api: Some("API2:2023"),
    attack: &["T1550.001"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let drive = Drive {
        meta: &META,
        does: [
            "operation accepts a token that names another issuer",
            "operations accept a token that names another issuer",
        ],
        none: Case::none(cx),
    };
    drive
        .run(
            cx,
            Case::all(cx),
            |case| try_one(cx, case),
            |finding, _| finding,
        )
        .await
}

async fn try_one<'a>(cx: &'a Context, case: Case<'a>) -> Result<Answered<'a>, Halt> {
    let marker = &cx.forge().marker;
    case.try_negatives(cx, |control| {
        let other = negative::other_issuer(control, marker)
            .ok_or_else(|| "the tokens name no issuer".to_owned())?;
        Ok(vec![(
            "the same claims with another `iss`".to_owned(),
            other,
        )])
    })
    .await
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::Identity;
    use crate::forge::testing::{notes, refused, signed_claims, signing_key};
    use crate::testing::{Request, Sample, Samples, api, now, sign};
    use serde_json::{Value, json};

    let sample = |name, accepts: fn(&Value) -> bool| {
        let description = api(json!({ "/notes": { "get": {} } }));
        Sample::new(name, description, move |request: &Request| {
            match request.bearer().and_then(signed_claims) {
                Some(claims) if accepts(&claims["iss"]) => notes(),
                _ => refused(),
            }
        })
        .options(|options| options.signing_key = Some(signing_key()))
    };
    Samples::new()
        .flawed(sample("not looked at", |_| true).reports(["GET /notes"]))
        .flawed(
            sample("any https issuer", |iss| {
                iss.as_str().is_some_and(|iss| iss.starts_with("https://"))
            })
            .reports(["GET /notes"]),
        )
        .sound(sample("compared", |iss| iss == "https://issuer.example"))
        .sound(
            sample("tokens without an issuer", |_| true).options(|options| {
                let claims = json!({ "sub": "alice", "exp": now() + 3600 });
                options.identities = vec![Identity::new("alice", sign(&claims))];
                options.signing_key = Some(signing_key());
            }),
        )
}
