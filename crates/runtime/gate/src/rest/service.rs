//! One request of the REST dialect, from what the guard has let in to its answer.

use std::sync::Arc;
use std::time::Instant;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use cofferdam_action::action::ActionKind;
use cofferdam_action::refusal::{Refusal, Rule};
use cofferdam_action::request::{BodyKind, Head};
use cofferdam_action::rest;
use cofferdam_action::wire::{Ask, Call, RawToken};
use cofferdam_guard::token::Credentials;
use cofferdam_guard::{ClientCertificate, Principal};

use crate::broker::{Broker, Reply, is_stream};
use crate::caller::thumbprint;
use crate::gate::{Gate, Live};
use crate::limits::Permit;
use crate::refusal::{HttpError, Refused};
use crate::upload::{Archive, discard, whole};

use super::answer;

/// What one worker serves with. Its connections to the broker are its own, since they belong to its
/// runtime.
pub(super) struct Worker {
    pub(super) gate: Arc<Gate>,
    pub(super) live: Arc<Live>,
    pub(super) broker: Arc<Broker>,
}

/// Answers a request whose caller has the scope of `kind`.
pub(super) async fn serve(
    kind: ActionKind,
    worker: Data<Worker>,
    request: HttpRequest,
    mut body: Payload,
    caller: Principal,
) -> HttpResponse {
    let mut told = None;
    let judged = judge(kind, &worker, &request, &mut body, &caller, &mut told).await;
    // At its end already, where all of it was wanted.
    actix_web::rt::spawn(discard(body));
    match judged {
        Ok(response) => response,
        Err(refused) => {
            tracing::info!(
                route = request.match_pattern(),
                issuer = caller.issuer(),
                request = told,
                status = refused.status(),
                reason = refused.id(),
                "refused"
            );
            let metadata = worker.live.resource_metadata.as_deref();
            answer::refused(&refused, told.as_deref(), metadata)
        }
    }
}

async fn judge(
    kind: ActionKind,
    worker: &Worker,
    request: &HttpRequest,
    body: &mut Payload,
    caller: &Principal,
    told: &mut Option<String>,
) -> Result<HttpResponse, Refused> {
    let Worker { gate, live, broker } = worker;
    let token = token(request)?;
    let ask = |ask| Call {
        token: RawToken::new(token),
        certificate: request
            .conn_data::<ClientCertificate>()
            .map(|certificate| thumbprint(certificate.der())),
        ask,
    };

    // May it ask now?
    let limits = &live.config.limits;
    let subject = caller.subject().or(caller.client_id()).unwrap_or_default();
    let key = gate.limiter.key(caller.issuer(), subject);
    let permit = gate.limiter.admit(key, limits, Instant::now())?;

    // Which action is it?
    let headers: Vec<(&str, &[u8])> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    // The absolute form has an authority, and is refused with it.
    let target = request.uri().to_string();
    let head = Head {
        method: request.method().as_str(),
        target: &target,
        headers: &headers,
    };
    let read = async {
        let routed = rest::route(head)?;
        let (action, archive) = match routed.body() {
            BodyKind::Archive => {
                let archive = Archive::begin(body, limits.archive, limits.body).await?;
                (routed.action(archive.start())?, Some(archive))
            }
            _ => (routed.action(&whole(body, limits.body).await?)?, None),
        };
        // The guard has asked for the scope of the route that it saw, which is not to be another.
        match action.kind() == kind {
            true => Ok((action, archive)),
            false => Err(Refused::Rule(Refusal::new(
                Rule::Target,
                "the target can be read as another route",
            ))),
        }
    };
    let (action, archive) = match read.await {
        Ok(read) => read,
        Err(Refused::Rule(refusal)) => {
            let report = ask(Ask::Refused {
                route: format!(
                    "{} {}",
                    head.method,
                    request.match_pattern().unwrap_or_default()
                ),
                refusal: refusal.clone(),
            });
            match broker.report(&report).await {
                Ok(id) => *told = Some(id),
                Err(error) => tracing::warn!(%error, "a refused request is not in the audit log"),
            }
            return Err(Refused::Rule(refusal));
        }
        Err(refused) => return Err(refused),
    };

    // Ask the broker.
    let permit: Permit = match is_stream(&action) {
        true => permit.into_stream(limits)?,
        false => permit,
    };
    let call = ask(Ask::Act(Box::new(action)));
    let reply = match archive {
        Some(archive) => {
            let upload = async |writer: &mut _| archive.send(writer).await;
            broker.call_with_upload(&call, upload).await?
        }
        None => broker.call(&call).await?,
    };
    let Reply { request, result } = reply;
    match result {
        Ok(success) => Ok(answer::done(success, &request, permit)),
        Err(refused) => {
            *told = Some(request);
            Err(Refused::Broker(Box::new(refused)))
        }
    }
}

/// The token that the guard has verified, once more from the header.
fn token(request: &HttpRequest) -> Result<&str, Refused> {
    let values = request.headers().get_all("authorization");
    let values = values.map(|value| value.as_bytes());
    Credentials::parse(values, usize::MAX)
        .map(|credentials| credentials.token)
        .map_err(|_| Refused::Http(HttpError::Head))
}
