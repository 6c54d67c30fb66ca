//! The graph as inline SVG.

use super::graph::{Edge, Graph, Station};
use cofferdam_finding::State;
use maud::{Markup, html};

/// Columns of a station's label.
const LABEL: usize = 20;
const RADIUS: f64 = 13.0;

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
                    @for (id, class) in [("tip", "tip"), ("tip-faint", "tip faint")] {
                        marker id=(id) viewBox="0 0 10 10" refX="8.5" refY="5" markerWidth="9"
                            markerHeight="9" markerUnits="userSpaceOnUse" orient="auto" {
                            path class=(class) d="M0 0.8 L9.5 5 L0 9.2 Z" {}
                        }
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
    let (start, end) = (leave(edge, true), leave(edge, false));
    let [_, b, c, _] = edge.curve;
    let d = format!(
        "M{:.1} {:.1} C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}",
        start.0, start.1, b.0, b.1, c.0, c.1, end.0, end.1
    );
    html! {
        g class=(format!("edge e{index}")) {
            title { (edge.title) }
            path class=(format!("line {}", edge.confidence)) d=(d) marker-end="url(#tip)" {}
        }
    }
}

/// Where the curve leaves its first or meets its last station's rim.
fn leave(edge: &Edge, first: bool) -> (f64, f64) {
    let (rim, towards) = if first {
        (edge.curve[0], edge.curve[1])
    } else {
        (edge.curve[3], edge.curve[2])
    };
    let (dx, dy) = (towards.0 - rim.0, towards.1 - rim.1);
    let length = dx.hypot(dy).max(1.0);
    let out = RADIUS + if first { 2.0 } else { 5.0 };
    (rim.0 + dx / length * out, rim.1 + dy / length * out)
}

/// The words and the scissors on an edge, above every line.
fn sign(index: usize, edge: &Edge) -> Markup {
    let middle = edge.at(0.5);
    html! {
        g class=(format!("sign e{index}")) {
            text x=(format!("{:.1}", middle.0)) y=(format!("{:.1}", middle.1 - 17.0)) {
                (edge.label)
            }
            @for (turn, fix) in edge.cuts.iter().enumerate() {
                @let x = middle.0 - 17.0 * (edge.cuts.len() as f64) + 34.0 * turn as f64;
                g class=(format!("scissors f{fix}"))
                    transform=(format!("translate({x:.1} {:.1})", middle.1 - 10.0)) {
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
            circle cx=(format!("{:.1}", station.x)) cy=(format!("{:.1}", station.y)) r=(RADIUS) {}
            @if station.end {
                circle .inner cx=(format!("{:.1}", station.x)) cy=(format!("{:.1}", station.y))
                    r="5.5" {}
            }
            text y=(format!("{:.1}", station.y + 32.0)) {
                @for (turn, line) in lines.iter().enumerate() {
                    tspan x=(format!("{:.1}", station.x)) dy=(if turn == 0 { "0" } else { "16" }) {
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
