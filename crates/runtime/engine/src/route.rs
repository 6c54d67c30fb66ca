//! From a request to the part of the API that answers it, as dockerd's router does.

use crate::answer::{Answer, Refusal};
use crate::state::Engine;
use crate::{API_VERSION, ENGINE_VERSION, MIN_API_VERSION, api};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// How many bytes a request body may have.
const BODY: usize = 4 * 1024 * 1024;
/// How long a request body may take.
const BODY_TIME: Duration = Duration::from_secs(30);

/// A request as the handlers see it.
pub(crate) struct Call {
    pub(crate) engine: Arc<Engine>,
    query: Vec<(String, String)>,
    content_type: Option<String>,
    body: Bytes,
}

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
    let query = query(request.uri().query().unwrap_or_default());
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
    let path = without_version(&path)?;
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    if request.body().size_hint().lower() > BODY as u64 {
        return Err(Refusal::bad(format!(
            "the body is larger than {BODY} bytes"
        )));
    }
    let body = Limited::new(request.into_body(), BODY).collect();
    let body = tokio::time::timeout(BODY_TIME, body)
        .await
        .map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body took too long"))?
        .map_err(|error| Refusal::bad(format!("cannot read the body: {error}")))?
        .to_bytes();
    let call = Call {
        engine,
        query,
        content_type,
        body,
    };
    let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET" | "HEAD", ["_ping"]) => Ok(api::system::ping()),
        ("GET", ["version"]) => Ok(api::system::version()),
        ("GET", ["info"]) => Ok(api::system::info(&call)),
        ("GET", ["containers", "json"]) => api::containers::list(&call),
        ("POST", ["containers", "create"]) => api::containers::create(&call),
        ("GET", ["containers", id, "json"]) => api::containers::inspect(&call, id),
        ("POST", ["containers", id, "start"]) => api::containers::start(&call, id),
        ("POST", ["containers", id, "stop"]) => api::containers::stop(&call, id),
        ("POST", ["containers", id, "restart"]) => api::containers::restart(&call, id),
        ("POST", ["containers", id, "kill"]) => api::containers::kill(&call, id),
        ("POST", ["containers", id, "wait"]) => api::containers::wait(&call, id),
        ("POST", ["containers", id, "rename"]) => api::containers::rename(&call, id),
        ("GET", ["containers", id, "logs"]) => api::containers::logs(&call, id),
        ("DELETE", ["containers", id]) => api::containers::remove(&call, id),
        ("POST", ["containers", id, "exec"]) => api::exec::create(&call, id),
        ("POST", ["exec", id, "start"]) => api::exec::start(&call, id),
        ("GET", ["exec", id, "json"]) => api::exec::inspect(&call, id),
        ("GET", ["images", "json"]) => Ok(api::images::list(&call)),
        ("POST", ["images", "create"]) => api::images::pull(&call),
        ("GET", ["images", name @ .., "json"]) if !name.is_empty() => {
            api::images::inspect(&call, &name.join("/"))
        }
        _ => Err(Refusal::not_found("page not found")),
    }
}

impl Call {
    /// A query parameter, empty when it is absent.
    pub(crate) fn query(&self, name: &str) -> &str {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// A query parameter that is a truth value in dockerd's reading.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let value = self.query(name).trim().to_ascii_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// The JSON body.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let kind = self.content_type.as_deref().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::bad(format!(
                "unsupported Content-Type header ({kind}): must be 'application/json'"
            )));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::bad(format!("invalid JSON: {error}")))
    }
}

/// The path without `/v1.NN`, which is checked.
fn without_version(path: &str) -> Result<&str, Refusal> {
    let Some((version, _)) = path
        .strip_prefix("/v")
        .and_then(|rest| rest.split_once('/'))
    else {
        return Ok(path);
    };
    if version.is_empty() || !version.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Ok(path);
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
    Ok(&path[2 + version.len()..])
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

fn query(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_dockerd_compares_them() {
        for (path, rest) in [
            ("/v1.41/info", "/info"),
            ("/v01.41/info", "/info"),
            ("/v1.41.0.0/info", "/info"),
            ("/v1.24/info", "/info"),
            ("/info", "/info"),
            ("/vx/info", "/vx/info"),
            ("/version", "/version"),
        ] {
            assert_eq!(without_version(path).unwrap(), rest);
        }
        for path in [
            "/v1.23/info",
            "/v1.99/info",
            "/v1.99999999999/info",
            "/v2/info",
        ] {
            assert_eq!(without_version(path).unwrap_err().status, 400, "{path}");
        }
    }
}
