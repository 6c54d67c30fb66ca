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

use crate::forge::ask::grounds;
use crate::forge::{Answered, Case, Drive, Hit, negative};
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
    let cases = Case::all(cx);
    let operations: Vec<&Operation> = cx
        .protected()
        .filter(|operation| cx.may_send(operation) && declares_scopes(operation))
        .collect();
    let none = if cx.protected().next().is_none() {
        Case::none(cx)
    } else {
        "the API description declares no scopes".to_owned()
    };
    let answers = cx
        .each(operations, |operation| {
            let case = cases
                .iter()
                .find(|case| case.operation.index == operation.index)
                .copied();
            try_one(cx, operation, case)
        })
        .await?;
    let drive = Drive {
        meta: &META,
        does: [
            "operation declares a scope and accepts a token without it",
            "operations declare a scope and accept a token without it",
        ],
        none,
    };
    Ok(drive.sum_up(cx, answers, |finding, operations| {
        let admin = operations.iter().any(|op| op.reaches(Reach::Admin));
        finding.grants(admin.then_some(State::Admin))
    }))
}

async fn try_one<'a>(
    cx: &'a Context,
    operation: &'a Operation,
    case: Option<Case<'a>>,
) -> Result<Answered<'a>, Halt> {
    if let Some(case) = &case
        && !case.verifies(cx).await?
    {
        return Ok(Answered::Subsumed);
    }
    let baseline = cx.baseline(operation);
    for who in baseline.accepted() {
        let valid = baseline.valid.get(*who).and_then(Option::as_ref);
        let (Some(held), Some(valid)) = (held(cx, *who), valid) else {
            continue;
        };
        if !cx.welcome(valid) || !lacks(&held, &operation.security.scopes) {
            continue;
        }
        return Ok(match grounds(cx, operation, *who).await? {
            Ok(mut pieces) => {
                let shows = format!(
                    "the token of {} has none of the declared scopes ({}) and is accepted",
                    cx.identities()[*who].name,
                    declared(operation)
                );
                pieces.push(cx.evidence(shows, valid));
                Answered::Accepted(Hit::new(cx, operation, *who, pieces))
            }
            Err(reason) => Answered::Unclear(reason),
        });
    }
    let Some(case) = case else {
        let reason = "the scopes of an opaque token are not known".to_owned();
        return Ok(Answered::Unclear(reason));
    };
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
            declared(operation)
        );
        Ok(vec![(label, other)])
    })
    .await
}

/// The scopes of an identity: those that its token carries, else those that the user said it has.
fn held(cx: &Context, who: usize) -> Option<Vec<String>> {
    let identity = cx.identities().get(who)?;
    cx.jwt(who)
        .and_then(crate::Jwt::scopes)
        .or_else(|| identity.scopes.clone())
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
    const SEPARATORS: [char; 3] = [':', '.', '/'];
    const ALL: [&str; 9] = [
        "*", "admin", "all", "full", "root", "super", "owner", "manage", "any",
    ];
    let split = |scope: &str| -> (String, String) {
        let lower = scope.to_lowercase();
        match lower.rsplit_once(SEPARATORS) {
            Some((thing, verb)) => (thing.to_owned(), verb.to_owned()),
            None => (String::new(), lower),
        }
    };
    let says_all = |text: &str| ALL.iter().any(|word| text.contains(word));
    let says_write = |text: &str| {
        ["write", "edit", "update", "rw"]
            .iter()
            .any(|word| text.contains(word))
    };
    let ((held_thing, held_verb), (needed_thing, needed_verb)) = (split(held), split(needed));
    let parent = needed
        .strip_prefix(held)
        .is_some_and(|rest| rest.starts_with(SEPARATORS));
    let of_everything = says_all(&held_thing) || (held_thing.is_empty() && says_all(&held_verb));
    let stronger = held_thing == needed_thing
        && (says_all(&held_verb) || (says_write(&held_verb) && !says_all(&needed_verb)));
    held == needed || parent || of_everything || stronger
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
    let opaque = |name, held: &'static str| {
        const TOKEN: &str = "q8Zt2vXn5Lk9pRw3sYc7Hd1Gb6Je4Mf0";
        Sample::new(name, description(), |request: &Request| {
            match request.bearer() {
                Some(TOKEN) => notes(),
                _ => refused(),
            }
        })
        .options(move |options| {
            let mut identity = Identity::new("alice", TOKEN);
            identity.scopes = Some(vec![held.to_owned()]);
            options.identities = vec![identity];
        })
    };
    Samples::new()
        .flawed(sample("not looked at", "notes:read", false).reports(["GET /notes"]))
        .flawed(own("its own token lacks it", json!("jobs:read")).reports(["GET /notes"]))
        .sound(sample("looked at", "notes:read", true))
        .sound(sample("a stronger one implies it", "notes:write", true))
        .sound(own("a stronger one, no key", json!("notes:write")))
        .sound(own("tokens without scopes", Value::Null))
        .flawed(opaque("an opaque token with known scopes", "jobs:read").reports(["GET /notes"]))
        .sound(opaque("an opaque token that may", "notes:read"))
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
