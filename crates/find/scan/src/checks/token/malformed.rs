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

use crate::{Auth, Context, Halt, Operation, Outcome, Protection};
use cofferdam_finding::{Confidence, Evidence, Finding, Meta, Severity, State};

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
    let candidates = cx.operations().iter().filter(|operation| {
        cx.may_send(operation)
            && matches!(
                cx.baseline(operation).protection,
                Protection::Protected(_) | Protection::AnyToken(_)
            )
    });
    let results = cx
        .each(candidates, |operation| try_one(cx, operation))
        .await?;

    let mut tried = 0;
    let mut places = Vec::new();
    let mut evidence = Vec::new();
    for (operation, pieces) in results {
        tried += 1;
        if !pieces.is_empty() {
            places.push(cx.place(operation));
            evidence.extend(pieces);
        }
    }
    if !places.is_empty() {
        let count = places.len();
        // One cause, however many operations share the verifier: the first three prove it.
        evidence.truncate(9);
        cx.report(
            Finding::new(&META, places, evidence)
                .described(format!(
                    "{count} operation{} refuse a request without a token and accept one with a \
                     value that no issuer made",
                    if count == 1 { "" } else { "s" }
                ))
                .from(State::Outside)
                .grants([State::ForgedIdentity]),
        );
    }
    if tried == 0 {
        return Ok(Outcome::untested(
            "no operation refuses a missing token and accepts a valid one",
        ));
    }
    Ok(Outcome::tried(tried))
}

/// The pieces of evidence that show `operation` accepting a malformed token; none when it refuses
/// them all.
async fn try_one<'a>(
    cx: &'a Context,
    operation: &'a Operation,
) -> Result<(&'a Operation, Vec<Evidence>), Halt> {
    let baseline = cx.baseline(operation);
    let mut pieces = Vec::new();
    if let Some(exchange) = &baseline.anonymous {
        pieces.push(cx.evidence("a request without a token is refused", exchange));
    }
    if let Protection::AnyToken(_) = baseline.protection {
        // A public operation that had a bad moment when it was asked without a token looks the same.
        if let Some(request) = baseline
            .accepted()
            .first()
            .and_then(|who| cx.request(operation, *who))
        {
            let again = cx.send_fresh(request.with_auth(Auth::None)).await?;
            if cx.welcome(&again) {
                return Ok((operation, Vec::new()));
            }
        }
        if let Some(exchange) = &baseline.garbage {
            let shows = "random characters in place of a token are accepted";
            pieces.push(cx.evidence(shows, exchange));
        }
        return Ok((operation, pieces));
    }
    let Some(who) = baseline.accepted().first() else {
        return Ok((operation, Vec::new()));
    };
    let Some(malformed) = cx.forge().malformed(cx, operation, *who).await? else {
        return Ok((operation, Vec::new()));
    };
    let shows = format!("{} in place of a token is accepted", malformed.label);
    pieces.push(cx.evidence(shows, &malformed.exchange));
    Ok((operation, pieces))
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
