//! A scope is looked for inside other words.
//!
//! # What it finds
//! Operations that refuse a token without the needed scope, and accept one whose scopes only
//! *contain* it: `x:containers:read-ro` where `containers:read` is needed.
//!
//! # Why it matters
//! Scopes are names that somebody gives. Where `contains`, `starts_with` or `ends_with` compares
//! them, a harmless scope whose name happens to hold a powerful one is that powerful one; and who may
//! register a scope or a client chooses the name.
//!
//! # How it is proved
//! With the issuer's key (`--signing-key`, or a secret that was guessed) the claims of an identity
//! are signed again as a control, which must be accepted; then with a scope that nothing asks for,
//! which must be refused, so that scopes count here; then with each of the identity's scopes
//! between a prefix and a suffix, behind the prefix, and before the suffix. It is reported where one
//! of the last three is answered like the control.
//!
//! # How to fix
//! Split `scope` at its spaces and compare whole words.
//!
//! # References
//! - RFC 6749, section 3.3 (`scope` is a list of space-delimited, case-sensitive strings)
//! - CWE-863 Incorrect Authorization
//! - CWE-697 Incorrect Comparison
//! - OWASP API5:2023 Broken Function Level Authorization

use crate::forge::{Answered, Case, Drive, negative};
use crate::{Context, Halt, Outcome, Reach, Verdict};
use cofferdam_finding::{Confidence, Meta, Severity, State};

pub(crate) static META: Meta = Meta {
    id: "token.scope-substring",
    title: "A scope is looked for inside other words",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Split the token's scopes at the spaces and compare each, as a whole word, with \
                  the one that is needed.",
    cwe: &[863, 697],
    owasp_api: Some("API5:2023"),
    attack: &["T1550.001"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let drive = Drive {
        meta: &META,
        does: [
            "operation takes a scope that only contains the needed one for it",
            "operations take a scope that only contains the needed one for it",
        ],
        none: Case::none(cx),
    };
    drive
        .run(
            cx,
            Case::all(cx),
            |case| try_one(cx, case),
            |finding, operations| {
                let admin = operations.iter().any(|op| op.reaches(Reach::Admin));
                finding.grants(admin.then_some(State::Admin))
            },
        )
        .await
}

async fn try_one<'a>(cx: &'a Context, case: Case<'a>) -> Result<Answered<'a>, Halt> {
    if !case.verifies(cx).await? {
        return Ok(Answered::Subsumed);
    }
    if !case.is_welcome(cx) {
        return Ok(Answered::Unclear(
            "it gives nobody what is asked for".to_owned(),
        ));
    }
    let control = cx.forge().control(cx, &case).await?;
    let without = match control.as_ref() {
        Ok(control) => {
            negative::other_scope(&control.claims, &cx.forge().marker).and_then(|claims| {
                control
                    .recipe("the same claims with another scope")
                    .forge(&claims)
            })
        }
        Err(reason) => return Ok(Answered::Unclear(reason.clone())),
    };
    let Some(without) = without else {
        return Ok(Answered::Unclear("the tokens carry no scopes".to_owned()));
    };
    let (verdict, refusal) = case.ask(cx, &without).await?;
    let refusal = match (verdict, refusal) {
        (Verdict::Refused, Some(refusal)) => refusal,
        (Verdict::Unclear(reason), _) => return Ok(Answered::Unclear(reason)),
        _ => return Ok(Answered::Unclear("it asks for no scope".to_owned())),
    };
    let answered = case
        .try_negatives(cx, |control| {
            Ok(negative::scopes_as_substrings(control)
                .into_iter()
                .map(|(shape, claims)| (format!("the same claims, {shape} of the scopes"), claims))
                .collect())
        })
        .await?;
    Ok(match answered {
        Answered::Accepted(mut hit) => {
            let shows = "refused: the same claims with another scope";
            let last = hit.pieces.len().saturating_sub(1);
            hit.pieces.insert(last, cx.evidence(shows, &refusal));
            Answered::Accepted(hit)
        }
        other => other,
    })
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::forge::testing::{forbidden, notes, refused, signing_key};
    use crate::testing::{Request, Sample, Samples, api, verify};
    use serde_json::json;

    let sample = |name, allows: fn(&str) -> bool| {
        let description = api(json!({ "/notes": { "get": {} } }));
        Sample::new(name, description, move |request: &Request| {
            match request.bearer().and_then(verify) {
                Some(claims) if allows(claims["scope"].as_str().unwrap_or_default()) => notes(),
                Some(_) => forbidden(),
                None => refused(),
            }
        })
        .options(|options| options.signing_key = Some(signing_key()))
    };
    Samples::new()
        .flawed(sample("contains", |scope| scope.contains("read")).reports(["GET /notes"]))
        .flawed(
            sample("starts with", |scope| {
                scope.split(' ').any(|scope| scope.starts_with("read"))
            })
            .reports(["GET /notes"]),
        )
        .flawed(
            sample("ends with", |scope| {
                scope.split(' ').any(|scope| scope.ends_with("read"))
            })
            .reports(["GET /notes"]),
        )
        .sound(sample("whole words", |scope| {
            scope.split(' ').any(|scope| scope == "read")
        }))
        .sound(sample("no scopes here", |_| true))
}
