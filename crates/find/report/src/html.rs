//! One HTML file that needs nothing else: no script, no font, no picture from anywhere.
//!
//! Every text is escaped by the template (`maud`), and its invisible characters are made visible
//! before. A content security policy allows the two style sheets by their hashes and nothing else,
//! so markup that slipped through could neither run nor call home.

mod choose;
mod findings;
mod graph;
mod layout;
mod paths;
mod picture;
mod tables;

use crate::terminal::{count, seconds, thousands};
use crate::visible;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cofferdam_assess::Assessment;
use cofferdam_finding::{Confidence, ControlStatus, Severity};
use graph::Graph;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("html/style.css");

/// Renders `assessment` as one self-contained HTML file.
pub fn html(assessment: &Assessment) -> String {
    let assessment = &visible::assessment(assessment);
    let graph = Graph::new(assessment);
    let rules = choose::rules(assessment, graph.as_ref());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}' 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(&rules)
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                title { "Cofferdam: " (subject(assessment)) }
                style { (PreEscaped(STYLE)) }
                style { (PreEscaped(&rules)) }
            }
            body {
                (header(assessment))
                main {
                    (paths::section(assessment, graph.as_ref()))
                    (findings::section(assessment))
                    (tables::controls(assessment))
                    (tables::coverage(assessment))
                    (tables::deployment(assessment))
                    (tables::notes(assessment))
                }
                footer {
                    "Made by " (assessment.tool.name) " " (assessment.tool.version)
                    " · report schema " (assessment.schema_version)
                    " · secrets are redacted, evidence is kept"
                }
            }
        }
    };
    page.into_string() + "\n"
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

/// Text in which what stands between backticks is code, as messages of this project write it.
fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return html! { (text) };
    }
    html! {
        @for (index, part) in parts.into_iter().enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// What was assessed.
fn subject(assessment: &Assessment) -> String {
    match (&assessment.target, &assessment.deployment) {
        (Some(target), _) => target.clone(),
        (None, Some(deployment)) => deployment.files.join(", "),
        (None, None) => "nothing".to_owned(),
    }
}

fn header(assessment: &Assessment) -> Markup {
    let what = if assessment.target.is_some() {
        "From a bearer token to the host"
    } else {
        "From the container to the host"
    };
    let names: Vec<&str> = assessment
        .identities
        .iter()
        .map(|identity| identity.name.as_str())
        .collect();
    html! {
        header {
            div .masthead {
                div .about {
                    p .brand { "Cofferdam" }
                    h1 { (subject(assessment)) }
                    p .what { (what) }
                    dl .meta {
                        div { dt { "Started" } dd { (assessment.started) } }
                        div { dt { "Took" } dd { (seconds(assessment.elapsed_ms)) } }
                        @if assessment.target.is_some() {
                            div { dt { "Requests" } dd { (thousands(assessment.requests)) } }
                        }
                        @if !names.is_empty() {
                            div { dt { "As" } dd { (names.join(", ")) } }
                        }
                        @if let Some(deployment) = &assessment.deployment {
                            div { dt { "Deployment" } dd {
                                (deployment.files.join(", ")) ": " (prose(&deployment.chosen_because))
                            } }
                        }
                        @if let Some(state) = assessment.assumed {
                            div { dt { "Assumed" } dd { "the attacker " (state.label()) } }
                        }
                    }
                }
                (grade(assessment))
            }
            @if !assessment.complete {
                p .banner role="note" {
                    strong { "Not complete: " }
                    (assessment.incomplete_because.as_deref().unwrap_or("it was stopped early"))
                    ". What stands here is true, but not all."
                }
            }
            (tiles(assessment))
        }
    }
}

fn grade(assessment: &Assessment) -> Markup {
    let class = assessment
        .grade
        .map_or("none".to_owned(), |grade| grade.to_string());
    html! {
        div class=(format!("grade g-{class}")) {
            p .letter {
                @match assessment.grade {
                    Some(grade) => { (grade) }
                    None => { "–" }
                }
            }
            p .points {
                @match assessment.score {
                    Some(score) => { (score) span { " of 100" } }
                    None => { span { "no score: nothing was tested" } }
                }
            }
            @if !assessment.scores.is_empty() {
                ul .categories aria-label="Score per category" {
                    @for (name, category) in &assessment.scores {
                        li {
                            span { (name) }
                            @match category.score {
                                Some(score) => {
                                    meter min="0" max="100" low="40" high="75" optimum="100" value=(score) {
                                        (score)
                                    }
                                    b { (score) }
                                }
                                None => { i { "untested" } b { "–" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn tiles(assessment: &Assessment) -> Markup {
    let sure: Vec<Severity> = assessment
        .findings
        .iter()
        .filter(|finding| finding.confidence >= Confidence::Firm)
        .map(|finding| finding.severity)
        .collect();
    let unsure = assessment.findings.len() - sure.len();
    let severity = |severity| sure.iter().filter(|one| **one == severity).count();
    let control = |status| {
        let of = assessment.controls.iter();
        of.filter(|control| control.status == status).count()
    };
    let firm = assessment
        .paths_to_host()
        .filter(|path| path.confidence >= Confidence::Firm)
        .count();
    let guessed = assessment.paths_to_host().count() - firm;
    let reached = assessment
        .operations
        .iter()
        .filter(|one| one.reached)
        .count();
    html! {
        ul .tiles .quiet[assessment.score.is_none()] aria-label="In short" {
            li .bad[firm > 0] {
                b { (firm) }
                span { (count(firm, "path").trim_start_matches(char::is_numeric)) " to the host" }
                small { (guessed) " tentative" }
            }
            li .bad[severity(Severity::Critical) + severity(Severity::High) > 0] {
                b { (severity(Severity::Critical)) " + " (severity(Severity::High)) }
                span { "critical + high" }
                small {
                    (severity(Severity::Medium)) " medium, " (severity(Severity::Low)) " low, "
                    (unsure) " tentative"
                }
            }
            li .bad[control(ControlStatus::Failed) > 0] {
                b { (control(ControlStatus::Held)) }
                span { "controls held" }
                small {
                    (control(ControlStatus::Failed)) " failed, "
                    (control(ControlStatus::Untested)) " untested"
                }
            }
            @if assessment.target.is_some() {
                li {
                    b { (reached) "/" (assessment.operations.len()) }
                    span { "operations reached" }
                    small { "answered as meant to one who may" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_vulnerable_service_as_a_page() {
        insta::assert_binary_snapshot!(
            "vulnerable.html",
            html(&fixture::vulnerable()).into_bytes()
        );
    }

    #[test]
    fn no_markup_of_a_hostile_target_survives() {
        for assessment in fixture::all() {
            let page = html(&assessment);
            assert!(!page.chars().any(visible::is_invisible));
            for forbidden in [
                "<script",
                "<img",
                "<iframe",
                "<link",
                "onerror=alert(1)>\u{1b}",
            ] {
                assert!(!page.contains(forbidden), "{forbidden}");
            }
            // Nothing is loaded: no element has a source, and every link is a place of the page.
            for tag in page.split('<').filter_map(|rest| rest.split('>').next()) {
                assert!(!tag.contains(" src="), "{tag}");
                assert_eq!(
                    tag.matches("url(").count(),
                    tag.matches("url(#").count(),
                    "{tag}"
                );
                for link in tag.split("href=\"").skip(1) {
                    assert!(link.starts_with('#'), "{tag}");
                }
            }
        }
        let page = html(&fixture::vulnerable());
        assert!(page.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;\\u{1b}]0;owned"));
    }

    #[test]
    fn no_attribute_carries_style_and_the_policy_knows_both_sheets() {
        let page = html(&fixture::vulnerable());
        assert!(!page.contains(" style="));
        let sheets: Vec<&str> = page
            .split("<style>")
            .skip(1)
            .map(|rest| rest.split("</style>").next().unwrap())
            .collect();
        assert_eq!(sheets.len(), 2);
        for sheet in sheets {
            assert!(
                page.contains(&format!("&#39;sha256-{}&#39;", hash(sheet)))
                    || page.contains(&format!("'sha256-{}'", hash(sheet)))
            );
        }
    }

    #[test]
    fn every_id_is_there_once_and_every_link_leads_somewhere() {
        for assessment in fixture::all() {
            let page = html(&assessment);
            let mut ids: Vec<&str> = page
                .split(" id=\"")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap())
                .collect();
            for link in page.split(" href=\"#").skip(1) {
                let to = link.split('"').next().unwrap();
                assert!(ids.contains(&to), "{to}");
            }
            let all = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), all);
        }
    }
}
