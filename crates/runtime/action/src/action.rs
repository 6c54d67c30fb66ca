//! The pre-approved actions. What is not here cannot be asked of the broker.

mod kind;
mod reference;

use serde::{Deserialize, Serialize};

pub use kind::ActionKind;
pub use reference::{Reference, ReferenceMut};

use crate::container::{ContainerCreate, Endpoint, ExecSpec};
use crate::filter::Filters;
use crate::image::{ImageRef, ImageSelector, Platform};
use crate::name::{
    ContainerName, ContainerRef, ExecId, NetworkName, NetworkRef, VolumeName, VolumeRef,
};
use crate::path::ArchivePath;
use crate::value::{DetachKeys, Labels, ProcessColumns, Signal, Timestamp};

/// One pre-approved action. This is what passes from the gate to the broker, beside the token.
///
/// Serde reads it through the same grammars as the two dialects, and refuses unknown members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Action {
    /// Whether the engine answers.
    Ping,
    /// The engine's version.
    Version,
    /// What the engine is; the broker filters it.
    Info,
    /// What is stored; the broker filters it by owner.
    DiskUsage,
    /// What happens; the broker filters it by owner.
    Events(EventsQuery),

    /// The caller's containers.
    ContainerList(ContainerListQuery),
    /// One container, in full.
    ContainerInspect {
        /// Which.
        container: ContainerRef,
        /// Whether its size on disk is measured.
        size: bool,
    },
    /// The output of a container.
    ContainerLogs(LogsQuery),
    /// What a container changed in its file system.
    ContainerChanges {
        /// Which.
        container: ContainerRef,
    },
    /// What a container uses up.
    ContainerStats {
        /// Which.
        container: ContainerRef,
        /// Whether a new answer follows each second.
        stream: bool,
        /// Whether the first answer is given without waiting for a second sample.
        one_shot: bool,
    },
    /// The processes of a container.
    ContainerTop {
        /// Which.
        container: ContainerRef,
        /// What is shown of them.
        columns: Option<ProcessColumns>,
    },
    /// Waits for a container.
    ContainerWait {
        /// Which.
        container: ContainerRef,
        /// Until when; the engine's default is [`WaitCondition::NotRunning`].
        condition: Option<WaitCondition>,
    },
    /// Makes a container.
    ContainerCreate(Box<ContainerCreate>),
    /// Starts a container.
    ContainerStart {
        /// Which.
        container: ContainerRef,
        /// The keys that detach a terminal attached to it.
        detach_keys: Option<DetachKeys>,
    },
    /// Stops a container.
    ContainerStop {
        /// Which.
        container: ContainerRef,
        /// Seconds until SIGKILL, the container's where there is none.
        timeout: Option<u32>,
    },
    /// Stops a container and starts it again.
    ContainerRestart {
        /// Which.
        container: ContainerRef,
        /// Seconds until SIGKILL, the container's where there is none.
        timeout: Option<u32>,
    },
    /// Sends a signal to a container.
    ContainerKill {
        /// Which.
        container: ContainerRef,
        /// The signal, SIGKILL where there is none.
        signal: Option<Signal>,
    },
    /// Freezes a container.
    ContainerPause {
        /// Which.
        container: ContainerRef,
    },
    /// Thaws a container.
    ContainerUnpause {
        /// Which.
        container: ContainerRef,
    },
    /// Gives a container another name.
    ContainerRename {
        /// Which.
        container: ContainerRef,
        /// The new name.
        name: ContainerName,
    },
    /// Removes a container.
    ContainerRemove {
        /// Which.
        container: ContainerRef,
        /// Whether a running one is killed first.
        force: bool,
        /// Whether its anonymous volumes go too.
        volumes: bool,
    },
    /// Joins the standard streams of a container.
    ContainerAttach(AttachQuery),
    /// Changes the size of a container's terminal.
    ContainerResize {
        /// Which.
        container: ContainerRef,
        /// Its size.
        size: TerminalSize,
    },
    /// Copies a path out of a container, as a tar archive.
    ContainerCopyOut {
        /// Which.
        container: ContainerRef,
        /// The path.
        path: ArchivePath,
    },
    /// What a path in a container is.
    ContainerPathStat {
        /// Which.
        container: ContainerRef,
        /// The path.
        path: ArchivePath,
    },
    /// Copies a plain tar archive into a container.
    ContainerCopyIn {
        /// Which.
        container: ContainerRef,
        /// The directory.
        path: ArchivePath,
        /// Whether a directory may not take the place of a file, or a file of a directory.
        no_overwrite_dir_non_dir: bool,
        /// Whether owners and groups of the archive are kept.
        copy_uid_gid: bool,
    },
    /// Removes the caller's stopped containers.
    ContainerPrune {
        /// Which of them.
        filters: Filters,
    },

    /// Prepares a command in a container.
    ExecCreate {
        /// Which.
        container: ContainerRef,
        /// The command.
        exec: ExecSpec,
    },
    /// Runs a prepared command and joins its streams.
    ExecStart {
        /// Which.
        exec: ExecId,
        /// Whether nothing is joined.
        detach: bool,
        /// Whether there is a terminal.
        tty: bool,
    },
    /// What became of a prepared command.
    ExecInspect {
        /// Which.
        exec: ExecId,
    },
    /// Changes the size of a command's terminal.
    ExecResize {
        /// Which.
        exec: ExecId,
        /// Its size.
        size: TerminalSize,
    },

    /// The images that the caller may use.
    ImageList(ImageListQuery),
    /// One image, in full.
    ImageInspect {
        /// Which.
        image: ImageSelector,
    },
    /// How an image was made.
    ImageHistory {
        /// Which.
        image: ImageSelector,
    },
    /// Pulls an image.
    ImagePull {
        /// Which.
        image: ImageRef,
        /// For which platform.
        platform: Option<Platform>,
    },
    /// Gives an image another name.
    ImageTag {
        /// Which.
        image: ImageSelector,
        /// The new name; always a tag.
        target: ImageRef,
    },
    /// Removes a name of an image, and the image with its last name.
    ImageRemove {
        /// Which.
        image: ImageSelector,
        /// Whether a stopped container that uses it does not matter.
        force: bool,
        /// Whether untagged parents stay.
        no_prune: bool,
    },

    /// The caller's networks.
    NetworkList {
        /// Which of them.
        filters: Filters,
    },
    /// One network, in full.
    NetworkInspect {
        /// Which; it may be one of the engine's own.
        #[serde(deserialize_with = "NetworkRef::deserialize_to_inspect")]
        network: NetworkRef,
    },
    /// Makes a network.
    NetworkCreate(NetworkCreate),
    /// Removes a network.
    NetworkRemove {
        /// Which.
        network: NetworkRef,
    },
    /// Lets a container join a network.
    NetworkConnect {
        /// Which container.
        container: ContainerRef,
        /// How, and which network.
        endpoint: Endpoint,
    },
    /// Takes a container out of a network.
    NetworkDisconnect {
        /// Which network.
        network: NetworkRef,
        /// Which container.
        container: ContainerRef,
        /// Whether a container that is gone does not matter.
        force: bool,
    },
    /// Removes the caller's networks that nothing uses.
    NetworkPrune {
        /// Which of them.
        filters: Filters,
    },

    /// The caller's volumes.
    VolumeList {
        /// Which of them.
        filters: Filters,
    },
    /// One volume, in full.
    VolumeInspect {
        /// Which.
        volume: VolumeRef,
    },
    /// Makes a volume on the engine's own driver, without options.
    VolumeCreate {
        /// Its name; the engine makes one up where there is none.
        name: Option<VolumeName>,
        /// Labels.
        labels: Labels,
    },
    /// Removes a volume.
    VolumeRemove {
        /// Which.
        volume: VolumeRef,
        /// Whether one that is gone does not matter.
        force: bool,
    },
    /// Removes the caller's volumes that nothing uses.
    VolumePrune {
        /// Which of them.
        filters: Filters,
    },
}

/// Which events are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsQuery {
    /// From when.
    pub since: Option<Timestamp>,
    /// Until when; without end where there is none.
    pub until: Option<Timestamp>,
    /// Which.
    pub filters: Filters,
}

/// Which containers are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContainerListQuery {
    /// Whether stopped ones are listed too.
    pub all: bool,
    /// At most so many, the newest.
    pub limit: Option<u32>,
    /// Whether sizes on disk are measured.
    pub size: bool,
    /// Which.
    pub filters: Filters,
}

/// Which images are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageListQuery {
    /// Whether layers without a name are listed too.
    pub all: bool,
    /// Whether digests are told.
    pub digests: bool,
    /// Which.
    pub filters: Filters,
}

/// Which output is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogsQuery {
    /// Of which container.
    pub container: ContainerRef,
    /// Whether standard output is shown.
    #[serde(default)]
    pub stdout: bool,
    /// Whether standard error is shown.
    #[serde(default)]
    pub stderr: bool,
    /// Whether what is yet to come is shown too.
    #[serde(default)]
    pub follow: bool,
    /// Whether each line begins with its time.
    #[serde(default)]
    pub timestamps: bool,
    /// From when.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Until when.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// At most so many lines, the last.
    #[serde(default)]
    pub tail: Option<u32>,
}

/// Which streams of a container are joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachQuery {
    /// Which container.
    pub container: ContainerRef,
    /// Whether what is yet to come is shown.
    #[serde(default)]
    pub stream: bool,
    /// Whether what has been is shown.
    #[serde(default)]
    pub logs: bool,
    /// Whether standard input is joined.
    #[serde(default)]
    pub stdin: bool,
    /// Whether standard output is joined.
    #[serde(default)]
    pub stdout: bool,
    /// Whether standard error is joined.
    #[serde(default)]
    pub stderr: bool,
    /// The keys that detach.
    #[serde(default)]
    pub detach_keys: Option<DetachKeys>,
}

/// A network to be made: a bridge, with addresses of the engine's choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NetworkCreate {
    /// Its name.
    pub name: NetworkName,
    /// Whether it has no way out.
    #[serde(default)]
    pub internal: bool,
    /// Whether containers may join it by hand (a word of swarm that clients send).
    #[serde(default)]
    pub attachable: bool,
    /// Whether it has IPv6 too.
    #[serde(default)]
    pub ipv6: bool,
    /// Labels.
    #[serde(default)]
    pub labels: Labels,
}

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalSize {
    /// Lines.
    pub height: u16,
    /// Columns.
    pub width: u16,
}

/// Until when is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitCondition {
    /// Until it does not run.
    NotRunning,
    /// Until it ends the next time.
    NextExit,
    /// Until it is gone.
    Removed,
}

impl WaitCondition {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            WaitCondition::NotRunning => "not-running",
            WaitCondition::NextExit => "next-exit",
            WaitCondition::Removed => "removed",
        }
    }
}
