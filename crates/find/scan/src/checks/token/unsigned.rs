//! A token without a signature is accepted.
//!
//! # What it finds
//! Operations that refuse a token with a wrong signature and accept one with none: the part after
//! the second dot is empty, or it is missing together with the dot.
//!
//! # Why it matters
//! The verifier has a way around itself: whoever leaves the signature out writes any claims.
//!
//! # How it is proved
//! First a token with changed claims under the old signature must be refused. Then the same changed
//! claims are sent with an empty signature part, and with two parts in place of three. It is
//! reported where one of these is answered like the valid token.
//!
//! # How to fix
//! Parse exactly three non-empty parts, and have one path through the verifier that ends in an
//! error unless a signature was verified.
//!
//! # References
//! - RFC 7515, section 7.1 (compact serialization)
//! - RFC 9068, section 4 (an access token must be signed)
//! - CWE-347 Improper Verification of Cryptographic Signature
//! - OWASP API2:2023 Broken Authentication

use crate::forge::{Answered, Case, Drive, Recipe};
use crate::{Context, Halt, Outcome};
use cofferdam_finding::{Confidence, Meta, Severity, State};

pub(crate) static META: Meta = Meta {
    id: "token.unsigned",
    title: "A token without a signature is accepted",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Refuse every token that does not consist of three non-empty parts, and let no \
                  path through the verifier end without a verified signature.",
    cwe: &[347],
    owasp_api: Some("API2:2023"),
    attack: &["T1550.001", "T1606"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let drive = Drive {
        meta: &META,
        does: [
            "operation refuses a wrong signature and accepts a token without one",
            "operations refuse a wrong signature and accept a token without one",
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
    if !case.verifies(cx).await? {
        return Ok(Answered::Subsumed);
    }
    case.try_recipes(cx, &Recipe::unsigned()).await
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::forge::testing::{claims_of, notes, refused};
    use crate::testing::{Request, Sample, Samples, api, verify};
    use serde_json::json;

    let description = || api(json!({ "/notes": { "get": {} } }));
    Samples::new()
        .flawed(
            Sample::new("no part, no check", description(), |request: &Request| {
                let token = request.bearer().unwrap_or_default();
                let claims = match token.split('.').count() {
                    2 => claims_of(&format!("{token}.")),
                    _ => verify(token),
                };
                claims.map_or_else(refused, |_| notes())
            })
            .reports(["GET /notes"]),
        )
        .flawed(
            Sample::new(
                "an empty part, no check",
                description(),
                |request: &Request| {
                    let token = request.bearer().unwrap_or_default();
                    let claims = match token.ends_with('.') {
                        true => claims_of(token),
                        false => verify(token),
                    };
                    claims.map_or_else(refused, |_| notes())
                },
            )
            .reports(["GET /notes"]),
        )
        .sound(Sample::new(
            "verified",
            description(),
            |request: &Request| match request.bearer().and_then(verify) {
                Some(_) => notes(),
                None => refused(),
            },
        ))
        .sound(Sample::new(
            "nothing verified, which is another cause",
            description(),
            |request: &Request| match request.bearer().and_then(claims_of) {
                Some(_) => notes(),
                None => refused(),
            },
        ))
}
