//! Small steps into JSON of the engine's.

use serde_json::{Map, Value};

use crate::tenancy::mark;
use crate::tenancy::sight::Sight;

/// A member that is text; empty where it is none.
pub(super) fn text<'a>(object: &'a Map<String, Value>, member: &str) -> &'a str {
    object
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The same of what may be no object.
pub(super) fn text_of<'a>(value: &'a Value, member: &str) -> &'a str {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A member that is an object.
pub(super) fn object<'a>(
    object: &'a mut Map<String, Value>,
    member: &str,
) -> Option<&'a mut Map<String, Value>> {
    object.get_mut(member)?.as_object_mut()
}

/// The elements of a member that is a list; none where it is none.
pub(super) fn each<'a>(
    object: &'a mut Map<String, Value>,
    member: &str,
) -> impl Iterator<Item = &'a mut Value> {
    let list = object.get_mut(member).and_then(Value::as_array_mut);
    list.into_iter().flatten()
}

/// Empties the members that are text.
pub(super) fn blank(object: &mut Map<String, Value>, members: &[&str]) {
    for member in members {
        if let Some(value) = object.get_mut(*member)
            && value.is_string()
        {
            *value = "".into();
        }
    }
}

/// Puts a tenant's name in the place of the engine's. The engine writes containers' with a slash.
pub(super) fn rename(value: &mut Value, sight: &Sight) {
    let Some(text) = value.as_str() else { return };
    let (slash, name) = match text.strip_prefix('/') {
        Some(name) => ("/", name),
        None => ("", text),
    };
    let shown = sight.name(name);
    if shown.len() < name.len() {
        *value = format!("{slash}{shown}").into();
    }
}

/// The same for a member.
pub(super) fn rename_member(object: &mut Map<String, Value>, member: &str, sight: &Sight) {
    if let Some(value) = object.get_mut(member) {
        rename(value, sight);
    }
}

/// The same for the keys of a map, which stay in their order.
pub(super) fn rename_keys(map: &mut Map<String, Value>, sight: &Sight) {
    let members = std::mem::take(map);
    *map = members
        .into_iter()
        .map(|(name, value)| (sight.name(&name).to_owned(), value))
        .collect();
}

/// Takes the broker's marks out of the labels.
pub(super) fn hide_marks(object_with_labels: &mut Map<String, Value>) {
    if let Some(labels) = object(object_with_labels, "Labels") {
        labels.retain(|label, _| !label.starts_with(mark::PREFIX));
    }
}
