//! The connections of the REST dialect: the gate accepts them as it does for the other one, and the
//! HTTP/1.1 server of actix-web serves them, on threads of its own.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_http::body::BoxBody;
use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Request, Response};
use actix_service::boxed::{self, RcService};
use actix_service::{Service, ServiceFactory as _, fn_service, map_config};
use actix_web::dev::{AppConfig, Extensions, ServiceResponse};
use cofferdam_guard::ClientCertificate;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use crate::broker::Broker;
use crate::caller::thumbprint;
use crate::connection::tap::{LINGER, Tap};
use crate::connection::{self, Stream};
use crate::gate::Gate;
use crate::limits::Slot;
use crate::listener::{Accepted, Listener};

use super::app::application;
use super::body::Served;
use super::service::Thumbprint;

/// Threads that serve. Each holds its own connections to the broker.
const WORKERS: usize = 2;

/// The threads that serve connections: a service of actix-web stays on the thread where it was made.
#[derive(Debug)]
pub(crate) struct Workers(Vec<Worker>);

/// One of them.
#[derive(Debug)]
struct Worker {
    /// There are never more in it than connections may be open.
    connections: mpsc::UnboundedSender<Connection>,
    ended: oneshot::Receiver<Infallible>,
}

/// A connection on its way to the thread that serves it.
type Connection = (TcpStream, SocketAddr, Slot);

/// The application of the configuration of this moment.
type Current = Rc<RefCell<RcService<Request, ServiceResponse<Served>, actix_web::Error>>>;

impl Workers {
    /// Starts the threads, and waits until each can serve.
    pub(crate) async fn start(gate: &Arc<Gate>) -> io::Result<Workers> {
        let mut workers = Vec::new();
        for number in 0..WORKERS {
            workers.push(Worker::start(Arc::clone(gate), number).await?);
        }
        Ok(Workers(workers))
    }

    /// Serves until the gate stops, and then until the last connection has ended.
    pub(crate) async fn run(self, listener: Listener, gate: Arc<Gate>) {
        let mut turn = self.0.iter().cycle();
        let serve = |accepted: Accepted| {
            // The connection belongs to the runtime of its thread.
            if let (Some(worker), Ok(stream)) = (turn.next(), accepted.stream.into_std()) {
                let connection = (stream, accepted.peer, accepted.slot);
                // A thread that is gone has gone with the gate.
                let _ = worker.connections.send(connection);
            }
        };
        listener.run(&gate, serve).await;
        for Worker { connections, ended } in self.0 {
            drop(connections);
            let Err(_) = ended.await;
        }
    }
}

impl Worker {
    async fn start(gate: Arc<Gate>, number: usize) -> io::Result<Worker> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (connections, accepted) = mpsc::unbounded_channel();
        let (up, is_up) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name(format!("rest-{number}"))
            .spawn(move || {
                LocalSet::new().block_on(&runtime, work(gate, up, accepted));
                drop(end);
            })?;
        match is_up.await {
            Ok(()) => Ok(Worker { connections, ended }),
            Err(_) => Err(io::Error::other("the REST API cannot be served")),
        }
    }
}

/// Serves what is accepted. A reload replaces the application, also for connections that are open.
async fn work(
    gate: Arc<Gate>,
    up: oneshot::Sender<()>,
    mut accepted: mpsc::UnboundedReceiver<Connection>,
) {
    let broker = Broker::new(gate.broker.path());
    // Whatever is replaced while the application is made is noticed after it.
    let mut reloaded = Box::pin(gate.reloaded());
    let Some(app) = start(&gate, &broker).await else {
        return;
    };
    let current: Current = Rc::new(RefCell::new(app));
    let Some(server) = server(&gate, &current).await else {
        return;
    };
    let server = Rc::new(server);
    let _ = up.send(());
    let connections = TaskTracker::new();
    loop {
        tokio::select! {
            next = accepted.recv() => match next {
                Some(next) => {
                    connections.spawn_local(serve(Arc::clone(&gate), Rc::clone(&server), next));
                }
                None => break,
            },
            () = &mut reloaded => {
                reloaded.set(gate.reloaded());
                if let Some(app) = start(&gate, &broker).await {
                    current.replace(app);
                }
            }
        }
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = gate.killed() => {}
    }
}

/// Starts the application of the configuration of this moment.
async fn start(
    gate: &Arc<Gate>,
    broker: &Arc<Broker>,
) -> Option<RcService<Request, ServiceResponse<Served>, actix_web::Error>> {
    let live = gate.live();
    // There is one wherever there is an address to serve at.
    let app = application(gate, broker, &live, live.guard.as_ref()?);
    let app = map_config(app, |()| AppConfig::default());
    match app.new_service(()).await {
        Ok(app) => Some(boxed::rc_service(app)),
        Err(()) => {
            tracing::error!("the REST API cannot be started with this configuration");
            None
        }
    }
}

/// The HTTP server, which asks for each request which application is the current one.
async fn server(
    gate: &Gate,
    current: &Current,
) -> Option<impl Service<(Tap<Stream>, Option<SocketAddr>), Error = DispatchError> + use<>> {
    let current = Rc::clone(current);
    let app = fn_service(move |request: Request| {
        let app = Rc::clone(&current.borrow());
        let answer = app.call(request);
        async move {
            let answer = answer.await.map_err(Response::<BoxBody>::from)?;
            Ok::<_, Response<BoxBody>>(answer)
        }
    });
    let stop = gate.stop_token();
    let server = HttpService::build()
        // The tap has the times.
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(LINGER)
        // Who closes their half has gone: the answer may be hours away.
        .h1_allow_half_closed(false)
        // Not in the documentation of the crate, but what actix-web's own server stops with.
        .graceful_shutdown_signal(move || stop.clone().cancelled_owned())
        .on_connect_ext(remember)
        .h1(app);
    server.new_service(()).await.ok()
}

/// What requests get to know of their connection.
fn remember(tap: &Tap<Stream>, data: &mut Extensions) {
    data.insert(tap.head().clone());
    if let Some(certificate) = tap.io().certificate() {
        data.insert(Thumbprint(thumbprint(&certificate)));
        data.insert(ClientCertificate::new(certificate));
    }
}

/// Serves one connection.
async fn serve<S>(gate: Arc<Gate>, server: Rc<S>, (stream, peer, slot): Connection)
where
    S: Service<(Tap<Stream>, Option<SocketAddr>), Error = DispatchError>,
{
    let Ok(stream) = tokio::net::TcpStream::from_std(stream) else {
        return;
    };
    let Some((tap, _)) = connection::open(stream, peer, &gate.live()).await else {
        return;
    };
    if let Err(error) = server.call((tap, Some(peer))).await {
        tracing::debug!(peer = %peer.ip(), %error, "a connection broke off");
    }
    drop(slot);
}
