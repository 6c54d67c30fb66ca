//! What a check is.

use crate::{Context, Halt};
use cofferdam_finding::Meta;
use futures_util::future::BoxFuture;

/// One check: what it says of itself, its logic, its page, and its samples. Made by the list in
/// [`checks`](crate::checks).
pub struct Check {
    /// Id, title, severity, references.
    pub meta: &'static Meta,
    /// The logic. It reports through [`Context::report`] as soon as it knows something.
    pub run: for<'a> fn(&'a Context) -> BoxFuture<'a, Result<Outcome, Halt>>,
    pub(crate) source: &'static str,
    #[cfg(test)]
    pub(crate) samples: fn() -> crate::testing::Samples,
}

impl Check {
    /// The check's page in Markdown: the doc comment of its file.
    pub fn page(&self) -> String {
        let mut page = String::new();
        for line in self.source.lines() {
            let Some(text) = line.strip_prefix("//!") else {
                break;
            };
            page.push_str(text.strip_prefix(' ').unwrap_or(text));
            page.push('\n');
        }
        page
    }
}

/// What became of one check, beside its findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The operations that it was tried on with a clear result.
    pub tried: u32,
    /// What was missing, when it was not tried at all or not everywhere; a fragment such as
    /// `no --signing-key` or `no operation takes a URL`.
    pub untested: Option<String>,
    /// Why nothing need be tried for it to hold, such as `the tokens are signed, so guessing is
    /// hopeless`.
    pub held: Option<String>,
}

impl Outcome {
    /// Tried on so many operations.
    pub fn tried(operations: u32) -> Self {
        Self {
            tried: operations,
            ..Self::default()
        }
    }

    /// Not tried, since it holds for this reason.
    pub fn held(reason: impl Into<String>) -> Self {
        Self {
            held: Some(reason.into()),
            ..Self::default()
        }
    }

    /// Not tried, and why.
    pub fn untested(reason: impl Into<String>) -> Self {
        Self {
            untested: Some(reason.into()),
            ..Self::default()
        }
    }
}
