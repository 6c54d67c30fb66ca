//! An answer repeats the caller's token.
//!
//! # What it finds
//! Operations whose successful answer holds the token that the caller sent.
//!
//! # Why it matters
//! Answers are stored where requests are not: in caches, in the browser, in the logs and traces of
//! other services, in a model's context. A token that is in them leaves the hands that it was given
//! to.
//!
//! # How it is proved
//! The answers to the identities' own requests are searched for their tokens, plain and
//! percent-encoded, in the body and in the header fields. A token of fewer than 12 characters is not
//! looked for, since it may be there by chance.
//!
//! # How to fix
//! Answer with what the caller needs to know of the token (its subject, its end), never with the
//! token. Take request headers out of debug output.
//!
//! # References
//! - RFC 6750, section 5.3; RFC 9700, section 4.3
//! - CWE-200 Exposure of Sensitive Information to an Unauthorized Actor
//! - CWE-522 Insufficiently Protected Credentials
//! - OWASP API2:2023 Broken Authentication

use crate::forge::{Answered, Drive, Hit};
use crate::{Context, Exchange, Halt, Outcome};
use cofferdam_finding::{Confidence, Meta, Severity};

pub(crate) static META: Meta = Meta {
    id: "token.in-answer",
    title: "An answer repeats the caller's token",
    severity: Severity::Medium,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Leave the token out of every answer, and the `Authorization` field out of debug \
                  output.",
    cwe: &[200, 522],
    owasp_api: Some("API2:2023"),
    attack: &["T1552"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let mut answers = Vec::new();
    for operation in cx.operations() {
        let baseline = cx.baseline(operation);
        let mut answered = None;
        for (who, exchange) in baseline.valid.iter().enumerate() {
            let Some(exchange) = exchange.as_ref().filter(|exchange| cx.welcome(exchange)) else {
                continue;
            };
            let token = cx.identities()[who].token.reveal();
            if repeats(exchange, token) {
                let shows = "the answer holds the token that the caller sent";
                let pieces = vec![cx.evidence_of(shows, exchange, token)];
                answered = Some(Answered::Accepted(Hit::new(cx, operation, who, pieces)));
                break;
            }
            answered = Some(Answered::Refused);
        }
        answers.extend(answered);
    }
    let drive = Drive {
        meta: &META,
        does: [
            "operation answers with the caller's own token",
            "operations answer with the caller's own token",
        ],
        none: "no operation gave an identity what it asked for".to_owned(),
    };
    Ok(drive.sum_up(cx, answers, |finding, _| finding))
}

/// Whether an answer holds `token`, as it is or percent-encoded.
pub(in crate::checks) fn repeats(exchange: &Exchange, token: &str) -> bool {
    if token.len() < 12 {
        return false;
    }
    let encoded = percent_encoding::utf8_percent_encode(token, percent_encoding::NON_ALPHANUMERIC)
        .to_string();
    let holds = |text: &str| text.contains(token) || text.contains(&encoded);
    holds(&exchange.text())
        || exchange.response().is_some_and(|response| {
            response
                .headers
                .values()
                .any(|value| holds(&String::from_utf8_lossy(value.as_bytes())))
        })
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::forge::testing::{notes, refused, whoami};
    use crate::testing::{Request, Response, Sample, Samples, api, verify};
    use serde_json::json;

    let description = || api(json!({ "/notes": { "get": {} }, "/whoami": { "get": {} } }));
    let sample = |name, answer: fn(&str, &serde_json::Value) -> Response| {
        Sample::new(name, description(), move |request: &Request| {
            let token = request.bearer().unwrap_or_default();
            match (request.path(), verify(token)) {
                ("/whoami", Some(claims)) => answer(token, &claims),
                (_, Some(_)) => notes(),
                (_, None) => refused(),
            }
        })
    };
    Samples::new()
        .flawed(
            sample("in the body", |token, claims| {
                Response::json(
                    200,
                    json!({ "subject": claims["sub"], "session": { "jwt": token } }),
                )
            })
            .reports(["GET /whoami"]),
        )
        .flawed(
            sample("in a field", |token, claims| {
                whoami(claims).header("x-debug", &format!("authorization=Bearer {token}"))
            })
            .reports(["GET /whoami"]),
        )
        .sound(sample("its subject alone", |_, claims| whoami(claims)))
}
