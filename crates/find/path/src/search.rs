//! Paths through a graph: the cheapest one, and all of them in order.
//!
//! A path is cheaper than another when its least sure step is surer, else when it has fewer steps,
//! else when its first step that differs is surer or has fewer conditions, else by the ids of its
//! steps. So a longer path that is proven comes before a short guess.

use crate::data::data;
use crate::graph::Graph;
use cofferdam_finding::{Confidence, State};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Most paths to one state that are listed.
pub const MAX_PATHS: usize = 256;
/// Most partial paths that are looked at for one list.
const MAX_PARTIAL: usize = 100_000;

/// Paths as lists of edges, and whether there are more.
pub(crate) struct Found {
    pub(crate) paths: Vec<Vec<usize>>,
    pub(crate) cut_short: bool,
}

impl Graph<'_> {
    /// The shortest path to any of `goals` over the edges that `usable` lets through; of equally
    /// short ones the first in the order of the edges' ranks.
    pub(crate) fn shortest(
        &self,
        goals: &[usize],
        usable: impl Fn(usize) -> bool,
    ) -> Option<Vec<usize>> {
        let mut came_by: Vec<Option<usize>> = vec![None; self.nodes.len()];
        let mut seen = vec![false; self.nodes.len()];
        let mut queue = VecDeque::from([self.start]);
        seen[self.start] = true;
        while let Some(node) = queue.pop_front() {
            if goals.contains(&node) && node != self.start {
                let mut path = Vec::new();
                let mut at = node;
                while let Some(edge) = came_by[at] {
                    path.push(edge);
                    at = self.edges[edge].from;
                }
                path.reverse();
                return Some(path);
            }
            for edge in &self.leaving[node] {
                let to = self.edges[*edge].to;
                if !seen[to] && usable(*edge) {
                    seen[to] = true;
                    came_by[to] = Some(*edge);
                    queue.push_back(to);
                }
            }
        }
        None
    }

    /// The cheapest path to a state.
    pub(crate) fn cheapest(&self, state: State) -> Option<Vec<usize>> {
        let goals = self.goals(state);
        Confidence::ALL.iter().rev().find_map(|least| {
            self.shortest(&goals, |edge| {
                self.edges[edge].confidence >= *least && !self.edges[edge].idle
            })
        })
    }

    /// The nodes of a state.
    pub(crate) fn goals(&self, state: State) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|index| self.nodes[*index].state == state)
            .collect()
    }

    /// Every path to a state that makes no needless step, the cheapest first, up to [`MAX_PATHS`].
    pub(crate) fn all(&self, state: State) -> Found {
        let goals = self.goals(state);
        let estimates: Vec<(Confidence, Vec<Option<usize>>)> = Confidence::ALL
            .iter()
            .map(|least| (*least, self.distances(&goals, *least)))
            .collect();
        // How well the rest of a path can do at best: so the first paths out are the cheapest.
        let best = |node: usize, so_far: Confidence, length: usize| {
            estimates
                .iter()
                .rev()
                .filter(|(least, _)| *least <= so_far)
                .find_map(|(least, distances)| {
                    distances[node].map(|rest| (Reverse(*least), length + rest))
                })
        };
        let mut found = Found {
            paths: Vec::new(),
            cut_short: false,
        };
        let mut queue = BinaryHeap::new();
        if let Some(cost) = best(self.start, Confidence::Proven, 0) {
            queue.push(Reverse((cost, Vec::new(), Vec::<usize>::new())));
        }
        let mut looked_at = 0_usize;
        while let Some(Reverse((_, ranks, path))) = queue.pop() {
            looked_at += 1;
            let at = path.last().map_or(self.start, |edge| self.edges[*edge].to);
            if !path.is_empty() && goals.contains(&at) {
                if found.paths.len() == MAX_PATHS {
                    found.cut_short = true;
                    break;
                }
                found.paths.push(path);
                continue;
            }
            if looked_at > MAX_PARTIAL {
                found.cut_short = true;
                break;
            }
            for edge in &self.leaving[at] {
                if !self.is_useful(&path, *edge) {
                    continue;
                }
                let so_far = path
                    .iter()
                    .chain([edge])
                    .map(|edge| self.edges[*edge].confidence)
                    .min()
                    .unwrap_or(Confidence::Proven);
                if let Some(cost) = best(self.edges[*edge].to, so_far, path.len() + 1) {
                    let mut longer = path.clone();
                    longer.push(*edge);
                    let mut longer_ranks = ranks.clone();
                    longer_ranks.push(self.edges[*edge].rank());
                    queue.push(Reverse((cost, longer_ranks, longer)));
                }
            }
        }
        found
    }

    /// Whether a path goes anywhere by `edge`: to a state that it does not hold yet, and by what it
    /// came to hold last. A step that was possible earlier makes those between needless.
    fn is_useful(&self, path: &[usize], edge: usize) -> bool {
        let edge = &self.edges[edge];
        if edge.idle {
            return false;
        }
        let to = self.nodes[edge.to];
        let before = path.iter().map(|step| self.edges[*step].from);
        for earlier in before.clone().chain([edge.from]) {
            let node = self.nodes[earlier];
            let implied = data().implied(node.state);
            let same_place = to.neighbour.is_none() || node == to;
            if implied.contains(&to.state) && same_place {
                return false;
            }
        }
        for earlier in before {
            let implied = data().implied(self.nodes[earlier].state);
            if self.nodes[edge.from].neighbour.is_none() && implied.contains(&edge.needs) {
                return false;
            }
        }
        true
    }

    /// How many steps it takes from each node to a goal over edges that are sure enough.
    fn distances(&self, goals: &[usize], least: Confidence) -> Vec<Option<usize>> {
        let mut distances = vec![None; self.nodes.len()];
        let mut queue = VecDeque::new();
        for goal in goals {
            distances[*goal] = Some(0);
            queue.push_back(*goal);
        }
        while let Some(node) = queue.pop_front() {
            let next = distances[node].map(|steps: usize| steps + 1);
            for edge in &self.edges {
                if edge.to == node
                    && edge.confidence >= least
                    && !edge.idle
                    && distances[edge.from].is_none()
                {
                    distances[edge.from] = next;
                    queue.push_back(edge.from);
                }
            }
        }
        distances
    }
}
