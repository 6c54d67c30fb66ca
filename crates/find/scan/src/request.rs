//! A request that has not been sent yet. A probe is a baseline request with one thing changed.

use crate::{Operation, ParamIn, Secret};
use bytes::Bytes;
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// As whom a request is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// No credential at all.
    None,
    /// A random value of the syntax of a bearer token, the same in the whole scan.
    Garbage,
    /// The identity with this index.
    Identity(usize),
    /// A made token, put where the first identity puts its own (`Authorization: Bearer` without
    /// identities).
    Token {
        /// What reports call it, such as `forged: alg none`.
        label: String,
        /// The token.
        token: Secret,
    },
    /// A whole header field in place of the credential, such as a glued or lower-case scheme.
    Field {
        /// What reports call it.
        label: String,
        /// The name of the field.
        name: String,
        /// Its value.
        value: Secret,
    },
}

/// A request that has not been sent yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The request target in origin form, sent as it stands: `..`, `%2e%2e` and `//` are kept.
    /// Bytes that cannot stand on a request line are percent-encoded on the way out, no others.
    pub target: String,
    /// Header fields beside `Host`, `User-Agent`, `Accept` and the credential. A field of one of
    /// these names takes the place of the usual one.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Bytes>,
    /// As whom.
    pub auth: Auth,
    /// The raw values of the path parameters, as they stand in `target`.
    path_values: Vec<(String, String)>,
    /// Method and path template of the operation that it was made for.
    operation: Option<Arc<str>>,
}

/// What stays as it is in a parameter's value: the unreserved characters of RFC 3986, section 2.3.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl Request {
    /// A request for `target`, which is sent as it stands.
    pub fn new(method: Method, target: impl Into<String>, auth: Auth) -> Self {
        Self {
            method,
            target: target.into(),
            headers: Vec::new(),
            body: None,
            auth,
            path_values: Vec::new(),
            operation: None,
        }
    }

    /// A `GET` of `target`.
    pub fn get(target: impl Into<String>, auth: Auth) -> Self {
        Self::new(Method::GET, target, auth)
    }

    /// A request for `operation` with these raw (already encoded) path values. A path parameter
    /// without a value stands as it does in the template, so the caller must give all.
    pub(crate) fn for_operation(
        operation: &Operation,
        path_values: Vec<(String, String)>,
        auth: Auth,
    ) -> Self {
        let target = render(&operation.path, &path_values);
        Self {
            method: operation.method.clone(),
            target,
            headers: Vec::new(),
            body: None,
            auth,
            path_values,
            operation: Some(operation.id().into()),
        }
    }

    /// Method and path template of the operation that it was made for.
    pub(crate) fn operation_key(&self) -> Option<&str> {
        self.operation.as_deref()
    }

    /// The same request as somebody else.
    #[must_use]
    pub fn with_auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// The same request with another method.
    #[must_use]
    pub fn with_method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// The same request with the parameter `name` of `operation` set to `value`, percent-encoded as
    /// its place needs. A name that the operation does not have is put into the query.
    #[must_use]
    pub fn with_param(self, operation: &Operation, name: &str, value: &str) -> Self {
        let header = matches!(place_of(operation, name), ParamIn::Header | ParamIn::Cookie);
        if header {
            self.with_raw_param(operation, name, value)
        } else {
            let encoded = encode(value);
            self.with_raw_param(operation, name, &encoded)
        }
    }

    /// As [`Request::with_param`], but `raw` is put in as it stands: `..%2f`, `%2e`, `//`.
    #[must_use]
    pub fn with_raw_param(mut self, operation: &Operation, name: &str, raw: &str) -> Self {
        match place_of(operation, name) {
            ParamIn::Path => {
                match self.path_values.iter_mut().find(|(known, _)| known == name) {
                    Some((_, value)) => raw.clone_into(value),
                    None => self.path_values.push((name.to_owned(), raw.to_owned())),
                }
                let query = self
                    .target
                    .split_once('?')
                    .map(|(_, query)| query.to_owned());
                self.target = render(&operation.path, &self.path_values);
                if let Some(query) = query {
                    self.target.push('?');
                    self.target.push_str(&query);
                }
                self
            }
            ParamIn::Query => self.with_raw_query(name, raw),
            ParamIn::Header => self.with_header(name, raw),
            ParamIn::Cookie => {
                let mut cookies: Vec<String> = self
                    .header("cookie")
                    .map(|value| value.split("; ").map(str::to_owned).collect())
                    .unwrap_or_default();
                cookies.retain(|cookie| cookie.split('=').next() != Some(name));
                cookies.push(format!("{name}={raw}"));
                self.with_header("cookie", &cookies.join("; "))
            }
        }
    }

    /// The same request with the query member `name` set to `value`, percent-encoded.
    #[must_use]
    pub fn with_query(self, name: &str, value: &str) -> Self {
        let encoded = encode(value);
        self.with_raw_query(name, &encoded)
    }

    fn with_raw_query(mut self, name: &str, raw: &str) -> Self {
        let name_encoded = encode(name);
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path.to_owned(), query.to_owned()),
            None => (self.target.clone(), String::new()),
        };
        let mut replaced = false;
        let mut members: Vec<String> = Vec::new();
        for member in query.split('&').filter(|member| !member.is_empty()) {
            let key = member.split('=').next().unwrap_or_default();
            if percent_decode_str(key).decode_utf8_lossy() == name {
                if !replaced {
                    members.push(format!("{key}={raw}"));
                }
                replaced = true;
            } else {
                members.push(member.to_owned());
            }
        }
        if !replaced {
            members.push(format!("{name_encoded}={raw}"));
        }
        self.target = format!("{path}?{}", members.join("&"));
        self
    }

    /// The same request with one header field set; fields of the same name are replaced.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The same request with this body and media type.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self.with_header("content-type", content_type)
    }

    /// The same request with this JSON body.
    #[must_use]
    pub fn with_json(self, body: &Value) -> Self {
        self.with_body("application/json", body.to_string())
    }

    /// The same request with one member of the body set. `pointer` is a JSON pointer (RFC 6901);
    /// objects on the way are made. In a form body the pointer's single part names the field.
    #[must_use]
    pub fn with_body_member(self, pointer: &str, value: Value) -> Self {
        let form = self
            .header("content-type")
            .is_some_and(|name| name.starts_with("application/x-www-form-urlencoded"));
        let body = self.body.clone().unwrap_or_default();
        if form {
            let name = pointer.trim_start_matches('/');
            let text = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let old = String::from_utf8_lossy(&body).into_owned();
            let form = Request::get(format!("?{old}"), Auth::None).with_query(name, &text);
            let query = form.target.trim_start_matches('?').to_owned();
            return Self {
                body: Some(query.into()),
                ..self
            };
        }
        let mut document = serde_json::from_slice(&body).unwrap_or(Value::Null);
        set_member(&mut document, pointer, value);
        let content_type = self
            .header("content-type")
            .unwrap_or("application/json")
            .to_owned();
        self.with_body(&content_type, document.to_string())
    }

    /// The body as JSON.
    pub fn json_body(&self) -> Option<Value> {
        serde_json::from_slice(self.body.as_ref()?).ok()
    }

    /// The decoded value of a path or query parameter as it stands in this request.
    pub fn param(&self, operation: &Operation, name: &str) -> Option<String> {
        let decode = |raw: &str| percent_decode_str(raw).decode_utf8_lossy().into_owned();
        match place_of(operation, name) {
            ParamIn::Path => self
                .path_values
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, raw)| decode(raw)),
            ParamIn::Query => self
                .target
                .split_once('?')?
                .1
                .split('&')
                .find_map(|member| {
                    let (key, value) = member.split_once('=')?;
                    (decode(key) == name).then(|| decode(value))
                }),
            ParamIn::Header => self.header(name).map(str::to_owned),
            ParamIn::Cookie => None,
        }
    }

    /// Whether it cannot change state by RFC 9110, section 9.2.1.
    pub fn is_safe(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

// Bodies, header fields and queries may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{} {path} {:?}", self.method, self.auth)
    }
}

fn place_of(operation: &Operation, name: &str) -> ParamIn {
    operation
        .params
        .iter()
        .filter(|param| param.name == name)
        .map(|param| param.place)
        .min()
        .unwrap_or(ParamIn::Query)
}

/// A value as it stands in a path or query: all but unreserved characters percent-encoded.
pub(crate) fn encode(value: &str) -> String {
    utf8_percent_encode(value, COMPONENT).to_string()
}

/// The path of a template with every `{name}` replaced by its raw value.
fn render(template: &str, values: &[(String, String)]) -> String {
    let mut path = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            path.push('{');
            path.push_str(after);
            return path;
        };
        match values.iter().find(|(known, _)| known == name) {
            Some((_, raw)) => path.push_str(raw),
            None => {
                path.push('{');
                path.push_str(name);
                path.push('}');
            }
        }
        rest = after;
    }
    path.push_str(rest);
    path
}

/// Sets the member that `pointer` names, making objects on the way where there are none.
fn set_member(document: &mut Value, pointer: &str, value: Value) {
    let mut place = document;
    for part in pointer.split('/').skip(1) {
        let name = part.replace("~1", "/").replace("~0", "~");
        let within = name
            .parse::<usize>()
            .ok()
            .filter(|index| place.as_array().is_some_and(|list| *index < list.len()));
        if within.is_none() && !place.is_object() {
            *place = Value::Object(serde_json::Map::new());
        }
        place = match (place, within) {
            (Value::Array(list), Some(index)) => &mut list[index],
            (Value::Object(map), _) => map.entry(name).or_insert(Value::Null),
            _ => return,
        };
    }
    *place = value;
}
