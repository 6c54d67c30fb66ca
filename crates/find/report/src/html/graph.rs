//! The paths as one graph on a plane: states as stations in columns from left to right, steps as
//! edges between them, with room for the words. `picture` draws it.

use super::layout::{Layout, layout};
use cofferdam_assess::{Assessment, Fix, Path, Side, Step};
use cofferdam_finding::{Confidence, State};

/// More paths than these make a picture that nobody reads; the cheapest are drawn.
const MOST_PATHS: usize = 6;
/// The width that the columns share while they keep between the least and the most.
const WIDTH: f64 = 1120.0;
const LEAST_COLUMN: f64 = 190.0;
const MOST_COLUMN: f64 = 330.0;
const ROW: f64 = 100.0;
const MARGIN_X: f64 = 90.0;
const MARGIN_Y: f64 = 58.0;
/// How far edges between the same two stations bow apart.
const BOW: f64 = 46.0;
pub(super) const RADIUS: f64 = 13.0;

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
    pub(super) at: Point,
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
    /// Cubic curves, each with its start, two control points and end.
    pub(super) curves: Vec<[Point; 4]>,
    /// Where its words and scissors stand.
    pub(super) sign: Point,
    pub(super) paths: Vec<usize>,
    /// The fixes that cut it, as indexes of the assessment's fixes.
    pub(super) cuts: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// The paths that the picture shows: those to the host, or, where none is, all.
fn shown(assessment: &Assessment) -> Vec<(usize, &Path)> {
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
fn cuts(fix: &Fix, step: &Step) -> bool {
    let mends = step.finding.as_ref().is_some_and(|named| {
        fix.side == Side::Api
            && fix
                .findings
                .iter()
                .any(|mended| mended.fingerprint == named.fingerprint)
    });
    let here = match (&fix.container, &step.container) {
        (Some(fix), Some(step)) => fix == step,
        _ => true,
    };
    mends || here && step.facts.iter().any(|fact| fix.conditions.contains(fact))
}

impl Graph {
    /// Lays out the paths of [`shown`]; `None` when there are none.
    pub(super) fn new(assessment: &Assessment) -> Option<Self> {
        let paths = shown(assessment);
        let first = paths.first()?.1;
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
        let node = |state: State| states.iter().position(|known| *known == state).unwrap_or(0);
        let edges: Vec<(usize, usize)> = steps
            .iter()
            .map(|(step, _)| (node(step.from), node(step.to)))
            .collect();
        let mut straight = vec![node(first.from)];
        straight.extend(first.steps.iter().map(|step| node(step.to)));
        let starts: Vec<usize> = paths.iter().map(|(_, path)| node(path.from)).collect();
        let end = states.iter().position(|state| *state == State::Host);
        let plane = Plane::new(
            layout(states.len(), &edges, &straight, &starts, end),
            &edges,
        );
        let stations: Vec<Station> = states
            .iter()
            .enumerate()
            .map(|(index, state)| Station {
                state: *state,
                at: plane.points[index],
                start: paths.iter().any(|(_, path)| path.from == *state),
                end: paths.iter().any(|(_, path)| path.to == *state),
                paths: paths
                    .iter()
                    .filter(|(_, path)| touches(path, *state))
                    .map(|(index, _)| *index)
                    .collect(),
            })
            .collect();
        let mut edges: Vec<Edge> = steps
            .into_iter()
            .enumerate()
            .map(|(index, (step, through))| Edge {
                label: label(step),
                title: step.title.clone(),
                confidence: step.confidence,
                curves: plane.curves(index),
                sign: Point { x: 0.0, y: 0.0 },
                paths: through,
                cuts: assessment
                    .fixes
                    .iter()
                    .enumerate()
                    .filter(|(_, fix)| cuts(fix, step))
                    .map(|(index, _)| index)
                    .collect(),
            })
            .collect();
        place_signs(&mut edges, &stations);
        Some(Self {
            stations,
            edges,
            width: plane.width,
            height: plane.height,
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

/// A layout in pixels.
struct Plane {
    points: Vec<Point>,
    chains: Vec<Vec<usize>>,
    bows: Vec<f64>,
    width: f64,
    height: f64,
}

impl Plane {
    fn new(layout: Layout, edges: &[(usize, usize)]) -> Self {
        let columns = layout.spots.iter().map(|(column, _)| *column);
        let last = columns.max().unwrap_or(0);
        let rows = layout.spots.iter().map(|(_, row)| *row);
        let (top, bottom) = (rows.clone().min().unwrap_or(0), rows.max().unwrap_or(0));
        let apart =
            ((WIDTH - MARGIN_X * 2.0) / last.max(1) as f64).clamp(LEAST_COLUMN, MOST_COLUMN);
        // Between neighbours there is no bend that would keep two edges apart, so they bow.
        let bows: Vec<f64> = edges
            .iter()
            .enumerate()
            .map(|(index, pair)| {
                let twins = edges[..index].iter().filter(|other| *other == pair).count();
                if layout.chains[index].len() == 2 {
                    BOW * twins as f64
                } else {
                    0.0
                }
            })
            .collect();
        let above = MARGIN_Y + bows.iter().copied().fold(0.0, f64::max);
        Self {
            points: layout
                .spots
                .iter()
                .map(|(column, row)| Point {
                    x: MARGIN_X + apart * *column as f64,
                    y: above + ROW * f64::from(row - top),
                })
                .collect(),
            chains: layout.chains,
            bows,
            width: MARGIN_X * 2.0 + apart * last as f64,
            height: above + MARGIN_Y + 14.0 + ROW * f64::from(bottom - top),
        }
    }

    /// The curves of one edge, from rim to rim, level in every column that it passes.
    fn curves(&self, edge: usize) -> Vec<[Point; 4]> {
        let chain = &self.chains[edge];
        let mut points: Vec<Point> = chain.iter().map(|node| self.points[*node]).collect();
        let backwards = points[0].x > points[points.len() - 1].x;
        let sign = if backwards { -1.0 } else { 1.0 };
        points[0].x += sign * (RADIUS + 2.0);
        let last = points.len() - 1;
        points[last].x -= sign * (RADIUS + 5.0);
        let bow = self.bows[edge] * 4.0 / 3.0;
        points
            .windows(2)
            .map(|pair| {
                let (a, b) = (pair[0], pair[1]);
                let half = (b.x - a.x) / 2.0;
                let from = Point {
                    x: a.x + half,
                    y: a.y - bow,
                };
                let to = Point {
                    x: b.x - half,
                    y: b.y - bow,
                };
                [a, from, to, b]
            })
            .collect()
    }
}

/// The point of a cubic curve at `t`, 0 at its start and 1 at its end.
fn at(curve: &[Point; 4], t: f64) -> Point {
    let u = 1.0 - t;
    let weights = [u * u * u, 3.0 * t * u * u, 3.0 * t * t * u, t * t * t];
    let mut point = Point { x: 0.0, y: 0.0 };
    for (control, weight) in curve.iter().zip(weights) {
        point.x += control.x * weight;
        point.y += control.y * weight;
    }
    point
}

/// The room that the words and scissors of an edge take around their point.
#[derive(Clone, Copy)]
struct Room {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Room {
    fn of(edge: &Edge, point: Point) -> Self {
        let words = edge.label.chars().count() as f64 * 7.6 / 2.0 + 4.0;
        let half = words.max(20.0 * edge.cuts.len() as f64);
        Self {
            left: point.x - half,
            right: point.x + half,
            top: point.y - 30.0,
            bottom: point.y + if edge.cuts.is_empty() { -8.0 } else { 14.0 },
        }
    }

    fn meets(&self, other: &Room) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// Gives every edge a point on it where its words cover neither a station nor other words.
fn place_signs(edges: &mut [Edge], stations: &[Station]) {
    let mut taken: Vec<Room> = stations
        .iter()
        .map(|station| Room {
            left: station.at.x - 66.0,
            right: station.at.x + 66.0,
            top: station.at.y - RADIUS - 4.0,
            bottom: station.at.y + 58.0,
        })
        .collect();
    for edge in edges {
        let middle = edge.curves.len() / 2;
        let spots = (0..edge.curves.len()).flat_map(|turn| {
            // From the middle curve outward, and on each from its middle outward.
            let curve = (middle + turn) % edge.curves.len();
            [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82].map(|t| (curve, t))
        });
        let level = edge.curves[middle][0];
        // Where a long edge bends in its middle it runs level, which is the best place.
        let bend = (edge.curves.len() > 1).then_some(level);
        let points: Vec<Point> = bend
            .into_iter()
            .chain(spots.map(|(curve, t)| at(&edge.curves[curve], t)))
            .collect();
        let free = points.iter().find(|point| {
            let room = Room::of(edge, **point);
            !taken.iter().any(|other| other.meets(&room))
        });
        edge.sign = free.or(points.first()).copied().unwrap_or(level);
        taken.push(Room::of(edge, edge.sign));
    }
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
                assert!((0.0..=graph.width).contains(&one.at.x));
                assert!((0.0..=graph.height).contains(&one.at.y));
                for other in &graph.stations[index + 1..] {
                    assert!(one.at != other.at);
                }
            }
            for edge in &graph.edges {
                for curve in &edge.curves {
                    assert!(curve[0].x < curve[3].x, "{}", edge.label);
                    assert_eq!(at(curve, 0.0), curve[0]);
                }
                assert!((0.0..=graph.height).contains(&(edge.sign.y - 30.0)));
            }
        }
    }

    #[test]
    fn words_cover_no_other_words_even_where_many_paths_cross() {
        let graph = Graph::new(&fixture::tangled()).unwrap();
        assert_eq!(graph.drawn, MOST_PATHS);
        for (index, one) in graph.edges.iter().enumerate() {
            for other in &graph.edges[index + 1..] {
                let rooms = (Room::of(one, one.sign), Room::of(other, other.sign));
                assert!(
                    !rooms.0.meets(&rooms.1),
                    "{} and {}",
                    one.title,
                    other.title
                );
            }
        }
    }

    #[test]
    fn a_step_of_two_paths_is_one_edge_and_falls_with_both() {
        let graph = Graph::new(&fixture::vulnerable()).unwrap();
        assert_eq!(graph.drawn, 2);
        let edge = |label: &str| graph.edges.iter().find(|edge| edge.label == label).unwrap();
        assert_eq!(edge("engine.rootful").paths, [0, 1]);
        assert_eq!(edge("injection").cuts, [0]);
        assert_eq!(edge("sock.docker +1").cuts, [1]);
    }

    #[test]
    fn a_loop_between_paths_ends() {
        let mut looped = fixture::vulnerable();
        let back = Step {
            from: State::RuntimeControl,
            to: State::Exec,
            ..looped.paths[0].steps[1].clone()
        };
        looped.paths[1].steps.insert(1, back);
        let graph = Graph::new(&looped).unwrap();
        assert!(graph.width < 3000.0);
    }
}
