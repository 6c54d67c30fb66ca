//! An issuer that publishes its keys on loopback (feature `serve`): for tests and development, with
//! plain HTTP and no login.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::key::SigningKey;
use crate::mint::Issuer;

/// How long a client may take to send a request's head.
const HEAD: Duration = Duration::from_secs(5);

/// An issuer at `http://127.0.0.1:PORT` with its discovery documents and its JWK set. It ends when
/// it is dropped.
#[derive(Debug)]
pub struct Server {
    issuer: Arc<Mutex<Issuer>>,
    task: JoinHandle<()>,
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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let issuer = Arc::new(Mutex::new(Issuer::new(url, key)));
        let task = tokio::spawn(accept(listener, Arc::clone(&issuer)));
        Ok(Server { issuer, task })
    }

    /// The issuer, to mint with or to rotate its keys.
    pub fn issuer(&self) -> MutexGuard<'_, Issuer> {
        lock(&self.issuer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, issuer: Arc<Mutex<Issuer>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let issuer = Arc::clone(&issuer);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = answer(&lock(&issuer), &request);
                async { Ok::<_, Infallible>(response) }
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

fn answer(issuer: &Issuer, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let document = match (request.method(), request.uri().path()) {
        (&Method::GET, "/jwks") => issuer.jwks(),
        (
            &Method::GET,
            "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server",
        ) => issuer.metadata(),
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
    };
    let mut response = Response::new(Full::from(document.to_string()));
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn lock(issuer: &Mutex<Issuer>) -> MutexGuard<'_, Issuer> {
    // An issuer is whole after each of its methods, whoever panics.
    issuer.lock().unwrap_or_else(PoisonError::into_inner)
}
