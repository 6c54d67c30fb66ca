//! The places of an operation that take text from the caller.

use super::words;
use crate::{Context, Operation, ParamIn, Request};
use cofferdam_finding::Place;
use serde_json::Value;

/// One place of an operation that takes text: a parameter, a member of the body, or the body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Input {
    /// The name of the parameter, or the path of the member with points between its parts.
    pub(crate) name: String,
    site: Site,
    /// The words of the last part of the name, in lower case.
    words: Vec<String>,
    /// The name, the description and the format, in lower case.
    hint: String,
    /// What stands there in the request that is sent unchanged.
    pub(crate) example: Option<String>,
    /// Whether the description says that it is no text, or one of a fixed list.
    restricted: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Site {
    Path,
    Query,
    Member(String),
    Body(String),
}

impl Input {
    /// The request with `value` here, encoded as its place needs.
    pub(crate) fn put(&self, operation: &Operation, request: &Request, value: &str) -> Request {
        let request = request.clone();
        match &self.site {
            Site::Path | Site::Query => request.with_param(operation, &self.name, value),
            Site::Member(pointer) => request.with_body_member(pointer, Value::from(value)),
            Site::Body(content_type) => request.with_body(content_type, value.to_owned()),
        }
    }

    /// As [`Input::put`], but in a path `raw` stands as it is, so that it can be encoded in any way.
    pub(crate) fn put_raw(&self, operation: &Operation, request: &Request, raw: &str) -> Request {
        match &self.site {
            Site::Path => request.clone().with_raw_param(operation, &self.name, raw),
            Site::Query | Site::Member(_) | Site::Body(_) => self.put(operation, request, raw),
        }
    }

    /// Whether it is a part of the path.
    pub(crate) fn in_path(&self) -> bool {
        self.site == Site::Path
    }

    /// Whether it is in the body.
    pub(crate) fn in_body(&self) -> bool {
        matches!(self.site, Site::Member(_) | Site::Body(_))
    }

    /// Whether one of the words of its name is in `list`.
    pub(crate) fn named(&self, list: &[&str]) -> bool {
        self.words.iter().any(|word| list.contains(&word.as_str()))
    }

    /// Whether its name, description or format speaks of `text`.
    pub(crate) fn hints_at(&self, text: &str) -> bool {
        self.hint.contains(text)
    }

    /// Its name, description and format, in lower case.
    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }

    /// Whether it takes any text, as far as the description tells.
    pub(crate) fn is_free(&self) -> bool {
        !self.restricted
    }

    /// Where a finding about it is to be mended.
    pub(crate) fn place(&self, cx: &Context, operation: &Operation) -> Place {
        cx.place(operation).parameter(&self.name)
    }
}

/// Every place of `operation` that takes text, parameters first, in the order of the description.
/// `request` gives what stands there unchanged.
pub(crate) fn inputs(operation: &Operation, request: &Request) -> Vec<Input> {
    let mut found = Vec::new();
    for param in &operation.params {
        let site = match param.place {
            ParamIn::Path => Site::Path,
            ParamIn::Query => Site::Query,
            ParamIn::Header | ParamIn::Cookie => continue,
        };
        let example = request.param(operation, &param.name);
        let mut input = describe(&param.name, site, &param.schema, &param.description);
        input.example = example.or_else(|| param.example.as_ref().and_then(as_text));
        // An identifier that is declared as a number takes no text.
        input.restricted |= is_number(&param.schema);
        found.push(input);
    }
    if let Some(spec) = &operation.body {
        let form = spec
            .content_type
            .starts_with("application/x-www-form-urlencoded");
        if spec.is_json() || form {
            let body = request.json_body().or_else(|| spec.example.clone());
            members(&spec.schema, body.as_ref(), "", 0, &mut found);
        } else if !spec.content_type.starts_with("multipart/") {
            let site = Site::Body(spec.content_type.clone());
            let mut input = describe("body", site, &spec.schema, "");
            input.example = request
                .body
                .as_ref()
                .map(|body| String::from_utf8_lossy(body).into_owned());
            found.push(input);
        }
    }
    found
}

/// Who sends the probes of `operation`: the first identity that the baseline let in, else the
/// first that was not turned away, else the first.
pub(crate) fn caller(cx: &Context, operation: &Operation) -> usize {
    let baseline = cx.baseline(operation);
    if let Some(who) = baseline.accepted().first() {
        return *who;
    }
    baseline
        .valid
        .iter()
        .position(|exchange| {
            exchange
                .as_ref()
                .and_then(|exchange| exchange.status())
                .is_some_and(|status| !matches!(status, 401 | 403))
        })
        .unwrap_or(0)
}

fn describe(name: &str, site: Site, schema: &Value, description: &str) -> Input {
    let last = name.rsplit('.').next().unwrap_or(name);
    let of_schema = |key: &str| schema[key].as_str().unwrap_or_default().to_lowercase();
    Input {
        name: name.to_owned(),
        site,
        words: words(last),
        hint: format!(
            "{} {} {} {}",
            last.to_lowercase(),
            description.to_lowercase(),
            of_schema("description"),
            of_schema("format"),
        ),
        example: None,
        restricted: schema["enum"].is_array() || schema.get("const").is_some(),
    }
}

/// Text members of an object and of the objects in it, three levels deep.
fn members(schema: &Value, body: Option<&Value>, at: &str, depth: u8, found: &mut Vec<Input>) {
    if depth > 3 {
        return;
    }
    let mut known: Vec<(String, Value, Option<Value>)> = Vec::new();
    properties(schema, 0, &mut known);
    if let Some(Value::Object(map)) = body {
        for (name, value) in map {
            match known.iter_mut().find(|(known, _, _)| known == name) {
                Some((_, _, example)) => *example = Some(value.clone()),
                None => known.push((name.clone(), Value::Null, Some(value.clone()))),
            }
        }
    }
    for (name, schema, example) in known {
        let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        let is_text = match (&example, schema["type"].as_str()) {
            (Some(value), _) => value.is_string(),
            (None, Some(kind)) => kind == "string",
            (None, None) => schema.get("properties").is_none() && schema.get("allOf").is_none(),
        };
        if is_text {
            let path = pointer.trim_start_matches('/').replace('/', ".");
            let mut input = describe(&path, Site::Member(pointer), &schema, "");
            input.example = example.as_ref().and_then(as_text);
            found.push(input);
        } else if let Some(Value::Array(list)) = &example {
            if let Some(first) = list.first() {
                let pointer = format!("{pointer}/0");
                if let Some(text) = first.as_str() {
                    let path = pointer.trim_start_matches('/').replace('/', ".");
                    let mut input = describe(&path, Site::Member(pointer), &schema["items"], "");
                    // The name of the list says more than its index.
                    input.words = words(&name);
                    input.example = Some(text.to_owned());
                    found.push(input);
                } else {
                    members(&schema["items"], Some(first), &pointer, depth + 1, found);
                }
            }
        } else {
            members(&schema, example.as_ref(), &pointer, depth + 1, found);
        }
    }
}

fn properties(schema: &Value, depth: u8, found: &mut Vec<(String, Value, Option<Value>)>) {
    if depth > 4 {
        return;
    }
    if let Some(map) = schema["properties"].as_object() {
        for (name, schema) in map {
            if !found.iter().any(|(known, _, _)| known == name) {
                found.push((name.clone(), schema.clone(), None));
            }
        }
    }
    for key in ["allOf", "oneOf", "anyOf"] {
        for part in schema[key].as_array().into_iter().flatten() {
            properties(part, depth + 1, found);
        }
    }
}

fn is_number(schema: &Value) -> bool {
    matches!(
        schema["type"].as_str(),
        Some("integer" | "number" | "boolean")
    )
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Auth, BodySpec, Security, Source};
    use hyper::Method;
    use serde_json::json;

    #[test]
    fn members_are_found_from_the_schema_and_from_the_example() {
        let operation = Operation {
            index: 0,
            method: Method::POST,
            path: "/jobs".to_owned(),
            params: Vec::new(),
            body: Some(BodySpec {
                content_type: "application/json".to_owned(),
                schema: json!({ "type": "object", "properties": {
                    "source": { "type": "object", "properties": { "url": { "type": "string", "format": "uri" } } },
                    "retries": { "type": "integer" },
                    "mode": { "type": "string", "enum": ["a", "b"] },
                } }),
                example: Some(json!({ "args": ["-v"], "source": { "url": "http://x" } })),
                required: true,
            }),
            security: Security::default(),
            reach: std::collections::BTreeSet::new(),
            destructive: false,
            source: Source::Har,
            description: String::new(),
        };
        let request = Request::new(Method::POST, "/jobs", Auth::None)
            .with_json(&json!({ "args": ["-v"], "source": { "url": "http://x" } }));
        let found = inputs(&operation, &request);
        let names: Vec<&str> = found.iter().map(|input| input.name.as_str()).collect();
        assert_eq!(names, ["source.url", "mode", "args.0"]);
        assert!(found[0].named(&["url"]) && found[0].hints_at("uri") && found[0].is_free());
        assert!(!found[1].is_free());
        assert!(found[2].named(&["args"]));
        let sent = found[2]
            .put(&operation, &request, "-q")
            .json_body()
            .unwrap();
        assert_eq!(
            sent,
            json!({ "args": ["-q"], "source": { "url": "http://x" } })
        );
    }
}
