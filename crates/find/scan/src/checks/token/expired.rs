//! An expired token is accepted.
//!
//! # What it finds
//! Operations that accept a token whose `exp` is an hour past.
//!
//! # Why it matters
//! The end of a token's life is what limits a theft: a token out of an old log, a backup or a
//! browser's history opens the service for ever.
//!
//! # How it is proved
//! With the issuer's key (`--signing-key`, or a secret that was guessed) the claims of an identity
//! are signed again as a control, which must be accepted, and once more with `exp` an hour ago. A
//! few minutes of leeway are allowed and not looked for. Without a key it is reported only where an
//! identity's own token has been past its end for more than five minutes and still opens something.
//!
//! # How to fix
//! Require `exp` and compare it with the clock on every request, with a leeway of at most a few
//! minutes.
//!
//! # References
//! - RFC 7519, section 4.1.4; RFC 9068, section 4
//! - CWE-613 Insufficient Session Expiration
//! - OWASP API2:2023 Broken Authentication

use crate::forge::{Answered, Case, Drive, Forge, negative};
use crate::{Context, Halt, Outcome};
use cofferdam_finding::{Confidence, Meta, Severity};
use serde_json::Value;

pub(crate) static META: Meta = Meta {
    id: "token.expired",
    title: "An expired token is accepted",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Require `exp` in every token and refuse the token once it is past, with a leeway \
                  of a few minutes at most.",
    cwe: &[613],
    owasp_api: Some("API2:2023"),
    attack: &["T1550.001"],
};

/// Seconds past its end for which an identity's own token is still no finding.
const LEEWAY: f64 = 300.0;

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let drive = Drive {
        meta: &META,
        does: [
            "operation accepts a token whose end is more than an hour past",
            "operations accept a token whose end is more than an hour past",
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
    let now = Forge::now();
    let own = case.token.claims.get("exp").and_then(Value::as_f64);
    if own.is_some_and(|exp| exp + LEEWAY < now as f64) && case.verifies(cx).await? {
        let shows = "the identity's own token, whose `exp` is past, is accepted";
        return case.own_hit(cx, shows).await;
    }
    case.try_negatives(cx, |control| {
        let label = "the same claims with `exp` an hour ago".to_owned();
        Ok(vec![(label, negative::expired(control, now))])
    })
    .await
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::Identity;
    use crate::forge::testing::{is_past, notes, refused, signed_claims, signing_key};
    use crate::testing::{Request, Sample, Samples, api, now, sign};
    use serde_json::json;

    let description = || api(json!({ "/notes": { "get": {} } }));
    let by = |accepts: fn(&Value) -> bool| {
        move |request: &Request| match request.bearer().and_then(signed_claims) {
            Some(claims) if accepts(&claims) => notes(),
            _ => refused(),
        }
    };
    let old = || {
        let claims = json!({ "sub": "alice", "iat": now() - 90_000, "exp": now() - 86_400 });
        vec![Identity::new("alice", sign(&claims))]
    };
    Samples::new()
        .flawed(
            Sample::new("the end is not looked at", description(), by(|_| true))
                .options(|options| options.signing_key = Some(signing_key()))
                .reports(["GET /notes"]),
        )
        .flawed(
            Sample::new("yesterday's token", description(), by(|_| true))
                .options(move |options| options.identities = old())
                .reports(["GET /notes"]),
        )
        .sound(
            Sample::new(
                "the end counts",
                description(),
                by(|claims| !is_past(claims, "exp")),
            )
            .options(|options| options.signing_key = Some(signing_key())),
        )
        .sound(
            Sample::new(
                "two minutes of leeway",
                description(),
                by(|claims| claims["exp"].as_u64().is_some_and(|exp| exp + 120 > now())),
            )
            .options(|options| options.signing_key = Some(signing_key())),
        )
        .sound(
            Sample::new("no key of the issuer's", description(), by(|_| true)).options(|options| {
                let other = json!({ "kty": "oct", "k": "b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA" });
                options.signing_key = Some(crate::Secret::new(other.to_string()));
            }),
        )
}
