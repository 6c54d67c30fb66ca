//! Findings, each with what proves it.

use super::prose;
use cofferdam_assess::Assessment;
use cofferdam_finding::{Confidence, Evidence, Finding, RequestRecord, ResponseRecord};
use maud::{Markup, html};

pub(super) fn section(assessment: &Assessment) -> Markup {
    let (sure, unsure): (Vec<&Finding>, Vec<&Finding>) = assessment
        .findings
        .iter()
        .partition(|finding| finding.confidence >= Confidence::Firm);
    html! {
        section #findings {
            h2 { "Findings by cause" }
            @if sure.is_empty() {
                p { "No finding is at least firm." }
            }
            @for finding in &sure { (one(finding)) }
            @if !unsure.is_empty() {
                details .more {
                    summary { "Tentative signs (" (unsure.len()) "), which do not count for the score" }
                    @for finding in &unsure { (one(finding)) }
                }
            }
        }
    }
}

fn one(finding: &Finding) -> Markup {
    let references = &finding.references;
    html! {
        article class=(format!("card finding s-{}", finding.severity))
            id=(format!("f-{}", finding.fingerprint)) {
            h3 { (prose(&finding.title)) }
            p .labels {
                span class=(format!("pill s-{}", finding.severity)) { (finding.severity) }
                span class=(format!("pill c-{}", finding.confidence)) { (finding.confidence) }
                code { (finding.check) }
                @for cwe in &references.cwe { span .tag { "CWE-" (cwe) } }
                @if let Some(owasp) = &references.owasp_api { span .tag { "OWASP " (owasp) } }
                @for technique in &references.attack { span .tag { "ATT&CK " (technique) } }
            }
            @if !finding.description.is_empty() { p { (prose(&finding.description)) } }
            (places(finding))
            @for evidence in &finding.evidence { (piece(evidence)) }
            p .remedy { b { "To fix: " } (prose(&finding.remediation)) }
            p .small { "cofferdam explain " (finding.check) " · fingerprint " code { (finding.fingerprint) } }
        }
    }
}

fn places(finding: &Finding) -> Markup {
    const SHOWN: usize = 4;
    let (first, more) = finding.places.split_at(finding.places.len().min(SHOWN));
    html! {
        p .places {
            "At "
            @for (index, place) in first.iter().enumerate() {
                @if index > 0 { ", " }
                code { (place) }
            }
        }
        @if !more.is_empty() {
            details .more {
                summary { "and at " (more.len()) " more" }
                p .places {
                    @for (index, place) in more.iter().enumerate() {
                        @if index > 0 { ", " }
                        code { (place) }
                    }
                }
            }
        }
    }
}

/// One piece of evidence; request and answer unfold.
pub(super) fn piece(evidence: &Evidence) -> Markup {
    let observed = evidence.observed.as_deref();
    let unfolds = evidence.request.is_some() || evidence.response.is_some();
    html! {
        div .evidence {
            p {
                (prose(&evidence.shows))
                @if let Some(identity) = &evidence.identity { span .small { " (as " (identity) ")" } }
            }
            @if let Some(observed) = observed { p .observed { "observed " code { (observed) } } }
            @if let Some(source) = &evidence.source {
                pre {
                    (source.file)
                    @if let Some(line) = source.line { ":" (line) }
                    @if !source.text.is_empty() { "  " (source.text) }
                }
            }
            @if unfolds {
                details {
                    summary { "Request and answer" }
                    @if let Some(record) = &evidence.request { (request(record)) }
                    @match &evidence.response {
                        Some(record) => { (response(record, observed)) }
                        None => { p .small { "No answer came." } }
                    }
                }
            }
        }
    }
}

fn request(record: &RequestRecord) -> Markup {
    html! {
        pre aria-label="Request" tabindex="0" {
            b { (record.method) " " (record.target) } "\n"
            @for (name, value) in &record.headers { (name) ": " (value) "\n" }
            @if !record.body.is_empty() { "\n" (record.body) }
        }
    }
}

fn response(record: &ResponseRecord, observed: Option<&str>) -> Markup {
    html! {
        pre aria-label="Answer" tabindex="0" {
            b { (record.status) } " · " (record.length) " bytes\n"
            @for (name, value) in &record.headers { (name) ": " (value) "\n" }
            @if !record.body.is_empty() { "\n" (marked(&record.body, observed)) }
        }
    }
}

/// The body with what was observed marked in it, where it stands there literally.
fn marked(body: &str, observed: Option<&str>) -> Markup {
    match observed
        .filter(|text| !text.is_empty())
        .and_then(|text| body.split_once(text))
    {
        Some((before, after)) => html! { (before) mark { (observed.unwrap_or_default()) } (after) },
        None => html! { (body) },
    }
}
