//! The paths as one graph on a plane: states as stations in columns from left to right, steps as
//! edges between them. Pure geometry; `picture` draws it.

use cofferdam_assess::{Assessment, Fix, Path, Step};
use cofferdam_finding::{Confidence, State};

/// More paths than these make a picture that nobody reads; the cheapest are drawn.
const MOST_PATHS: usize = 12;
/// The width that the columns share while they keep between the least and the most.
const WIDTH: f64 = 1120.0;
const LEAST_COLUMN: f64 = 190.0;
const MOST_COLUMN: f64 = 330.0;
const ROW: f64 = 128.0;
const MARGIN_X: f64 = 90.0;
const MARGIN_Y: f64 = 58.0;

/// Stations and edges with their places.
pub(super) struct Graph {
    pub(super) stations: Vec<Station>,
    pub(super) edges: Vec<Edge>,
    pub(super) width: f64,
    pub(super) height: f64,
    /// How many paths are drawn.
    pub(super) drawn: usize,
}

/// A state.
pub(super) struct Station {
    pub(super) state: State,
    pub(super) x: f64,
    pub(super) y: f64,
    /// Whether a drawn path starts or ends here.
    pub(super) start: bool,
    pub(super) end: bool,
    /// The drawn paths through it, as indexes of the assessment's paths.
    pub(super) paths: Vec<usize>,
}

/// A step, drawn once however many paths take it.
pub(super) struct Edge {
    pub(super) label: String,
    pub(super) title: String,
    pub(super) confidence: Confidence,
    /// Start, two control points, end.
    pub(super) curve: [(f64, f64); 4],
    pub(super) paths: Vec<usize>,
    /// The fixes that cut it, as indexes of the assessment's fixes.
    pub(super) cuts: Vec<usize>,
}

impl Edge {
    /// The point of the curve at `t`, 0 at its start and 1 at its end (de Casteljau, expanded).
    pub(super) fn at(&self, t: f64) -> (f64, f64) {
        let weights = [
            (1.0 - t).powi(3),
            3.0 * t * (1.0 - t).powi(2),
            3.0 * t.powi(2) * (1.0 - t),
            t.powi(3),
        ];
        self.curve
            .iter()
            .zip(weights)
            .fold((0.0, 0.0), |sum, (point, weight)| {
                (sum.0 + point.0 * weight, sum.1 + point.1 * weight)
            })
    }
}

/// The paths that the picture shows: those to the host, or, where none is, all.
pub(super) fn shown(assessment: &Assessment) -> Vec<(usize, &Path)> {
    let to_host = assessment.paths_to_host().next().is_some();
    assessment
        .paths
        .iter()
        .enumerate()
        .filter(|(_, path)| !to_host || path.to == State::Host)
        .take(MOST_PATHS)
        .collect()
}

/// Whether `fix` takes away what `step` needs.
pub(super) fn cuts(fix: &Fix, step: &Step) -> bool {
    let mends = step.finding.as_ref().is_some_and(|named| {
        fix.findings
            .iter()
            .any(|mended| mended.fingerprint == named.fingerprint)
    });
    mends || step.facts.iter().any(|fact| fix.conditions.contains(fact))
}

impl Graph {
    /// Lays out the paths of [`shown`]; `None` when there are none.
    pub(super) fn new(assessment: &Assessment) -> Option<Self> {
        let paths = shown(assessment);
        let mut states: Vec<State> = Vec::new();
        let mut steps: Vec<(&Step, Vec<usize>)> = Vec::new();
        for (index, path) in &paths {
            for step in &path.steps {
                for state in [step.from, step.to] {
                    if !states.contains(&state) {
                        states.push(state);
                    }
                }
                match steps.iter_mut().find(|(known, _)| same(known, step)) {
                    Some((_, through)) => through.push(*index),
                    None => steps.push((step, vec![*index])),
                }
            }
        }
        if states.is_empty() {
            return None;
        }
        let columns = columns(&states, &steps, &paths);
        let rows = rows(&states, &columns, &paths);
        let last = columns.iter().copied().max().unwrap_or(0);
        let lowest = rows.iter().copied().min().unwrap_or(0);
        let highest = rows.iter().copied().max().unwrap_or(0);
        let bows = bows(&states, &columns, &rows, &steps);
        let room_above = bows.iter().copied().fold(0.0, f64::max);
        let apart =
            ((WIDTH - MARGIN_X * 2.0) / last.max(1) as f64).clamp(LEAST_COLUMN, MOST_COLUMN);
        let x = |column: usize| MARGIN_X + apart * column as f64;
        let y = |row: i32| MARGIN_Y + room_above + ROW * f64::from(row - lowest);
        let spot = |state: State| {
            let at = states.iter().position(|known| *known == state).unwrap_or(0);
            (x(columns[at]), y(rows[at]))
        };
        let stations = states
            .iter()
            .map(|state| {
                let (x, y) = spot(*state);
                Station {
                    state: *state,
                    x,
                    y,
                    start: paths.iter().any(|(_, path)| path.from == *state),
                    end: paths.iter().any(|(_, path)| path.to == *state),
                    paths: paths
                        .iter()
                        .filter(|(_, path)| touches(path, *state))
                        .map(|(index, _)| *index)
                        .collect(),
                }
            })
            .collect();
        let edges = steps
            .into_iter()
            .zip(bows)
            .map(|((step, through), bow)| {
                let (from, to) = (spot(step.from), spot(step.to));
                let third = (to.0 - from.0) / 3.0;
                Edge {
                    label: label(step),
                    title: step.title.clone(),
                    confidence: step.confidence,
                    curve: [
                        from,
                        (from.0 + third, from.1 - bow * 4.0 / 3.0),
                        (to.0 - third, to.1 - bow * 4.0 / 3.0),
                        to,
                    ],
                    paths: through,
                    cuts: assessment
                        .fixes
                        .iter()
                        .enumerate()
                        .filter(|(_, fix)| cuts(fix, step))
                        .map(|(index, _)| index)
                        .collect(),
                }
            })
            .collect();
        Some(Self {
            stations,
            edges,
            width: MARGIN_X * 2.0 + apart * last as f64,
            height: MARGIN_Y * 2.0 + room_above + ROW * f64::from(highest - lowest),
            drawn: paths.len(),
        })
    }
}

/// Whether two steps of two paths are one edge.
fn same(a: &Step, b: &Step) -> bool {
    (a.from, a.to, &a.finding, &a.facts, &a.title) == (b.from, b.to, &b.finding, &b.facts, &b.title)
}

fn touches(path: &Path, state: State) -> bool {
    path.from == state || path.steps.iter().any(|step| step.to == state)
}

/// What stands on the edge: the check's short name, else the conditions.
fn label(step: &Step) -> String {
    match &step.finding {
        Some(named) => match named.check.split_once('.') {
            Some((_, short)) => short.to_owned(),
            None => named.check.clone(),
        },
        None => match step.facts.as_slice() {
            [] => String::new(),
            [one] => one.id().to_owned(),
            [one, more @ ..] => format!("{} +{}", one.id(), more.len()),
        },
    }
}

/// Each state as far right as its longest way from a start, ends in the last column.
fn columns(
    states: &[State],
    steps: &[(&Step, Vec<usize>)],
    paths: &[(usize, &Path)],
) -> Vec<usize> {
    let at = |state: State| states.iter().position(|known| *known == state).unwrap_or(0);
    let mut columns = vec![0_usize; states.len()];
    // Two paths may take two steps in opposite directions; so many rounds settle all without one.
    for _ in 0..states.len() {
        for (step, _) in steps {
            let (from, to) = (at(step.from), at(step.to));
            let next = (columns[from] + 1).min(states.len() - 1);
            columns[to] = columns[to].max(next);
        }
    }
    for (_, path) in paths {
        columns[at(path.from)] = 0;
    }
    // Close the gaps that the limit or a loop left.
    let mut used: Vec<usize> = columns.clone();
    used.sort_unstable();
    used.dedup();
    for column in &mut columns {
        *column = used.binary_search(column).unwrap_or(0);
    }
    let last = columns.iter().copied().max().unwrap_or(0);
    if let Some(host) = states.iter().position(|state| *state == State::Host) {
        columns[host] = last.max(1);
    }
    columns
}

/// The first path runs straight on row 0; the others' states lie below and above it in turn.
fn rows(states: &[State], columns: &[usize], paths: &[(usize, &Path)]) -> Vec<i32> {
    let straight = |state: State| {
        paths.first().is_some_and(|(_, path)| touches(path, state)) || state == State::Host
    };
    let mut rows = vec![0; states.len()];
    let last = columns.iter().copied().max().unwrap_or(0);
    for column in 0..=last {
        let mut taken: Vec<i32> = Vec::new();
        let mut members: Vec<usize> = (0..states.len())
            .filter(|index| columns[*index] == column)
            .collect();
        members.sort_by_key(|index| !straight(states[*index]));
        for index in members {
            let row = (0..)
                .map(|turn: i32| {
                    if turn % 2 == 1 {
                        (turn + 1) / 2
                    } else {
                        -turn / 2
                    }
                })
                .find(|row| !taken.contains(row))
                .unwrap_or(0);
            taken.push(row);
            rows[index] = row;
        }
    }
    rows
}

/// How far each edge bows upward: edges between the same two stations fan out, and one that passes
/// over stations of its own row goes round them.
fn bows(
    states: &[State],
    columns: &[usize],
    rows: &[i32],
    steps: &[(&Step, Vec<usize>)],
) -> Vec<f64> {
    let at = |state: State| states.iter().position(|known| *known == state).unwrap_or(0);
    steps
        .iter()
        .enumerate()
        .map(|(index, (step, _))| {
            let (from, to) = (at(step.from), at(step.to));
            let twins =
                |other: &&(&Step, Vec<usize>)| (other.0.from, other.0.to) == (step.from, step.to);
            let before = steps[..index].iter().filter(twins).count();
            let span = columns[to].abs_diff(columns[from]);
            let over = if rows[from] == rows[to] && span > 1 {
                40.0 + 26.0 * (span - 1) as f64
            } else {
                0.0
            };
            over + 46.0 * before as f64
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn stations_lie_apart_and_every_step_leads_to_the_right() {
        for assessment in fixture::all() {
            let Some(graph) = Graph::new(&assessment) else {
                assert!(assessment.paths.is_empty());
                continue;
            };
            for (index, one) in graph.stations.iter().enumerate() {
                assert!((0.0..=graph.width).contains(&one.x));
                assert!((0.0..=graph.height).contains(&one.y));
                for other in &graph.stations[index + 1..] {
                    assert!((one.x, one.y) != (other.x, other.y));
                }
            }
            for edge in &graph.edges {
                assert!(edge.curve[0].0 < edge.curve[3].0, "{}", edge.label);
                assert!(edge.at(0.5).1 >= 0.0);
                assert_eq!(edge.at(0.0), edge.curve[0]);
            }
        }
    }

    #[test]
    fn a_step_of_two_paths_is_one_edge_and_falls_with_both() {
        let graph = Graph::new(&fixture::vulnerable()).unwrap();
        assert_eq!(graph.drawn, 2);
        let host = graph
            .edges
            .iter()
            .find(|edge| edge.label == "engine.rootful")
            .unwrap();
        assert_eq!(host.paths, [0, 1]);
        let injection = graph
            .edges
            .iter()
            .find(|edge| edge.label == "command-injection")
            .unwrap();
        assert_eq!(injection.cuts, [0]);
        let socket = graph
            .edges
            .iter()
            .find(|edge| edge.label == "sock.docker +1")
            .unwrap();
        assert_eq!(socket.cuts, [1]);
    }

    #[test]
    fn a_loop_between_paths_ends() {
        let mut looped = fixture::vulnerable();
        let back = cofferdam_assess::Step {
            from: State::RuntimeControl,
            to: State::Exec,
            ..looped.paths[0].steps[1].clone()
        };
        looped.paths[1].steps.insert(1, back);
        let graph = Graph::new(&looped).unwrap();
        assert!(graph.width < 3000.0);
    }
}
