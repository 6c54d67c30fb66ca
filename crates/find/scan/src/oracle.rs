//! Whether an answer means *accepted*: judged in this one place, by comparison with the baselines.

use crate::{Baseline, Exchange};

/// What an answer to a probe means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The probe was treated like the valid identity's request.
    Accepted,
    /// It was refused, like the request without a token.
    Refused,
    /// Nothing can be said, and why: a public operation, no valid baseline, no answer.
    Unclear(String),
}

impl Verdict {
    /// Whether it is [`Verdict::Accepted`].
    pub fn accepted(&self) -> bool {
        *self == Verdict::Accepted
    }

    /// Whether it is [`Verdict::Refused`].
    pub fn refused(&self) -> bool {
        *self == Verdict::Refused
    }
}

pub(crate) fn judge(_baseline: &Baseline, _probe: &Exchange) -> Verdict {
    todo!()
}
