//! Attack paths as a report shows them.

use crate::data::data;
use crate::graph::{Cause, Edge, Graph};
use cofferdam_finding::{Condition, Confidence, Evidence, Place, State};
use serde::{Deserialize, Serialize};

/// Most pieces of evidence of one step.
const MAX_EVIDENCE: usize = 8;

/// One way from where the attacker starts to what they want.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttackPath {
    /// Where it starts.
    pub from: State,
    /// Where it ends.
    pub to: State,
    /// That of its least sure step.
    pub confidence: Confidence,
    /// The steps, in order; never empty.
    pub steps: Vec<Step>,
    /// What it takes for given because nothing tells. Not empty: it is tentative.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumes: Vec<Condition>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What the attacker holds before it.
    pub from: State,
    /// What the attacker holds after it.
    pub to: State,
    /// What makes it possible.
    pub by: StepBy,
    /// The same, as one line for people.
    pub title: String,
    /// How sure it is.
    pub confidence: Confidence,
    /// What proves it.
    pub evidence: Vec<Evidence>,
    /// The operation or the line of a file where it is to be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The conditions that it takes for given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumes: Vec<Condition>,
    /// ATT&CK technique ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attack: Vec<String>,
}

/// What makes a step possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepBy {
    /// A flaw of the application.
    Finding {
        /// The check that found it.
        check: String,
        /// Which of its findings.
        fingerprint: String,
    },
    /// How a container is deployed.
    Fact {
        /// The edge's id in the data.
        edge: String,
        /// The conditions that it needs.
        conditions: Vec<Condition>,
        /// The container whose conditions they are.
        container: String,
    },
}

/// The paths to one state, the cheapest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paths {
    /// The paths.
    pub paths: Vec<AttackPath>,
    /// Whether there are more than are listed: [`crate::MAX_PATHS`].
    pub cut_short: bool,
}

impl Graph<'_> {
    /// Every path to `to` that makes no needless step, the cheapest first.
    pub fn paths_to(&self, to: State) -> Paths {
        let found = self.all(to);
        Paths {
            paths: found.paths.iter().map(|path| self.path(path)).collect(),
            cut_short: found.cut_short,
        }
    }

    /// The cheapest path to `to`.
    pub fn cheapest_to(&self, to: State) -> Option<AttackPath> {
        self.cheapest(to).map(|path| self.path(&path))
    }

    /// The cheapest path to each harmful state that is reached, the worst state first. States that
    /// a path to a worse one passes through are listed too: each is harm of its own.
    pub fn harm(&self) -> Vec<AttackPath> {
        data()
            .harmful
            .iter()
            .filter_map(|state| self.cheapest_to(*state))
            .collect()
    }

    fn path(&self, edges: &[usize]) -> AttackPath {
        let steps: Vec<Step> = edges
            .iter()
            .map(|edge| self.step(&self.edges[*edge]))
            .collect();
        let mut assumes: Vec<Condition> = steps
            .iter()
            .flat_map(|step| &step.assumes)
            .copied()
            .collect();
        assumes.sort_unstable();
        assumes.dedup();
        AttackPath {
            from: self.nodes[self.start].state,
            to: steps
                .last()
                .map_or(self.nodes[self.start].state, |step| step.to),
            confidence: steps
                .iter()
                .map(|step| step.confidence)
                .min()
                .unwrap_or(Confidence::Proven),
            steps,
            assumes,
        }
    }

    fn step(&self, edge: &Edge) -> Step {
        let from = self.nodes[edge.from].state;
        let to = self.nodes[edge.to].state;
        match edge.cause {
            Cause::Finding(index) => {
                let finding = &self.findings[index];
                Step {
                    from,
                    to,
                    by: StepBy::Finding {
                        check: finding.check.clone(),
                        fingerprint: finding.fingerprint.clone(),
                    },
                    title: finding.title.clone(),
                    confidence: edge.confidence,
                    evidence: finding.evidence.clone(),
                    place: finding.places.first().cloned(),
                    assumes: Vec::new(),
                    attack: finding.references.attack.clone(),
                }
            }
            Cause::Posture(data) => {
                let owner = &self.containers[usize::from(edge.owner)];
                let way = edge.ways.first();
                // What the edge names, then what those follow from.
                let mut conditions = data.posture.clone();
                for atom in way.iter().flat_map(|way| &way.atoms) {
                    let presumed = data.presumed.contains(&atom.condition);
                    if !atom.absent && !presumed && !conditions.contains(&atom.condition) {
                        conditions.push(atom.condition);
                    }
                }
                let mut evidence: Vec<Evidence> = Vec::new();
                for condition in &conditions {
                    let fact = owner.facts.fact(*condition);
                    for piece in fact.map_or(&[][..], |fact| fact.evidence.as_slice()) {
                        if evidence.len() < MAX_EVIDENCE && !evidence.contains(piece) {
                            evidence.push(piece.clone());
                        }
                    }
                }
                let place = evidence
                    .iter()
                    .find_map(|piece| piece.source.as_ref())
                    .map(|source| Place::file(&source.file, source.line, Some(owner.name)));
                Step {
                    from,
                    to,
                    by: StepBy::Fact {
                        edge: data.id.clone(),
                        conditions: data.posture.clone(),
                        container: owner.name.to_owned(),
                    },
                    title: data.title.clone(),
                    confidence: edge.confidence,
                    evidence,
                    place,
                    assumes: way
                        .map(|way| way.assumed.iter().copied().collect())
                        .unwrap_or_default(),
                    attack: data.attack.clone(),
                }
            }
        }
    }
}
