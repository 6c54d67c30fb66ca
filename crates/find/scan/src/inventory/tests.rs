//! Descriptions as they are met, and what is read from them.

use super::*;
use serde_json::json;

fn read(document: &Value) -> Described {
    let text = serde_json::to_string_pretty(document).unwrap();
    let target = Target::parse("http://127.0.0.1:9").unwrap();
    openapi::read(document, &text, Some("api.json"), &target)
}

#[test]
fn a_description_gives_parameters_bodies_security_and_lines() {
    let document = json!({
        "openapi": "3.0.3",
        "servers": [{ "url": "https://public.example/v1" }, { "url": "/v2" }],
        "security": [{ "oauth": ["things:read"] }],
        "components": {
            "securitySchemes": { "oauth": { "type": "oauth2" }, "key": { "type": "apiKey", "in": "header", "name": "Authorization" } },
            "parameters": { "Id": { "name": "id", "in": "path", "schema": { "type": "string", "example": "t-1" } } },
            "schemas": { "Thing": { "type": "object", "properties": { "webhook": { "type": "string" } } } },
        },
        "paths": {
            "/things/{id}": {
                "parameters": [{ "$ref": "#/components/parameters/Id" }],
                "get": { "summary": "One thing" },
                "put": {
                    "security": [{ "key": [] }, { "oauth": ["things:write"] }],
                    "requestBody": { "content": { "text/csv": {}, "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } } } },
                },
            },
            "/health": { "get": { "security": [] } },
            "/half/{x}": { "get": { "security": [{}, { "key": [] }] } },
        },
    });
    let described = read(&document);
    assert_eq!(described.prefixes, ["/v1", "/v2", ""]);
    assert!(described.notes[0].contains("public.example"));
    let by_id = |id: &str| {
        described
            .operations
            .iter()
            .find(|operation| operation.id() == id)
            .unwrap()
    };
    let get = by_id("GET /things/{id}");
    assert_eq!(get.params[0].schema["example"], "t-1");
    assert_eq!(get.security.declared, Some(true));
    assert_eq!(get.security.scopes, [["things:read"]]);
    let Source::OpenApi {
        line: Some(line), ..
    } = &get.source
    else {
        panic!("no line")
    };
    let text = serde_json::to_string_pretty(&document).unwrap();
    assert!(
        text.lines()
            .nth(*line as usize - 1)
            .unwrap()
            .contains("\"get\"")
    );
    let put = by_id("PUT /things/{id}");
    assert_eq!(
        put.security.schemes,
        ["apiKey header authorization", "oauth2"]
    );
    assert!(put.body.as_ref().unwrap().is_json());
    assert!(put.reaches(crate::Reach::Outbound));
    assert_eq!(by_id("GET /health").security.declared, Some(false));
    assert_eq!(by_id("GET /half/{x}").security.declared, None);
    assert_eq!(by_id("GET /half/{x}").params.len(), 1);
}

#[test]
fn yaml_with_number_keys_and_swagger_two_are_read() {
    let yaml = "openapi: 3.1.0\npaths:\n  /a:\n    get:\n      responses:\n        200:\n          description: ok\n    post: {}\n";
    let document = openapi::parse(yaml).unwrap();
    let target = Target::parse("http://127.0.0.1:9/base").unwrap();
    let described = openapi::read(&document, yaml, None, &target);
    assert_eq!(described.operations.len(), 2);
    assert_eq!(described.prefixes, ["/base"]);
    assert_eq!(
        described.operations[0].source,
        Source::OpenApi {
            file: None,
            line: Some(4)
        }
    );

    let swagger = json!({
        "swagger": "2.0", "basePath": "/api", "consumes": ["application/json"],
        "paths": { "/x": { "post": { "parameters": [
            { "in": "body", "name": "body", "schema": { "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } } },
            { "in": "query", "name": "q", "type": "string", "enum": ["a"] },
        ] }, "put": { "parameters": [{ "in": "formData", "name": "f", "type": "string" }] } } },
    });
    let described = read(&swagger);
    assert_eq!(described.prefixes, ["/api", ""]);
    assert!(described.operations[0].body.as_ref().unwrap().is_json());
    assert_eq!(described.operations[0].params[0].schema["enum"][0], "a");
    let form = described.operations[1].body.as_ref().unwrap();
    assert_eq!(form.content_type, "application/x-www-form-urlencoded");
}

#[test]
fn nonsense_in_a_description_is_left_out_and_never_an_error() {
    let document = json!({
        "openapi": "3.1.0",
        "servers": [7, { "url": "{scheme}://{host}" }, { "url": "" }],
        "security": "yes",
        "paths": {
            "/a": { "get": { "parameters": [null, 3, { "in": "query" }, { "name": "n", "in": "nowhere" }, { "$ref": "other.json#/x" }] }, "summary": "x" },
            "/b/{x}/{x}": { "post": { "requestBody": { "content": {} } }, "parameters": {} },
            "x-extra": {},
            "/c": null,
            "/d": { "$ref": "#/paths/~1d" },
        },
    });
    let described = read(&document);
    let ids: Vec<String> = described.operations.iter().map(Operation::id).collect();
    assert_eq!(ids, ["GET /a", "POST /b/{x}/{x}"]);
    assert_eq!(described.operations[1].params.len(), 1);
    assert!(
        described
            .notes
            .iter()
            .any(|note| note.contains("other documents"))
    );
}

#[tokio::test]
async fn a_description_larger_than_other_answers_is_read_whole() {
    use crate::testing::{Request as Asked, Response, serve};
    let mut paths = serde_json::Map::new();
    for number in 0..3000 {
        let summary = "a description of many words ".repeat(20);
        paths.insert(
            format!("/p{number}"),
            json!({ "get": { "summary": summary } }),
        );
    }
    let text = json!({ "openapi": "3.1.0", "paths": paths }).to_string();
    assert!(text.len() > 1 << 20);
    let running = serve(std::sync::Arc::new(move |request: &Asked| {
        match request.path() {
            "/openapi.json" => Response::new(200, "application/json", text.clone()),
            _ => Response::text(404, ""),
        }
    }))
    .await;
    let options = ScanOptions::new(running.base.clone());
    let client = Client::new(&options, Default::default(), Default::default()).unwrap();
    let inventory = take(&options, &client).await.map_err(|_| ()).unwrap();
    assert_eq!(inventory.operations.len(), 3000);
    assert_eq!(inventory.from, "OpenAPI description /openapi.json");
}

#[tokio::test]
async fn the_base_path_under_which_operations_are_found_is_taken() {
    use crate::testing::{Request as Asked, Response, serve};
    let running = serve(std::sync::Arc::new(|request: &Asked| {
        match request.path() {
            "/api/v2/things" => Response::json(200, json!({ "things": [] })),
            _ => Response::text(404, ""),
        }
    }))
    .await;
    let mut options = ScanOptions::new(running.base.clone());
    options.spec = Some(SpecSource::File {
        name: "api.yaml".to_owned(),
        text: "openapi: 3.0.0\nservers: [{url: 'https://public.example/v1'}, {url: /api/v2}]\npaths: {/things: {get: {}}}".to_owned(),
    });
    let client = Client::new(&options, Default::default(), Default::default()).unwrap();
    let inventory = take(&options, &client).await.map_err(|_| ()).unwrap();
    assert_eq!(inventory.operations[0].id(), "GET /api/v2/things");
}
