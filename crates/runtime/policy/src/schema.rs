//! The Cedar schema, made from the action types.

use std::fmt::Write as _;

use cofferdam_action::action::ActionKind;

use crate::request::ResourceKind;

/// The entities and the types that several actions share.
const TYPES: &str = "\
// What a policy of Cofferdam can speak of. Made from the action types; do not edit it.

// The name of an image. `name` is registry and repository: `docker.io/library/alpine`.
type ImageName = {
  name: String,
  registry: String,
  repository: String,
  tag?: String,
  digest?: String,
};

// The time of the request, in UTC. `now` in seconds since 1970, `hour` from 0 to 23, `weekday` from
// 1, Monday, to 7, Sunday.
type Time = {
  now: Long,
  hour: Long,
  weekday: Long,
};

// A tenant owns what it makes. `Tenant::\"*\"` is everyone's objects, in a list of all.
entity Tenant;

// A role or group of the token: `principal in Role::\"runner\"`.
entity Role;
entity Group;

// Who asks. Its id is issuer and subject: `https://idp.example#alice`.
entity Principal in [Role, Group] = {
  owner: Tenant,
  issuer: String,
  subject: String,
  client?: String,
  scopes: Set<String>,
};

// What is acted on. What a tenant owns is in it: `resource in principal.owner`. The images that the
// operator allows to everyone are in `System::\"engine\"`.
entity System;
entity Container in [Tenant] = {
  name?: String,
};
entity Exec in [Tenant];
entity Image in [Tenant, System] = {
  image: ImageName,
};
entity Network in [Tenant] = {
  name?: String,
};
entity Volume in [Tenant] = {
  name?: String,
};

// Actions by what they do, and by the scope that a token needs for them.
";

/// The Cedar schema that every policy is validated against.
#[must_use]
pub fn schema() -> String {
    let mut text = TYPES.to_owned();
    let mut scopes: Vec<&str> = ActionKind::ALL.iter().map(|kind| kind.scope()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let groups: Vec<String> = ["read", "change"]
        .into_iter()
        .chain(scopes)
        .map(|group| format!("{group:?}"))
        .collect();
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "action {};", groups.join(", "));
    for &kind in ActionKind::ALL {
        let resources: Vec<&str> = resource_kinds(kind)
            .iter()
            .map(|resource| resource.entity_type())
            .collect();
        let _ = write!(
            text,
            "\naction {:?} in [{:?}, {:?}] appliesTo {{\n  principal: [Principal],\n  \
             resource: [{}],\n  context: {{\n    time: Time,\n",
            kind.id(),
            effect(kind),
            kind.scope(),
            resources.join(", ")
        );
        for line in members(kind).lines() {
            let _ = writeln!(text, "    {line}");
        }
        text.push_str("  },\n};\n");
    }
    text
}

/// What kinds of objects an action is decided on. An action that joins several must be permitted
/// on each of them.
#[must_use]
pub const fn resource_kinds(kind: ActionKind) -> &'static [ResourceKind] {
    use ResourceKind::{Container, Exec, Image, Network, System, Tenant, Volume};
    match kind {
        ActionKind::Ping | ActionKind::Version | ActionKind::Info => &[System],

        ActionKind::DiskUsage
        | ActionKind::Events
        | ActionKind::ContainerList
        | ActionKind::ContainerPrune
        | ActionKind::ImageList
        | ActionKind::NetworkList
        | ActionKind::NetworkCreate
        | ActionKind::NetworkPrune
        | ActionKind::VolumeList
        | ActionKind::VolumeCreate
        | ActionKind::VolumePrune => &[Tenant],

        ActionKind::ContainerCreate => &[Tenant, Container, Network, Volume],

        ActionKind::ContainerInspect
        | ActionKind::ContainerLogs
        | ActionKind::ContainerChanges
        | ActionKind::ContainerStats
        | ActionKind::ContainerTop
        | ActionKind::ContainerWait
        | ActionKind::ContainerStart
        | ActionKind::ContainerStop
        | ActionKind::ContainerRestart
        | ActionKind::ContainerKill
        | ActionKind::ContainerPause
        | ActionKind::ContainerUnpause
        | ActionKind::ContainerRename
        | ActionKind::ContainerRemove
        | ActionKind::ContainerAttach
        | ActionKind::ContainerResize
        | ActionKind::ContainerCopyOut
        | ActionKind::ContainerPathStat
        | ActionKind::ContainerCopyIn
        | ActionKind::ExecCreate => &[Container],

        ActionKind::ExecStart | ActionKind::ExecInspect | ActionKind::ExecResize => &[Exec],

        ActionKind::ImageInspect
        | ActionKind::ImageHistory
        | ActionKind::ImagePull
        | ActionKind::ImageTag
        | ActionKind::ImageRemove => &[Image],

        ActionKind::NetworkInspect | ActionKind::NetworkRemove => &[Network],
        ActionKind::NetworkConnect | ActionKind::NetworkDisconnect => &[Container, Network],

        ActionKind::VolumeInspect | ActionKind::VolumeRemove => &[Volume],
    }
}

/// The group of an action by what it does.
pub(crate) const fn effect(kind: ActionKind) -> &'static str {
    match kind.changes() {
        true => "change",
        false => "read",
    }
}

/// The members of the context beyond the time, as [`crate::context`] fills them in.
const fn members(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::ContainerCreate => {
            "\
// What it is called, if the caller names it.
name?: String,
image: ImageName,
// The first word of entry point or command, if it is not the image's.
program?: String,
// As written, if it is not the image's: `1000`, `app:app`.
user?: String,
// `key=value`.
labels: Set<String>,
// `default`, `bridge`, `none`, `network` or `container`.
network: String,
// Whether a port is published on the host, and whether on more than a loopback address of it.
publishes: Bool,
publishes_beyond_loopback: Bool,
// The lowest and highest port of the host that is chosen by number; 0 where none is.
lowest_host_port: Long,
highest_host_port: Long,
// What only an exception of the operator allows.
host_paths: Set<String>,
writable_host_paths: Set<String>,
devices: Set<String>,
sysctls: Set<String>,
// The capabilities that it ends up with.
capabilities: Set<String>,
// Whether it shares the processes of another container.
shares_processes: Bool,
read_only_root: Bool,
health_command: Bool,
// Bytes, thousandths of a processor, processes; 9223372036854775807 where there is no limit.
memory: Long,
cpu: Long,
pids: Long,
// `no`, `always`, `unless-stopped` or `on-failure`.
restart: String,
auto_remove: Bool,
"
        }
        ActionKind::ContainerKill => {
            "\
// Its number: 9 is SIGKILL, 15 SIGTERM.
signal: Long,
"
        }
        ActionKind::ContainerRename => "name: String,\n",
        ActionKind::ContainerRemove => "force: Bool,\nvolumes: Bool,\n",
        ActionKind::ContainerAttach => {
            "\
// Whether the caller can write to its input.
stdin: Bool,
"
        }
        ActionKind::ContainerCopyOut
        | ActionKind::ContainerPathStat
        | ActionKind::ContainerCopyIn => "path: String,\n",
        ActionKind::ExecCreate => {
            "\
program: String,
user?: String,
stdin: Bool,
tty: Bool,
"
        }
        ActionKind::ImageTag => "target: ImageName,\n",
        ActionKind::ImageRemove => "force: Bool,\n",
        ActionKind::NetworkCreate => "name: String,\ninternal: Bool,\n",
        ActionKind::VolumeCreate => "name?: String,\n",

        ActionKind::Ping
        | ActionKind::Version
        | ActionKind::Info
        | ActionKind::DiskUsage
        | ActionKind::Events
        | ActionKind::ContainerList
        | ActionKind::ContainerInspect
        | ActionKind::ContainerLogs
        | ActionKind::ContainerChanges
        | ActionKind::ContainerStats
        | ActionKind::ContainerTop
        | ActionKind::ContainerWait
        | ActionKind::ContainerStart
        | ActionKind::ContainerStop
        | ActionKind::ContainerRestart
        | ActionKind::ContainerPause
        | ActionKind::ContainerUnpause
        | ActionKind::ContainerResize
        | ActionKind::ContainerPrune
        | ActionKind::ExecStart
        | ActionKind::ExecInspect
        | ActionKind::ExecResize
        | ActionKind::ImageList
        | ActionKind::ImageInspect
        | ActionKind::ImageHistory
        | ActionKind::ImagePull
        | ActionKind::NetworkList
        | ActionKind::NetworkInspect
        | ActionKind::NetworkRemove
        | ActionKind::NetworkConnect
        | ActionKind::NetworkDisconnect
        | ActionKind::NetworkPrune
        | ActionKind::VolumeList
        | ActionKind::VolumeInspect
        | ActionKind::VolumeRemove
        | ActionKind::VolumePrune => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_the_one_that_the_actions_make() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/policies/cofferdam.cedarschema"
        );
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == schema(),
            "run `cargo run -p cofferdam -- generate` and commit what it writes"
        );
    }
}
