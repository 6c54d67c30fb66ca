//! Pre-approved container actions: strict parsing of both dialects, and the floor.
//!
//! Whoever holds a bearer token may ask for an [`Action`](action::Action), and for nothing else.
//! The gate reads a request with [`docker`] or [`rest`], strictly; the broker resolves its
//! [references](action::Action::references), judges it by the [`floor`], and writes it anew for the
//! engine with [`encode`]. No byte of a request is ever passed through.
//!
//! There is no I/O in this crate.

pub mod action;
pub mod archive;
pub mod container;
pub mod docker;
pub mod encode;
pub mod filter;
pub mod floor;
pub mod image;
pub mod json;
pub mod name;
pub mod path;
pub mod refusal;
pub mod request;
pub mod rest;
mod target;
mod text;
pub mod value;
pub mod wire;

pub use target::{MAX_TARGET, OLDEST_MINOR};
