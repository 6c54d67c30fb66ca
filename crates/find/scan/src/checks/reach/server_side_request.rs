//! The service sends a request to an address that the caller names.
//!
//! # What it finds
//! Parameters and members of the body that take a URL or a host, where the service connects to
//! whatever stands there: webhooks that are tried at once, images and documents fetched by URL,
//! proxies. How much the caller decides is told apart: only that a request is sent, that its answer
//! comes back, that method, header fields and body are the caller's too, or that a unix socket can be
//! named.
//!
//! # Why it matters
//! The request comes from inside: it passes the firewall and reaches what trusts the network, such as
//! a Docker API without TLS, the instance metadata service with its cloud credentials, the kubelet.
//!
//! # How it is proved
//! The address of a listener of the scan with a number used once is sent, and the listener is called
//! with that number (*firm*: blind). The listener answers with a text that cannot be derived from the
//! address; where that text comes back, at once, in base64, or when the object is read later, the
//! answer is read (*proven*). An endpoint that only stores or repeats the address is not reported.
//! With `--internal` the proven request is then aimed at the runtime and the metadata services, with
//! a name that cannot exist as control. Nothing there is changed.
//!
//! # How to fix
//! Keep a list of the hosts that may be asked, resolve the name once, refuse every address that is
//! not public, connect to that very address, and follow no redirect. Send such requests through a
//! proxy that can reach nothing inside.
//!
//! # References
//! - CWE-918 Server-Side Request Forgery
//! - OWASP API7:2023 Server Side Request Forgery
//! - ATT&CK T1552.005 Cloud Instance Metadata API, T1613 Container and Resource Discovery

use crate::probes::{
    self, IMDS_LIFETIME, Input, Inside, RequestShape, Spot, caller, find_text, inputs, read_back,
    remove,
};
use crate::{Callback, Context, Exchange, Halt, Hit, Operation, Outcome, Reach, Request};
use cofferdam_finding::{
    Condition, Confidence, Evidence, Facts, Finding, Meta, Place, Severity, State, Truth,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) static META: Meta = Meta {
    id: "reach.server-side-request",
    title: "The service sends a request to an address that the caller names",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Allow a list of hosts, resolve the name once, refuse addresses that are not \
                  public, connect to that very address and follow no redirect.",
    cwe: &[918],
    owasp_api: Some("API7:2023"),
    attack: &["T1190", "T1552.005", "T1613"],
};

/// Words in names of what takes an address.
const URL_WORDS: &[&str] = &[
    "url",
    "uri",
    "href",
    "link",
    "webhook",
    "callback",
    "endpoint",
    "host",
    "hostname",
    "target",
    "remote",
    "feed",
    "fetch",
    "proxy",
    "site",
    "domain",
    "dest",
    "destination",
    "redirect",
    "server",
    "registry",
    "upstream",
    "avatar",
    "icon",
    "hook",
    "origin",
    "source",
    "src",
    "image",
    "manifest",
    "repo",
    "repository",
    "upload",
    "import",
];

/// Words that leave no doubt.
const SURE_WORDS: &[&str] = &["url", "uri", "href", "webhook", "callback"];

/// How long a call may come after the answer and still stop the tries of one input.
const SOON: Duration = Duration::from_millis(60);
/// How long all open calls are waited for together; one that is queued for longer is missed.
const LATE: Duration = Duration::from_millis(1200);

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let mut candidates = Vec::new();
    for operation in cx
        .operations()
        .iter()
        .filter(|operation| cx.may_send(operation))
    {
        let who = caller(cx, operation);
        let Some(request) = cx.request(operation, who) else {
            continue;
        };
        for input in inputs(operation, &request) {
            if let Some(sure) = takes_address(operation, &input) {
                candidates.push(Candidate {
                    operation,
                    request: request.clone(),
                    input,
                    who,
                    sure,
                });
            }
        }
    }
    if candidates.is_empty() {
        return Ok(Outcome::untested(
            "no operation that may be sent takes an address",
        ));
    }
    let Some(callback) = cx.callback().await else {
        return Ok(Outcome::untested(
            "the target could not call back: name this machine as it sees it with --callback-url",
        ));
    };
    candidates.sort_by_key(|candidate| !candidate.sure);
    let tried = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
    let mut results = cx
        .each(candidates, |candidate| async move {
            let tries = candidate.try_forms(cx, callback).await?;
            Ok((candidate, tries))
        })
        .await?;
    // What is queued calls later; all that are still open wait together.
    let deadline = Instant::now() + LATE;
    let mut proven = Vec::new();
    for (candidate, tries) in &mut results {
        for one in tries {
            let rest = deadline.saturating_duration_since(Instant::now());
            if one.hit.is_none() {
                one.hit = callback.wait(&one.nonce, rest).await;
            }
            let proof = candidate.conclude(cx, callback, one).await?;
            if one.exchange.status() == Some(201) {
                remove(cx, candidate.operation, &one.exchange, candidate.who).await?;
            }
            if let Some(proof) = proof {
                proven.push((&*candidate, proof));
                break;
            }
        }
    }

    let mut causes: Vec<(&Candidate<'_>, Proof, Vec<Place>)> = Vec::new();
    for (candidate, proof) in proven {
        let place = candidate.input.place(cx, candidate.operation);
        match causes.iter_mut().find(|(known, known_proof, _)| {
            known.input.name == candidate.input.name
                && known.operation.path == candidate.operation.path
                && known_proof.answer.is_seen() == proof.answer.is_seen()
        }) {
            Some((_, _, places)) => places.push(place),
            None => causes.push((candidate, proof, vec![place])),
        }
    }
    for (candidate, proof, places) in causes {
        report(cx, callback, candidate, proof, places).await?;
    }
    Ok(Outcome::tried(tried))
}

/// One input that could take an address, with the request that it is a part of.
struct Candidate<'a> {
    operation: &'a Operation,
    request: Request,
    input: Input,
    who: usize,
    sure: bool,
}

/// What was seen of one candidate.
struct Proof {
    form: Form,
    answer: Answer,
    evidence: Vec<Evidence>,
}

/// Where the answer that the service got can be seen.
enum Answer {
    /// Nowhere.
    Unseen,
    /// In the answer to the request itself.
    Here(Spot),
    /// In what is read later from another operation.
    Later,
}

impl Answer {
    fn is_seen(&self) -> bool {
        !matches!(self, Answer::Unseen)
    }
}

/// How an address is written.
#[derive(Debug, Clone, PartialEq)]
enum Form {
    Url,
    /// Without the scheme, as a host with a path.
    Bare,
    /// Behind the host that the service expects, as user information.
    Behind(String),
}

impl Form {
    fn value(&self, url: &str) -> String {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        match self {
            Form::Url => url.to_owned(),
            Form::Bare => rest.to_owned(),
            Form::Behind(host) => format!("http://{host}@{rest}"),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Form::Url => "a URL",
            Form::Bare => "a host and a path",
            Form::Behind(_) => "a URL with the expected host as user name",
        }
    }
}

impl Candidate<'_> {
    fn put(&self, form: &Form, url: &str) -> Request {
        self.input
            .put(self.operation, &self.request, &form.value(url))
    }

    fn forms(&self) -> Vec<Form> {
        let expected = self.input.example.as_deref().and_then(|example| {
            let (_, rest) = example.split_once("://")?;
            Some(rest.split(['/', ':', '?']).next()?.to_owned())
        });
        match expected {
            Some(host) if !host.is_empty() => vec![Form::Url, Form::Behind(host)],
            _ if self.sure => vec![Form::Url],
            _ => vec![Form::Url, Form::Bare],
        }
    }

    /// Sends an address in each form, until one is called at once.
    async fn try_forms(&self, cx: &Context, callback: &Callback) -> Result<Vec<Try>, Halt> {
        let mut tries = Vec::new();
        for form in self.forms() {
            let nonce = cx.nonce();
            let exchange = cx
                .send_fresh(self.put(&form, &callback.url_for(&nonce)))
                .await?;
            let hit = callback.wait(&nonce, SOON).await;
            let called = hit.is_some();
            tries.push(Try {
                form,
                nonce,
                exchange,
                hit,
            });
            if called {
                break;
            }
        }
        Ok(tries)
    }

    /// What one address proves, if it was called.
    async fn conclude(
        &self,
        cx: &Context,
        callback: &Callback,
        one: &Try,
    ) -> Result<Option<Proof>, Halt> {
        let Some(hit) = &one.hit else { return Ok(None) };
        let exchange = &one.exchange;
        let shows = format!(
            "{} in `{}` makes the service call it",
            one.form.name(),
            self.input.name
        );
        let mut evidence = vec![cx.evidence(shows, exchange).observed(called(hit))];
        let told = callback.answer_for(&one.nonce);
        let mut answer = Answer::Unseen;
        if let Some((spot, ())) = find_text(exchange, |text| text.contains(&told).then_some(())) {
            answer = Answer::Here(spot);
            evidence.push(cx.evidence_of(
                "the listener's answer comes back, which the address does not tell",
                exchange,
                &told,
            ));
        } else if probes::succeeded(exchange) {
            let later = read_back(cx, self.operation, exchange, self.who).await?;
            if let Some(later) = later.iter().find(|later| probes::shown(later, &told)) {
                answer = Answer::Later;
                evidence.push(cx.evidence_of("the listener's answer is read here", later, &told));
            }
        }
        let form = one.form.clone();
        Ok(Some(Proof {
            form,
            answer,
            evidence,
        }))
    }
}

/// One address that was sent.
struct Try {
    form: Form,
    nonce: String,
    exchange: Arc<Exchange>,
    hit: Option<Hit>,
}

/// Whether `input` could take an address, and whether there is little doubt.
fn takes_address(operation: &Operation, input: &Input) -> Option<bool> {
    if !input.is_free() {
        return None;
    }
    let tagged = operation.reaches(Reach::Outbound);
    let example = input
        .example
        .as_deref()
        .is_some_and(|example| example.starts_with("http://") || example.starts_with("https://"));
    let named = input.named(URL_WORDS);
    if input.named(SURE_WORDS) || example || input.hints_at(" url") || input.hints_at(" uri") {
        return Some(true);
    }
    if !operation.is_safe() && !tagged {
        // What only has the name of an image or a target would be made anew with each try.
        return None;
    }
    // An identifier in the path is no address, whatever its operation does.
    (named && (tagged || !input.in_path()) || tagged && !input.in_path()).then_some(tagged && named)
}

async fn report(
    cx: &Context,
    callback: &Callback,
    candidate: &Candidate<'_>,
    mut proof: Proof,
    places: Vec<Place>,
) -> Result<(), Halt> {
    let name = &candidate.input.name;
    let operation = candidate.operation;
    let mut facts = Facts::new();
    let mut grants = Vec::new();
    let mut description = format!("`{name}` of {operation} names an address that the service asks");
    let mut confidence = Confidence::Firm;
    if proof.answer.is_seen() {
        confidence = Confidence::Proven;
        grants.push(State::SsrfGet);
        description.push_str(" and the answer comes back");
    } else {
        grants.push(State::SsrfBlind);
        description.push_str("; the answer is not shown");
    }
    let severity = match proof.answer.is_seen() {
        true => META.severity,
        false => Severity::Medium,
    };
    // Kept before more is asked: what is inside may not answer for long.
    cx.report(
        Finding::new(&META, places.clone(), proof.evidence.clone())
            .described(description.clone())
            .confidence(confidence)
            .severity(severity)
            .grants(grants.clone()),
    );
    let shape = RequestShape::of(operation, &candidate.request, &candidate.input);
    let mut whole = false;
    if let Some(shape) = &shape
        && let Some(evidence) = whole_request(cx, callback, candidate, &proof.form, shape).await?
    {
        whole = true;
        confidence = Confidence::Proven;
        grants.push(State::SsrfFull);
        proof.evidence.push(evidence);
        description.push_str("; method, header fields and body are the caller's as well");
    }
    if let Answer::Here(spot) = &proof.answer
        && cx.options().internal
    {
        let form = proof.form.clone();
        let inside = Inside {
            cx,
            put: &|url| candidate.put(&form, url),
            spot,
        };
        inside.ask(&mut proof.evidence, &mut facts).await?;
        if let Some(shape) = shape.filter(|_| whole) {
            let session = |request| shape.fill(request, "PUT", IMDS_LIFETIME, "");
            inside
                .ask_for_session(&session, &mut proof.evidence, &mut facts)
                .await?;
        }
        let by_socket = Inside {
            put: &|url| candidate.put(&Form::Url, url),
            ..inside
        };
        if by_socket
            .ask_socket(&mut proof.evidence, &mut facts)
            .await?
        {
            grants.push(State::SsrfUnix);
            description.push_str("; a unix socket can be named");
        }
    }
    let conditions: Vec<Condition> = facts
        .iter()
        .filter(|(_, fact)| fact.truth == Truth::Yes)
        .map(|(condition, _)| condition)
        .collect();
    if !conditions.is_empty() {
        let labels: Vec<&str> = conditions
            .iter()
            .map(|condition| condition.label())
            .collect();
        description.push_str(&format!("; reached inside: {}", labels.join(", ")));
    }
    cx.report(
        Finding::new(&META, places, proof.evidence)
            .described(description)
            .confidence(confidence)
            .severity(if whole { META.severity } else { severity })
            .grants(grants)
            .conditions(conditions),
    );
    cx.learn(&facts);
    Ok(())
}

/// Whether method, a header field and the body of the service's request can be named as well.
async fn whole_request(
    cx: &Context,
    callback: &Callback,
    candidate: &Candidate<'_>,
    form: &Form,
    shape: &RequestShape,
) -> Result<Option<Evidence>, Halt> {
    let (nonce, mark, text) = (cx.nonce(), cx.nonce(), cx.nonce());
    let request = candidate.put(form, &callback.url_for(&nonce));
    let exchange = cx
        .send_fresh(shape.fill(request, "PUT", ("X-Request-Mark", &mark), &text))
        .await?;
    let Some(hit) = callback.wait(&nonce, LATE).await else {
        return Ok(None);
    };
    let all = hit.method == "PUT"
        && hit.headers.iter().any(|(_, value)| *value == mark)
        && String::from_utf8_lossy(&hit.body).contains(&text);
    Ok(all.then(|| {
        cx.evidence(
            "method, header field and body arrive as they were named",
            &exchange,
        )
        .observed(format!(
            "{} with {mark} in a header field and {text} in the body",
            called(&hit)
        ))
    }))
}

/// The call that came in, without what the service's client says of itself.
fn called(hit: &Hit) -> String {
    format!("the listener was called: {} {}", hit.method, hit.target)
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::testing::{Request, Response, Sample, Samples, api};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    /// What an HTTP client without any care gets from `url`: connects to loopback alone.
    fn fetch(method: &str, url: &str, header: &str, body: &str) -> Option<String> {
        let rest = url.strip_prefix("http://")?;
        let (authority, path) = rest.split_once('/')?;
        let address = authority.rsplit('@').next()?;
        let mut stream = TcpStream::connect(address).ok()?;
        write!(
            stream,
            "{method} /{path} HTTP/1.1\r\nHost: {address}\r\n{header}Content-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.split_once("\r\n\r\n")?.1.to_owned())
    }
    let by_query = || {
        api(json!({ "/preview": { "get": { "parameters": [
            { "name": "url", "in": "query", "required": true, "schema": { "type": "string", "format": "uri" },
              "example": "http://pictures.example/a.png" }
        ] } } }))
    };
    let relay = || {
        api(
            json!({ "/relay": { "post": { "requestBody": { "required": true, "content": { "application/json": {
            "schema": { "type": "object", "properties": {
                "url": { "type": "string" }, "method": { "type": "string" },
                "headers": { "type": "object" }, "body": { "type": "string" } } },
            "example": { "url": "http://hooks.example/", "method": "POST", "headers": {}, "body": "" }
        } } } } } }),
        )
    };
    let refused = || Response::json(401, json!({ "error": "token required" }));
    let url_of = |request: &Request| request.query("url").unwrap_or_default();
    Samples::new()
        .flawed(
            Sample::new(
                "the answer in base64",
                by_query(),
                move |request: &Request| {
                    if request.subject().is_none() {
                        return refused();
                    }
                    match fetch("GET", &url_of(request), "", "") {
                        Some(body) => {
                            Response::json(200, json!({ "image": STANDARD.encode(body) }))
                        }
                        None => Response::json(502, json!({ "error": "cannot fetch" })),
                    }
                },
            )
            .reports(["GET /preview (url)"]),
        )
        .flawed(
            Sample::new("blind", by_query(), move |request: &Request| {
                if request.subject().is_none() {
                    return refused();
                }
                let _ = fetch("GET", &url_of(request), "", "");
                Response::json(202, json!({ "queued": true }))
            })
            .reports(["GET /preview (url)"]),
        )
        .flawed(
            Sample::new("the whole request", relay(), move |request: &Request| {
                if request.subject().is_none() {
                    return refused();
                }
                let Some(body) = request.json() else {
                    return Response::text(400, "no JSON");
                };
                let headers: String = body["headers"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| {
                        format!("{name}: {}\r\n", value.as_str().unwrap_or_default())
                    })
                    .collect();
                let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                match fetch(&text("method"), &text("url"), &headers, &text("body")) {
                    Some(answer) => Response::text(200, answer),
                    None => Response::text(502, "cannot fetch"),
                }
            })
            .options(|options| options.level = crate::Level::Active)
            .reports(["POST /relay (url)"]),
        )
        .sound(Sample::new(
            "repeated and not fetched",
            by_query(),
            move |request: &Request| {
                if request.subject().is_none() {
                    return refused();
                }
                Response::json(200, json!({ "stored": url_of(request) }))
            },
        ))
        .sound(Sample::new(
            "a list of hosts",
            by_query(),
            move |request: &Request| {
                if request.subject().is_none() {
                    return refused();
                }
                let url = url_of(request);
                let host = url.split('/').nth(2).unwrap_or_default();
                if host != "pictures.example" {
                    return Response::json(400, json!({ "error": "host not allowed" }));
                }
                Response::json(200, json!({ "image": "aGVsbG8=" }))
            },
        ))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Request, Response, Sample, api, scanned};
    use cofferdam_finding::{Condition, Confidence, State, Truth};
    use serde_json::json;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    fn fetch(url: &str) -> Option<String> {
        let rest = url.strip_prefix("http://")?;
        let (authority, path) = rest.split_once('/')?;
        let mut stream = TcpStream::connect(authority).ok()?;
        write!(
            stream,
            "GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.split_once("\r\n\r\n")?.1.to_owned())
    }

    /// A service that fetches; its inside has an engine and a metadata service of the second version.
    fn sample() -> Sample {
        let description = api(json!({ "/preview": { "get": { "parameters": [
            { "name": "url", "in": "query", "required": true, "schema": { "type": "string" },
              "example": "http://pictures.example/a.png" }
        ] } } }));
        Sample::new("an inside", description, |request: &Request| {
            if request.subject().is_none() {
                return Response::json(401, json!({ "error": "token required" }));
            }
            let url = request.query("url").unwrap_or_default();
            let body = match url.as_str() {
                "http://docker:2375/version" => {
                    Some(r#"{"ApiVersion":"1.47","MinAPIVersion":"1.24","Os":"linux"}"#.to_owned())
                }
                "http://169.254.169.254/latest/meta-data/" => Some("401 Unauthorized".to_owned()),
                other if other.starts_with("http://127.0.0.1") && !other.contains(":2375") => {
                    fetch(other)
                }
                _ => None,
            };
            match body {
                Some(body) => Response::json(200, json!({ "body": body })),
                None => Response::json(502, json!({ "error": "cannot connect" })),
            }
        })
    }

    #[tokio::test]
    async fn the_inside_is_asked_only_where_the_user_allows_it() {
        let scan = scanned(super::META.id, sample()).await;
        assert_eq!(scan.findings[0].grants, [State::SsrfGet]);
        assert!(scan.findings[0].conditions.is_empty() && scan.facts.is_empty());

        let allowed = sample().options(|options| options.internal = true);
        let scan = scanned(super::META.id, allowed).await;
        assert_eq!(scan.findings[0].confidence, Confidence::Proven);
        assert_eq!(scan.findings[0].conditions, [Condition::NetDockerTcp]);
        assert_eq!(scan.facts.truth(Condition::NetDockerTcp), Truth::Yes);
        assert_eq!(scan.facts.truth(Condition::NetImdsV1), Truth::Unknown);
    }
}
