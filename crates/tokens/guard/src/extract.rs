//! What a handler gets to know of the token.

use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use cofferdam_token::Verified;
use serde::de::DeserializeOwned;

use crate::error::{Error, Reason};

/// Who calls: the verified token of the request.
///
/// On a public route there is none, and a handler that asks for it answers 401. Where a token is
/// [optional](crate::Undeclared::optional), ask for `Option<Principal>`.
#[derive(Clone, Debug)]
pub struct Principal(Verified);

impl Deref for Principal {
    type Target = Verified;

    fn deref(&self) -> &Verified {
        &self.0
    }
}

impl FromRequest for Principal {
    type Error = Error;
    type Future = Ready<Result<Principal, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(token(request).map(Principal))
    }
}

/// The claims as a type of the user's own. A token whose claims do not have its shape is refused
/// with 401.
///
/// The text has passed the strict reader, so `serde_json` sees in it what the verifier saw.
#[derive(Clone, Debug)]
pub struct TypedClaims<T>(pub T);

impl<T: DeserializeOwned> FromRequest for TypedClaims<T> {
    type Error = Error;
    type Future = Ready<Result<TypedClaims<T>, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let claims = token(request).and_then(|token| {
            serde_json::from_str(token.claims().json())
                .map_err(|_| Error::of_extractor(request, Reason::Claims))
        });
        ready(claims.map(TypedClaims))
    }
}

fn token(request: &HttpRequest) -> Result<Verified, Error> {
    request
        .extensions()
        .get::<Verified>()
        .cloned()
        .ok_or_else(|| Error::of_extractor(request, Reason::NoPrincipal))
}
