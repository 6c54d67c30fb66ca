//! Refusals, as answers: the status, the challenges and a problem document (RFC 9457).

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use cofferdam_token::authorization::AuthorizationError;
use cofferdam_token::dpop::ProofRejection;
use cofferdam_token::{Challenge, Denial, ErrorCode, Rejection, Scheme};
use serde_json::json;

use crate::guard::{Guard, Inner};

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum Reason {
    /// No declared resource has this path.
    Undeclared,
    /// The resource has routes for these methods alone.
    Method(String),
    Credentials(AuthorizationError),
    /// With the scheme that it came with.
    Token(Rejection, Scheme),
    Proof(ProofRejection),
    Denied(Denial, Scheme),
    /// The peer has failed too often; seconds until it may try again.
    Throttled(u64),
    /// A form of more than this many bytes.
    FormTooLong(usize),
    /// The claims are not what the handler's own type asks for.
    Claims,
    /// A handler asks for a principal on a route that is public.
    NoPrincipal,
}

impl Reason {
    pub(crate) fn id(&self) -> &'static str {
        match self {
            Reason::Undeclared => "undeclared",
            Reason::Method(_) => "method",
            Reason::Credentials(error) => error.id(),
            Reason::Token(rejection, _) => rejection.id(),
            Reason::Proof(rejection) => rejection.id(),
            Reason::Denied(Denial::Insufficient { .. }, _) => "insufficient",
            Reason::Denied(Denial::NotBound, _) => "not-bound",
            Reason::Denied(Denial::StepUp { .. }, _) => "step-up",
            Reason::Throttled(_) => "throttled",
            Reason::FormTooLong(_) => "form-too-long",
            Reason::Claims => "claims",
            Reason::NoPrincipal => "missing",
        }
    }

    /// Whether it may be one of many attempts. An expired token is an honest client's.
    pub(crate) fn is_guess(&self) -> bool {
        match self {
            Reason::Credentials(error) => error.code().is_some(),
            Reason::Token(Rejection::Expired, _) => false,
            Reason::Token(rejection, _) => rejection.code().is_some(),
            Reason::Proof(rejection) => !matches!(
                rejection,
                ProofRejection::Nonce | ProofRejection::StateUnavailable
            ),
            _ => false,
        }
    }

    fn status(&self) -> StatusCode {
        let code = match self {
            Reason::Undeclared => return StatusCode::NOT_FOUND,
            Reason::Method(_) => return StatusCode::METHOD_NOT_ALLOWED,
            Reason::Throttled(_) => return StatusCode::TOO_MANY_REQUESTS,
            Reason::FormTooLong(_) => return StatusCode::PAYLOAD_TOO_LARGE,
            Reason::NoPrincipal => return StatusCode::UNAUTHORIZED,
            Reason::Credentials(error) => {
                return StatusCode::from_u16(error.status()).unwrap_or(StatusCode::UNAUTHORIZED);
            }
            Reason::Token(rejection, _) => rejection.code(),
            Reason::Proof(rejection) => rejection.code(),
            Reason::Denied(denial, _) => Some(denial.code()),
            Reason::Claims => Some(ErrorCode::InvalidToken),
        };
        // Without a code the fault is here, and the client may come again.
        code.and_then(|code| StatusCode::from_u16(code.status()).ok())
            .unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    fn detail(&self) -> String {
        match self {
            Reason::Undeclared => "there is nothing here".to_owned(),
            Reason::Method(_) => "this resource has no such method".to_owned(),
            Reason::Credentials(error) => error.to_string(),
            Reason::Token(rejection, _) => rejection.description().to_owned(),
            Reason::Proof(ProofRejection::Nonce) => "the proof needs a current nonce".to_owned(),
            Reason::Proof(ProofRejection::StateUnavailable) => {
                "the proof cannot be verified at the moment".to_owned()
            }
            Reason::Proof(_) => "the proof of possession is not valid".to_owned(),
            Reason::Denied(denial, _) => denial.to_string(),
            Reason::Throttled(_) => "too many bad tokens came from here".to_owned(),
            Reason::FormTooLong(limit) => format!("a form may have at most {limit} bytes here"),
            Reason::Claims => "the token is not valid here".to_owned(),
            Reason::NoPrincipal => "no credentials came".to_owned(),
        }
    }
}

/// A refusal. As a response it has the right status, the challenges, and a problem document.
///
/// `Display` names the rule for the log; the client is told less.
#[derive(Debug)]
pub struct Error {
    reason: Reason,
    fields: Vec<(HeaderName, String)>,
}

impl Error {
    pub(crate) fn new(inner: &Inner, reason: Reason, now: u64) -> Error {
        let mut fields = Vec::new();
        for challenge in challenges(inner, &reason) {
            fields.push((WWW_AUTHENTICATE, challenge.to_string()));
        }
        match &reason {
            Reason::Method(allowed) => fields.push((ALLOW, allowed.clone())),
            Reason::Throttled(seconds) => fields.push((RETRY_AFTER, seconds.to_string())),
            // A client that was told one with another refusal need not be refused for it.
            _ if !fields.is_empty() => {
                let nonces = inner
                    .dpop
                    .as_ref()
                    .and_then(|dpop| dpop.policy.nonce_issuer());
                if let Some(nonces) = nonces {
                    fields.push((HeaderName::from_static("dpop-nonce"), nonces.issue(now)));
                }
            }
            _ => {}
        }
        Error { reason, fields }
    }

    /// For extractors: the answer of the guard of the request's resource. Where there is none, which
    /// is in an application that no guard has built, it is a challenge without parameters.
    pub(crate) fn of_extractor(request: &HttpRequest, reason: Reason) -> Error {
        if let Some(guard) = request.app_data::<Guard>() {
            let inner = guard.inner();
            return Error::new(inner, reason, (inner.clock)());
        }
        let challenge = Challenge::new(Scheme::Bearer).to_string();
        Error {
            reason,
            fields: vec![(WWW_AUTHENTICATE, challenge)],
        }
    }

    /// A stable name of the reason, for logs, metrics and tests.
    pub fn id(&self) -> &'static str {
        self.reason.id()
    }

    pub(crate) fn status(&self) -> u16 {
        self.reason.status().as_u16()
    }
}

/// One challenge for each scheme that is accepted (RFC 9449 §7.1); the error stands in that of the
/// scheme that was used.
fn challenges(inner: &Inner, reason: &Reason) -> Vec<Challenge> {
    let (used, describe): (Scheme, Box<dyn Fn(Challenge) -> Challenge + '_>) = match reason {
        Reason::Undeclared | Reason::Method(_) | Reason::Throttled(_) | Reason::FormTooLong(_) => {
            return Vec::new();
        }
        Reason::Credentials(error) => (Scheme::Bearer, describe(error.code(), reason.detail())),
        Reason::Token(rejection, _) if rejection.code().is_none() => return Vec::new(),
        Reason::Token(rejection, scheme) => {
            let scheme = match rejection {
                // What helps is a proof.
                Rejection::ProofMissing | Rejection::SenderMismatch if inner.dpop.is_some() => {
                    Scheme::Dpop
                }
                _ => *scheme,
            };
            (scheme, describe(rejection.code(), reason.detail()))
        }
        Reason::Proof(rejection) if rejection.code().is_none() => return Vec::new(),
        Reason::Proof(rejection) => (Scheme::Dpop, describe(rejection.code(), reason.detail())),
        Reason::Denied(denial, scheme) => {
            (*scheme, Box::new(|challenge| denial.describe(challenge)))
        }
        Reason::Claims => {
            let code = Some(ErrorCode::InvalidToken);
            (Scheme::Bearer, describe(code, reason.detail()))
        }
        Reason::NoPrincipal => (Scheme::Bearer, describe(None, String::new())),
    };
    let mut schemes = vec![Scheme::Bearer];
    if inner.dpop.is_some() {
        schemes.push(Scheme::Dpop);
    }
    schemes
        .into_iter()
        .map(|scheme| {
            let challenge = inner.challenge(scheme);
            if scheme == used {
                describe(challenge)
            } else {
                challenge
            }
        })
        .collect()
}

fn describe(code: Option<ErrorCode>, detail: String) -> Box<dyn Fn(Challenge) -> Challenge> {
    Box::new(move |challenge| match code {
        Some(code) => challenge.error(code).description(&detail),
        None => challenge,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Token(rejection, _) => rejection.fmt(f),
            Reason::Proof(rejection) => rejection.fmt(f),
            reason => f.write_str(&reason.detail()),
        }
    }
}

impl std::error::Error for Error {}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.reason.status()
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        for (name, value) in &self.fields {
            // Every value is made here, of visible ASCII; one that is not is better left out.
            if let Ok(value) = HeaderValue::from_str(value) {
                response.append_header((name.clone(), value));
            }
        }
        let problem = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": self.reason.detail(),
        });
        response
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((CONTENT_TYPE, "application/problem+json"))
            .body(problem.to_string())
    }
}
