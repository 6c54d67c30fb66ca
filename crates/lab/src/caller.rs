//! Who calls, as the handlers know it.

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest};
use cofferdam_guard::Principal;
use serde_json::Value;
use std::future::{Ready, ready};

/// Who calls. Handlers behind the guard ask for it; where a hole is open the flawed verifier makes
/// it.
#[derive(Clone, Default)]
pub(crate) struct Caller {
    pub(crate) subject: String,
    /// Empty when the token names none.
    pub(crate) tenant: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_at: u64,
    /// The token that the guard has verified, to act with for its holder; empty without a guard.
    pub(crate) token: String,
}

impl Caller {
    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|each| each == scope)
    }

    /// From claims that nobody has verified, or not enough.
    pub(crate) fn unverified(claims: &Value) -> Self {
        let text = |name: &str| claims[name].as_str().unwrap_or_default();
        let words = text("scope").split(' ').filter(|word| !word.is_empty());
        Self {
            subject: text("sub").to_owned(),
            tenant: text("tenant").to_owned(),
            scopes: words.map(str::to_owned).collect(),
            expires_at: claims["exp"].as_f64().unwrap_or_default() as u64,
            token: String::new(),
        }
    }
}

impl From<Principal> for Caller {
    fn from(principal: Principal) -> Self {
        let tenant = principal.claims().get("tenant");
        let tenant = tenant.and_then(|tenant| tenant.as_str().map(str::to_owned));
        Self {
            subject: principal.subject().unwrap_or_default().to_owned(),
            tenant: tenant.unwrap_or_default(),
            scopes: principal.scopes().iter().map(str::to_owned).collect(),
            expires_at: principal.expires_at() as u64,
            token: String::new(),
        }
    }
}

impl FromRequest for Caller {
    type Error = cofferdam_guard::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let principal = Principal::from_request(request, payload).into_inner();
        ready(principal.map(|principal| Caller {
            token: sent(request).unwrap_or_default(),
            ..Caller::from(principal)
        }))
    }
}

/// The token in the header, behind its scheme.
fn sent(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (_, token) = value.trim_start().split_once(' ')?;
    Some(token.trim().to_owned())
}
