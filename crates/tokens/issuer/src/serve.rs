//! An issuer that publishes its keys on loopback (feature `serve`): for tests and development, with
//! plain HTTP and no login.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::exchange::{self, ExchangeClient};
use crate::key::SigningKey;
use crate::mint::Issuer;

/// How long a client may take to send a request's head, and then its form.
const HEAD: Duration = Duration::from_secs(5);
/// Bytes that a form may have.
const MAX_FORM: usize = 64 << 10;

/// An issuer at `http://127.0.0.1:PORT` with its discovery documents, its JWK set, and token
/// exchange for the services that it knows. It ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    issuer: Mutex<Issuer>,
    clients: Mutex<Vec<ExchangeClient>>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1; the address becomes the issuer's name.
    ///
    /// # Errors
    /// Where no port is to be had.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn start(key: SigningKey) -> io::Result<Server> {
        let listener = listen().await?;
        let url = format!("http://{}", listener.local_addr()?);
        Server::on(listener, Issuer::new(url, key))
    }

    /// Listens on a free port of 127.0.0.1 for an issuer that keeps its own name. Whoever is to use
    /// it must be told the address, since the name does not lead there.
    ///
    /// # Errors
    /// Where no port is to be had.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn serve(issuer: Issuer) -> io::Result<Server> {
        Server::on(listen().await?, issuer)
    }

    fn on(listener: TcpListener, issuer: Issuer) -> io::Result<Server> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            issuer: Mutex::new(issuer),
            clients: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Server {
            shared,
            address,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets a service exchange its callers' tokens at `/token` (RFC 8693).
    pub fn allow_exchange(&self, client: ExchangeClient) {
        lock(&self.shared.clients).push(client);
    }

    /// The issuer, to mint with or to rotate its keys.
    pub fn issuer(&self) -> MutexGuard<'_, Issuer> {
        lock(&self.shared.issuer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(&shared, request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A client that breaks off is its own affair.
            drop(connection.await);
        });
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, document) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/jwks") => (200, lock(&shared.issuer).jwks()),
        (
            &Method::GET,
            "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server",
        ) => (200, lock(&shared.issuer).metadata()),
        (&Method::POST, "/token") => match token(shared, request).await {
            Some(answer) => answer,
            None => return empty(StatusCode::BAD_REQUEST),
        },
        _ => return empty(StatusCode::NOT_FOUND),
    };
    let mut response = Response::new(Full::from(document.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Answers a token request; nothing where its form does not come whole, in time and in bounds.
async fn token(shared: &Shared, request: Request<Incoming>) -> Option<(u16, serde_json::Value)> {
    let (head, body) = request.into_parts();
    let form = tokio::time::timeout(HEAD, Limited::new(body, MAX_FORM).collect());
    let form = form.await.ok()?.ok()?.to_bytes();
    let authorization = head
        .headers
        .get(AUTHORIZATION)
        .and_then(|it| it.to_str().ok());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Some(exchange::answer(
        &lock(&shared.issuer),
        &lock(&shared.clients),
        authorization,
        &form,
        now.as_secs(),
    ))
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Both are whole after each of their methods, whoever panics.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
