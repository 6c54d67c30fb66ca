//! A function for administrators answers an ordinary caller.
//!
//! # What it finds
//! Operations whose path, declared scopes or description say that they are for administrators, and
//! that let in an identity which is none.
//!
//! # Why it matters
//! Whoever holds any token administers: sees and changes what belongs to all, and in a service that
//! manages containers, manages the containers.
//!
//! # How it is proved
//! From the answers of the baseline; nothing more is sent. No token is refused and the ordinary
//! identity is answered with success, and one of these holds: the answer names objects of another
//! identity that this one is shown nowhere else (*proven*); the description asks for a scope that its
//! token does not have; it says that the operation is for administrators; other operations of the same
//! part of the API refuse the same identity. A name alone is no proof, and an identity that says of
//! itself that it administers is not asked.
//!
//! # How to fix
//! Require the scope or role where the route is declared, for the whole part of the API at once, and
//! refuse by default.
//!
//! # References
//! - CWE-862 Missing Authorization, CWE-285 Improper Authorization
//! - OWASP API5:2023 Broken Function Level Authorization
//! - ATT&CK T1078 Valid Accounts

use crate::probes::{self, Tenants, mentions_admin};
use crate::{Context, Exchange, Halt, Operation, Outcome, Protection, Reach};
use cofferdam_finding::{Confidence, Evidence, Finding, Meta, Place, Severity, State};

pub(crate) static META: Meta = Meta {
    id: "function.admin",
    title: "A function for administrators answers an ordinary caller",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Require the scope or role where the route is declared, for the whole part of the \
                  API at once, and refuse by default.",
    cwe: &[862, 285],
    owasp_api: Some("API5:2023"),
    attack: &["T1078"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let tenants = Tenants::of(cx);
    let mut tried = 0;
    let mut best: Option<(Proof, &Operation)> = None;
    let mut places: Vec<Place> = Vec::new();
    for operation in cx
        .operations()
        .iter()
        .filter(|operation| is_for_admins(operation))
    {
        let mut proof: Option<Proof> = None;
        let mut asked = false;
        for who in &tenants.ordinary {
            let Some(Some(exchange)) = cx.baseline(operation).valid.get(*who) else {
                continue;
            };
            asked = true;
            if !probes::succeeded(exchange) {
                continue;
            }
            let found = prove(cx, &tenants, operation, *who, exchange);
            if found.as_ref().map(|found| found.confidence)
                > proof.as_ref().map(|known| known.confidence)
            {
                proof = found;
            }
        }
        tried += u32::from(asked);
        let Some(proof) = proof else { continue };
        let place = cx.place(operation);
        if best
            .as_ref()
            .is_none_or(|(known, _)| proof.confidence > known.confidence)
        {
            // The first place is the one that the evidence is about.
            places.insert(0, place);
            best = Some((proof, operation));
        } else {
            places.push(place);
        }
    }
    if let Some((proof, operation)) = best {
        cx.report(
            Finding::new(&META, places, proof.evidence)
                .described(format!("{operation} answers {}: {}", proof.who, proof.why))
                .confidence(proof.confidence)
                .from(proof.from)
                .grants([State::Admin]),
        );
    }
    if tried == 0 {
        return Ok(Outcome::untested(
            "no operation for administrators that may be sent, or no ordinary identity to ask with",
        ));
    }
    Ok(Outcome::tried(tried))
}

struct Proof {
    who: String,
    why: String,
    from: State,
    confidence: Confidence,
    evidence: Vec<Evidence>,
}

fn prove(
    cx: &Context,
    tenants: &Tenants,
    operation: &Operation,
    who: usize,
    exchange: &Exchange,
) -> Option<Proof> {
    let baseline = cx.baseline(operation);
    let name = cx.identities()[who].name.clone();
    let control = baseline
        .anonymous
        .as_ref()
        .map(|anonymous| cx.evidence("control: the same request without a token", anonymous));
    let proof = |why: String, confidence, from, first: Evidence| {
        let mut evidence = vec![first];
        evidence.extend(control.clone());
        Proof {
            who: name.clone(),
            why,
            from,
            confidence,
            evidence,
        }
    };
    let answered = format!("{name} is answered");
    // What another identity alone is shown elsewhere.
    let others = tenants.ordinary.iter().filter(|other| **other != who);
    for other in others {
        let text = exchange.text();
        let foreign = tenants
            .only(*other, who)
            .into_iter()
            .find(|value| holds(&text, value));
        if let Some(value) = foreign {
            let owner = &cx.identities()[*other].name;
            let from = match baseline.protection {
                Protection::Public => State::Outside,
                _ => State::TokenHolder,
            };
            let shows = format!("{answered} with what belongs to {owner}");
            return Some(proof(
                format!("its answer tells of `{value}`, which only {owner} is shown elsewhere"),
                Confidence::Proven,
                from,
                cx.evidence_of(shows, exchange, value),
            ));
        }
    }
    if !baseline.is_protected() || !baseline.accepted().contains(&who) {
        return None;
    }
    let firm = |why: String| {
        Some(proof(
            why,
            Confidence::Firm,
            State::TokenHolder,
            cx.evidence(answered.clone(), exchange),
        ))
    };
    if let Some(scope) = missing_scope(cx, operation, who) {
        return firm(format!(
            "its token does not have `{scope}`, which the description asks for"
        ));
    }
    if let Some(words) = declared(operation) {
        return firm(format!("the description says `{words}`"));
    }
    if let Some((sibling, refusal)) = refused_sibling(cx, operation, who) {
        let mut found = firm(format!("{sibling} refuses the same identity"))?;
        found
            .evidence
            .push(cx.evidence(format!("{sibling} refuses {name}"), refusal));
        return Some(found);
    }
    None
}

/// Whether a text holds `value` as a whole word, so that `web` is not found in `website`.
fn holds(text: &str, value: &str) -> bool {
    text.match_indices(value).any(|(at, _)| {
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        !text[..at].ends_with(word) && !text[at + value.len()..].starts_with(word)
    })
}

/// Whether path, scopes or description say that it is for administrators.
fn is_for_admins(operation: &Operation) -> bool {
    operation.reaches(Reach::Admin)
        || operation
            .security
            .scopes
            .iter()
            .flatten()
            .any(|scope| mentions_admin(scope))
        || declared(operation).is_some()
}

/// What the description says of who may call it.
fn declared(operation: &Operation) -> Option<&'static str> {
    let text = operation.description.to_lowercase();
    [
        "admin only",
        "admins only",
        "administrators only",
        "only admin",
        "only administrators",
        "requires admin",
        "for administrators",
        "admin role",
        "operators only",
        "only operators",
        "superuser only",
    ]
    .into_iter()
    .find(|words| text.contains(words))
}

/// A declared scope that the identity does not have, where none of the alternatives is met.
fn missing_scope(cx: &Context, operation: &Operation, who: usize) -> Option<String> {
    let held = cx.identities()[who]
        .scopes
        .clone()
        .or_else(|| cx.jwt(who)?.scopes())?;
    let alternatives = &operation.security.scopes;
    let met = alternatives
        .iter()
        .any(|needed| needed.iter().all(|scope| held.contains(scope)));
    if met || alternatives.iter().any(Vec::is_empty) {
        return None;
    }
    alternatives
        .iter()
        .flatten()
        .find(|scope| !held.contains(scope))
        .cloned()
}

/// Another operation of the same part of the API that turns the identity away.
fn refused_sibling<'a>(
    cx: &'a Context,
    operation: &Operation,
    who: usize,
) -> Option<(&'a Operation, &'a Exchange)> {
    let part = admin_part(&operation.path)?;
    cx.operations()
        .iter()
        .filter(|known| known.index != operation.index && admin_part(&known.path) == Some(part))
        .find_map(|known| {
            let exchange = cx.baseline(known).valid.get(who)?.as_ref()?;
            (exchange.status() == Some(403)).then_some((known, &**exchange))
        })
}

/// The path up to and with the segment that names administrators.
fn admin_part(path: &str) -> Option<&str> {
    let mut end = 0;
    for segment in path.split('/') {
        end += segment.len();
        if mentions_admin(segment) {
            return Some(&path[..end]);
        }
        end += 1;
    }
    None
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::testing::{Request, Response, Sample, Samples, api};
    use serde_json::{Value, json};

    let description = || {
        api(
            json!({ "/boxes": { "get": {} }, "/admin/boxes": { "get": {} }, "/admin/health": { "get": {} } }),
        )
    };
    let scoped = || {
        let mut document =
            api(json!({ "/quotas": { "get": { "security": [{ "bearer": ["quotas:admin"] }] } } }));
        document["components"]["securitySchemes"]["bearer"] = json!({ "type": "oauth2", "flows": {
            "clientCredentials": { "tokenUrl": "/token", "scopes": { "quotas:admin": "all quotas" } } } });
        document
    };
    let boxes = || {
        vec![
            json!({ "id": "bx-a1", "owner": "alice" }),
            json!({ "id": "bx-b1", "owner": "bob" }),
        ]
    };
    let refused = || Response::json(401, json!({ "error": "token required" }));
    let service = move |checked: bool| {
        move |request: &Request| {
            let Some(subject) = request.subject() else {
                return refused();
            };
            match request.path() {
                "/boxes" => {
                    let mine = boxes()
                        .into_iter()
                        .filter(|item| item["owner"] == subject.as_str());
                    Response::json(200, mine.collect::<Value>())
                }
                // The same for everyone and about nobody: a name alone is no proof.
                "/admin/health" => Response::json(200, json!({ "up": true })),
                "/admin/boxes" if checked => Response::json(403, json!({ "error": "admins only" })),
                "/admin/boxes" => Response::json(200, Value::from(boxes())),
                _ => Response::json(404, json!({ "error": "no such path" })),
            }
        }
    };
    let quotas = move |checked: bool| {
        move |request: &Request| match request.subject() {
            None => refused(),
            Some(_) if checked => Response::json(403, json!({ "error": "insufficient_scope" })),
            Some(_) => Response::json(200, json!({ "quotas": [{ "tenant": "t1", "cpu": 4 }] })),
        }
    };
    Samples::new()
        .flawed(
            Sample::new("the boxes of all", description(), service(false))
                .reports(["GET /admin/boxes"]),
        )
        .flawed(
            Sample::new("a scope that is not looked at", scoped(), quotas(false))
                .reports(["GET /quotas"]),
        )
        .sound(Sample::new(
            "a scope that is looked at",
            scoped(),
            quotas(true),
        ))
        .sound(Sample::new(
            "health for all who administer or not",
            api(json!({ "/boxes": { "get": {} }, "/admin/health": { "get": {} } })),
            service(true),
        ))
        .sound(Sample::new(
            "a public catalogue",
            api(json!({ "/manage/plans": { "get": {} } })),
            |_: &Request| Response::json(200, json!([{ "id": "plan-small", "name": "small" }])),
        ))
}
