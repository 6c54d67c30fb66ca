//! The last edge of a path, walked in the lab alone: through the flaw that the report proved, a
//! container is created with a bind of the host's root, and it leaves a marker there.
//!
//! The lab's engine is simulated and its host is a directory, so nothing happens to this machine.

use cofferdam_assess::Assessment;
use cofferdam_finding::{Place, State};
use cofferdam_lab::Lab;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::time::Duration;

/// What was done and seen.
pub(super) struct Walked {
    pub(super) lines: Vec<String>,
    pub(super) on_the_host: bool,
    pub(super) outcome: String,
}

/// The token holder that walks.
pub(super) const WHO: &str = "alice";
/// Bytes that are read of an answer.
const ANSWER: usize = 1 << 20;

/// Walks the cheapest path that leads through control of the runtime by one finding.
pub(super) async fn walk(lab: &Lab, report: &Assessment) -> Result<Walked, String> {
    let flaw = report
        .paths_to_host()
        .flat_map(|path| &path.steps)
        .filter(|step| step.to == State::RuntimeControl)
        .find_map(|step| {
            let named = step.finding.as_ref()?;
            Flaw::of(&named.check, &report.finding(named)?.places)
        })
        .ok_or("no path goes through a flaw that creates containers")?;
    let marker = format!("cofferdam-was-here-{}", std::process::id());
    let container = container(&marker);
    let base = lab.base_url();
    let authority = base.strip_prefix("http://").ok_or("the lab speaks http")?;
    let mut lines = Vec::new();
    let token = &lab.identities()[WHO];
    let mut post = async |path: String, body: &Value| {
        let answer = post(authority, &path, token, body).await?;
        lines.push(format!(
            "{WHO}'s token  POST {path}  {body}  → {}",
            answer.0
        ));
        Ok::<_, String>(answer)
    };
    match flaw {
        Flaw::RuntimeApi(prefix) => {
            let (_, created) = post(format!("{prefix}/containers/create"), &container).await?;
            let id = created["Id"].as_str().ok_or("the engine created nothing")?;
            post(format!("{prefix}/containers/{id}/start"), &json!({})).await?;
        }
        Flaw::Job(path) => {
            let job = json!({
                "name": "walk",
                "image": container["Image"],
                "command": container["Cmd"],
                "HostConfig": container["HostConfig"],
            });
            post(path, &job).await?;
        }
    }
    let seen = lab.host_root().join(&marker);
    let on_the_host = seen.exists();
    Ok(Walked {
        lines,
        on_the_host,
        outcome: format!("the marker /{marker} stands in the root of the lab's host"),
    })
}

/// The flaws that create containers, by where they are.
enum Flaw {
    /// The path before the Engine API's own.
    RuntimeApi(String),
    /// The path that imports a job.
    Job(String),
}

impl Flaw {
    fn of(check: &str, places: &[Place]) -> Option<Self> {
        let mut operations = places.iter().filter_map(|place| place.operation.as_deref());
        match check {
            "reach.runtime-api" => operations.find_map(|operation| {
                let path = operation.split_once(' ')?.1;
                let prefix = ["/containers/", "/version", "/_ping", "/info"]
                    .iter()
                    .find_map(|known| path.find(known))?;
                Some(Flaw::RuntimeApi(path[..prefix].to_owned()))
            }),
            "input.deserialization" => operations
                .find_map(|operation| Some(Flaw::Job(operation.strip_prefix("POST ")?.to_owned()))),
            _ => None,
        }
    }
}

/// The container that leaves `marker` on the host, as the Docker API takes it.
pub(super) fn container(marker: &str) -> Value {
    json!({
        "Image": "allowed/app:1",
        "Cmd": ["touch", format!("/host/{marker}")],
        "HostConfig": {"Binds": ["/:/host"]},
    })
}

/// Posts `body`; answers the status and what JSON came.
pub(super) async fn post(
    authority: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> Result<(u16, Value), String> {
    let request = hyper::Request::post(path)
        .header("host", authority)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let stream = tokio::net::TcpStream::connect(authority)
            .await
            .map_err(|e| e.to_string())?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    };
    tokio::time::timeout(Duration::from_secs(10), exchange)
        .await
        .map_err(|_| format!("`{authority}` does not answer"))?
}
