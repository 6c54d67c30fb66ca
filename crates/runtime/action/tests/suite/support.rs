//! A request of the vendored files, taken through the dialect and the floor.

use base64::Engine as _;
use cofferdam_action::action::Action;
use cofferdam_action::docker;
use cofferdam_action::floor::{Approved, Caller, Floor, FloorConfig};
use cofferdam_action::image::ImageRef;
use cofferdam_action::refusal::Refusal;
use cofferdam_action::request::Head;
use serde_json::Value;

/// A request as the vendored files write it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) class: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads one entry. The type of a JSON body is what clients send unless the entry says
    /// otherwise.
    pub(crate) fn of(entry: &Value) -> Self {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let base64 = &base64::engine::general_purpose::STANDARD;
        let body = match (
            &entry["body"],
            entry["body_text"].as_str(),
            entry["body_base64"].as_str(),
        ) {
            (_, Some(text), _) => text.as_bytes().to_vec(),
            (_, _, Some(coded)) => base64.decode(coded).unwrap(),
            (Value::Null, _, _) => Vec::new(),
            (body, _, _) => body.to_string().into_bytes(),
        };
        let mut headers: Vec<(String, String)> = entry["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        if !body.is_empty() && !headers.iter().any(|(name, _)| name == "Content-Type") {
            headers.push(("Content-Type".into(), "application/json".into()));
        }
        // With a length of 0 the server reads no body, and takes what follows for another request.
        let body = if entry["transport"] == "cl0" {
            Vec::new()
        } else {
            body
        };
        // The benign file leaves the id of an exec to whoever replays it.
        let target = text("path").replace("EXECID", &"e".repeat(64));
        Self {
            id: text("id"),
            class: text("class"),
            method: text("method"),
            target,
            headers,
            body,
        }
    }

    /// The action, through the docker dialect.
    pub(crate) fn parse(&self) -> Result<Action, Refusal> {
        let headers: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .map(|(name, value)| (&**name, value.as_bytes()))
            .collect();
        let head = Head {
            method: &self.method,
            target: &self.target,
            headers: &headers,
        };
        docker::parse(head, &self.body)
    }

    /// The approved action, through the floor. Whatever is refused is refused by rule, field and
    /// reason.
    pub(crate) fn judge(&self, caller: &Caller) -> Result<Approved, Refusal> {
        let judged = self
            .parse()
            .and_then(|action| floor().judge(action, caller));
        if let Err(refusal) = &judged {
            let field = refusal.field.as_deref().unwrap_or_default();
            let is_named = !field.is_empty() && !refusal.reason.is_empty();
            assert!(is_named, "{} {}: {refusal}", self.id, self.target);
        }
        judged
    }
}

/// The floor with its defaults, and one image allowed.
pub(crate) fn floor() -> Floor {
    let config = serde_json::json!({ "images": { "allow": ["allowed/app", "img"] } });
    Floor::new(serde_json::from_value::<FloorConfig>(config).unwrap())
}

/// A caller with the scopes of a runner, without exec, and with a tag of their own.
pub(crate) fn runner() -> Caller {
    let scopes = [
        "containers:read",
        "containers:run",
        "images:read",
        "images:write",
    ];
    Caller {
        scopes: scopes.map(str::to_owned).into(),
        own_images: [ImageRef::parse("mine/app:dev").unwrap()].into(),
        ..Caller::default()
    }
}

/// The same with exec.
pub(crate) fn runner_with_exec() -> Caller {
    let mut caller = runner();
    caller.scopes.insert("containers:exec".into());
    caller
}

/// The requests of a vendored file.
pub(crate) fn requests(file: &str) -> Vec<(Request, Value)> {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let requests = document["requests"].as_array().unwrap();
    requests
        .iter()
        .map(|entry| (Request::of(entry), entry.clone()))
        .collect()
}
