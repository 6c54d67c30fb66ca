//! Operations from a recorded session: an HTTP Archive (HAR 1.2) file.
//!
//! Only requests to the target are taken, and of those the method, the target, the media type and
//! the body. Recorded credentials are not used; the scan speaks as its own identities.

use super::harvest::{looks_like_id, singular};
use super::{operation, tag};
use crate::{BodySpec, Operation, Param, ParamIn, Source, Target};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::BTreeMap;

/// Whether `document` is a HAR file.
pub(crate) fn is_har(document: &Value) -> bool {
    document["log"]["entries"].is_array()
}

/// The operations on `target`, and how many requests went elsewhere.
pub(crate) fn read(document: &Value, target: &Target) -> (Vec<Operation>, usize) {
    let mut operations: BTreeMap<String, Operation> = BTreeMap::new();
    let mut foreign = 0;
    for entry in document["log"]["entries"].as_array().into_iter().flatten() {
        let request = &entry["request"];
        let (Some(method), Some(url)) = (request["method"].as_str(), request["url"].as_str())
        else {
            continue;
        };
        let Ok((place, query)) = Target::parse_url(url) else {
            continue;
        };
        if !place.same_origin(target) {
            foreign += 1;
            continue;
        }
        if is_asset(place.path()) {
            continue;
        }
        let (template, values) = template(place.path());
        let mut found = operation(method, &template);
        found.source = Source::Har;
        for (name, value) in values {
            if let Some(param) = found.params.iter_mut().find(|param| param.name == name) {
                param.example = Some(Value::from(value));
            }
        }
        for member in query
            .iter()
            .flat_map(|query| query.split('&'))
            .filter(|m| !m.is_empty())
        {
            let (name, value) = member.split_once('=').unwrap_or((member, ""));
            let decode = |raw: &str| {
                percent_decode_str(&raw.replace('+', " "))
                    .decode_utf8_lossy()
                    .into_owned()
            };
            found.params.push(Param {
                name: decode(name),
                place: ParamIn::Query,
                required: false,
                schema: Value::Null,
                example: Some(Value::from(decode(value))),
                description: String::new(),
            });
        }
        if let Some(text) = request["postData"]["text"].as_str() {
            let content_type = request["postData"]["mimeType"]
                .as_str()
                .unwrap_or("application/json");
            found.body = Some(BodySpec {
                content_type: content_type.to_owned(),
                schema: Value::Null,
                example: body_example(content_type, text),
                required: true,
            });
        }
        tag::tag(&mut found);
        operations.entry(found.id()).or_insert(found);
    }
    (operations.into_values().collect(), foreign)
}

fn body_example(content_type: &str, text: &str) -> Option<Value> {
    if content_type.starts_with("application/x-www-form-urlencoded") {
        let decode = |raw: &str| {
            percent_decode_str(&raw.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        return Some(
            pairs
                .map(|(name, value)| (decode(name), Value::from(decode(value))))
                .collect(),
        );
    }
    serde_json::from_str(text).ok()
}

/// The path with identifiers replaced by parameters, named after what stands before them.
pub(crate) fn template(path: &str) -> (String, Vec<(String, String)>) {
    let mut template = Vec::new();
    let mut values: Vec<(String, String)> = Vec::new();
    let mut before = String::new();
    for segment in path.split('/') {
        if !looks_like_id(segment) {
            if !segment.is_empty() {
                before = singular(segment);
            }
            template.push(segment.to_owned());
            continue;
        }
        let mut name = if values.is_empty() || before.is_empty() {
            "id".to_owned()
        } else {
            format!("{before}_id")
        };
        while values.iter().any(|(known, _)| *known == name) {
            name.push('_');
        }
        template.push(format!("{{{name}}}"));
        values.push((
            name,
            percent_decode_str(segment).decode_utf8_lossy().into_owned(),
        ));
    }
    (template.join("/"), values)
}

/// Whether a path names a file that a browser loads beside the API.
pub(crate) fn is_asset(path: &str) -> bool {
    let name = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    [
        ".js", ".css", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".woff", ".woff2", ".map",
        ".webp",
    ]
    .iter()
    .any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_session_becomes_templates_with_examples() {
        let entry =
            |method: &str, url: &str| json!({ "request": { "method": method, "url": url } });
        let mut post = entry("POST", "http://h:1/orders");
        post["request"]["postData"] =
            json!({ "mimeType": "application/json", "text": "{\"a\":1}" });
        let document = json!({ "log": { "entries": [
            entry("GET", "http://h:1/orders/42/lines/7?full=yes"),
            entry("GET", "http://h:1/orders/43/lines/8"),
            entry("GET", "http://h:1/app.js"),
            entry("GET", "https://other.example/x"),
            post,
        ] } });
        assert!(is_har(&document));
        let (operations, foreign) = read(&document, &Target::parse("http://h:1").unwrap());
        assert_eq!(foreign, 1);
        let ids: Vec<String> = operations.iter().map(Operation::id).collect();
        assert_eq!(ids, ["GET /orders/{id}/lines/{line_id}", "POST /orders"]);
        assert_eq!(operations[0].params[1].example, Some(json!("7")));
        assert_eq!(operations[0].params[2].example, Some(json!("yes")));
        assert_eq!(
            operations[1].body.as_ref().unwrap().example,
            Some(json!({ "a": 1 }))
        );
    }
}
