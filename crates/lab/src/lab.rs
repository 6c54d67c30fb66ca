//! The lab's life: it lays its roots, starts its listeners, serves, and leaves nothing behind.

use crate::caller::Caller;
use crate::deployment::{Facts, NETWORK, SERVICE, Secrets, UID};
use crate::flawed::FlawedVerifier;
use crate::gated::{self, Gated};
use crate::guards::Guards;
use crate::hole::{Hole, Switches};
use crate::internal::{self, Part};
use crate::legacy_tokens::LegacyTokens;
use crate::openapi;
use crate::resolve::Resolver;
use crate::root::{self, Places, Root};
use crate::routes::{account, containers, jobs};
use crate::runtime::{Runtime, Wanted};
use crate::service::{BODY, State, declare, only_own_host};
use crate::shell::Shell;
use crate::store::{JOB_SEEDS, SEEDS, Store};
use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::{Data, JsonConfig, PayloadConfig};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use cofferdam_docker::Client;
use cofferdam_engine::{Engine, EngineOptions, Seed};
use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::{Algorithm, IssuerPolicy};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// The issuer's name.
const ISSUER: &str = "https://issuer.lab.example";
/// The service's own name in `aud`.
pub(crate) const AUDIENCE: &str = "https://containers.lab.example";
/// How long the identities' tokens live, in seconds.
const LIFETIME: u64 = 3600;
/// Who has an access token, and their tenant.
const USERS: [(&str, &str); 2] = [("alice", "acme"), ("bob", "globex")];
/// What an ordinary user may do.
const SCOPES: &str = "containers:read containers:write jobs:read jobs:write workspace:read \
    images:read webhooks:test diagnostics:run assistant:use settings:read capacity:read events:read \
    usage:read builds:read repositories:read volumes:read networks:read nodes:read audit:read \
    policy:read deployments:read schedules:read";

/// How a lab is set up.
#[derive(Debug, Clone, Default)]
pub struct LabOptions {
    /// Which holes are open.
    pub switches: Switches,
    /// The loopback port of the service; 0 takes any free one.
    pub port: u16,
    /// A program whose `main` calls [`confined_shell_main`](crate::confined_shell_main) first.
    /// Without one the command injection is absent.
    pub shell_helper: Option<PathBuf>,
    /// The signing key in PEM, for labs that should take each other's tokens; a new RSA key
    /// otherwise.
    pub signing_key_pem: Option<String>,
}

/// Why a lab did not start.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A file or a listener.
    #[error("cannot start the lab: {0}")]
    Io(#[from] io::Error),
    /// The engine.
    #[error("cannot start the lab's engine")]
    Engine(#[from] cofferdam_engine::Error),
    /// A call of the engine.
    #[error("the lab's engine refuses")]
    Docker(#[from] cofferdam_docker::Error),
    /// The gate.
    #[error("cannot start the lab's gate")]
    Serve(#[from] cofferdam_gate::GateError),
    /// The broker.
    #[error("cannot start the lab's broker")]
    Broker(#[from] cofferdam_broker::OpenError),
    /// A call of the gate, or of the issuer for it.
    #[error("the lab's gate refuses")]
    Gate(#[from] cofferdam_client::Error),
    /// The keys.
    #[error("cannot make the lab's signing key")]
    Key(#[from] cofferdam_issuer::KeyError),
    /// Something that the lab made itself cannot be used.
    #[error("cannot use the lab's own {0}")]
    Own(&'static str),
}

/// A running lab. Dropping it stops it and removes its files.
#[derive(Debug)]
pub struct Lab {
    switches: Switches,
    absent: BTreeMap<Hole, String>,
    address: SocketAddr,
    identities: BTreeMap<String, String>,
    signing_key: String,
    jwks: Value,
    files: Vec<PathBuf>,
    places: Places,
    engine_tcp: Option<SocketAddr>,
    gated: Option<Gated>,
    stop: Option<ServerHandle>,
    thread: Option<JoinHandle<()>>,
    /// Removed last, when nothing uses it any more.
    _directory: TempDir,
}

impl Lab {
    /// Starts a lab on loopback, in threads of its own. When it returns the service answers.
    ///
    /// # Errors
    /// [`LabError`] when a file, a listener or a key cannot be made. That a machine refuses
    /// namespaces is no error: see [`Lab::absent_holes`].
    pub fn start(options: LabOptions) -> Result<Lab, LabError> {
        let directory = tempfile::Builder::new()
            .prefix("cofferdam-lab-")
            .tempdir()?;
        let path = directory.path().to_owned();
        let switches = options.switches.clone();
        let (ready, started) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("cofferdam-lab".to_owned())
            .spawn(move || {
                actix_web::rt::System::new().block_on(async move {
                    match Parts::start(options, &path).await {
                        Ok((parts, server, mut running)) => {
                            // Whoever waits for it has not gone: `start` waits below.
                            let _ = ready.send(Ok(parts));
                            // An error here ends the lab, which its clients notice.
                            let _ = server.await;
                            if let Some(gate) = running.gate {
                                gate.stop().await;
                            }
                            running.engine.stop().await;
                            running.others.shutdown().await;
                        }
                        Err(error) => drop(ready.send(Err(error))),
                    }
                });
            })?;
        let parts = started.recv().map_err(|_| LabError::Own("thread"))??;
        Ok(Lab {
            switches,
            absent: parts.absent,
            address: parts.address,
            identities: parts.identities,
            signing_key: parts.signing_key,
            jwks: parts.jwks,
            files: parts.files,
            places: parts.places,
            engine_tcp: parts.engine_tcp,
            gated: parts.gated,
            stop: Some(parts.stop),
            thread: Some(thread),
            _directory: directory,
        })
    }

    /// The service's URL, without a slash at its end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of its OpenAPI document.
    pub fn spec_url(&self) -> String {
        format!("{}/openapi.json", self.base_url())
    }

    /// Which holes are open and there.
    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    /// Holes that were to be open and that this machine cannot have, with the reason.
    pub fn absent_holes(&self) -> &BTreeMap<Hole, String> {
        &self.absent
    }

    /// Name → token. `alice` of the tenant `acme` and `bob` of `globex` have access tokens,
    /// `acme-ci` and `globex-ci` the opaque tokens of the legacy operations.
    pub fn identities(&self) -> &BTreeMap<String, String> {
        &self.identities
    }

    /// The issuer's private key in PEM: the lab is a staging system.
    pub fn signing_key_pem(&self) -> &str {
        &self.signing_key
    }

    /// The issuer's public keys.
    pub fn jwks(&self) -> &Value {
        &self.jwks
    }

    /// `compose.yaml`, `docker-inspect.json` and `docker-info.json` of the pretended deployment.
    pub fn deployment_files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The directory that plays the root of the host.
    pub fn host_root(&self) -> &Path {
        &self.places.host
    }

    /// The directory that plays the root of the service's container.
    pub fn container_root(&self) -> &Path {
        &self.places.root
    }

    /// The engine's socket, on the pretended host.
    pub fn engine_socket(&self) -> &Path {
        &self.places.socket
    }

    /// Where `docker:2375` leads, when it is open.
    pub fn engine_tcp(&self) -> Option<SocketAddr> {
        self.engine_tcp
    }

    /// The gate that the service goes through, in the hardened twin alone.
    pub fn gated(&self) -> Option<&Gated> {
        self.gated.as_ref()
    }

    /// Stops the lab and waits until nothing of it runs. Dropping it does the same.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The command is sent when the future is made; the thread below ends when it is done.
            drop(stop.stop(false));
        }
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended.
            let _ = thread.join();
        }
    }
}

/// What the running service hands to its [`Lab`].
struct Parts {
    absent: BTreeMap<Hole, String>,
    address: SocketAddr,
    identities: BTreeMap<String, String>,
    signing_key: String,
    jwks: Value,
    files: Vec<PathBuf>,
    places: Places,
    engine_tcp: Option<SocketAddr>,
    gated: Option<Gated>,
    stop: ServerHandle,
}

/// What runs beside the server.
struct Running {
    engine: Engine,
    /// There where the service does not hold the engine's socket.
    gate: Option<gated::Running>,
    others: JoinSet<()>,
}

impl Parts {
    async fn start(
        options: LabOptions,
        directory: &Path,
    ) -> Result<(Parts, actix_web::dev::Server, Running), LabError> {
        let switches = &options.switches;
        let secrets = Secrets::new()?;
        let facts = Facts::new(switches, &secrets);
        let places = root::lay(directory, &facts, &secrets)?;
        let engine = engine(switches, &facts, &places).await?;
        if facts.socket {
            root::mount_socket(&places)?;
        }
        let client = Client::unix(engine.socket()).with_timeout(Duration::from_secs(10));
        let files = write_files(directory, &facts, &client).await?;

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        let address = listener.local_addr()?;
        let base = format!("http://{address}");
        let mut others = JoinSet::new();
        let resolver = Resolver {
            engine: engine.tcp(),
            metadata: match switches.is_open(Hole::MetadataService) {
                true => Some(internal::serve(Part::Metadata, &mut others).await?),
                false => None,
            },
            internal: internal::serve(Part::Internal, &mut others).await?,
        };

        let mut absent = BTreeMap::new();
        let mut shell = None;
        if switches.is_open(Hole::CommandInjection) {
            let uid = if facts.root { 0 } else { UID };
            let writable = match facts.host_mount {
                true => vec!["/host".to_owned()],
                false => Vec::new(),
            };
            match Shell::new(options.shell_helper.as_deref(), &places.root, uid, writable).await {
                Ok(found) => shell = Some(found),
                Err(reason) => drop(absent.insert(Hole::CommandInjection, reason)),
            }
        }

        let key = match &options.signing_key_pem {
            Some(pem) => SigningKey::from_pem(pem)?,
            None => SigningKey::generate(Algorithm::Rs256)?,
        };
        let signing_key = key.to_pem()?;
        let issuer = Issuer::new(ISSUER, key);
        let policy = IssuerPolicy::new(ISSUER, issuer.key_set())
            .audience(AUDIENCE)
            .algorithms([Algorithm::Rs256]);
        let guards = Guards::new(&policy, &base).map_err(|_| LabError::Own("issuer policy"))?;
        let legacy = LegacyTokens::new(
            switches.is_open(Hole::TokenGuessable),
            !switches.is_open(Hole::TokenThrottle),
        )?;
        let identities = identities(&issuer, &legacy)?;
        let (jwks, keys) = (issuer.jwks(), issuer.key_set());
        let (runtime, gate) = match is_gated(switches) {
            true => {
                let gate = gated::start(directory, &places.socket, issuer).await?;
                seed(&Runtime::Gate(gate.client()?), &identities).await?;
                (Runtime::Gate(gate.client()?), Some(gate))
            }
            false => (Runtime::Socket(client), None),
        };

        let state = Data::new(State {
            flawed: FlawedVerifier {
                issuer: ISSUER.to_owned(),
                audience: AUDIENCE.to_owned(),
                keys,
                public_pem: public_pem(&signing_key).ok_or(LabError::Own("public key"))?,
            },
            switches: switches.clone(),
            legacy,
            store: Store::new(),
            runtime,
            root: Root::open(&places.root)?,
            shell,
            resolver,
            secrets,
            jwks,
            openapi: openapi::document(switches, &base, ISSUER).to_string(),
            hosts: [address.to_string(), format!("localhost:{}", address.port())].to_vec(),
        });
        let served = state.clone();
        let server = HttpServer::new(move || {
            let state = served.clone();
            declare(&guards, &state)
                .build()
                .app_data(state)
                .app_data(PayloadConfig::new(BODY))
                .app_data(JsonConfig::default().limit(BODY))
                .wrap(from_fn(account::fail_in_200))
                .wrap(from_fn(jobs::explain_errors))
                .wrap(from_fn(containers::token_from_link))
                .wrap(from_fn(only_own_host))
        })
        .workers(2)
        .client_request_timeout(Duration::from_secs(10))
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)?
        .run();
        let parts = Parts {
            absent,
            address,
            identities,
            signing_key,
            jwks: state.jwks.clone(),
            files,
            places,
            engine_tcp: engine.tcp(),
            gated: gate.as_ref().map(gated::Running::gated).transpose()?,
            stop: server.handle(),
        };
        let running = Running {
            engine,
            gate,
            others,
        };
        Ok((parts, server, running))
    }
}

async fn engine(switches: &Switches, facts: &Facts, places: &Places) -> Result<Engine, LabError> {
    let mut options = EngineOptions::new(&places.socket, &places.host);
    options.rootless = !switches.is_open(Hole::EngineRootful);
    options.tcp = facts.engine_tcp.then(|| (Ipv4Addr::LOCALHOST, 0).into());
    if !is_gated(switches) {
        let seeds = seeds().map(|wanted| Seed {
            name: wanted.name.clone().unwrap_or_default(),
            body: wanted.body(),
            running: true,
        });
        options.seeds = seeds.collect();
    }
    options.seeds.push(facts.seed());
    let engine = Engine::start(options).await?;
    let client = Client::unix(engine.socket());
    // The service's container joins the network of its compose file when it starts, so that is made before.
    let network = json!({"Name": NETWORK, "Internal": true}).to_string();
    let made = client
        .send(
            hyper::Method::POST,
            "/networks/create",
            Some(network.into()),
        )
        .await?;
    if !made.status().is_success() {
        return Err(LabError::Own("network"));
    }
    client.start(SERVICE).await?;
    Ok(engine)
}

/// Whether the service goes through a gate: where it has no hole. Most holes are ways to whatever the
/// service holds, so with one it holds the engine's socket.
fn is_gated(switches: &Switches) -> bool {
    *switches == Switches::all_closed()
}

/// The containers that the tenants have at the start, those of their jobs included.
fn seeds() -> impl Iterator<Item = Wanted> {
    let seed = |name: String, tenant: &str, command: &str| Wanted {
        name: Some(name),
        tenant: tenant.to_owned(),
        command: ["sh", "-c", command].map(str::to_owned).to_vec(),
        ..Wanted::default()
    };
    let containers = SEEDS.iter().map(move |each| {
        let name = format!("{}-{}", each.tenant, each.name);
        seed(name, each.tenant, each.command)
    });
    let jobs = JOB_SEEDS.iter();
    containers
        .chain(jobs.map(move |(id, tenant, _, command)| seed((*id).to_owned(), tenant, command)))
}

/// Has each tenant make what they have at the start.
async fn seed(runtime: &Runtime, identities: &BTreeMap<String, String>) -> Result<(), LabError> {
    for wanted in seeds() {
        let user = USERS.iter().find(|(_, tenant)| *tenant == wanted.tenant);
        let token = user.and_then(|(name, _)| identities.get(*name));
        let caller = Caller {
            token: token.cloned().unwrap_or_default(),
            ..Caller::default()
        };
        let made = async {
            let id = runtime.create(&caller, wanted).await?;
            runtime.start(&caller, &id).await
        };
        made.await.map_err(|_| LabError::Own("seeds"))?;
    }
    Ok(())
}

/// Writes what a person would hand to a posture check.
async fn write_files(
    directory: &Path,
    facts: &Facts,
    client: &Client,
) -> Result<Vec<PathBuf>, LabError> {
    let deployment = directory.join("deployment");
    std::fs::create_dir_all(&deployment)?;
    let inspected = vec![client.inspect(SERVICE).await?];
    let json = |result: serde_json::Result<String>| result.map_err(|_| LabError::Own("engine"));
    let files = [
        ("compose.yaml", facts.compose()),
        (
            "docker-inspect.json",
            json(serde_json::to_string_pretty(&inspected))?,
        ),
        (
            "docker-info.json",
            json(serde_json::to_string_pretty(&client.info().await?))?,
        ),
    ];
    let mut paths = Vec::new();
    for (name, text) in files {
        let path = deployment.join(name);
        std::fs::write(&path, text)?;
        paths.push(path);
    }
    Ok(paths)
}

fn identities(
    issuer: &Issuer,
    legacy: &LegacyTokens,
) -> Result<BTreeMap<String, String>, LabError> {
    let mut identities = BTreeMap::new();
    for (name, tenant) in USERS {
        let token = issuer
            .token(name)
            .audience(AUDIENCE)
            .scope(SCOPES)
            .claim("tenant", tenant)
            .claim("roles", vec!["member"])
            .lifetime(LIFETIME)
            .mint(now())?;
        identities.insert(name.to_owned(), token);
        let token = legacy.of(tenant).ok_or(LabError::Own("legacy tokens"))?;
        identities.insert(format!("{tenant}-ci"), token.to_owned());
    }
    Ok(identities)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    // A clock before 1970 makes every token invalid, which is safe.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

/// The public half of a private RSA key, as SubjectPublicKeyInfo in PEM.
fn public_pem(private: &str) -> Option<String> {
    use aws_lc_rs::signature::KeyPair as _;
    let body: String = private
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    // The crate's base64 is the URL alphabet; PEM has the other one.
    let url = body.replace('+', "-").replace('/', "_");
    let der = cofferdam_token::base64url::decode(url.trim_end_matches('='))?;
    let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&der).ok()?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    let encoded = cofferdam_token::base64url::encode(public.as_ref());
    let mut body = encoded.replace('-', "+").replace('_', "/");
    while !body.len().is_multiple_of(4) {
        body.push('=');
    }
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    Some(format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    ))
}
