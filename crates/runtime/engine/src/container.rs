//! One pretended container: what it was created from, whether it runs, what it wrote.

mod mounts;
mod show;

pub(crate) use mounts::{Mount, invalid_volume};

use crate::answer::Refusal;
use crate::changes::Snapshot;
use crate::commands::{Context, Program};
use crate::decode::Created;
use crate::files::{View, normal};
use crate::io::{Input, Log, Output, Pipe, Size, Streams};
use crate::network::Endpoint;
use crate::state::{Engine, Inner};
use cofferdam_docker::wire::{CreateBody, Image};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What dockerd hides of `/proc` and `/sys`, and what it makes read-only there.
const MASKED: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
const READ_ONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// One container.
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    /// As the caller sent it, with what the image and the engine add.
    pub(crate) body: CreateBody,
    config: Map<String, Value>,
    host_config: Map<String, Value>,
    pub(crate) image: String,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) context: Context,
    pub(crate) log: Arc<Log>,
    pub(crate) output: Arc<Output>,
    /// The input of the present run, or of the next.
    pub(crate) input: Arc<Pipe>,
    pub(crate) terminal: Arc<Size>,
    /// Tells those who wait.
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) paused: watch::Sender<bool>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) pid: i64,
    task: Option<AbortHandle>,
    app_armor: bool,
    /// What its directory held before it ran.
    pub(crate) base: Snapshot,
}

/// What those who wait for a container look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) running: bool,
    /// How often it has ended.
    pub(crate) ends: u64,
    pub(crate) exit_code: i64,
    pub(crate) removed: bool,
}

impl Record {
    /// Prepares a container: its directory, its mounts, its command. Nothing runs yet.
    pub(crate) fn new(
        engine: &Engine,
        inner: &mut Inner,
        id: String,
        name: String,
        created: Created,
    ) -> Result<Self, Refusal> {
        let mut body = created.typed()?;
        let image = inner.image(&body.config.image)?.clone();
        complete(&mut body, &image, &id);
        let root = engine.make_directory(&id).map_err(Refusal::internal)?;
        let lay = || -> std::io::Result<Snapshot> {
            for dir in ["/etc", "/tmp", "/proc", "/run", "/root"] {
                root.make_dirs(dir)?;
            }
            root.write(
                "/etc/hostname",
                format!("{}\n", body.config.hostname).as_bytes(),
            )?;
            root.write(
                "/etc/passwd",
                b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
            )?;
            root.write("/etc/hosts", b"127.0.0.1\tlocalhost\n")?;
            Snapshot::of(&root)
        };
        let base = lay().map_err(Refusal::internal)?;
        let endpoints = endpoints(&body, created.endpoints)?;
        let (mounts, mounted) =
            mounts::open(engine, inner, &root, &created.config, &created.host_config)?;
        let app_armor = !body.host_config.privileged
            && !body
                .host_config
                .security_opt
                .iter()
                .flatten()
                .any(|option| {
                    matches!(
                        option.as_str(),
                        "apparmor=unconfined" | "apparmor:unconfined"
                    )
                });
        let directory = match body.config.working_dir.as_str() {
            "" => image.config.working_dir.clone(),
            named => normal(named),
        };
        let log = Arc::new(Log::new());
        let paused = watch::Sender::new(false);
        let output = Output::new(Some(Arc::clone(&log)), body.config.tty, paused.subscribe());
        Ok(Self {
            context: Context {
                view: View {
                    root,
                    mounts: mounted,
                    read_only: body.host_config.readonly_rootfs,
                },
                env: body.config.env.clone().unwrap_or_default(),
                user: body.config.user.clone(),
                directory: normal(&directory),
                hostname: body.config.hostname.clone(),
            },
            id,
            name,
            created: Timestamp::now(),
            image: image.id,
            config: created.config,
            host_config: created.host_config,
            app_armor,
            body,
            mounts,
            endpoints,
            log,
            output: Arc::new(output),
            input: Arc::new(Pipe::new()),
            terminal: Arc::default(),
            phase: watch::Sender::default(),
            paused,
            started: None,
            finished: None,
            pid: 0,
            task: None,
            base,
        })
    }

    pub(crate) fn running(&self) -> bool {
        self.phase.borrow().running
    }

    pub(crate) fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    pub(crate) fn command(&self) -> Vec<String> {
        let config = &self.body.config;
        let entry = config.entrypoint.iter().flatten();
        entry.chain(config.cmd.iter().flatten()).cloned().collect()
    }

    /// A member of the configuration that has no type of its own here.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.config.get(name).is_some_and(|value| value == true)
    }

    /// Tells what happened to it.
    pub(crate) fn tell(&self, engine: &Engine, action: impl Into<String>, more: &[(&str, &str)]) {
        let mut attributes: BTreeMap<_, _> = self.body.config.labels.clone();
        attributes.insert("image".to_owned(), self.body.config.image.clone());
        attributes.insert("name".to_owned(), self.name.clone());
        let more = more
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        attributes.extend(more);
        engine
            .events
            .tell("container", action, &self.id, attributes);
    }

    /// Ends its run with `code`, whether by itself or by a signal.
    pub(crate) fn end(&mut self, engine: &Engine, code: i64) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.finished = Some(Timestamp::now());
        self.pid = 0;
        self.paused.send_replace(false);
        self.output.close();
        self.input.close();
        self.input = Arc::new(Pipe::new());
        for endpoint in &mut self.endpoints {
            endpoint.address = None;
            endpoint.id.clear();
        }
        self.tell(engine, "die", &[("exitCode", &code.to_string())]);
        self.phase.send_modify(|phase| {
            phase.running = false;
            phase.ends += 1;
            phase.exit_code = code;
        });
    }

    pub(crate) fn status(&self) -> &'static str {
        if self.is_paused() {
            "paused"
        } else if self.running() {
            "running"
        } else if self.finished.is_some() {
            "exited"
        } else {
            "created"
        }
    }
}

impl Inner {
    /// Starts a container. Answers false when it runs already.
    pub(crate) fn start(&mut self, engine: &Arc<Engine>, key: &str) -> Result<bool, Refusal> {
        let record = self.container(key)?;
        if record.running() {
            return Ok(false);
        }
        let program = Program::of(&record.command()).map_err(|name| {
            record.phase.send_modify(|phase| phase.exit_code = 127);
            Refusal::bad(format!(
                "failed to create task for container: failed to create shim task: OCI runtime \
                 create failed: runc create failed: unable to start container process: exec: \
                 {name:?}: executable file not found in $PATH: unknown"
            ))
        })?;
        let id = record.id.clone();
        self.join(&id)?;
        let record = self.container(&id)?;
        record.started = Some(Timestamp::now());
        // A number that looks like a process id; there is none behind it.
        record.pid = 2000 + i64::from(record.id.as_bytes()[0]) * 7;
        record.phase.send_modify(|phase| phase.running = true);
        let run = record.phase.borrow().ends;
        let (context, tty) = (record.context.clone(), record.body.config.tty);
        let pipe = match record.body.config.open_stdin {
            true => record.input.reader(),
            false => None,
        };
        let mut streams = Streams {
            input: Input::new(pipe, tty),
            output: Arc::clone(&record.output),
            terminal: tty.then(|| Arc::clone(&record.terminal)),
        };
        let mut paused = record.paused.subscribe();
        record.tell(engine, "start", &[]);
        let engine = Arc::clone(engine);
        let task = tokio::spawn(async move {
            let code = program.run(&context, &mut streams).await;
            // An error says that the container is gone.
            let _ = paused.wait_for(|paused| !paused).await;
            let mut inner = engine.lock();
            if let Some(record) = inner.containers.get_mut(&id)
                && record.phase.borrow().ends == run
            {
                inner.finish(&engine, &id, code);
            }
        });
        record.task = Some(task.abort_handle());
        Ok(true)
    }

    /// Ends the run of a container, and removes it where that was asked for.
    pub(crate) fn finish(&mut self, engine: &Engine, id: &str, code: i64) {
        let Some(record) = self.containers.get_mut(id) else {
            return;
        };
        record.end(engine, code);
        if record.body.host_config.auto_remove {
            self.remove_container(engine, id, true);
        }
    }

    /// Forgets a container that does not run, and its execs and files; with `volumes` those of its
    /// volumes that have no name of their own, too.
    pub(crate) fn remove_container(&mut self, engine: &Engine, id: &str, volumes: bool) {
        let Some(record) = self.containers.remove(id) else {
            return;
        };
        self.execs.retain(|_, exec| exec.container != id);
        engine.remove_directory(id);
        if volumes {
            for mount in &record.mounts {
                if let Some(name) = &mount.volume
                    && self
                        .volumes
                        .get(name)
                        .is_some_and(|volume| volume.anonymous)
                {
                    // Another container may use it by now: then it stays.
                    let _ = self.remove_volume(engine, name);
                }
            }
        }
        record.tell(engine, "destroy", &[]);
        record.phase.send_modify(|phase| phase.removed = true);
    }
}

/// What the image and the engine add.
fn complete(body: &mut CreateBody, image: &Image, id: &str) {
    let config = &mut body.config;
    if config.entrypoint.is_none() {
        config.entrypoint.clone_from(&image.config.entrypoint);
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd.clone_from(&image.config.cmd);
        }
    }
    let mut env = image.config.env.clone().unwrap_or_default();
    env.extend(config.env.clone().unwrap_or_default());
    config.env = Some(env);
    if config.hostname.is_empty() {
        config.hostname = id[..12].to_owned();
    }
    let host_config = &mut body.host_config;
    if matches!(host_config.network_mode.as_str(), "" | "default") {
        host_config.network_mode = "bridge".to_owned();
    }
    if !host_config.privileged {
        // As dockerd shows them: its default lists, unless the caller named others.
        let defaults = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        host_config
            .masked_paths
            .get_or_insert_with(|| defaults(MASKED));
        host_config
            .readonly_paths
            .get_or_insert_with(|| defaults(READ_ONLY));
    }
    if host_config.runtime.is_empty() {
        host_config.runtime = "runc".to_owned();
    }
}

/// The networks that a container is created in: one, that of its mode.
fn endpoints(body: &CreateBody, given: Map<String, Value>) -> Result<Vec<Endpoint>, Refusal> {
    let mode = body.host_config.network_mode.as_str();
    if mode.starts_with("container:") {
        return Ok(Vec::new());
    }
    if given.len() > 1 {
        let names: Vec<_> = given.keys().cloned().collect();
        return Err(Refusal::bad(format!(
            "Container cannot be connected to network endpoints: {}",
            names.join(", ")
        )));
    }
    let mut endpoints = Vec::new();
    let mut given = given.into_iter();
    let config = match given.next() {
        Some((name, Value::Object(config))) if name == mode || name == "default" => config,
        // A network of another name is joined too, as an engine since API 1.44 does it.
        Some((name, config)) if name != mode && name != "default" => {
            let config = config.as_object().cloned().unwrap_or_default();
            endpoints.push(Endpoint::wanted(&name, config));
            Map::new()
        }
        _ => Map::new(),
    };
    endpoints.insert(0, Endpoint::wanted(mode, config));
    Ok(endpoints)
}

/// Whether dockerd takes this as the name of a container or volume.
pub(crate) fn valid_name(name: &str) -> bool {
    name.len() >= 2
        && name.len() <= 200
        && name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter))
}
