//! What the engine holds: containers, execs and images, under one lock that is never held while
//! something waits.

use crate::answer::Refusal;
use crate::container::Record;
use crate::files::Root;
use crate::log::Log;
use crate::server::EngineOptions;
use cofferdam_docker::wire::{Image, ImageConfig};
use hyper::StatusCode;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// How many containers, and how many execs and images, the engine holds.
pub(crate) const MOST: usize = 1000;

/// The engine behind its listeners.
pub(crate) struct Engine {
    pub(crate) options: EngineOptions,
    /// The pretend root of the host.
    pub(crate) host: Root,
    /// Where the containers' own directories are; removed with the engine.
    directory: TempDir,
    pub(crate) id: String,
    inner: Mutex<Inner>,
}

/// What changes.
#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) containers: BTreeMap<String, Record>,
    pub(crate) execs: BTreeMap<String, ExecRecord>,
    /// By id.
    pub(crate) images: BTreeMap<String, Image>,
}

/// A command in a running container.
pub(crate) struct ExecRecord {
    pub(crate) container: String,
    pub(crate) body: cofferdam_docker::wire::ExecCreate,
    pub(crate) started: bool,
    pub(crate) exit_code: Option<i64>,
    pub(crate) log: Arc<Log>,
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
            inner: Mutex::default(),
        };
        engine.lock().add_image("allowed/app:1")?;
        Ok(engine)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every container that runs.
    pub(crate) fn end_all(&self) {
        for record in self.lock().containers.values_mut() {
            if record.running() {
                record.end(137);
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

    pub(crate) fn container(&mut self, key: &str) -> Result<&mut Record, Refusal> {
        let id = self.find(key)?;
        self.containers
            .get_mut(&id)
            .ok_or_else(|| Refusal::not_found(format!("No such container: {key}")))
    }

    /// Finds an image by id, prefix of the id, or reference.
    pub(crate) fn image(&self, key: &str) -> Result<&Image, Refusal> {
        let reference = with_tag(key);
        let hex = key.strip_prefix("sha256:").unwrap_or(key);
        self.images
            .values()
            .find(|image| {
                image.repo_tags.contains(&reference)
                    || (!hex.is_empty() && image.id["sha256:".len()..].starts_with(hex))
            })
            .ok_or_else(|| Refusal::not_found(format!("No such image: {reference}")))
    }

    /// Pretends that an image was pulled.
    pub(crate) fn add_image(&mut self, reference: &str) -> std::io::Result<()> {
        let reference = with_tag(reference);
        if self.images.len() >= MOST || self.image(&reference).is_ok() {
            return Ok(());
        }
        let id = format!("sha256:{}", random_id()?);
        let image = Image {
            id: id.clone(),
            repo_tags: vec![reference],
            created: "2026-01-15T09:00:00Z".to_owned(),
            config: ImageConfig {
                env: Some(vec![format!("PATH={PATH}")]),
                cmd: Some(
                    ["/bin/sh", "-c", "echo ready; sleep infinity"]
                        .map(str::to_owned)
                        .to_vec(),
                ),
                working_dir: "/".to_owned(),
                ..ImageConfig::default()
            },
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            size: 7_800_000,
            ..Image::default()
        };
        self.images.insert(id, image);
        Ok(())
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// 64 hexadecimal digits that nobody can guess.
pub(crate) fn random_id() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A reference with the tag that it implies.
pub(crate) fn with_tag(reference: &str) -> String {
    let reference = reference
        .strip_prefix("docker.io/library/")
        .or_else(|| reference.strip_prefix("docker.io/"))
        .unwrap_or(reference);
    let last = reference.rsplit('/').next().unwrap_or_default();
    if last.contains(':') || last.contains('@') {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}

/// A refusal for a store that is full.
pub(crate) fn full(what: &str) -> Refusal {
    Refusal::new(
        StatusCode::INSUFFICIENT_STORAGE,
        format!("the embedded engine holds at most {MOST} {what}"),
    )
}
