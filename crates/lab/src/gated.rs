//! The gate and the broker between the hardened twin and its engine.
//!
//! They are the real ones, with the embedded engine behind them, and run in threads of the lab: what
//! a process of their own would confine itself by is the one thing that they lack here.

use crate::deployment::random;
use crate::lab::{LabError, now};
use crate::runtime::IMAGE;
use cofferdam_audit::note::{SigningKey, VerifyingKey};
use cofferdam_broker::{Broker, BrokerConfig, OpenError, Peer, Server, Timing};
use cofferdam_client::{Gate, TokenExchange, fetch};
use cofferdam_gate::{Bound, Control, GateConfig};
use cofferdam_issuer::{ExchangeClient, Issuer};
use rustls::RootCertStore;
use serde_json::{Value, json};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot, watch};

/// The gate's own name in `aud`: a token for the service is none for the gate.
const AUDIENCE: &str = "https://gate.lab.example";
/// Who the service is when it exchanges a caller's token.
const CLIENT: &str = "cofferdam-api";
/// What the service asks for, whatever the caller may do besides.
const SCOPES: &str = "containers:read containers:run";
/// The scopes of the service, and the gate's words for them.
const STAND_FOR: [(&str, &str); 4] = [
    ("containers:write", "containers:run"),
    ("jobs:read", "containers:read"),
    ("jobs:write", "containers:read"),
    ("jobs:write", "containers:run"),
];
/// How long calls may go on when the lab stops.
const GRACE: Duration = Duration::from_secs(1);

/// The gate that the service goes through instead of holding the engine's socket, and what the
/// broker behind it writes down.
pub struct Gated {
    docker: SocketAddr,
    exchange: TokenExchange,
    audit_log: PathBuf,
    audit_key: VerifyingKey,
}

impl Gated {
    /// Where the gate serves the Docker API.
    pub fn docker_address(&self) -> SocketAddr {
        self.docker
    }

    /// What the service gets when it exchanges a caller's token: the one that it acts with at the
    /// gate.
    ///
    /// # Errors
    /// [`LabError::Gate`] where the issuer gives none for it.
    pub async fn token_for(&self, callers_token: &str) -> Result<String, LabError> {
        let issued = self.exchange.exchange(callers_token, now()).await;
        let issued = issued.map_err(cofferdam_client::Error::from)?;
        Ok(issued.expose().to_owned())
    }

    /// The directory of the broker's audit log. It is gone with the lab.
    pub fn audit_log(&self) -> &Path {
        &self.audit_log
    }

    /// The key by which the log's checkpoints are verified.
    pub fn audit_key(&self) -> &VerifyingKey {
        &self.audit_key
    }
}

impl fmt::Debug for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gated")
            .field("docker", &self.docker)
            .field("audit_log", &self.audit_log)
            .finish_non_exhaustive()
    }
}

/// Gate, broker and token endpoint, running in threads of their own.
pub(crate) struct Running {
    at: Addresses,
    secret: String,
    audit_log: PathBuf,
    audit_key: VerifyingKey,
    stop: mpsc::Sender<Control>,
    thread: JoinHandle<Result<(), LabError>>,
}

/// Where what runs is to be found.
struct Addresses {
    issuer: SocketAddr,
    docker: SocketAddr,
    rest: SocketAddr,
}

/// Starts them in front of the engine behind `engine`, with their files below `directory`.
pub(crate) async fn start(
    directory: &Path,
    engine: &Path,
    issuer: Issuer,
) -> Result<Running, LabError> {
    let home = directory.join("gate");
    let state = home.join("state");
    std::fs::create_dir_all(&state)?;
    let key = SigningKey::generate("cofferdam-lab").map_err(OpenError::from)?;
    std::fs::write(home.join("audit.key"), key.to_secret_text().as_str())?;
    std::fs::write(home.join("keys.json"), issuer.jwks().to_string())?;
    let whose = json!([{
        "issuer": issuer.url(),
        "audience": AUDIENCE,
        "algorithms": ["RS256"],
        "keys": home.join("keys.json"),
        "owner_claim": "tenant",
        "roles": ["runner"],
    }]);
    let broker = toml(&json!({
        "socket": home.join("broker.sock"),
        "engine": engine,
        "state": state,
        "audit_key": home.join("audit.key"),
        "images": {"allow": [IMAGE]},
        "issuer": whose,
    }))?;
    let broker =
        BrokerConfig::parse(&broker, &home.join("broker.toml")).map_err(OpenError::from)?;
    let gate = toml(&json!({
        "listen": "127.0.0.1:0",
        "listen_rest": "127.0.0.1:0",
        "broker": broker.socket,
        // A scan asks as fast as it can, and all of it in the name of two callers.
        "limits": {"requests_per_second": 5000, "burst": 5000, "stop": "1s"},
        "issuer": whose,
    }))?;
    let gate = GateConfig::parse(&gate, &home.join("gate.toml"))
        .map_err(cofferdam_gate::GateError::from)?;
    let secret = cofferdam_token::base64url::encode(&random::<18>()?);
    // What a caller may do with containers at the service, they may have at the gate.
    let client = ExchangeClient::new(CLIENT, &secret, crate::lab::AUDIENCE).target(AUDIENCE);
    let client = STAND_FOR
        .iter()
        .fold(client, |client, (held, given)| client.scope(*held, *given));

    let audit_log = broker.audit();
    let bound = cofferdam_gate::bind(gate)?;
    let (ready, started) = oneshot::channel();
    let (stop, told) = mpsc::channel(1);
    let thread = std::thread::Builder::new()
        .name("cofferdam-lab-gate".to_owned())
        .spawn(move || {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?
                .block_on(async move {
                    let issuer = cofferdam_issuer::Server::serve(issuer).await?;
                    issuer.allow_exchange(client);
                    serve(&broker, bound, issuer.address(), told, ready).await
                })
        })?;
    match started.await {
        Ok(at) => Ok(Running {
            at,
            secret,
            audit_log,
            audit_key: key.verifying_key(),
            stop,
            thread,
        }),
        // It has ended before it was ready, and says why.
        Err(_) => Err(match thread.join() {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => LabError::Own("gate"),
        }),
    }
}

/// Serves until it is told to stop; then lets go on what is under way, for a moment.
async fn serve(
    config: &BrokerConfig,
    bound: Bound,
    issuer: SocketAddr,
    told: mpsc::Receiver<Control>,
    ready: oneshot::Sender<Addresses>,
) -> Result<(), LabError> {
    // What an operator should know stands in the log as well.
    let broker = Arc::new(Broker::open(config, Timing::default(), Arc::new(|_| {}))?);
    let listener = UnixListener::bind(&config.socket)?;
    let peer = Peer {
        uid: rustix::process::geteuid().as_raw(),
    };
    let (end, ended) = watch::channel(false);
    let server = Server::new(Arc::clone(&broker), listener, peer, config.connections);
    let serving = tokio::spawn(server.run(ended, GRACE));
    let served = bound
        .serve(told, |at| {
            if let (Some(docker), Some(rest)) = (at.docker, at.rest) {
                // Whoever waits for it has not gone: `start` waits.
                let _ = ready.send(Addresses {
                    issuer,
                    docker,
                    rest,
                });
            }
        })
        .await;
    drop(end);
    // A server that panicked has ended.
    let _ = serving.await;
    broker.finish(GRACE).await;
    Ok(served?)
}

impl Running {
    /// A client for the service, with connections of its own.
    pub(crate) fn client(&self) -> Result<Gate, LabError> {
        let gate = Gate::with_roots(&format!("http://{}", self.at.rest), RootCertStore::empty())?;
        Ok(gate
            .exchange(self.exchange()?)
            .timeout(Duration::from_secs(10)))
    }

    /// What others may know and have of it.
    pub(crate) fn gated(&self) -> Result<Gated, LabError> {
        Ok(Gated {
            docker: self.at.docker,
            exchange: self.exchange()?,
            audit_log: self.audit_log.clone(),
            audit_key: self.audit_key.clone(),
        })
    }

    fn exchange(&self) -> Result<TokenExchange, cofferdam_client::Error> {
        // Loopback and plain HTTP: there is no certificate to trust.
        let client = fetch::Client::with_roots(RootCertStore::empty())?;
        let endpoint = format!("http://{}/token", self.at.issuer);
        let exchange = TokenExchange::new(client, &endpoint, CLIENT, &self.secret, AUDIENCE)?;
        Ok(exchange.scope(SCOPES))
    }

    /// Stops it and waits until nothing of it runs. The engine must still answer.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        // A thread that panicked has ended.
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

fn toml(value: &Value) -> Result<String, LabError> {
    toml::to_string(value).map_err(|_| LabError::Own("configuration"))
}
