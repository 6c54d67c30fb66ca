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
use cofferdam_token::authorization::{self, AuthorizationError, Credentials, Field};
use cofferdam_token::dpop::{Proof, ProofRejection, Target, Unproven};
use cofferdam_token::state::revocation_key;
use cofferdam_token::{Decision, Rejection, Requirement, Scheme, Sender, Verified};

use crate::app::Declared;
use crate::body::{self, Form};
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
        let reason = Reason::Undeclared;
        return Ok(refuse(guard.inner(), request, None, reason, None));
    };
    let inner = resource.guard.inner();
    let method = request.method();
    let Some((_, access)) = resource.routes.iter().find(|(each, _)| each == method) else {
        let allowed = resource.routes.iter().map(|(method, _)| method.as_str());
        let reason = Reason::Method(allowed.collect::<Vec<_>>().join(", "));
        return Ok(refuse(inner, request, Some(resource), reason, None));
    };
    let verdict = match access {
        Access::Public => Ok(None),
        Access::Optional => match judge(inner, &mut request, None).await {
            // No credentials of ours came, so there is nothing to be wrong with.
            Err((Reason::Credentials(error), _)) if error.code().is_none() => Ok(None),
            verdict => verdict.map(Some),
        },
        Access::Require(requirement) => {
            let verdict = judge(inner, &mut request, Some(requirement)).await;
            verdict.map(Some)
        }
    };
    let declared = Some(resource);
    match verdict {
        Ok(token) => {
            let verdict = token.as_ref().map_or("public", |_| "granted");
            report(inner, &request, declared, verdict, None, token.as_ref());
            if let Some(token) = token {
                request.extensions_mut().insert(token);
            }
        }
        Err((reason, token)) if inner.observe_only => {
            report(inner, &request, declared, reason.id(), None, token.as_ref());
        }
        Err((reason, token)) => {
            return Ok(refuse(inner, request, declared, reason, token.as_ref()));
        }
    }
    next.call(request).await
}

/// The verified token of the request; or why it is refused, and its token where that was verified.
async fn judge(
    inner: &Inner,
    request: &mut ServiceRequest,
    requirement: Option<&Requirement>,
) -> Result<Verified, (Reason, Option<Verified>)> {
    let now = (inner.clock)();
    let verified = verify(inner, request, now).await;
    let (token, scheme, proof) = verified.map_err(|reason| (reason, None))?;
    match permit(inner, request, requirement, &token, scheme, proof, now).await {
        Ok(()) => Ok(token),
        Err(reason) => Err((reason, Some(token))),
    }
}

/// The token of the request, the scheme that it came with, and the proof that came with it.
///
/// What a stranger can make without a token costs little and leaves nothing behind: of the proof all
/// but the signature is looked at, then comes the token, then the proof's signature.
async fn verify(
    inner: &Inner,
    request: &ServiceRequest,
    now: u64,
) -> Result<(Verified, Scheme, Option<Proof>), Reason> {
    let field = field(inner, request)?;
    let scheme = field.scheme;
    let unproven = match (scheme, &inner.dpop) {
        (Scheme::Dpop, Some(dpop)) => {
            let token = field.read().map_err(Reason::Credentials)?.token;
            // Boxed, so that the common way is a small future.
            Some(Box::new(read_proof(dpop, request, token, now)?))
        }
        _ => None,
    };
    let mut sender = match &unproven {
        Some(proof) => proof.sender(),
        None => Sender::bearer(),
    };
    if let Some(certificate) = request.conn_data::<ClientCertificate>() {
        sender = sender.with_certificate(certificate.der());
    }
    let verified = inner.verifier.verify_field(field, now, &sender);
    let token = match verified.map_err(Reason::Credentials)? {
        Ok(token) => token,
        Err(rejection @ (Rejection::KeyUnknown | Rejection::NotCompact)) => {
            let credentials = field.read().map_err(Reason::Credentials)?;
            let peer = request.peer_addr().map(|address| address.ip());
            let reconsidered = reconsider(inner, credentials, rejection, peer, now, &sender);
            Box::pin(reconsidered).await?
        }
        Err(rejection) => return Err(Reason::Token(rejection, scheme)),
    };
    let proof = unproven.map(|unproven| unproven.verify()).transpose();
    Ok((token, scheme, proof.map_err(Reason::Proof)?))
}

/// Whether a token that holds may do what the request asks, now and with this proof.
async fn permit(
    inner: &Inner,
    request: &mut ServiceRequest,
    requirement: Option<&Requirement>,
    token: &Verified,
    scheme: Scheme,
    proof: Option<Proof>,
    now: u64,
) -> Result<(), Reason> {
    if let Some(revocations) = &inner.revocations {
        let refused = |rejection| Reason::Token(rejection, scheme);
        let id = token
            .claims()
            .token_id()
            .ok_or_else(|| refused(Rejection::ClaimMissing("jti")))?;
        let key = revocation_key(token.issuer(), id);
        match revocations.contains(&key, now).get().await {
            Ok(false) => {}
            Ok(true) => return Err(refused(Rejection::Revoked)),
            Err(_) => return Err(refused(Rejection::StateUnavailable)),
        }
    }
    if let Some(proof) = proof {
        use_once(inner, &proof, now).await?;
    }
    if let Some(requirement) = requirement
        && let Decision::Denied(denial) = requirement.check(token, now)
    {
        return Err(Reason::Denied(denial, scheme));
    }
    // Last, since it waits for the body, which who has no token must not make a server do.
    if body::is_form(request) {
        return match Box::pin(body::look_into(request, inner.max_form)).await {
            Form::WithoutToken => Ok(()),
            Form::WithToken => Err(Reason::Credentials(AuthorizationError::WrongPlace)),
            Form::TooLong => Err(Reason::FormTooLong(inner.max_form)),
        };
    }
    Ok(())
}

/// A proof is remembered only now, when it came with a token that holds: otherwise a stranger's
/// proofs, which cost nothing to make, would fill the store and shut out everybody.
async fn use_once(inner: &Inner, proof: &Proof, now: u64) -> Result<(), Reason> {
    let (key, until) = (proof.replay_key(), proof.remember_until());
    match inner.proofs.insert(key, until, now).get().await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Reason::Proof(ProofRejection::Replayed)),
        Err(_) => Err(Reason::Proof(ProofRejection::StateUnavailable)),
    }
}

/// The one token that the request carries, where it may carry one.
fn field<'r>(inner: &Inner, request: &'r ServiceRequest) -> Result<Field<'r>, Reason> {
    let elsewhere = authorization::carries_token(request.query_string())
        || request
            .headers()
            .get_all(COOKIE)
            .any(authorization::cookie_carries_token);
    if elsewhere {
        return Err(Reason::Credentials(AuthorizationError::WrongPlace));
    }
    let values = request
        .headers()
        .get_all(AUTHORIZATION)
        .map(|value| value.as_bytes());
    let field = Field::split(values, inner.max_token).map_err(Reason::Credentials)?;
    match field.scheme {
        Scheme::Dpop if inner.dpop.is_none() => {
            Err(Reason::Credentials(AuthorizationError::OtherScheme))
        }
        _ => Ok(field),
    }
}

/// The proof that must come with the scheme `DPoP`. A proof beside `Bearer` is not looked at: the
/// token says whether it needs one, and then `Bearer` is refused (RFC 9449 §7.2).
fn read_proof<'r>(
    dpop: &Dpop,
    request: &'r ServiceRequest,
    token: &str,
    now: u64,
) -> Result<Unproven<'r>, Reason> {
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
    let proof = dpop.policy.read(values, &target, token, now);
    proof.map_err(Reason::Proof)
}

/// What may help where a token was not verified at once: fresh keys for one whose key is not known,
/// and a question to the issuer about one that says nothing by itself.
async fn reconsider(
    inner: &Inner,
    credentials: Credentials<'_>,
    rejection: Rejection,
    peer: Option<IpAddr>,
    now: u64,
    sender: &Sender<'_>,
) -> Result<Verified, Reason> {
    let Credentials { scheme, token } = credentials;
    let verified = match (rejection, &inner.introspection) {
        (Rejection::KeyUnknown, _) if !inner.refresh.is_empty() => {
            // Whatever the answer: another request may have brought the keys in between, and then
            // it is too soon to ask for them again.
            refresh(inner, token).await;
            inner.verifier.verify_from(token, now, sender)
        }
        (Rejection::NotCompact, Some(introspection)) => {
            // Each question costs the issuer something, so who guesses may not ask.
            match (&inner.throttle, peer) {
                (Some(throttle), Some(peer)) if throttle.is_exhausted(peer, now) => {
                    let known = introspection.remembered(token, now, *sender).await;
                    known.ok_or_else(|| Reason::Throttled(throttle.retry_after()))?
                }
                _ => introspection.introspect(token, now, *sender).await,
            }
        }
        (rejection, _) => Err(rejection),
    };
    verified.map_err(|rejection| Reason::Token(rejection, scheme))
}

/// Asks for fresh keys of the issuer by whose policy the token is judged.
async fn refresh(inner: &Inner, token: &str) {
    let Some(issuer) = inner.verifier.issuer_of(token) else {
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
    token: Option<&Verified>,
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
        token,
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
