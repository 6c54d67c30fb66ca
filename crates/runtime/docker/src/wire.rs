//! The wire types. A member that the engine may leave out or send as `null` is optional here, or has
//! Go's zero value; members that Cofferdam does not use are not modelled, and are dropped on reading.

mod container;
mod exec;
mod host_config;
mod image;
mod system;

pub use container::{
    Container, ContainerConfig, ContainerSummary, CreateAnswer, CreateBody, EndpointSettings,
    Health, MountPoint, NetworkSettings, State, SummaryHostConfig, WaitAnswer, WaitError,
};
pub use exec::{Exec, ExecCreate, ExecStart, IdAnswer};
pub use host_config::{Device, HostConfig, Mount, PortBinding, RestartPolicy};
pub use image::{Image, ImageConfig, ImageSummary};
pub use system::{Component, Info, Plugins, Version};

use serde::{Deserialize, Deserializer, Serialize};

/// The body of every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong, for people.
    pub message: String,
}

/// Reads Go's `null` as the zero value, which is how the engine itself reads it.
pub(crate) fn null_is_zero<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
