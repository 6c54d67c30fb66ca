//! The OpenAPI 3.1 document of the REST dialect, from the table of routes, the query keys of the
//! parser and the JSON schemas of the types that bodies are read into.

use cofferdam_action::action::{ActionKind, NetworkCreate};
use cofferdam_action::container::{ContainerCreate, ExecSpec};
use cofferdam_action::request::Head;
use cofferdam_action::rest::{self, body};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::routes::{Gives, OPERATIONS, Operation, Takes, sample};

/// The name of the security scheme.
const SCHEME: &str = "bearer";

const REQUEST_ID: &str = "X-Request-Id";
const PATH_STAT: &str = "X-Docker-Container-Path-Stat";
const CHALLENGE: &str = "WWW-Authenticate";
const RETRY_AFTER: &str = "Retry-After";

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths
            .entry(operation.path)
            .or_insert_with(|| Value::Object(Map::new()));
        path[operation.method.to_lowercase()] = describe(operation);
    }
    paths.insert("/ready".to_owned(), json!({ "get": readiness() }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Cofferdam gate",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Pre-approved container actions behind bearer tokens",
            "description": "Each operation is one pre-approved action, done for the holder of the token on \
                objects of their own. What would hand over the host is refused with status 403 and a problem \
                that names the rule, the field and the reason. Answers are those of the Docker Engine API \
                1.41, without what belongs to others. A path that is written out stands before one with a \
                name in it for its own methods alone: `GET /v1/containers/prune` inspects a container that \
                is called `prune`.",
            "license": { "name": "Apache-2.0 OR MIT" },
        },
        "paths": paths,
        "components": {
            "headers": headers(),
            "schemas": schemas(),
            "securitySchemes": {
                SCHEME: { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
            },
        },
    })
}

fn describe(operation: &Operation) -> Value {
    let kind = operation.kind;
    let mut described = json!({
        "operationId": kind.id(),
        "summary": operation.summary,
        "tags": [kind.id().split('.').next()],
        "security": [{ SCHEME: [kind.scope()] }],
        "parameters": parameters(operation),
        "responses": responses(operation),
    });
    let body = match operation.takes {
        Takes::Nothing => return described,
        Takes::Json(name) => json!({ "application/json": { "schema": reference(name) } }),
        Takes::Tar => json!({ "application/x-tar": {} }),
    };
    described["requestBody"] = json!({ "required": true, "content": body });
    described
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let in_path = operation.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({
            "name": name, "in": "path", "required": true,
            "description": path_text(name), "schema": { "type": "string" },
        }))
    });
    let target = sample(operation.path);
    let head = Head {
        method: operation.method,
        target: &target,
        headers: operation.takes.headers(),
    };
    // A row that is no route has no keys; a test holds that there is none.
    let keys = rest::route(head).map_or(&[][..], |routed| routed.query_keys());
    let in_query = keys.iter().filter_map(|key| {
        let (schema, text, required) = query_key(operation, key)?;
        Some(json!({
            "name": key, "in": "query", "required": required, "description": text, "schema": schema,
        }))
    });
    in_path.chain(in_query).collect()
}

fn path_text(name: &str) -> &'static str {
    match name {
        "container" => "The name or id of a container of yours",
        "exec" => "The id of a command, 64 hex digits",
        "image" => "The name of an image; slashes stay as they are",
        "network" => "The name or id of a network of yours",
        _ => "The name of a volume of yours",
    }
}

/// The schema of a query key, what it means, and whether it must be there; nothing for keys that are
/// only known so that they can be refused.
fn query_key(operation: &Operation, key: &str) -> Option<(Value, &'static str, bool)> {
    let flag = || json!({ "type": "boolean" });
    let text = || json!({ "type": "string" });
    let moment = || json!({ "type": "string", "pattern": r"^\d{1,12}(\.\d{1,9})?$" });
    let whole = |most: u32| json!({ "type": "integer", "minimum": 0, "maximum": most });
    let optional = |schema, text| Some((schema, text, false));
    match key {
        "all" => optional(
            flag(),
            "Whether those are listed too that are left out by default: stopped containers, unnamed layers",
        ),
        "copyUIDGID" => optional(flag(), "Whether owners and groups of the archive are kept"),
        "condition" => optional(
            json!({ "enum": ["not-running", "next-exit", "removed"], "default": "not-running" }),
            "Until when to wait",
        ),
        "digests" => optional(flag(), "Whether digests are told"),
        "filters" => optional(
            text(),
            "JSON: a map of filter names to lists of values, as the Engine API takes it",
        ),
        "follow" => optional(flag(), "Whether what is yet to come is shown too"),
        "force" => optional(
            flag(),
            "Whether it is done although something still uses it",
        ),
        "limit" => optional(whole(u32::MAX), "At most so many, the newest"),
        "name" => Some((text(), "The new name", true)),
        "noOverwriteDirNonDir" => optional(
            flag(),
            "Whether a directory may not take the place of a file, or a file of a directory",
        ),
        "noprune" => optional(flag(), "Whether untagged parents stay"),
        "one-shot" => optional(
            flag(),
            "Whether the first answer is given without waiting for a second sample",
        ),
        "path" => Some((text(), "The path in the container", true)),
        "ps_args" => optional(text(), "`-ef`, `aux`, or `-o` with columns"),
        "signal" if operation.path.ends_with("/kill") => optional(
            json!({ "type": "string", "default": "SIGKILL" }),
            "The signal",
        ),
        "since" => optional(moment(), "From when, in seconds since 1970"),
        "size" => optional(flag(), "Whether sizes on disk are measured"),
        "stderr" => optional(
            flag(),
            "Whether standard error is shown; of `stdout` and `stderr` one must be",
        ),
        "stdout" => optional(
            flag(),
            "Whether standard output is shown; of `stdout` and `stderr` one must be",
        ),
        "stream" => optional(
            json!({ "type": "boolean", "default": true }),
            "Whether a new answer follows each second",
        ),
        "t" => optional(whole(i32::MAX.unsigned_abs()), "Seconds until SIGKILL"),
        "tail" => optional(text(), "At most so many lines, the last; `all` for all"),
        "timestamps" => optional(flag(), "Whether each line begins with its time"),
        "until" => optional(moment(), "Until when, in seconds since 1970"),
        "v" => optional(flag(), "Whether its anonymous volumes go too"),
        _ => None,
    }
}

fn responses(operation: &Operation) -> Value {
    let json = |schema: Value| json!({ "application/json": { "schema": schema } });
    let (status, content) = match operation.gives {
        Gives::Nothing if operation.method == "HEAD" => ("200", None),
        Gives::Nothing => ("2XX", None),
        Gives::Object => ("2XX", Some(json(json!({ "type": "object" })))),
        Gives::Array => ("2XX", Some(json(json!({ "type": "array" })))),
        Gives::Lines => ("200", Some(json(json!({ "type": "object" })))),
        Gives::Text => (
            "200",
            Some(json!({ "text/plain": { "schema": { "type": "string" } } })),
        ),
        Gives::Output => (
            "200",
            Some(json!({ "application/vnd.docker.raw-stream": {} })),
        ),
        Gives::Tar => ("200", Some(json!({ "application/x-tar": {} }))),
    };
    let mut done = json!({ "description": "Done", "headers": { REQUEST_ID: header(REQUEST_ID) } });
    if let Some(content) = content {
        done["content"] = content;
    }
    if matches!(
        operation.kind,
        ActionKind::ContainerCopyOut | ActionKind::ContainerPathStat
    ) {
        done["headers"][PATH_STAT] = header(PATH_STAT);
    }
    let problem = |text: &str, headers: &[&str]| {
        let mut problem = json!({
            "description": text,
            "content": { "application/problem+json": { "schema": reference("Problem") } },
        });
        for name in headers {
            problem["headers"][*name] = header(name);
        }
        problem
    };
    let mut responses = json!({
        status: done,
        "400": problem("The request is not one strict request", &[]),
        "401": problem(
            "There is no valid token; `WWW-Authenticate` says what is missing",
            &[CHALLENGE],
        ),
        "403": problem("A scope is missing, or the floor or a policy refuses it", &[CHALLENGE]),
        "404": problem("There is no such object of yours", &[]),
        "409": problem("The engine is in another state", &[]),
        "429": problem("Too much at once", &[RETRY_AFTER]),
        "503": problem("The broker, its log or the engine cannot take it now", &[RETRY_AFTER]),
        "default": problem(
            "What else is refused or fails: 408 a body that comes \
             too slowly, 413 one that is too long, 415 one of another type, 500 the engine failed, \
             502 the broker or the engine broke off, 504 one of them did not answer in time",
            &[],
        ),
    });
    if matches!(
        operation.kind,
        ActionKind::ContainerStart | ActionKind::ContainerStop
    ) {
        responses["304"] = json!({ "description": "It is so already" });
    }
    responses
}

/// `/ready`, which is no operation of the table: it asks for no token and does no action.
fn readiness() -> Value {
    let text = |description: &str| {
        json!({
            "description": description,
            "content": { "text/plain": { "schema": { "type": "string" } } },
        })
    };
    json!({
        "operationId": "ready",
        "summary": "Ask whether the broker takes connections",
        "tags": ["system"],
        "security": [],
        "parameters": [],
        "responses": {
            "200": text("It does"),
            "503": text("It does not; nothing could be done now"),
        },
    })
}

fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// The headers of answers, each by its name.
fn headers() -> Value {
    let text =
        |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    json!({
        REQUEST_ID: text("The id of the request in the audit log"),
        PATH_STAT: text("What the path is: JSON of the Engine API, in base64"),
        CHALLENGE: text("What is missing of the token (RFC 6750 §3)"),
        RETRY_AFTER: {
            "description": "After how many seconds another try may be answered; not in every answer",
            "schema": { "type": "integer", "minimum": 0 },
        },
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The schemas of all bodies, and of what they are made of.
fn schemas() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    generator.subschema_for::<ContainerCreate>();
    generator.subschema_for::<ExecSpec>();
    generator.subschema_for::<NetworkCreate>();
    generator.subschema_for::<body::ImagePull>();
    generator.subschema_for::<body::ImageTag>();
    generator.subschema_for::<body::NetworkConnect>();
    generator.subschema_for::<body::NetworkDisconnect>();
    generator.subschema_for::<body::VolumeCreate>();
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem());
    schemas.sort_keys();
    Value::Object(schemas)
}

/// RFC 9457, with what is our own.
fn problem() -> Value {
    json!({
        "type": "object",
        "description": "Why a request was refused (RFC 9457)",
        "required": ["type", "title", "status"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "The rule, the field and the reason, in one sentence" },
            "rules": {
                "type": "array", "items": { "type": "string" },
                "description": "The ids of the rule or the policies that decided",
            },
            "request": { "type": "string", "description": "The id of the request in the audit log" },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn operation_ids_are_unique_and_references_lead_somewhere() {
        let ids: BTreeSet<_> = OPERATIONS.iter().map(|it| it.kind.id()).collect();
        assert_eq!(ids.len(), OPERATIONS.len());
        let document = document();
        let text = document.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(
                document["components"]["schemas"][name].is_object(),
                "{name}"
            );
        }
        assert!(!text.contains("$defs"));
    }

    #[test]
    fn whatever_is_refused_is_a_problem_and_what_is_so_already_is_not() {
        let document = document();
        for operation in OPERATIONS {
            let described = &document["paths"][operation.path][operation.method.to_lowercase()];
            let responses = &described["responses"];
            let of = |status: &str| &responses[status]["content"]["application/problem+json"];
            for status in ["401", "429", "503", "default"] {
                assert_eq!(
                    of(status)["schema"],
                    reference("Problem"),
                    "{}",
                    operation.path
                );
            }
            let at_rest = ["container.start", "container.stop"].contains(&operation.kind.id());
            assert_eq!(responses["304"].is_object(), at_rest, "{}", operation.path);
        }
        let text = document.to_string();
        for part in text.split("#/components/headers/").skip(1) {
            let name = part.split('"').next().unwrap();
            let header = &document["components"]["headers"][name];
            assert!(header["description"].is_string(), "{name}");
        }
    }

    #[test]
    fn a_body_by_its_schema_is_as_strict_as_the_parser() {
        let document = document();
        let create = &document["components"]["schemas"]["ContainerCreate"];
        assert_eq!(create["additionalProperties"], false);
        assert_eq!(create["required"], json!(["image"]));
    }
}
