//! Small changes of an object that can be taken back: a label, a description, a name, or being
//! stopped and started.

use crate::{Auth, Context, Exchange, Operation, Request};
use hyper::Method;
use serde_json::{Map, Value, json};

/// Members whose change harms nobody, the most harmless first.
const HARMLESS: &[&str] = &[
    "labels",
    "label",
    "tags",
    "annotations",
    "metadata",
    "description",
    "note",
    "notes",
    "comment",
    "comments",
    "summary",
    "remark",
    "display_name",
    "displayName",
    "title",
    "text",
    "content",
    "message",
    "body",
    "name",
];

/// Actions and what undoes them.
const ACTIONS: &[(&str, &str)] = &[
    ("stop", "start"),
    ("start", "stop"),
    ("pause", "unpause"),
    ("unpause", "pause"),
    ("lock", "unlock"),
    ("archive", "unarchive"),
    ("disable", "enable"),
    ("enable", "disable"),
    ("star", "unstar"),
    ("close", "reopen"),
];

/// Which states an action has nothing to do in.
const STATES: &[(&str, &[&str])] = &[
    ("stop", &["stopped", "exited", "created", "dead"]),
    ("start", &["running", "up", "started", "active"]),
    ("pause", &["paused"]),
    ("enable", &["enabled", "active"]),
    ("disable", &["disabled", "inactive"]),
];

/// A change of a member: what to send, and what takes it back.
pub(crate) struct MemberChange {
    /// The name of the member.
    pub(crate) member: String,
    /// The body that changes it.
    pub(crate) body: Value,
    /// The body that puts back what was there.
    pub(crate) undo: Value,
}

/// How `operation` could change one harmless member of the object `now` so that it holds `mark`.
pub(crate) fn member_change(
    operation: &Operation,
    request: &Request,
    now: &Value,
    mark: &str,
) -> Option<MemberChange> {
    let spec = operation.body.as_ref().filter(|spec| spec.is_json())?;
    let declared = spec.schema["properties"].as_object();
    let sample = request.json_body();
    let sample = sample.as_ref().and_then(Value::as_object);
    let current = object_in(now)?;
    let known = |name: &str| {
        declared.is_some_and(|map| map.contains_key(name))
            || sample.is_some_and(|map| map.contains_key(name))
            || declared.is_none() && sample.is_none_or(Map::is_empty) && current.contains_key(name)
    };
    let member = HARMLESS.iter().find(|name| {
        known(name)
            && current
                .get(**name)
                .is_none_or(|value| changed(value, mark).is_some())
    })?;
    let before = current.get(*member).cloned();
    let kind = declared
        .and_then(|map| map.get(*member))
        .map(|schema| schema["type"].clone());
    let empty = match kind.as_ref().and_then(Value::as_str) {
        Some("object") => json!({}),
        Some("array") => json!([]),
        _ if sample
            .and_then(|map| map.get(*member))
            .is_some_and(Value::is_object) =>
        {
            json!({})
        }
        _ => json!(""),
    };
    let old = before.unwrap_or(empty);
    // What replaces the whole object takes its other members along as they are.
    let mut rest = Map::new();
    if operation.method != Method::PATCH {
        for name in declared
            .into_iter()
            .flat_map(Map::keys)
            .chain(sample.into_iter().flat_map(Map::keys))
        {
            if let Some(value) = current.get(name) {
                rest.insert(name.clone(), value.clone());
            } else if let Some(value) = sample.and_then(|map| map.get(name)) {
                rest.insert(name.clone(), value.clone());
            }
        }
    }
    let with = |value: Value| {
        let mut body = rest.clone();
        body.insert((*member).to_owned(), value);
        Value::Object(body)
    };
    Some(MemberChange {
        member: (*member).to_owned(),
        body: with(changed(&old, mark)?),
        undo: with(old),
    })
}

/// `value` with `mark` in it, of the same kind.
fn changed(value: &Value, mark: &str) -> Option<Value> {
    match value {
        Value::String(text) if text.is_empty() => Some(json!(mark)),
        Value::String(text) => Some(json!(format!("{text}-{mark}"))),
        Value::Null => Some(json!(mark)),
        Value::Object(map) if map.values().all(Value::is_string) => {
            let mut map = map.clone();
            map.insert("cofferdam-mark".to_owned(), json!(mark));
            Some(Value::Object(map))
        }
        Value::Array(list) if list.iter().all(Value::is_string) => {
            let mut list = list.clone();
            list.push(json!(mark));
            Some(Value::Array(list))
        }
        _ => None,
    }
}

/// The object itself, out of a wrapper with one member.
fn object_in(json: &Value) -> Option<&Map<String, Value>> {
    let map = json.as_object()?;
    match map.values().next() {
        Some(Value::Object(inner)) if map.len() == 1 => Some(inner),
        _ => Some(map),
    }
}

/// The operation that undoes `operation`, when it is an action that has an opposite.
pub(crate) fn opposite<'a>(cx: &'a Context, operation: &Operation) -> Option<&'a Operation> {
    let (object, action) = operation.path.rsplit_once('/')?;
    let (_, undo) = ACTIONS.iter().find(|(name, _)| *name == action)?;
    let path = format!("{object}/{undo}");
    cx.operations()
        .iter()
        .find(|known| known.path == path && known.method == operation.method && cx.may_send(known))
}

/// Whether `operation`, an action, would change the object `now` at all.
pub(crate) fn would_change(operation: &Operation, now: &Exchange) -> bool {
    let action = operation.path.rsplit('/').next().unwrap_or_default();
    let Some(states) = STATES
        .iter()
        .find(|(name, _)| *name == action)
        .map(|(_, states)| states)
    else {
        return true;
    };
    let state = state_in(now);
    !state
        .iter()
        .any(|(_, value)| states.contains(&value.as_str()))
}

/// The members of an object that say in which state it is.
pub(crate) fn state_in(exchange: &Exchange) -> Vec<(String, String)> {
    let Some(json) = exchange.json() else {
        return Vec::new();
    };
    super::leaves(json)
        .into_iter()
        .filter(|(at, _)| {
            let name = at.rsplit('/').next().unwrap_or_default().to_lowercase();
            matches!(
                name.as_str(),
                "status"
                    | "state"
                    | "running"
                    | "paused"
                    | "enabled"
                    | "locked"
                    | "archived"
                    | "active"
                    | "starred"
            )
        })
        .map(|(at, leaf)| match leaf {
            Value::String(text) => (at, text.to_lowercase()),
            other => (at, other.to_string()),
        })
        .collect()
}

/// The owner's request for `operation` on the object that `read` names: its parameters, the sample
/// body of `operation`.
pub(crate) fn on_object(
    cx: &Context,
    operation: &Operation,
    param: &str,
    id: &str,
    who: usize,
) -> Option<Request> {
    let request = cx.request(operation, who)?;
    Some(
        request
            .with_param(operation, param, id)
            .with_auth(Auth::Identity(who)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BodySpec;

    fn operation(method: Method, schema: Value) -> Operation {
        let mut operation = crate::inventory::operation(method.as_str(), "/boxes/{id}");
        operation.body = Some(BodySpec {
            content_type: "application/json".to_owned(),
            schema,
            example: None,
            required: true,
        });
        operation
    }

    #[test]
    fn a_change_takes_the_most_harmless_member_and_can_be_taken_back() {
        let now = json!({ "id": "b-1", "name": "web", "labels": { "team": "a" } });
        let request = Request::new(Method::PATCH, "/boxes/b-1", Auth::None);
        let schema = json!({ "properties": { "name": { "type": "string" }, "labels": { "type": "object" } } });
        let change = member_change(
            &operation(Method::PATCH, schema.clone()),
            &request,
            &now,
            "m1",
        )
        .unwrap();
        assert_eq!(
            change.body,
            json!({ "labels": { "team": "a", "cofferdam-mark": "m1" } })
        );
        assert_eq!(change.undo, json!({ "labels": { "team": "a" } }));
        let whole = member_change(&operation(Method::PUT, schema), &request, &now, "m1").unwrap();
        assert_eq!(
            whole.undo,
            json!({ "labels": { "team": "a" }, "name": "web" })
        );
    }

    #[test]
    fn a_password_is_never_changed() {
        let now = json!({ "id": "b-1", "password": "x", "email": "a@b.c" });
        let request = Request::new(Method::PUT, "/boxes/b-1", Auth::None);
        let schema = json!({ "properties": { "password": {}, "email": {} } });
        assert!(member_change(&operation(Method::PUT, schema), &request, &now, "m1").is_none());
    }
}
