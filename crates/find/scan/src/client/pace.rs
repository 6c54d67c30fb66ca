//! When the next request may start.

use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// What a target may ask of the scan to wait, in all. After that a 429 or 503 is taken as the
/// answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest single wait.
const LONGEST: Duration = Duration::from_secs(10);

/// Spaces requests by a rate, and all of them by what the target asks for.
pub(super) struct Pace {
    gap: Duration,
    state: Mutex<State>,
}

struct State {
    next: Instant,
    patience: Duration,
}

impl Pace {
    /// At most `rate` requests per second; `None`, zero and nonsense mean no limit.
    pub(super) fn new(rate: Option<f64>) -> Self {
        let gap = rate
            .filter(|rate| rate.is_finite() && *rate > 0.0)
            .and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok())
            .unwrap_or_default();
        let state = State {
            next: Instant::now(),
            patience: PATIENCE,
        };
        Self {
            gap,
            state: Mutex::new(state),
        }
    }

    /// The time at which the request that asks may start.
    pub(super) fn turn(&self) -> Instant {
        let mut state = self.state();
        let now = Instant::now();
        let turn = state.next.max(now);
        state.next = turn + self.gap;
        turn
    }

    /// Holds every request back for `asked` (at most [`LONGEST`]), as long as the patience lasts.
    /// Returns whether the request is worth sending again.
    pub(super) fn back_off(&self, asked: Duration) -> bool {
        let mut state = self.state();
        let until = Instant::now() + asked.min(LONGEST);
        if until <= state.next {
            // Another request has been told the same already.
            return true;
        }
        let wait = until - state.next.max(Instant::now());
        if wait > state.patience {
            return false;
        }
        state.patience -= wait;
        state.next = until;
        true
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spaced_by_the_rate() {
        let pace = Pace::new(Some(10.0));
        let first = pace.turn();
        let second = pace.turn();
        assert!(second - first >= Duration::from_millis(99));
        let free = Pace::new(None);
        free.turn();
        assert!(free.turn() <= Instant::now());
    }

    #[test]
    fn patience_ends() {
        let pace = Pace::new(None);
        let mut waits = 0;
        while pace.back_off(Duration::from_secs(3600)) && waits < 100 {
            waits += 1;
            // As if the wait were over.
            pace.state().next = Instant::now();
        }
        assert_eq!(waits, 3);
    }
}
