//! Rows of text within a width, styled where the caller wants colour.

use anstyle::{AnsiColor, Style};
use cofferdam_assess::Grade;
use cofferdam_finding::{Confidence, ControlStatus, Severity};
use textwrap::WordSeparator;
use textwrap::core::{break_words, display_width};
use textwrap::wrap_algorithms::wrap_first_fit;

/// The narrowest and the widest page that is laid out.
const NARROWEST: usize = 40;
const WIDEST: usize = 120;
/// The narrowest column of text beside a word at the right margin.
const TEXT_ROOM: usize = 16;
/// Columns of one text that are shown: a hostile name has no end.
const LONGEST: usize = 1000;

/// Text that grows row by row.
pub(crate) struct Page {
    out: String,
    width: usize,
    pub(crate) palette: Palette,
}

/// What stands in one row. The text wraps below itself, the word at the right margin does not.
#[derive(Default, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// Before the first line of the text.
    pub(crate) first: &'a str,
    /// Before the others; as wide as `first`.
    pub(crate) rest: &'a str,
    /// The text; it is cut after [`LONGEST`] columns.
    pub(crate) text: &'a str,
    /// How it looks.
    pub(crate) style: Style,
    /// At the right margin of the first line.
    pub(crate) right: &'a str,
    /// How that looks.
    pub(crate) right_style: Style,
}

impl Page {
    pub(crate) fn new(width: usize, colour: bool) -> Self {
        Self {
            out: String::new(),
            width: width.clamp(NARROWEST, WIDEST),
            palette: Palette { colour },
        }
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    pub(crate) fn blank(&mut self) {
        self.out.push('\n');
    }

    /// A heading with a blank line above it.
    pub(crate) fn heading(&mut self, text: &str, right: &str) {
        self.blank();
        self.row(Row {
            text,
            style: self.palette.strong(),
            right,
            ..Row::default()
        });
    }

    /// Text that wraps under `indent` spaces.
    pub(crate) fn text(&mut self, indent: usize, text: &str) {
        let indent = " ".repeat(indent);
        self.row(Row {
            first: &indent,
            rest: &indent,
            text,
            ..Row::default()
        });
    }

    pub(crate) fn row(&mut self, row: Row<'_>) {
        let before = display_width(row.first);
        let room = self.width.saturating_sub(before).max(TEXT_ROOM);
        let (beside, mut right) = match display_width(row.right) {
            0 => (room, ""),
            wide => (room.saturating_sub(wide + 2), row.right),
        };
        // A page too narrow for both puts the word on a line of its own.
        let below = beside < TEXT_ROOM && !right.is_empty();
        let first = if below { room } else { beside };
        let below = if below {
            std::mem::take(&mut right)
        } else {
            ""
        };
        let text = shorten(&one_line(row.text), LONGEST);
        for (index, line) in wrap(&text, first, room).iter().enumerate() {
            let prefix = if index == 0 { row.first } else { row.rest };
            if line.is_empty() && (index > 0 || right.is_empty()) {
                self.out.push_str(prefix.trim_end());
            } else {
                self.out.push_str(prefix);
                self.styled(line, row.style);
            }
            if index == 0 {
                self.at_margin(before + display_width(line), right, row.right_style);
            }
            self.out.push('\n');
        }
        if !below.is_empty() {
            let below = shorten(below, self.width);
            self.at_margin(0, &below, row.right_style);
            self.out.push('\n');
        }
    }

    /// `text` at the right margin of a line of which `used` columns are taken.
    fn at_margin(&mut self, used: usize, text: &str, style: Style) {
        if !text.is_empty() {
            let gap = self.width.saturating_sub(used + display_width(text));
            self.out.push_str(&" ".repeat(gap));
            self.styled(text, style);
        }
    }

    /// A body, line by line, cut after `most` lines and at the margin.
    pub(crate) fn block(&mut self, prefix: &str, text: &str, most: usize) {
        let room = self.width.saturating_sub(display_width(prefix)).max(16);
        let mut lines = text.lines();
        for line in lines.by_ref().take(most) {
            let line = shorten(&line.replace('\t', "    "), room);
            self.out.push_str(prefix);
            self.styled(line.trim_end(), self.palette.faint());
            self.out.push('\n');
        }
        let more = lines.count();
        if more > 0 {
            self.out.push_str(prefix);
            self.styled(&format!("… {more} more lines"), self.palette.faint());
            self.out.push('\n');
        }
    }

    fn styled(&mut self, text: &str, style: Style) {
        if text.is_empty() {
            return;
        }
        self.out.push_str(&format!("{style}{text}{style:#}"));
    }
}

/// `text` cut into lines, the first at most `first` columns wide, the others `rest`; at least one.
fn wrap(text: &str, first: usize, rest: usize) -> Vec<String> {
    let words = WordSeparator::AsciiSpace.find_words(text);
    let words = break_words(words, first.min(rest));
    let widths = [first as f64, rest as f64];
    wrap_first_fit(&words, &widths)
        .into_iter()
        .map(|line| {
            let mut out = String::new();
            for (index, word) in line.iter().enumerate() {
                out.push_str(word.word);
                if index + 1 < line.len() {
                    out.push_str(word.whitespace);
                }
            }
            out
        })
        .collect()
}

/// `text` on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(['\n', '\t'], " ")
}

/// The first of `text`, at most `room` columns wide, with a mark when something was cut.
pub(crate) fn shorten(text: &str, room: usize) -> String {
    if display_width(text) <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += display_width(c.encode_utf8(&mut [0; 4]));
        if used > room {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// `1 finding`, `2 findings`.
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{} {one}s", thousands(number as u64))
    }
}

/// A number with a comma between thousands.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Colours carry nothing that a word does not; without colour every style is empty.
#[derive(Clone, Copy)]
pub(crate) struct Palette {
    colour: bool,
}

impl Palette {
    fn of(self, style: Style) -> Style {
        if self.colour { style } else { Style::new() }
    }

    fn colour(self, colour: AnsiColor) -> Style {
        self.of(colour.on_default())
    }

    pub(crate) fn strong(self) -> Style {
        self.of(Style::new().bold())
    }

    pub(crate) fn faint(self) -> Style {
        self.of(Style::new().dimmed())
    }

    pub(crate) fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Critical => self.of(AnsiColor::Red.on_default().bold()),
            Severity::High => self.colour(AnsiColor::Red),
            Severity::Medium => self.colour(AnsiColor::Yellow),
            Severity::Low => self.colour(AnsiColor::Cyan),
            Severity::Info => self.faint(),
        }
    }

    pub(crate) fn confidence(self, confidence: Confidence) -> Style {
        match confidence {
            Confidence::Proven => self.of(AnsiColor::Red.on_default().bold()),
            Confidence::Firm => self.colour(AnsiColor::Yellow),
            Confidence::Tentative => self.faint(),
        }
    }

    pub(crate) fn control(self, status: ControlStatus) -> Style {
        match status {
            ControlStatus::Held => self.colour(AnsiColor::Green),
            ControlStatus::Failed => self.colour(AnsiColor::Red),
            ControlStatus::Untested => self.faint(),
        }
    }

    pub(crate) fn grade(self, grade: Option<Grade>) -> Style {
        match grade {
            Some(Grade::A | Grade::B) => self.of(AnsiColor::Green.on_default().bold()),
            Some(Grade::C) => self.of(AnsiColor::Yellow.on_default().bold()),
            Some(Grade::D | Grade::F) => self.of(AnsiColor::Red.on_default().bold()),
            None => self.faint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_keeps_the_word_at_the_right_and_wraps_below_itself() {
        let mut page = Page::new(40, false);
        page.row(Row {
            first: "  1  ",
            rest: "     ",
            text: "one two three four five\nsix seven",
            right: "proven",
            ..Row::default()
        });
        assert_eq!(
            page.finish(),
            "  1  one two three four five six  proven\n     seven\n"
        );
    }

    #[test]
    fn a_word_without_end_stays_within_the_width() {
        let mut page = Page::new(40, false);
        page.text(2, &"x".repeat(100));
        page.block("  ", &"日本".repeat(40), 3);
        let out = page.finish();
        assert!(out.lines().all(|line| display_width(line) <= 40), "{out}");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_204), "1,204");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(count(1, "finding"), "1 finding");
        assert_eq!(count(0, "finding"), "0 findings");
    }
}
