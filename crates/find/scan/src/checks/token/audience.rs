//! A token for another service is accepted.
//!
//! # What it finds
//! Operations that accept a token whose `aud` names another service alone.
//!
//! # Why it matters
//! One issuer serves many services. Where the audience is not looked at, the weakest of them holds
//! the keys to all: whoever gets a token there, or runs it, uses the token here.
//!
//! # How it is proved
//! With the issuer's key (`--signing-key`, or a secret that was guessed) the claims of an identity
//! are signed again as a control, which must be accepted, and once more with an `aud` that nobody
//! has, in the same form (text or list). It is reported where the second is answered like the
//! first. Where the identity's token names no audience, nothing is said.
//!
//! # How to fix
//! Configure the service's own audience and refuse every token that does not name it. Several
//! libraries skip the check when no audience is configured.
//!
//! # References
//! - RFC 7519, section 4.1.3; RFC 9068, section 4; RFC 9700, section 2.3
//! - CVE-2025-62610
//! - CWE-345 Insufficient Verification of Data Authenticity
//! - CWE-863 Incorrect Authorization
//! - OWASP API2:2023 Broken Authentication

use crate::forge::{Answered, Case, Drive, negative};
use crate::{Context, Halt, Outcome};
use cofferdam_finding::{Confidence, Meta, Severity};

pub(crate) static META: Meta = Meta {
    id: "token.audience",
    title: "A token for another service is accepted",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Refuse every token whose `aud` does not name this service, and every token \
                  without `aud`, on every request.",
    cwe: &[345, 863],
    owasp_api: Some("API2:2023"),
    attack: &["T1550.001"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let drive = Drive {
        meta: &META,
        does: [
            "operation accepts a token that was made for another service",
            "operations accept a token that was made for another service",
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
        let other = negative::other_audience(control, marker)
            .ok_or_else(|| "the tokens name no audience".to_owned())?;
        Ok(vec![(
            "the same claims with another `aud`".to_owned(),
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

    let sample = |name, aud: Value, accepts: fn(&Value) -> bool| {
        let description = api(json!({ "/notes": { "get": {} } }));
        Sample::new(name, description, move |request: &Request| {
            match request.bearer().and_then(signed_claims) {
                Some(claims) if accepts(&claims["aud"]) => notes(),
                _ => refused(),
            }
        })
        .options(move |options| {
            let mut claims = json!({ "sub": "alice", "exp": now() + 3600 });
            if !aud.is_null() {
                claims["aud"] = aud;
            }
            options.identities = vec![Identity::new("alice", sign(&claims))];
            options.signing_key = Some(signing_key());
        })
    };
    let names = |aud: &Value| match aud {
        Value::Array(list) => list.iter().any(|one| one == "sample"),
        one => one == "sample",
    };
    Samples::new()
        .flawed(sample("not looked at", json!("sample"), |_| true).reports(["GET /notes"]))
        .flawed(
            sample("any audience will do", json!(["sample"]), |aud| {
                !aud.is_null()
            })
            .reports(["GET /notes"]),
        )
        .sound(sample("compared", json!("sample"), names))
        .sound(sample("one of a list", json!(["other", "sample"]), names))
        .sound(sample("none at all", Value::Null, |_| true))
}
