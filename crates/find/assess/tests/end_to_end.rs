//! A small service with one hole, scanned and joined with its deployment files.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use cofferdam_assess::scan::{Identity, ScanOptions, SpecSource, Target};
use cofferdam_assess::{AssessError, AssessOptions, DeploymentFile, assess, posture_only};
use cofferdam_finding::{Condition, Confidence, ControlStatus, Severity, State, Truth};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const COMPOSE: &str = "\
services:
  api:
    image: api:1
    user: \"0\"
    ports: [\"PORT:80\"]
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock
  db:
    image: db:1
    user: \"70\"
";

const SPEC: &str = r#"{
  "openapi": "3.0.3",
  "info": {"title": "notes", "version": "1"},
  "security": [{"bearer": []}],
  "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
  "paths": {
    "/v1/notes": {"get": {"responses": {"200": {"description": "own notes"}}}},
    "/v1/notes/{id}": {"get": {
      "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
      "responses": {"200": {"description": "a note"}}}},
    "/v1/files": {"get": {
      "parameters": [{"name": "name", "in": "query", "required": true, "schema": {"type": "string"}, "example": "notes.txt"}],
      "responses": {"200": {"description": "a file of the workspace"}}}},
    "/v1/gone": {"get": {"responses": {"200": {"description": "is not there"}}}}
  }
}"#;

/// What a container sees whose process is root without a user namespace, with a home of the host.
const STATUS: &str = "Name:\tapi\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t1\nPid:\t1\nPPid:\t0\n\
Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\n\
CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\n";
const MOUNTS: &str = "36 35 0:31 / / rw,relatime - overlay overlay rw\n\
41 36 8:1 /root /hostroot rw,relatime - ext4 /dev/sda1 rw\n";

/// Reads a file of the container, wherever the name climbs to: the second hole.
fn file(name: &str) -> Option<&'static str> {
    let mut parts: Vec<&str> = vec!["srv", "workspace"];
    if name.starts_with('/') {
        parts.clear();
    }
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    match parts.join("/").as_str() {
        "srv/workspace/notes.txt" => Some("nothing of note\n"),
        "etc/passwd" => {
            Some("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/sbin/nologin\n")
        }
        "etc/os-release" => Some("ID=alpine\nNAME=\"Alpine Linux\"\nVERSION_ID=3.22.1\n"),
        "proc/self/status" => Some(STATUS),
        "proc/self/mountinfo" => Some(MOUNTS),
        "proc/self/uid_map" => Some("         0          0 4294967295\n"),
        _ => None,
    }
}

/// Lists one's own notes, and shows anyone's: the first hole.
fn answer(request: &Request<Incoming>) -> (StatusCode, String) {
    let who = match request
        .headers()
        .get("authorization")
        .map(|value| value.as_bytes())
    {
        Some(b"Bearer opaque-7f3a9c1e5b-alice") => "alice",
        Some(b"Bearer opaque-1d8e4f6a2c-bob") => "bob",
        _ => {
            return (
                StatusCode::UNAUTHORIZED,
                r#"{"error":"unauthorized"}"#.to_owned(),
            );
        }
    };
    let note = |owner: &str| {
        format!(
            r#"{{"id":"note-of-{owner}-83","owner":"{owner}","text":"the secret plan of {owner}"}}"#
        )
    };
    if request.uri().path() == "/v1/files" {
        let query = request.uri().query().unwrap_or_default();
        let name = query.strip_prefix("name=").unwrap_or_default();
        let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        return match file(&name) {
            Some(text) => (StatusCode::OK, text.to_owned()),
            None => (StatusCode::NOT_FOUND, r#"{"error":"not found"}"#.to_owned()),
        };
    }
    match request.uri().path() {
        "/v1/notes" => (StatusCode::OK, format!("[{}]", note(who))),
        "/v1/notes/note-of-alice-83" => (StatusCode::OK, note("alice")),
        "/v1/notes/note-of-bob-83" => (StatusCode::OK, note("bob")),
        _ => (StatusCode::NOT_FOUND, r#"{"error":"not found"}"#.to_owned()),
    }
}

async fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let service = service_fn(|request: Request<Incoming>| async move {
                    let (status, body) = answer(&request);
                    let mut response = Response::new(Full::new(Bytes::from(body)));
                    *response.status_mut() = status;
                    let json = hyper::header::HeaderValue::from_static("application/json");
                    response.headers_mut().insert("content-type", json);
                    Ok::<_, Infallible>(response)
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    port
}

fn compose(port: u16) -> DeploymentFile {
    DeploymentFile {
        name: "compose.yaml".to_owned(),
        text: COMPOSE.replace("PORT", &port.to_string()),
    }
}

fn options(port: u16) -> AssessOptions {
    let mut scan = ScanOptions::new(Target::parse(&format!("http://127.0.0.1:{port}")).unwrap());
    scan.spec = Some(SpecSource::File {
        name: "openapi.json".to_owned(),
        text: SPEC.to_owned(),
    });
    scan.identities = vec![
        Identity::new("alice", "opaque-7f3a9c1e5b-alice"),
        Identity::new("bob", "opaque-1d8e4f6a2c-bob"),
    ];
    AssessOptions {
        scan,
        deployment: vec![compose(port)],
        service: None,
    }
}

#[tokio::test]
async fn a_service_is_scanned_and_joined_with_its_deployment() {
    let port = serve().await;
    let assessment = assess(options(port), |_| {}, CancellationToken::new())
        .await
        .unwrap();

    assert!(assessment.complete, "{:?}", assessment.incomplete_because);
    assert_eq!(assessment.target, Some(format!("http://127.0.0.1:{port}")));
    let names: Vec<&str> = assessment
        .identities
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["alice", "bob", "no token", "garbage token"]);

    let operation = |path: &str| {
        assessment
            .operations
            .iter()
            .find(|one| one.path == path)
            .unwrap()
    };
    let list = operation("/v1/notes");
    assert!(list.reached);
    let verdict = |who: &str| {
        &list
            .answers
            .iter()
            .find(|one| one.identity == who)
            .unwrap()
            .verdict
    };
    assert_eq!(verdict("alice"), "accepted");
    assert_eq!(verdict("no token"), "refused");
    assert!(!operation("/v1/gone").reached);
    assert!(operation("/v1/gone").reason.is_some());

    let found = |check: &str| assessment.findings.iter().find(|one| one.check == check);
    assert_eq!(
        found("object.cross-tenant-read").unwrap().confidence,
        Confidence::Proven
    );
    assert_eq!(
        found("posture.runtime-socket").unwrap().confidence,
        Confidence::Firm
    );
    assert!(assessment.worst(Confidence::Firm) >= Some(Severity::High));

    // Through the proven read the scan reads the deployment itself, and that joins with the files.
    assert_eq!(
        found("reach.path-traversal").unwrap().confidence,
        Confidence::Proven
    );
    let deployment = assessment.deployment.as_ref().unwrap();
    let conditions = &deployment.workloads[0].conditions;
    let mounted = conditions.fact(Condition::MountHome).unwrap();
    assert_eq!(
        (mounted.truth, mounted.confidence),
        (Truth::Yes, Confidence::Proven)
    );
    assert_eq!(
        conditions.fact(Condition::UserRoot).unwrap().confidence,
        Confidence::Proven
    );

    let path = assessment.paths_to_host().next().unwrap();
    assert_eq!(
        (path.from, path.container.as_deref()),
        (State::TokenHolder, Some("api"))
    );
    let first = path.steps[0].finding.as_ref().unwrap();
    assert_eq!(first.check, "reach.path-traversal");
    assert!(
        path.steps.iter().all(|step| !step.evidence.is_empty()),
        "{path:#?}"
    );
    let tenant = assessment
        .paths
        .iter()
        .find(|path| path.to == State::OtherTenant)
        .unwrap();
    assert_eq!(tenant.confidence, Confidence::Proven);
    let (cut, left) = assessment.cut_and_left();
    assert!(cut > 0 && left == 0 && !assessment.fixes.is_empty());

    let api: Vec<&str> = deployment
        .workloads
        .iter()
        .filter(|workload| workload.api)
        .map(|workload| workload.name.as_str())
        .collect();
    assert_eq!(api, ["api"]);
    assert!(
        deployment
            .chosen_because
            .contains(&format!("publishes port {port}"))
    );

    let control = |check: &str| {
        assessment
            .controls
            .iter()
            .find(|one| one.check == check)
            .unwrap()
    };
    assert_eq!(
        control("posture.runtime-socket").status,
        ControlStatus::Failed
    );
    assert_eq!(
        control("object.cross-tenant-read").status,
        ControlStatus::Failed
    );
    assert!(assessment.score.is_some_and(|score| score < 60));
    assert!(
        assessment
            .advice
            .iter()
            .any(|advice| advice.contains("--active"))
    );

    let text = serde_json::to_string(&assessment).unwrap();
    assert!(
        !text.contains("opaque-7f3a9c1e5b-alice"),
        "a token is in the report"
    );
}

#[tokio::test]
async fn a_scan_that_is_cancelled_still_has_what_the_files_say() {
    let port = serve().await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let outcome = assess(options(port), |_| {}, cancel).await;
    let assessment = outcome.unwrap();
    assert!(!assessment.complete);
    assert!(assessment.incomplete_because.is_some());
    assert_eq!(assessment.score, None);
    assert!(
        assessment
            .findings
            .iter()
            .any(|one| one.check == "posture.runtime-socket")
    );
}

#[tokio::test]
async fn a_service_that_no_file_describes_stops_before_any_request() {
    let mut options = options(serve().await);
    options.service = Some("web".to_owned());
    let error = assess(options, |_| {}, CancellationToken::new())
        .await
        .unwrap_err();
    assert!(matches!(error, AssessError::NoService { .. }));
    assert!(
        error.to_string().contains("they describe api, db"),
        "{error}"
    );
}

#[test]
fn deployment_files_alone_are_assessed_from_an_assumed_state() {
    let assessment = posture_only(vec![compose(8080)], None, State::Exec).unwrap();
    assert_eq!(assessment.assumed, Some(State::Exec));
    assert_eq!(assessment.target, None);
    assert!(assessment.complete);
    assert!(assessment.operations.is_empty());
    assert!(
        assessment
            .findings
            .iter()
            .any(|one| one.check == "posture.runtime-socket")
    );
    assert!(assessment.score.is_some());
    assert!(
        assessment
            .deployment
            .unwrap()
            .workloads
            .iter()
            .all(|workload| workload.api)
    );
    let error = posture_only(vec![compose(8080)], Some("web"), State::Exec).unwrap_err();
    assert!(matches!(error, AssessError::NoService { .. }));
}
