//! The engine's life: its options, its listeners, its end.

use crate::answer::Answer;
use crate::authorization::AuthorizationPolicy;
use crate::decode::Created;
use crate::state;
use crate::{api, route};
use cofferdam_docker::wire::CreateBody;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// How many connections are served at a time; others wait.
const CONNECTIONS: usize = 256;
/// How long a request's head may take.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long running requests may take to end when the engine stops.
const GRACE: Duration = Duration::from_secs(1);

/// How an engine is set up.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Where the unix socket is made. A socket that is there already is replaced.
    pub socket: PathBuf,
    /// A loopback address on which the API is served too, without any authentication; port 0 takes
    /// any free one.
    pub tcp: Option<SocketAddr>,
    /// The directory that plays the root of the host. Containers can change what is in it.
    pub host_root: PathBuf,
    /// The host's name in `/info`.
    pub host_name: String,
    /// Whether the engine runs without root. Then, as with `userns_remap`, a container may do with
    /// the host's files only what everybody may.
    pub rootless: bool,
    /// Whether containers' users are mapped to others of the host, unless a container is created
    /// with `UsernsMode: host`.
    pub userns_remap: bool,
    /// What an authorization plug-in refuses, if there is one.
    pub authorization: Option<AuthorizationPolicy>,
    /// Containers that exist when the engine starts; no policy is asked about them.
    pub seeds: Vec<Seed>,
}

/// A container that exists when the engine starts.
#[derive(Debug, Clone)]
pub struct Seed {
    /// Its name.
    pub name: String,
    /// What it is created from. Its image counts as pulled.
    pub body: CreateBody,
    /// Whether it runs.
    pub running: bool,
}

impl EngineOptions {
    /// A rootful engine on `socket` whose host is `host_root`, without TCP, policy or containers.
    pub fn new(socket: impl Into<PathBuf>, host_root: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            tcp: None,
            host_root: host_root.into(),
            host_name: "dock-1".to_owned(),
            rootless: false,
            userns_remap: false,
            authorization: None,
            seeds: Vec::new(),
        }
    }
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pretend root of the host, or the engine's own directory, cannot be used.
    #[error("cannot use `{}` as the root of the pretend host", path.display())]
    HostRoot {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket or the address cannot be listened on.
    #[error("cannot listen on `{place}`")]
    Listen {
        /// The path or the address.
        place: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The API would be open to the network.
    #[error("`{0}` is not a loopback address: the embedded engine is served to this machine only")]
    NotLoopback(SocketAddr),
    /// A container that should exist at the start cannot be made.
    #[error("cannot make the container `{name}`: {message}")]
    Seed {
        /// Its name.
        name: String,
        /// What the API would have answered.
        message: String,
    },
}

/// A running engine. Dropping it stops it and removes its socket and its containers' files; the
/// pretend host's files stay.
pub struct Engine {
    socket: PathBuf,
    tcp: Option<SocketAddr>,
    engine: Arc<state::Engine>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Starts an engine on the current tokio runtime. When it returns the socket is served.
    ///
    /// # Errors
    /// When the host's root or a listener cannot be opened, or a seed is refused.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(options: EngineOptions) -> Result<Self, Error> {
        if let Some(address) = options.tcp.filter(|address| !address.ip().is_loopback()) {
            return Err(Error::NotLoopback(address));
        }
        let tcp = match options.tcp {
            Some(address) => {
                Some(
                    TcpListener::bind(address)
                        .await
                        .map_err(|source| Error::Listen {
                            place: address.to_string(),
                            source,
                        })?,
                )
            }
            None => None,
        };
        let address = tcp.as_ref().and_then(|listener| listener.local_addr().ok());
        let unix = listen(&options.socket).map_err(|source| Error::Listen {
            place: options.socket.display().to_string(),
            source,
        })?;
        let (socket, seeds) = (options.socket.clone(), options.seeds.clone());
        let host_root = options.host_root.clone();
        let options = EngineOptions {
            tcp: address,
            ..options
        };
        let engine = state::Engine::new(options).map_err(|source| Error::HostRoot {
            path: host_root,
            source,
        })?;
        let engine = Arc::new(engine);
        for seed in seeds {
            plant(&engine, &seed)?;
        }

        let (stop, stopped) = watch::channel(false);
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let listeners = [Some(Listener::Unix(unix)), tcp.map(Listener::Tcp)];
        let tasks = listeners
            .into_iter()
            .flatten()
            .map(|listener| {
                let (engine, room) = (Arc::clone(&engine), Arc::clone(&room));
                tokio::spawn(accept(listener, engine, room, stopped.clone()))
            })
            .collect();
        Ok(Self {
            socket,
            tcp: address,
            engine,
            stop,
            tasks,
        })
    }

    /// The unix socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The TCP address, where there is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        self.tcp
    }

    /// Stops the engine: nothing new is taken, what runs has one second to end.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            // A task that panicked has ended, which is all that is wanted here.
            let _ = task.await;
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("socket", &self.socket)
            .field("tcp", &self.tcp)
            .finish_non_exhaustive()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        // The tasks of running containers hold the engine's files.
        self.engine.end_all();
        // Whoever made the directory may have removed it already.
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn plant(engine: &Arc<state::Engine>, seed: &Seed) -> Result<(), Error> {
    let failed = |message: String| Error::Seed {
        name: seed.name.clone(),
        message,
    };
    engine
        .lock()
        .add_image(&seed.body.config.image)
        .map_err(|error| failed(error.to_string()))?;
    let id = Created::of(&seed.body)
        .and_then(|created| api::containers::make(engine, &seed.name, created))
        .map_err(|refusal| failed(refusal.message))?;
    if seed.running {
        let started = engine.lock().start(engine, &id);
        started.map_err(|refusal| failed(refusal.message))?;
    }
    Ok(())
}

/// Only a socket is ever replaced, never a file of another kind.
fn listen(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::FileTypeExt;
    if std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    UnixListener::bind(path)
}

/// Where connections come from.
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// What a connection is made of.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Listener::Unix(listener) => Box::new(listener.accept().await?.0),
            Listener::Tcp(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

async fn accept(
    listener: Listener,
    engine: Arc<state::Engine>,
    room: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = async {
                // The semaphore is never closed.
                let permit = Arc::clone(&room).acquire_owned().await.ok();
                listener.accept().await.map(|stream| (stream, permit))
            } => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (engine, stop) = (Arc::clone(&engine), stop.clone());
                connections.spawn(async move {
                    connection(stream, engine, stop).await;
                    drop(permit);
                });
            }
            // Out of descriptors, most likely: give those that are open time to close.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    // What has not ended by then is cut off when the set is dropped.
    let _ = tokio::time::timeout(GRACE, ended).await;
}

async fn connection(
    stream: Box<dyn Stream>,
    engine: Arc<state::Engine>,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| {
        let engine = Arc::clone(&engine);
        async move {
            let Answer(response) = route::serve(engine, request).await;
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    // A connection that breaks concerns its client only.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
