//! What the service offers: operations, their parameters, and what each could reach.

use hyper::Method;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;

/// One method on one path template.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its place in [`Context::operations`](crate::Context::operations).
    pub index: usize,
    /// The method.
    pub method: Method,
    /// The whole path on the target, base path included, parameters as `{name}`.
    pub path: String,
    /// Path, query, header and cookie parameters.
    pub params: Vec<Param>,
    /// The request body.
    pub body: Option<BodySpec>,
    /// What the description says of who may call it.
    pub security: Security,
    /// What it could reach, judged by names and descriptions.
    pub reach: BTreeSet<Reach>,
    /// Whether it may destroy something, or touch the caller's own credentials: only sent at
    /// [`Level::Destructive`](crate::Level::Destructive), whatever its method.
    pub destructive: bool,
    /// Where it is known from.
    pub source: Source,
    /// Summary and description, joined; shortened.
    pub description: String,
}

impl Operation {
    /// Method and path template, such as `GET /v1/x/{id}`.
    pub fn id(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether the method is safe by RFC 9110, section 9.2.1 (`GET`, `HEAD`, `OPTIONS`).
    pub fn is_safe(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// Whether it could reach `reach`.
    pub fn reaches(&self, reach: Reach) -> bool {
        self.reach.contains(&reach)
    }

    /// The parameter `name` at `place`.
    pub fn param(&self, place: ParamIn, name: &str) -> Option<&Param> {
        self.params
            .iter()
            .find(|param| param.place == place && param.name == name)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// A parameter outside the body.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Where it goes.
    pub place: ParamIn,
    /// Whether the description requires it; always true for a path parameter.
    pub required: bool,
    /// Its JSON schema with local references resolved; `null` when unknown.
    pub schema: Value,
    /// A value that the description or a recorded request gives.
    pub example: Option<Value>,
    /// Its description.
    pub description: String,
}

/// Where a parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParamIn {
    /// A part of the path.
    Path,
    /// The query.
    Query,
    /// A header field.
    Header,
    /// A cookie.
    Cookie,
}

/// A request body.
#[derive(Debug, Clone, PartialEq)]
pub struct BodySpec {
    /// Its media type, `application/json` preferred where there is a choice.
    pub content_type: String,
    /// Its JSON schema with local references resolved; `null` when unknown.
    pub schema: Value,
    /// A body that the description or a recorded request gives.
    pub example: Option<Value>,
    /// Whether the operation needs one.
    pub required: bool,
}

impl BodySpec {
    /// Whether it is JSON, by media type or `+json` suffix.
    pub fn is_json(&self) -> bool {
        let essence = self
            .content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        essence.eq_ignore_ascii_case("application/json")
            || essence.to_ascii_lowercase().ends_with("+json")
    }
}

/// What the description says of who may call an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// Whether a credential is required; `None` when nothing is said.
    pub declared: Option<bool>,
    /// The alternatives, each the scopes that are needed together.
    pub scopes: Vec<Vec<String>>,
    /// The schemes in words, such as `http bearer`, `oauth2`, `apiKey header authorization`.
    pub schemes: Vec<String>,
}

/// What an operation could reach, judged by names and descriptions alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// A container runtime.
    Runtime,
    /// Files by a name that the caller gives.
    File,
    /// Processes.
    Process,
    /// Requests of the server's own to a URL that the caller gives.
    Outbound,
    /// A model and its tools.
    Agent,
    /// Administration.
    Admin,
    /// One object by its identifier.
    Object,
}

/// Where an operation is known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An API description.
    OpenApi {
        /// Its file as the user named it; absent when it came from the target.
        file: Option<String>,
        /// The line of the operation, counted from 1, where known.
        line: Option<u32>,
    },
    /// A recorded session.
    Har,
    /// Discovery.
    Discovered,
}
