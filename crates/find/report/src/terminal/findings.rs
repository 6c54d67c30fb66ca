//! What was found, cause by cause.

use super::TerminalOptions;
use super::page::{Page, Row, count};
use super::paths::{beside, told};
use cofferdam_assess::Assessment;
use cofferdam_finding::{Confidence, Evidence, Finding, Severity};

/// Lines of a body that `--verbose` shows.
const BODY_LINES: usize = 12;
/// Places that the default view names.
const PLACES: usize = 3;

pub(super) fn findings(page: &mut Page, assessment: &Assessment, options: &TerminalOptions) {
    let (sure, unsure): (Vec<&Finding>, Vec<&Finding>) = assessment
        .findings
        .iter()
        .partition(|finding| finding.confidence >= Confidence::Firm);
    let shown: Vec<&Finding> = if options.verbose {
        sure.iter().chain(&unsure).copied().collect()
    } else {
        sure.clone()
    };
    if shown.is_empty() {
        page.heading("NO FINDING IS AT LEAST FIRM", "");
    } else {
        page.heading("FINDINGS BY CAUSE", &tally(&sure));
    }
    for finding in shown {
        one(page, finding, options);
    }
    if !unsure.is_empty() && !options.verbose {
        page.text(
            2,
            &format!(
                "{} not shown: --verbose",
                count(unsure.len(), "tentative sign")
            ),
        );
    }
}

/// `2 critical  3 high  4 lower`.
fn tally(findings: &[&Finding]) -> String {
    let of = |severity| {
        findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let (critical, high) = (of(Severity::Critical), of(Severity::High));
    [
        (critical, "critical"),
        (high, "high"),
        (findings.len() - critical - high, "lower"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, word)| format!("{number} {word}"))
    .collect::<Vec<_>>()
    .join("  ")
}

fn one(page: &mut Page, finding: &Finding, options: &TerminalOptions) {
    let severity = format!("{:<9}", finding.severity);
    page.severity_row(&severity, finding);
    let mut places: Vec<String> = finding
        .places
        .iter()
        .filter_map(|place| beside(place, &finding.title))
        .collect();
    let more = places.len().saturating_sub(PLACES);
    if more > 0 && !options.verbose {
        places.truncate(PLACES);
        places.push(format!("{more} more"));
    }
    if !places.is_empty() {
        page.text(12, &format!("at {}", places.join(", ")));
    }
    if !finding.description.is_empty() {
        page.text(12, &finding.description);
    }
    if options.verbose {
        for piece in &finding.evidence {
            in_full(page, piece);
        }
        page.text(12, &format!("fix: {}", finding.remediation));
        page.text(12, &format!("fingerprint: {}", finding.fingerprint));
    } else if let Some(piece) = telling(finding) {
        page.text(
            12,
            &format!("{}: {}", word(finding.confidence), told(piece)),
        );
    }
}

/// The piece of evidence that tells most: the first with something observed, else the first.
fn telling(finding: &Finding) -> Option<&Evidence> {
    let mut evidence = finding.evidence.iter();
    evidence
        .find(|piece| piece.observed.is_some())
        .or(finding.evidence.first())
}

/// What the evidence of a finding of this confidence is.
fn word(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Proven => "proof",
        Confidence::Firm => "seen",
        Confidence::Tentative => "sign",
    }
}

fn in_full(page: &mut Page, piece: &Evidence) {
    page.text(12, &format!("evidence: {}", told(piece)));
    let bar = "            │ ";
    if let Some(source) = &piece.source {
        let line = source
            .line
            .map(|line| format!(":{line}"))
            .unwrap_or_default();
        page.block(bar, &format!("{}{line}  {}", source.file, source.text), 2);
    }
    if let Some(request) = &piece.request {
        let who = piece.identity.as_deref().unwrap_or("the scan");
        page.block(
            bar,
            &format!("{} {}   as {who}", request.method, request.target),
            1,
        );
        if !request.body.is_empty() {
            page.block(bar, &request.body, BODY_LINES);
        }
    }
    if let Some(response) = &piece.response {
        page.block(
            bar,
            &format!("→ {}, {} bytes", response.status, response.length),
            1,
        );
        page.block(bar, &response.body, BODY_LINES);
    }
}

impl Page {
    fn severity_row(&mut self, severity: &str, finding: &Finding) {
        // The severity is styled apart from the title, so it is written as the row's prefix.
        let style = self.palette.severity(finding.severity);
        let first = format!("  {style}{severity}{style:#} ");
        let right = if finding.confidence == Confidence::Tentative {
            format!("{} (tentative)", finding.check)
        } else {
            finding.check.clone()
        };
        self.row(Row {
            first: &first,
            rest: "            ",
            text: &finding.title,
            style: self.palette.strong(),
            right: &right,
            right_style: self.palette.faint(),
        });
    }
}
