//! The routes, one file for each part of the API.

pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod assistant;
pub(crate) mod containers;
pub(crate) mod diagnostics;
pub(crate) mod files;
pub(crate) mod help;
pub(crate) mod jobs;
pub(crate) mod legacy;
pub(crate) mod outbound;
pub(crate) mod platform;
pub(crate) mod public;
pub(crate) mod runtime;
