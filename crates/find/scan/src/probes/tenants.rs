//! What belongs to whom: the identities that are nobody special, and what only one of them was
//! shown.

use crate::{Context, Identity, Operation, ParamIn, Reach};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What each identity was shown in the baseline.
pub(crate) struct Tenants {
    /// The identities, by index, that are not obviously administrators.
    pub(crate) ordinary: Vec<usize>,
    shown: BTreeMap<usize, BTreeSet<String>>,
    /// Those of them that name something: an identifier, a name.
    names: BTreeMap<usize, BTreeSet<String>>,
}

impl Tenants {
    /// From the baselines of the whole scan. An answer counts where the identity asked for nothing
    /// by name, or for something that it had been shown before: where it has no object of its own,
    /// the baseline asks with somebody else's.
    pub(crate) fn of(cx: &Context) -> Self {
        let identities = cx.identities().len();
        let mut shown: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        let mut names: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        let mut taken: BTreeSet<(usize, usize)> = BTreeSet::new();
        // Lists lead to objects, objects to their parts.
        for _ in 0..4 {
            for operation in cx
                .operations()
                .iter()
                .filter(|operation| is_a_callers(operation))
            {
                for who in 0..identities {
                    let Some(Some(exchange)) = cx.baseline(operation).valid.get(who) else {
                        continue;
                    };
                    let own = shown.entry(who).or_default();
                    if taken.contains(&(operation.index, who))
                        || !super::succeeded(exchange)
                        || !names_only(cx, operation, who, own)
                    {
                        continue;
                    }
                    taken.insert((operation.index, who));
                    let Some(json) = exchange.json() else {
                        continue;
                    };
                    if super::list_of_containers(json).is_some_and(|ids| !ids.is_empty()) {
                        // An engine that is shown in the raw tells everyone of everything.
                        continue;
                    }
                    let named = names.entry(who).or_default();
                    for (at, leaf) in super::leaves(json) {
                        let Some(text) = text_of(leaf) else { continue };
                        if is_name(&at) {
                            named.insert(text.clone());
                        }
                        own.insert(text);
                    }
                }
            }
        }
        let ordinary = (0..identities).filter(|who| !is_admin(cx, *who)).collect();
        Self {
            ordinary,
            shown,
            names,
        }
    }

    /// Every ordered pair of different ordinary identities: (owner, other).
    pub(crate) fn pairs(&self) -> Vec<(usize, usize)> {
        self.ordinary
            .iter()
            .flat_map(|owner| self.ordinary.iter().map(move |other| (*owner, *other)))
            .filter(|(owner, other)| owner != other)
            .collect()
    }

    /// Whether the identity was shown this value anywhere.
    pub(crate) fn was_shown(&self, who: usize, value: &str) -> bool {
        self.shown
            .get(&who)
            .is_some_and(|seen| seen.contains(value))
    }

    /// Identifiers and names of some length that `owner` was shown and `other` was not.
    pub(crate) fn only(&self, owner: usize, other: usize) -> BTreeSet<&str> {
        self.names
            .get(&owner)
            .into_iter()
            .flatten()
            .filter(|value| value.len() >= 4 && !is_time(value) && !self.was_shown(other, value))
            .map(String::as_str)
            .collect()
    }
}

/// Whether an identity says of itself, or its user said of it, that it administers.
pub(crate) fn is_admin(cx: &Context, who: usize) -> bool {
    let Some(identity) = cx.identities().get(who) else {
        return false;
    };
    let claimed = cx.jwt(who).is_some_and(|jwt| {
        [
            "scope",
            "scp",
            "role",
            "roles",
            "groups",
            "permissions",
            "realm_access",
            "admin",
            "is_admin",
        ]
        .iter()
        .filter_map(|name| Some((*name, jwt.claims.get(*name)?)))
        .any(|(name, value)| match value {
            Value::Bool(yes) => *yes && name.contains("admin"),
            other => mentions_admin(&other.to_string()),
        })
    });
    claimed || said_to_be_admin(identity)
}

/// Whether what an operation answers is meant for its caller alone. What administers, and what a
/// model says, may tell of others without their objects being shared by design.
fn is_a_callers(operation: &Operation) -> bool {
    !operation.reaches(Reach::Admin) && !operation.reaches(Reach::Agent)
}

/// Whether the member at this pointer names something.
fn is_name(at: &str) -> bool {
    let member = at
        .rsplit('/')
        .find(|part| part.parse::<usize>().is_err())
        .unwrap_or_default();
    super::words(member).last().is_some_and(|word| {
        matches!(
            word.as_str(),
            "id" | "ids"
                | "uuid"
                | "guid"
                | "name"
                | "names"
                | "title"
                | "slug"
                | "key"
                | "ref"
                | "code"
                | "username"
                | "handle"
                | "email"
                | "owner"
                | "tenant"
        )
    })
}

/// Whether every object that the request of `who` names is in `own`.
fn names_only(cx: &Context, operation: &Operation, who: usize, own: &BTreeSet<String>) -> bool {
    let names: Vec<&str> = operation
        .params
        .iter()
        .filter(|param| param.place == ParamIn::Path)
        .map(|param| param.name.as_str())
        .collect();
    names.is_empty()
        || cx.request(operation, who).is_some_and(|request| {
            names.iter().all(|name| {
                request
                    .param(operation, name)
                    .is_some_and(|value| own.contains(&value))
            })
        })
}

fn said_to_be_admin(identity: &Identity) -> bool {
    mentions_admin(&identity.name)
        || identity
            .scopes
            .iter()
            .flatten()
            .any(|scope| mentions_admin(scope))
}

/// Whether a whole word of `text` names an administrator.
pub(crate) fn mentions_admin(text: &str) -> bool {
    super::words(text).iter().any(|word| {
        matches!(
            word.as_str(),
            "admin"
                | "admins"
                | "administrator"
                | "administrators"
                | "root"
                | "superuser"
                | "sysadmin"
        )
    })
}

fn text_of(leaf: &Value) -> Option<String> {
    match leaf {
        Value::String(text) if !text.is_empty() && text.len() <= 4096 => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether it looks like a point in time, which differs without telling anything.
fn is_time(value: &str) -> bool {
    let bytes = value.as_bytes();
    let dated = bytes.len() >= 10
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[7] == b'-';
    dated || (value.parse::<f64>().is_ok() && value.len() >= 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrator_is_named_by_a_whole_word() {
        for text in [
            "admin",
            "containers:admin",
            r#"["user","ADMIN"]"#,
            "isAdmin",
        ] {
            assert!(mentions_admin(text), "{text}");
        }
        for text in ["alice", "administrative-assistant", "badminton", "rooted"] {
            assert!(!mentions_admin(text), "{text}");
        }
    }

    #[test]
    fn a_point_in_time_tells_nothing() {
        assert!(is_time("2026-11-24T09:00:00Z") && is_time("1790000000"));
        assert!(!is_time("c-12345") && !is_time("9f8e7d6c5b4a"));
    }
}
