//! JSON schemas of a description, with the references resolved that stay in it.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// References within references that are followed.
const MAX_DEPTH: usize = 24;
/// Schema nodes that are copied per operation: a description that refers to itself in a thousand
/// ways must not become a million nodes.
const MAX_NODES: usize = 4000;

/// Resolves references within one document.
pub(super) struct Schemas<'a> {
    document: &'a Value,
    nodes: usize,
    /// References to other documents, which are not followed.
    pub(super) foreign: usize,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(document: &'a Value) -> Self {
        Self {
            document,
            nodes: 0,
            foreign: 0,
        }
    }

    /// A new operation may use as many nodes as the last.
    pub(super) fn next_operation(&mut self) {
        self.nodes = 0;
    }

    /// What `value` refers to, if it is a reference within the document; `value` itself otherwise.
    pub(super) fn follow<'b>(&mut self, value: &'b Value) -> &'b Value
    where
        'a: 'b,
    {
        let mut value = value;
        for _ in 0..MAX_DEPTH {
            let Some(reference) = value["$ref"].as_str() else {
                return value;
            };
            match self.lookup(reference) {
                Some(found) => value = found,
                None => return &Value::Null,
            }
        }
        &Value::Null
    }

    /// A copy of `schema` in which every reference within the document is resolved. One that leads
    /// back to itself, or out of the document, becomes an empty schema.
    pub(super) fn resolve(&mut self, schema: &Value) -> Value {
        let mut path = Vec::new();
        self.copy(schema, &mut path, 0)
    }

    fn copy(&mut self, value: &Value, path: &mut Vec<String>, depth: usize) -> Value {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > 4 * MAX_DEPTH {
            return Value::Object(Map::new());
        }
        match value {
            Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                    if path.len() >= MAX_DEPTH || path.iter().any(|seen| seen == reference) {
                        return Value::Object(Map::new());
                    }
                    let Some(found) = self.lookup(reference) else {
                        return Value::Object(Map::new());
                    };
                    path.push(reference.to_owned());
                    let copy = self.copy(found, path, depth + 1);
                    path.pop();
                    return copy;
                }
                Value::Object(
                    map.iter()
                        // What a schema says to people is not needed to make values.
                        .filter(|(name, _)| !matches!(name.as_str(), "externalDocs" | "xml"))
                        .map(|(name, inner)| (name.clone(), self.copy(inner, path, depth + 1)))
                        .collect(),
                )
            }
            Value::Array(list) => list
                .iter()
                .map(|inner| self.copy(inner, path, depth + 1))
                .collect(),
            other => other.clone(),
        }
    }

    fn lookup(&mut self, reference: &str) -> Option<&'a Value> {
        let Some(pointer) = reference.strip_prefix('#') else {
            self.foreign += 1;
            return None;
        };
        let pointer = percent_decode_str(pointer).decode_utf8_lossy();
        self.document.pointer(&pointer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_resolve_and_circles_end() {
        let document = json!({
            "components": { "schemas": {
                "Node": { "properties": { "next": { "$ref": "#/components/schemas/Node" }, "v": { "type": "string" } } },
                "A/b": { "type": "integer" },
            } }
        });
        let mut schemas = Schemas::new(&document);
        let node = schemas.resolve(&json!({ "$ref": "#/components/schemas/Node" }));
        assert_eq!(node["properties"]["v"]["type"], "string");
        assert_eq!(node["properties"]["next"], json!({}));
        assert_eq!(
            schemas.resolve(&json!({ "$ref": "#/components/schemas/A~1b" }))["type"],
            "integer"
        );
        assert_eq!(
            schemas.resolve(&json!({ "$ref": "http://other.example/x.json" })),
            json!({})
        );
        assert_eq!(schemas.resolve(&json!({ "$ref": "#/nowhere" })), json!({}));
        assert_eq!(schemas.foreign, 1);
    }

    #[test]
    fn a_description_that_multiplies_itself_stays_small() {
        let mut components = Map::new();
        for level in 0..30 {
            let next = json!({ "$ref": format!("#/s/{}", level + 1) });
            components.insert(
                level.to_string(),
                json!({ "properties": { "a": next, "b": next } }),
            );
        }
        let document = json!({ "s": components });
        let mut schemas = Schemas::new(&document);
        let resolved = schemas.resolve(&json!({ "$ref": "#/s/0" }));
        assert!(resolved.to_string().len() < 400_000);
    }
}
