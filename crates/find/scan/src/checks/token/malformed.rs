//! A value that is no token is accepted in place of one.
//!
//! # What it finds
//! Operations that refuse a request without a token, and let one in whose `Authorization` field
//! carries something that no issuer ever made: random characters, three parts with dots that decode
//! to nothing, a very long run of letters.
//!
//! # Why it matters
//! The service only looks whether a token is there, or how it looks (its length, its dots), so
//! everyone who knows that holds a token. Whatever the token guards is open.
//!
//! # How it is proved
//! The request that a valid identity makes is sent without a token, with random characters, and
//! with other malformed values. It is reported where no token is refused and a malformed one is
//! answered like the valid one. An operation that answers anyone is public and not reported here.
//!
//! # How to fix
//! Verify the token before anything else is done with the request: parse it strictly, verify its
//! signature against the issuer's keys, then its claims. `cofferdam-guard` does so before routing.
//!
//! # References
//! - RFC 6750, section 3.1 (`invalid_token`)
//! - RFC 8725, section 3 (best current practices for JWT)
//! - CWE-287 Improper Authentication
//! - OWASP API2:2023 Broken Authentication

use crate::forge::{Answered, Drive, Hit};
use crate::{Auth, Context, Halt, Operation, Outcome, Protection};
use cofferdam_finding::{Confidence, Meta, Severity, State};

pub(crate) static META: Meta = Meta {
    id: "token.malformed",
    title: "A value that is no token is accepted",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Verify the signature and the claims of every token before the request is routed; \
                  do not judge a token by its length or its dots.",
    cwe: &[287],
    owasp_api: Some("API2:2023"),
    attack: &["T1190"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let operations: Vec<&Operation> = cx
        .operations()
        .iter()
        .filter(|operation| cx.may_send(operation) && !cx.baseline(operation).accepted().is_empty())
        .collect();
    let answers = cx
        .each(operations, |operation| try_one(cx, operation))
        .await?;
    let drive = Drive {
        meta: &META,
        does: [
            "operation refuses a request without a token and accepts one with a value that no \
             issuer made",
            "operations refuse a request without a token and accept one with a value that no \
             issuer made",
        ],
        none: "no operation refuses a missing token and accepts a valid one".to_owned(),
    };
    Ok(drive.sum_up(cx, answers, |finding, _| {
        finding.from(State::Outside).grants([State::ForgedIdentity])
    }))
}

async fn try_one<'a>(cx: &'a Context, operation: &'a Operation) -> Result<Answered<'a>, Halt> {
    let baseline = cx.baseline(operation);
    let Some(who) = baseline.accepted().first().copied() else {
        return Ok(Answered::Unclear("nobody was let in".to_owned()));
    };
    let accepted = match &baseline.protection {
        Protection::AnyToken(_) => baseline.garbage.as_ref().map(|garbage| {
            cx.evidence(
                "random characters in place of a token are accepted",
                garbage,
            )
        }),
        _ => cx
            .forge()
            .malformed(cx, operation, who)
            .await?
            .map(|malformed| {
                let shows = format!("{} in place of a token is accepted", malformed.label);
                cx.evidence(shows, &malformed.exchange)
            }),
    };
    let Some(accepted) = accepted else {
        return Ok(Answered::Refused);
    };
    // A public operation that had a bad moment when it was asked without a token looks the same.
    if let Some(request) = cx.request(operation, who) {
        let again = cx.send_fresh(request.with_auth(Auth::None)).await?;
        if cx.welcome(&again) {
            let reason = "a request without a token was refused before and is not any more";
            return Ok(Answered::Unclear(reason.to_owned()));
        }
    }
    let mut pieces = Vec::new();
    if let Some(exchange) = &baseline.anonymous {
        pieces.push(cx.evidence("a request without a token is refused", exchange));
    }
    pieces.push(accepted);
    Ok(Answered::Accepted(Hit::new(cx, operation, who, pieces)))
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::testing::{Request, Response, Sample, Samples, api};
    use serde_json::json;

    let description = || api(json!({ "/notes": { "get": {} } }));
    let notes = || Response::json(200, json!({ "notes": [{ "id": "n-1", "text": "milk" }] }));
    let refused = || Response::json(401, json!({ "error": "invalid token" }));
    Samples::new()
        .flawed(
            Sample::new(
                "by length and dots",
                description(),
                move |request: &Request| match request.bearer() {
                    Some(token) if token.len() > 20 && token.contains('.') => notes(),
                    _ => refused(),
                },
            )
            .reports(["GET /notes"]),
        )
        .flawed(
            Sample::new(
                "any value",
                description(),
                move |request: &Request| match request.bearer() {
                    Some(_) => notes(),
                    None => refused(),
                },
            )
            .reports(["GET /notes"]),
        )
        .sound(Sample::new(
            "verified",
            description(),
            move |request: &Request| match request.subject() {
                Some(_) => notes(),
                None => refused(),
            },
        ))
        .sound(Sample::new("public", description(), move |_: &Request| {
            notes()
        }))
}
