//! Answers in the form of the REST dialect: what the engine says, or a problem (RFC 9457).

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody as _};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use cofferdam_action::wire::{Body, Done};
use serde_json::json;

use crate::broker::{ReplyBody, Success};
use crate::limits::Permit;
use crate::refusal::Refused;

use super::body::Answer;

const PATH_STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A good answer.
pub(super) fn done(success: Success, request: &str, permit: Permit) -> HttpResponse {
    let Success { done, body } = success;
    let status = StatusCode::from_u16(done.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::new(status);
    put(&mut response, REQUEST_ID, Some(request));
    put(&mut response, CONTENT_TYPE, done.content_type.as_deref());
    put(&mut response, PATH_STAT, done.path_stat.as_deref());
    match body {
        ReplyBody::Whole(bytes) => response.set_body(bytes.boxed()),
        // The other direction is not opened in this dialect.
        ReplyBody::Download(download) | ReplyBody::Streams(download, _) => {
            response.set_body(Answer::new(download, size(&done), permit).boxed())
        }
    }
}

fn size(done: &Done) -> BodySize {
    match done.body {
        Body::Sized(length) => BodySize::Sized(length),
        Body::Empty | Body::Stream | Body::Streams => BodySize::Stream,
    }
}

/// A refusal.
pub(super) fn refused(
    refused: &Refused,
    request: Option<&str>,
    metadata: Option<&str>,
) -> HttpResponse<BoxBody> {
    // Every status comes from a table of this project or from the engine.
    let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut problem = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Refused"),
        "status": status.as_u16(),
        "detail": refused.to_string(),
    });
    let rules = refused.rules();
    if !rules.is_empty() {
        problem["rules"] = json!(rules);
    }
    if let Some(request) = request {
        problem["request"] = json!(request);
    }
    let mut response = HttpResponse::new(status);
    put(
        &mut response,
        CONTENT_TYPE,
        Some("application/problem+json"),
    );
    put(&mut response, REQUEST_ID, request);
    let challenge = refused.challenge(metadata);
    put(&mut response, WWW_AUTHENTICATE, challenge.as_deref());
    let retry_after = refused.retry_after().map(|seconds| seconds.to_string());
    put(&mut response, RETRY_AFTER, retry_after.as_deref());
    response.set_body(problem.to_string().boxed())
}

/// A value that is no header value is better left out than cut.
fn put(response: &mut HttpResponse, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        response.headers_mut().insert(name, value);
    }
}
