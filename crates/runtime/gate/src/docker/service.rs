//! One request of the Docker dialect, from its head to its answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use cofferdam_action::action::Action;
use cofferdam_action::docker;
use cofferdam_action::request::{BodyKind, Head};
use cofferdam_action::wire::{Ask, Call, RawToken};
use cofferdam_token::Verified;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, Version};

use crate::broker::{Reply, ReplyBody, Success, is_stream};
use crate::caller::Presented;
use crate::connection::tap::{self, Follows};
use crate::gate::{Gate, Live};
use crate::limits::{Permit, Slot};
use crate::log;
use crate::refusal::{HttpError, Refused};
use crate::upload::{Archive, discard};

use super::body::{Answer, whole};
use super::{answer, hijack};

/// Headers that a request may have; hyper refuses more with 431.
const MAX_HEADERS: usize = 100;

/// One connection with a client.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) gate: Arc<Gate>,
    pub(super) peer: SocketAddr,
    /// The client's certificate in DER.
    pub(super) certificate: Option<Vec<u8>>,
    /// Its thumbprint, for the broker.
    pub(super) thumbprint: Option<String>,
    pub(super) head: tap::Head,
    /// Held for as long as the connection is open, its streams included.
    pub(super) _slot: Slot,
}

/// Answers a request, whatever it is.
pub(super) async fn serve(
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let upgrades = request.headers().contains_key(UPGRADE);
    let follows = match request.body().size_hint().exact() {
        Some(length) if !upgrades => Follows::Body(length),
        _ => Follows::Rest,
    };
    let live = connection.gate.live();
    let raw = connection.head.take(follows).unwrap_or_default();
    let (head, mut body) = request.into_parts();
    let request = Request::from_parts(head, ());
    let mut told = Told::default();
    let judged = judge(&connection, &live, request, &mut body, &raw, &mut told).await;
    if !body.is_end_stream() {
        connection.gate.spawn(discard(body.into_data_stream()));
    }
    let mut response = match judged {
        Ok(response) => response,
        Err(refused) => {
            told.log(&connection, &raw, &refused);
            let metadata = live.resource_metadata.as_deref();
            let body = |bytes| Answer::whole(bytes, connection.head.clone(), None);
            answer::refused(&refused, told.request.as_deref(), metadata, body)
        }
    };
    if follows == Follows::Rest && response.status() != hyper::StatusCode::SWITCHING_PROTOCOLS {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response)
}

/// What is told about a request that is refused.
#[derive(Debug, Default)]
struct Told {
    /// The id that the broker gave it.
    request: Option<String>,
    /// Whose it is, where that is known.
    caller: Option<Verified>,
}

impl Told {
    fn log(&self, connection: &Connection, raw: &[u8], refused: &Refused) {
        let refusal = log::Refusal {
            peer: connection.peer.ip(),
            route: &route(raw),
            issuer: self.caller.as_ref().map(Verified::issuer),
            request: self.request.as_deref(),
            status: refused.status(),
            reason: refused.id(),
        };
        log::refused(&connection.gate.strangers, &refusal);
    }
}

async fn judge(
    connection: &Arc<Connection>,
    live: &Live,
    mut request: Request<()>,
    body: &mut Incoming,
    raw: &Bytes,
    told: &mut Told,
) -> Result<Response<Answer>, Refused> {
    let (method, target, headers) = read_head(&request, raw).map_err(Refused::Http)?;
    let query = target.split_once('?').map_or("", |(_, query)| query);

    // Who is it?
    let gate = &connection.gate;
    let now = SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |time| time.as_secs());
    let presented = Presented {
        headers: &headers,
        query,
        peer: connection.peer.ip(),
        certificate: connection.certificate.as_deref(),
    };
    let authenticated = live
        .authenticator
        .authenticate(&presented, &gate.throttle, now);
    let (caller, token) = authenticated.await?;
    told.caller = Some(caller.clone());
    let ask = |ask| Call {
        token: RawToken::new(token),
        certificate: connection.thumbprint.clone(),
        ask,
    };

    // May it ask now?
    let limits = &live.config.limits;
    let key = gate.limiter.key_of(&caller, &live.config.issuers);
    let permit = gate.limiter.admit(key, limits, Instant::now())?;

    // Which action is it?
    let head = Head {
        method,
        target,
        headers: &headers,
    };
    let upgrade = request
        .headers()
        .contains_key(UPGRADE)
        .then(|| hyper::upgrade::on(&mut request));
    let read = async {
        let routed = docker::route(head)?;
        match routed.body() {
            BodyKind::Archive => {
                let archive =
                    Archive::begin(body.into_data_stream(), limits.archive, limits.body).await?;
                Ok((routed.action(archive.start())?, Some(archive)))
            }
            _ => Ok((routed.action(&whole(body, limits.body).await?)?, None)),
        }
    };
    let (action, archive) = match read.await {
        Ok(read) => read,
        Err(Refused::Rule(refusal)) => {
            let report = ask(Ask::Refused {
                route: route(raw),
                refusal: refusal.clone(),
            });
            match gate.broker.report(&report).await {
                Ok(request) => told.request = Some(request),
                Err(error) => tracing::warn!(%error, "a refused request is not in the audit log"),
            }
            return Err(Refused::Rule(refusal));
        }
        Err(refused) => return Err(refused),
    };

    // Ask the broker.
    let streams = is_stream(&action);
    let hijacks = matches!(
        action,
        Action::ContainerAttach(_) | Action::ExecStart { detach: false, .. }
    );
    let permit = match streams {
        true => permit.into_stream(limits)?,
        false => permit,
    };
    if streams {
        connection.head.be_patient();
    }
    let call = ask(Ask::Act(Box::new(action)));
    let (upgrade, reply) = match (archive, upgrade.filter(|_| hijacks)) {
        (Some(archive), _) => {
            let upload = async |writer: &mut _| archive.send(writer).await;
            (None, gate.broker.call_with_upload(&call, upload).await?)
        }
        (None, Some(upgrade)) => (Some(upgrade), gate.broker.call_for_streams(&call).await?),
        (None, None) => (None, gate.broker.call(&call).await?),
    };
    let Reply { request, result } = reply;
    match result {
        Ok(success) => Ok(respond(connection, &request, success, upgrade, permit)),
        Err(refused) => {
            told.request = Some(request);
            Err(Refused::Broker(Box::new(refused)))
        }
    }
}

fn respond(
    connection: &Arc<Connection>,
    request: &str,
    success: Success,
    upgrade: Option<OnUpgrade>,
    permit: Permit,
) -> Response<Answer> {
    let head = connection.head.clone();
    let Success { done, body } = success;
    match (body, upgrade) {
        (ReplyBody::Streams(download, writer), Some(upgrade)) => {
            let streams = hijack::run(upgrade, download, writer);
            let held = (permit, Arc::clone(connection));
            connection.gate.spawn(async move {
                streams.await;
                drop(held);
            });
            answer::upgraded(&done, request, Answer::whole(Bytes::new(), head, None))
        }
        (ReplyBody::Streams(download, _) | ReplyBody::Download(download), _) => {
            answer::done(&done, request, Answer::download(download, head, permit))
        }
        (ReplyBody::Whole(bytes), _) => {
            answer::done(&done, request, Answer::whole(bytes, head, Some(permit)))
        }
    }
}

/// What is read of a head: method, target, and headers.
type Read<'r> = (&'r str, &'r str, Vec<(&'r str, &'r [u8])>);

/// Reads the head from its bytes, and compares it with what hyper made of them.
fn read_head<'r>(request: &Request<()>, raw: &'r Bytes) -> Result<Read<'r>, HttpError> {
    if request.version() != Version::HTTP_11 {
        return Err(HttpError::Version);
    }
    let mut memory = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut memory);
    let whole =
        matches!(head.parse(raw), Ok(httparse::Status::Complete(length)) if length == raw.len());
    let (Some(method), Some(target), true) = (head.method, head.path, whole) else {
        return Err(HttpError::Head);
    };
    if method != request.method().as_str() {
        return Err(HttpError::Head);
    }
    let headers: Vec<(&str, &[u8])> = head
        .headers
        .iter()
        .map(|header| (header.name, header.value))
        .collect();
    match headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        true => Ok((method, target, headers)),
        false => Err(HttpError::Host),
    }
}

/// Method and path for the logs.
fn route(raw: &[u8]) -> String {
    let mut words = raw.splitn(3, |byte| *byte == b' ');
    let (method, target) = (words.next(), words.next());
    let path = target.and_then(|target| target.split(|byte| *byte == b'?').next());
    let text =
        |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    log::route(&text(method), &text(path))
}
