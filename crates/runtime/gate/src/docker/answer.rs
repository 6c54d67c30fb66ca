//! Answers in the form of the Docker Engine API 1.41.

use std::borrow::Cow;

use bytes::Bytes;
use cofferdam_action::OLDEST_MINOR;
use cofferdam_action::wire::Done;
use hyper::ext::ReasonPhrase;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, SERVER, UPGRADE,
    WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};

use crate::caller::Unauthenticated;
use crate::refusal::Refused;
use cofferdam_token::AuthorizationError;

use super::body::Answer;

const API_VERSION: HeaderName = HeaderName::from_static("api-version");
const EXPERIMENTAL: HeaderName = HeaderName::from_static("docker-experimental");
const OS_TYPE: HeaderName = HeaderName::from_static("ostype");
const PATH_STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A good answer.
pub(super) fn done(done: &Done, request: &str, body: Answer) -> Response<Answer> {
    let mut response = start(
        StatusCode::from_u16(done.status).unwrap_or(StatusCode::OK),
        body,
    );
    let headers = response.headers_mut();
    put(headers, REQUEST_ID, Some(request));
    put(headers, CONTENT_TYPE, done.content_type.as_deref());
    put(headers, PATH_STAT, done.path_stat.as_deref());
    response
}

/// The answer that turns the connection into streams.
pub(super) fn upgraded(done: &Done, request: &str, body: Answer) -> Response<Answer> {
    let mut response = start(StatusCode::SWITCHING_PROTOCOLS, body);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    put(headers, REQUEST_ID, Some(request));
    put(headers, CONTENT_TYPE, done.content_type.as_deref());
    let reason = ReasonPhrase::from_static(b"UPGRADED");
    response.extensions_mut().insert(reason);
    response
}

/// A refusal: the message stands in the member `message`, which the command line shows word for
/// word.
pub(super) fn refused(
    refused: &Refused,
    request: Option<&str>,
    metadata: Option<&str>,
    body: impl FnOnce(Bytes) -> Answer,
) -> Response<Answer> {
    let message = serde_json::json!({ "message": message(refused) }).to_string() + "\n";
    // Every status comes from a table of this project or from the engine.
    let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = start(status, body(message.into()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    put(headers, REQUEST_ID, request);
    let challenge = refused.challenge(metadata);
    put(headers, WWW_AUTHENTICATE, challenge.as_deref());
    let retry_after = refused.retry_after().map(|seconds| seconds.to_string());
    put(headers, RETRY_AFTER, retry_after.as_deref());
    response
}

/// The sentence, with what to do about it in this dialect.
fn message(refused: &Refused) -> Cow<'static, str> {
    const MISSING: &str = "no bearer token came: set `\"HttpHeaders\": {\"Authorization\": \"Bearer TOKEN\"}` in the `config.json` of the docker client, or use `cofferdam connect`";
    match refused {
        Refused::Caller(Unauthenticated::Credentials(
            AuthorizationError::Missing | AuthorizationError::OtherScheme,
        )) => Cow::Borrowed(MISSING),
        Refused::Caller(Unauthenticated::Credentials(AuthorizationError::WrongPlace)) => {
            Cow::Borrowed(
                "a token came outside of the header `Authorization`: that is the one place where it belongs",
            )
        }
        other => Cow::Owned(other.to_string()),
    }
}

fn start(status: StatusCode, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(8);
    const { assert!(OLDEST_MINOR == 41) };
    headers.insert(API_VERSION, HeaderValue::from_static("1.41"));
    headers.insert(EXPERIMENTAL, HeaderValue::from_static("false"));
    headers.insert(OS_TYPE, HeaderValue::from_static("linux"));
    headers.insert(SERVER, HeaderValue::from_static("Cofferdam"));
    response
}

/// A value that is no header value is better left out than cut.
fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(name, value);
    }
}
