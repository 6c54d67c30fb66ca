//! The gate: one function from a request to an answer or a handler.
//!
//! *Declared? → public? → where is the token? → is it one? → may it?* in this order, before
//! routing. A request that this function has not let through reaches no handler.

use std::net::IpAddr;
use std::rc::Rc;

use actix_web::HttpMessage as _;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, COOKIE};
use actix_web::middleware::Next;
use cofferdam_token::authorization::{self, AuthorizationError, Credentials};
use cofferdam_token::dpop::{Proof, ProofRejection, Target};
use cofferdam_token::state::revocation_key;
use cofferdam_token::{Decision, Rejection, Requirement, Scheme, Sender, Verified};

use crate::app::Declared;
use crate::body;
use crate::certificate::ClientCertificate;
use crate::error::{Error, Reason};
use crate::guard::{Dpop, Guard, Inner, Outcome};
use crate::route::Access;

pub(crate) async fn admit(
    guard: Guard,
    declared: Rc<[Declared]>,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    // The text that the router will match, with the percent-encodings resolved that it resolves.
    let path = request.match_info().unprocessed();
    let Some(resource) = declared
        .iter()
        .find(|resource| resource.pattern.is_match(path))
    else {
        return Ok(refuse(guard.inner(), request, None, Reason::Undeclared));
    };
    let inner = resource.guard.inner();
    let method = request.method();
    let Some((_, access)) = resource.routes.iter().find(|(each, _)| each == method) else {
        let allowed = resource.routes.iter().map(|(method, _)| method.as_str());
        let reason = Reason::Method(allowed.collect::<Vec<_>>().join(", "));
        return Ok(refuse(inner, request, Some(resource), reason));
    };
    let verdict = match access {
        Access::Public => Ok(None),
        Access::Optional => match judge(inner, &mut request, None).await {
            // No credentials of ours came, so there is nothing to be wrong with.
            Err(Reason::Credentials(error)) if error.code().is_none() => Ok(None),
            verdict => verdict.map(Some),
        },
        Access::Require(requirement) => {
            let verdict = judge(inner, &mut request, Some(requirement)).await;
            verdict.map(Some)
        }
    };
    let (verdict, token) = match verdict {
        Ok(Some(token)) => ("granted", Some(token)),
        Ok(None) => ("public", None),
        Err(reason) if inner.observe_only => (reason.id(), None),
        Err(reason) => return Ok(refuse(inner, request, Some(resource), reason)),
    };
    let declared = Some(resource);
    report(inner, &request, declared, verdict, None, token.as_ref());
    if let Some(token) = token {
        request.extensions_mut().insert(token);
    }
    next.call(request).await
}

async fn judge(
    inner: &Inner,
    request: &mut ServiceRequest,
    requirement: Option<&Requirement>,
) -> Result<Verified, Reason> {
    let now = (inner.clock)();
    let credentials = credentials(inner, request)?;
    // What is seldom waited for is boxed, so that the common way is a small future.
    let proof = match (credentials.scheme, &inner.dpop) {
        (Scheme::Dpop, Some(dpop)) => {
            Some(Box::pin(prove(dpop, request, credentials.token, now)).await?)
        }
        _ => None,
    };
    let mut sender = match &proof {
        Some(proof) => proof.sender(),
        None => Sender::bearer(),
    };
    if let Some(certificate) = request.conn_data::<ClientCertificate>() {
        sender = sender.with_certificate(certificate.der());
    }
    let token = match inner.verifier.verify_from(credentials.token, now, &sender) {
        Ok(token) => token,
        Err(rejection @ (Rejection::KeyUnknown | Rejection::NotCompact)) => {
            let peer = request.peer_addr().map(|address| address.ip());
            let token = credentials.token;
            Box::pin(reconsider(inner, token, rejection, peer, now, &sender)).await?
        }
        Err(rejection) => return Err(rejection.into()),
    };
    if let Some(revocations) = &inner.revocations {
        let id = token
            .claims()
            .token_id()
            .ok_or(Rejection::ClaimMissing("jti"))?;
        let key = revocation_key(token.issuer(), id);
        match revocations.contains(&key, now).get().await {
            Ok(false) => {}
            Ok(true) => return Err(Rejection::Revoked.into()),
            Err(_) => return Err(Rejection::StateUnavailable.into()),
        }
    }
    if let Some(requirement) = requirement
        && let Decision::Denied(denial) = requirement.check(&token, now)
    {
        return Err(Reason::Denied(denial, credentials.scheme));
    }
    // Last, since it waits for the body, which who has no token must not make a server do.
    if body::is_form(request) && Box::pin(body::carries_token(request)).await {
        return Err(Reason::Credentials(AuthorizationError::WrongPlace));
    }
    Ok(token)
}

/// The one token that the request carries, where it may carry one.
fn credentials<'r>(inner: &Inner, request: &'r ServiceRequest) -> Result<Credentials<'r>, Reason> {
    let elsewhere = authorization::carries_token(request.query_string())
        || request.headers().get_all(COOKIE).any(|cookies| {
            cookies
                .to_str()
                .is_ok_and(authorization::cookie_carries_token)
        });
    if elsewhere {
        return Err(Reason::Credentials(AuthorizationError::WrongPlace));
    }
    let values = request
        .headers()
        .get_all(AUTHORIZATION)
        .map(|value| value.as_bytes());
    let credentials = Credentials::parse(values, inner.max_token).map_err(Reason::Credentials)?;
    match credentials.scheme {
        Scheme::Dpop if inner.dpop.is_none() => {
            Err(Reason::Credentials(AuthorizationError::OtherScheme))
        }
        _ => Ok(credentials),
    }
}

/// The proof that must come with the scheme `DPoP`. A proof beside `Bearer` is not looked at: the
/// token says whether it needs one, and then `Bearer` is refused (RFC 9449 §7.2).
async fn prove(
    dpop: &Dpop,
    request: &ServiceRequest,
    token: &str,
    now: u64,
) -> Result<Proof, Reason> {
    // The path as the client wrote it; the origin as the operator did.
    let uri = format!("{}{}", dpop.origin, request.uri().path());
    let target = Target {
        method: request.method().as_str(),
        uri: &uri,
    };
    // A value that is not visible ASCII is no proof, but it counts.
    let values = request
        .headers()
        .get_all("dpop")
        .map(|value| value.to_str().unwrap_or(""));
    let proof = dpop
        .policy
        .verify(values, &target, token, now)
        .map_err(Reason::Proof)?;
    match dpop
        .used
        .insert(proof.replay_key(), proof.remember_until(), now)
        .get()
        .await
    {
        Ok(true) => Ok(proof),
        Ok(false) => Err(Reason::Proof(ProofRejection::Replayed)),
        Err(_) => Err(Reason::Proof(ProofRejection::StateUnavailable)),
    }
}

/// What may help where a token was not verified at once: fresh keys for one whose key is not known,
/// and a question to the issuer about one that says nothing by itself.
async fn reconsider(
    inner: &Inner,
    token: &str,
    rejection: Rejection,
    peer: Option<IpAddr>,
    now: u64,
    sender: &Sender<'_>,
) -> Result<Verified, Reason> {
    match (rejection, &inner.introspection) {
        (Rejection::KeyUnknown, _) if !inner.refresh.is_empty() => {
            // Whatever the answer: another request may have brought the keys in between, and then
            // it is too soon to ask for them again.
            refresh(inner, token).await;
            Ok(inner.verifier.verify_from(token, now, sender)?)
        }
        (Rejection::NotCompact, Some(introspection)) => {
            // Each question costs the issuer something, so who guesses may not ask.
            if let (Some(throttle), Some(peer)) = (&inner.throttle, peer)
                && throttle.is_exhausted(peer, now)
            {
                let known = introspection.remembered(token, now, *sender).await;
                let throttled = || Reason::Throttled(throttle.retry_after());
                return Ok(known.ok_or_else(throttled)??);
            }
            Ok(introspection.introspect(token, now, *sender).await?)
        }
        _ => Err(rejection.into()),
    }
}

/// Asks for fresh keys of the issuer that the token names. The name is not believed: it only says
/// whom to ask.
async fn refresh(inner: &Inner, token: &str) {
    let Ok(parts) = cofferdam_token::inspect(token) else {
        return;
    };
    let Some(issuer) = parts
        .claims()
        .root()
        .get("iss")
        .and_then(|issuer| issuer.as_str())
    else {
        return;
    };
    for refresh in &inner.refresh {
        if refresh.refresh(issuer).await {
            return;
        }
    }
}

fn refuse(
    inner: &Inner,
    request: ServiceRequest,
    resource: Option<&Declared>,
    reason: Reason,
) -> ServiceResponse<BoxBody> {
    let peer = request.peer_addr().map(|address| address.ip());
    let reason = throttled(inner, peer, reason);
    let error = Error::new(inner, reason, (inner.clock)());
    report(
        inner,
        &request,
        resource,
        error.id(),
        Some(error.status()),
        None,
    );
    request.error_response(error)
}

/// Counts what only who guesses, or is broken, sends often: credentials that are none of ours.
fn throttled(inner: &Inner, peer: Option<IpAddr>, reason: Reason) -> Reason {
    let (Some(throttle), Some(peer)) = (&inner.throttle, peer) else {
        return reason;
    };
    if reason.is_guess() && throttle.record(peer, (inner.clock)()) {
        return Reason::Throttled(throttle.retry_after());
    }
    reason
}

fn report(
    inner: &Inner,
    request: &ServiceRequest,
    resource: Option<&Declared>,
    verdict: &'static str,
    status: Option<u16>,
    token: Option<&Verified>,
) {
    if inner.observers.is_empty() {
        return;
    }
    let outcome = Outcome {
        route: resource.and_then(|resource| resource.pattern.pattern()),
        method: request.method().as_str(),
        verdict,
        status,
        issuer: token.map(Verified::issuer),
        client_id: token.and_then(Verified::client_id),
    };
    for observer in &inner.observers {
        observer(&outcome);
    }
}
