//! A broker as a process: from its configuration to its end.

mod follow;
mod listen;
mod rotate;

use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cofferdam_sandbox::{Confinement, Role, SocketFile, User, confine, notify};
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::broker::{Broker, OpenError, Say};
use crate::config::{BrokerConfig, ConfigError};
use crate::server::{Peer, Server};
use crate::upstream::Timing;

/// How often files of keys and policies are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long open streams, and then changes, may go on after a stop was asked for.
const GRACE: Duration = Duration::from_secs(10);
const CHANGES: Duration = Duration::from_secs(60);

/// Why a broker did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no engine behind the socket.
    #[error(
        "no container engine answers at `{}`: {source}; start it, or correct `engine`", .path.display()
    )]
    Engine {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The engine answers, but not as its API says.
    #[error("the objects of the engine cannot be listed: {0}")]
    Reconcile(#[from] crate::tenancy::EngineFailure),
    /// The broker's own socket cannot be made.
    #[error("cannot listen at `{}`: {source}; {help}", .path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
        /// What to do about it.
        help: &'static str,
    },
    /// A directory of the broker's own cannot be made.
    #[error("cannot make the directory `{}`: {source}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The process could not be confined.
    #[error(transparent)]
    Sandbox(#[from] cofferdam_sandbox::Error),
    /// Keys, policies, the audit log or the owners.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The runtime or its signals.
    #[error("the runtime cannot start: {0}")]
    Runtime(std::io::Error),
}

/// Runs a broker until it is told to stop (SIGTERM, SIGINT). The process is confined, so this must
/// be called before it has a second thread. `say` hears what an operator should know, a line each;
/// `ready` is called once calls are served.
///
/// # Errors
/// [`RunError`], where it cannot start.
pub fn run(
    config: BrokerConfig,
    say: impl Fn(&str) + Send + Sync + 'static,
    ready: impl FnOnce(),
) -> Result<(), RunError> {
    let say: Say = Arc::new(say);
    raise_open_files();
    engine_is_there(&config.engine)?;
    let archive = config.rotation.as_ref().map(|it| &it.archive);
    for directory in [Some(&config.state), archive].into_iter().flatten() {
        make_private(directory, config.user.as_deref())?;
    }
    let peer = peer(&config)?;
    let (listener, socket) = listen::bind(&config)?;
    let report = confine(&confinement(&config, peer, &listener))?;
    for line in report.lines() {
        say(&line.to_string());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("broker")
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    runtime.block_on(serve(config, listener, &socket, peer, say, ready))
}

async fn serve(
    config: BrokerConfig,
    listener: StdListener,
    socket: &SocketFile,
    peer: Peer,
    say: Say,
    ready: impl FnOnce(),
) -> Result<(), RunError> {
    engine_is_there(&config.engine)?;
    let mut signals = Signals::new().map_err(RunError::Runtime)?;
    let broker = Arc::new(Broker::open(&config, Timing::default(), Arc::clone(&say))?);
    let intents = follow::Intents::all(config.audit());
    follow::reconcile(&broker, &intents).await?;
    let intents = intents.after_now();
    let following = tokio::spawn(follow::events(Arc::clone(&broker), intents));

    let mut rotating = tokio::task::JoinSet::new();
    if let Some(rotation) = config.rotation.clone() {
        rotating.spawn(rotate::rotate(
            Arc::clone(&broker),
            config.audit(),
            rotation,
        ));
    }

    let listener = UnixListener::from_std(listener).map_err(RunError::Runtime)?;
    let (stop, stopped) = watch::channel(false);
    let server = Server::new(Arc::clone(&broker), listener, peer, config.connections);
    let serving = tokio::spawn(server.run(stopped, GRACE));
    let held = broker.describe();
    for line in &held {
        say(line);
    }
    broker
        .notice(format!("the broker has started; {}", held.join("; ")))
        .await;
    ready();
    notify("READY=1");

    signals.attend(&broker, config.source()).await;
    notify("STOPPING=1");
    // The server hears it, or is gone already.
    let _ = stop.send(true);
    let _ = serving.await;
    following.abort();
    rotating.abort_all();
    broker.notice("the broker has stopped".to_owned()).await;
    broker.finish(CHANGES).await;
    socket.remove();
    Ok(())
}

struct Signals {
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Reloads when asked to, looks at files now and then, and comes back when it is time to stop.
    async fn attend(&mut self, broker: &Broker, source: Option<&Path>) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = look.tick() => broker.refresh().await,
                _ = self.reload.recv() => {
                    let Some(source) = source else {
                        broker.refresh().await;
                        continue;
                    };
                    notify("RELOADING=1");
                    if let Err(error) = broker.reload(source).await {
                        let text = format!("{error}; what was there before stays in force");
                        broker.notice(text).await;
                    }
                    notify("READY=1");
                }
            }
        }
    }
}

/// A stream takes a descriptor here and one at the engine.
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

/// Whether somebody answers behind the engine's socket.
pub(crate) fn engine_is_there(path: &Path) -> Result<(), RunError> {
    let connected = std::os::unix::net::UnixStream::connect(path);
    connected.map(drop).map_err(|source| RunError::Engine {
        path: path.to_owned(),
        source,
    })
}

/// Makes a directory for the broker alone.
fn make_private(directory: &Path, user: Option<&str>) -> Result<(), RunError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let failed = |source| RunError::Directory {
        path: directory.to_owned(),
        source,
    };
    if directory.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    if let Some(user) = user {
        let user = cofferdam_sandbox::user_number(user)?;
        std::os::unix::fs::chown(directory, Some(user), None).map_err(failed)?;
    }
    Ok(())
}

/// As whom the gate must run.
fn peer(config: &BrokerConfig) -> Result<Peer, RunError> {
    let uid = match config.gate_user.as_ref().or(config.user.as_ref()) {
        Some(user) => cofferdam_sandbox::user_number(user)?,
        None => rustix::process::geteuid().as_raw(),
    };
    Ok(Peer { uid })
}

fn confinement(config: &BrokerConfig, peer: Peer, listener: &StdListener) -> Confinement {
    // A file is replaced by renaming another over it, so its directory is what is kept.
    let folder = |path: &Path| path.parent().map(Path::to_owned);
    let keys = config
        .issuers
        .iter()
        .filter_map(|issuer| issuer.keys.as_deref());
    let files = keys
        .chain(config.source())
        .chain([config.audit_key.as_path()]);
    let mut read: Vec<PathBuf> = files.filter_map(folder).collect();
    read.extend(config.policy.clone());
    let mut write = vec![config.state.clone()];
    write.extend(folder(&config.socket));
    write.extend(config.rotation.as_ref().map(|it| it.archive.clone()));
    let user = match &config.user {
        Some(user) => User::Change {
            user: user.clone(),
            group: config.group.clone(),
            groups: config.groups.clone(),
        },
        None if peer.uid == rustix::process::geteuid().as_raw() => User::Shared,
        None => User::Keep,
    };
    Confinement {
        role: Role::Broker,
        enforcement: config.sandbox,
        user,
        read,
        write,
        descriptors: vec![listener.as_raw_fd()],
    }
}
