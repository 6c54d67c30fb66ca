//! The picture, the fixes to choose from, and every path step by step.

use super::findings::piece;
use super::graph::Graph;
use super::picture::picture;
use super::prose;
use crate::terminal::count;
use cofferdam_assess::{Assessment, Fix, Path};
use cofferdam_finding::State;
use maud::{Markup, html};

pub(super) fn section(assessment: &Assessment, graph: Option<&Graph>) -> Markup {
    let to_host = assessment.paths_to_host().count();
    html! {
        section #paths {
            @if to_host > 0 {
                h2 { "The way to the host" }
            } @else if assessment.target.is_some() && !assessment.operations.iter().any(|one| one.reached) {
                h2 { "The way to the host" }
                p { "No operation was reached as meant, so nothing was tested and nothing can be said." }
            } @else {
                h2 { "No way to the host was found" }
                @if !assessment.paths.is_empty() {
                    p { "What an attacker reaches all the same:" }
                }
            }
            @if let Some(graph) = graph {
                div .card.drawing {
                    (picture(graph))
                    @if to_host > graph.drawn {
                        p .small { "The " (graph.drawn) " cheapest of " (to_host) " paths are drawn." }
                    }
                }
            }
            (fixes(assessment, to_host))
            @for (index, path) in assessment.paths.iter().enumerate() {
                (one(assessment, index, path))
            }
        }
    }
}

fn fixes(assessment: &Assessment, to_host: usize) -> Markup {
    let (cut, left) = assessment.cut_and_left();
    html! {
        @if assessment.fixes.is_empty() {
            @if to_host > 0 { p { "No known fix cuts every path to the host." } }
        } @else {
            fieldset .fixes {
                legend {
                    (match assessment.fixes.len() {
                        1 => "One fix cuts ".to_owned(),
                        number => format!("{number} fixes cut "),
                    })
                    (match cut {
                        1 => "the path".to_owned(),
                        2 => "both paths".to_owned(),
                        number => format!("all {number} paths"),
                    })
                    @if left > 0 {
                        " to the host that " (if cut == 1 { "is" } else { "are" }) " at least firm"
                    }
                }
                p .small.screen { "Choose a fix to see which paths fall with it." }
                @for (index, fix) in assessment.fixes.iter().enumerate() {
                    (choice(assessment, index, fix))
                }
                @if left > 0 {
                    p .small { (count(left, "tentative path")) " to the host would be left." }
                }
                p .open.small.screen role="status" { "A path to the host is open." }
                p .closed.screen role="status" {
                    @if left > 0 { "No path to the host that is at least firm is left." }
                    @else { "No path to the host is left." }
                }
            }
        }
    }
}

fn choice(assessment: &Assessment, index: usize, fix: &Fix) -> Markup {
    html! {
        div .fix {
            input type="checkbox" id=(format!("x{index}"));
            label for=(format!("x{index}")) {
                span .number { (fix.id) }
                span .body {
                    b { (prose(&fix.title)) }
                    span .small {
                        @if let Some(place) = &fix.place { code { (place) } " · " }
                        (fix.side) " · cuts " (fix.cuts.join(", "))
                    }
                }
            }
            @for named in &fix.findings {
                @if let Some(finding) = assessment.finding(named) {
                    a .small href=(format!("#f-{}", finding.fingerprint)) { (finding.check) }
                }
            }
        }
    }
}

fn one(assessment: &Assessment, index: usize, path: &Path) -> Markup {
    let first = index == 0;
    html! {
        details class=(format!("card path p{index}")) open[first] {
            summary {
                span .id { (path.id) }
                span .title {
                    (sentence(path.from)) " → " (path.to.label())
                    span .fallen { " · falls with the chosen fixes" }
                }
                span class=(format!("pill c-{}", path.confidence)) { (path.confidence) }
                span .small { (count(path.steps.len(), "step")) }
            }
            @if !path.assumes.is_empty() {
                div .assumes {
                    p { "Only if this holds, which nothing that was given tells:" }
                    ul { @for assumed in &path.assumes { li { (prose(assumed)) } } }
                }
            }
            ol .steps {
                li .state { (place(path, path.from)) }
                @for (number, step) in path.steps.iter().enumerate() {
                    li .step {
                        p .line {
                            span .number { (number + 1) }
                            b { (prose(&step.title)) }
                            span class=(format!("pill c-{}", step.confidence)) { (step.confidence) }
                        }
                        p .small {
                            @if let Some(place) = &step.place { code { (place) } " " }
                            @for fact in &step.facts {
                                span .fact title=(fact.label()) { (fact) } " "
                            }
                            @if let Some(finding) = step.finding.as_ref().and_then(|named| assessment.finding(named)) {
                                a href=(format!("#f-{}", finding.fingerprint)) { (finding.check) } " "
                            }
                            @for technique in &step.attack { span .tag { "ATT&CK " (technique) } " " }
                        }
                        @for evidence in &step.evidence { (piece(evidence)) }
                    }
                    li .state.host[step.to == State::Host] { (place(path, step.to)) }
                }
            }
        }
    }
}

fn sentence(state: State) -> String {
    let label = state.label();
    let mut chars = label.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

fn place(path: &Path, state: State) -> Markup {
    html! {
        (sentence(state))
        @if state.label().ends_with("the container") {
            @if let Some(container) = &path.container { " " code { (container) } }
        }
    }
}
