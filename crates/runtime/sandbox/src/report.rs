//! What holds and what does not, for people at start.

use std::fmt;

/// The measures, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Variables of the environment.
    Environment,
    /// Inherited file descriptors.
    Descriptors,
    /// User and groups.
    User,
    /// Capabilities, and ways to new ones.
    Capabilities,
    /// What other processes can read of this one's memory.
    Memory,
    /// Files and directories.
    Files,
    /// The network.
    Network,
    /// Other processes: signals and abstract sockets.
    Processes,
    /// System calls.
    SystemCalls,
}

impl Measure {
    /// Its name at the start of a line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Descriptors => "descriptors",
            Self::User => "user",
            Self::Capabilities => "capabilities",
            Self::Memory => "memory",
            Self::Files => "files",
            Self::Network => "network",
            Self::Processes => "other processes",
            Self::SystemCalls => "system calls",
        }
    }
}

/// One measure and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which.
    pub measure: Measure,
    /// Whether it holds in full.
    pub holds: bool,
    /// What holds, or why it does not, as a fragment for people.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.measure.name();
        match self.holds {
            true => write!(f, "{name}: {}", self.text),
            false => write!(f, "{name}: not held ({})", self.text),
        }
    }
}

/// Line by line what [`confine`](crate::confine) has reached. `Display` writes a line for each
/// measure, without a line end behind the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// Every measure, in the order in which they were taken.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Whether every measure holds.
    pub fn holds(&self) -> bool {
        self.lines.iter().all(|line| line.holds)
    }

    pub(crate) fn held(&mut self, measure: Measure, text: impl Into<String>) {
        self.push(measure, true, text);
    }

    pub(crate) fn not_held(&mut self, measure: Measure, text: impl Into<String>) {
        self.push(measure, false, text);
    }

    pub(crate) fn push(&mut self, measure: Measure, holds: bool, text: impl Into<String>) {
        let text = text.into();
        self.lines.push(Line {
            measure,
            holds,
            text,
        });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{line}")?;
        }
        Ok(())
    }
}

/// `1 path`, `2 paths`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_a_line_for_each_measure_and_says_what_is_not_held() {
        let mut report = Report::default();
        report.held(Measure::Memory, "no core files");
        assert!(report.holds());
        report.not_held(Measure::Files, "the kernel has no Landlock");
        assert!(!report.holds());
        assert_eq!(
            report.to_string(),
            "memory: no core files\nfiles: not held (the kernel has no Landlock)"
        );
    }
}
