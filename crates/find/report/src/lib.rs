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

/// `text` for one line of a terminal: control and format characters, line feeds included, are
/// written as `\u{…}`. For whatever a target chose that is shown outside a report.
pub fn visible(text: &str) -> String {
    visible::line(text)
}

/// As [`visible`], for text of several lines: line feeds and tabs stay.
pub fn visible_lines(text: &str) -> String {
    visible::text(text)
}
