//! Commands in a running container.

use super::null_is_zero;
use serde::{Deserialize, Serialize};

/// The body of `POST /containers/{id}/exec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExecCreate {
    /// Whether standard input is passed.
    #[serde(deserialize_with = "null_is_zero")]
    pub attach_stdin: bool,
    /// Whether standard output is passed.
    #[serde(deserialize_with = "null_is_zero")]
    pub attach_stdout: bool,
    /// Whether standard error is passed.
    #[serde(deserialize_with = "null_is_zero")]
    pub attach_stderr: bool,
    /// Whether a terminal is allocated.
    #[serde(deserialize_with = "null_is_zero")]
    pub tty: bool,
    /// The command.
    #[serde(deserialize_with = "null_is_zero")]
    pub cmd: Vec<String>,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    /// `user[:group]`, empty for the container's.
    #[serde(deserialize_with = "null_is_zero")]
    pub user: String,
    /// All capabilities.
    #[serde(deserialize_with = "null_is_zero")]
    pub privileged: bool,
    /// Working directory, empty for the container's.
    #[serde(deserialize_with = "null_is_zero")]
    pub working_dir: String,
}

/// The answer to a create of something that has an id only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IdAnswer {
    /// 64 hexadecimal digits.
    pub id: String,
}

/// The body of `POST /exec/{id}/start`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExecStart {
    /// Return at once.
    #[serde(deserialize_with = "null_is_zero")]
    pub detach: bool,
    /// As at its creation.
    #[serde(deserialize_with = "null_is_zero")]
    pub tty: bool,
}

/// The answer to `GET /exec/{id}/json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// 64 hexadecimal digits.
    #[serde(rename = "ID")]
    pub id: String,
    /// Whether it runs.
    #[serde(rename = "Running")]
    pub running: bool,
    /// `None` while it runs.
    #[serde(rename = "ExitCode")]
    pub exit_code: Option<i64>,
    /// Its container.
    #[serde(rename = "ContainerID")]
    pub container_id: String,
}
