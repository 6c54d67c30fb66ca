//! The handlers, one file for each part of the API.

pub(crate) mod containers;
pub(crate) mod exec;
pub(crate) mod images;
pub(crate) mod system;
