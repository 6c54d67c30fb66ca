//! A document within a request: the body, or a document in JSON or YAML in one of its members.

use crate::{Operation, Request};
use serde_json::{Map, Value};

/// Where a document stands in a request, and the document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    /// Where it stands.
    site: Site,
    /// What it says.
    pub(crate) value: Value,
    /// Its declared schema; `null` when there is none.
    pub(crate) schema: Value,
}

#[derive(Debug, Clone, PartialEq)]
enum Site {
    /// The whole body, in JSON; YAML reads it as well.
    Body(String),
    /// A text member, as a JSON pointer.
    Member(String),
}

impl Document {
    /// The request with another document in this place.
    pub(crate) fn put(&self, request: &Request, value: &Value) -> Request {
        match &self.site {
            Site::Body(content_type) => request.clone().with_body(content_type, value.to_string()),
            Site::Member(pointer) => request
                .clone()
                .with_body_member(pointer, Value::from(value.to_string())),
        }
    }

    /// What reports call the place: the member, or nothing for the body.
    pub(crate) fn name(&self) -> Option<String> {
        match &self.site {
            Site::Body(_) => None,
            Site::Member(pointer) => Some(pointer.trim_start_matches('/').replace('/', ".")),
        }
    }

    /// Whether a member is declared, or stands in the sample, of the object at `pointer`.
    pub(crate) fn knows(&self, pointer: &str, member: &str) -> bool {
        let schema = pointer
            .split('/')
            .filter(|part| !part.is_empty())
            .fold(&self.schema, |schema, part| &schema["properties"][part]);
        schema["properties"].get(member).is_some()
            || self
                .value
                .pointer(pointer)
                .is_some_and(|object| object.get(member).is_some())
    }
}

/// The objects in the request of `operation`.
pub(crate) fn documents(operation: &Operation, request: &Request) -> Vec<Document> {
    let Some(spec) = &operation.body else {
        return Vec::new();
    };
    let Some(body) = &request.body else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(body);
    let mut found = Vec::new();
    if spec.content_type.contains("form") {
        return found;
    }
    if let Some(value) = object(&text) {
        for (pointer, leaf) in super::leaves(&value) {
            if let Value::String(text) = leaf
                && text.len() > 4
                && let Some(inner) = object(text)
            {
                found.push(Document {
                    site: Site::Member(pointer),
                    value: inner,
                    schema: Value::Null,
                });
            }
        }
        let content_type = spec.content_type.clone();
        let schema = spec.schema.clone();
        found.insert(
            0,
            Document {
                site: Site::Body(content_type),
                value,
                schema,
            },
        );
    }
    found
}

/// A JSON or YAML text that is an object.
fn object(text: &str) -> Option<Value> {
    let value = serde_json::from_str::<Value>(text).ok().or_else(|| {
        // Plain text reads as YAML, too; only what has a member counts.
        text.contains(':')
            .then(|| serde_saphyr::from_str::<Value>(text).ok())
            .flatten()
    })?;
    let filled = value
        .as_object()
        .is_some_and(|map: &Map<String, Value>| !map.is_empty());
    filled.then_some(value)
}

/// The document with members added to the object at `pointer`.
pub(crate) fn with_members(document: &Value, pointer: &str, members: &Map<String, Value>) -> Value {
    let mut document = document.clone();
    if let Some(Value::Object(map)) = document.pointer_mut(pointer) {
        for (name, value) in members {
            map.insert(name.clone(), value.clone());
        }
    }
    document
}

/// The objects of a document that describe a container, as JSON pointers: the document itself, those
/// with an image, and those that are called its configuration.
pub(crate) fn containers_in(document: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut stack = vec![(String::new(), document)];
    while let Some((at, value)) = stack.pop() {
        match value {
            Value::Object(map) => {
                let name = at.rsplit('/').next().unwrap_or_default().to_lowercase();
                let has_image = map.keys().any(|name| name.eq_ignore_ascii_case("image"));
                if !at.is_empty() && (has_image || name.contains("config")) {
                    found.push(at.clone());
                }
                for (name, value) in map {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    stack.push((format!("{at}/{name}"), value));
                }
            }
            Value::Array(list) => {
                if let Some(first) = list.first() {
                    stack.push((format!("{at}/0"), first));
                }
            }
            _ => {}
        }
    }
    found.truncate(3);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Auth, BodySpec};
    use hyper::Method;
    use serde_json::json;

    #[test]
    fn documents_are_found_in_the_body_and_in_its_texts() {
        let mut operation = crate::inventory::operation("POST", "/jobs");
        operation.body = Some(BodySpec {
            content_type: "application/json".to_owned(),
            schema: Value::Null,
            example: None,
            required: true,
        });
        let body = json!({ "name": "a: b", "definition": "image: web\ncommand: [serve]\n" });
        let request = Request::new(Method::POST, "/jobs", Auth::None).with_json(&body);
        let found = documents(&operation, &request);
        let names: Vec<Option<String>> = found.iter().map(Document::name).collect();
        assert!(
            names.contains(&None) && names.contains(&Some("definition".to_owned())),
            "{names:?}"
        );
        let inner = found
            .iter()
            .find(|document| document.name().as_deref() == Some("definition"))
            .unwrap();
        let sent = inner
            .put(&request, &json!({ "image": "x" }))
            .json_body()
            .unwrap();
        assert_eq!(sent["definition"], r#"{"image":"x"}"#);
    }

    #[test]
    fn a_container_is_an_object_with_an_image() {
        let document = json!({ "job": { "spec": { "image": "web" } } });
        assert_eq!(containers_in(&document), ["", "/job/spec"]);
        let mut members = Map::new();
        members.insert("binds".to_owned(), json!(["/a:/b"]));
        let changed = with_members(&document, "/job/spec", &members);
        assert_eq!(changed["job"]["spec"]["binds"], json!(["/a:/b"]));
    }
}
