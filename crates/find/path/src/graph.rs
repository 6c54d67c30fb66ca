//! Findings and conditions, as a graph of what an attacker can come to hold.

use crate::data::{By, EdgeData, Of, data};
use crate::holds::{Holds, MAX_WAYS, Way};
use cofferdam_finding::{Condition, Confidence, Fact, Facts, Finding, SourceLine, State, Truth};
use std::cmp::Reverse;

/// Most other containers with a way out of their own that are looked at; more are left out, and the
/// graph says so.
pub const MAX_NEIGHBOURS: usize = 32;

/// A container of the deployment.
#[derive(Debug, Clone, Copy)]
pub struct Container<'a> {
    /// Its name, as the deployment has it.
    pub name: &'a str,
    /// What is known about it.
    pub facts: &'a Facts,
    /// Where its description begins.
    pub source: Option<&'a SourceLine>,
}

/// A container beside that of the API.
#[derive(Debug, Clone, Copy)]
pub struct Neighbour<'a> {
    /// The container.
    pub container: Container<'a>,
    /// Whether it has a volume that the container of the API may write.
    pub shares_volume: bool,
}

/// What an attacker can come to hold, from where, and by what.
#[derive(Debug)]
pub struct Graph<'a> {
    pub(crate) findings: &'a [Finding],
    /// The container of the API first, then its neighbours.
    pub(crate) containers: Vec<Owned<'a>>,
    pub(crate) start: usize,
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    /// The edges that leave each node, in the order of their ranks.
    pub(crate) leaving: Vec<Vec<usize>>,
    /// How many neighbours were left out.
    pub(crate) left_out: usize,
}

/// A container with the facts that findings add.
#[derive(Debug)]
pub(crate) struct Owned<'a> {
    pub(crate) name: &'a str,
    pub(crate) facts: Facts,
    pub(crate) source: Option<&'a SourceLine>,
}

/// A state, and the other container that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) state: State,
    /// An index into the containers; only [`State::NeighbourExec`] has one.
    pub(crate) neighbour: Option<u16>,
}

/// What makes an edge.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause {
    /// An index into the findings.
    Finding(usize),
    /// An edge of the data.
    Posture(&'static EdgeData),
}

/// One step that an attacker can take.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) cause: Cause,
    /// The weakest state that suffices for it.
    pub(crate) needs: State,
    /// The ways in which its conditions hold, the surest first; a finding has one.
    pub(crate) ways: Vec<Way>,
    pub(crate) confidence: Confidence,
    /// Whether it changes nothing for this container.
    pub(crate) idle: bool,
    /// Whose conditions: an index into the containers.
    pub(crate) owner: u16,
    /// The edge's id, or the finding's check and fingerprint.
    pub(crate) key: String,
}

impl Edge {
    /// Orders edges that lead the same way: the surer one, the one with fewer conditions, the key.
    pub(crate) fn rank(&self) -> (Reverse<Confidence>, usize, &str) {
        let conditions = match self.cause {
            Cause::Finding(_) => 0,
            Cause::Posture(data) => data.posture.len() + data.posture_not.len(),
        };
        (Reverse(self.confidence), conditions, &self.key)
    }
}

impl<'a> Graph<'a> {
    /// Builds the graph of one container of an API.
    ///
    /// `findings` of the application make the edges that they grant, and teach the conditions that
    /// they establish; conditions of `own` and of the `neighbours` make the others. `start` is what
    /// the attacker holds at first: [`State::TokenHolder`] for a scan.
    pub fn build(
        findings: &'a [Finding],
        own: Container<'a>,
        neighbours: &[Neighbour<'a>],
        start: State,
    ) -> Self {
        // One that leads nowhere is another container like any other, which one node stands for.
        let leading: Vec<&Neighbour<'a>> = neighbours.iter().filter(|n| leads_on(n)).collect();
        let kept = &leading[..leading.len().min(MAX_NEIGHBOURS)];
        let mut facts = own.facts.clone();
        for finding in findings {
            learn(&mut facts, finding);
        }
        let mut containers = vec![Owned {
            name: own.name,
            facts,
            source: own.source,
        }];
        containers.extend(kept.iter().map(|neighbour| Owned {
            name: neighbour.container.name,
            facts: neighbour.container.facts.clone(),
            source: neighbour.container.source,
        }));
        let mut graph = Graph {
            findings,
            containers,
            start: 0,
            nodes: vec![Node {
                state: start,
                neighbour: None,
            }],
            edges: Vec::new(),
            leaving: vec![Vec::new()],
            left_out: leading.len() - kept.len(),
        };
        let sharers: Vec<u16> = (1_u16..)
            .zip(kept)
            .filter(|(_, neighbour)| neighbour.shares_volume)
            .map(|(index, _)| index)
            .collect();
        let everyone: Vec<u16> = (1_u16..).zip(kept).map(|(index, _)| index).collect();
        // Nodes are visited as they are found, so that only what can be reached is built.
        let mut next = 0;
        while next < graph.nodes.len() {
            graph.leave_by_findings(next, &everyone);
            graph.leave_by_posture(next, &everyone, &sharers);
            next += 1;
        }
        for index in 0..graph.nodes.len() {
            let edges = &graph.edges;
            graph.leaving[index].sort_by(|a, b| {
                (edges[*a].rank(), edges[*a].to).cmp(&(edges[*b].rank(), edges[*b].to))
            });
        }
        graph
    }

    /// How many neighbours were left out, above [`MAX_NEIGHBOURS`].
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The states that can be reached, whatever the confidence.
    pub fn reached(&self) -> Vec<State> {
        let mut states: Vec<State> = self.nodes.iter().map(|node| node.state).collect();
        states.sort_unstable();
        states.dedup();
        states
    }

    fn node(&mut self, state: State, neighbour: Option<u16>) -> usize {
        let node = Node { state, neighbour };
        match self.nodes.iter().position(|known| *known == node) {
            Some(index) => index,
            None => {
                self.nodes.push(node);
                self.leaving.push(Vec::new());
                self.nodes.len() - 1
            }
        }
    }

    fn targets(&mut self, state: State, among: &[u16]) -> Vec<usize> {
        if state != State::NeighbourExec || among.is_empty() {
            return vec![self.node(state, None)];
        }
        among
            .iter()
            .map(|neighbour| self.node(state, Some(*neighbour)))
            .collect()
    }

    fn add(&mut self, edge: Edge) {
        let known = self.leaving[edge.from]
            .iter()
            .any(|index| self.edges[*index].key == edge.key && self.edges[*index].to == edge.to);
        if !known {
            self.leaving[edge.from].push(self.edges.len());
            self.edges.push(edge);
        }
    }

    fn leave_by_findings(&mut self, from: usize, everyone: &[u16]) {
        let state = self.nodes[from].state;
        if state == State::Host {
            return;
        }
        let held = data().implied(state);
        for (index, finding) in self.findings.iter().enumerate() {
            if !held.contains(&finding.from) {
                continue;
            }
            for grant in &finding.grants {
                if held.contains(grant) {
                    continue;
                }
                let most = data()
                    .application(finding.from, *grant)
                    .map_or(Confidence::Proven, |edge| edge.max_confidence);
                let confidence = finding.confidence.min(most);
                for to in self.targets(*grant, everyone) {
                    let mut way = Way::certain();
                    way.confidence = confidence;
                    self.add(Edge {
                        from,
                        to,
                        cause: Cause::Finding(index),
                        needs: finding.from,
                        ways: vec![way],
                        confidence,
                        idle: false,
                        owner: 0,
                        key: format!("{} {}", finding.check, finding.fingerprint),
                    });
                }
            }
        }
    }

    fn leave_by_posture(&mut self, from: usize, everyone: &[u16], sharers: &[u16]) {
        let node = self.nodes[from];
        let held = data().implied(node.state);
        for edge in leaving(node.state) {
            let owner = match (edge.data.of, node.neighbour) {
                (Of::Own, _) => 0,
                (Of::Neighbour, Some(neighbour)) => neighbour,
                (Of::Neighbour, None) => continue,
            };
            if held.contains(&edge.data.to) {
                continue;
            }
            let facts = &self.containers[usize::from(owner)].facts;
            let holds = Holds::new(owner, facts);
            let mut ways = holds.all(&edge.posture, &edge.data.posture_not, &edge.data.presumed);
            for way in &mut ways {
                way.confidence = way.confidence.min(edge.data.max_confidence);
            }
            ways.sort_by_key(|way| (Reverse(way.confidence), way.assumed.len()));
            ways.truncate(MAX_WAYS);
            let Some(best) = ways.first() else { continue };
            let confidence = best.confidence;
            let idle = edge
                .data
                .idle_when
                .iter()
                .any(|c| facts.truth(*c) == Truth::Yes);
            let among = if edge.data.posture.contains(&Condition::VolumeShared) {
                sharers
            } else {
                everyone
            };
            for to in self.targets(edge.data.to, among) {
                self.add(Edge {
                    from,
                    to,
                    cause: Cause::Posture(edge.data),
                    needs: edge.needs,
                    ways: ways.clone(),
                    confidence,
                    idle,
                    owner,
                    key: edge.data.id.clone(),
                });
            }
        }
    }
}

/// Whether a container has a way out of its own.
fn leads_on(neighbour: &Neighbour<'_>) -> bool {
    let holds = Holds::new(1, neighbour.container.facts);
    leaving(State::NeighbourExec).iter().any(|edge| {
        edge.data.of == Of::Neighbour
            && !holds
                .all(&edge.posture, &edge.data.posture_not, &edge.data.presumed)
                .is_empty()
    })
}

/// What a finding establishes about the deployment. The rules over deployment files are left out:
/// what they say is in the facts already, and may be about another container.
fn learn(facts: &mut Facts, finding: &Finding) {
    if finding.check.starts_with("posture.") {
        return;
    }
    for condition in &finding.conditions {
        facts.learn(
            *condition,
            Fact {
                truth: Truth::Yes,
                confidence: finding.confidence,
                evidence: finding.evidence.clone(),
            },
        );
    }
}

/// An edge of the data as it leaves one state.
struct Leaving {
    data: &'static EdgeData,
    /// Its conditions, without those that the state itself satisfies.
    posture: Vec<Condition>,
    needs: State,
}

/// The posture edges that leave `state`: its own and those of the states that it implies, unless a
/// nearer state has the same one under no more conditions.
fn leaving(state: State) -> Vec<Leaving> {
    let mut all: Vec<Leaving> = Vec::new();
    for held in data().implied(state) {
        for edge in data().edges.iter().filter(|edge| edge.from == held) {
            if edge.by != By::Posture || data().is_negative(&edge.id) {
                continue;
            }
            let root = [Condition::UserRoot, Condition::UserDockergid];
            let mut posture = edge.posture.clone();
            let mut needs = held;
            if state == State::ExecRoot && posture.iter().any(|c| root.contains(c)) {
                posture.retain(|c| !root.contains(c));
                needs = State::ExecRoot;
            }
            let within = |inner: &[Condition], outer: &[Condition]| {
                inner.iter().all(|condition| outer.contains(condition))
            };
            let better = all.iter().any(|known| {
                known.data.from != held
                    && known.data.to == edge.to
                    && known.data.max_confidence >= edge.max_confidence
                    && within(&known.posture, &posture)
                    && within(&known.data.posture_not, &edge.posture_not)
                    && within(&known.data.presumed, &edge.presumed)
            });
            if !better {
                all.push(Leaving {
                    data: edge,
                    posture,
                    needs,
                });
            }
        }
    }
    all
}
