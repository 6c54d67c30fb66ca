//! The API's own description, OpenAPI 3.1.

use crate::hole::{Hole, Switches};
use serde_json::{Map, Value, json};

/// One operation.
struct Operation {
    method: &'static str,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
    /// `None` is public, the empty text any token.
    scope: Option<&'static str>,
    success: u16,
    /// Parameters: place, name, description, example.
    parameters: &'static [(&'static str, &'static str, &'static str, &'static str)],
    /// The body's schema and an example of it.
    body: Option<fn() -> (Value, Value)>,
}

impl Operation {
    const fn get(
        path: &'static str,
        tag: &'static str,
        scope: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method: "get",
            path,
            tag,
            summary,
            scope: Some(scope),
            success: 200,
            parameters: &[],
            body: None,
        }
    }
}

const CONTAINER: &[(&str, &str, &str, &str)] =
    &[("path", "id", "The container's id.", "ctr-4f1d2a90")];
const JOB: &[(&str, &str, &str, &str)] = &[("path", "id", "The job's id.", "job-0f9c31b27a5e")];

const OPERATIONS: &[Operation] = &[
    Operation {
        scope: None,
        ..Operation::get("/healthz", "service", "", "Whether the service lives")
    },
    Operation {
        scope: None,
        ..Operation::get("/docs", "service", "", "The documentation")
    },
    Operation::get("/v1/session", "account", "", "The caller's session"),
    Operation::get("/v1/account", "account", "", "The caller's account"),
    Operation::get(
        "/v1/settings",
        "account",
        "settings:read",
        "The service's settings",
    ),
    Operation::get(
        "/v1/containers",
        "containers",
        "containers:read",
        "List the tenant's containers",
    ),
    Operation {
        parameters: CONTAINER,
        ..Operation::get(
            "/v1/containers/{id}",
            "containers",
            "containers:read",
            "Inspect a container of the tenant",
        )
    },
    Operation {
        parameters: CONTAINER,
        ..Operation::get(
            "/v1/containers/{id}/logs",
            "containers",
            "containers:read",
            "Read the last lines that a container wrote",
        )
    },
    Operation {
        method: "post",
        parameters: CONTAINER,
        ..Operation::get(
            "/v1/containers/{id}/start",
            "containers",
            "containers:write",
            "Start a container",
        )
    },
    Operation {
        method: "post",
        success: 204,
        parameters: CONTAINER,
        ..Operation::get(
            "/v1/containers/{id}/stop",
            "containers",
            "containers:write",
            "Stop a container",
        )
    },
    Operation {
        method: "patch",
        success: 204,
        parameters: CONTAINER,
        body: Some(|| {
            (
                json!({"type": "object", "required": ["labels"], "properties": {
                "labels": {"type": "object", "additionalProperties": true, "description": "Labels to set; null removes one."}}}),
                json!({"labels": {"team": "storefront"}}),
            )
        }),
        ..Operation::get(
            "/v1/containers/{id}/labels",
            "containers",
            "containers:write",
            "Change a container's labels",
        )
    },
    Operation {
        parameters: &[(
            "query",
            "path",
            "A file of the tenant's build workspace.",
            "README.md",
        )],
        ..Operation::get(
            "/v1/workspace/file",
            "workspace",
            "workspace:read",
            "Read a file of the build workspace",
        )
    },
    Operation::get(
        "/v1/images",
        "images",
        "images:read",
        "List the images that may be run",
    ),
    Operation {
        parameters: &[(
            "query",
            "url",
            "The manifest's URL in the registry.",
            "http://registry.internal/v2/allowed/app/manifests/1",
        )],
        ..Operation::get(
            "/v1/images/manifest",
            "images",
            "images:read",
            "Fetch an image's manifest by its URL",
        )
    },
    Operation {
        method: "post",
        body: Some(|| {
            (
                json!({"type": "object", "required": ["url"], "properties": {
                "url": {"type": "string", "format": "uri", "description": "Where the webhook is sent."},
                "method": {"type": "string", "default": "POST"},
                "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                "body": {"type": "string"}}}),
                json!({"url": "http://hooks.internal/echo", "method": "POST", "headers": {"x-event": "ping"}, "body": "{}"}),
            )
        }),
        ..Operation::get(
            "/v1/webhooks/test",
            "webhooks",
            "webhooks:test",
            "Send a webhook on trial and show the answer",
        )
    },
    Operation {
        method: "post",
        body: Some(|| {
            (
                json!({"type": "object", "required": ["target"], "properties": {
                "target": {"type": "string", "description": "Host name or address."}}}),
                json!({"target": "registry.internal"}),
            )
        }),
        ..Operation::get(
            "/v1/diagnostics/ping",
            "diagnostics",
            "diagnostics:run",
            "Find out where a host is",
        )
    },
    Operation::get("/v1/jobs", "jobs", "jobs:read", "List the tenant's jobs"),
    Operation {
        method: "post",
        success: 201,
        body: Some(|| {
            (
                json!({"type": "object", "required": ["name", "image", "command"], "properties": {
                "name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,60}$"},
                "image": {"type": "string", "description": "An image that may be run."},
                "command": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                "env": {"type": "object", "additionalProperties": {"type": "string"}},
                "labels": {"type": "object", "additionalProperties": true}}}),
                json!({"name": "nightly", "image": "allowed/app:1", "command": ["echo", "done"], "labels": {"team": "reports"}}),
            )
        }),
        ..Operation::get(
            "/v1/jobs",
            "jobs",
            "jobs:write",
            "Import a job definition and start it",
        )
    },
    Operation {
        parameters: JOB,
        ..Operation::get(
            "/v1/jobs/{id}",
            "jobs",
            "jobs:read",
            "Inspect a job and read its output",
        )
    },
    Operation {
        method: "delete",
        success: 204,
        parameters: JOB,
        ..Operation::get("/v1/jobs/{id}", "jobs", "jobs:write", "Remove a job")
    },
    Operation {
        method: "post",
        body: Some(|| {
            (
                json!({"type": "object", "required": ["prompt"], "properties": {
                "prompt": {"type": "string", "description": "What the assistant should do: it can list, inspect, start, stop and run containers and read their logs."}}}),
                json!({"prompt": "List my containers."}),
            )
        }),
        ..Operation::get(
            "/v1/assistant",
            "assistant",
            "assistant:use",
            "Ask the assistant, which uses tools",
        )
    },
    Operation::get(
        "/v1/admin/tenants",
        "admin",
        "",
        "List all tenants (administrators only)",
    ),
    Operation::get(
        "/v1/capacity",
        "platform",
        "capacity:read",
        "How much the platform can run",
    ),
    Operation::get(
        "/v1/events",
        "platform",
        "events:read",
        "Events of the platform",
    ),
    Operation::get(
        "/v1/usage",
        "platform",
        "usage:read",
        "What was used this month",
    ),
    Operation::get("/v1/builds", "platform", "builds:read", "List builds"),
    Operation::get(
        "/v1/repositories",
        "platform",
        "repositories:read",
        "List repositories",
    ),
    Operation::get("/v1/volumes", "platform", "volumes:read", "List volumes"),
    Operation::get("/v1/networks", "platform", "networks:read", "List networks"),
    Operation::get("/v1/nodes", "platform", "nodes:read", "List nodes"),
    Operation::get(
        "/v1/audit",
        "platform",
        "audit:read",
        "Read the audit records",
    ),
    Operation::get("/v1/policies", "platform", "policy:read", "List policies"),
    Operation::get(
        "/v1/deployments",
        "platform",
        "deployments:read",
        "List deployments",
    ),
    Operation::get(
        "/v1/schedules",
        "platform",
        "schedules:read",
        "List schedules",
    ),
    Operation::get(
        "/v1/catalogue",
        "catalogue",
        "",
        "List the catalogue that all tenants share",
    ),
    Operation {
        parameters: &[("path", "id", "The entry's id.", "cat-nginx")],
        ..Operation::get(
            "/v1/catalogue/{id}",
            "catalogue",
            "",
            "Read an entry of the shared catalogue",
        )
    },
    Operation {
        parameters: &[("query", "file", "The article.", "jobs.md")],
        ..Operation::get("/v1/help", "help", "", "Read a help article")
    },
    Operation {
        method: "post",
        body: Some(|| {
            (
                json!({"type": "object", "required": ["command"], "properties": {"command": {"type": "string"}}}),
                json!({"command": "id"}),
            )
        }),
        ..Operation::get(
            "/v1/help/explain",
            "help",
            "",
            "Explain a command without running it",
        )
    },
    Operation {
        method: "post",
        body: Some(|| {
            (
                json!({"type": "object", "required": ["url"], "properties": {"url": {"type": "string", "format": "uri"}}}),
                json!({"url": "https://example.com/"}),
            )
        }),
        ..Operation::get(
            "/v1/links/preview",
            "help",
            "",
            "Preview how a link is shown, without opening it",
        )
    },
    Operation::get(
        "/legacy/containers",
        "legacy",
        "",
        "List the tenant's containers, for build servers",
    ),
];

/// What the document says of the engine's API where that is passed through.
const RUNTIME: &[Operation] = &[
    Operation::get(
        "/v1/runtime/version",
        "runtime",
        "containers:read",
        "The runtime's version",
    ),
    Operation::get(
        "/v1/runtime/containers/json",
        "runtime",
        "containers:read",
        "The runtime's containers",
    ),
    Operation {
        method: "post",
        success: 201,
        body: Some(|| {
            (
                json!({"type": "object", "required": ["Image"], "properties": {
                "Image": {"type": "string"}, "Cmd": {"type": "array", "items": {"type": "string"}}}}),
                json!({"Image": "allowed/app:1", "Cmd": ["true"]}),
            )
        }),
        ..Operation::get(
            "/v1/runtime/containers/create",
            "runtime",
            "containers:read",
            "Create a container at the runtime",
        )
    },
];

/// The document. `base` is the service's own URL.
pub(crate) fn document(switches: &Switches, base: &str, issuer: &str) -> Value {
    let runtime = match switches.is_open(Hole::RuntimeApi) {
        true => RUNTIME,
        false => &[],
    };
    let mut paths = Map::new();
    for operation in OPERATIONS.iter().chain(runtime) {
        let item = paths.entry(operation.path).or_insert_with(|| json!({}));
        item[operation.method] = describe(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Containers API",
            "version": "1.4.2",
            "description": "Containers, jobs and builds of tenants. Tokens come from the issuer "
                .to_owned() + issuer + ".",
        },
        "servers": [{"url": base}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "dpop": {"type": "http", "scheme": "DPoP", "description": "RFC 9449: a token bound to a key, with a proof."},
                "apiToken": {"type": "http", "scheme": "bearer", "description": "An opaque API token of a build server."},
            },
            "schemas": {
                "Problem": {"type": "object", "required": ["error", "message"], "properties": {
                    "error": {"type": "string"}, "message": {"type": "string"}}},
                "ProblemDetails": {"type": "object", "description": "RFC 9457.", "properties": {
                    "type": {"type": "string"}, "title": {"type": "string"},
                    "status": {"type": "integer"}, "detail": {"type": "string"}}},
            },
        },
    })
}

fn describe(operation: &Operation) -> Value {
    let id = format!("{} {}", operation.method, operation.path)
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("_");
    let content = match (operation.success, operation.path) {
        (204, _) => None,
        (_, "/docs") => Some("text/html"),
        (_, "/v1/workspace/file") => Some("text/plain"),
        _ => Some("application/json"),
    };
    let mut success = json!({"description": "Done"});
    if let Some(kind) = content {
        success["content"] = json!({kind: {}});
    }
    let mut responses = json!({operation.success.to_string(): success});
    let mut described = json!({
        "operationId": id,
        "tags": [operation.tag],
        "summary": operation.summary,
    });
    match operation.scope {
        None => described["security"] = json!([]),
        Some(scope) => {
            let scopes: Vec<_> = [scope]
                .into_iter()
                .filter(|scope| !scope.is_empty())
                .collect();
            described["security"] = match operation.path {
                path if path.starts_with("/legacy/") => json!([{"apiToken": []}]),
                "/v1/deployments" => json!([{"bearer": scopes}, {"dpop": scopes}]),
                _ => json!([{"bearer": scopes}]),
            };
            let problem = json!({
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}},
                "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}},
            });
            for (status, text) in [
                ("401", "No token, or one that is not valid"),
                ("403", "The token grants too little"),
            ] {
                responses[status] = json!({"description": text, "content": problem});
            }
        }
    }
    if !operation.parameters.is_empty() {
        let listed = operation
            .parameters
            .iter()
            .map(|(place, name, text, example)| {
                json!({"name": name, "in": place, "required": true, "description": text,
                "schema": {"type": "string"}, "example": example})
            });
        described["parameters"] = listed.collect();
    }
    if let Some(body) = operation.body {
        let (schema, example) = body();
        described["requestBody"] = json!({"required": true, "content": {"application/json": {
            "schema": schema, "example": example}}});
    }
    described["responses"] = responses;
    described
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_described_once_under_its_own_id() {
        let document = document(
            &Switches::all_open(),
            "http://127.0.0.1:1",
            "https://issuer.example",
        );
        let paths = document["paths"].as_object().unwrap();
        let operations: Vec<_> = paths
            .values()
            .flat_map(|item| item.as_object().unwrap().values())
            .collect();
        assert_eq!(operations.len(), OPERATIONS.len() + RUNTIME.len());
        let mut ids: Vec<_> = operations
            .iter()
            .map(|o| o["operationId"].as_str().unwrap())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), operations.len());
    }
}
