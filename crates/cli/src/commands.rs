//! One file per subcommand.

pub(crate) mod audit;
pub(crate) mod broker;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod connect;
pub(crate) mod demo;
pub(crate) mod engine;
pub(crate) mod explain;
pub(crate) mod gate;
pub(crate) mod generate;
pub(crate) mod keys;
pub(crate) mod policy;
pub(crate) mod posture;
pub(crate) mod scan;
pub(crate) mod token;
