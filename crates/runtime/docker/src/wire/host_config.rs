//! `HostConfig`: what a container may touch of its host.

use super::null_is_zero;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the container meets its host. `None` is Go's nil and is written as `null`: for
/// `MaskedPaths` the engine tells `null` (its defaults) from an empty list (nothing masked).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    /// `source:target[:mode]`.
    pub binds: Option<Vec<String>>,
    /// Structured mounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Vec<Mount>>,
    /// All capabilities, all devices, no profile.
    #[serde(deserialize_with = "null_is_zero")]
    pub privileged: bool,
    /// Capabilities added to the default set.
    pub cap_add: Option<Vec<String>>,
    /// Capabilities taken from the default set.
    pub cap_drop: Option<Vec<String>>,
    /// Profiles and labels, such as `seccomp=unconfined`.
    pub security_opt: Option<Vec<String>>,
    /// `host`, `container:ID` or empty.
    #[serde(deserialize_with = "null_is_zero")]
    pub pid_mode: String,
    /// `host`, `private`, `shareable`, `container:ID` or empty.
    #[serde(deserialize_with = "null_is_zero")]
    pub ipc_mode: String,
    /// `default`, `bridge`, `host`, `none`, `container:ID` or a network's name.
    #[serde(deserialize_with = "null_is_zero")]
    pub network_mode: String,
    /// `host` or empty.
    #[serde(deserialize_with = "null_is_zero")]
    pub userns_mode: String,
    /// `host` or empty.
    #[serde(rename = "UTSMode", deserialize_with = "null_is_zero")]
    pub uts_mode: String,
    /// `host`, `private` or empty.
    #[serde(deserialize_with = "null_is_zero")]
    pub cgroupns_mode: String,
    /// Device nodes passed in.
    pub devices: Option<Vec<Device>>,
    /// Rules of the device cgroup.
    pub device_cgroup_rules: Option<Vec<String>>,
    /// Additional groups of the process.
    pub group_add: Option<Vec<String>>,
    /// Whether the root filesystem is read-only.
    #[serde(deserialize_with = "null_is_zero")]
    pub readonly_rootfs: bool,
    /// Paths hidden from the container; `null` is the engine's default list.
    pub masked_paths: Option<Vec<String>>,
    /// Paths that are read-only; `null` is the engine's default list.
    pub readonly_paths: Option<Vec<String>>,
    /// The OCI runtime.
    #[serde(deserialize_with = "null_is_zero")]
    pub runtime: String,
    /// When to start it again.
    #[serde(deserialize_with = "null_is_zero")]
    pub restart_policy: RestartPolicy,
    /// `80/tcp` → where it is published.
    #[serde(deserialize_with = "null_is_zero")]
    pub port_bindings: BTreeMap<String, Option<Vec<PortBinding>>>,
    /// Remove it when it ends.
    #[serde(deserialize_with = "null_is_zero")]
    pub auto_remove: bool,
    /// Memory limit in bytes, 0 for none.
    #[serde(deserialize_with = "null_is_zero")]
    pub memory: i64,
    /// CPU limit in billionths of a CPU, 0 for none.
    #[serde(deserialize_with = "null_is_zero")]
    pub nano_cpus: i64,
    /// Limit of processes; `null`, 0 or -1 for none.
    pub pids_limit: Option<i64>,
    /// Additional lines of `/etc/hosts`.
    pub extra_hosts: Option<Vec<String>>,
    /// Containers whose volumes are taken over.
    pub volumes_from: Option<Vec<String>>,
    /// Kernel parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sysctls: Option<BTreeMap<String, String>>,
    /// tmpfs mounts: target → options.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs: Option<BTreeMap<String, String>>,
}

/// One structured mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs` or `npipe`.
    #[serde(rename = "Type", deserialize_with = "null_is_zero")]
    pub kind: String,
    /// Path on the host or name of a volume.
    #[serde(deserialize_with = "null_is_zero")]
    pub source: String,
    /// Path in the container.
    #[serde(deserialize_with = "null_is_zero")]
    pub target: String,
    /// Whether it is read-only.
    #[serde(deserialize_with = "null_is_zero")]
    pub read_only: bool,
}

/// One device node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Device {
    /// On the host.
    pub path_on_host: String,
    /// In the container.
    pub path_in_container: String,
    /// Such as `rwm`.
    pub cgroup_permissions: String,
}

/// When the engine starts a container again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    /// `no`, `always`, `unless-stopped`, `on-failure` or empty.
    pub name: String,
    /// How often, for `on-failure`.
    pub maximum_retry_count: i64,
}

/// Where a port of a container is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortBinding {
    /// The address of the host, empty for all.
    pub host_ip: String,
    /// The port of the host.
    pub host_port: String,
}
