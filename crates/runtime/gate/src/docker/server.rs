//! The connections of the Docker dialect.

use std::sync::Arc;

use cofferdam_action::MAX_TARGET;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::caller::thumbprint;
use crate::connection;
use crate::gate::Gate;
use crate::listener::{Accepted, Listener};

use super::service::{Connection, serve};

/// Bytes that the head of a request may have: the longest target, and a token with other headers.
const MAX_HEAD: usize = MAX_TARGET + (32 << 10);

/// Serves until the gate stops.
pub(crate) async fn run(listener: Listener, gate: Arc<Gate>) {
    let serve = |accepted| gate.spawn(connection(Arc::clone(&gate), accepted));
    listener.run(&gate, serve).await;
}

/// Serves one connection.
async fn connection(gate: Arc<Gate>, accepted: Accepted) {
    let Accepted { stream, peer, slot } = accepted;
    let Some((tap, head)) = connection::open(stream, peer, &gate.live()).await else {
        return;
    };
    let certificate = tap.io().certificate();
    let connection = Arc::new(Connection {
        gate: Arc::clone(&gate),
        peer,
        thumbprint: certificate.as_deref().map(thumbprint),
        certificate,
        head,
        _slot: slot,
    });
    let service = service_fn(move |request| serve(Arc::clone(&connection), request));
    let serving = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        // The tap knows better which time runs.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(tap), service)
        .with_upgrades();
    tokio::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = gate.stopping() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(peer = %peer.ip(), %error, "a connection broke off");
    }
}
