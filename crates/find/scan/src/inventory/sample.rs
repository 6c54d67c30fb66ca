//! Values for parameters and bodies: from examples, defaults, enums and formats.

use super::tag::words;
use crate::{Operation, Param, Target};
use serde_json::{Map, Value, json};

/// Objects in objects that are filled.
const MAX_DEPTH: u32 = 6;
/// Optional members of a body that are filled.
const OPTIONAL: usize = 12;
/// What a model endpoint is asked in the baseline.
const PROMPT: &str = "Say hello.";

/// Makes sample values. A URL among them never names a host outside the scan's scope: the target
/// itself would be made to connect to it.
pub(crate) struct Samples {
    target: Target,
}

impl Samples {
    pub(crate) fn new(target: &Target) -> Self {
        Self {
            target: target.clone(),
        }
    }

    /// A value for a parameter outside the body as text, or `None` when the description gives
    /// nothing to go by.
    pub(crate) fn param(&self, param: &Param) -> Option<String> {
        let text = match &param.example {
            Some(example) => Some(text_of(example)?),
            None => described(&param.schema).and_then(|value| text_of(&value)),
        };
        match text {
            Some(text) => Some(self.in_scope(text)),
            None => self.by_name(&param.name, &param.schema),
        }
    }

    /// A body for `operation` in its media type, or `None` when there is nothing to go by.
    pub(crate) fn body(&self, operation: &Operation) -> Option<String> {
        let body = operation.body.as_ref()?;
        let value = match &body.example {
            Some(example) => self.scoped(example.clone()),
            None if body.schema.is_null() => return None,
            None => self.value("", &body.schema, 0),
        };
        let value = harmless(value);
        if body.is_json() {
            return Some(value.to_string());
        }
        if body
            .content_type
            .starts_with("application/x-www-form-urlencoded")
        {
            let pairs = value
                .as_object()?
                .iter()
                .filter_map(|(name, value)| Some((name.as_str(), text_of(value)?)));
            return Some(form(pairs));
        }
        if body.content_type.starts_with("text/") {
            return text_of(&value);
        }
        None
    }

    /// A value for `schema`; `name` is the member's, a hint where the schema says little.
    fn value(&self, name: &str, schema: &Value, depth: u32) -> Value {
        if let Some(value) = described(schema) {
            return self.scoped(value);
        }
        let merged = merged(schema);
        if let Some(value) = described(&merged) {
            return self.scoped(value);
        }
        match kind(&merged) {
            "object" if depth >= MAX_DEPTH => json!({}),
            "object" => self.object(&merged, depth),
            "array" if depth >= MAX_DEPTH => json!([]),
            "array" => json!([self.value(name, &merged["items"], depth + 1)]),
            "integer" => json!(merged["minimum"].as_i64().unwrap_or(1)),
            "number" => json!(merged["minimum"].as_f64().unwrap_or(1.0)),
            "boolean" => json!(false),
            "null" => Value::Null,
            _ => Value::String(
                self.by_name(name, &merged)
                    .unwrap_or_else(|| padded("sample", &merged)),
            ),
        }
    }

    fn object(&self, schema: &Value, depth: u32) -> Value {
        let required: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut object = Map::new();
        let mut optional = 0;
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            if inner["readOnly"] == true {
                continue;
            }
            let needed = required.contains(&name.as_str());
            if !needed {
                // Where the description says what is needed, the rest is left out unless it says
                // how it looks.
                let shown = described(inner).is_some();
                if (!required.is_empty() && !shown) || optional >= OPTIONAL {
                    continue;
                }
                optional += 1;
            }
            object.insert(name.clone(), self.value(name, inner, depth + 1));
        }
        Value::Object(object)
    }

    /// By format, type, and the words of the name.
    fn by_name(&self, name: &str, schema: &Value) -> Option<String> {
        match schema["format"].as_str() {
            Some("uuid") => return Some("00000000-0000-4000-8000-000000000001".to_owned()),
            Some("date-time") => return Some("2026-01-01T00:00:00Z".to_owned()),
            Some("date") => return Some("2026-01-01".to_owned()),
            Some("time") => return Some("00:00:00Z".to_owned()),
            Some("email") => return Some("sample@example.invalid".to_owned()),
            Some("uri" | "url" | "uri-reference") => return Some(self.own_url()),
            Some("ipv4") => return Some("127.0.0.1".to_owned()),
            Some("ipv6") => return Some("::1".to_owned()),
            Some("hostname") => return Some("localhost".to_owned()),
            _ => {}
        }
        match kind(schema) {
            "integer" => return Some(schema["minimum"].as_i64().unwrap_or(1).to_string()),
            "number" => return Some(schema["minimum"].as_f64().unwrap_or(1.0).to_string()),
            "boolean" => return Some("false".to_owned()),
            _ => {}
        }
        let words = words(name);
        let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        if has(&["url", "uri", "callback", "webhook", "href", "link"]) {
            return Some(self.own_url());
        }
        if has(&["email", "mail"]) {
            return Some("sample@example.invalid".to_owned());
        }
        if has(&["host", "hostname", "target", "ip", "addr", "address"]) {
            return Some("127.0.0.1".to_owned());
        }
        if has(&[
            "page", "limit", "offset", "size", "count", "tail", "lines", "per",
        ]) {
            return Some("1".to_owned());
        }
        None
    }

    fn own_url(&self) -> String {
        format!("{}/", self.target)
    }

    /// `text`, unless it is a URL of a host outside the scope.
    fn in_scope(&self, text: String) -> String {
        let lower = text.trim_start().to_ascii_lowercase();
        if !lower.starts_with("http://") && !lower.starts_with("https://") {
            return text;
        }
        match Target::parse_url(&text) {
            Ok((to, _))
                if to.is_loopback()
                    || to.host() == self.target.host()
                    || is_nobody_outside(to.host()) =>
            {
                text
            }
            _ => self.own_url(),
        }
    }

    fn scoped(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.in_scope(text)),
            Value::Array(list) => list.into_iter().map(|inner| self.scoped(inner)).collect(),
            Value::Object(map) => map
                .into_iter()
                .map(|(name, inner)| (name, self.scoped(inner)))
                .collect(),
            other => other,
        }
    }
}

/// Whether a host name can only be a neighbour's of the service, such as a registry beside it: one
/// without a point, or one below a name that the public DNS will never have (RFC 6761, RFC 6762,
/// RFC 8375, and ICANN's resolution of 2024 about `internal`).
fn is_nobody_outside(host: &str) -> bool {
    const RESERVED: [&str; 8] = [
        ".internal",
        ".local",
        ".localhost",
        ".test",
        ".invalid",
        ".example",
        ".lan",
        ".home.arpa",
    ];
    !host.contains(['.', ':']) || RESERVED.iter().any(|ending| host.ends_with(ending))
}

/// `name=value&…`, percent-encoded.
pub(crate) fn form<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> String {
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    pairs
        .map(|(name, value)| format!("{}={}", encode(name), encode(&value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// What the schema itself gives: example, default, constant, first of an enumeration.
fn described(schema: &Value) -> Option<Value> {
    let given = |name: &str| schema.get(name).filter(|value| !value.is_null()).cloned();
    given("example")
        .or_else(|| {
            schema["examples"]
                .as_array()
                .and_then(|list| list.first())
                .cloned()
        })
        .or_else(|| given("const"))
        .or_else(|| given("default"))
        .or_else(|| {
            schema["enum"]
                .as_array()
                .and_then(|list| list.first())
                .cloned()
        })
}

/// The type, which 3.1 may give as a list, or which the members give away.
fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or("null"),
        _ if schema["properties"].is_object() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "",
    }
}

/// The schema with all of `allOf` and the first of `oneOf` or `anyOf` merged in.
fn merged(schema: &Value) -> Value {
    let mut result = schema.clone();
    let mut parts: Vec<&Value> = schema["allOf"].as_array().into_iter().flatten().collect();
    for list in ["oneOf", "anyOf"] {
        let choices = schema[list].as_array().into_iter().flatten();
        parts.extend(choices.filter(|choice| kind(choice) != "null").take(1));
    }
    let Some(object) = result.as_object_mut() else {
        return result;
    };
    for part in parts {
        for (name, value) in merged(part).as_object().into_iter().flatten() {
            match (object.get_mut(name), value) {
                (Some(Value::Object(known)), Value::Object(more)) => {
                    for (name, value) in more {
                        known.entry(name.clone()).or_insert_with(|| value.clone());
                    }
                }
                (Some(Value::Array(known)), Value::Array(more)) => {
                    known.extend(more.iter().cloned());
                }
                (None, value) => {
                    object.insert(name.clone(), value.clone());
                }
                _ => {}
            }
        }
    }
    result
}

/// Stretched to the least and cut to the greatest length that the schema allows.
fn padded(text: &str, schema: &Value) -> String {
    let least = schema["minLength"].as_u64().unwrap_or(0).min(1024);
    let most = schema["maxLength"].as_u64().unwrap_or(u64::MAX);
    let mut text = text.to_owned();
    while (text.len() as u64) < least {
        text.push('x');
    }
    text.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    text
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Array(list) => list.first().and_then(text_of),
        Value::Null | Value::Object(_) => None,
    }
}

/// What a model is asked is replaced, since an example may ask it to act.
fn harmless(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(name, inner)| {
                    let prompt =
                        matches!(name.as_str(), "prompt" | "message" | "content" | "question")
                            && inner.is_string();
                    let inner = if prompt {
                        Value::from(PROMPT)
                    } else {
                        harmless(inner)
                    };
                    (name, inner)
                })
                .collect(),
        ),
        Value::Array(list) => list.into_iter().map(harmless).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::operation;
    use crate::{BodySpec, ParamIn};

    fn samples() -> Samples {
        Samples::new(&Target::parse("http://127.0.0.1:9/api").unwrap())
    }

    fn param(name: &str, schema: Value, example: Option<Value>) -> Param {
        Param {
            name: name.to_owned(),
            place: ParamIn::Query,
            required: true,
            schema,
            example,
            description: String::new(),
        }
    }

    #[test]
    fn values_come_from_what_the_description_gives() {
        let samples = samples();
        for (name, schema, example, value) in [
            ("a", json!({ "enum": ["x", "y"] }), None, Some("x")),
            (
                "a",
                json!({ "type": ["null", "integer"], "minimum": 5 }),
                None,
                Some("5"),
            ),
            ("a", Value::Null, Some(json!(7)), Some("7")),
            ("limit", Value::Null, None, Some("1")),
            ("a", json!({ "type": "string" }), None, None),
        ] {
            assert_eq!(
                samples.param(&param(name, schema, example)).as_deref(),
                value
            );
        }
    }

    #[test]
    fn no_value_makes_the_target_call_a_stranger() {
        let samples = samples();
        let own = "http://127.0.0.1:9/api/";
        for (given, sent) in [
            ("https://hooks.example.com/x", own),
            (" HTTP://1.2.3.4/", own),
            ("http://registry:5000/v2/", "http://registry:5000/v2/"),
            ("http://127.0.0.1:1/x", "http://127.0.0.1:1/x"),
            ("http://hooks.internal/x", "http://hooks.internal/x"),
            ("http://hooks.internal.example.com/x", own),
            ("http://a@b/", own),
        ] {
            let value = samples.param(&param("url", Value::Null, Some(json!(given))));
            assert_eq!(value.as_deref(), Some(sent));
        }
        assert_eq!(
            samples
                .param(&param("hookUrl", Value::Null, None))
                .as_deref(),
            Some(own)
        );
    }

    #[test]
    fn bodies_hold_what_is_required_and_ask_a_model_nothing() {
        let mut operation = operation("POST", "/x");
        operation.body = Some(BodySpec {
            content_type: "application/json".to_owned(),
            schema: json!({
                "allOf": [
                    { "type": "object", "required": ["image"], "properties": { "image": { "type": "string", "example": "alpine" } } },
                    { "properties": { "note": { "type": "string" }, "n": { "type": "integer", "default": 3 } } },
                ],
            }),
            example: None,
            required: true,
        });
        let body: Value = serde_json::from_str(&samples().body(&operation).unwrap()).unwrap();
        assert_eq!(body, json!({ "image": "alpine", "n": 3 }));
        if let Some(spec) = &mut operation.body {
            spec.example = Some(json!({ "messages": [{ "role": "user", "content": "stop all" }] }));
        }
        assert!(samples().body(&operation).unwrap().contains(PROMPT));
    }
}
