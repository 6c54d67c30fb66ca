//! The model of an assessment as terminal text, JSON, SARIF and HTML.
//!
//! Every renderer is a pure function of the [`Assessment`](cofferdam_assess::Assessment), and safe
//! against what a hostile target puts into it.

#[cfg(test)]
mod fixture;
mod html;
mod json;
mod sarif;
mod terminal;
mod visible;

pub use html::html;
pub use json::json;
pub use sarif::sarif;
pub use terminal::{TerminalOptions, terminal};
