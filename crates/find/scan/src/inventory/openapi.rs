//! Operations from an OpenAPI 3.0 or 3.1 description, or a Swagger 2.0 one.
//!
//! Real descriptions break every rule of their own specification, so this reads a JSON value
//! leniently: what is not understood is left out, and never an error. References are resolved
//! within the document only; one that names another document is not followed.

use super::schema::Schemas;
use super::{operation, tag};
use crate::{BodySpec, Operation, Param, ParamIn, Security, Source, Target};
use hyper::Method;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The longest description that is read. The largest real one known has 47 MB.
const MAX_TEXT: usize = 64 << 20;
/// Operations that are read.
const MAX_OPERATIONS: usize = 20_000;

/// What a description gives.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) operations: Vec<Operation>,
    /// Base paths to choose from, the likeliest first. The paths of the operations do not have it
    /// yet.
    pub(crate) prefixes: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// Whether `document` is an API description.
pub(crate) fn is_description(document: &Value) -> bool {
    (document["openapi"].is_string() || document["swagger"].is_string())
        && document["paths"].is_object()
}

/// Parses JSON or YAML.
///
/// # Errors
/// The parser's words, when it is neither.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("longer than {} MiB", MAX_TEXT >> 20));
    }
    let text = text.trim_start_matches('\u{feff}');
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(error) if text.trim_start().starts_with(['{', '[']) => {
            // Braces are YAML as well, but who writes them means JSON.
            serde_saphyr::from_str(text).map_err(|_| error.to_string())
        }
        Err(_) => serde_saphyr::from_str(text).map_err(|error| error.to_string()),
    }
}

/// Reads the operations of `document`. `file` is its name for places, when the user gave a file;
/// `text` is used to find lines; `at` is where it came from, for relative `servers`.
pub(crate) fn read(document: &Value, text: &str, file: Option<&str>, target: &Target) -> Described {
    let lines = Lines::find(document, text);
    let mut schemas = Schemas::new(document);
    let mut operations = Vec::new();
    let empty = Map::new();
    let paths = document["paths"].as_object().unwrap_or(&empty);
    for (path, item) in paths {
        let item = schemas.follow(item).clone();
        if !path.starts_with('/') {
            continue;
        }
        for name in ["get", "head", "options", "post", "put", "patch", "delete"] {
            let Some(described) = item[name].as_object() else {
                continue;
            };
            if operations.len() >= MAX_OPERATIONS {
                break;
            }
            let Ok(method) = Method::from_bytes(name.to_ascii_uppercase().as_bytes()) else {
                continue;
            };
            let mut operation = operation(method.as_str(), path);
            operation.source = Source::OpenApi {
                file: file.map(str::to_owned),
                line: lines.of(path, name),
            };
            schemas.next_operation();
            fill(&mut operation, &item, described, &mut schemas, document);
            tag::tag(&mut operation);
            operations.push(operation);
        }
    }
    let mut notes = Vec::new();
    if schemas.foreign > 0 {
        let count = schemas.foreign;
        notes.push(format!(
            "the description refers to other documents {count} times; they were not fetched"
        ));
    }
    let (prefixes, foreign) = prefixes(document, target);
    if let Some(server) = foreign {
        notes.push(format!(
            "the description names the server `{server}`, which is not the target; only the target was scanned"
        ));
    }
    Described {
        operations,
        prefixes,
        notes,
    }
}

fn fill(
    operation: &mut Operation,
    item: &Value,
    described: &Map<String, Value>,
    schemas: &mut Schemas<'_>,
    document: &Value,
) {
    let text = |name: &str| {
        described
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    operation.description = format!("{} {}", text("summary"), text("description"))
        .trim()
        .chars()
        .take(500)
        .collect();

    // Those that stand in the path and are not described come back at the end.
    operation.params.clear();
    // The parameters of the operation replace those of the path with the same name and place.
    let own = described.get("parameters").and_then(Value::as_array);
    let shared = item["parameters"].as_array();
    let mut form = Map::new();
    let mut form_type = "application/x-www-form-urlencoded";
    for param in own
        .into_iter()
        .flatten()
        .chain(shared.into_iter().flatten())
    {
        let param = schemas.follow(param).clone();
        let Some(name) = param["name"].as_str() else {
            continue;
        };
        match param["in"].as_str() {
            Some("body") => {
                operation.body = Some(BodySpec {
                    content_type: consumed(described, document),
                    schema: schemas.resolve(&param["schema"]),
                    example: None,
                    required: param["required"] == true,
                });
            }
            Some("formData") => {
                if param["type"] == "file" {
                    form_type = "multipart/form-data";
                }
                form.insert(name.to_owned(), param_schema(&param, schemas));
            }
            place => {
                let place = match place {
                    Some("path") => ParamIn::Path,
                    Some("query") => ParamIn::Query,
                    Some("header") => ParamIn::Header,
                    Some("cookie") => ParamIn::Cookie,
                    _ => continue,
                };
                if operation.param(place, name).is_none() {
                    operation.params.push(Param {
                        name: name.to_owned(),
                        place,
                        required: place == ParamIn::Path || param["required"] == true,
                        example: example_of(&param, schemas),
                        schema: param_schema(&param, schemas),
                        description: param["description"].as_str().unwrap_or_default().to_owned(),
                    });
                }
            }
        }
    }
    if !form.is_empty() {
        operation.body = Some(BodySpec {
            content_type: form_type.to_owned(),
            schema: json!({ "type": "object", "properties": form }),
            example: None,
            required: true,
        });
    }
    if let Some(body) = described.get("requestBody") {
        operation.body = body_of(&schemas.follow(body).clone(), schemas);
    }
    super::complete_path_params(operation);
    operation.security = security(described, document);
}

/// The media type of a Swagger 2.0 body.
fn consumed(described: &Map<String, Value>, document: &Value) -> String {
    let list = described.get("consumes").unwrap_or(&document["consumes"]);
    let types: Vec<&str> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    types
        .iter()
        .find(|name| name.contains("json"))
        .or(types.first())
        .map_or("application/json", |name| *name)
        .to_owned()
}

/// In 3.x the schema is a member, or stands below `content`; in 2.0 it is the parameter itself.
fn param_schema(param: &Value, schemas: &mut Schemas<'_>) -> Value {
    if param["schema"].is_object() {
        return schemas.resolve(&param["schema"]);
    }
    if let Some(media) = param["content"]
        .as_object()
        .and_then(|content| content.values().next())
    {
        return schemas.resolve(&media["schema"]);
    }
    let mut schema = Map::new();
    for name in [
        "type",
        "format",
        "enum",
        "default",
        "items",
        "minimum",
        "maximum",
        "pattern",
        "minLength",
        "maxLength",
    ] {
        if let Some(value) = param.get(name) {
            schema.insert(name.to_owned(), value.clone());
        }
    }
    if schema.is_empty() {
        Value::Null
    } else {
        Value::Object(schema)
    }
}

fn example_of(holder: &Value, schemas: &mut Schemas<'_>) -> Option<Value> {
    for name in ["example", "x-example"] {
        if let Some(value) = holder.get(name).filter(|value| !value.is_null()) {
            return Some(value.clone());
        }
    }
    let examples = match &holder["examples"] {
        Value::Object(map) => map.values().next()?,
        Value::Array(list) => list.first()?,
        _ => return None,
    };
    let example = schemas.follow(examples);
    match example.get("value") {
        Some(value) => Some(value.clone()),
        None if example.is_object() => None,
        None => Some(example.clone()),
    }
}

fn body_of(body: &Value, schemas: &mut Schemas<'_>) -> Option<BodySpec> {
    let content = body["content"].as_object()?;
    let (content_type, media) = content
        .iter()
        .find(|(name, _)| name.contains("json"))
        .or_else(|| {
            content
                .iter()
                .find(|(name, _)| name.contains("form-urlencoded"))
        })
        .or_else(|| content.iter().next())?;
    Some(BodySpec {
        // `*/*` and `application/*` stand for JSON more often than for anything else.
        content_type: if content_type.contains('*') {
            "application/json"
        } else {
            content_type
        }
        .to_owned(),
        schema: schemas.resolve(&media["schema"]),
        example: example_of(media, schemas),
        required: body["required"] == true,
    })
}

fn security(described: &Map<String, Value>, document: &Value) -> Security {
    let Some(list) = described
        .get("security")
        .or_else(|| document.get("security"))
        .and_then(Value::as_array)
    else {
        return Security::default();
    };
    let defined = match document["components"]["securitySchemes"].as_object() {
        Some(schemes) => Some(schemes),
        None => document["securityDefinitions"].as_object(),
    };
    let mut security = Security {
        declared: Some(!list.is_empty()),
        ..Security::default()
    };
    for alternative in list.iter().filter_map(Value::as_object) {
        if alternative.is_empty() {
            // An empty requirement makes the others optional.
            security.declared = None;
            continue;
        }
        let mut scopes = Vec::new();
        for (name, needed) in alternative {
            let needed = needed
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            scopes.extend(needed.map(str::to_owned));
            let words = scheme_words(defined.and_then(|schemes| schemes.get(name)), name);
            if !security.schemes.contains(&words) {
                security.schemes.push(words);
            }
        }
        if !security.scopes.contains(&scopes) {
            security.scopes.push(scopes);
        }
    }
    security
}

fn scheme_words(scheme: Option<&Value>, name: &str) -> String {
    let Some(scheme) = scheme else {
        return name.to_owned();
    };
    let text = |member: &str| {
        scheme[member]
            .as_str()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    match scheme["type"].as_str() {
        Some("http") => format!("http {}", text("scheme")),
        Some("apiKey") => format!("apiKey {} {}", text("in"), text("name")),
        Some(kind) => kind.to_owned(),
        None => name.to_owned(),
    }
}

/// The base paths that the description could mean, and a server it names that is not the target.
fn prefixes(document: &Value, target: &Target) -> (Vec<String>, Option<String>) {
    let base = target.base_path().to_owned();
    let mut prefixes = Vec::new();
    let mut foreign = None;
    let mut take = |path: &str| {
        let path = path.trim_end_matches('/');
        let joined = if path.starts_with(base.as_str()) {
            path.to_owned()
        } else {
            format!("{base}{path}")
        };
        if !prefixes.contains(&joined) {
            prefixes.push(joined);
        }
    };
    if let Some(path) = document["basePath"]
        .as_str()
        .filter(|path| path.starts_with('/'))
    {
        take(path);
    }
    for server in document["servers"].as_array().into_iter().flatten() {
        let Some(url) = server["url"].as_str() else {
            continue;
        };
        let mut url = url.to_owned();
        for (name, variable) in server["variables"].as_object().into_iter().flatten() {
            if let Some(default) = variable["default"].as_str() {
                url = url.replace(&format!("{{{name}}}"), default);
            }
        }
        if url.contains("://") {
            match Target::parse_url(&url) {
                Ok((server, _)) => {
                    if !server.same_origin(target) && foreign.is_none() {
                        foreign = Some(server.to_string());
                    }
                    // Another host's base path is a guess at ours, tried on the target alone.
                    take(server.base_path());
                }
                Err(_) => foreign = foreign.or(Some(url)),
            }
        } else if !url.contains('{') {
            let path = url.trim_start_matches("./");
            take(&format!("/{}", path.trim_start_matches('/')));
        }
    }
    take("");
    (prefixes, foreign)
}

/// Where operations stand in the text.
struct Lines {
    known: HashMap<(String, String), u32>,
}

impl Lines {
    /// Looks for lines that begin with a path and, below it, lines that begin with a method.
    fn find(document: &Value, text: &str) -> Self {
        let mut known = HashMap::new();
        let Some(paths) = document["paths"].as_object() else {
            return Self { known };
        };
        let mut path: Option<&str> = None;
        let mut last = 0;
        for (number, line) in text.lines().enumerate() {
            let line_number = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let Some(key) = key_of(line) else { continue };
            if let Some((name, _)) = paths.get_key_value(key) {
                path = Some(name);
                last = line_number;
                // The line of the path stands for its methods until one of its own is found.
                for method in ["get", "head", "options", "post", "put", "patch", "delete"] {
                    known.insert((name.clone(), method.to_owned()), last);
                }
            } else if let Some(path) = path
                && matches!(
                    key,
                    "get" | "head" | "options" | "post" | "put" | "patch" | "delete"
                )
            {
                let place = known
                    .entry((path.to_owned(), key.to_owned()))
                    .or_insert(last);
                // A property called `get` further down must not move the operation.
                if *place == last {
                    *place = line_number;
                }
            }
        }
        Self { known }
    }

    fn of(&self, path: &str, method: &str) -> Option<u32> {
        self.known
            .get(&(path.to_owned(), method.to_owned()))
            .copied()
    }
}

/// The key with which a line of pretty JSON or YAML begins.
fn key_of(line: &str) -> Option<&str> {
    let line = line
        .trim_start()
        .trim_start_matches("{ ")
        .trim_start_matches('{');
    if let Some(rest) = line.strip_prefix('"') {
        let (key, after) = rest.split_once('"')?;
        return after.trim_start().starts_with(':').then_some(key);
    }
    if let Some(rest) = line.strip_prefix('\'') {
        let (key, after) = rest.split_once('\'')?;
        return after.trim_start().starts_with(':').then_some(key);
    }
    let line = line.trim_end();
    match line.strip_suffix(':') {
        Some(key) => Some(key.trim_end()),
        None => line.split_once(": ").map(|(key, _)| key),
    }
}
