//! An action of each kind, for cases that only say what differs.

use cofferdam_action::action::ActionKind;

/// An action of a kind, in the JSON that [`cofferdam_action::action::Action`] is read from. Its
/// container is `web`, its network `net`, its volume `data`, its image `alpine`.
#[must_use]
pub const fn example(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Ping => r#"{"Ping":null}"#,
        ActionKind::Version => r#"{"Version":null}"#,
        ActionKind::Info => r#"{"Info":null}"#,
        ActionKind::DiskUsage => r#"{"DiskUsage":null}"#,
        ActionKind::Events => r#"{"Events":{}}"#,
        ActionKind::ContainerList => r#"{"ContainerList":{}}"#,
        ActionKind::ContainerInspect => r#"{"ContainerInspect":{"container":"web","size":false}}"#,
        ActionKind::ContainerLogs => r#"{"ContainerLogs":{"container":"web","stdout":true}}"#,
        ActionKind::ContainerChanges => r#"{"ContainerChanges":{"container":"web"}}"#,
        ActionKind::ContainerStats => {
            r#"{"ContainerStats":{"container":"web","stream":false,"one_shot":true}}"#
        }
        ActionKind::ContainerTop => r#"{"ContainerTop":{"container":"web","columns":null}}"#,
        ActionKind::ContainerWait => r#"{"ContainerWait":{"container":"web","condition":null}}"#,
        ActionKind::ContainerCreate => {
            r#"{"ContainerCreate":{"image":"alpine","resources":{"memory":536870912,"pids":256}}}"#
        }
        ActionKind::ContainerStart => {
            r#"{"ContainerStart":{"container":"web","detach_keys":null}}"#
        }
        ActionKind::ContainerStop => r#"{"ContainerStop":{"container":"web","timeout":null}}"#,
        ActionKind::ContainerRestart => {
            r#"{"ContainerRestart":{"container":"web","timeout":null}}"#
        }
        ActionKind::ContainerKill => r#"{"ContainerKill":{"container":"web","signal":null}}"#,
        ActionKind::ContainerPause => r#"{"ContainerPause":{"container":"web"}}"#,
        ActionKind::ContainerUnpause => r#"{"ContainerUnpause":{"container":"web"}}"#,
        ActionKind::ContainerRename => r#"{"ContainerRename":{"container":"web","name":"other"}}"#,
        ActionKind::ContainerRemove => {
            r#"{"ContainerRemove":{"container":"web","force":false,"volumes":false}}"#
        }
        ActionKind::ContainerAttach => {
            r#"{"ContainerAttach":{"container":"web","stream":true,"stdout":true}}"#
        }
        ActionKind::ContainerResize => {
            r#"{"ContainerResize":{"container":"web","size":{"height":24,"width":80}}}"#
        }
        ActionKind::ContainerCopyOut => {
            r#"{"ContainerCopyOut":{"container":"web","path":"/srv/file"}}"#
        }
        ActionKind::ContainerPathStat => {
            r#"{"ContainerPathStat":{"container":"web","path":"/srv/file"}}"#
        }
        ActionKind::ContainerCopyIn => {
            r#"{"ContainerCopyIn":{"container":"web","path":"/srv","no_overwrite_dir_non_dir":false,"copy_uid_gid":false}}"#
        }
        ActionKind::ContainerPrune => r#"{"ContainerPrune":{"filters":{}}}"#,
        ActionKind::ExecCreate => {
            r#"{"ExecCreate":{"container":"web","exec":{"command":["true"]}}}"#
        }
        ActionKind::ExecStart => {
            r#"{"ExecStart":{"exec":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","detach":false,"tty":false}}"#
        }
        ActionKind::ExecInspect => {
            r#"{"ExecInspect":{"exec":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"}}"#
        }
        ActionKind::ExecResize => {
            r#"{"ExecResize":{"exec":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","size":{"height":24,"width":80}}}"#
        }
        ActionKind::ImageList => r#"{"ImageList":{}}"#,
        ActionKind::ImageInspect => r#"{"ImageInspect":{"image":{"name":"alpine"}}}"#,
        ActionKind::ImageHistory => r#"{"ImageHistory":{"image":{"name":"alpine"}}}"#,
        ActionKind::ImagePull => r#"{"ImagePull":{"image":"alpine","platform":null}}"#,
        ActionKind::ImageTag => {
            r#"{"ImageTag":{"image":{"name":"alpine"},"target":"mine/alpine"}}"#
        }
        ActionKind::ImageRemove => {
            r#"{"ImageRemove":{"image":{"name":"alpine"},"force":false,"no_prune":false}}"#
        }
        ActionKind::NetworkList => r#"{"NetworkList":{"filters":{}}}"#,
        ActionKind::NetworkInspect => r#"{"NetworkInspect":{"network":"net"}}"#,
        ActionKind::NetworkCreate => r#"{"NetworkCreate":{"name":"net"}}"#,
        ActionKind::NetworkRemove => r#"{"NetworkRemove":{"network":"net"}}"#,
        ActionKind::NetworkConnect => {
            r#"{"NetworkConnect":{"container":"web","endpoint":{"network":"net"}}}"#
        }
        ActionKind::NetworkDisconnect => {
            r#"{"NetworkDisconnect":{"network":"net","container":"web","force":false}}"#
        }
        ActionKind::NetworkPrune => r#"{"NetworkPrune":{"filters":{}}}"#,
        ActionKind::VolumeList => r#"{"VolumeList":{"filters":{}}}"#,
        ActionKind::VolumeInspect => r#"{"VolumeInspect":{"volume":"data"}}"#,
        ActionKind::VolumeCreate => r#"{"VolumeCreate":{"name":"data","labels":{}}}"#,
        ActionKind::VolumeRemove => r#"{"VolumeRemove":{"volume":"data","force":false}}"#,
        ActionKind::VolumePrune => r#"{"VolumePrune":{"filters":{}}}"#,
    }
}

#[cfg(test)]
mod tests {
    use cofferdam_action::action::Action;

    use super::*;

    #[test]
    fn every_example_is_an_action_of_its_kind() {
        for &kind in ActionKind::ALL {
            let action: Action = serde_json::from_str(example(kind))
                .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            assert_eq!(action.kind(), kind);
        }
    }
}
