//! The model of an assessment as terminal text, JSON, SARIF and HTML.
//!
//! Every renderer is a pure function of the [`Assessment`](cofferdam_assess::Assessment), and safe
//! against what a hostile target puts into it.

#[cfg(test)]
mod fixture;
mod json;
mod terminal;
mod visible;

pub use json::json;
pub use terminal::{TerminalOptions, terminal};
