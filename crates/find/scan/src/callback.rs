//! A listener that proves a server-side request: the target calls back with a number used once.

use crate::client::{lock, random_bytes};
use crate::{ScanOptions, Target};
use aws_lc_rs::hmac;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// Bytes of a caller's body that are kept.
const BODY: usize = 64 * 1024;
/// Calls that are kept; further ones are answered and forgotten.
const CALLS: usize = 4096;
/// Connections at a time.
const CONNECTIONS: usize = 64;
/// How long one connection may last.
const PATIENCE: Duration = Duration::from_secs(20);

/// The listener. It answers every call with the nonce's own answer text, so that a response that
/// carries it proves a full read and not only a request.
pub struct Callback {
    base: String,
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    key: hmac::Key,
    hits: Mutex<Vec<Hit>>,
    news: Notify,
}

/// One call that came in.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, at most 64 KiB of it.
    pub body: Vec<u8>,
}

impl Callback {
    /// The URL that carries `nonce`. Something may be appended to it.
    pub fn url_for(&self, nonce: &str) -> String {
        format!("{}/{nonce}", self.base)
    }

    /// The text that the answer to a call for `nonce` contains: `{"answer":"…"}`, as JSON. It
    /// cannot be derived from the URL.
    pub fn answer_for(&self, nonce: &str) -> String {
        self.shared.answer_for(nonce)
    }

    /// Waits until `nonce` was called, at most so long.
    pub async fn wait(&self, nonce: &str, at_most: Duration) -> Option<Hit> {
        let deadline = Instant::now() + at_most;
        loop {
            // Registered before looking, so that no call between the two is missed.
            let news = self.shared.news.notified();
            let found = lock(&self.shared.hits)
                .iter()
                .find(|hit| hit.target.contains(nonce))
                .cloned();
            if found.is_some() {
                return found;
            }
            timeout_at(deadline, news).await.ok()?;
        }
    }

    /// Where it is reached.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn answer_for(&self, nonce: &str) -> String {
        let tag = hmac::sign(&self.key, nonce.as_bytes());
        tag.as_ref()
            .iter()
            .take(12)
            .fold("answer-".to_owned(), |mut text, byte| {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
    }
}

/// Starts the listener: on loopback for a loopback target, on the port of the callback URL where
/// one was given, and not at all otherwise.
pub(crate) async fn start(options: &ScanOptions) -> std::io::Result<Option<Callback>> {
    let (listener, base) = match &options.callback_url {
        Some(url) => {
            let wrong = |error| std::io::Error::other(format!("{error}"));
            let place = Target::parse(url).map_err(wrong)?;
            (listen_for(&place).await?, place.to_string())
        }
        None if options.base.is_loopback() => {
            let ip = match options.base.host() {
                "localhost" => "127.0.0.1",
                host => host,
            };
            let listener = TcpListener::bind((ip, 0)).await?;
            let base = format!("http://{}", listener.local_addr()?);
            (listener, base)
        }
        None => return Ok(None),
    };
    let shared = Arc::new(Shared {
        key: hmac::Key::new(hmac::HMAC_SHA256, &random_bytes::<32>()),
        hits: Mutex::default(),
        news: Notify::new(),
    });
    let task = tokio::spawn(serve(listener, Arc::clone(&shared))).abort_handle();
    Ok(Some(Callback { base, shared, task }))
}

/// The address in the URL when it is one of this machine's, any address otherwise: the name may
/// be that of a tunnel that ends here.
async fn listen_for(place: &Target) -> std::io::Result<TcpListener> {
    match TcpListener::bind((place.host(), place.port())).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(error),
        Err(_) => TcpListener::bind(("0.0.0.0", place.port())).await,
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _ = timeout(PATIENCE, connection(stream, shared)).await;
            drop(slot);
        });
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    // A caller that breaks off has called all the same.
    let _ = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(_) => Vec::new(),
    };
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let nonce = target
        .split(['/', '?', '&', '='])
        .find(|part| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .unwrap_or_default()
        .to_owned();
    let hit = Hit {
        method: head.method.to_string(),
        target,
        headers: head
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body,
    };
    {
        let mut hits = lock(&shared.hits);
        if hits.len() < CALLS {
            hits.push(hit);
        }
    }
    shared.news.notify_waiters();
    let body = format!("{{\"answer\":\"{}\"}}", shared.answer_for(&nonce));
    let mut response = hyper::Response::new(Full::new(Bytes::from(body)));
    let json = hyper::header::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, json);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use crate::{Auth, Request};
    use tokio_util::sync::CancellationToken;

    #[tokio::test]
    async fn a_call_is_seen_and_answered_with_what_only_a_full_read_knows() {
        let options = ScanOptions::new(Target::parse("http://127.0.0.1:1").unwrap());
        let callback = start(&options).await.unwrap().unwrap();
        let nonce = crate::context::nonce();
        let url = callback.url_for(&nonce);
        let caller = ScanOptions::new(Target::parse(callback.base()).unwrap());
        let client = Client::new(&caller, Arc::default(), CancellationToken::new()).unwrap();
        let path = url.strip_prefix(callback.base()).unwrap();
        let waiting = callback.wait(&nonce, Duration::from_secs(10));
        let calling = async { client.send(&Request::get(path, Auth::None)).await.unwrap() };
        let (hit, exchange) = tokio::join!(waiting, calling);
        assert_eq!(hit.unwrap().method, "GET");
        assert!(exchange.text().contains(&callback.answer_for(&nonce)));
        assert!(
            callback
                .wait("nobody-calls-this", Duration::from_millis(1))
                .await
                .is_none()
        );
    }

    #[tokio::test]
    async fn a_far_target_without_a_callback_url_has_no_listener() {
        let options = ScanOptions::new(Target::parse("http://api.example").unwrap());
        assert!(start(&options).await.unwrap().is_none());
    }
}
