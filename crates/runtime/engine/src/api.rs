//! The handlers, one file for each part of the API.

pub(crate) mod archive;
pub(crate) mod attach;
pub(crate) mod containers;
pub(crate) mod disk;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod images;
pub(crate) mod life;
pub(crate) mod networks;
pub(crate) mod prune;
pub(crate) mod system;
pub(crate) mod volumes;
pub(crate) mod watch;
