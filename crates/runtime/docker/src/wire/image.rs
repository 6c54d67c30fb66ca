//! Images.

use super::null_is_zero;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One entry of `GET /images/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageSummary {
    /// `sha256:` and 64 hexadecimal digits.
    pub id: String,
    /// Empty at the root.
    pub parent_id: String,
    /// `name:tag`.
    #[serde(deserialize_with = "null_is_zero")]
    pub repo_tags: Vec<String>,
    /// `name@digest`.
    #[serde(deserialize_with = "null_is_zero")]
    pub repo_digests: Vec<String>,
    /// Seconds since 1970.
    pub created: i64,
    /// Bytes.
    pub size: i64,
    /// -1 where it is not counted.
    pub shared_size: i64,
    /// Free-form.
    #[serde(deserialize_with = "null_is_zero")]
    pub labels: BTreeMap<String, String>,
    /// -1 where it is not counted.
    pub containers: i64,
}

/// The answer to `GET /images/{name}/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Image {
    /// `sha256:` and 64 hexadecimal digits.
    pub id: String,
    /// `name:tag`.
    #[serde(deserialize_with = "null_is_zero")]
    pub repo_tags: Vec<String>,
    /// `name@digest`.
    #[serde(deserialize_with = "null_is_zero")]
    pub repo_digests: Vec<String>,
    /// RFC 3339.
    pub created: String,
    /// What a container of it runs.
    #[serde(deserialize_with = "null_is_zero")]
    pub config: ImageConfig,
    /// Such as `amd64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// Bytes.
    pub size: i64,
}

/// What a container of an image runs unless told otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    /// `user[:group]`.
    #[serde(deserialize_with = "null_is_zero")]
    pub user: String,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    /// The default arguments.
    pub cmd: Option<Vec<String>>,
    /// The entry point.
    pub entrypoint: Option<Vec<String>>,
    /// The working directory.
    #[serde(deserialize_with = "null_is_zero")]
    pub working_dir: String,
}
