//! An error message repeats the token.
//!
//! # What it finds
//! Operations whose refusals or errors hold the token that was sent: "invalid token: eyJ…".
//!
//! # Why it matters
//! Error messages are what gets logged, shown on screens and pasted into tickets. A token that was
//! refused for a small reason here (expired a second ago, sent to the wrong service) may be good
//! elsewhere.
//!
//! # How it is proved
//! The refusals of a garbage token and of a token with a wrong signature, and errors that a valid
//! token's requests run into (also one for an object that does not exist), are searched for what
//! was sent.
//!
//! # How to fix
//! Say why a token was refused, with the error codes of RFC 6750, and never which it was. To find it
//! in the logs, write a hash of it.
//!
//! # References
//! - RFC 6750, section 3.1 (error codes), section 5.3
//! - CWE-209 Generation of Error Message Containing Sensitive Information
//! - OWASP API2:2023 Broken Authentication

use super::in_answer::repeats;
use crate::forge::{Answered, Case, Drive, Hit, Recipe};
use crate::{Context, Exchange, Halt, Operation, Outcome, ParamIn};
use cofferdam_finding::{Confidence, Meta, Severity};
use std::sync::Arc;

pub(crate) static META: Meta = Meta {
    id: "token.in-error",
    title: "An error message repeats the token",
    severity: Severity::Medium,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Say in an error why a token was refused, by the codes of RFC 6750, and leave the \
                  token itself out.",
    cwe: &[209, 532],
    owasp_api: Some("API2:2023"),
    attack: &["T1552"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let cases = Case::all(cx);
    let operations: Vec<&Operation> = cx
        .operations()
        .iter()
        .filter(|operation| cx.baseline(operation).garbage.is_some())
        .collect();
    let results = cx
        .each(operations, |operation| {
            let case = cases
                .iter()
                .find(|case| case.operation.index == operation.index)
                .copied();
            try_one(cx, operation, case)
        })
        .await?;
    let live = results.iter().any(|(_, live)| *live);
    let drive = Drive {
        meta: &META,
        does: [
            "operation repeats the caller's token in an error",
            "operations repeat the caller's token in an error",
        ],
        none: "no operation refused a token".to_owned(),
    };
    let answers = results.into_iter().map(|(answered, _)| answered).collect();
    Ok(drive.sum_up(cx, answers, |finding, _| {
        // What was repeated is worth something only where it was a good token.
        finding.severity(if live {
            Severity::Medium
        } else {
            Severity::Low
        })
    }))
}

/// What an operation says in its errors, and whether a valid token stood in one.
async fn try_one<'a>(
    cx: &'a Context,
    operation: &'a Operation,
    case: Option<Case<'a>>,
) -> Result<(Answered<'a>, bool), Halt> {
    let baseline = cx.baseline(operation);
    let mut errors: Vec<(Arc<Exchange>, usize, bool)> = Vec::new();
    let first = baseline.accepted().first().copied().unwrap_or(0);
    for (who, exchange) in baseline.valid.iter().enumerate() {
        errors.extend(
            exchange
                .iter()
                .map(|exchange| (Arc::clone(exchange), who, true)),
        );
    }
    errors.extend(
        provoked(cx, operation, first)
            .await?
            .map(|exchange| (exchange, first, true)),
    );
    errors.extend(
        baseline
            .garbage
            .iter()
            .map(|exchange| (Arc::clone(exchange), first, false)),
    );
    if let Some(case) = case.filter(|case| case.operation.is_safe())
        && let Some(forged) = Recipe::tampered().forge(&case.marked(cx))
    {
        let (_, exchange) = case.ask(cx, &forged).await?;
        errors.extend(exchange.map(|exchange| (exchange, case.who, false)));
    }
    errors.retain(|(exchange, _, _)| exchange.response().is_some() && !cx.welcome(exchange));
    if errors.is_empty() {
        return Ok((Answered::Unclear("it gave no error".to_owned()), false));
    }
    for (exchange, who, live) in &errors {
        let Some(token) = presented(cx, exchange, *who).filter(|token| repeats(exchange, token))
        else {
            continue;
        };
        let shows = if *live {
            "an error holds the valid token that the caller sent"
        } else {
            "a refusal holds the token that was refused"
        };
        let pieces = vec![cx.evidence_of(shows, exchange, &token)];
        let mut hit = Hit::new(cx, operation, *who, pieces);
        hit.proven = true;
        return Ok((Answered::Accepted(hit), *live));
    }
    Ok((Answered::Refused, false))
}

/// The identity's request for an object that does not exist, where the operation is about one.
async fn provoked(
    cx: &Context,
    operation: &Operation,
    who: usize,
) -> Result<Option<Arc<Exchange>>, Halt> {
    let param = operation
        .params
        .iter()
        .find(|param| param.place == ParamIn::Path);
    let request = cx.request(operation, who);
    match (param, request) {
        (Some(param), Some(request)) if operation.is_safe() && cx.may_send(operation) => {
            let request = request.with_param(operation, &param.name, &cx.forge().marker);
            Ok(Some(cx.send(request).await?))
        }
        _ => Ok(None),
    }
}

/// The token that a request carried, in the place where this identity puts its own.
fn presented(cx: &Context, exchange: &Exchange, who: usize) -> Option<String> {
    let template = &cx.identities().get(who)?.template;
    // The template around a character that no field value has.
    let around = template.value("\0");
    let (before, after) = around.split_once('\0')?;
    let (_, value) = exchange
        .sent
        .headers
        .iter()
        .find(|(name, _)| name == template.name())?;
    let value = String::from_utf8_lossy(value);
    let token = value.strip_prefix(before)?.strip_suffix(after)?;
    Some(token.to_owned())
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::forge::testing::{notes, refused};
    use crate::testing::{Request, Response, Sample, Samples, api, verify};
    use serde_json::json;

    let description = || {
        api(json!({
            "/notes": { "get": {} },
            "/notes/{id}": { "get": { "parameters": [
                { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } },
            ] } },
        }))
    };
    let sample = |name, refusal: fn(&str) -> Response, error: fn(&str) -> Response| {
        Sample::new(name, description(), move |request: &Request| {
            let token = request.bearer().unwrap_or_default();
            match (request.path(), verify(token)) {
                ("/notes", Some(_)) => notes(),
                ("/notes/n-1", Some(_)) => Response::json(200, json!({ "id": "n-1" })),
                (_, Some(_)) => error(token),
                (_, None) => refusal(token),
            }
        })
    };
    let told = |token: &str| Response::json(401, json!({ "error": format!("bad token {token}") }));
    let lost = |_: &str| Response::json(404, json!({ "error": "no such note" }));
    Samples::new()
        .flawed(sample("a refusal", told, lost).reports(["GET /notes", "GET /notes/{id}"]))
        .flawed(
            sample(
                "a debug page",
                |_| refused(),
                |token| Response::text(404, format!("not found\nAuthorization: Bearer {token}\n")),
            )
            .reports(["GET /notes/{id}"]),
        )
        .sound(sample("the reason alone", |_| refused(), lost))
}
