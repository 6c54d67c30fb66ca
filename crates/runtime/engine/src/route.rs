//! From a request to the part of the API that answers it, as dockerd's router does.

use crate::answer::{Answer, Refusal};
use crate::request::{Call, spool, values};
use crate::state::Engine;
use crate::{API_VERSION, ENGINE_VERSION, MIN_API_VERSION, api};
use hyper::body::Incoming;
use hyper::header::{HeaderValue, LOCATION};
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use std::sync::Arc;

/// Answers one request.
pub(crate) async fn serve(engine: Arc<Engine>, request: Request<Incoming>) -> Answer {
    let is_head = request.method() == Method::HEAD;
    let mut answer = match handle(engine, request).await {
        Ok(answer) => answer,
        Err(refusal) => refusal.into(),
    };
    let headers = answer.0.headers_mut();
    headers.insert("api-version", HeaderValue::from_static(API_VERSION));
    headers.insert("docker-experimental", HeaderValue::from_static("false"));
    headers.insert("ostype", HeaderValue::from_static("linux"));
    if let Ok(server) = HeaderValue::try_from(format!("Docker/{ENGINE_VERSION} (linux)")) {
        headers.insert("server", server);
    }
    if is_head {
        let (head, _) = answer.0.into_parts();
        let mut empty = Answer::empty(head.status);
        *empty.0.headers_mut() = head.headers;
        return empty;
    }
    answer
}

async fn handle(engine: Arc<Engine>, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let method = request.method().clone();
    // The router matches the decoded path, so `%63reate` and `v1.41%2fcontainers` are routes.
    let path = percent_decode_str(request.uri().path())
        .decode_utf8_lossy()
        .into_owned();
    let clean = crate::files::normal(&path);
    if clean != path && clean != path.trim_end_matches('/') {
        let mut answer = Answer::empty(StatusCode::MOVED_PERMANENTLY);
        if let Ok(location) = HeaderValue::try_from(clean) {
            answer.0.headers_mut().insert(LOCATION, location);
        }
        return Ok(answer);
    }
    let (minor, path) = version(&path)?;
    let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
    let (method, parts) = (method.as_str(), parts.as_slice());
    if let ("PUT", ["containers", id, "archive"]) = (method, parts) {
        let query = values(request.uri().query().unwrap_or_default())?;
        let archive = spool(request.into_body()).await?;
        return api::archive::put(&engine, id, &query, archive).await;
    }
    let call = Call::read(engine, minor, request).await?;
    match parts {
        ["containers", rest @ ..] => containers(&call, method, rest).await,
        ["exec", id, rest @ ..] => match (method, rest) {
            ("POST", ["start"]) => api::exec::start(&call, id),
            ("POST", ["resize"]) => api::exec::resize(&call, id),
            ("GET", ["json"]) => api::exec::inspect(&call, id),
            _ => Err(nothing()),
        },
        ["images", rest @ ..] => images(&call, method, rest),
        ["networks", rest @ ..] => networks(&call, method, rest),
        ["volumes", rest @ ..] => volumes(&call, method, rest),
        _ => match (method, parts) {
            ("GET" | "HEAD", ["_ping"]) => Ok(api::system::ping()),
            ("GET", ["version"]) => Ok(api::system::version()),
            ("GET", ["info"]) => Ok(api::system::info(&call)),
            ("GET", ["events"]) => api::events::stream(&call),
            ("GET", ["system", "df"]) => api::disk::usage(&call),
            _ => Err(nothing()),
        },
    }
}

async fn containers(call: &Call, method: &str, parts: &[&str]) -> Result<Answer, Refusal> {
    use api::{archive, attach, containers, exec, life, prune, watch};
    match (method, parts) {
        ("GET", ["json"]) => containers::list(call),
        ("POST", ["create"]) => containers::create(call),
        ("POST", ["prune"]) => prune::containers(call),
        ("GET", [id, "json"]) => containers::inspect(call, id),
        ("POST", [id, "rename"]) => containers::rename(call, id),
        ("DELETE", [id]) => containers::remove(call, id),
        ("POST", [id, "start"]) => life::start(call, id),
        ("POST", [id, "stop"]) => life::stop(call, id),
        ("POST", [id, "restart"]) => life::restart(call, id),
        ("POST", [id, "kill"]) => life::kill(call, id),
        ("POST", [id, "pause"]) => life::pause(call, id),
        ("POST", [id, "unpause"]) => life::unpause(call, id),
        ("POST", [id, "wait"]) => life::wait(call, id),
        ("POST", [id, "resize"]) => attach::resize(call, id),
        ("POST", [id, "attach"]) => attach::attach(call, id),
        ("GET", [id, "logs"]) => watch::logs(call, id),
        ("GET", [id, "top"]) => watch::top(call, id),
        ("GET", [id, "stats"]) => watch::stats(call, id),
        ("GET", [id, "changes"]) => archive::changes(call, id).await,
        ("GET", [id, "archive"]) => archive::get(call, id).await,
        ("HEAD", [id, "archive"]) => archive::stat(call, id),
        ("POST", [id, "exec"]) => exec::create(call, id),
        _ => Err(nothing()),
    }
}

fn images(call: &Call, method: &str, parts: &[&str]) -> Result<Answer, Refusal> {
    match (method, parts) {
        ("GET", ["json"]) => api::images::list(call),
        ("POST", ["create"]) => api::images::pull(call),
        ("POST", ["prune"]) => api::prune::images(call),
        ("GET", [name @ .., "json"]) if !name.is_empty() => {
            api::images::inspect(call, &name.join("/"))
        }
        ("GET", [name @ .., "history"]) if !name.is_empty() => {
            api::images::history(call, &name.join("/"))
        }
        ("POST", [name @ .., "tag"]) if !name.is_empty() => api::images::tag(call, &name.join("/")),
        ("DELETE", name @ [_, ..]) => api::images::remove(call, &name.join("/")),
        _ => Err(nothing()),
    }
}

fn networks(call: &Call, method: &str, parts: &[&str]) -> Result<Answer, Refusal> {
    match (method, parts) {
        ("GET", [] | [""]) => api::networks::list(call),
        ("POST", ["create"]) => api::networks::create(call),
        ("POST", ["prune"]) => api::prune::networks(call),
        ("GET", [id]) => api::networks::inspect(call, id),
        ("DELETE", [id]) => api::networks::remove(call, id),
        ("POST", [id, "connect"]) => api::networks::connect(call, id),
        ("POST", [id, "disconnect"]) => api::networks::disconnect(call, id),
        _ => Err(nothing()),
    }
}

fn volumes(call: &Call, method: &str, parts: &[&str]) -> Result<Answer, Refusal> {
    match (method, parts) {
        ("GET", []) => api::volumes::list(call),
        ("POST", ["create"]) => api::volumes::create(call),
        ("POST", ["prune"]) => api::prune::volumes(call),
        ("GET", [name]) => api::volumes::inspect(call, name),
        ("DELETE", [name]) => api::volumes::remove(call, name),
        _ => Err(nothing()),
    }
}

fn nothing() -> Refusal {
    Refusal::not_found("page not found")
}

/// The minor number of the version that a path asks for, the newest where it names none, and the
/// path without it.
fn version(path: &str) -> Result<(u32, &str), Refusal> {
    let newest = minor(API_VERSION);
    let Some((version, _)) = path
        .strip_prefix("/v")
        .and_then(|rest| rest.split_once('/'))
    else {
        return Ok((newest, path));
    };
    if version.is_empty() || !version.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Ok((newest, path));
    }
    if number(version) < number(MIN_API_VERSION) {
        return Err(Refusal::bad(format!(
            "client version {version} is too old. Minimum supported API version is \
             {MIN_API_VERSION}, please upgrade your client to a newer version"
        )));
    }
    if number(version) > number(API_VERSION) {
        return Err(Refusal::bad(format!(
            "client version {version} is too new. Maximum supported API version is {API_VERSION}"
        )));
    }
    Ok((minor(version), &path[2 + version.len()..]))
}

fn minor(version: &str) -> u32 {
    number(version).get(1).copied().unwrap_or_default()
}

fn number(version: &str) -> Vec<u32> {
    let mut parts: Vec<_> = version
        .split('.')
        .map(|part| {
            if part.is_empty() {
                0
            } else {
                part.parse().unwrap_or(u32::MAX)
            }
        })
        .collect();
    while parts.last() == Some(&0) {
        parts.pop();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_dockerd_compares_them() {
        for (path, rest) in [
            ("/v1.41/info", (41, "/info")),
            ("/v01.41/info", (41, "/info")),
            ("/v1.041/info", (41, "/info")),
            ("/v1.41.0.0/info", (41, "/info")),
            ("/v1.24/info", (24, "/info")),
            ("/info", (51, "/info")),
            ("/vx/info", (51, "/vx/info")),
            ("/version", (51, "/version")),
        ] {
            assert_eq!(version(path).unwrap(), rest);
        }
        for path in [
            "/v1.23/info",
            "/v1.99/info",
            "/v1.99999999999/info",
            "/v2/info",
        ] {
            assert_eq!(version(path).unwrap_err().status, 400, "{path}");
        }
    }
}
