//! The graph as inline SVG.

use super::graph::{Edge, Graph, RADIUS, Station};
use cofferdam_finding::State;
use maud::{Markup, html};

/// Columns of a station's label.
const LABEL: usize = 20;

/// Draws `graph`. Classes `pN`, `eN`, `nN` and `fN` tie it to the rules of `choose`.
pub(super) fn picture(graph: &Graph) -> Markup {
    let view = format!("0 0 {:.0} {:.0}", graph.width, graph.height);
    html! {
        div .picture tabindex="0" role="group" aria-label="Attack paths, drawn" {
            svg viewBox=(view) width=(format!("{:.0}", graph.width))
                height=(format!("{:.0}", graph.height)) role="img"
                aria-labelledby="picture-title picture-text" {
                title id="picture-title" { "From where an attacker starts to what they reach" }
                desc id="picture-text" { (told(graph)) }
                defs {
                    marker id="tip" viewBox="0 0 10 10" refX="8.5" refY="5" markerWidth="9"
                        markerHeight="9" markerUnits="userSpaceOnUse" orient="auto" {
                        path .tip d="M0 0.8 L9.5 5 L0 9.2 Z" {}
                    }
                    symbol id="scissors" viewBox="0 0 24 24" {
                        circle cx="6" cy="6.5" r="2.8" {}
                        circle cx="6" cy="17.5" r="2.8" {}
                        path d="M8.3 8.2 L20 18.5 M8.3 15.8 L20 5.5" {}
                    }
                }
                @for (index, edge) in graph.edges.iter().enumerate() { (self::edge(index, edge)) }
                @for (index, station) in graph.stations.iter().enumerate() {
                    (self::station(index, station))
                }
                @for (index, edge) in graph.edges.iter().enumerate() { (sign(index, edge)) }
            }
        }
        ul .legend aria-label="How to read the picture" {
            li { (key("proven")) "proven: seen to work" }
            li { (key("firm")) "firm: a file says so, or no other explanation is likely" }
            li { (key("tentative")) "tentative: rests on something unknown" }
            li {
                svg .key width="22" height="18" viewBox="0 0 24 24" aria-hidden="true" {
                    g .scissors { use href="#scissors" {} }
                }
                "the fix with this number cuts here"
            }
        }
    }
}

fn key(class: &str) -> Markup {
    html! {
        svg .key width="44" height="10" aria-hidden="true" {
            path class=(format!("line {class}")) d="M2 5 H42" {}
        }
    }
}

/// The picture in words, for who does not see it.
fn told(graph: &Graph) -> String {
    let edges: Vec<String> = graph
        .edges
        .iter()
        .map(|edge| format!("{} ({})", edge.title, edge.confidence))
        .collect();
    format!("{} paths. Steps: {}.", graph.drawn, edges.join("; "))
}

fn edge(index: usize, edge: &Edge) -> Markup {
    let mut d = String::new();
    for [start, from, to, end] in &edge.curves {
        if d.is_empty() {
            d = format!("M{:.1} {:.1}", start.x, start.y);
        }
        d.push_str(&format!(
            " C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}",
            from.x, from.y, to.x, to.y, end.x, end.y
        ));
    }
    html! {
        g class=(format!("edge e{index}")) {
            title { (edge.title) }
            path class=(format!("line {}", edge.confidence)) d=(d) marker-end="url(#tip)" {}
        }
    }
}

/// The words and the scissors on an edge, above every line.
fn sign(index: usize, edge: &Edge) -> Markup {
    let middle = edge.sign;
    html! {
        g class=(format!("sign e{index}")) {
            text x=(format!("{:.1}", middle.x)) y=(format!("{:.1}", middle.y - 17.0)) {
                (edge.label)
            }
            @for (turn, fix) in edge.cuts.iter().enumerate() {
                @let x = middle.x - 17.0 * (edge.cuts.len() as f64) + 34.0 * turn as f64;
                g class=(format!("scissors f{fix}"))
                    transform=(format!("translate({x:.1} {:.1})", middle.y - 10.0)) {
                    title { "fix " (fix + 1) " cuts here" }
                    rect x="-3" y="-2" width="38" height="24" rx="12" {}
                    use href="#scissors" x="1" y="1" width="18" height="18" {}
                    text .number x="26" y="14.5" { (fix + 1) }
                }
            }
        }
    }
}

fn station(index: usize, station: &Station) -> Markup {
    let kind = match (station.state == State::Host, station.end, station.start) {
        (true, ..) => "host",
        (_, true, _) => "goal",
        (_, _, true) => "start",
        _ => "between",
    };
    let lines = lines(station.state.label());
    html! {
        g class=(format!("station {kind} n{index}")) {
            circle cx=(format!("{:.1}", station.at.x)) cy=(format!("{:.1}", station.at.y)) r=(RADIUS) {}
            @if station.end {
                circle .inner cx=(format!("{:.1}", station.at.x)) cy=(format!("{:.1}", station.at.y))
                    r="5.5" {}
            }
            text y=(format!("{:.1}", station.at.y + 32.0)) {
                @for (turn, line) in lines.iter().enumerate() {
                    tspan x=(format!("{:.1}", station.at.x)) dy=(if turn == 0 { "0" } else { "16" }) {
                        (line)
                    }
                }
            }
        }
    }
}

fn lines(label: &str) -> Vec<String> {
    textwrap::wrap(label, LABEL)
        .into_iter()
        .map(std::borrow::Cow::into_owned)
        .collect()
}
