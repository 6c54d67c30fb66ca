//! What the engine holds: containers, execs, images, networks and volumes, under one lock that is
//! never held while something waits.

use crate::answer::Refusal;
use crate::container::Record;
use crate::events::Events;
use crate::files::Root;
use crate::io::{Output, Pipe, Size};
use crate::network::Network;
use crate::server::EngineOptions;
use crate::volume::Volume;
use cofferdam_docker::wire::{ExecCreate, Image};
use hyper::StatusCode;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// How many containers, and how many execs, images, networks and volumes, the engine holds.
pub(crate) const MOST: usize = 1000;
/// How many connections may be taken over at a time.
const SESSIONS: usize = 256;

/// The engine behind its listeners.
pub(crate) struct Engine {
    pub(crate) options: EngineOptions,
    /// The pretend root of the host.
    pub(crate) host: Root,
    /// Where the containers' own directories are; removed with the engine.
    directory: TempDir,
    pub(crate) id: String,
    pub(crate) events: Events,
    pub(crate) sessions: Arc<Semaphore>,
    inner: Mutex<Inner>,
}

/// What changes.
#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) containers: BTreeMap<String, Record>,
    pub(crate) execs: BTreeMap<String, ExecRecord>,
    /// By id.
    pub(crate) images: BTreeMap<String, Image>,
    /// By id.
    pub(crate) networks: BTreeMap<String, Network>,
    /// By name.
    pub(crate) volumes: BTreeMap<String, Volume>,
}

/// A command in a running container.
pub(crate) struct ExecRecord {
    pub(crate) container: String,
    pub(crate) body: ExecCreate,
    pub(crate) started: bool,
    pub(crate) exit_code: Option<i64>,
    pub(crate) output: Arc<Output>,
    pub(crate) input: Arc<Pipe>,
    pub(crate) terminal: Arc<Size>,
}

impl Engine {
    pub(crate) fn new(options: EngineOptions) -> std::io::Result<Self> {
        let engine = Self {
            host: Root::open(&options.host_root)?,
            directory: tempfile::Builder::new()
                .prefix("cofferdam-engine-")
                .tempdir()?,
            id: random_id()?,
            options,
            events: Events::new(),
            sessions: Arc::new(Semaphore::new(SESSIONS)),
            inner: Mutex::default(),
        };
        engine.lock().add_image("allowed/app:1")?;
        engine.lock().add_predefined_networks()?;
        Ok(engine)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every container that runs.
    pub(crate) fn end_all(&self) {
        for record in self.lock().containers.values_mut() {
            if record.running() {
                record.end(self, 137);
            }
        }
    }

    /// A new directory for a container or volume.
    pub(crate) fn make_directory(&self, name: &str) -> std::io::Result<Root> {
        let path: PathBuf = self.directory.path().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Root::open(&path)?)
    }

    pub(crate) fn remove_directory(&self, name: &str) {
        // Nothing depends on it: what is left goes with the engine's directory.
        let _ = std::fs::remove_dir_all(self.directory.path().join(name));
    }
}

impl Inner {
    /// Finds a container as dockerd does: by full id, then by name, then by a prefix of the id that
    /// only one has.
    pub(crate) fn find(&self, key: &str) -> Result<String, Refusal> {
        if self.containers.contains_key(key) {
            return Ok(key.to_owned());
        }
        let name = key.strip_prefix('/').unwrap_or(key);
        if let Some((id, _)) = self
            .containers
            .iter()
            .find(|(_, record)| record.name == name)
        {
            return Ok(id.clone());
        }
        let mut found = self
            .containers
            .keys()
            .filter(|id| !key.is_empty() && id.starts_with(key));
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(id.clone()),
            (Some(_), Some(_)) => Err(Refusal::bad(format!(
                "multiple IDs found with provided prefix: {key}"
            ))),
            _ => Err(Refusal::not_found(format!("No such container: {key}"))),
        }
    }

    /// The container with this full id.
    pub(crate) fn known(&self, id: &str) -> Result<&Record, Refusal> {
        self.containers
            .get(id)
            .ok_or_else(|| Refusal::not_found(format!("No such container: {id}")))
    }

    pub(crate) fn container(&mut self, key: &str) -> Result<&mut Record, Refusal> {
        let id = self.find(key)?;
        self.containers
            .get_mut(&id)
            .ok_or_else(|| Refusal::not_found(format!("No such container: {key}")))
    }
}

/// 64 hexadecimal digits that nobody can guess.
pub(crate) fn random_id() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A refusal for a store that is full.
pub(crate) fn full(what: &str) -> Refusal {
    Refusal::new(
        StatusCode::INSUFFICIENT_STORAGE,
        format!("the embedded engine holds at most {MOST} {what}"),
    )
}
