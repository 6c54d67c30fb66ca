//! Objects of one identity that another one is not shown, and whether two answers are the same
//! object.

use super::{Tenants, leaves, succeeded};
use crate::{Auth, Context, Exchange, Halt, Operation, Request};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Identifiers that are tried for one parameter.
const AT_MOST: usize = 3;

/// A request for an object that its owner is shown and the other identity is not.
pub(crate) struct Foreign {
    /// The index of the identity whose object it is.
    pub(crate) owner: usize,
    /// The index of the identity that should not reach it.
    pub(crate) other: usize,
    /// The parameter that names the object.
    pub(crate) param: String,
    /// The identifier.
    pub(crate) id: String,
    /// The owner's request for it.
    pub(crate) request: Request,
}

impl Foreign {
    /// The same request as the other identity.
    pub(crate) fn as_other(&self) -> Request {
        self.request.clone().with_auth(Auth::Identity(self.other))
    }

    /// The other identity's request for an object of the same kind that does not exist.
    pub(crate) fn absent(&self, cx: &Context, operation: &Operation) -> Request {
        let invented = invented(&self.id, &cx.nonce());
        self.as_other()
            .with_param(operation, &self.param, &invented)
    }
}

/// The foreign objects of `operation`, for both directions, at most [`AT_MOST`] for each.
pub(crate) fn foreign(cx: &Context, tenants: &Tenants, operation: &Operation) -> Vec<Foreign> {
    let mut found = Vec::new();
    let names: Vec<&str> = identifiers(operation);
    for (owner, other) in tenants.pairs() {
        for name in &names {
            let Some(request) = cx
                .request(operation, owner)
                .or_else(|| bare(operation, owner))
            else {
                continue;
            };
            let exclusive = cx
                .harvest(owner, operation, name)
                .into_iter()
                .filter(|id| tenants.was_shown(owner, id) && !tenants.was_shown(other, id));
            for id in exclusive.take(AT_MOST) {
                found.push(Foreign {
                    owner,
                    other,
                    param: (*name).to_owned(),
                    request: request.clone().with_param(operation, name, &id),
                    id,
                });
            }
        }
    }
    found
}

/// The objects of `operation` that a list shows to both and that name their owner there; for both
/// directions. That they are listed says that they are no secret, not that all of them is none.
pub(crate) fn listed(cx: &Context, tenants: &Tenants, operation: &Operation) -> Vec<Foreign> {
    let mut found = Vec::new();
    let Some(name) = identifiers(operation).into_iter().next() else {
        return found;
    };
    for (owner, other) in tenants.pairs() {
        let Some(request) = cx.request(operation, owner) else {
            continue;
        };
        let ids = cx
            .harvest(owner, operation, name)
            .into_iter()
            .filter(|id| tenants.was_shown(other, id) && names_owner(cx, owner, id));
        for id in ids.take(AT_MOST) {
            let request = request.clone().with_param(operation, name, &id);
            found.push(Foreign {
                owner,
                other,
                param: name.to_owned(),
                id,
                request,
            });
        }
    }
    found
}

/// Whether a list that the identity is shown holds this text.
pub(crate) fn in_a_list(cx: &Context, who: usize, text: &str) -> bool {
    cx.operations()
        .iter()
        .filter(|operation| !operation.path.contains('{'))
        .filter_map(|operation| cx.baseline(operation).valid.get(who)?.as_ref())
        .any(|exchange| super::shown(exchange, text))
}

/// Whether a list has an element with this identifier that says it is the identity's.
fn names_owner(cx: &Context, who: usize, id: &str) -> bool {
    let identity = &cx.identities()[who].name;
    let subject = cx.jwt(who).and_then(|jwt| jwt.text("sub"));
    let is_owner = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| text == identity || Some(text) == subject)
    };
    cx.operations()
        .iter()
        .filter(|operation| !operation.path.contains('{'))
        .any(|operation| {
            let answer = cx
                .baseline(operation)
                .valid
                .get(who)
                .and_then(Option::as_ref);
            let Some(json) = answer.and_then(|exchange| exchange.json()) else {
                return false;
            };
            elements(json).into_iter().any(|element| {
                element.values().any(|value| value.as_str() == Some(id))
                    && element.iter().any(|(name, value)| {
                        let word = super::words(name).pop().unwrap_or_default();
                        matches!(
                            word.as_str(),
                            "owner" | "user" | "username" | "author" | "tenant" | "by" | "creator"
                        ) && is_owner(value)
                    })
            })
        })
}

/// The objects in the lists of a document.
fn elements(json: &Value) -> Vec<&serde_json::Map<String, Value>> {
    match json {
        Value::Array(list) => list.iter().filter_map(Value::as_object).collect(),
        Value::Object(map) => map.values().flat_map(elements).collect(),
        _ => Vec::new(),
    }
}

/// The parameters that could name an object: the last in the path, or a query parameter that ends
/// in `id`.
fn identifiers(operation: &Operation) -> Vec<&str> {
    let path = super::item_path(&operation.path)
        .and_then(|item| item.rsplit_once('{'))
        .map(|(_, name)| name.trim_end_matches('}'));
    let query = operation
        .params
        .iter()
        .filter(|param| param.place == crate::ParamIn::Query)
        .filter(|param| {
            super::words(&param.name)
                .last()
                .is_some_and(|word| word == "id" || word == "uuid")
        })
        .map(|param| param.name.as_str());
    path.into_iter().chain(query).collect()
}

/// A request without a value for its parameters, where there is one parameter alone.
fn bare(operation: &Operation, who: usize) -> Option<Request> {
    let only = operation
        .params
        .iter()
        .filter(|param| param.required)
        .count()
        == 1;
    (only && operation.body.is_none())
        .then(|| Request::for_operation(operation, Vec::new(), Auth::Identity(who)))
}

/// An identifier of the look of `id` that nothing has.
fn invented(id: &str, nonce: &str) -> String {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) {
        // Within 32 bits, so that it is refused for being absent and not for being no number.
        return "2147483599".to_owned();
    }
    // Same length, same kind of character at each place.
    let mut random = nonce.bytes().chain(nonce.bytes().rev()).cycle();
    id.chars()
        .map(|c| {
            let value = u32::from(random.next().unwrap_or(b'7'));
            match c {
                '0'..='9' => char::from_digit(value % 10, 10),
                'a'..='f' => char::from_digit(10 + value % 6, 16),
                'g'..='z' => char::from_u32(u32::from('g') + value % 20),
                'A'..='F' => char::from_digit(10 + value % 6, 16).map(|c| c.to_ascii_uppercase()),
                'G'..='Z' => char::from_u32(u32::from('G') + value % 20),
                _ => Some(c),
            }
            .unwrap_or(c)
        })
        .collect()
}

/// What an object says, without what differs between two readings of its owner.
pub(crate) struct Content {
    members: BTreeMap<String, Value>,
    text: Option<String>,
}

impl Content {
    /// From two readings of the owner, the second one fresh.
    pub(crate) fn of(first: &Exchange, second: &Exchange) -> Option<Self> {
        match (first.json(), second.json()) {
            (Some(first), Some(second)) => {
                let second: BTreeMap<String, &Value> = leaves(second).into_iter().collect();
                let members: BTreeMap<String, Value> = leaves(first)
                    .into_iter()
                    .filter(|(at, value)| second.get(at) == Some(value))
                    .map(|(at, value)| (at, value.clone()))
                    .collect();
                (!members.is_empty()).then_some(Self {
                    members,
                    text: None,
                })
            }
            (None, None) => {
                let text = first.text().into_owned();
                (!text.trim().is_empty() && text == second.text()).then_some(Self {
                    members: BTreeMap::new(),
                    text: Some(text),
                })
            }
            _ => None,
        }
    }

    /// Whether an answer says the same: nearly every member, so that one that names the caller or
    /// counts the calls does not hide it.
    pub(crate) fn is_in(&self, exchange: &Exchange) -> bool {
        if !succeeded(exchange) {
            return false;
        }
        if let Some(text) = &self.text {
            return exchange.text() == text.as_str();
        }
        let Some(json) = exchange.json() else {
            return false;
        };
        let there: BTreeMap<String, &Value> = leaves(json).into_iter().collect();
        let same = self
            .members
            .iter()
            .filter(|(at, value)| there.get(*at) == Some(value))
            .count();
        same * 10 >= self.members.len() * 8 && same > 0
    }

    /// A value of some length in it that `other` was never shown: what makes it the owner's.
    pub(crate) fn telling(
        &self,
        tenants: &Tenants,
        other: usize,
        exchange: &Exchange,
    ) -> Option<String> {
        if let Some(text) = &self.text {
            let line = text.lines().find(|line| line.trim().len() >= 4)?;
            return Some(line.chars().take(80).collect());
        }
        let there: BTreeMap<String, &Value> = leaves(exchange.json()?).into_iter().collect();
        self.members
            .iter()
            .filter(|(at, value)| there.get(*at) == Some(value))
            .filter_map(|(_, value)| value.as_str())
            .filter(|value| value.len() >= 3 && !tenants.was_shown(other, value))
            .max_by_key(|value| value.len().min(80))
            .map(|value| value.chars().take(80).collect())
    }

    /// The texts in it.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        self.members.values().filter_map(Value::as_str)
    }

    /// A member whose name says that it is its owner's alone, and that has a value.
    pub(crate) fn private_member(&self) -> Option<(&str, &str)> {
        self.members.iter().find_map(|(at, value)| {
            let name = at.rsplit('/').next().unwrap_or_default();
            let private = super::words(name).iter().any(|word| {
                matches!(
                    word.as_str(),
                    "secret" | "private" | "confidential" | "password" | "ssn" | "iban"
                )
            });
            let text = value.as_str()?;
            (private && text.len() >= 3).then_some((name, text))
        })
    }

    /// Whether the object says of itself that others may see it.
    pub(crate) fn is_shared(&self) -> bool {
        self.members.iter().any(|(at, value)| {
            let name = at.rsplit('/').next().unwrap_or_default().to_lowercase();
            match (name.as_str(), value) {
                (
                    "public" | "is_public" | "ispublic" | "shared" | "is_shared",
                    Value::Bool(yes),
                ) => *yes,
                ("visibility" | "access" | "scope" | "sharing", Value::String(word)) => {
                    matches!(
                        word.to_lowercase().as_str(),
                        "public" | "shared" | "everyone" | "global" | "internal"
                    )
                }
                _ => false,
            }
        })
    }
}

/// Reads as the owner twice, the second time fresh: the content, and the first answer.
pub(crate) async fn owned(
    cx: &Context,
    foreign: &Foreign,
) -> Result<Option<(Content, Arc<Exchange>)>, Halt> {
    let first = cx.send(foreign.request.clone()).await?;
    if !succeeded(&first) {
        return Ok(None);
    }
    let second = cx.send_fresh(foreign.request.clone()).await?;
    Ok(Content::of(&first, &second).map(|content| (content, first)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_invented_identifier_looks_like_a_real_one() {
        let nonce = "a1b2c3d4e5f6g7h8";
        assert_eq!(invented("42", nonce), "2147483599");
        let uuid = invented("3f2b8c1e-0d4a-4b5c-8d9e-0f1a2b3c4d5e", nonce);
        assert!(uuid.len() == 36 && uuid.split('-').count() == 5, "{uuid}");
        assert!(
            uuid.chars().all(|c| c.is_ascii_hexdigit() || c == '-'),
            "{uuid}"
        );
        assert_ne!(invented("c-bob-web", nonce), "c-bob-web");
    }

    proptest! {
        #[test]
        fn an_invented_identifier_keeps_its_length(id in "[a-zA-Z0-9_-]{1,40}") {
            prop_assume!(!id.bytes().all(|byte| byte.is_ascii_digit()));
            prop_assert_eq!(invented(&id, "k2m4p6q8r1s3t5v7").len(), id.len());
        }
    }
}
