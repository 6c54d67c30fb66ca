//! What weakens. Nothing outside this module does, and no feature of the crate does either.

use crate::guard::{Guard, Outcome};

/// A guard that decides and reports, and lets every declared route be reached whatever the decision
/// was: for moving an existing service in. Handlers find no [`crate::Principal`] where the token was
/// refused.
///
/// `observer` is asked for so that the decisions go somewhere: a guard that lets everything through
/// in silence has no use.
#[must_use]
pub fn observe_only(
    guard: Guard,
    observer: impl Fn(&Outcome<'_>) + Send + Sync + 'static,
) -> Guard {
    guard
        .observer(observer)
        .with(|inner| inner.observe_only = true)
}

/// Counts no failures: a peer may guess as often as it likes.
#[must_use]
pub fn without_throttle(guard: Guard) -> Guard {
    guard.with(|inner| inner.throttle = None)
}

/// A guard whose time is what `clock` says, in seconds since 1970-01-01T00:00:00Z: for tests with
/// tokens of another time.
#[must_use]
pub fn with_clock(guard: Guard, clock: fn() -> u64) -> Guard {
    guard.with(|inner| inner.clock = clock)
}
