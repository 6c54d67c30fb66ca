//! What was tested, what was reached as whom, the score, and what to do next.

use super::TerminalOptions;
use super::page::{Page, Row, count, thousands};
use super::paths::bullet;
use crate::visible;
use cofferdam_assess::{Assessment, Operation};
use cofferdam_finding::{Control, ControlStatus};
use std::collections::BTreeMap;

pub(super) fn controls(page: &mut Page, assessment: &Assessment, options: &TerminalOptions) {
    let of = |status| {
        assessment
            .controls
            .iter()
            .filter(move |control| control.status == status)
    };
    let number = |status| of(status).count();
    if assessment.controls.is_empty() {
        return;
    }
    let (held, failed, untested) = (
        number(ControlStatus::Held),
        number(ControlStatus::Failed),
        number(ControlStatus::Untested),
    );
    page.heading(
        &format!("CONTROLS  {held} held   {failed} failed   {untested} untested"),
        "",
    );
    if options.verbose {
        for status in [
            ControlStatus::Failed,
            ControlStatus::Untested,
            ControlStatus::Held,
        ] {
            for control in of(status) {
                one(page, control);
            }
        }
        return;
    }
    for (reason, checks) in by_reason(of(ControlStatus::Untested)) {
        bullet(
            page,
            2,
            &format!("untested, {reason}: {}", checks.join(", ")),
        );
    }
}

/// The checks that share a reason, in the order of the reasons.
fn by_reason<'a>(controls: impl Iterator<Item = &'a Control>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for control in controls {
        reasons
            .entry(&control.reason)
            .or_default()
            .push(&control.check);
    }
    reasons
}

fn one(page: &mut Page, control: &Control) {
    let style = page.palette.control(control.status);
    page.row(Row {
        first: &format!("  {style}{:<9}{style:#} ", control.status),
        rest: "            ",
        text: &match control.status {
            ControlStatus::Held => format!("not so: {}; {}", control.title, control.reason),
            _ => format!("{}: {}", control.title, control.reason),
        },
        right: &control.check,
        right_style: page.palette.faint(),
        ..Row::default()
    });
}

pub(super) fn operations(page: &mut Page, assessment: &Assessment, options: &TerminalOptions) {
    if assessment.target.is_none() {
        return;
    }
    let all = &assessment.operations;
    let reached = all.iter().filter(|operation| operation.reached).count();
    let per_identity: Vec<String> = assessment
        .identities
        .iter()
        .map(|identity| {
            let accepted = all
                .iter()
                .flat_map(|operation| &operation.answers)
                .filter(|answer| answer.identity == identity.name && answer.verdict == "accepted")
                .count();
            format!("{} {accepted}", identity.name)
        })
        .collect();
    let of = if per_identity.is_empty() {
        String::new()
    } else {
        format!(" ({})", per_identity.join(", "))
    };
    page.blank();
    page.row(Row {
        first: "",
        rest: "  ",
        text: &format!(
            "COVERED  {reached} of {} answered as meant{of}",
            count(all.len(), "operation")
        ),
        style: page.palette.strong(),
        ..Row::default()
    });
    let mut missed: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for operation in all.iter().filter(|operation| !operation.reached) {
        let reason = operation.reason.as_deref().unwrap_or("no reason known");
        missed.entry(reason).or_default().push(name(operation));
    }
    for (reason, mut names) in missed {
        let more = names.len().saturating_sub(3);
        if more > 0 && !options.verbose {
            names.truncate(3);
            names.push(format!("{more} more"));
        }
        bullet(
            page,
            2,
            &format!("not reached, {reason}: {}", names.join(", ")),
        );
    }
    page.text(
        2,
        &format!(
            "{} requests, {}",
            thousands(assessment.requests),
            seconds(assessment.elapsed_ms)
        ),
    );
    if options.verbose {
        for operation in all {
            let answers: Vec<String> = operation
                .answers
                .iter()
                .map(|answer| match answer.status {
                    Some(status) => format!("{} {status} {}", answer.identity, answer.verdict),
                    None => format!("{} {}", answer.identity, answer.verdict),
                })
                .collect();
            let answers = if answers.is_empty() {
                "not asked".to_owned()
            } else {
                answers.join(", ")
            };
            page.text(2, &format!("{}: {answers}", name(operation)));
        }
    }
}

fn name(operation: &Operation) -> String {
    format!("{} {}", operation.method, operation.path)
}

/// Milliseconds as people say them.
pub(crate) fn seconds(milliseconds: u64) -> String {
    match milliseconds {
        0..=999 => format!("{milliseconds} ms"),
        1_000..=9_999 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        10_000..=119_999 => format!("{} s", milliseconds / 1_000),
        _ => format!(
            "{} min {} s",
            milliseconds / 60_000,
            milliseconds % 60_000 / 1_000
        ),
    }
}

pub(super) fn score(page: &mut Page, assessment: &Assessment, options: &TerminalOptions) {
    page.blank();
    let text = match (assessment.score, assessment.grade) {
        (Some(score), Some(grade)) => format!("SCORE  {score}/100  {grade}"),
        _ => "SCORE  none: nothing was tested".to_owned(),
    };
    page.row(Row {
        text: &text,
        style: page.palette.grade(assessment.grade),
        right: if assessment.complete {
            ""
        } else {
            "INCOMPLETE"
        },
        right_style: page.palette.strong(),
        ..Row::default()
    });
    let categories: Vec<String> = assessment
        .scores
        .iter()
        .map(|(name, category)| match category.score {
            Some(score) => format!("{name} {score}"),
            None => format!("{name} untested"),
        })
        .collect();
    if !categories.is_empty() {
        page.text(2, &categories.join(", "));
    }
    if !options.reports.is_empty() {
        let reports: Vec<String> = options
            .reports
            .iter()
            .map(|file| visible::line(file))
            .collect();
        page.text(2, &format!("written: {}", reports.join("  ·  ")));
    }
    if let Some(because) = &assessment.incomplete_because {
        page.text(2, &format!("not complete: {because}"));
    }
}

pub(super) fn notes(page: &mut Page, assessment: &Assessment) {
    for (heading, texts) in [
        ("NOTES", &assessment.notes),
        ("TO LEARN MORE", &assessment.advice),
    ] {
        if texts.is_empty() {
            continue;
        }
        page.heading(heading, "");
        for text in texts {
            bullet(page, 2, text);
        }
    }
}
