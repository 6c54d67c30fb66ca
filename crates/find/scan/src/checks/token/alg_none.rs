//! A token with `alg: none` is accepted.
//!
//! # What it finds
//! Operations that refuse a token with a wrong signature and accept one whose header says that it
//! needs none, in one of the spellings `none`, `None`, `NONE`, `nOnE`, with or without something in
//! the place of the signature.
//!
//! # Why it matters
//! The token itself tells the verifier not to verify it, so everyone writes any claims. Lists of
//! forbidden algorithms miss a spelling; lists of allowed ones do not.
//!
//! # How it is proved
//! First a token with changed claims under the old signature must be refused. Then the same changed
//! claims are sent under each such header. It is reported where one is answered like the valid
//! token.
//!
//! # How to fix
//! Fix the algorithm with the key, on the server's side, and refuse a token whose header names
//! another. Never take the algorithm from the token.
//!
//! # References
//! - RFC 7518, section 3.6 (`none`), RFC 8725, section 3.1 and RFC 9068, section 4
//! - CVE-2015-9235
//! - CWE-347 Improper Verification of Cryptographic Signature
//! - CWE-757 Selection of Less-Secure Algorithm During Negotiation
//! - OWASP API2:2023 Broken Authentication

use crate::forge::{Answered, Case, Drive, Recipe};
use crate::{Context, Halt, Outcome};
use cofferdam_finding::{Confidence, Meta, Severity, State};

pub(crate) static META: Meta = Meta {
    id: "token.alg-none",
    title: "A token with `alg: none` is accepted",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Allow the one algorithm that belongs to the key, compared exactly, and refuse a \
                  token that names any other.",
    cwe: &[347, 757],
    owasp_api: Some("API2:2023"),
    attack: &["T1550.001", "T1606"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let drive = Drive {
        meta: &META,
        does: [
            "operation refuses a wrong signature and accepts a token that says it needs none",
            "operations refuse a wrong signature and accept a token that says it needs none",
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
    if !case.verifies(cx).await? || case.takes_unsigned(cx).await? {
        return Ok(Answered::Subsumed);
    }
    case.try_recipes(cx, &Recipe::alg_none()).await
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::forge::testing::{claims_of, header_of, notes, refused};
    use crate::testing::{Request, Sample, Samples, api, verify};
    use serde_json::{Value, json};

    let description = || api(json!({ "/notes": { "get": {} } }));
    let by = |accepts: fn(&str) -> bool| {
        move |request: &Request| {
            let token = request.bearer().unwrap_or_default();
            let header = header_of(token).unwrap_or_default();
            let claims = match header.get("alg").and_then(Value::as_str) {
                Some(alg) if accepts(alg) => claims_of(token),
                _ => verify(token),
            };
            claims.map_or_else(refused, |_| notes())
        }
    };
    Samples::new()
        .flawed(
            Sample::new("as the header says", description(), by(|alg| alg == "none"))
                .reports(["GET /notes"]),
        )
        .flawed(
            Sample::new(
                "one spelling forbidden",
                description(),
                by(|alg| alg != "none" && alg.eq_ignore_ascii_case("none")),
            )
            .reports(["GET /notes"]),
        )
        .sound(Sample::new("verified", description(), by(|_| false)))
        .sound(Sample::new(
            "nothing verified, which is another cause",
            description(),
            by(|_| true),
        ))
}
