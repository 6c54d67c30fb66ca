//! A token in a form body (RFC 6750 §2.2), which is refused: a proxy that looks at the header would
//! see another token than a handler that looks at the form.

use actix_web::HttpMessage as _;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::web::{Bytes, BytesMut};
use cofferdam_token::authorization;
use futures_util::stream::{self, StreamExt as _};

/// What was found in a form.
pub(crate) enum Form {
    WithoutToken,
    WithToken,
    /// Longer than is looked at, so nobody knows.
    TooLong,
}

/// Whether the body is a form.
pub(crate) fn is_form(request: &ServiceRequest) -> bool {
    request
        .content_type()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Looks for a token in a form of up to `limit` bytes. The body is put back.
pub(crate) async fn look_into(request: &mut ServiceRequest, limit: usize) -> Form {
    let mut payload = request.take_payload();
    let mut seen = BytesMut::new();
    let mut failed: Option<PayloadError> = None;
    while seen.len() <= limit {
        match payload.next().await {
            Some(Ok(chunk)) => seen.extend_from_slice(&chunk),
            Some(Err(error)) => {
                failed = Some(error);
                break;
            }
            None => break,
        }
    }
    let seen = seen.freeze();
    let found = if authorization::carries_token(&seen) {
        Form::WithToken
    } else if seen.len() > limit {
        Form::TooLong
    } else {
        Form::WithoutToken
    };
    let before = stream::iter([Ok::<Bytes, PayloadError>(seen)]);
    let after = stream::iter(failed.map(Err));
    request.set_payload(Payload::Stream {
        payload: before.chain(after).chain(payload).boxed_local(),
    });
    found
}
