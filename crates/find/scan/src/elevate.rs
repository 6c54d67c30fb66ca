//! What a forged token opens that no identity may: when the checks have shown that anyone can be
//! named in a token, somebody with more rights is named, and what opens is looked into.
//!
//! The operations that refuse every identity are asked with forged tokens of likely administrators:
//! usual names, names out of the service's own answers, and words of its refusals ("only the chef
//! may …"). Whom they let in becomes an identity of a second pass over those operations alone, whose
//! findings begin at [`State::ForgedIdentity`].

use crate::baseline::Runner;
use crate::client::Client;
use crate::forge::signing_key::SigningKey;
use crate::forge::{Case, Compact, Forged, Recipe, ask};
use crate::redact::Redactor;
use crate::{Check, Context, Event, Halt, Identity, Operation, Secret};
use cofferdam_finding::{Confidence, State};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Forged tokens that are sent to find one that opens more.
const TRIES: usize = 32;
/// Names that administrators have in many services.
const NAMES: [&str; 8] = [
    "admin",
    "administrator",
    "root",
    "superuser",
    "owner",
    "manager",
    "operator",
    "system",
];
/// Words of refusals that name nobody.
const PLAIN: [&str; 24] = [
    "only",
    "the",
    "are",
    "not",
    "you",
    "your",
    "this",
    "that",
    "for",
    "and",
    "may",
    "can",
    "get",
    "has",
    "have",
    "access",
    "denied",
    "forbidden",
    "authorized",
    "allowed",
    "permission",
    "detail",
    "message",
    "error",
];
/// The categories of checks that ask what an operation reaches; how tokens are judged is known.
const CATEGORIES: [&str; 4] = ["reach.", "input.", "expose.", "agent."];

/// Looks into what a forged identity opens. Findings, facts and notes go to `cx`.
///
/// # Errors
/// As [`Context::send`].
pub(crate) async fn elevate(
    cx: &Context,
    selected: &[&'static Check],
    cancel: &CancellationToken,
) -> Result<(), Halt> {
    let forged = cx.findings().iter().any(|finding| {
        finding.grants.contains(&State::ForgedIdentity) && finding.confidence >= Confidence::Firm
    });
    let closed: Vec<&Operation> = cx
        .operations()
        .iter()
        .filter(|operation| refuses_everyone(cx, operation))
        .collect();
    let Some(first) = closed.first().filter(|_| forged) else {
        return Ok(());
    };
    let Some((recipe, token, who)) = accepted_recipe(cx).await? else {
        return Ok(());
    };
    for (name, claims) in candidates(cx, &token, &closed).into_iter().take(TRIES) {
        let Some(made) = recipe.forge(&claims) else {
            continue;
        };
        if !opens(cx, first, who, &made).await? {
            continue;
        }
        let Forged { token, .. } = made;
        let named = format!("forged: {name}");
        cx.note(format!(
            "a forged token for `{name}` opens {first}, which refuses every identity; what it \
             opens was looked into"
        ));
        let identity = Identity {
            name: named,
            token,
            ..cx.identities()[who].clone()
        };
        return second_pass(cx, identity, &closed, selected, cancel).await;
    }
    Ok(())
}

/// Whether everyone is known here and nobody may: a safe operation that answers 403 to each valid
/// token that it does not take for garbage.
fn refuses_everyone(cx: &Context, operation: &Operation) -> bool {
    let baseline = cx.baseline(operation);
    let mut statuses = baseline
        .valid
        .iter()
        .flatten()
        .map(|exchange| exchange.status());
    operation.is_safe()
        && cx.may_send(operation)
        && statuses.clone().any(|status| status == Some(403))
        && statuses.all(|status| matches!(status, Some(401 | 403)))
}

/// A way of forging that an operation accepts, with the token that it starts from and whose it is.
async fn accepted_recipe(cx: &Context) -> Result<Option<(Recipe, Compact, usize)>, Halt> {
    let mut recipes = vec![Recipe::tampered()];
    recipes.extend(Recipe::unsigned());
    recipes.extend(Recipe::alg_none());
    if let Some(secret) = cx.forge().guessed(cx).await {
        let key = Arc::new(SigningKey::hmac(secret.reveal()));
        recipes.push(Recipe::signed(
            "signed with the secret, which was guessed",
            key,
        ));
    }
    for case in Case::all(cx)
        .into_iter()
        .filter(|case| case.operation.is_safe())
    {
        for recipe in &recipes {
            if let Some(made) = recipe.forge(&case.marked(cx))
                && case.ask(cx, &made).await?.0.accepted()
            {
                return Ok(Some((recipe.clone(), case.token.clone(), case.who)));
            }
        }
    }
    Ok(None)
}

/// The claims of somebody with more rights, the likeliest first, each with a word for it.
fn candidates(cx: &Context, token: &Compact, closed: &[&Operation]) -> Vec<(String, Compact)> {
    let mut names: Vec<String> = Vec::new();
    for operation in closed {
        for exchange in cx.baseline(operation).valid.iter().flatten() {
            names.extend(words(&exchange.text()));
        }
    }
    names.extend(NAMES.map(str::to_owned));
    for operation in cx.operations() {
        for exchange in cx.baseline(operation).valid.iter().flatten() {
            exchange
                .json()
                .into_iter()
                .for_each(|json| people(json, &mut names));
        }
    }
    let mut seen = BTreeSet::new();
    let mut found: Vec<(String, Compact)> = names
        .into_iter()
        .filter(|name| seen.insert(name.clone()))
        .map(|name| {
            let claims = with_rights(token.clone()).with_claim("sub", name.as_str());
            (name, claims)
        })
        .collect();
    // The caller's own name with the rights of an administrator, where the token carries rights.
    let own = with_rights(token.clone());
    if own.claims != token.claims {
        found.insert(0, ("the caller as an administrator".to_owned(), own));
    }
    found
}

/// Rights that the token names are set to those of an administrator.
fn with_rights(token: Compact) -> Compact {
    let claims: Vec<(String, Value)> = token
        .claims
        .iter()
        .filter_map(|(name, value)| {
            let lower = name.to_ascii_lowercase();
            let raised = match (lower.as_str(), value) {
                ("role" | "user_role" | "group", Value::String(_)) => Value::from("admin"),
                ("roles" | "groups" | "authorities", Value::Array(_)) => Value::from(vec!["admin"]),
                ("admin" | "is_admin" | "isadmin" | "superuser", Value::Bool(_)) => true.into(),
                _ => return None,
            };
            Some((name.clone(), raised))
        })
        .collect();
    claims
        .into_iter()
        .fold(token, |token, (name, value)| token.with_claim(&name, value))
}

/// The words of a refusal that may name who is not refused, in lower case.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| (3..=24).contains(&word.len()))
        .map(str::to_lowercase)
        .filter(|word| !PLAIN.contains(&word.as_str()))
        .take(12)
        .collect()
}

/// Names of people in an answer.
fn people(json: &Value, names: &mut Vec<String>) {
    match json {
        Value::Array(list) => list.iter().take(20).for_each(|item| people(item, names)),
        Value::Object(map) => {
            for (member, value) in map {
                let lower = member.to_ascii_lowercase();
                let person = matches!(
                    lower.as_str(),
                    "username" | "user" | "login" | "owner" | "sub"
                );
                match value {
                    Value::String(name) if person && (1..=64).contains(&name.len()) => {
                        names.push(name.clone());
                    }
                    Value::Array(_) | Value::Object(_) => people(value, names),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

async fn opens(
    cx: &Context,
    operation: &Operation,
    who: usize,
    made: &Forged,
) -> Result<bool, Halt> {
    let (_, exchange) = ask::ask(cx, operation, who, made).await?;
    Ok(exchange.is_some_and(|exchange| {
        exchange
            .status()
            .is_some_and(|status| (200..300).contains(&status))
            && cx.welcome(&exchange)
    }))
}

/// Scans the operations that were closed, as the forged identity alone.
async fn second_pass(
    cx: &Context,
    identity: Identity,
    closed: &[&Operation],
    selected: &[&'static Check],
    cancel: &CancellationToken,
) -> Result<(), Halt> {
    let mut known = cx.options.identities.clone();
    known.push(identity.clone());
    let key = cx.options.signing_key.as_ref().map(Secret::reveal);
    let redactor = Arc::new(Redactor::new(&known, key));
    let mut options = cx.options.clone();
    options.identities = vec![identity];
    options.limits.requests = options.limits.requests.saturating_sub(cx.client.requests());
    // The first client was made from the same options, so this one can be made as well.
    let Ok(client) = Client::new(&options, Arc::clone(&redactor), cancel.clone()) else {
        return Ok(());
    };
    let pass = Context::new(options, client, redactor, Box::new(|_: Event| ()));
    let operations = closed
        .iter()
        .enumerate()
        .map(|(index, operation)| Operation {
            index,
            ..(*operation).clone()
        });
    let (operations, baselines) = pass.open(operations.collect());
    let runner = Runner {
        options: &pass.options,
        client: &pass.client,
        operations,
        baselines,
        progress: &*pass.progress,
    };
    let ran = async {
        runner.run().await?;
        baselines.close(operations, &pass.options, "not sent");
        for check in selected {
            let about = CATEGORIES
                .iter()
                .any(|category| check.meta.id.starts_with(category));
            if about && (!check.meta.active || pass.options.level >= crate::Level::Active) {
                (check.run)(&pass).await?;
            }
        }
        baselines.made.undo(&pass.client).await
    };
    let ran = ran.await;
    // What was found stays, even when the pass was cut short.
    cx.client.count(pass.client.requests());
    cx.learn(&pass.facts());
    for note in pass.notes() {
        cx.note(note);
    }
    for mut finding in pass.findings() {
        if finding.from == State::TokenHolder {
            finding = finding.from(State::ForgedIdentity);
        }
        cx.report(finding);
    }
    ran
}

#[cfg(test)]
mod tests;
