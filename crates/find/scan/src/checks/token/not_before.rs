//! A token is accepted before its time.
//!
//! # What it finds
//! Operations that accept a token whose `nbf` lies an hour ahead.
//!
//! # Why it matters
//! An issuer that writes `nbf` hands a token out in advance: for a maintenance window, for a job of
//! tomorrow. Where it is not looked at, the window is open from now on.
//!
//! # How it is proved
//! With the issuer's key (`--signing-key`, or a secret that was guessed) the claims of an identity
//! are signed again as a control, which must be accepted, and once more with `nbf` in an hour. It is
//! reported where the second is answered like the first.
//!
//! # How to fix
//! Compare `nbf`, where it is present, with the clock on every request. Some libraries leave this
//! check off unless they are told.
//!
//! # References
//! - RFC 7519, section 4.1.5
//! - CWE-613 Insufficient Session Expiration
//! - OWASP API2:2023 Broken Authentication

use crate::forge::{Answered, Case, Drive, Forge, negative};
use crate::{Context, Halt, Outcome};
use cofferdam_finding::{Confidence, Meta, Severity};

pub(crate) static META: Meta = Meta {
    id: "token.not-before",
    title: "A token is accepted before its time",
    severity: Severity::Medium,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Refuse a token whose `nbf` lies ahead, with a leeway of a few minutes at most.",
    cwe: &[613],
    owasp_api: Some("API2:2023"),
    attack: &["T1550.001"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let drive = Drive {
        meta: &META,
        does: [
            "operation accepts a token that is valid only in an hour",
            "operations accept a token that is valid only in an hour",
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
    case.try_negatives(cx, |control| {
        let label = "the same claims with `nbf` in an hour".to_owned();
        Ok(vec![(
            label,
            negative::not_yet_valid(control, Forge::now()),
        )])
    })
    .await
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::forge::testing::{is_past, notes, refused, signed_claims, signing_key};
    use crate::testing::{Request, Sample, Samples, api};
    use serde_json::{Value, json};

    let sample = |name, accepts: fn(&Value) -> bool| {
        let description = api(json!({ "/notes": { "get": {} } }));
        Sample::new(name, description, move |request: &Request| {
            match request.bearer().and_then(signed_claims) {
                Some(claims) if accepts(&claims) => notes(),
                _ => refused(),
            }
        })
        .options(|options| options.signing_key = Some(signing_key()))
    };
    Samples::new()
        .flawed(
            sample("the beginning is not looked at", |claims| {
                !is_past(claims, "exp")
            })
            .reports(["GET /notes"]),
        )
        .sound(sample("the beginning counts", |claims| {
            !is_past(claims, "exp") && (claims["nbf"].is_null() || is_past(claims, "nbf"))
        }))
}
