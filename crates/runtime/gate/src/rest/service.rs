//! One request of the REST dialect, from what the guard has let in to its answer.

use std::sync::Arc;
use std::time::Instant;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use cofferdam_action::action::ActionKind;
use cofferdam_action::refusal::{Refusal, Rule};
use cofferdam_action::request::{self, BodyKind};
use cofferdam_action::rest;
use cofferdam_action::wire::{Ask, Call, RawToken};
use cofferdam_guard::Principal;
use cofferdam_guard::token::Credentials;

use crate::broker::{Broker, Reply, is_stream};
use crate::connection::tap::Head;
use crate::gate::{Gate, Live};
use crate::log;
use crate::refusal::{HttpError, Refused};
use crate::upload::{Archive, whole};

use super::answer;

/// What one thread serves with. Its connections to the broker are its own, since they belong to its
/// runtime.
pub(super) struct Shared {
    pub(super) gate: Arc<Gate>,
    pub(super) live: Arc<Live>,
    pub(super) broker: Arc<Broker>,
}

/// The thumbprint of the client's certificate on a connection, for the broker.
#[derive(Debug)]
pub(super) struct Thumbprint(pub(super) String);

/// What is told about a request that is refused, with its answer.
#[derive(Debug)]
pub(super) struct Told {
    /// The caller's issuer, where there is a caller.
    pub(super) issuer: Option<String>,
    /// The id that the broker gave it.
    pub(super) request: Option<String>,
    /// The stable name of the reason.
    pub(super) reason: String,
}

/// Answers a request whose caller is known. Where `kind` is none, it is no action here.
pub(super) async fn serve(
    kind: Option<ActionKind>,
    shared: Data<Shared>,
    request: HttpRequest,
    mut body: Payload,
    caller: Principal,
) -> HttpResponse {
    let mut told = None;
    let judged = judge(kind, &shared, &request, &mut body, &caller, &mut told).await;
    match judged {
        Ok(response) => response,
        Err(refused) => {
            let metadata = shared.live.resource_metadata.as_deref();
            let mut response = answer::refused(&refused, told.as_deref(), metadata);
            response.extensions_mut().insert(Told {
                issuer: Some(caller.issuer().to_owned()),
                request: told,
                reason: refused.id().to_owned(),
            });
            response
        }
    }
}

async fn judge(
    kind: Option<ActionKind>,
    shared: &Shared,
    request: &HttpRequest,
    body: &mut Payload,
    caller: &Principal,
    told: &mut Option<String>,
) -> Result<HttpResponse, Refused> {
    let Shared { gate, live, broker } = shared;
    let token = token(request)?;
    let ask = |ask| Call {
        token: RawToken::new(token),
        certificate: request
            .conn_data::<Thumbprint>()
            .map(|Thumbprint(thumbprint)| thumbprint.clone()),
        ask,
    };

    // May it ask now?
    let limits = &live.config.limits;
    let key = gate.limiter.key_of(caller, &live.config.issuers);
    let permit = gate.limiter.admit(key, limits, Instant::now())?;

    // Which action is it?
    let headers: Vec<(&str, &[u8])> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    // The absolute form has an authority, and is refused with it.
    let target = request.uri().to_string();
    let head = request::Head {
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
        // The guard was asked about the route that the router saw, which is not to be another.
        match Some(action.kind()) == kind {
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
                route: log::route(head.method, request.path()),
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
    let streams = is_stream(&action);
    let permit = match streams {
        true => permit.into_stream(limits)?,
        false => permit,
    };
    if streams && let Some(head) = request.conn_data::<Head>() {
        head.be_patient();
    }
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
