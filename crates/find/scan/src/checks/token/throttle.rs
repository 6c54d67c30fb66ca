//! Bad tokens and passwords can be tried without end.
//!
//! # What it finds
//! Services whose tokens are few enough to be searched, or that have a login, and that answer a
//! burst of bad ones as they answer the first.
//!
//! # Why it matters
//! What can be guessed in a million attempts is safe only as long as nobody may make a million.
//!
//! # How it is proved
//! Thirty random tokens of the form of a real one are sent one after the other; or, with `--active`,
//! thirty logins as a user that does not exist. It is reported where none is answered 429 or 503,
//! with `Retry-After` or a rate-limit field, by a closed connection, by another refusal than the
//! first, or more and more slowly. Where tokens are signed, or hold 64 bits and more, and there is
//! no login, guessing is hopeless without any throttle, and nothing is sent.
//!
//! # How to fix
//! Count failures by address and by account, and answer 429 with `Retry-After` after a handful. Better
//! make the tokens long enough.
//!
//! # References
//! - RFC 6585, section 4 (429); RFC 6819, section 5.1.4.2
//! - CWE-307 Improper Restriction of Excessive Authentication Attempts
//! - OWASP API2:2023 Broken Authentication

use super::guessable::{holders, lookalike, opaque_places};
use crate::forge::ask::auth;
use crate::forge::opaque::{ENOUGH_BITS, estimate};
use crate::forge::{Answered, Drive, Hit};
use crate::{Auth, Context, Exchange, Halt, Operation, Outcome, Request};
use cofferdam_finding::{Confidence, Meta, Severity};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

pub(crate) static META: Meta = Meta {
    id: "token.throttle",
    title: "Bad tokens or passwords can be tried without end",
    severity: Severity::Medium,
    confidence: Confidence::Firm,
    since: "0.1.0",
    active: false,
    remediation: "Count failed attempts by address and by account, and answer 429 with \
                  `Retry-After` after a handful.",
    cwe: &[307],
    owasp_api: Some("API2:2023"),
    attack: &["T1110"],
};

/// How many bad ones are sent.
const BURST: usize = 30;

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let mut answers = Vec::new();
    let mut reasons: Vec<&str> = Vec::new();
    let places = opaque_places(cx);
    let tokens: Vec<(&str, &str)> = holders(&places)
        .into_iter()
        .map(|who| &cx.identities()[who])
        .map(|identity| (identity.name.as_str(), identity.token.reveal()))
        .collect();
    match places.first() {
        Some((operation, who)) if estimate(&tokens).bits < ENOUGH_BITS => {
            answers.push(tokens_without_end(cx, operation, *who).await?);
        }
        Some(_) => reasons.push("the tokens are too long to be guessed"),
        None if cx.forge().has_jwt() => reasons.push("the tokens are signed"),
        None => {}
    }
    let mut unsent = false;
    if let Some(operation) = cx.operations().iter().find(|one| is_login(one)) {
        if cx.may_send(operation) {
            answers.push(logins_without_end(cx, operation).await?);
        } else {
            unsent = true;
        }
    }
    if answers.is_empty() {
        return Ok(match (unsent, reasons.first()) {
            (true, _) => Outcome::untested("the login was not tried; needs --active"),
            (false, Some(reason)) => Outcome::held(format!(
                "{reason} and there is no login: guessing is hopeless"
            )),
            (false, None) => Outcome::untested("no opaque token and no login"),
        });
    }
    let drive = Drive {
        meta: &META,
        does: [
            "operation answers thirty bad attempts in a row as it answers the first",
            "operations answer thirty bad attempts in a row as they answer the first",
        ],
        none: "no attempt could be made".to_owned(),
    };
    let mut outcome = drive.sum_up(cx, answers, |finding, _| finding);
    if unsent && outcome.untested.is_none() {
        outcome.untested = Some("the login was not tried; needs --active".to_owned());
    }
    Ok(outcome)
}

async fn tokens_without_end<'a>(
    cx: &'a Context,
    operation: &'a Operation,
    who: usize,
) -> Result<Answered<'a>, Halt> {
    let mut answers = Vec::new();
    for _ in 0..BURST {
        let (Some(request), Some(forged)) = (cx.request(operation, who), lookalike(cx, who)) else {
            return Ok(Answered::Unclear("no token to try".to_owned()));
        };
        let exchange = cx
            .send_fresh(request.with_auth(auth(cx, who, &forged)))
            .await?;
        // One of them may be somebody's.
        if cx.judge(operation, &exchange).accepted() {
            continue;
        }
        let ends = says_enough(&exchange);
        answers.push(exchange);
        if ends {
            break;
        }
    }
    Ok(judge(cx, operation, who, &answers, "bad tokens"))
}

async fn logins_without_end<'a>(
    cx: &'a Context,
    operation: &'a Operation,
) -> Result<Answered<'a>, Halt> {
    let Some(request) = cx.request(operation, 0) else {
        return Ok(Answered::Unclear(
            "a parameter of the login has no value".to_owned(),
        ));
    };
    let mut answers = Vec::new();
    for _ in 0..BURST {
        let exchange = cx
            .send_fresh(as_nobody(cx, operation, request.clone()))
            .await?;
        if cx.welcome(&exchange) {
            return Ok(Answered::Unclear("the login lets anybody in".to_owned()));
        }
        let ends = says_enough(&exchange);
        answers.push(exchange);
        if ends {
            break;
        }
    }
    // A body that is not understood is refused before any password is looked at.
    if answers
        .first()
        .is_some_and(|first| matches!(first.status(), Some(400 | 404 | 405 | 415 | 422)))
    {
        return Ok(Answered::Unclear(
            "the login does not understand the attempt".to_owned(),
        ));
    }
    Ok(judge(cx, operation, 0, &answers, "bad logins"))
}

/// Whether an answer tells the sender to stop.
fn says_enough(exchange: &Exchange) -> bool {
    let Some(response) = exchange.response() else {
        return true;
    };
    matches!(response.status, 429 | 503)
        || response.headers.keys().any(|name| {
            let name = name.as_str();
            name == "retry-after"
                || name.starts_with("ratelimit")
                || name.starts_with("x-ratelimit")
                || name.starts_with("x-rate-limit")
        })
}

fn judge<'a>(
    cx: &'a Context,
    operation: &'a Operation,
    who: usize,
    answers: &[Arc<Exchange>],
    what: &str,
) -> Answered<'a> {
    let (Some(first), Some(last)) = (answers.first(), answers.last()) else {
        return Answered::Unclear("every attempt was accepted".to_owned());
    };
    let throttled = answers.iter().any(|exchange| says_enough(exchange))
        || first.status() != last.status()
        || slows_down(answers);
    if throttled {
        return Answered::Refused;
    }
    if answers.len() < BURST * 2 / 3 {
        return Answered::Unclear("too few attempts were refused to tell".to_owned());
    }
    let mut pieces = vec![cx.evidence(format!("the first of the {what} is refused"), first)];
    let shows = format!(
        "the {}th of the {what} in a row is refused in the same way, at the same speed",
        answers.len()
    );
    pieces.push(cx.evidence(shows, last));
    Answered::Accepted(Hit::new(cx, operation, who, pieces))
}

/// Whether the last answers took several times as long as the first: a delay that grows.
fn slows_down(answers: &[Arc<Exchange>]) -> bool {
    let median = |part: &[Arc<Exchange>]| {
        let mut times: Vec<Duration> = part.iter().map(|exchange| exchange.elapsed).collect();
        times.sort();
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    let part = (answers.len() / 5).max(1);
    let (first, last) = (
        median(&answers[..part]),
        median(&answers[answers.len() - part..]),
    );
    last > Duration::from_millis(200) && last > first * 3
}

/// A login by password, by its path and its body.
fn is_login(operation: &Operation) -> bool {
    let named = operation.path.split('/').any(|part| {
        let part = part.to_lowercase();
        [
            "login",
            "signin",
            "sign-in",
            "authenticate",
            "session",
            "sessions",
            "token",
            "auth",
        ]
        .contains(&part.as_str())
    });
    named
        && operation.method == hyper::Method::POST
        && members(operation).iter().any(|name| is_password(name))
}

fn members(operation: &Operation) -> Vec<String> {
    operation
        .body
        .as_ref()
        .and_then(|body| body.schema.get("properties"))
        .and_then(Value::as_object)
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default()
}

fn is_password(name: &str) -> bool {
    let name = name.to_lowercase();
    name.contains("passw") || name == "pass" || name == "pin"
}

/// The login of a user that does not exist, so that nobody's account is locked.
fn as_nobody(cx: &Context, operation: &Operation, request: Request) -> Request {
    let marker = &cx.forge().marker;
    members(operation)
        .into_iter()
        .fold(request.with_auth(Auth::None), |request, name| {
            let lower = name.to_lowercase();
            let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            if is_password(&name) {
                request.with_body_member(&pointer, json!(cx.nonce()))
            } else if lower.contains("mail") {
                request.with_body_member(&pointer, json!(format!("{marker}@example.invalid")))
            } else if ["user", "username", "login", "name", "account"].contains(&lower.as_str()) {
                request.with_body_member(&pointer, json!(marker))
            } else {
                request
            }
        })
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::forge::testing::{notes, refused};
    use crate::testing::{Request as Asked, Response, Sample, Samples, api};
    use crate::{Identity, Level};
    use std::sync::atomic::{AtomicU32, Ordering};

    const KNOWN: [&str; 2] = ["k3m9x2v7q1p8", "z7w4n6b1c5r2"];
    let opaque = |name, limit: u32| {
        let bad = AtomicU32::new(0);
        let description = api(json!({ "/notes": { "get": {} } }));
        Sample::new(name, description, move |request: &Asked| {
            match request.bearer() {
                Some(token) if KNOWN.contains(&token) => notes(),
                Some(_) if bad.fetch_add(1, Ordering::Relaxed) >= limit => {
                    Response::json(429, json!({ "error": "slow down" })).header("retry-after", "1")
                }
                _ => refused(),
            }
        })
        .options(|options| {
            options.identities = vec![
                Identity::new("alice", KNOWN[0]),
                Identity::new("bob", KNOWN[1]),
            ];
        })
    };
    let login = |name, limit: u32| {
        let bad = AtomicU32::new(0);
        let description = api(json!({
            "/notes": { "get": {} },
            "/login": { "post": { "security": [], "requestBody": { "content": {
                "application/json": { "schema": { "type": "object", "properties": {
                    "username": { "type": "string" }, "password": { "type": "string" },
                } } },
            } } } },
        }));
        Sample::new(name, description, move |request: &Asked| {
            match (request.path(), request.subject()) {
                ("/login", _) if bad.fetch_add(1, Ordering::Relaxed) >= limit => {
                    Response::json(429, json!({ "error": "slow down" }))
                }
                ("/login", _) => Response::json(401, json!({ "error": "wrong password" })),
                (_, Some(_)) => notes(),
                _ => refused(),
            }
        })
        .options(|options| options.level = Level::Active)
    };
    Samples::new()
        .flawed(opaque("short tokens, no limit", u32::MAX).reports(["GET /notes"]))
        .flawed(login("a login, no limit", u32::MAX).reports(["POST /login"]))
        .sound(opaque("short tokens, a limit", 12))
        .sound(login("a login, a limit", 12))
        .sound(Sample::new(
            "signed tokens",
            api(json!({ "/notes": { "get": {} } })),
            |request: &Asked| match request.subject() {
                Some(_) => notes(),
                None => refused(),
            },
        ))
}
