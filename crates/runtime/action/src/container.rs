//! A container to be made, as a type: what is not in it cannot be asked for.
//!
//! Privileged mode, host namespaces, other runtimes, volume drivers and the rest of what hands over
//! the host have no member here. Members that can be harmful by their value (a path of the host, a
//! capability, a device) are judged by the [floor](crate::floor).

mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use words::{Capability, UlimitName};

use crate::image::{ImageRef, Platform};
use crate::name::{ContainerName, ContainerRef, Hostname, NetworkRef, VolumeRef};
use crate::path::{ContainerPath, HostPath};
use crate::refusal::{Refusal, Rule, quote};
use crate::value::{
    CpuSet, DetachKeys, DnsOption, EnvVar, HostBinding, Labels, Port, Signal, SysctlName, UserSpec,
};

/// A container to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ContainerCreate {
    /// Its name; the engine makes one up where there is none.
    #[serde(default)]
    pub name: Option<ContainerName>,
    /// The image; never by id.
    pub image: ImageRef,
    /// The platform of the image.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// Labels.
    #[serde(default)]
    pub labels: Labels,
    /// What runs in it.
    #[serde(default)]
    pub process: Process,
    /// What it stores where.
    #[serde(default)]
    pub storage: Storage,
    /// What it is connected to.
    #[serde(default)]
    pub network: Network,
    /// What it may do.
    #[serde(default)]
    pub security: Security,
    /// What it may use up.
    #[serde(default)]
    pub resources: Resources,
    /// When it starts again, and what is kept of its output.
    #[serde(default)]
    pub lifecycle: Lifecycle,
}

/// The process of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Process {
    /// The host name inside.
    pub hostname: Option<Hostname>,
    /// The domain name inside.
    pub domainname: Option<Hostname>,
    /// The user, the image's where there is none.
    pub user: Option<UserSpec>,
    /// The command, the image's where there is none.
    pub command: Option<Vec<String>>,
    /// The entry point, the image's where there is none; an empty one resets the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Variables.
    pub environment: Vec<EnvVar>,
    /// The working directory, the image's where there is none.
    pub working_directory: Option<ContainerPath>,
    /// Whether standard input is attached.
    pub attach_stdin: bool,
    /// Whether standard output is attached.
    pub attach_stdout: bool,
    /// Whether standard error is attached.
    pub attach_stderr: bool,
    /// Whether there is a terminal.
    pub tty: bool,
    /// Whether standard input stays open.
    pub open_stdin: bool,
    /// Whether standard input closes after the first attached client.
    pub stdin_once: bool,
    /// The signal that stops it.
    pub stop_signal: Option<Signal>,
    /// Seconds between that signal and SIGKILL.
    pub stop_timeout: Option<u32>,
    /// How its health is checked.
    pub health: Option<Health>,
}

/// A health check. Times in nanoseconds, as the engine takes them; 0 means the image's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// What is run.
    pub test: HealthTest,
    /// Time between two runs.
    pub interval: u64,
    /// Time that a run may take.
    pub timeout: u64,
    /// Time after the start in which failures do not count.
    pub start_period: u64,
    /// Failures in a row that make the container unhealthy.
    pub retries: u32,
}

/// What a health check runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HealthTest {
    /// What the image says.
    #[default]
    Inherit,
    /// Nothing.
    None,
    /// A program with its arguments.
    Command(Vec<String>),
    /// A line for the shell of the image.
    Shell(String),
}

/// What a container stores where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Mounts in the form of `-v`.
    pub binds: Vec<Bind>,
    /// Mounts in the form of `--mount`.
    pub mounts: Vec<Mount>,
    /// Memory file systems in the form of `--tmpfs`.
    pub tmpfs: BTreeMap<ContainerPath, TmpfsOptions>,
    /// Anonymous volumes.
    pub anonymous_volumes: BTreeSet<ContainerPath>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Whether the root file system is read-only.
    pub read_only_root: bool,
}

/// A mount in the form of `-v source:target[:options]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// What is mounted.
    pub source: BindSource,
    /// Where; without `:`.
    pub target: ContainerPath,
    /// Whether it cannot be written.
    #[serde(default)]
    pub read_only: bool,
    /// Whether what the image has there is not copied into a new volume.
    #[serde(default)]
    pub no_copy: bool,
}

/// What a [`Bind`] mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BindSource {
    /// A named volume.
    Volume(VolumeRef),
    /// A path of the host, which only an operator's exception allows; without `:`.
    Host(HostPath),
}

/// A mount in the form of `--mount`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Mount {
    /// A volume, named or anonymous.
    Volume {
        /// Its name.
        source: Option<VolumeRef>,
        /// Where.
        target: ContainerPath,
        /// Whether it cannot be written.
        #[serde(default)]
        read_only: bool,
        /// Whether what the image has there is not copied into a new volume.
        #[serde(default)]
        no_copy: bool,
        /// Labels of the volume, should it be new.
        #[serde(default)]
        labels: Labels,
    },
    /// A memory file system.
    Tmpfs {
        /// Where.
        target: ContainerPath,
        /// Its size in bytes.
        #[serde(default)]
        size: Option<u64>,
        /// The mode of its root.
        #[serde(default)]
        mode: Option<u32>,
        /// Whether it cannot be written.
        #[serde(default)]
        read_only: bool,
    },
    /// A path of the host, which only an operator's exception allows.
    Host {
        /// The path; it must be there.
        source: HostPath,
        /// Where.
        target: ContainerPath,
        /// Whether it cannot be written.
        #[serde(default)]
        read_only: bool,
    },
}

/// Options of a memory file system in the form of `--tmpfs`; it is always `nosuid,nodev`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TmpfsOptions {
    /// Its size in bytes.
    pub size: Option<u64>,
    /// The mode of its root.
    pub mode: Option<u32>,
    /// The owner of its root.
    pub uid: Option<u32>,
    /// The group of its root.
    pub gid: Option<u32>,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// Whether programs on it may run.
    pub exec: bool,
}

/// What a container is connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// The network or namespace that it is in.
    pub mode: NetworkMode,
    /// How it joins a network of its own.
    pub endpoint: Option<Endpoint>,
    /// Whether it has no network at all (the member `NetworkDisabled`).
    pub disabled: bool,
    /// Ports that it says it listens on.
    pub exposed_ports: BTreeSet<Port>,
    /// Ports published on the host.
    pub published_ports: BTreeMap<Port, Vec<HostBinding>>,
    /// Whether every exposed port is published on a random port.
    pub publish_all: bool,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Resolver options.
    pub dns_options: Vec<DnsOption>,
    /// Search domains.
    pub dns_search: Vec<Hostname>,
}

/// The network namespace of a container. There is no `host`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// What the engine does by default.
    #[default]
    Default,
    /// The engine's own bridge.
    Bridge,
    /// No network.
    None,
    /// A network; the broker must hold it for the caller's.
    Network(NetworkRef),
    /// The network of another container; the broker must hold it for the caller's.
    Container(ContainerRef),
}

/// How a container joins a network. It has no address of its choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The network.
    pub network: NetworkRef,
    /// Its names in it.
    #[serde(default)]
    pub aliases: Vec<Hostname>,
}

/// What a container may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Security {
    /// Capabilities beyond the kept ones.
    pub cap_add: BTreeSet<Capability>,
    /// Whether every capability is dropped first.
    pub cap_drop_all: bool,
    /// Capabilities that are dropped.
    pub cap_drop: BTreeSet<Capability>,
    /// Whether set-user-id programs gain nothing.
    pub no_new_privileges: bool,
    /// The container whose processes it shares; the broker must hold it for the caller's.
    pub pid_of: Option<ContainerRef>,
    /// Its IPC namespace.
    pub ipc: IpcMode,
    /// Whether it sees only its own cgroup by explicit wish.
    pub private_cgroup_namespace: bool,
    /// Devices of the host, which only an operator's exception allows.
    pub devices: Vec<Device>,
    /// Kernel parameters, which only an operator's exception allows.
    pub sysctls: BTreeMap<SysctlName, String>,
}

/// The IPC namespace of a container. There is no `host`, no `shareable`, no other container's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IpcMode {
    /// What the engine does by default (private, since 20.10).
    #[default]
    Default,
    /// Its own.
    Private,
    /// Its own, without `/dev/shm`.
    None,
}

/// A device of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// On the host.
    pub on_host: HostPath,
    /// In the container.
    pub in_container: ContainerPath,
    /// What may be done with it.
    pub access: DeviceAccess,
}

/// What may be done with a device: some of `r`, `w`, `m`, each once, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct DeviceAccess {
    /// It may be read.
    pub read: bool,
    /// It may be written.
    pub write: bool,
    /// Its node may be made.
    pub make: bool,
}

/// What a container may use up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes below which it is not asked to give memory back.
    pub memory_reservation: Option<u64>,
    /// Bytes of memory and swap together.
    pub memory_swap: Option<u64>,
    /// Billionths of a processor.
    pub nano_cpus: Option<u64>,
    /// Relative weight, 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// Microseconds of a scheduling period.
    pub cpu_period: Option<u64>,
    /// Microseconds of processor time in a period.
    pub cpu_quota: Option<u64>,
    /// Processors.
    pub cpuset_cpus: Option<CpuSet>,
    /// Memory nodes.
    pub cpuset_mems: Option<CpuSet>,
    /// Processes.
    pub pids: Option<u64>,
    /// How willingly it is killed when memory ends, 0 to 1000.
    pub oom_score_adj: u16,
    /// Resource limits of its processes.
    pub ulimits: Vec<Ulimit>,
}

/// A resource limit, in the unit that `setrlimit` has for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ulimit {
    /// What is limited.
    pub name: UlimitName,
    /// The limit in force.
    pub soft: u64,
    /// How far a process may raise it.
    pub hard: u64,
}

/// When a container starts again, and what is kept of its output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Lifecycle {
    /// Whether it is removed when it ends.
    pub auto_remove: bool,
    /// When it starts again.
    pub restart: RestartPolicy,
    /// Whether an init process reaps its children; the engine's default where there is none.
    pub init: Option<bool>,
    /// Where its output goes.
    pub log: Option<LogFiles>,
}

/// When a container starts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// Always.
    Always,
    /// Always, unless somebody stopped it.
    UnlessStopped,
    /// When it fails, at most so often; 0 is without end.
    OnFailure(u32),
}

/// Log files on the host, through one of the two drivers that stay on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LogFiles {
    /// The driver.
    pub driver: LogDriver,
    /// Bytes after which a file is rotated.
    #[serde(default)]
    pub max_size: Option<u64>,
    /// Files that are kept.
    #[serde(default)]
    pub max_files: Option<u32>,
    /// Whether rotated files are compressed.
    #[serde(default)]
    pub compress: Option<bool>,
    /// Whether the process waits for the log or loses lines.
    #[serde(default)]
    pub mode: Option<LogMode>,
    /// Bytes that the engine buffers in the mode that does not block.
    #[serde(default)]
    pub max_buffer_size: Option<u64>,
}

/// A log driver that writes files on the host and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// JSON lines.
    JsonFile,
    /// A compact form with rotation.
    Local,
}

/// What happens to a process whose output comes faster than it is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LogMode {
    /// It waits.
    Blocking,
    /// Lines are lost.
    NonBlocking,
}

/// A command to run in a container that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExecSpec {
    /// The program and its arguments; at least the program.
    pub command: Vec<String>,
    /// Variables beyond the container's.
    #[serde(default)]
    pub environment: Vec<EnvVar>,
    /// The user, the container's where there is none.
    #[serde(default)]
    pub user: Option<UserSpec>,
    /// The working directory, the container's where there is none.
    #[serde(default)]
    pub working_directory: Option<ContainerPath>,
    /// Whether standard input is attached.
    #[serde(default)]
    pub attach_stdin: bool,
    /// Whether standard output is attached.
    #[serde(default)]
    pub attach_stdout: bool,
    /// Whether standard error is attached.
    #[serde(default)]
    pub attach_stderr: bool,
    /// Whether there is a terminal.
    #[serde(default)]
    pub tty: bool,
    /// The keys that detach the terminal.
    #[serde(default)]
    pub detach_keys: Option<DetachKeys>,
}

impl ContainerCreate {
    /// A container of an image, with everything else at its default.
    #[must_use]
    pub fn new(image: ImageRef) -> Self {
        Self {
            name: None,
            image,
            platform: None,
            labels: Labels::default(),
            process: Process::default(),
            storage: Storage::default(),
            network: Network::default(),
            security: Security::default(),
            resources: Resources::default(),
            lifecycle: Lifecycle::default(),
        }
    }
}

impl DeviceAccess {
    /// Reads `rwm` or a part of it.
    ///
    /// # Errors
    /// [`Rule::Device`] for other letters, another order, or none.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let access = Self {
            read: text.contains('r'),
            write: text.contains('w'),
            make: text.contains('m'),
        };
        match access.to_string() == text && !text.is_empty() {
            true => Ok(access),
            false => Err(Refusal::new(
                Rule::Device,
                format!("{} is no device access such as `rw`", quote(text)),
            )),
        }
    }

    /// Whether nothing goes beyond `other`.
    #[must_use]
    pub fn is_within(self, other: DeviceAccess) -> bool {
        (!self.read || other.read) && (!self.write || other.write) && (!self.make || other.make)
    }
}

impl std::fmt::Display for DeviceAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letters = [(self.read, "r"), (self.write, "w"), (self.make, "m")];
        letters
            .iter()
            .filter(|(has, _)| *has)
            .try_for_each(|(_, letter)| f.write_str(letter))
    }
}

impl TryFrom<String> for DeviceAccess {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        Self::parse(&text)
    }
}

impl From<DeviceAccess> for String {
    fn from(access: DeviceAccess) -> String {
        access.to_string()
    }
}
