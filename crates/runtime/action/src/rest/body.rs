//! Bodies that are no action's own type: what the path says already is not in them.

use serde::{Deserialize, Serialize};

use crate::image::{ImageRef, Platform};
use crate::name::{ContainerRef, Hostname, VolumeName};
use crate::value::Labels;

/// `POST /v1/images/pull`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ImagePull {
    /// Which image.
    pub image: ImageRef,
    /// For which platform.
    #[serde(default)]
    pub platform: Option<Platform>,
}

/// `POST /v1/images/{image}/tag`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ImageTag {
    /// The new name; always a tag.
    pub target: ImageRef,
}

/// `POST /v1/networks/{network}/connect`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NetworkConnect {
    /// Which container.
    pub container: ContainerRef,
    /// Its names in the network.
    #[serde(default)]
    pub aliases: Vec<Hostname>,
}

/// `POST /v1/networks/{network}/disconnect`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NetworkDisconnect {
    /// Which container.
    pub container: ContainerRef,
    /// Whether a container that is gone does not matter.
    #[serde(default)]
    pub force: bool,
}

/// `POST /v1/volumes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VolumeCreate {
    /// Its name; one is made up where there is none.
    #[serde(default)]
    pub name: Option<VolumeName>,
    /// Labels.
    #[serde(default)]
    pub labels: Labels,
}
