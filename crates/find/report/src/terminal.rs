//! An assessment as text for a terminal: the path first, then what cuts it, the causes, what was
//! covered, the score, and what to do next.

mod coverage;
mod findings;
mod page;
mod paths;

use crate::visible;
use cofferdam_assess::Assessment;
pub(crate) use coverage::seconds;
use page::{Page, Row};
pub(crate) use page::{count, thousands};

/// How the text is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalOptions {
    /// Whether to style it with ANSI escape sequences. They carry nothing that a word does not.
    pub colour: bool,
    /// The width in columns; taken as at least 40 and at most 120.
    pub width: usize,
    /// Every path step by step, instead of the cheapest to the host.
    pub all_paths: bool,
    /// Also tentative findings, evidence in full, every control and every operation.
    pub verbose: bool,
    /// The files that other reports were written to, named beside the score.
    pub reports: Vec<String>,
}

impl Default for TerminalOptions {
    /// 80 columns without colour, the short view.
    fn default() -> Self {
        Self {
            colour: false,
            width: 80,
            all_paths: false,
            verbose: false,
            reports: Vec::new(),
        }
    }
}

/// Renders `assessment` for a terminal.
///
/// Control characters, escape sequences and bidirectional overrides in it come out as `\u{…}`, so
/// a hostile target cannot steer the terminal.
pub fn terminal(assessment: &Assessment, options: &TerminalOptions) -> String {
    let assessment = &visible::assessment(assessment);
    let mut page = Page::new(options.width, options.colour);
    header(&mut page, assessment);
    paths::paths(&mut page, assessment, options);
    paths::fixes(&mut page, assessment);
    findings::findings(&mut page, assessment, options);
    coverage::controls(&mut page, assessment, options);
    coverage::operations(&mut page, assessment, options);
    coverage::score(&mut page, assessment, options);
    coverage::notes(&mut page, assessment);
    page.finish()
}

fn header(page: &mut Page, assessment: &Assessment) {
    let mut parts = Vec::new();
    let command = match &assessment.target {
        Some(target) => {
            parts.push(target.clone());
            parts.push(count(assessment.operations.len(), "operation"));
            let names: Vec<&str> = assessment
                .identities
                .iter()
                .map(|identity| identity.name.as_str())
                .collect();
            if !names.is_empty() {
                parts.push(names.join(", "));
            }
            "cofferdam scan"
        }
        None => {
            if let Some(state) = assessment.assumed {
                parts.push(format!("assumed: {} ({state})", state.label()));
            }
            "cofferdam posture"
        }
    };
    labelled(page, command, &parts.join("  ·  "));
    if let Some(deployment) = &assessment.deployment {
        let workloads = count(deployment.workloads.len(), "container");
        labelled(
            page,
            "deployment",
            &format!(
                "{} ({workloads}); {}",
                deployment.files.join(", "),
                deployment.chosen_because
            ),
        );
    }
    if !assessment.complete {
        let because = assessment.incomplete_because.as_deref();
        labelled(
            page,
            "INCOMPLETE",
            because.unwrap_or("it was stopped early"),
        );
    }
}

fn labelled(page: &mut Page, label: &str, text: &str) {
    let first = format!("{label:<19}");
    let rest = " ".repeat(19);
    page.row(Row {
        first: &first,
        rest: &rest,
        text,
        ..Row::default()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn short(assessment: &Assessment) -> String {
        terminal(assessment, &TerminalOptions::default())
    }

    #[test]
    fn the_short_view_shows_the_path_first() {
        insta::assert_snapshot!(short(&fixture::vulnerable()));
    }

    #[test]
    fn every_path_and_detail_is_shown_when_asked() {
        let options = TerminalOptions {
            all_paths: true,
            verbose: true,
            reports: vec!["report.html".to_owned(), "report.json".to_owned()],
            ..TerminalOptions::default()
        };
        insta::assert_snapshot!(terminal(&fixture::vulnerable(), &options));
    }

    #[test]
    fn a_sound_service_shows_what_held() {
        insta::assert_snapshot!(short(&fixture::sound()));
    }

    #[test]
    fn a_tentative_path_says_what_it_takes_for_given() {
        insta::assert_snapshot!(short(&fixture::tentative()));
    }

    #[test]
    fn an_interrupted_scan_says_so() {
        insta::assert_snapshot!(short(&fixture::interrupted()));
    }

    #[test]
    fn deployment_files_alone_start_from_the_assumed_state() {
        insta::assert_snapshot!(short(&fixture::posture()));
    }

    #[test]
    fn nothing_hostile_reaches_the_terminal_and_no_line_is_too_long() {
        for width in [40, 80, 120] {
            let options = TerminalOptions {
                width,
                verbose: true,
                all_paths: true,
                ..TerminalOptions::default()
            };
            let text = terminal(&fixture::vulnerable(), &options);
            assert!(!text.chars().any(visible::is_invisible));
            for line in text.lines() {
                assert!(textwrap::core::display_width(line) <= width, "{line}");
            }
        }
    }

    #[test]
    fn colour_changes_no_word() {
        let options = TerminalOptions {
            colour: true,
            ..TerminalOptions::default()
        };
        let coloured = terminal(&fixture::vulnerable(), &options);
        assert!(coloured.contains('\u{1b}'));
        let plain = anstream::adapter::strip_str(&coloured).to_string();
        assert_eq!(plain, short(&fixture::vulnerable()));
    }
}
