//! One service of a shape of its own with a switch per hole, all checks but those of tokens at once:
//! each hole yields its own finding and no other, all of them yield all, none yields none.

use crate::testing::{Request, Response, Running, api, serve, token_of};
use crate::{Identity, Level, Scan, ScanOptions, SpecSource, checks, scan};
use cofferdam_finding::Confidence;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// The holes, each the id of the check that finds it, and the place where it must.
const HOLES: [(&str, &str); 11] = [
    ("object.cross-tenant-read", "GET /v2/pods/{pod}"),
    ("object.cross-tenant-write", "PATCH /v2/pods/{pod}"),
    ("function.admin", "GET /v2/admin/pods"),
    ("reach.path-traversal", "GET /v2/artifacts (file)"),
    ("reach.server-side-request", "POST /v2/hooks/try (endpoint)"),
    ("reach.command-injection", "POST /v2/checks/dns (host)"),
    ("reach.runtime-api", "GET /engine/containers/json"),
    ("input.deserialization", "POST /v2/pods (hostConfig)"),
    ("expose.secret", "GET /v2/build-info"),
    ("agent.container-tool", "POST /v2/copilot (question)"),
    ("", ""),
];

struct Service {
    open: BTreeSet<&'static str>,
    pods: Mutex<Vec<Value>>,
}

fn pod(id: &str, owner: &str, name: &str) -> Value {
    json!({ "ref": id, "owner": owner, "name": name, "labels": { "tier": "web" }, "state": "running",
            "mounts": [] })
}

impl Service {
    fn new(open: BTreeSet<&'static str>) -> Self {
        let pods = vec![
            pod("pd-7f3a", "alice", "alice-frontend"),
            pod("pd-9c1e", "bob", "bob-ledger"),
            pod("pd-2b8d", "bob", "bob-cache"),
        ];
        Self {
            open,
            pods: Mutex::new(pods),
        }
    }

    fn is_open(&self, hole: &str) -> bool {
        self.open.contains(hole)
    }

    fn answer(&self, request: &Request) -> Response {
        let path = request.path().to_owned();
        if path == "/healthz" {
            return Response::json(200, json!({ "up": true }));
        }
        if path == "/v2/catalogue" {
            let plans = json!([{ "id": "plan-small", "name": "small" }, { "id": "plan-large", "name": "large" }]);
            return Response::json(200, plans);
        }
        let Some(subject) = request.subject() else {
            return Response::json(401, json!({ "error": "invalid_token" }));
        };
        let method = request.method.as_str();
        let body = request.json().unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        match (method, path.as_str()) {
            ("GET", "/v2/artifacts") => self.artifact(&request.query("file").unwrap_or_default()),
            ("POST", "/v2/hooks/try") => self.hook(&text("endpoint")),
            ("POST", "/v2/checks/dns") => self.check(&text("host")),
            ("POST", "/v2/copilot") => self.talk(&subject, &text("question")),
            ("GET", "/v2/build-info") => {
                let env = if self.is_open("expose.secret") {
                    json!(["LEDGER_DB_PASSWORD=t7Kq-2mZx9"])
                } else {
                    json!([])
                };
                Response::json(200, json!({ "version": "2.4.1", "env": env }))
            }
            ("GET", "/v2/admin/pods") if self.is_open("function.admin") => {
                Response::json(200, Value::from(self.pods.lock().unwrap().clone()))
            }
            (_, path) if path.starts_with("/v2/admin/") => {
                Response::json(403, json!({ "error": "forbidden" }))
            }
            (method, path) if path.starts_with("/engine/") => {
                self.engine(method, &path[7..], &body)
            }
            (method, path) if path.starts_with("/v2/pods") => self.of_pods(
                method,
                path.trim_start_matches("/v2/pods").trim_start_matches('/'),
                &subject,
                &body,
            ),
            _ => Response::json(404, json!({ "error": "no such path" })),
        }
    }

    fn of_pods(&self, method: &str, rest: &str, subject: &str, body: &Value) -> Response {
        let mut pods = self.pods.lock().unwrap();
        let own = |pod: &Value| pod["owner"] == subject;
        if rest.is_empty() {
            if method == "GET" {
                return Response::json(
                    200,
                    pods.iter()
                        .filter(|pod| own(pod))
                        .cloned()
                        .collect::<Value>(),
                );
            }
            let Some(map) = body.as_object() else {
                return Response::json(400, json!({ "error": "an object is needed" }));
            };
            let open = self.is_open("input.deserialization");
            if !open && map.keys().any(|name| name != "name" && name != "labels") {
                return Response::json(422, json!({ "error": "unknown member" }));
            }
            let id = format!("pd-{:04x}", 0x3000 + pods.len());
            let mut made = pod(&id, subject, body["name"].as_str().unwrap_or("unnamed"));
            made["mounts"] = body["hostConfig"]
                .get("Binds")
                .cloned()
                .unwrap_or(json!([]));
            pods.push(made);
            return Response::json(201, json!({ "ref": id }));
        }
        let (id, action) = rest.split_once('/').unwrap_or((rest, ""));
        let anyone = match method {
            "GET" => self.is_open("object.cross-tenant-read"),
            "PATCH" => self.is_open("object.cross-tenant-write"),
            _ => false,
        };
        let Some(pod) = pods
            .iter_mut()
            .find(|pod| pod["ref"] == id && (anyone || own(pod)))
        else {
            return Response::json(404, json!({ "error": "no such pod" }));
        };
        match (method, action) {
            ("GET", "") => Response::json(200, pod.clone()),
            ("PATCH", "") => {
                pod["labels"] = body["labels"].clone();
                Response::text(204, "")
            }
            ("DELETE", "") => {
                *pod = json!({ "ref": "gone" });
                Response::text(204, "")
            }
            ("POST", "pause") => {
                pod["state"] = json!("paused");
                Response::text(204, "")
            }
            ("POST", "unpause") => {
                pod["state"] = json!("running");
                Response::text(204, "")
            }
            _ => Response::text(405, "no"),
        }
    }

    fn artifact(&self, file: &str) -> Response {
        let mut parts: Vec<&str> = Vec::new();
        let whole = format!("/srv/artifacts/{file}");
        for part in whole
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
        {
            match part {
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        let path = format!("/{}", parts.join("/"));
        if !path.starts_with("/srv/artifacts/") && !self.is_open("reach.path-traversal") {
            return Response::json(404, json!({ "error": "no such artifact" }));
        }
        match path.as_str() {
            "/srv/artifacts/app.log" => Response::text(200, "built\n"),
            "/etc/passwd" => Response::text(200, "root:x:0:0:root:/root:/bin/sh\n"),
            "/etc/os-release" => Response::text(200, "NAME=\"Pod OS\"\nID=podos\n"),
            _ => Response::json(404, json!({ "error": "no such artifact" })),
        }
    }

    fn hook(&self, endpoint: &str) -> Response {
        if !self.is_open("reach.server-side-request") {
            return Response::json(
                400,
                json!({ "error": format!("{endpoint} is not allowed") }),
            );
        }
        let fetched = endpoint.strip_prefix("http://").and_then(|rest| {
            let (authority, path) = rest.split_once('/')?;
            let mut stream = TcpStream::connect(authority).ok()?;
            write!(stream, "POST /{path} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            Some(answer)
        });
        match fetched {
            Some(answer) => Response::json(200, json!({ "delivered": true, "reply": answer })),
            None => Response::json(200, json!({ "delivered": false })),
        }
    }

    fn check(&self, host: &str) -> Response {
        let mut command = Command::new(if self.is_open("reach.command-injection") {
            "sh"
        } else {
            "echo"
        });
        if self.is_open("reach.command-injection") {
            command.arg("-c").arg(format!("echo resolving {host}"));
        } else {
            command.arg("resolving").arg(host);
        }
        let output = command
            .env_clear()
            .env("PATH", "/bin:/usr/bin")
            .output()
            .unwrap();
        Response::json(
            200,
            json!({ "output": String::from_utf8_lossy(&output.stdout) }),
        )
    }

    fn talk(&self, subject: &str, question: &str) -> Response {
        let pods = self.pods.lock().unwrap();
        let lower = question.to_lowercase();
        if lower.contains("list") || lower.contains("show") {
            let reached =
                |pod: &&Value| pod["owner"] == subject || self.is_open("agent.container-tool");
            let list: Vec<Value> = pods.iter().filter(reached).cloned().collect();
            return Response::json(
                200,
                json!({ "reply": "Here you are.", "steps": [{ "tool": "list", "result": list }] }),
            );
        }
        Response::json(
            200,
            json!({ "reply": format!("I cannot do that: {question}"), "steps": [] }),
        )
    }

    fn engine(&self, method: &str, path: &str, body: &Value) -> Response {
        if !self.is_open("reach.runtime-api") {
            return Response::json(404, json!({ "error": "no such path" }));
        }
        match (method, path) {
            ("GET", "/version") => Response::json(
                200,
                json!({ "ApiVersion": "1.47", "MinAPIVersion": "1.24", "Os": "linux" }),
            ),
            ("GET", "/containers/json") => Response::json(
                200,
                json!([
                    { "Id": "ab".repeat(32), "Names": ["/bob-ledger"], "Image": "ledger", "State": "running" },
                    { "Id": "cd".repeat(32), "Names": ["/alice-frontend"], "Image": "web", "State": "running" },
                ]),
            ),
            ("POST", "/containers/create") => {
                let image = body["Image"].as_str().unwrap_or_default();
                Response::json(404, json!({ "message": format!("No such image: {image}") }))
            }
            _ => Response::json(404, json!({ "message": "page not found" })),
        }
    }
}

fn description() -> Value {
    let pod = || json!([{ "name": "pod", "in": "path", "required": true, "schema": { "type": "string" } }]);
    let body = |properties: Value, example: Value| {
        json!({ "required": true, "content": { "application/json": {
            "schema": { "type": "object", "properties": properties }, "example": example } } })
    };
    let text = || json!({ "type": "string" });
    api(json!({
        "/healthz": { "get": { "security": [] } },
        "/v2/catalogue": { "get": { "security": [] } },
        "/v2/pods": {
            "get": {},
            "post": { "requestBody": body(json!({ "name": text(), "labels": { "type": "object" } }),
                                          json!({ "name": "sample-pod", "labels": { "tier": "test" } })) },
        },
        "/v2/pods/{pod}": {
            "get": { "parameters": pod() },
            "patch": { "parameters": pod(), "requestBody": body(json!({ "labels": { "type": "object" } }),
                                                                  json!({ "labels": { "tier": "web" } })) },
            "delete": { "parameters": pod() },
        },
        "/v2/pods/{pod}/pause": { "post": { "parameters": pod() } },
        "/v2/pods/{pod}/unpause": { "post": { "parameters": pod() } },
        "/v2/admin/pods": { "get": {} },
        "/v2/artifacts": { "get": { "parameters": [
            { "name": "file", "in": "query", "required": true, "schema": text(), "example": "app.log" } ] } },
        "/v2/hooks/try": { "post": { "requestBody": body(json!({ "endpoint": text() }), json!({ "endpoint": "http://hooks.example/x" })) } },
        "/v2/checks/dns": { "post": { "requestBody": body(json!({ "host": text() }), json!({ "host": "localhost" })) } },
        "/v2/build-info": { "get": {} },
        "/v2/copilot": { "post": { "summary": "Ask the assistant", "requestBody": body(json!({ "question": text() }), json!({ "question": "hello" })) } },
    }))
}

async fn run(open: BTreeSet<&'static str>) -> Scan {
    let service = Service::new(open);
    let running: Running = serve(Arc::new(move |request: &Request| service.answer(request))).await;
    let mut options = ScanOptions::new(running.base.clone());
    options.identities = ["alice", "bob"]
        .map(|name| Identity::new(name, token_of(name)))
        .to_vec();
    options.level = Level::Active;
    // This service verifies its tokens; the checks of tokens have samples of their own.
    let others = checks::ALL
        .iter()
        .map(|check| check.meta.id.to_owned())
        .filter(|id| !id.starts_with("token."));
    options.only = Some(others.collect());
    options.spec = Some(SpecSource::File {
        name: "pods.json".to_owned(),
        text: description().to_string(),
    });
    let scan = scan(options, |_| {}, CancellationToken::new())
        .await
        .unwrap();
    assert!(scan.complete, "{:?}", scan.stopped);
    scan
}

/// What is sure, as check and first place.
fn sure(scan: &Scan) -> BTreeSet<(String, String)> {
    scan.findings
        .iter()
        .filter(|finding| finding.confidence >= Confidence::Firm)
        .map(|finding| (finding.check.clone(), finding.places[0].to_string()))
        .collect()
}

#[tokio::test]
async fn each_hole_yields_its_own_finding_and_none_yields_none() {
    for (hole, place) in HOLES {
        let open: BTreeSet<&str> = [hole].into_iter().filter(|hole| !hole.is_empty()).collect();
        let scan = run(open).await;
        let expected: BTreeSet<(String, String)> = match hole {
            "" => BTreeSet::new(),
            hole => BTreeSet::from([(hole.to_owned(), place.to_owned())]),
        };
        assert_eq!(
            sure(&scan),
            expected,
            "with the hole `{hole}`: {:#?}",
            scan.notes
        );
    }
}

#[tokio::test]
async fn all_holes_at_once_hide_none() {
    let scan = run(HOLES.iter().map(|(hole, _)| *hole).collect()).await;
    let expected: BTreeSet<(String, String)> = HOLES
        .iter()
        .filter(|(hole, _)| !hole.is_empty())
        .map(|(hole, place)| ((*hole).to_owned(), (*place).to_owned()))
        .collect();
    assert_eq!(sure(&scan), expected, "{:#?}", scan.notes);
}
