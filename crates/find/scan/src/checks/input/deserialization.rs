//! Input decides more than the service says that it may.
//!
//! # What it finds
//! Bodies that are turned into objects without a look at what is in them: members that no description
//! names and that take effect all the same, such as `HostConfig` with its bind mounts in a job or
//! container definition; and formats whose reading can run code (YAML tags, pickle, node-serialize).
//!
//! # Why it matters
//! An undeclared `HostConfig` mounts the host's root into a container of the caller's: that is the
//! host. A format that runs code gives a process in the service's own container.
//!
//! # How it is proved
//! With `--active` only. The documented sample is sent with an undeclared member that would mount
//! `/etc/hostname`, read-only, at a path used once, and beside it, and within it, an invented member.
//! It is reported where the mount shows up when the object is read back and the invented member does
//! not: what merely stores and repeats any JSON has both. A bind that a description declares is not
//! reported. Code is proved by a product of random numbers of which only the factors were sent, or by a call to the listener. What was made is removed, or named
//! in the notes.
//!
//! # How to fix
//! Read input into a type that has the permitted members only, and refuse what is left over
//! (`deny_unknown_fields`). Set the host configuration in the service. Use formats and readers
//! without types.
//!
//! # References
//! - CWE-502 Deserialization of Untrusted Data, CWE-915 Improperly Controlled Modification of
//!   Dynamically-Determined Object Attributes
//! - OWASP API3:2023 Broken Object Property Level Authorization
//! - ATT&CK T1610 Deploy Container, T1611 Escape to Host

use crate::probes::{
    self, Canary, Document, caller, containers_in, documents, gadgets, inputs, read_back, remove,
    with_members,
};
use crate::{Context, Exchange, Halt, Level, Operation, Outcome, Reach, Request};
use cofferdam_finding::{Confidence, Evidence, Finding, Meta, Place, Severity, State};
use hyper::Method;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

pub(crate) static META: Meta = Meta {
    id: "input.deserialization",
    title: "Input decides more than the service says that it may",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: true,
    remediation: "Read input into a type that has the permitted members only and refuse what is \
                  left over; set the host configuration in the service.",
    cwe: &[502, 915],
    owasp_api: Some("API3:2023"),
    attack: &["T1190", "T1610", "T1611"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    if cx.options().level < Level::Active {
        return Ok(Outcome::untested("could change state; needs --active"));
    }
    let mut tried = 0;
    // One after the other: each looks for what it made.
    for operation in cx.operations().iter().filter(|operation| {
        matches!(operation.method, Method::POST | Method::PUT)
            && cx.may_send(operation)
            && operation.body.is_some()
            && !operation.reaches(Reach::Agent)
    }) {
        let who = caller(cx, operation);
        let Some(request) = cx.request(operation, who) else {
            continue;
        };
        let probe = Probe {
            cx,
            operation,
            request,
            who,
        };
        let mut any = probe.code().await?;
        for document in documents(operation, &probe.request) {
            any = true;
            if probe.mount(&document).await? {
                break;
            }
        }
        tried += u32::from(any);
    }
    if tried == 0 {
        return Ok(Outcome::untested(
            "no operation that may be sent takes a document",
        ));
    }
    Ok(Outcome::tried(tried))
}

/// Spellings of what mounts a path of the host, as engines, compose files and APIs have them.
const MOUNTS: [&str; 8] = [
    "HostConfig",
    "host_config",
    "hostConfig",
    "Binds",
    "binds",
    "volumes",
    "mounts",
    "Mounts",
];

/// One operation that takes a document.
struct Probe<'a> {
    cx: &'a Context,
    operation: &'a Operation,
    request: Request,
    who: usize,
}

/// A mount in one spelling, with the path used once by which it is known again.
struct Mount {
    member: &'static str,
    mark: String,
    value: Value,
}

impl Probe<'_> {
    fn place(&self, parameter: Option<&str>) -> Place {
        let place = self.cx.place(self.operation);
        match parameter {
            Some(name) => place.parameter(name),
            None => place,
        }
    }

    /// Undeclared mounts, all spellings at once, then each where the service refuses them together.
    async fn mount(&self, document: &Document) -> Result<bool, Halt> {
        if !self.makes_containers(document) {
            return Ok(false);
        }
        for pointer in containers_in(&document.value) {
            let control = (self.cx.nonce(), self.cx.nonce());
            let mounts: Vec<Mount> = MOUNTS
                .iter()
                .filter(|member| !document.knows(&pointer, member))
                .map(|member| self.a_mount(member, &control))
                .collect();
            let all: Vec<&Mount> = mounts.iter().collect();
            let made = self.send(document, &pointer, &all, &control).await?;
            if probes::succeeded(&made) {
                if self
                    .took_effect(document, &pointer, &made, &mounts, &control)
                    .await?
                {
                    return Ok(true);
                }
                continue;
            }
            for mount in &mounts[..mounts.len().min(6)] {
                let made = self.send(document, &pointer, &[mount], &control).await?;
                if probes::succeeded(&made)
                    && self
                        .took_effect(
                            document,
                            &pointer,
                            &made,
                            std::slice::from_ref(mount),
                            &control,
                        )
                        .await?
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether the document could become a container: an image in it, or a name that says so.
    fn makes_containers(&self, document: &Document) -> bool {
        let path = self
            .operation
            .path
            .split('/')
            .flat_map(probes::words)
            .any(|word| {
                matches!(
                    word.as_str(),
                    "job"
                        | "jobs"
                        | "container"
                        | "containers"
                        | "run"
                        | "runs"
                        | "workload"
                        | "workloads"
                        | "task"
                        | "tasks"
                        | "deploy"
                        | "deployment"
                        | "deployments"
                        | "build"
                        | "builds"
                        | "sandbox"
                        | "sandboxes"
                        | "service"
                        | "services"
                        | "instance"
                        | "instances"
                        | "import"
                        | "template"
                        | "templates"
                        | "stack"
                        | "stacks"
                )
            });
        path || self.operation.reaches(Reach::Runtime) || containers_in(&document.value).len() > 1
    }

    fn a_mount(&self, member: &'static str, control: &(String, String)) -> Mount {
        let mark = self.cx.nonce();
        let bind = format!("/etc/hostname:/{mark}:ro");
        let whole = member.to_ascii_lowercase().contains("config");
        let value = match member {
            // The invented member within shows whether anything at all is kept there.
            _ if whole => json!({ "Binds": [bind], control.0.clone(): control.1 }),
            "mounts" | "Mounts" => json!([{
                "Type": "bind", "Source": "/etc/hostname", "Target": format!("/{mark}"), "ReadOnly": true,
            }]),
            _ => json!([bind]),
        };
        Mount {
            member,
            mark,
            value,
        }
    }

    async fn send(
        &self,
        document: &Document,
        pointer: &str,
        mounts: &[&Mount],
        control: &(String, String),
    ) -> Result<Arc<Exchange>, Halt> {
        let mut members = Map::new();
        members.insert(control.0.clone(), Value::from(control.1.clone()));
        for mount in mounts {
            members.insert(mount.member.to_owned(), mount.value.clone());
        }
        let value = with_members(&document.value, pointer, &members);
        self.cx
            .send_fresh(document.put(&self.request, &value))
            .await
    }

    /// Looks for a mount where the invented member is not, reports it, and removes what was made.
    async fn took_effect(
        &self,
        document: &Document,
        pointer: &str,
        made: &Arc<Exchange>,
        mounts: &[Mount],
        control: &(String, String),
    ) -> Result<bool, Halt> {
        let cx = self.cx;
        let later = read_back(cx, self.operation, made, self.who).await?;
        let seen = std::iter::once(made).chain(&later).find_map(|exchange| {
            let shown = |text: &str| probes::shown(exchange, text);
            let mount = mounts.iter().find(|mount| shown(&mount.mark))?;
            (!shown(&control.1)).then(|| (mount, Arc::clone(exchange)))
        });
        if let Some((mount, exchange)) = &seen {
            let parameter: Vec<String> = document
                .name()
                .into_iter()
                .chain(
                    pointer
                        .split('/')
                        .filter(|part| !part.is_empty())
                        .map(str::to_owned),
                )
                .chain([mount.member.to_owned()])
                .collect();
            let parameter = parameter.join(".");
            let evidence = vec![
                cx.evidence(
                    format!("the sample is sent with an undeclared `{}`", mount.member),
                    made,
                ),
                cx.evidence_of(
                    "the mount is there when it is read back; the invented member beside it is not",
                    exchange,
                    &mount.mark,
                ),
            ];
            cx.report(
                Finding::new(&META, vec![self.place(Some(&parameter))], evidence)
                    .titled("An undeclared member mounts a path of the host")
                    .described(format!(
                        "{} takes `{}`, which no description names, and mounts what it says",
                        self.operation, mount.member
                    ))
                    .severity(Severity::Critical)
                    .grants([State::RuntimeControl]),
            );
        }
        remove(cx, self.operation, made, self.who).await?;
        Ok(seen.is_some())
    }

    /// Formats whose reading can run code. Whether any was tried.
    async fn code(&self) -> Result<bool, Halt> {
        let cx = self.cx;
        let mut tried = false;
        for input in inputs(self.operation, &self.request) {
            if !input.in_body() || !input.is_free() {
                continue;
            }
            let hint = format!(
                "{} {} {}",
                self.operation
                    .body
                    .as_ref()
                    .map_or("", |spec| spec.content_type.as_str()),
                input.hint(),
                input
                    .example
                    .as_deref()
                    .unwrap_or_default()
                    .chars()
                    .take(64)
                    .collect::<String>(),
            );
            let canary = Canary::new(cx);
            if gadgets(&hint, &canary, None).is_empty() {
                continue;
            }
            let callback = cx.callback().await;
            let nonce = cx.nonce();
            let url = callback.map(|callback| callback.url_for(&nonce));
            for gadget in gadgets(&hint, &canary, url.as_deref()) {
                tried = true;
                let exchange = cx
                    .send_fresh(input.put(self.operation, &self.request, &gadget.text))
                    .await?;
                let mut seen =
                    probes::shown(&exchange, &canary.expected()).then(|| Arc::clone(&exchange));
                if seen.is_none() && probes::succeeded(&exchange) {
                    seen = read_back(cx, self.operation, &exchange, self.who)
                        .await?
                        .into_iter()
                        .find(|later| probes::shown(later, &canary.expected()));
                }
                let mut evidence = Vec::new();
                if let Some(seen) = &seen {
                    evidence.push(cx.evidence_of(
                        "a product comes back of which only the factors were sent",
                        seen,
                        &canary.expected(),
                    ));
                } else if let Some(callback) = callback.filter(|_| gadget.text.contains(&nonce))
                    && let Some(hit) = callback.wait(&nonce, Duration::from_millis(800)).await
                {
                    let called = format!("the listener was called: {} {}", hit.method, hit.target);
                    evidence.push(
                        cx.evidence("reading the document made a call", &exchange)
                            .observed(called),
                    );
                }
                if !evidence.is_empty() {
                    self.report_code(&input.name, gadget.name, evidence);
                    return Ok(true);
                }
            }
        }
        Ok(tried)
    }

    fn report_code(&self, input: &str, gadget: &str, evidence: Vec<Evidence>) {
        self.cx.report(
            Finding::new(&META, vec![self.place(Some(input))], evidence)
                .titled("Reading a document runs code that stands in it")
                .described(format!("`{input}` of {} takes {gadget}", self.operation))
                .severity(Severity::Critical)
                .grants([State::Exec]),
        );
    }
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::testing::{Response, Sample, Samples, api};
    use std::sync::Mutex;

    let parameter = || json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }]);
    let description = move || {
        api(json!({
            "/jobs": {
                "get": {},
                "post": { "requestBody": { "required": true, "content": { "application/json": {
                    "schema": { "type": "object", "properties": {
                        "image": { "type": "string" }, "labels": { "type": "object" } } },
                    "example": { "image": "web:1", "labels": { "team": "a" } },
                } } } },
            },
            "/jobs/{id}": { "get": { "parameters": parameter() }, "delete": { "parameters": parameter() } },
        }))
    };
    /// What becomes of the members of a job.
    #[derive(Clone, Copy, PartialEq)]
    enum Reading {
        /// Everything is passed to an engine, which keeps what it knows.
        Passed,
        /// What is not declared is refused.
        Strict,
        /// What is not declared is dropped.
        Dropped,
        /// Any JSON is stored and repeated.
        Stored,
    }
    let service = move |reading: Reading| {
        let jobs: Mutex<Vec<Value>> = Mutex::default();
        move |request: &crate::testing::Request| {
            let Some(subject) = request.subject() else {
                return Response::json(401, json!({ "error": "token required" }));
            };
            let mut jobs = jobs.lock().unwrap();
            let mine = |job: &Value| job["owner"] == subject.as_str();
            let path = request.path().to_owned();
            let id = path.strip_prefix("/jobs/");
            match (request.method.as_str(), id) {
                ("GET", None) => Response::json(
                    200,
                    jobs.iter()
                        .filter(|job| mine(job))
                        .cloned()
                        .collect::<Value>(),
                ),
                ("POST", None) => {
                    let Some(Value::Object(body)) = request.json() else {
                        return Response::text(400, "no object");
                    };
                    if reading == Reading::Strict
                        && body.keys().any(|name| name != "image" && name != "labels")
                    {
                        return Response::json(422, json!({ "error": "unknown member" }));
                    }
                    let mut job = match reading {
                        Reading::Stored => json!({ "definition": body.clone() }),
                        _ => json!({ "image": body.get("image"), "labels": body.get("labels") }),
                    };
                    if reading == Reading::Passed {
                        job["mounts"] = body
                            .get("HostConfig")
                            .map_or(json!([]), |host| host["Binds"].clone());
                    }
                    job["id"] = json!(format!("job-{}-{}", subject, jobs.len()));
                    job["owner"] = json!(subject);
                    jobs.push(job.clone());
                    Response::json(201, json!({ "id": job["id"] }))
                }
                (method, Some(id)) => {
                    let Some(at) = jobs.iter().position(|job| job["id"] == id && mine(job)) else {
                        return Response::json(404, json!({ "error": "no such job" }));
                    };
                    match method {
                        "GET" => Response::json(200, jobs[at].clone()),
                        _ => {
                            jobs[at] = Value::Null;
                            Response::text(204, "")
                        }
                    }
                }
                _ => Response::text(405, "no"),
            }
        }
    };
    let active = |options: &mut crate::ScanOptions| options.level = Level::Active;
    Samples::new()
        .flawed(
            Sample::new(
                "passed to the engine",
                description(),
                service(Reading::Passed),
            )
            .options(active)
            .reports(["POST /jobs (HostConfig)"]),
        )
        .sound(Sample::new("refused", description(), service(Reading::Strict)).options(active))
        .sound(Sample::new("dropped", description(), service(Reading::Dropped)).options(active))
        .sound(
            Sample::new(
                "any JSON is stored",
                description(),
                service(Reading::Stored),
            )
            .options(active),
        )
}
