//! What held, what was reached as whom, what is known of the deployment, and the notes.

use super::prose;
use cofferdam_assess::{Assessment, Operation};
use cofferdam_finding::{Condition, Control, ControlStatus, Evidence, Truth};
use maud::{Markup, html};

pub(super) fn controls(assessment: &Assessment) -> Markup {
    let of = |status| -> Vec<&Control> {
        assessment
            .controls
            .iter()
            .filter(|control| control.status == status)
            .collect()
    };
    let groups = [
        ControlStatus::Failed,
        ControlStatus::Untested,
        ControlStatus::Held,
    ];
    html! {
        @if !assessment.controls.is_empty() {
            section #controls {
                h2 { "Controls" }
                p .small { "Held: it was looked for and is not so. Failed: it is so. Untested: no statement about safety." }
                @for status in groups {
                    @let members = of(status);
                    @if !members.is_empty() {
                        details .card open[status != ControlStatus::Held] {
                            summary {
                                span class=(format!("pill k-{status}")) { (status) }
                                b { (members.len()) }
                            }
                            div .scroll { table {
                                thead { tr {
                                    th scope="col" { "Check" }
                                    th scope="col" { "What it looks for" }
                                    th scope="col" { "Why" }
                                } }
                                tbody { @for control in members { tr {
                                    td { code { (control.check) } }
                                    td { (prose(&control.title)) }
                                    td { (prose(&control.reason)) }
                                } } }
                            } }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn coverage(assessment: &Assessment) -> Markup {
    let reached = assessment
        .operations
        .iter()
        .filter(|one| one.reached)
        .count();
    html! {
        @if assessment.target.is_some() {
            section #coverage {
                h2 { "What was reached as whom" }
                p .small {
                    (reached) " of " (assessment.operations.len())
                    " operations answered as meant to one who may."
                }
                div .card.scroll tabindex="0" role="group" aria-label="Coverage matrix" { table .matrix {
                    thead { tr {
                        th scope="col" { "Operation" }
                        th scope="col" { "Reached" }
                        @for identity in &assessment.identities { th scope="col" { (identity.name) } }
                    } }
                    tbody { @for operation in &assessment.operations { (row(assessment, operation)) } }
                } }
            }
        }
    }
}

fn row(assessment: &Assessment, operation: &Operation) -> Markup {
    html! {
        tr {
            th scope="row" { b { (operation.method) } " " (operation.path) }
            td {
                @if operation.reached { span .yes { "yes" } } @else {
                    span .no { "no" }
                    @if let Some(reason) = &operation.reason { span .small { ": " (reason) } }
                }
            }
            @for identity in &assessment.identities {
                @match operation.answers.iter().find(|answer| answer.identity == identity.name) {
                    Some(answer) => td class=(tone(&answer.verdict)) {
                        @if let Some(status) = answer.status { b { (status) } " " }
                        span .small { (answer.verdict) }
                    },
                    None => td .quiet { span .small { "not asked" } },
                }
            }
        }
    }
}

/// The tone of a cell. A verdict is a word of ours, so it is compared and never used as a class.
fn tone(verdict: &str) -> &'static str {
    match verdict {
        "accepted" => "accepted",
        "refused" | "forbidden" => "refused",
        _ => "unclear",
    }
}

pub(super) fn deployment(assessment: &Assessment) -> Markup {
    let Some(deployment) = &assessment.deployment else {
        return html! {};
    };
    let known: Vec<Condition> = Condition::ALL
        .iter()
        .copied()
        .filter(|condition| {
            let mut workloads = deployment.workloads.iter();
            workloads.any(|workload| workload.conditions.truth(*condition) != Truth::Unknown)
        })
        .collect();
    html! {
        section #deployment {
            h2 { "What the deployment allows" }
            p .small {
                (prose(&deployment.chosen_because)) ". Conditions that nothing tells about are left out."
            }
            div .card.scroll tabindex="0" role="group" aria-label="Deployment conditions" { table .matrix {
                thead { tr {
                    th scope="col" { "Condition" }
                    @for workload in &deployment.workloads {
                        th scope="col" {
                            (workload.name)
                            @if workload.api { " " span .tag { "the API" } }
                        }
                    }
                } }
                tbody { @for condition in known { tr {
                    th scope="row" { (condition.label()) " " span .small { code { (condition) } } }
                    @for workload in &deployment.workloads {
                        @match workload.conditions.fact(condition) {
                            Some(fact) => td class=(match fact.truth {
                                Truth::Yes => "holds",
                                Truth::No => "holds-not",
                                Truth::Unknown => "quiet",
                            }) {
                                b { (match fact.truth {
                                    Truth::Yes => "yes",
                                    Truth::No => "no",
                                    Truth::Unknown => "unknown",
                                }) }
                                span .small {
                                    " " (fact.confidence)
                                    @if let Some(at) = fact.evidence.iter().find_map(at) { ", " (at) }
                                }
                            },
                            None => td .quiet { span .small { "unknown" } },
                        }
                    }
                } } }
            } }
        }
    }
}

fn at(evidence: &Evidence) -> Option<String> {
    let source = evidence.source.as_ref()?;
    Some(match source.line {
        Some(line) => format!("{}:{line}", source.file),
        None => source.file.clone(),
    })
}

pub(super) fn notes(assessment: &Assessment) -> Markup {
    html! {
        @for (id, title, texts) in [
            ("notes", "Notes", &assessment.notes),
            ("advice", "To learn more", &assessment.advice),
        ] {
            @if !texts.is_empty() {
                section id=(id) {
                    h2 { (title) }
                    ul .card.texts { @for text in texts { li { (prose(text)) } } }
                }
            }
        }
    }
}
