//! A gate of a test: its folder, its issuer, its tokens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cofferdam_gate::{Control, GateConfig, GateError, bind};
use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::Algorithm;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub(crate) const AUDIENCE: &str = "https://containers.example";

/// A gate that runs.
pub(crate) struct Gate {
    pub(crate) folder: TempDir,
    pub(crate) issuer: Issuer,
    pub(crate) address: SocketAddr,
    /// Where the REST API is served, if `listen_rest` was set.
    pub(crate) rest: Option<SocketAddr>,
    tell: mpsc::Sender<Control>,
    task: JoinHandle<Result<(), GateError>>,
}

/// What a test makes before its gate: the broker's socket stands in the folder.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    issuer: Issuer,
}

impl Place {
    pub(crate) fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let issuer = Issuer::new("https://idp.example", key);
        let keys = issuer.jwks().to_string();
        std::fs::write(folder.path().join("keys.json"), keys).unwrap();
        Place { folder, issuer }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a gate. `more` stands before the tables of its configuration, `tables` among them.
    pub(crate) async fn gate(self, more: &str, tables: &str) -> Gate {
        let file = write_config(self.path(), more, tables);
        let text = std::fs::read_to_string(file).unwrap();
        self.gate_of(&text).await
    }

    /// Starts a gate with this configuration.
    pub(crate) async fn gate_of(self, text: &str) -> Gate {
        let file = self.path().join("gate.toml");
        std::fs::write(&file, text).unwrap();
        let bound = bind(GateConfig::read(&file).unwrap()).unwrap();
        let (tell, told) = mpsc::channel(1);
        let (ready, is_ready) = oneshot::channel();
        let task = tokio::spawn(bound.serve(told, move |addresses| {
            ready.send(addresses).unwrap();
        }));
        let addresses = is_ready.await.unwrap();
        Gate {
            folder: self.folder,
            issuer: self.issuer,
            address: addresses.docker.unwrap(),
            rest: addresses.rest,
            tell,
            task,
        }
    }
}

/// Writes `gate.toml` and answers its path.
pub(crate) fn write_config(folder: &Path, more: &str, tables: &str) -> PathBuf {
    let at = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "listen = \"127.0.0.1:0\"\nbroker = \"{}\"\n{more}\n{tables}\n\n[[issuer]]\n\
         issuer = \"https://idp.example\"\naudience = \"{AUDIENCE}\"\nkeys = \"{}\"\n",
        at("broker.sock"),
        at("keys.json"),
    );
    let file = folder.join("gate.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// `[tls]` with the certificates of the tests.
pub(crate) fn tls(clients: &str) -> String {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    let mut table = format!("[tls]\ncert = \"{data}/server.pem\"\nkey = \"{data}/server.key\"\n");
    if !clients.is_empty() {
        table.push_str(&format!(
            "client_ca = \"{data}/ca.pem\"\nclient_certificates = \"{clients}\"\n"
        ));
    }
    table
}

pub(crate) fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

impl Gate {
    pub(crate) fn token(&self, subject: &str) -> String {
        let token = self.issuer.token(subject).audience(AUDIENCE);
        token
            .scope("containers:read containers:run")
            .mint(now())
            .unwrap()
    }

    pub(crate) async fn tell(&self, control: Control) {
        self.tell.send(control).await.unwrap();
    }

    pub(crate) async fn ended(self) -> Result<(), GateError> {
        self.task.await.unwrap()
    }
}
