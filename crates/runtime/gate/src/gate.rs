//! A running gate: what its listeners share, how it starts, reloads and stops.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cofferdam_guard::Guard;
use cofferdam_sandbox::notify;
use cofferdam_token::throttle::Throttle;
use rustls::ServerConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broker::Broker;
use crate::caller::{Authenticator, Keys, KeysError};
use crate::config::{ConfigError, GateConfig};
use crate::docker;
use crate::limits::{Connections, Limiter};
use crate::listener::Listener;
use crate::log::SeldomPerPeer;
use crate::rest;
use crate::tls::{self, TlsError};

/// How often files of keys are looked at.
const KEYS_EVERY: Duration = Duration::from_secs(5);
/// Bad tokens that one address may send at once, and in a second from then on.
const GUESSES: (u32, u32) = (20, 5);

/// Why a gate does not start, or does not take a new configuration.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There are no keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// There is no certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address cannot be listened on.
    #[error("`{address}` cannot be listened on: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The system refuses what every process needs.
    #[error("the system refuses: {0}")]
    System(io::Error),
}

/// What a running gate is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Read the configuration, the certificates and the keys again. Whatever is wrong with them,
    /// the former ones stay in place, as they do where one of addresses, the broker's socket, user,
    /// group, sandbox, and whether there is TLS is another than at the start.
    Reload,
    /// Accept nothing more, answer what was asked, break off what goes on for longer than
    /// [`LimitSettings::stop`](crate::config::LimitSettings::stop), and end.
    Stop,
}

/// Where a gate listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The Docker Engine API.
    pub docker: Option<SocketAddr>,
    /// The REST API.
    pub rest: Option<SocketAddr>,
}

/// A gate whose addresses are bound, and that serves nothing yet: between [`bind`] and
/// [`Bound::serve`] the process confines itself.
#[derive(Debug)]
pub struct Bound {
    config: GateConfig,
    docker: Option<TcpListener>,
    rest: Option<TcpListener>,
}

/// Binds the addresses of a configuration, and raises the limit of open files as far as it goes,
/// since each stream takes two of them, and three where it has left HTTP. Starts no thread and reads
/// no file.
///
/// # Errors
/// [`GateError`].
pub fn bind(config: GateConfig) -> Result<Bound, GateError> {
    config.check()?;
    raise_open_files();
    let listen = |address: Option<SocketAddr>| {
        address
            .map(|address| {
                TcpListener::bind(address).map_err(|error| GateError::Listen { address, error })
            })
            .transpose()
    };
    let docker = listen(config.listen)?;
    let rest = listen(config.listen_rest)?;
    Ok(Bound {
        config,
        docker,
        rest,
    })
}

/// Serves until the process is told to stop: SIGTERM and SIGINT stop it, SIGHUP reloads. `ready` is
/// called when the gate answers.
///
/// # Errors
/// [`GateError`] where it does not start.
pub async fn run(bound: Bound, ready: impl FnOnce(Addresses)) -> Result<(), GateError> {
    let (tell, told) = mpsc::channel(4);
    for (kind, control) in [
        (SignalKind::terminate(), Control::Stop),
        (SignalKind::interrupt(), Control::Stop),
        (SignalKind::hangup(), Control::Reload),
    ] {
        let mut signals = signal(kind).map_err(GateError::System)?;
        let tell = tell.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() && tell.send(control).await.is_ok() {}
        });
    }
    bound.serve(told, ready).await
}

fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    // Where it is not allowed, the limit that there is holds.
    let _ = setrlimit(Resource::Nofile, limit);
}

impl Bound {
    /// Where it listens.
    ///
    /// # Errors
    /// [`GateError::System`] where the system does not say.
    pub fn addresses(&self) -> Result<Addresses, GateError> {
        let address = |listener: &Option<TcpListener>| {
            let listener = listener.as_ref().map(TcpListener::local_addr);
            listener.transpose().map_err(GateError::System)
        };
        Ok(Addresses {
            docker: address(&self.docker)?,
            rest: address(&self.rest)?,
        })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &GateConfig {
        &self.config
    }

    /// The descriptors that must stay open when the process confines itself.
    #[must_use]
    pub fn descriptors(&self) -> Vec<RawFd> {
        let listeners = self.docker.iter().chain(&self.rest);
        listeners.map(|listener| listener.as_raw_fd()).collect()
    }

    /// Serves until it is told to stop, or nobody can tell it any more. `ready` is called when the
    /// gate answers, and the service manager hears how it goes.
    ///
    /// # Errors
    /// [`GateError`] where keys or certificates cannot be used.
    pub async fn serve(
        self,
        mut told: mpsc::Receiver<Control>,
        ready: impl FnOnce(Addresses),
    ) -> Result<(), GateError> {
        let addresses = self.addresses()?;
        let live = Live::load(self.config).await?;
        let gate = Gate::new(live);
        let listen = |listener| Listener::new(listener).map_err(GateError::System);
        if let Some(listener) = self.docker {
            gate.spawn(docker::run(listen(listener)?, Arc::clone(&gate)));
        }
        if let Some(listener) = self.rest {
            let workers = rest::Workers::start(&gate).await;
            let workers = workers.map_err(GateError::System)?;
            gate.spawn(workers.run(listen(listener)?, Arc::clone(&gate)));
        }
        ready(addresses);
        notify("READY=1");
        loop {
            tokio::select! {
                control = told.recv() => match control {
                    Some(Control::Reload) => {
                        notify("RELOADING=1");
                        gate.reload().await;
                        notify("READY=1");
                    }
                    Some(Control::Stop) | None => break,
                },
                () = tokio::time::sleep(KEYS_EVERY) => gate.live().keys.read_changed(),
            }
        }
        notify("STOPPING=1");
        gate.stop().await;
        Ok(())
    }
}

/// What the listeners share.
#[derive(Debug)]
pub(crate) struct Gate {
    live: RwLock<Arc<Live>>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) throttle: Throttle,
    /// Of which addresses it was said that they are refused.
    pub(crate) strangers: SeldomPerPeer,
    tasks: TaskTracker,
    reloads: watch::Sender<()>,
    stop: CancellationToken,
    kill: CancellationToken,
}

/// What a reload replaces as a whole.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) config: GateConfig,
    pub(crate) authenticator: Authenticator,
    /// Of the REST API, where that is served.
    pub(crate) guard: Option<Guard>,
    pub(crate) keys: Keys,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) resource_metadata: Option<String>,
}

impl Live {
    async fn load(config: GateConfig) -> Result<Live, GateError> {
        let tls = config.tls.as_ref().map(tls::load).transpose()?;
        let keys = Keys::load(&config.issuers).await?;
        let guard = config.listen_rest.map(|_| rest::guard(&config, &keys));
        Ok(Live {
            authenticator: Authenticator::new(&config, &keys)?,
            guard: guard.transpose()?,
            keys,
            tls,
            resource_metadata: config.resource_metadata(),
            config,
        })
    }
}

impl Gate {
    fn new(live: Live) -> Arc<Gate> {
        Arc::new(Gate {
            broker: Broker::new(&live.config.broker),
            live: RwLock::new(Arc::new(live)),
            limiter: Limiter::new(),
            connections: Arc::default(),
            throttle: Throttle::new(GUESSES.0, GUESSES.1),
            strangers: SeldomPerPeer::default(),
            tasks: TaskTracker::new(),
            reloads: watch::Sender::default(),
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
        })
    }

    /// The configuration of this moment.
    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Is ready when the configuration of this moment has been replaced.
    pub(crate) fn reloaded(&self) -> impl Future<Output = ()> + use<> {
        let mut reloads = self.reloads.subscribe();
        async move {
            // Where nothing can be replaced any more the gate is gone.
            let _ = reloads.changed().await;
        }
    }

    /// Is ready when the gate is to stop.
    pub(crate) fn stopping(&self) -> impl Future<Output = ()> {
        self.stop.cancelled()
    }

    /// Whether the gate is told to stop, for who needs it beyond the life of a borrow.
    pub(crate) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Is ready when the gate has waited long enough for what goes on.
    pub(crate) fn killed(&self) -> impl Future<Output = ()> {
        self.kill.cancelled()
    }

    /// Runs a task, which is broken off when the gate has waited long enough for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let kill = self.kill.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = kill.cancelled() => {}
                () = task => {}
            }
        });
    }

    async fn reload(&self) {
        let former = self.live();
        let config = match former.config.source() {
            Some(path) => GateConfig::read(path),
            None => Ok(former.config.clone()),
        };
        let live = match config {
            Ok(config) => Live::load(config).await,
            Err(error) => Err(error.into()),
        };
        let live = match live {
            Ok(live) => live,
            Err(error) => {
                tracing::error!(%error, "the former configuration stays in place");
                return;
            }
        };
        let (new, old) = (&live.config, &former.config);
        let fixed = [
            ("listen", new.listen != old.listen),
            ("listen_rest", new.listen_rest != old.listen_rest),
            ("broker", new.broker != old.broker),
            ("user", new.user != old.user),
            ("group", new.group != old.group),
            ("sandbox", new.sandbox != old.sandbox),
            ("[tls]", new.tls.is_some() != old.tls.is_some()),
        ];
        let changed = fixed.iter().filter(|(_, differs)| *differs);
        let changed: Vec<&str> = changed.map(|(name, _)| *name).collect();
        if !changed.is_empty() {
            tracing::error!(
                changed = changed.join(", "),
                "the former configuration stays in place: what has changed in it takes a restart"
            );
            return;
        }
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
        self.reloads.send_replace(());
        tracing::info!("the configuration was read again");
    }

    async fn stop(&self) {
        let wait = self.live().config.limits.stop;
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(wait, self.tasks.wait()).await.is_err() {
            tracing::info!("streams are broken off");
            self.kill.cancel();
            self.tasks.wait().await;
        }
    }
}
