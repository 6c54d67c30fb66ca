//! Containers: create, list, inspect, wait.

use super::{HostConfig, null_is_zero};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The part of a container that does not depend on its host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// Host name inside.
    #[serde(deserialize_with = "null_is_zero")]
    pub hostname: String,
    /// `user[:group]`, empty for the image's.
    #[serde(deserialize_with = "null_is_zero")]
    pub user: String,
    /// Whether a terminal is allocated.
    #[serde(deserialize_with = "null_is_zero")]
    pub tty: bool,
    /// Whether standard input stays open.
    #[serde(deserialize_with = "null_is_zero")]
    pub open_stdin: bool,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    /// Arguments, or the whole command when the image has no entry point.
    #[serde(deserialize_with = "text_or_list")]
    pub cmd: Option<Vec<String>>,
    /// The image as the caller named it.
    #[serde(deserialize_with = "null_is_zero")]
    pub image: String,
    /// Working directory, empty for the image's.
    #[serde(deserialize_with = "null_is_zero")]
    pub working_dir: String,
    /// Replaces the image's entry point.
    #[serde(deserialize_with = "text_or_list")]
    pub entrypoint: Option<Vec<String>>,
    /// Free-form.
    #[serde(deserialize_with = "null_is_zero")]
    pub labels: BTreeMap<String, String>,
    /// `80/tcp` → `{}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Value>>,
}

/// The body of `POST /containers/create`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateBody {
    /// What runs.
    #[serde(flatten)]
    pub config: ContainerConfig,
    /// What it may touch.
    #[serde(deserialize_with = "null_is_zero")]
    pub host_config: HostConfig,
}

/// The answer to `POST /containers/create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateAnswer {
    /// 64 hexadecimal digits.
    pub id: String,
    /// What the engine ignored.
    #[serde(default, deserialize_with = "null_is_zero")]
    pub warnings: Vec<String>,
}

/// One entry of `GET /containers/json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerSummary {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Each with a leading slash.
    pub names: Vec<String>,
    /// As the caller named it.
    pub image: String,
    /// The image's id.
    #[serde(rename = "ImageID")]
    pub image_id: String,
    /// The command line as text.
    pub command: String,
    /// Seconds since 1970.
    pub created: i64,
    /// Published ports.
    #[serde(default, deserialize_with = "null_is_zero")]
    pub ports: Vec<Value>,
    /// Free-form.
    #[serde(default, deserialize_with = "null_is_zero")]
    pub labels: BTreeMap<String, String>,
    /// `created`, `running`, `exited`, …
    pub state: String,
    /// The state as a phrase, such as `Up 3 seconds`.
    pub status: String,
    /// The network mode alone.
    pub host_config: SummaryHostConfig,
    /// Networks it is in.
    pub network_settings: NetworkSettings,
    /// What is mounted.
    #[serde(default, deserialize_with = "null_is_zero")]
    pub mounts: Vec<MountPoint>,
}

/// The part of `HostConfig` that a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SummaryHostConfig {
    /// As created.
    pub network_mode: String,
}

/// The networks of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkSettings {
    /// By the network's name.
    #[serde(deserialize_with = "null_is_zero")]
    pub networks: BTreeMap<String, EndpointSettings>,
}

/// One network of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointSettings {
    /// The address, empty when it does not run.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    /// The gateway.
    pub gateway: String,
    /// The network's id.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
}

/// One mount as the engine made it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountPoint {
    /// `bind`, `volume` or `tmpfs`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub destination: String,
    /// The mode text of a bind.
    pub mode: String,
    /// Whether it is writable.
    #[serde(rename = "RW")]
    pub rw: bool,
    /// Such as `rprivate`.
    pub propagation: String,
}

/// The answer to `GET /containers/{id}/json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// RFC 3339.
    pub created: String,
    /// The program.
    pub path: String,
    /// Its arguments.
    #[serde(default, deserialize_with = "null_is_zero")]
    pub args: Vec<String>,
    /// Whether and since when it runs.
    pub state: State,
    /// The image's id.
    pub image: String,
    /// With a leading slash.
    pub name: String,
    /// How often the engine started it again.
    #[serde(default)]
    pub restart_count: i64,
    /// The storage driver.
    #[serde(default)]
    pub driver: String,
    /// `linux`.
    #[serde(default)]
    pub platform: String,
    /// The AppArmor profile, empty where the host has none.
    #[serde(default)]
    pub app_armor_profile: String,
    /// Running execs.
    #[serde(rename = "ExecIDs", default)]
    pub exec_ids: Option<Vec<String>>,
    /// What it may touch.
    pub host_config: HostConfig,
    /// What is mounted.
    #[serde(default, deserialize_with = "null_is_zero")]
    pub mounts: Vec<MountPoint>,
    /// What runs.
    pub config: ContainerConfig,
    /// Networks it is in.
    #[serde(default, deserialize_with = "null_is_zero")]
    pub network_settings: NetworkSettings,
}

/// The state of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct State {
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub status: String,
    /// Whether its process lives.
    pub running: bool,
    /// Whether it is frozen.
    pub paused: bool,
    /// Whether the engine is starting it again.
    pub restarting: bool,
    /// Whether the kernel killed it for want of memory.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    /// Whether it could not be removed.
    pub dead: bool,
    /// On the host, 0 when it does not run.
    pub pid: i64,
    /// Of the last run.
    pub exit_code: i64,
    /// Why it did not start.
    pub error: String,
    /// RFC 3339; year 1 for never.
    pub started_at: String,
    /// RFC 3339; year 1 for never.
    pub finished_at: String,
    /// Health check, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// The state of a health check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Health {
    /// `starting`, `healthy` or `unhealthy`.
    pub status: String,
}

/// The answer to `POST /containers/{id}/wait`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct WaitAnswer {
    /// The exit code.
    pub status_code: i64,
    /// Why waiting failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<WaitError>,
}

/// Why waiting failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct WaitError {
    /// For people.
    pub message: String,
}

/// The engine takes a command as a list or as one text, which it keeps as a list of one.
fn text_or_list<'de, D>(deserializer: D) -> Result<Option<Vec<String>>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        List(Vec<String>),
    }
    Ok(match Option::<Either>::deserialize(deserializer)? {
        None => None,
        Some(Either::Text(text)) => Some(vec![text]),
        Some(Either::List(list)) => Some(list),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_is_read_as_go_reads_it() {
        let body: CreateBody = serde_json::from_value(json!({
            "Image": "a", "User": null, "Tty": null, "Labels": null, "Cmd": "true", "Entrypoint": null,
            "HostConfig": {"Privileged": null, "PidMode": null, "MaskedPaths": null, "RestartPolicy": null}
        }))
        .unwrap();
        assert_eq!(body.config.cmd, Some(vec!["true".to_owned()]));
        assert_eq!(body.host_config, HostConfig::default());
        assert_eq!(
            serde_json::from_value::<CreateBody>(json!({"HostConfig": null})).unwrap(),
            CreateBody::default()
        );
    }

    #[test]
    fn an_empty_list_of_masked_paths_is_not_null() {
        let body: CreateBody =
            serde_json::from_value(json!({"HostConfig": {"MaskedPaths": []}})).unwrap();
        assert_eq!(body.host_config.masked_paths, Some(vec![]));
        let text = serde_json::to_value(&body).unwrap();
        assert_eq!(text["HostConfig"]["MaskedPaths"], json!([]));
        assert_eq!(text["HostConfig"]["ReadonlyPaths"], Value::Null);
    }
}
