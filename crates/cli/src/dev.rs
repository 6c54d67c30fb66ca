//! `cofferdam gate --dev`: gate, broker and engine on one machine, as one user, from one command.
//!
//! Everything lies in one directory: the key of a development issuer and tokens that it has minted,
//! policies, both configurations, the audit log. The three are processes of their own, as they are
//! in production, and end with this one.

mod files;
mod hangup;
mod ready;
mod service;
mod tls;

use crate::exit::Exit;
use crate::input::Failure;
use crate::output;
use files::Files;
use service::Service;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long everything may take to stop before it is ended by force.
const STOP_WITHIN: Duration = Duration::from_millis(1500);

/// What `--dev` is told.
#[derive(Debug)]
pub(crate) struct Options {
    /// The directory.
    pub(crate) dir: PathBuf,
    /// Where the Docker API is served; port 0 picks one.
    pub(crate) listen: SocketAddr,
    /// Where the REST API is served.
    pub(crate) listen_rest: SocketAddr,
    /// Which engine.
    pub(crate) engine: Engine,
    /// Whether both are served with TLS, by a certificate of an authority in the directory.
    pub(crate) tls: bool,
}

/// Which engine stands behind the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Engine {
    /// The embedded one, a simulation.
    Embedded,
    /// The one behind this socket.
    Socket(PathBuf),
}

impl std::str::FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("an engine is `embedded` or the path of a socket".to_owned()),
            "embedded" => Ok(Engine::Embedded),
            path => Ok(Engine::Socket(
                path.strip_prefix("unix://").unwrap_or(path).into(),
            )),
        }
    }
}

/// Serves until it is cancelled, the terminal is closed, or the gate ends.
pub(crate) async fn run(options: Options, cancel: CancellationToken) -> Result<Exit, Failure> {
    hangup::cancels(&cancel)?;
    let files = Files::prepare(&options)?;
    let mut services = Services::of(&files, &options);
    let mut result = tokio::select! {
        started = services.start(&files, &options) => started,
        () = cancel.cancelled() => Ok(()),
    };
    if result.is_ok() && !cancel.is_cancelled() {
        result = tokio::select! {
            () = cancel.cancelled() => Ok(()),
            ended = services.keep() => Err(ended),
        };
    }
    files.forget();
    services.stop().await;
    result.map(|()| Exit::Clean)
}

/// The processes.
struct Services {
    engine: Option<Service>,
    broker: Service,
    gate: Service,
}

impl Services {
    fn of(files: &Files, options: &Options) -> Self {
        let broker = files.broker_config();
        let gate = files.gate_config();
        let embedded = match options.engine {
            Engine::Embedded => Some(Service::new(
                "engine",
                [
                    "--socket".into(),
                    files.engine_socket().into(),
                    "--root".into(),
                    files.host().into(),
                ],
            )),
            Engine::Socket(_) => None,
        };
        Self {
            engine: embedded,
            broker: Service::new("broker", ["--config".into(), broker.into()]),
            gate: Service::new("gate", ["--config".into(), gate.into()]),
        }
    }

    /// Starts one after the other, each when the one before it is ready, and says when all answer.
    async fn start(&mut self, files: &Files, options: &Options) -> Result<(), Failure> {
        if let Some(engine) = &mut self.engine {
            engine.start().await?;
        }
        self.broker.start().await?;
        let told = self.gate.start().await?;
        let addresses = ready::addresses(&told).ok_or_else(|| {
            Failure::new(format!("the gate did not say where it listens: {told}"))
        })?;
        let ready = ready::Ready::new(files, options, addresses);
        ready.answers().await?;
        files.announce(&ready.to_json())?;
        output::print(&ready.told())
    }

    /// Keeps engine and broker running; comes back when the gate has ended.
    async fn keep(&mut self) -> Failure {
        let Self {
            engine,
            broker,
            gate,
        } = self;
        let engine = async {
            match engine {
                Some(engine) => engine.keep().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            never = engine => match never {},
            never = broker.keep() => match never {},
            why = gate.ended() => Failure::new(format!("the gate has ended: {why}")),
        }
    }

    /// Stops all of them: the gate first, so that nothing new comes in.
    async fn stop(&mut self) {
        let deadline = tokio::time::Instant::now() + STOP_WITHIN;
        self.gate.stop(deadline).await;
        self.broker.stop(deadline).await;
        if let Some(engine) = &mut self.engine {
            engine.stop(deadline).await;
        }
    }
}
