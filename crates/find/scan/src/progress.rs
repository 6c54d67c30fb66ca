//! What a scan tells while it runs.

use cofferdam_finding::Finding;

/// What a scan tells while it runs. Everything in it is redacted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A phase begins.
    Phase(Phase),
    /// So many operations are known.
    Inventory {
        /// How many.
        operations: usize,
        /// From where, in words.
        from: String,
    },
    /// The baseline of one more operation is done.
    Baseline {
        /// Done.
        done: usize,
        /// Of so many.
        total: usize,
    },
    /// A check has begun.
    CheckStarted(&'static str),
    /// A check has ended.
    CheckEnded(&'static str),
    /// Something was found.
    Found(Box<Finding>),
    /// Something the user should know, such as a target that throttles.
    Note(String),
}

/// The phases, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Learning the operations.
    Inventory,
    /// Sending each once per identity.
    Baseline,
    /// The checks.
    Checks,
    /// Looking whether the identities are still valid.
    Closing,
}
