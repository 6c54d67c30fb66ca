//! Requests that name a whole request: address, method, header fields and body.

use super::Input;
use crate::{Operation, Request};
use serde_json::{Value, json};

/// The members beside the address that name the rest of a request.
pub(crate) struct RequestShape {
    method: String,
    headers: String,
    /// Whether the header fields are a list of names and values, not a map.
    listed: bool,
    body: String,
}

impl RequestShape {
    /// The shape of `operation`'s body around `address`, if method, header fields and body can be
    /// named beside it.
    pub(crate) fn of(operation: &Operation, request: &Request, address: &Input) -> Option<Self> {
        let spec = operation.body.as_ref().filter(|spec| spec.is_json())?;
        let parent = match address.name.rsplit_once('.') {
            Some((parent, _)) if address.in_body() => {
                format!("/{}", parent.replace('.', "/"))
            }
            _ => String::new(),
        };
        let schema = parent
            .split('/')
            .filter(|part| !part.is_empty())
            .fold(&spec.schema, |schema, part| &schema["properties"][part]);
        let sent = request.json_body().unwrap_or(Value::Null);
        let known: Vec<&String> = schema["properties"]
            .as_object()
            .into_iter()
            .chain(sent.pointer(&parent).and_then(Value::as_object))
            .flat_map(|map| map.keys())
            .collect();
        let member = |names: &[&str]| {
            known
                .iter()
                .find(|key| names.contains(&key.to_ascii_lowercase().as_str()))
                .map(|key| format!("{parent}/{key}"))
        };
        let headers = member(&["headers", "header", "http_headers"])?;
        let name = headers.rsplit('/').next().unwrap_or_default();
        let listed = schema["properties"][name]["type"] == "array"
            || sent.pointer(&headers).is_some_and(Value::is_array);
        Some(Self {
            method: member(&["method", "verb", "http_method", "httpmethod"])?,
            body: member(&["body", "data", "payload", "content"])?,
            headers,
            listed,
        })
    }

    /// The request with the rest named.
    pub(crate) fn fill(
        &self,
        request: Request,
        method: &str,
        header: (&str, &str),
        body: &str,
    ) -> Request {
        let (name, value) = header;
        let mut fields = serde_json::Map::new();
        fields.insert(name.to_owned(), Value::from(value));
        let headers = match self.listed {
            true => json!([{ "name": name, "value": value }]),
            false => Value::Object(fields),
        };
        request
            .with_body_member(&self.method, json!(method))
            .with_body_member(&self.headers, headers)
            .with_body_member(&self.body, json!(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Auth, BodySpec};
    use hyper::Method;

    #[test]
    fn the_rest_of_a_request_is_named_beside_its_address() {
        let mut operation = crate::inventory::operation("POST", "/relay");
        operation.body = Some(BodySpec {
            content_type: "application/json".to_owned(),
            schema: json!({ "properties": { "request": { "properties": {
                "url": { "type": "string" }, "Method": {}, "headers": { "type": "array" }, "data": {} } } } }),
            example: None,
            required: true,
        });
        let request = Request::new(Method::POST, "/relay", Auth::None)
            .with_json(&json!({ "request": { "url": "http://x" } }));
        let inputs = super::super::inputs(&operation, &request);
        let address = inputs
            .iter()
            .find(|input| input.name == "request.url")
            .unwrap();
        let shape = RequestShape::of(&operation, &request, address).unwrap();
        let sent = shape
            .fill(request, "PUT", ("X-A", "1"), "b")
            .json_body()
            .unwrap();
        assert_eq!(
            sent["request"],
            json!({ "url": "http://x", "Method": "PUT", "data": "b",
                    "headers": [{ "name": "X-A", "value": "1" }] })
        );
    }
}
