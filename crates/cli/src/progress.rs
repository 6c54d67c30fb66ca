//! Progress, on standard error only, drawn by one owner.

use cofferdam_scan::{Event, Phase};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How progress is shown.
///
/// | terminal | `CI` set | `--quiet` | shown |
/// |---|---|---|---|
/// | any | any | yes | nothing |
/// | yes | no | no | one line that is redrawn |
/// | yes | yes | no | a line per step |
/// | no | any | no | a line per step |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Silent,
    Line,
    Steps,
}

impl Mode {
    /// The truth table above.
    pub(crate) fn choose(terminal: bool, ci: bool, quiet: bool) -> Self {
        match (terminal, ci, quiet) {
            (_, _, true) => Mode::Silent,
            (true, false, false) => Mode::Line,
            (_, _, false) => Mode::Steps,
        }
    }

    /// The mode for this process.
    pub(crate) fn here(quiet: bool) -> Self {
        let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        Self::choose(std::io::stderr().is_terminal(), ci, quiet)
    }
}

/// Draws the progress of a scan.
pub(crate) struct Progress {
    mode: Mode,
    state: Mutex<State>,
}

struct State {
    phase: &'static str,
    done: usize,
    total: usize,
    found: usize,
    drawn: bool,
    last: Instant,
}

/// A redrawn line changes at most this often.
const REDRAW: Duration = Duration::from_millis(80);

impl Progress {
    pub(crate) fn new(mode: Mode) -> Self {
        let state = State {
            phase: "connecting",
            done: 0,
            total: 0,
            found: 0,
            drawn: false,
            last: Instant::now(),
        };
        Self {
            mode,
            state: Mutex::new(state),
        }
    }

    /// Takes one event of a scan.
    pub(crate) fn event(&self, event: &Event) {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let step = match event {
            Event::Phase(phase) => {
                (state.phase, state.done, state.total) = match phase {
                    Phase::Inventory => ("learning the operations", 0, 0),
                    Phase::Baseline => ("baseline", 0, 0),
                    Phase::Checks => ("checks", 0, cofferdam_scan::checks::ALL.len()),
                    Phase::Closing => ("closing", 0, 0),
                };
                None
            }
            Event::Inventory { operations, from } => {
                Some(format!("{operations} operations, from {from}"))
            }
            Event::Baseline { done, total } => {
                (state.done, state.total) = (*done, *total);
                (done == total).then(|| format!("baseline of {total} operations done"))
            }
            Event::CheckEnded(_) => {
                state.done += 1;
                (state.done == state.total).then(|| format!("{} checks done", state.total))
            }
            Event::Found(finding) => {
                state.found += 1;
                let place = finding
                    .places
                    .first()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                Some(format!(
                    "found {} {}: {place}",
                    finding.severity, finding.check
                ))
            }
            Event::Note(note) => Some(format!("note: {note}")),
            _ => None,
        };
        let note = matches!(event, Event::Note(_));
        match self.mode {
            Mode::Silent => {}
            Mode::Steps => {
                if let Some(step) = step {
                    write(&format!("{}\n", cofferdam_report::visible(&step)));
                }
            }
            Mode::Line => {
                if note && let Some(step) = step {
                    write(&format!("\r\x1b[2K{}\n", cofferdam_report::visible(&step)));
                    state.drawn = false;
                }
                if !state.drawn || state.last.elapsed() >= REDRAW {
                    write(&format!("\r\x1b[2K{}", state.line()));
                    (state.drawn, state.last) = (true, Instant::now());
                }
            }
        }
    }

    /// Clears the redrawn line.
    pub(crate) fn finish(&self) {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.mode == Mode::Line && state.drawn {
            write("\r\x1b[2K");
            state.drawn = false;
        }
    }
}

impl State {
    fn line(&self) -> String {
        let mut line = self.phase.to_owned();
        if self.total > 0 {
            line.push_str(&format!(" {}/{}", self.done, self.total));
        }
        if self.found > 0 {
            line.push_str(&format!(" · {} found", self.found));
        }
        line
    }
}

fn write(text: &str) {
    // Progress that cannot be shown is no reason to end a scan.
    let mut stderr = std::io::stderr().lock();
    drop(
        stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush()),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_follows_its_truth_table() {
        for terminal in [false, true] {
            for ci in [false, true] {
                assert_eq!(Mode::choose(terminal, ci, true), Mode::Silent);
            }
        }
        assert_eq!(Mode::choose(true, false, false), Mode::Line);
        assert_eq!(Mode::choose(true, true, false), Mode::Steps);
        assert_eq!(Mode::choose(false, false, false), Mode::Steps);
        assert_eq!(Mode::choose(false, true, false), Mode::Steps);
    }
}
