//! One pretended container: what it was created from, whether it runs, what it wrote.

use crate::answer::Refusal;
use crate::commands::{Context, Program};
use crate::files::{Mounted, Root, View, normal};
use crate::log::Log;
use crate::state::Engine;
use cofferdam_docker::wire::{
    Container, ContainerSummary, CreateBody, EndpointSettings, HostConfig, Image, MountPoint,
    NetworkSettings, State, SummaryHostConfig,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A time that never was, as Go writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";

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
    created: Timestamp,
    /// As the caller sent it, with what the image adds.
    pub(crate) body: CreateBody,
    image: String,
    mounts: Vec<MountPoint>,
    pub(crate) context: Context,
    pub(crate) log: Arc<Log>,
    /// Tells those who wait.
    pub(crate) phase: watch::Sender<Phase>,
    started: Option<Timestamp>,
    finished: Option<Timestamp>,
    pid: i64,
    task: Option<AbortHandle>,
    app_armor: bool,
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
        id: String,
        name: String,
        mut body: CreateBody,
        image: &Image,
    ) -> Result<Self, Refusal> {
        let config = &mut body.config;
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&image.config.entrypoint);
            if config.cmd.as_ref().is_none_or(Vec::is_empty) {
                config.cmd.clone_from(&image.config.cmd);
            }
        }
        let mut env = image.config.env.clone().unwrap_or_default();
        env.extend(config.env.clone().unwrap_or_default());
        config.env = Some(env.clone());
        if config.hostname.is_empty() {
            config.hostname = id[..12].to_owned();
        }
        if body.host_config.network_mode.is_empty() {
            body.host_config.network_mode = "bridge".to_owned();
        }
        if !body.host_config.privileged {
            // As dockerd shows them: its default lists, unless the caller named others.
            let defaults = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
            let host_config = &mut body.host_config;
            host_config
                .masked_paths
                .get_or_insert_with(|| defaults(MASKED));
            host_config
                .readonly_paths
                .get_or_insert_with(|| defaults(READ_ONLY));
        }
        if body.host_config.runtime.is_empty() {
            body.host_config.runtime = "runc".to_owned();
        }
        let root = engine.make_directory(&id).map_err(Refusal::internal)?;
        let (mounts, mounted) = mounts(engine, &root, &body.host_config)?;
        let lay = || -> std::io::Result<()> {
            for dir in ["/etc", "/tmp", "/proc", "/run"] {
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
            root.write("/etc/hosts", b"127.0.0.1\tlocalhost\n")
        };
        lay().map_err(Refusal::internal)?;
        let directory = match body.config.working_dir.as_str() {
            "" => image.config.working_dir.clone(),
            named => normal(named),
        };
        Ok(Self {
            context: Context {
                view: View {
                    root,
                    mounts: mounted,
                    read_only: body.host_config.readonly_rootfs,
                },
                env,
                user: body.config.user.clone(),
                directory: normal(&directory),
                hostname: body.config.hostname.clone(),
            },
            id,
            name,
            created: Timestamp::now(),
            image: image.id.clone(),
            app_armor: !body.host_config.privileged
                && !body
                    .host_config
                    .security_opt
                    .iter()
                    .flatten()
                    .any(|option| {
                        option == "apparmor=unconfined" || option == "apparmor:unconfined"
                    }),
            body,
            mounts,
            log: Arc::new(Log::new()),
            phase: watch::Sender::default(),
            started: None,
            finished: None,
            pid: 0,
            task: None,
        })
    }

    pub(crate) fn running(&self) -> bool {
        self.phase.borrow().running
    }

    fn command(&self) -> Vec<String> {
        let config = &self.body.config;
        let entry = config.entrypoint.iter().flatten();
        entry.chain(config.cmd.iter().flatten()).cloned().collect()
    }

    /// Starts it. Answers false when it runs already.
    pub(crate) fn start(&mut self, engine: &Arc<Engine>) -> Result<bool, Refusal> {
        if self.running() {
            return Ok(false);
        }
        let program = Program::of(&self.command()).map_err(|name| {
            self.phase.send_modify(|phase| phase.exit_code = 127);
            Refusal::bad(format!(
                "failed to create task for container: failed to create shim task: OCI runtime \
                 create failed: runc create failed: unable to start container process: exec: \
                 {name:?}: executable file not found in $PATH: unknown"
            ))
        })?;
        self.started = Some(Timestamp::now());
        // A number that looks like a process id; there is none behind it.
        self.pid = 2000 + i64::from(self.id.as_bytes()[0]) * 7;
        self.phase.send_modify(|phase| phase.running = true);
        let run = self.phase.borrow().ends;
        let (engine, id) = (Arc::clone(engine), self.id.clone());
        let (context, log) = (self.context.clone(), Arc::clone(&self.log));
        let task = tokio::spawn(async move {
            let code = program.run(&context, &log).await;
            let mut inner = engine.lock();
            if let Some(record) = inner.containers.get_mut(&id)
                && record.phase.borrow().ends == run
            {
                record.end(code);
                if record.body.host_config.auto_remove {
                    inner.remove_container(&engine, &id);
                }
            }
        });
        self.task = Some(task.abort_handle());
        Ok(true)
    }

    /// Ends its run with `code`, whether by itself or by a signal.
    pub(crate) fn end(&mut self, code: i64) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.finished = Some(Timestamp::now());
        self.pid = 0;
        self.phase.send_modify(|phase| {
            phase.running = false;
            phase.ends += 1;
            phase.exit_code = code;
        });
    }

    fn status(&self) -> &'static str {
        if self.running() {
            "running"
        } else if self.finished.is_some() {
            "exited"
        } else {
            "created"
        }
    }

    fn network(&self) -> NetworkSettings {
        let mode = match self.body.host_config.network_mode.as_str() {
            "default" => "bridge",
            mode => mode,
        };
        let address = match (self.running(), mode) {
            (true, "host" | "none") | (false, _) => String::new(),
            (true, _) => format!("172.17.0.{}", 2 + self.id.as_bytes()[1] % 200),
        };
        let endpoint = EndpointSettings {
            ip_address: address,
            ..EndpointSettings::default()
        };
        NetworkSettings {
            networks: BTreeMap::from([(mode.to_owned(), endpoint)]),
        }
    }

    /// As an entry of the list.
    pub(crate) fn summary(&self) -> ContainerSummary {
        let status = match (self.started, self.finished) {
            (Some(started), _) if self.running() => format!("Up {}", since(started)),
            (_, Some(finished)) => format!(
                "Exited ({}) {} ago",
                self.phase.borrow().exit_code,
                since(finished)
            ),
            _ => "Created".to_owned(),
        };
        ContainerSummary {
            id: self.id.clone(),
            names: vec![format!("/{}", self.name)],
            image: self.body.config.image.clone(),
            image_id: self.image.clone(),
            command: self.command().join(" "),
            created: self.created.as_second(),
            ports: Vec::new(),
            labels: self.body.config.labels.clone(),
            state: self.status().to_owned(),
            status,
            host_config: SummaryHostConfig {
                network_mode: self.body.host_config.network_mode.clone(),
            },
            network_settings: self.network(),
            mounts: self.mounts.clone(),
        }
    }

    /// As inspected.
    pub(crate) fn inspect(&self) -> Container {
        let time = |time: Option<Timestamp>| time.map_or(NEVER.to_owned(), |t| format!("{t:.9}"));
        let mut command = self.command().into_iter();
        Container {
            id: self.id.clone(),
            created: time(Some(self.created)),
            path: command.next().unwrap_or_default(),
            args: command.collect(),
            state: State {
                status: self.status().to_owned(),
                running: self.running(),
                pid: self.pid,
                exit_code: self.phase.borrow().exit_code,
                started_at: time(self.started),
                finished_at: time(self.finished),
                ..State::default()
            },
            image: self.image.clone(),
            name: format!("/{}", self.name),
            restart_count: 0,
            driver: "overlay2".to_owned(),
            platform: "linux".to_owned(),
            app_armor_profile: match self.app_armor {
                true => "docker-default".to_owned(),
                false => "unconfined".to_owned(),
            },
            exec_ids: None,
            host_config: self.body.host_config.clone(),
            mounts: self.mounts.clone(),
            config: self.body.config.clone(),
            network_settings: self.network(),
        }
    }
}

fn since(time: Timestamp) -> String {
    match Timestamp::now().as_second() - time.as_second() {
        ..=1 => "Less than a second".to_owned(),
        seconds @ 2..=119 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}

/// Checks and opens what is mounted.
fn mounts(
    engine: &Engine,
    root: &Root,
    host_config: &HostConfig,
) -> Result<(Vec<MountPoint>, Vec<Mounted>), Refusal> {
    let mut wanted = Vec::new();
    for bind in host_config.binds.iter().flatten() {
        let mut parts = bind.split(':');
        let (Some(source), Some(target), mode) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Refusal::bad(format!(
                "invalid volume specification: '{bind}'"
            )));
        };
        let mode = mode.unwrap_or_default();
        if parts.next().is_some() || source.is_empty() {
            return Err(Refusal::bad(format!(
                "invalid volume specification: '{bind}'"
            )));
        }
        wanted.push((source, target, mode, true));
    }
    for mount in host_config.mounts.iter().flatten() {
        match mount.kind.as_str() {
            "bind" | "volume" => {}
            "tmpfs" => continue,
            other => {
                return Err(Refusal::bad(format!(
                    "invalid mount config for type \"{other}\": mount type unknown: \"{other}\""
                )));
            }
        }
        if (mount.kind == "bind") != mount.source.starts_with('/') {
            return Err(Refusal::bad(format!(
                "invalid mount config for type \"{}\": invalid mount path: '{}'",
                mount.kind, mount.source
            )));
        }
        let mode = if mount.read_only { "ro" } else { "" };
        wanted.push((&mount.source, &mount.target, mode, false));
    }
    let mut points = Vec::new();
    let mut opened = Vec::new();
    for (source, target, mode, create) in wanted {
        if !target.starts_with('/') {
            return Err(Refusal::bad(format!(
                "invalid mount config: invalid mount path: '{target}' mount path must be absolute"
            )));
        }
        let target = normal(target);
        if target == "/" {
            return Err(Refusal::bad(
                "invalid specification: destination can't be '/'",
            ));
        }
        if points
            .iter()
            .any(|point: &MountPoint| point.destination == target)
        {
            return Err(Refusal::bad(format!("Duplicate mount point: {target}")));
        }
        let options: Vec<_> = mode
            .split(',')
            .filter(|option| !option.is_empty())
            .collect();
        if let Some(unknown) = options.iter().find(|option| {
            ![
                "ro",
                "rw",
                "z",
                "Z",
                "rprivate",
                "private",
                "rshared",
                "shared",
                "rslave",
                "slave",
                "nocopy",
                "consistent",
                "cached",
                "delegated",
            ]
            .contains(*option)
        }) {
            return Err(Refusal::bad(format!("invalid mode: {unknown}")));
        }
        let read_only = options.contains(&"ro");
        let is_bind = source.starts_with('/');
        let (place, file) = if is_bind {
            let source = normal(source);
            let failed = |error: rustix::io::Errno| Refusal::internal(std::io::Error::from(error));
            match engine.host.below(&source) {
                Ok(Ok(directory)) => (directory, None),
                Ok(Err(_)) => (engine.host.clone(), Some(source)),
                // The short form makes a directory that is missing, the long form refuses.
                Err(rustix::io::Errno::NOENT) if create => {
                    engine.host.make_dirs(&source).map_err(failed)?;
                    match engine.host.below(&source).map_err(failed)? {
                        Ok(directory) => (directory, None),
                        Err(_) => (engine.host.clone(), Some(source)),
                    }
                }
                Err(rustix::io::Errno::NOENT) => {
                    return Err(Refusal::bad(format!(
                        "invalid mount config for type \"bind\": bind source path does not exist: {source}"
                    )));
                }
                Err(error) => return Err(failed(error)),
            }
        } else if valid_name(source) {
            let directory = engine
                .make_directory(&format!("volume-{source}"))
                .map_err(Refusal::internal)?;
            (directory, None)
        } else {
            return Err(Refusal::bad(format!(
                "create {source}: \"{source}\" includes invalid characters for a local volume \
                 name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a \
                 host directory, use absolute path"
            )));
        };
        root.make_dirs(&target)
            .map_err(|error| Refusal::internal(std::io::Error::from(error)))?;
        let propagation = options
            .iter()
            .find(|option| option.ends_with("shared") || option.ends_with("slave"))
            .map_or("rprivate", |option| option);
        points.push(MountPoint {
            kind: if is_bind { "bind" } else { "volume" }.to_owned(),
            source: match is_bind {
                true => normal(source),
                false => format!("/var/lib/docker/volumes/{source}/_data"),
            },
            destination: target.clone(),
            mode: mode.to_owned(),
            rw: !read_only,
            propagation: if is_bind {
                propagation.to_owned()
            } else {
                String::new()
            },
        });
        opened.push(Mounted {
            target,
            root: place,
            file,
            read_only,
            // Root in the container is nobody of the host, unless the container asks for the host's
            // users where they are only mapped.
            foreign: is_bind
                && (engine.options.rootless
                    || engine.options.userns_remap && host_config.userns_mode != "host"),
        });
    }
    Ok((points, opened))
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
