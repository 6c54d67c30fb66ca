//! Who the caller is: strict verification with `cofferdam-token`, and beside it the verifier that a
//! hurried developer writes, with one mistake for each hole.
//!
//! Every mistake sits on a route group of its own, so that none hides another. The hand-written
//! verifier is right in all but the mistake of its group.

use crate::dpop::Proofs;
use crate::hole::{Hole, Switches};
use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use aws_lc_rs::hmac;
use cofferdam_token::authorization::{AuthorizationError, carries_token};
use cofferdam_token::{
    Algorithm, AlgorithmSet, Challenge, Credentials, ErrorCode, JwkSet, Scheme, Sender, Verified,
    Verifier, base64url,
};
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which routes share a verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Verified strictly whatever the switches say.
    Sound,
    Capacity,
    Events,
    Images,
    Usage,
    Builds,
    Repositories,
    Volumes,
    Networks,
    Nodes,
    Audit,
    Policies,
    Deployments,
    Schedules,
    Logs,
    JobResults,
}

impl Group {
    fn hole(self) -> Option<Hole> {
        Some(match self {
            Group::Sound => return None,
            Group::Capacity => Hole::TokenMissing,
            Group::Events => Hole::TokenMalformed,
            Group::Images => Hole::TokenSignature,
            Group::Usage => Hole::TokenUnsigned,
            Group::Builds => Hole::TokenAlgNone,
            Group::Repositories => Hole::TokenKeyConfusion,
            Group::Volumes => Hole::TokenExpired,
            Group::Networks => Hole::TokenAudience,
            Group::Nodes => Hole::TokenIssuer,
            Group::Audit => Hole::TokenScope,
            Group::Policies => Hole::TokenScopeSubstring,
            Group::Deployments => Hole::TokenUnbound,
            Group::Schedules => Hole::TokenNotBefore,
            Group::Logs => Hole::TokenInQuery,
            Group::JobResults => Hole::TokenInError,
        })
    }
}

/// Who calls, as far as the route's verifier found out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Principal {
    pub(crate) subject: String,
    /// Empty when the token names none.
    pub(crate) tenant: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) expires_at: u64,
}

impl Principal {
    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|each| each == scope)
    }

    /// From the claims of a token of ours, however much was verified of it.
    fn of(claims: &Value) -> Self {
        let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
        let words = |value: &Value| -> Vec<String> {
            let list = value.as_array().into_iter().flatten();
            list.filter_map(|each| each.as_str().map(str::to_owned))
                .collect()
        };
        Self {
            subject: text("sub"),
            tenant: text("tenant"),
            scopes: text("scope")
                .split(' ')
                .filter(|s| !s.is_empty())
                .map(str::to_owned)
                .collect(),
            roles: words(&claims["roles"]),
            expires_at: claims["exp"].as_f64().unwrap_or_default() as u64,
        }
    }
}

/// A refusal to let a caller in.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) challenge: String,
}

/// The verifiers.
#[derive(Debug)]
pub(crate) struct Auth {
    pub(crate) strict: Verifier,
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) keys: JwkSet,
    /// The public key in PEM, which a hurried developer keeps as "the key".
    pub(crate) public_pem: String,
    pub(crate) switches: Switches,
    pub(crate) base: String,
    pub(crate) proofs: Proofs,
}

/// How long a token may be.
const LONGEST: usize = 16 * 1024;

impl Auth {
    /// Lets a caller in for an operation that needs `scope`, or says why not.
    pub(crate) fn check(
        &self,
        request: &HttpRequest,
        group: Group,
        scope: &str,
    ) -> Result<Principal, Refused> {
        let hole = group.hole().filter(|hole| self.switches.is_open(*hole));
        let principal = match hole {
            // "If there is a token it must be good."
            Some(Hole::TokenMissing) if !request.headers().contains_key(AUTHORIZATION) => {
                return Ok(Principal::default());
            }
            // "There is a bearer token, so somebody has logged in."
            Some(Hole::TokenMalformed) => {
                let token = lax_header(request).ok_or_else(|| self.missing(group))?;
                return Ok(decode(token)
                    .map(|claims| Principal::of(&claims))
                    .unwrap_or_default());
            }
            // "Links in mails cannot have headers."
            Some(Hole::TokenInQuery) => match lax_query(request) {
                Some(token) => {
                    let verified = self.strict.verify(&token, now());
                    self.principal(group, verified.map_err(|r| r.description()))?
                }
                None => self.strictly(request, group)?,
            },
            Some(
                hole @ (Hole::TokenSignature
                | Hole::TokenUnsigned
                | Hole::TokenAlgNone
                | Hole::TokenKeyConfusion
                | Hole::TokenExpired
                | Hole::TokenAudience
                | Hole::TokenIssuer
                | Hole::TokenNotBefore
                | Hole::TokenUnbound),
            ) => match lax_header(request) {
                Some(token) => {
                    let claims = self.by_hand(token, hole);
                    Principal::of(&claims.map_err(|reason| self.invalid(group, reason))?)
                }
                None => self.strictly(request, group)?,
            },
            _ => self.strictly(request, group)?,
        };
        let enough = match hole {
            Some(Hole::TokenScope) => true,
            Some(Hole::TokenScopeSubstring) => principal.scopes.join(" ").contains(scope),
            _ => scope.is_empty() || principal.has_scope(scope),
        };
        match enough {
            true => Ok(principal),
            false => Err(Refused {
                status: 403,
                code: "insufficient_scope",
                message: format!("this operation needs the scope {scope}"),
                challenge: Challenge::new(Scheme::Bearer)
                    .realm("containers")
                    .error(ErrorCode::InsufficientScope)
                    .scope(scope)
                    .to_string(),
            }),
        }
    }

    fn strictly(&self, request: &HttpRequest, group: Group) -> Result<Principal, Refused> {
        let wrong = |error: AuthorizationError| match error {
            AuthorizationError::Missing | AuthorizationError::OtherScheme => self.missing(group),
            error => Refused {
                status: error.status(),
                code: "invalid_request",
                message: error.to_string(),
                challenge: Challenge::new(Scheme::Bearer)
                    .realm("containers")
                    .error(ErrorCode::InvalidRequest)
                    .to_string(),
            },
        };
        if carries_token(request.query_string()) {
            return Err(wrong(AuthorizationError::WrongPlace));
        }
        let values = request.headers().get_all(AUTHORIZATION);
        let credentials = Credentials::parse(values.map(|value| value.as_bytes()), LONGEST);
        let credentials = credentials.map_err(wrong)?;
        let now = now();
        let verified = match credentials.scheme {
            Scheme::Bearer => self.strict.verify(credentials.token, now),
            Scheme::Dpop if group == Group::Deployments => {
                let mut proofs = request.headers().get_all("dpop");
                let (Some(Ok(proof)), None) = (proofs.next().map(|p| p.to_str()), proofs.next())
                else {
                    return Err(self.invalid(group, "one DPoP proof is needed"));
                };
                let url = format!("{}{}", self.base, request.path());
                let method = request.method().as_str();
                let key = self
                    .proofs
                    .check(proof, method, &url, credentials.token, now)
                    .map_err(|reason| self.invalid(group, reason))?;
                let sender = Sender::bearer().with_proof_key(&key);
                self.strict.verify_from(credentials.token, now, &sender)
            }
            Scheme::Dpop => return Err(self.missing(group)),
        };
        self.principal(group, verified.map_err(|rejection| rejection.description()))
    }

    fn principal(
        &self,
        group: Group,
        verified: Result<Verified, &'static str>,
    ) -> Result<Principal, Refused> {
        let verified = verified.map_err(|reason| self.invalid(group, reason))?;
        let claims = serde_json::from_str(verified.claims().json()).unwrap_or_default();
        Ok(Principal::of(&claims))
    }

    /// The verifier of the hurried developer, who forgot one thing.
    fn by_hand(&self, token: &str, forgotten: Hole) -> Result<Value, &'static str> {
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

    fn missing(&self, group: Group) -> Refused {
        let challenge = Challenge::new(Scheme::Bearer).realm("containers");
        Refused {
            status: 401,
            code: "unauthorized",
            message: "a bearer token is needed".to_owned(),
            challenge: offered(group, challenge),
        }
    }

    fn invalid(&self, group: Group, reason: &str) -> Refused {
        let challenge = Challenge::new(Scheme::Bearer)
            .realm("containers")
            .error(ErrorCode::InvalidToken)
            .description(reason);
        Refused {
            status: 401,
            code: "invalid_token",
            message: reason.to_owned(),
            challenge: offered(group, challenge),
        }
    }
}

/// The challenge, with DPoP where the group takes it.
fn offered(group: Group, challenge: Challenge) -> String {
    if group != Group::Deployments {
        return challenge.to_string();
    }
    let algorithms: AlgorithmSet = [Algorithm::Es256, Algorithm::Rs256].into_iter().collect();
    let dpop = Challenge::new(Scheme::Dpop).algorithms(algorithms);
    format!("{challenge}, {dpop}")
}

fn lax_header(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let token = value.strip_prefix("Bearer ")?.trim();
    (!token.is_empty()).then_some(token)
}

fn lax_query(request: &HttpRequest) -> Option<String> {
    let pairs = request.query_string().split('&');
    let token = pairs
        .filter_map(|pair| pair.strip_prefix("access_token="))
        .next()?;
    let token = percent_encoding::percent_decode_str(token)
        .decode_utf8()
        .ok()?;
    Some(token.into_owned())
}

/// The token that came in the header, for answers that repeat it.
pub(crate) fn raw_token(request: &HttpRequest) -> Option<String> {
    lax_header(request).map(str::to_owned)
}

fn decode(token: &str) -> Option<Value> {
    json(token.split('.').nth(1)?)
}

fn json(part: &str) -> Option<Value> {
    serde_json::from_slice(&base64url::decode(part)?).ok()
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    // A clock before 1970 makes every token invalid, which is safe.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}
