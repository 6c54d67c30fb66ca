//! A local socket in front of a gate: it adds the token that its callers cannot send.
//!
//! Each connection to the socket has its own connection to the gate. Requests and answers are
//! streamed, and when the gate switches protocols (attach, exec) the bytes of both directions are
//! carried on, the end of each by itself.

mod upstream;

use crate::input::Failure;
use cofferdam_sandbox::SocketFile;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, EXPECT, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;
pub(crate) use upstream::Upstream;

/// Bytes that are read of a token file.
const MAX_TOKEN: usize = 64 << 10;

type Body = BoxBody<Bytes, hyper::Error>;

/// A socket that is bound and not served yet. Its file goes with it.
pub(crate) struct Serving {
    listener: UnixListener,
    file: SocketFile,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: Upstream,
    token_file: PathBuf,
}

/// Binds the socket for this user alone.
pub(crate) fn listen(
    socket: &Path,
    upstream: Upstream,
    token_file: PathBuf,
) -> Result<Serving, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot listen on `{}`: {error}", socket.display()))
    };
    let (listener, file) = cofferdam_sandbox::bind(socket).map_err(failed)?;
    let listener = listener
        .set_nonblocking(true)
        .and_then(|()| UnixListener::from_std(listener));
    Ok(Serving {
        listener: listener.map_err(failed)?,
        file,
        shared: Arc::new(Shared {
            upstream,
            token_file,
        }),
    })
}

/// Reads the token in a file, without the line end that an editor leaves.
pub(crate) fn read_token(file: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let name = file.display();
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(MAX_TOKEN as u64 + 1).read_to_string(&mut text))
        .map_err(|error| format!("cannot read the token in `{name}`: {error}"))?;
    let token = text.trim();
    if token.is_empty() || token.len() > MAX_TOKEN {
        return Err(format!("`{name}` holds no token"));
    }
    if token.bytes().any(|byte| !(0x21..0x7f).contains(&byte)) {
        return Err(format!(
            "the token in `{name}` has spaces, line breaks or characters that no header takes"
        ));
    }
    Ok(token.to_owned())
}

impl Serving {
    /// Serves for as long as it is polled.
    pub(crate) async fn serve(&self) {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(connection(stream, Arc::clone(&self.shared)));
                    }
                    // Too many open files, most likely: a pause lets some be closed.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.file.remove();
    }
}

/// One connection of a program, and the one to the gate that belongs to it.
async fn connection(stream: UnixStream, shared: Arc<Shared>) {
    let sender: Arc<Mutex<Option<SendRequest<Body>>>> = Arc::default();
    let service = service_fn(move |request| {
        let (shared, sender) = (Arc::clone(&shared), Arc::clone(&sender));
        async move { Ok::<_, Infallible>(answer(request, &shared, &sender).await) }
    });
    // What breaks a connection is told to its two ends by its end.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
    sender: &Mutex<Option<SendRequest<Body>>>,
) -> Response<Body> {
    // Two identities on one request: whichever were taken, somebody would be surprised.
    if request.headers().contains_key(AUTHORIZATION) {
        return refusal(
            StatusCode::BAD_REQUEST,
            "the request carries a token of its own; `cofferdam connect` adds one: use one of both",
        );
    }
    match forward(request, shared, sender).await {
        Ok(response) => response,
        Err(why) => refusal(StatusCode::BAD_GATEWAY, &why),
    }
}

async fn forward(
    mut request: Request<Incoming>,
    shared: &Shared,
    sender: &Mutex<Option<SendRequest<Body>>>,
) -> Result<Response<Body>, String> {
    let token = read_token(&shared.token_file)?;
    let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| "the token is no header field".to_owned())?;
    bearer.set_sensitive(true);
    let caller = hyper::upgrade::on(&mut request);
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(HOST, shared.upstream.authority());
    // Answered here already, when the body is first asked for.
    headers.remove(EXPECT);
    let request = request.map(BodyExt::boxed);

    let mut sender = sender.lock().await;
    if let Some(open) = sender.as_mut()
        && open.ready().await.is_err()
    {
        *sender = None;
    }
    let mut open = match sender.take() {
        Some(open) => open,
        None => shared.upstream.connect().await?,
    };
    let mut response = open
        .send_request(request)
        .await
        .map_err(|error| format!("the gate broke the exchange off: {error}"))?;
    *sender = Some(open);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let gate = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            if let (Ok(caller), Ok(gate)) = tokio::join!(caller, gate) {
                // Ends when both directions have; an error on either is the end of both.
                let _ = tokio::io::copy_bidirectional(
                    &mut TokioIo::new(caller),
                    &mut TokioIo::new(gate),
                )
                .await;
            }
        });
    }
    Ok(response.map(BodyExt::boxed))
}

/// An error as the Docker command line shows it.
fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    let text = serde_json::json!({ "message": format!("cofferdam connect: {message}") });
    let body = Full::from(text.to_string()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
