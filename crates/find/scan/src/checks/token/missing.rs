//! An operation that should ask for a token answers without one.
//!
//! # What it finds
//! Operations that the API description declares to be protected and that answer a request without
//! any token as they answer a valid one. Where no description says anything: operations that refuse
//! a bad token and let a missing one pass, and open operations beside protected ones.
//!
//! # Why it matters
//! The route was forgotten when the others were protected, or the check reads "if there is a token,
//! it must be good". Whatever it does, everyone on the network may do it.
//!
//! # How it is proved
//! The request that a valid identity makes is sent without a token. It is reported where the answer
//! gives what was asked for. It is *proven* where the same operation refuses a bad token, so that it
//! does know tokens; *firm* where only the description says that it is protected; *tentative* where
//! nothing but the operations beside it says so. What is public in most services (health, documents,
//! login) is not reported.
//!
//! # How to fix
//! Verify the token before the request is routed, let every route declare what it needs, and refuse
//! to start with a route that declares nothing. Where an operation is meant to be public, declare it
//! so (`security: []`).
//!
//! # References
//! - RFC 6750, section 3 (a request without credentials is answered 401)
//! - CVE-2020-8595, CVE-2021-21378 (a missing token passes where a bad one does not)
//! - CWE-306 Missing Authentication for Critical Function
//! - OWASP API2:2023 Broken Authentication

use crate::{Context, Halt, Operation, Outcome, Protection, Reach};
use cofferdam_finding::{Confidence, Evidence, Finding, Meta, Severity, State};

pub(crate) static META: Meta = Meta {
    id: "token.missing",
    title: "An operation that should ask for a token answers without one",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Verify the token before the request is routed and refuse a request without one; \
                  declare `security: []` where an operation is meant to be public.",
    cwe: &[306],
    owasp_api: Some("API2:2023"),
    attack: &["T1190"],
};

/// Last parts of paths that are public in every service, whatever a description's default says.
const PUBLIC: [&str; 27] = [
    "health",
    "healthz",
    "healthcheck",
    "live",
    "livez",
    "liveness",
    "ready",
    "readyz",
    "readiness",
    "docs",
    "doc",
    "redoc",
    "swagger",
    "swagger-ui",
    "openapi",
    "openapi.json",
    "openapi.yaml",
    "swagger.json",
    "api-docs",
    "login",
    "signin",
    "register",
    "signup",
    "logout",
    "robots.txt",
    "favicon.ico",
    "jwks.json",
];
/// Last parts of paths that are public in many services: reported only where a bad token is refused.
const OFTEN_PUBLIC: [&str; 7] = [
    "metrics", "status", "version", "about", "ping", "token", "jwks",
];

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    // A description that protects some operations and is silent about others has said it all.
    let speaks = cx
        .operations()
        .iter()
        .any(|operation| operation.security.declared == Some(true));
    let mut tried = 0;
    let mut found: Vec<(Confidence, &Operation)> = Vec::new();
    for operation in cx.operations() {
        let baseline = cx.baseline(operation);
        if operation.method == hyper::Method::OPTIONS || is_excused(cx, operation) {
            continue;
        }
        match (&baseline.protection, operation.security.declared) {
            (Protection::Protected(_) | Protection::AnyToken(_), _) => tried += 1,
            (Protection::Public, declared) => {
                let declared = if speaks {
                    declared.or(Some(false))
                } else {
                    declared
                };
                match judge(cx, operation, declared) {
                    Some(confidence) => {
                        tried += 1;
                        found.push((confidence, operation));
                    }
                    None if declared == Some(true) => tried += 1,
                    None => {}
                }
            }
            (Protection::Unknown(_), _) => {}
        }
    }
    for confidence in Confidence::ALL.iter().rev() {
        let operations: Vec<&Operation> = found
            .iter()
            .filter(|(one, _)| one == confidence)
            .map(|(_, operation)| *operation)
            .collect();
        if !operations.is_empty() {
            report(cx, *confidence, &operations);
        }
    }
    if tried == 0 {
        return Ok(Outcome::untested(
            "no operation is protected, or declared to be",
        ));
    }
    Ok(Outcome::tried(tried))
}

/// How sure it is that this operation, which answers anyone, should not.
fn judge(cx: &Context, operation: &Operation, declared: Option<bool>) -> Option<Confidence> {
    let baseline = cx.baseline(operation);
    let anonymous = baseline.anonymous.as_ref()?;
    if declared == Some(false) || !cx.welcome(anonymous) {
        return None;
    }
    let refuses_bad = refuses_bad(cx, operation);
    let reaches = [Reach::Runtime, Reach::Process, Reach::Admin]
        .iter()
        .any(|reach| operation.reaches(*reach));
    if declared == Some(true) {
        return Some(if refuses_bad {
            Confidence::Proven
        } else {
            Confidence::Firm
        });
    }
    // Nothing is declared anywhere: an optional token is common and sound where the answer is for
    // everyone.
    let beside_protected = cx.protected().any(|other| {
        let (a, b) = (parent(&other.path), parent(&operation.path));
        a == b || a == operation.path || other.path == b
    });
    match (refuses_bad, beside_protected, reaches) {
        (true, _, true) | (_, true, true) => Some(Confidence::Firm),
        (true, true, false) | (false, true, false) => Some(Confidence::Tentative),
        _ => None,
    }
}

fn report(cx: &Context, confidence: Confidence, operations: &[&Operation]) {
    let mut evidence: Vec<Evidence> = Vec::new();
    for (index, operation) in operations.iter().take(3).enumerate() {
        let baseline = cx.baseline(operation);
        if let (0, Some(garbage)) = (index, &baseline.garbage)
            && !cx.welcome(garbage)
        {
            evidence.push(cx.evidence("a bad token is refused", garbage));
        }
        if let Some(anonymous) = &baseline.anonymous {
            evidence.push(cx.evidence("a request without a token is answered", anonymous));
        }
    }
    let places = operations
        .iter()
        .map(|operation| cx.place(operation))
        .collect();
    let count = operations.len();
    let grave = operations
        .iter()
        .any(|operation| !operation.reach.is_empty());
    let subject = if count == 1 {
        "1 operation answers"
    } else {
        "operations answer"
    };
    let subject = if count == 1 {
        subject.to_owned()
    } else {
        format!("{count} {subject}")
    };
    let why = match confidence {
        Confidence::Proven => {
            "a request without a token, though declared to need one and refusing a bad one"
        }
        Confidence::Firm => "a request without a token, though declared or built to need one",
        Confidence::Tentative => "a request without a token; those beside do not",
    };
    cx.report(
        Finding::new(&META, places, evidence)
            .severity(if grave {
                Severity::Critical
            } else {
                Severity::High
            })
            .confidence(confidence)
            .described(format!("{subject} {why}"))
            .from(State::Outside)
            .grants([State::TokenHolder]),
    );
}

/// Whether an operation answers a bad token as one answers who is not let in.
fn refuses_bad(cx: &Context, operation: &Operation) -> bool {
    cx.baseline(operation)
        .garbage
        .as_ref()
        .is_some_and(|garbage| {
            matches!(garbage.status(), Some(400 | 401 | 403))
                || (garbage.status() == Some(200) && !cx.welcome(garbage))
        })
}

/// Whether its name excuses an open operation. It excuses only what seems to reach nothing.
fn is_excused(cx: &Context, operation: &Operation) -> bool {
    let parts: Vec<String> = operation
        .path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(str::to_lowercase)
        .collect();
    let Some(last) = parts.last().map(String::as_str) else {
        return true;
    };
    let below = [
        "health",
        "docs",
        "swagger-ui",
        "static",
        "assets",
        ".well-known",
    ];
    let public = PUBLIC.contains(&last) || parts.iter().any(|part| below.contains(&part.as_str()));
    let often = OFTEN_PUBLIC.contains(&last) && !refuses_bad(cx, operation);
    operation.reach.is_empty() && (public || often)
}

fn parent(path: &str) -> &str {
    path.rfind('/').map_or("", |at| &path[..at])
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::forge::testing::{notes, refused};
    use crate::testing::{Request, Response, Sample, Samples, api};
    use serde_json::json;

    let description = || {
        api(json!({
            "/notes": { "get": {} },
            "/jobs": { "get": {} },
            "/health": { "get": {} },
            "/news": { "get": { "security": [] } },
        }))
    };
    let strict = |request: &Request| match request.subject() {
        Some(_) => notes(),
        None => refused(),
    };
    Samples::new()
        .flawed(
            Sample::new(
                "one route forgotten",
                description(),
                move |request: &Request| match request.path() {
                    "/notes" => strict(request),
                    _ => notes(),
                },
            )
            .reports(["GET /jobs"]),
        )
        .flawed(
            Sample::new(
                "if there is one, it must be good",
                description(),
                move |request| match (request.path(), request.bearer()) {
                    ("/jobs", None) | ("/health" | "/news", _) => notes(),
                    _ => strict(request),
                },
            )
            .reports(["GET /jobs"]),
        )
        .flawed(
            // Nothing is declared, and a part of the runtime lies open beside what is protected.
            Sample::new(
                "undeclared",
                json!({
                    "openapi": "3.1.0",
                    "info": { "title": "sample", "version": "1" },
                    "paths": { "/containers": { "get": {} }, "/containers/all": { "get": {} } },
                }),
                move |request: &Request| match request.path() {
                    "/containers/all" => notes(),
                    _ => strict(request),
                },
            )
            .reports(["GET /containers/all"]),
        )
        .sound(Sample::new(
            "all protected",
            description(),
            move |request: &Request| match request.path() {
                "/health" | "/news" => Response::json(200, json!({ "ok": true })),
                _ => strict(request),
            },
        ))
        .sound(Sample::new(
            "a refusal that is a 200",
            description(),
            move |request: &Request| match (request.path(), request.subject()) {
                ("/health" | "/news", _) | (_, Some(_)) => notes(),
                _ => Response::json(200, json!({ "status": "fail", "message": "no token" })),
            },
        ))
}
