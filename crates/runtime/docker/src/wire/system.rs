//! The engine itself: version and info.

use super::null_is_zero;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The answer to `GET /version`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Version {
    /// The engine's own version.
    pub version: String,
    /// The newest API version that it serves.
    pub api_version: String,
    /// The oldest.
    #[serde(rename = "MinAPIVersion")]
    pub min_api_version: String,
    /// Revision of the build.
    pub git_commit: String,
    /// The Go compiler.
    pub go_version: String,
    /// `linux`.
    pub os: String,
    /// Such as `amd64`.
    pub arch: String,
    /// Of the host.
    pub kernel_version: String,
    /// RFC 3339.
    pub build_time: String,
    /// Engine, containerd, runc.
    #[serde(deserialize_with = "null_is_zero")]
    pub components: Vec<Component>,
}

/// One part of the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// More of it: the command line takes the engine's API version from here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// The answer to `GET /info`, as far as it bears on safety, and what a person expects to see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Info {
    /// Identifies the engine.
    #[serde(rename = "ID")]
    pub id: String,
    /// All containers.
    pub containers: i64,
    /// Those that run.
    pub containers_running: i64,
    /// Those that are frozen.
    pub containers_paused: i64,
    /// Those that do not run.
    pub containers_stopped: i64,
    /// All images.
    pub images: i64,
    /// The storage driver.
    pub driver: String,
    /// The directory on the host in which everything lies.
    pub docker_root_dir: String,
    /// Plug-ins by kind.
    #[serde(deserialize_with = "null_is_zero")]
    pub plugins: Plugins,
    /// `1` or `2`.
    pub cgroup_version: String,
    /// Of the host.
    pub kernel_version: String,
    /// Of the host.
    pub operating_system: String,
    /// `linux`.
    #[serde(rename = "OSType")]
    pub os_type: String,
    /// Such as `x86_64`.
    pub architecture: String,
    /// Host name.
    pub name: String,
    /// The engine's own version.
    pub server_version: String,
    /// The runtime of a container that names none.
    pub default_runtime: String,
    /// All runtimes by name.
    #[serde(deserialize_with = "null_is_zero")]
    pub runtimes: BTreeMap<String, serde_json::Value>,
    /// Such as `name=seccomp,profile=builtin`, `name=rootless`, `name=userns`.
    #[serde(deserialize_with = "null_is_zero")]
    pub security_options: Vec<String>,
    /// What people should know, such as an API without authentication.
    pub warnings: Option<Vec<String>>,
}

/// Plug-ins by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Plugins {
    /// Volume drivers.
    #[serde(deserialize_with = "null_is_zero")]
    pub volume: Vec<String>,
    /// Network drivers.
    #[serde(deserialize_with = "null_is_zero")]
    pub network: Vec<String>,
    /// Authorization plug-ins; `null` when there are none.
    pub authorization: Option<Vec<String>>,
    /// Log drivers.
    #[serde(deserialize_with = "null_is_zero")]
    pub log: Vec<String>,
}
