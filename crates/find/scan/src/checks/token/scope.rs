//! An operation does not ask for the scope that it declares.
//!
//! # What it finds
//! Operations for which the API description names a scope, and which accept a token without it.
//!
//! # Why it matters
//! Scopes are what makes a token for reading one for reading only. Where an operation does not look
//! at them, the smallest token that anyone holds does everything.
//!
//! # How it is proved
//! An identity whose own token lacks every declared scope, and any scope that could imply it, is
//! given what it asks for. Or, with the issuer's key (`--signing-key`, or a secret that was
//! guessed): the claims of an identity are signed again as a control, which must be accepted, and
//! once more with a scope that nothing asks for. It is reported where the second is answered like
//! the first. Operations that declare no scope are not judged, nor are tokens that carry none.
//!
//! # How to fix
//! Declare the scope where the route is declared, so that a route without one cannot be served, and
//! compare whole scopes. Answer 403 with `insufficient_scope`.
//!
//! # References
//! - RFC 6750, section 3.1 (`insufficient_scope`); RFC 9700, section 2.3
//! - CWE-862 Missing Authorization
//! - OWASP API5:2023 Broken Function Level Authorization

use crate::forge::{Answered, Case, Drive, negative};
use crate::{Context, Halt, Operation, Outcome, Reach};
use cofferdam_finding::{Confidence, Meta, Severity, State};

pub(crate) static META: Meta = Meta {
    id: "token.scope",
    title: "An operation does not ask for the scope that it declares",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Compare the token's scopes, as whole words, with the one that the route needs, \
                  before the handler runs; answer 403 with `insufficient_scope`.",
    cwe: &[862, 863],
    owasp_api: Some("API5:2023"),
    attack: &["T1550.001"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let all = Case::all(cx);
    let none = if all.is_empty() {
        Case::none(cx)
    } else {
        "the API description declares no scopes".to_owned()
    };
    let cases = all
        .into_iter()
        .filter(|case| declares_scopes(case.operation))
        .collect();
    let drive = Drive {
        meta: &META,
        does: [
            "operation declares a scope and accepts a token without it",
            "operations declare a scope and accept a token without it",
        ],
        none,
    };
    drive
        .run(
            cx,
            cases,
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
    for who in cx.baseline(case.operation).accepted() {
        let Some(token) = cx.forge().compact(*who) else {
            continue;
        };
        let own = Case {
            who: *who,
            token,
            ..case
        };
        let Some((_, held)) = token.scopes() else {
            continue;
        };
        if own.is_welcome(cx) && lacks(&held, &case.operation.security.scopes) {
            let shows = format!(
                "the token of {} has none of the declared scopes ({}) and is accepted",
                cx.identities()[*who].name,
                declared(case.operation)
            );
            return own.own_hit(cx, shows).await;
        }
    }
    if !case.is_welcome(cx) {
        return Ok(Answered::Unclear(
            "it gives nobody what is asked for".to_owned(),
        ));
    }
    let marker = &cx.forge().marker;
    case.try_negatives(cx, |control| {
        let other = negative::other_scope(control, marker)
            .ok_or_else(|| "the tokens carry no scopes".to_owned())?;
        let label = format!(
            "the same claims without any declared scope ({})",
            declared(case.operation)
        );
        Ok(vec![(label, other)])
    })
    .await
}

/// Whether every way to call the operation needs a scope.
fn declares_scopes(operation: &Operation) -> bool {
    let scopes = &operation.security.scopes;
    !scopes.is_empty() && scopes.iter().all(|needed| !needed.is_empty())
}

fn declared(operation: &Operation) -> String {
    let mut names: Vec<&str> = operation
        .security
        .scopes
        .iter()
        .flatten()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(4);
    names.join(", ")
}

/// Whether each alternative needs a scope that `held` neither has nor could imply.
fn lacks(held: &[String], alternatives: &[Vec<String>]) -> bool {
    alternatives.iter().all(|needed| {
        needed
            .iter()
            .any(|needed| !held.iter().any(|held| implies(held, needed)))
    })
}

/// Whether a service could mean `needed` by `held`: the same, a wildcard, a parent, an
/// administrator's, or a stronger verb on the same thing. A doubt is no finding.
fn implies(held: &str, needed: &str) -> bool {
    let separators = [':', '.', '/'];
    let split = |scope: &str| match scope.rfind(separators) {
        Some(at) => (scope[..at].to_owned(), scope[at + 1..].to_owned()),
        None => (String::new(), scope.to_owned()),
    };
    let strong = |word: &str| {
        [
            "admin", "all", "full", "root", "super", "owner", "manage", "write", "*",
        ]
        .iter()
        .any(|strong| word.to_lowercase().contains(strong))
    };
    let ((held_of, held_verb), (needed_of, needed_verb)) = (split(held), split(needed));
    held == needed
        || held.contains('*')
        || (held_of.is_empty() && strong(held) && !held_verb.contains("write"))
        || needed
            .strip_prefix(held)
            .is_some_and(|rest| rest.starts_with(separators))
        || (held_of == needed_of && strong(&held_verb) && !strong(&needed_verb))
        || (held_of == needed_of && strong(&held_verb) && held_verb != "write")
        || (strong(&held_of) && !strong(&needed_of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_could_imply_the_needed_one_is_no_lack() {
        for (held, needed) in [
            ("a:read", "a:read"),
            ("a:write", "a:read"),
            ("a", "a:read"),
            ("a:*", "a:read"),
            ("admin", "a:write"),
            ("a:admin", "a:write"),
            ("admin:all", "a:read"),
        ] {
            assert!(implies(held, needed), "{held} {needed}");
        }
        for (held, needed) in [
            ("a:read", "a:write"),
            ("a:read", "b:read"),
            ("a:write", "a:admin"),
            ("read", "write"),
            ("a:read-write-ish", "b:read"),
            ("openid", "a:read"),
        ] {
            assert!(!implies(held, needed), "{held} {needed}");
        }
    }

    #[test]
    fn every_alternative_must_be_out_of_reach() {
        let scopes = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let needed = [scopes("a:read b:read"), scopes("c:read")];
        assert!(lacks(&scopes("a:read"), &needed));
        assert!(!lacks(&scopes("a:read b:read"), &needed));
        assert!(!lacks(&scopes("c:read"), &needed));
    }
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::Identity;
    use crate::forge::testing::{forbidden, notes, refused, signing_key};
    use crate::testing::{Request, Sample, Samples, api, now, sign, verify};
    use serde_json::{Value, json};

    let description = || {
        api(json!({
            "/notes": { "get": { "security": [{ "bearer": ["notes:read"] }] } },
            "/plain": { "get": {} },
        }))
    };
    let sample = |name, held: &'static str, looks: bool| {
        Sample::new(name, description(), move |request: &Request| {
            let Some(claims) = request.bearer().and_then(verify) else {
                return refused();
            };
            let scopes = claims["scope"].as_str().unwrap_or_default();
            let has = scopes
                .split(' ')
                .any(|scope| scope == "notes:read" || scope == "notes:write");
            if looks && request.path() == "/notes" && !has {
                forbidden()
            } else {
                notes()
            }
        })
        .options(move |options| {
            let claims = json!({ "sub": "alice", "scope": held, "exp": now() + 3600 });
            options.identities = vec![Identity::new("alice", sign(&claims))];
            options.signing_key = Some(signing_key());
        })
    };
    let own = |name, held: Value| {
        sample(name, "", false).options(move |options| {
            let mut claims = json!({ "sub": "alice", "exp": now() + 3600 });
            if !held.is_null() {
                claims["scope"] = held;
            }
            options.identities = vec![Identity::new("alice", sign(&claims))];
        })
    };
    Samples::new()
        .flawed(sample("not looked at", "notes:read", false).reports(["GET /notes"]))
        .flawed(own("its own token lacks it", json!("jobs:read")).reports(["GET /notes"]))
        .sound(sample("looked at", "notes:read", true))
        .sound(sample("a stronger one implies it", "notes:write", true))
        .sound(own("a stronger one, no key", json!("notes:write")))
        .sound(own("tokens without scopes", Value::Null))
}
