//! A token in the URL is accepted.
//!
//! # What it finds
//! Operations that accept the token as `access_token`, `token` or `api_key` in the query, without an
//! `Authorization` field.
//!
//! # Why it matters
//! URLs are kept: in the logs of every proxy on the way, in browser histories, in `Referer` fields,
//! in chat messages. A token in one of them is a token of everyone who reads these.
//!
//! # How it is proved
//! The request of an identity is sent without the header field and with its token in the query. It
//! is reported where that is answered like the identity's own request and the same with a garbage
//! token is refused.
//!
//! # How to fix
//! Take the token from `Authorization` alone, and refuse a request that carries one elsewhere, so
//! that clients notice.
//!
//! # References
//! - RFC 6750, sections 2.3 and 5.3; RFC 9700, section 4.3.2 (must not be used)
//! - CWE-598 Use of GET Request Method With Sensitive Query Strings
//! - OWASP API2:2023 Broken Authentication

use crate::forge::ask::grounds;
use crate::forge::{Answered, Drive, Hit};
use crate::{Auth, Context, Halt, Operation, Outcome, Verdict};
use cofferdam_finding::{Confidence, Meta, Severity};

pub(crate) static META: Meta = Meta {
    id: "token.in-query",
    title: "A token in the URL is accepted",
    severity: Severity::Medium,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Take the token from the `Authorization` field alone and refuse a request that \
                  carries one in its URL.",
    cwe: &[598],
    owasp_api: Some("API2:2023"),
    attack: &["T1552"],
};

const NAMES: [&str; 3] = ["access_token", "token", "api_key"];

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let operations: Vec<&Operation> = cx
        .protected()
        .filter(|operation| operation.is_safe() && cx.may_send(operation))
        .collect();
    let answers = cx
        .each(operations, |operation| try_one(cx, operation))
        .await?;
    let drive = Drive {
        meta: &META,
        does: [
            "operation takes the token from the URL",
            "operations take the token from the URL",
        ],
        none: "no operation that can be read refuses garbage and accepts an identity".to_owned(),
    };
    Ok(drive.sum_up(cx, answers, |finding, _| finding))
}

async fn try_one<'a>(cx: &'a Context, operation: &'a Operation) -> Result<Answered<'a>, Halt> {
    let Some(who) = cx.baseline(operation).accepted().first().copied() else {
        return Ok(Answered::Unclear("nobody was let in".to_owned()));
    };
    // Where any value counts as a token, it does so here as well.
    if cx.forge().malformed(cx, operation, who).await?.is_some() {
        return Ok(Answered::Subsumed);
    }
    let Some(request) = cx.request(operation, who) else {
        return Ok(Answered::Unclear("a parameter has no value".to_owned()));
    };
    let request = request.with_auth(Auth::None);
    let token = cx.identities()[who].token.clone();
    let mut unclear = None;
    let mut refused = 0;
    for name in NAMES {
        let ask = |value: &str| cx.send(request.clone().with_query(name, value));
        let exchange = ask(token.reveal()).await?;
        match cx.judge(operation, &exchange) {
            Verdict::Refused => refused += 1,
            Verdict::Unclear(reason) => unclear = Some(reason),
            Verdict::Accepted => {
                // The name alone may be what changes the answer.
                let garbage = ask(&cx.forge().marker.repeat(2)).await?;
                if !cx.judge(operation, &garbage).refused() {
                    continue;
                }
                let mut pieces = match grounds(cx, operation, who).await? {
                    Ok(pieces) => pieces,
                    Err(reason) => return Ok(Answered::Unclear(reason)),
                };
                pieces.push(cx.evidence(format!("garbage as `{name}` is refused"), &garbage));
                let shows =
                    format!("the token as `{name}` in the URL is accepted, without a header");
                pieces.push(cx.evidence(shows, &exchange));
                let mut hit = Hit::new(cx, operation, who, pieces);
                hit.place = hit.place.parameter(name);
                return Ok(Answered::Accepted(hit));
            }
        }
    }
    Ok(match unclear {
        Some(reason) if refused == 0 => Answered::Unclear(reason),
        _ => Answered::Refused,
    })
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::forge::testing::{notes, refused};
    use crate::testing::{Request, Sample, Samples, api, verify};
    use serde_json::json;

    let description = || api(json!({ "/notes": { "get": {} } }));
    let sample = |name, place: Option<&'static str>| {
        Sample::new(name, description(), move |request: &Request| {
            let query = place.and_then(|place| request.query(place));
            match request.bearer().or(query.as_deref()).and_then(verify) {
                Some(_) => notes(),
                None => refused(),
            }
        })
    };
    Samples::new()
        .flawed(sample("access_token", Some("access_token")).reports(["GET /notes (access_token)"]))
        .flawed(sample("token", Some("token")).reports(["GET /notes (token)"]))
        .sound(sample("the header alone", None))
        .sound(Sample::new("public", description(), |_: &Request| notes()))
}
