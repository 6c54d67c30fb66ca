//! The way to the host, and what cuts it.

use super::TerminalOptions;
use super::page::{Page, Row, count, one_line, shorten};
use cofferdam_assess::{Assessment, Path, Step};
use cofferdam_finding::{Confidence, Evidence, Place, State};

/// Columns of an observed text that the default view shows.
const OBSERVED: usize = 60;

pub(super) fn paths(page: &mut Page, assessment: &Assessment, options: &TerminalOptions) {
    let to_host: Vec<&Path> = assessment.paths_to_host().collect();
    let Some(first) = to_host.first() else {
        none(page, assessment);
        others(page, assessment, options);
        return;
    };
    if options.all_paths {
        for path in &to_host {
            one(page, assessment, path, None);
        }
    } else {
        let more = match to_host.len() - 1 {
            0 => None,
            more => Some(format!("{}: --all-paths", count(more, "more path"))),
        };
        one(page, assessment, first, more.as_deref());
    }
    others(page, assessment, options);
}

/// One path, state by state.
fn one(page: &mut Page, assessment: &Assessment, path: &Path, more: Option<&str>) {
    let proven = path
        .steps
        .iter()
        .filter(|step| step.confidence == Confidence::Proven)
        .count();
    let steps = count(path.steps.len(), "step");
    let right = match (path.confidence, proven) {
        (Confidence::Proven, _) => format!("proven, {steps}"),
        (confidence, 0) => format!("{confidence}, {steps}"),
        (confidence, proven) => format!("{confidence}, {steps}, {proven} of them proven"),
    };
    let place = |state: State| match state {
        State::TokenHolder => "TOKEN".to_owned(),
        state => state.id().replace('_', " ").to_uppercase(),
    };
    page.heading(
        &format!("{} TO {}", place(path.from), place(path.to)),
        &right,
    );
    if !path.assumes.is_empty() {
        page.text(2, "only if, which nothing that was given tells:");
        for assumed in &path.assumes {
            bullet(page, 2, assumed);
        }
    }
    page.text(2, &start_of(assessment, path));
    for (index, step) in path.steps.iter().enumerate() {
        edge(page, index + 1, step);
        let last = index + 1 == path.steps.len();
        let text = if last {
            step.to.label().to_uppercase()
        } else {
            station(path, step.to)
        };
        page.row(Row {
            first: "  ",
            rest: "  ",
            text: &text,
            style: if last {
                page.palette.strong()
            } else {
                anstyle::Style::new()
            },
            right: if last { more.unwrap_or_default() } else { "" },
            ..Row::default()
        });
    }
}

/// Where a path starts: whose token it was, where the first step's evidence tells.
fn start_of(assessment: &Assessment, path: &Path) -> String {
    let who = path
        .steps
        .first()
        .and_then(|step| step.evidence.first())
        .and_then(|piece| piece.identity.as_deref())
        .and_then(|name| assessment.identities.iter().find(|one| one.name == name));
    match who {
        Some(who) if path.from == State::TokenHolder && !who.name.ends_with(" token") => {
            let scopes = match who.scopes.as_slice() {
                [] => String::new(),
                scopes => format!("   scope {}", scopes.join(" ")),
            };
            format!("{}'s token{scopes}", who.name)
        }
        _ => station(path, path.from),
    }
}

/// What of `place` a reader of `title` does not know yet.
pub(super) fn beside(place: &Place, title: &str) -> Option<String> {
    match (&place.operation, &place.parameter) {
        (Some(operation), parameter) if title.contains(operation.as_str()) => parameter
            .as_ref()
            .filter(|parameter| !title.contains(parameter.as_str()))
            .map(|parameter| format!("parameter `{parameter}`")),
        _ => Some(place.to_string()).filter(|place| !title.contains(place.as_str())),
    }
}

/// The phrase of a state, with the container's name where the phrase speaks of one.
fn station(path: &Path, state: State) -> String {
    let label = state.label();
    match &path.container {
        Some(container) if label.ends_with("the container") => format!("{label} `{container}`"),
        _ => label.to_owned(),
    }
}

fn edge(page: &mut Page, number: usize, step: &Step) {
    let confidence = step.confidence.id();
    page.row(Row {
        first: &format!("  │ {number:>2}  "),
        rest: "  │     ",
        text: &step.title,
        right: confidence,
        right_style: page.palette.confidence(step.confidence),
        ..Row::default()
    });
    if let Some(place) = step
        .place
        .as_ref()
        .and_then(|place| beside(place, &step.title))
    {
        detail(page, &format!("at {place}"));
    }
    for piece in step.evidence.iter().take(2) {
        detail(page, &told(piece));
    }
    page.row(Row {
        first: "  ▼",
        rest: "  ▼",
        ..Row::default()
    });
}

fn detail(page: &mut Page, text: &str) {
    page.row(Row {
        first: "  │     ",
        rest: "  │     ",
        text,
        style: page.palette.faint(),
        ..Row::default()
    });
}

/// One piece of evidence in one line.
pub(super) fn told(piece: &Evidence) -> String {
    let mut text = piece.shows.clone();
    if let Some(observed) = &piece.observed {
        text.push_str(": ");
        text.push_str(&shorten(&one_line(observed), OBSERVED));
    } else if let Some(source) = &piece.source
        && !source.text.is_empty()
    {
        text.push_str(": ");
        text.push_str(&shorten(&one_line(&source.text), OBSERVED));
    }
    text
}

fn none(page: &mut Page, assessment: &Assessment) {
    if assessment.target.is_some() && !assessment.operations.iter().any(|one| one.reached) {
        page.heading("NO STATEMENT ABOUT A PATH TO THE HOST", "");
        page.text(
            2,
            "no operation was reached as meant, so nothing was tested",
        );
    } else {
        page.heading("NO PATH TO THE HOST WAS FOUND", "");
    }
}

/// The paths that end elsewhere, one line each.
fn others(page: &mut Page, assessment: &Assessment, options: &TerminalOptions) {
    let elsewhere: Vec<&Path> = assessment
        .paths
        .iter()
        .filter(|path| path.to != State::Host)
        .collect();
    if elsewhere.is_empty() {
        return;
    }
    if options.all_paths {
        for path in elsewhere {
            one(page, assessment, path, None);
        }
        return;
    }
    page.heading("ALSO WITHIN REACH", "");
    let mut seen = Vec::new();
    for path in elsewhere {
        if seen.contains(&path.to) {
            continue;
        }
        seen.push(path.to);
        page.row(Row {
            first: "  ",
            rest: "  ",
            text: path.to.label(),
            right: &format!("{}, {}", path.confidence, count(path.steps.len(), "step")),
            right_style: page.palette.confidence(path.confidence),
            ..Row::default()
        });
    }
}

pub(super) fn fixes(page: &mut Page, assessment: &Assessment) {
    let fixes = &assessment.fixes;
    let (all, left) = assessment.cut_and_left();
    if fixes.is_empty() {
        if all > 0 {
            page.heading("NO KNOWN FIX CUTS EVERY PATH TO THE HOST", "");
        }
        return;
    }
    let number = |number: usize| match number {
        1 => "ONE".to_owned(),
        2 => "TWO".to_owned(),
        3 => "THREE".to_owned(),
        4 => "FOUR".to_owned(),
        5 => "FIVE".to_owned(),
        number => number.to_string(),
    };
    let (noun, verb) = match fixes.len() {
        1 => ("FIX", "CUTS"),
        _ => ("FIXES", "CUT"),
    };
    let paths = match all {
        1 => "THE PATH".to_owned(),
        2 => "BOTH PATHS".to_owned(),
        all => format!("ALL {} PATHS", number(all)),
    };
    let firm = if left > 0 { " THAT IS FIRM" } else { "" };
    let firm = if all > 1 {
        firm.replace(" IS ", " ARE ")
    } else {
        firm.to_owned()
    };
    page.heading(
        &format!("{} {noun} {verb} {paths}{firm}", number(fixes.len())),
        "",
    );
    for fix in fixes {
        let first = format!("  {:<2} {:<11} ", fix.id, fix.side);
        let rest = " ".repeat(first.chars().count());
        let text = match &fix.place {
            Some(place) if beside(place, &fix.title).is_some() => {
                format!("{place}: {}", fix.title)
            }
            _ => fix.title.clone(),
        };
        page.row(Row {
            first: &first,
            rest: &rest,
            text: &text,
            right: &format!("cuts {}", fix.cuts.len()),
            ..Row::default()
        });
    }
    if left > 0 {
        page.text(5, &format!("{} not cut", count(left, "tentative path")));
    }
    let mut checks: Vec<&str> = Vec::new();
    for named in fixes.iter().flat_map(|fix| &fix.findings) {
        if !checks.contains(&named.check.as_str()) {
            checks.push(&named.check);
        }
    }
    if let Some(check) = checks.first() {
        page.text(5, &format!("explain: cofferdam explain {check}"));
    }
}

pub(super) fn bullet(page: &mut Page, indent: usize, text: &str) {
    let space = " ".repeat(indent);
    page.row(Row {
        first: &format!("{space}- "),
        rest: &format!("{space}  "),
        text,
        ..Row::default()
    });
}
