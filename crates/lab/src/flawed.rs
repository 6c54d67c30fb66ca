//! The verifier that a hurried developer writes in the place of the guard, with one mistake for each
//! hole. It is right in all but the mistake of its route, so that none hides another.

use crate::caller::Caller;
use crate::hole::Hole;
use crate::lab::now;
use crate::service::{Problem, after, raw_token};
use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use aws_lc_rs::hmac;
use cofferdam_token::{Algorithm, AlgorithmSet, Challenge, ErrorCode, JwkSet, Scheme, base64url};
use serde_json::Value;

/// The verifier.
#[derive(Debug)]
pub(crate) struct FlawedVerifier {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) keys: JwkSet,
    /// The public key in PEM, which a hurried developer keeps as "the key".
    pub(crate) public_pem: String,
}

impl FlawedVerifier {
    /// Lets a caller in for an operation that needs `scope`, with the mistake of `hole`.
    pub(crate) fn check(
        &self,
        request: &HttpRequest,
        hole: Hole,
        scope: &str,
    ) -> Result<Caller, Problem> {
        let token = match hole {
            // "If there is a token it must be good."
            Hole::TokenMissing if !request.headers().contains_key(AUTHORIZATION) => {
                return Ok(Caller::default());
            }
            // "A token is a token."
            Hole::TokenUnbound => raw_token(request).or_else(|| after(request, "DPoP ")),
            _ => raw_token(request),
        };
        let token = token.ok_or_else(|| missing(hole))?;
        // "There is a bearer token, so somebody has logged in."
        if hole == Hole::TokenMalformed {
            let claims = token.split('.').nth(1).and_then(json);
            return Ok(claims.map_or_else(Caller::default, |claims| Caller::unverified(&claims)));
        }
        let claims = self.verify(token, hole);
        let caller = Caller::unverified(&claims.map_err(|reason| invalid(hole, reason))?);
        match caller.has_scope(scope) {
            true => Ok(caller),
            false => Err(insufficient(scope)),
        }
    }

    fn verify(&self, token: &str, forgotten: Hole) -> Result<Value, &'static str> {
        let parts: Vec<_> = token.split('.').collect();
        let [header, payload, signature] = parts[..] else {
            return Err("not a JWT");
        };
        let header = json(header).ok_or("bad header")?;
        let claims = json(payload).ok_or("bad payload")?;
        let message = &token[..token.len() - signature.len() - 1];
        let algorithm = header["alg"].as_str().unwrap_or_default();
        let signed = match forgotten {
            Hole::TokenSignature => true,
            Hole::TokenUnsigned if algorithm == "RS256" && signature.is_empty() => true,
            Hole::TokenAlgNone if algorithm.eq_ignore_ascii_case("none") => true,
            Hole::TokenKeyConfusion if algorithm == "HS256" => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.public_pem.as_bytes());
                base64url::decode(signature)
                    .is_some_and(|tag| hmac::verify(&key, message.as_bytes(), &tag).is_ok())
            }
            _ => {
                algorithm == "RS256"
                    && base64url::decode(signature).is_some_and(|signature| {
                        let mut keys = self.keys.keys().iter();
                        keys.any(|key| key.verify(Algorithm::Rs256, message.as_bytes(), &signature))
                    })
            }
        };
        if !signed {
            return Err("the signature is wrong");
        }
        let now = now() as f64;
        if forgotten != Hole::TokenExpired && claims["exp"].as_f64().is_none_or(|exp| exp <= now) {
            return Err("the token has expired");
        }
        if forgotten != Hole::TokenNotBefore
            && claims["nbf"].as_f64().is_some_and(|nbf| nbf > now + 60.0)
        {
            return Err("the token is not valid yet");
        }
        if forgotten != Hole::TokenIssuer && claims["iss"] != *self.issuer {
            return Err("the token is of another issuer");
        }
        let audience = match &claims["aud"] {
            Value::Array(list) => list.iter().any(|each| *each == *self.audience),
            one => *one == *self.audience,
        };
        if forgotten != Hole::TokenAudience && !audience {
            return Err("the token is for another audience");
        }
        if forgotten != Hole::TokenUnbound && !claims["cnf"].is_null() {
            return Err("the token needs proof of possession");
        }
        Ok(claims)
    }
}

/// The refusal of a token that grants too little.
pub(crate) fn insufficient(scope: &str) -> Problem {
    let challenge = Challenge::new(Scheme::Bearer)
        .realm("containers")
        .error(ErrorCode::InsufficientScope)
        .scope(scope);
    Problem::challenge(
        StatusCode::FORBIDDEN,
        "insufficient_scope",
        format!("this operation needs the scope {scope}"),
        challenge.to_string(),
    )
}

fn missing(hole: Hole) -> Problem {
    let challenge = Challenge::new(Scheme::Bearer).realm("containers");
    Problem::challenge(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "a bearer token is needed",
        offered(hole, challenge),
    )
}

fn invalid(hole: Hole, reason: &str) -> Problem {
    let challenge = Challenge::new(Scheme::Bearer)
        .realm("containers")
        .error(ErrorCode::InvalidToken)
        .description(reason);
    Problem::challenge(
        StatusCode::UNAUTHORIZED,
        "invalid_token",
        reason,
        offered(hole, challenge),
    )
}

/// The challenge, with DPoP where the operation says that it knows it.
fn offered(hole: Hole, challenge: Challenge) -> String {
    if hole != Hole::TokenUnbound {
        return challenge.to_string();
    }
    let algorithms: AlgorithmSet = [Algorithm::Es256, Algorithm::Rs256].into_iter().collect();
    let dpop = Challenge::new(Scheme::Dpop).algorithms(algorithms);
    format!("{challenge}, {dpop}")
}

fn json(part: &str) -> Option<Value> {
    serde_json::from_slice(&base64url::decode(part)?).ok()
}
