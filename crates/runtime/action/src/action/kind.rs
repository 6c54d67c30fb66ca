//! What an action is called, and which scope it takes.

use serde::{Deserialize, Serialize};

use super::Action;

/// Defines [`ActionKind`] from one table: variant, id, scope, and whether it changes anything.
macro_rules! kinds {
    ($($variant:ident $id:literal $scope:literal $effect:ident;)*) => {
        /// The kind of an [`Action`]: what policies, scopes and audit records name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "each variant is the action of the same name")]
        pub enum ActionKind {
            $(#[serde(rename = $id)] $variant,)*
        }

        impl ActionKind {
            /// Every kind.
            pub const ALL: &'static [ActionKind] = &[$(ActionKind::$variant,)*];

            /// The stable id, `object.verb`.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(ActionKind::$variant => $id,)* }
            }

            /// The scope that a token must hold for it, as a whole word.
            #[must_use]
            pub const fn scope(self) -> &'static str {
                match self { $(ActionKind::$variant => $scope,)* }
            }

            /// Whether it changes anything, so that its intent must be on disk before it is done.
            #[must_use]
            pub const fn changes(self) -> bool {
                match self { $(ActionKind::$variant => kinds!(@ $effect),)* }
            }
        }
    };
    (@ reads) => { false };
    (@ changes) => { true };
}

kinds! {
    Ping "system.ping" "system:read" reads;
    Version "system.version" "system:read" reads;
    Info "system.info" "system:read" reads;
    DiskUsage "system.disk-usage" "system:read" reads;
    Events "system.events" "system:read" reads;
    ContainerList "container.list" "containers:read" reads;
    ContainerInspect "container.inspect" "containers:read" reads;
    ContainerLogs "container.logs" "containers:read" reads;
    ContainerChanges "container.changes" "containers:read" reads;
    ContainerStats "container.stats" "containers:read" reads;
    ContainerTop "container.top" "containers:read" reads;
    ContainerWait "container.wait" "containers:read" reads;
    ContainerCreate "container.create" "containers:run" changes;
    ContainerStart "container.start" "containers:run" changes;
    ContainerStop "container.stop" "containers:run" changes;
    ContainerRestart "container.restart" "containers:run" changes;
    ContainerKill "container.kill" "containers:run" changes;
    ContainerPause "container.pause" "containers:run" changes;
    ContainerUnpause "container.unpause" "containers:run" changes;
    ContainerRename "container.rename" "containers:run" changes;
    ContainerRemove "container.remove" "containers:run" changes;
    ContainerAttach "container.attach" "containers:run" changes;
    ContainerResize "container.resize" "containers:run" changes;
    ContainerCopyOut "container.copy-out" "containers:read" reads;
    ContainerPathStat "container.path-stat" "containers:read" reads;
    ContainerCopyIn "container.copy-in" "containers:run" changes;
    ContainerPrune "container.prune" "containers:run" changes;
    ExecCreate "exec.create" "containers:exec" changes;
    ExecStart "exec.start" "containers:exec" changes;
    ExecInspect "exec.inspect" "containers:exec" reads;
    ExecResize "exec.resize" "containers:exec" changes;
    ImageList "image.list" "images:read" reads;
    ImageInspect "image.inspect" "images:read" reads;
    ImageHistory "image.history" "images:read" reads;
    ImagePull "image.pull" "images:write" changes;
    ImageTag "image.tag" "images:write" changes;
    ImageRemove "image.remove" "images:write" changes;
    NetworkList "network.list" "networks:read" reads;
    NetworkInspect "network.inspect" "networks:read" reads;
    NetworkCreate "network.create" "networks:write" changes;
    NetworkRemove "network.remove" "networks:write" changes;
    NetworkConnect "network.connect" "networks:write" changes;
    NetworkDisconnect "network.disconnect" "networks:write" changes;
    NetworkPrune "network.prune" "networks:write" changes;
    VolumeList "volume.list" "volumes:read" reads;
    VolumeInspect "volume.inspect" "volumes:read" reads;
    VolumeCreate "volume.create" "volumes:write" changes;
    VolumeRemove "volume.remove" "volumes:write" changes;
    VolumePrune "volume.prune" "volumes:write" changes;
}

impl ActionKind {
    /// Whether the head of the answer may come late by the nature of the action: it waits for a
    /// container, a registry or a disk, or for what is yet to happen. The engine sends the head of
    /// followed logs with their first line, which may be hours away. A client waits for as long as it
    /// wants the answer, and the gate for as long as the client does; the broker ends what the engine
    /// has a bound for (a stop) and what works on the disk alone after minutes.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(
            self,
            ActionKind::ContainerWait
                | ActionKind::ContainerStop
                | ActionKind::ContainerRestart
                | ActionKind::ContainerRemove
                | ActionKind::ContainerPrune
                | ActionKind::ContainerCopyIn
                | ActionKind::ContainerCopyOut
                | ActionKind::ContainerChanges
                | ActionKind::ContainerLogs
                | ActionKind::ContainerStats
                | ActionKind::DiskUsage
                | ActionKind::Events
                | ActionKind::ImagePull
                | ActionKind::ImageRemove
                | ActionKind::NetworkPrune
                | ActionKind::VolumePrune
        )
    }
}

impl Action {
    /// The kind of this action.
    #[must_use]
    pub const fn kind(&self) -> ActionKind {
        match self {
            Action::Ping => ActionKind::Ping,
            Action::Version => ActionKind::Version,
            Action::Info => ActionKind::Info,
            Action::DiskUsage => ActionKind::DiskUsage,
            Action::Events(_) => ActionKind::Events,
            Action::ContainerList(_) => ActionKind::ContainerList,
            Action::ContainerInspect { .. } => ActionKind::ContainerInspect,
            Action::ContainerLogs(_) => ActionKind::ContainerLogs,
            Action::ContainerChanges { .. } => ActionKind::ContainerChanges,
            Action::ContainerStats { .. } => ActionKind::ContainerStats,
            Action::ContainerTop { .. } => ActionKind::ContainerTop,
            Action::ContainerWait { .. } => ActionKind::ContainerWait,
            Action::ContainerCreate(_) => ActionKind::ContainerCreate,
            Action::ContainerStart { .. } => ActionKind::ContainerStart,
            Action::ContainerStop { .. } => ActionKind::ContainerStop,
            Action::ContainerRestart { .. } => ActionKind::ContainerRestart,
            Action::ContainerKill { .. } => ActionKind::ContainerKill,
            Action::ContainerPause { .. } => ActionKind::ContainerPause,
            Action::ContainerUnpause { .. } => ActionKind::ContainerUnpause,
            Action::ContainerRename { .. } => ActionKind::ContainerRename,
            Action::ContainerRemove { .. } => ActionKind::ContainerRemove,
            Action::ContainerAttach(_) => ActionKind::ContainerAttach,
            Action::ContainerResize { .. } => ActionKind::ContainerResize,
            Action::ContainerCopyOut { .. } => ActionKind::ContainerCopyOut,
            Action::ContainerPathStat { .. } => ActionKind::ContainerPathStat,
            Action::ContainerCopyIn { .. } => ActionKind::ContainerCopyIn,
            Action::ContainerPrune { .. } => ActionKind::ContainerPrune,
            Action::ExecCreate { .. } => ActionKind::ExecCreate,
            Action::ExecStart { .. } => ActionKind::ExecStart,
            Action::ExecInspect { .. } => ActionKind::ExecInspect,
            Action::ExecResize { .. } => ActionKind::ExecResize,
            Action::ImageList(_) => ActionKind::ImageList,
            Action::ImageInspect { .. } => ActionKind::ImageInspect,
            Action::ImageHistory { .. } => ActionKind::ImageHistory,
            Action::ImagePull { .. } => ActionKind::ImagePull,
            Action::ImageTag { .. } => ActionKind::ImageTag,
            Action::ImageRemove { .. } => ActionKind::ImageRemove,
            Action::NetworkList { .. } => ActionKind::NetworkList,
            Action::NetworkInspect { .. } => ActionKind::NetworkInspect,
            Action::NetworkCreate(_) => ActionKind::NetworkCreate,
            Action::NetworkRemove { .. } => ActionKind::NetworkRemove,
            Action::NetworkConnect { .. } => ActionKind::NetworkConnect,
            Action::NetworkDisconnect { .. } => ActionKind::NetworkDisconnect,
            Action::NetworkPrune { .. } => ActionKind::NetworkPrune,
            Action::VolumeList { .. } => ActionKind::VolumeList,
            Action::VolumeInspect { .. } => ActionKind::VolumeInspect,
            Action::VolumeCreate { .. } => ActionKind::VolumeCreate,
            Action::VolumeRemove { .. } => ActionKind::VolumeRemove,
            Action::VolumePrune { .. } => ActionKind::VolumePrune,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_exec_has_a_scope_of_its_own() {
        let ids: HashSet<_> = ActionKind::ALL.iter().map(|kind| kind.id()).collect();
        assert_eq!(ids.len(), ActionKind::ALL.len());
        for kind in ActionKind::ALL {
            assert_eq!(
                kind.id().starts_with("exec."),
                kind.scope() == "containers:exec",
                "{kind:?}"
            );
        }
    }
}
