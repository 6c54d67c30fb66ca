//! The smallest set of fixes that cuts every path to a state.
//!
//! A fix mends one finding, or changes the conditions of one container. The set is found by an
//! implicit hitting set: the cheapest path that is left under the fixes so far gives a set of fixes
//! of which one must be chosen; the cheapest choice for all such sets is the next try, until no path
//! is left. The answer is exact as long as the inner search is, and says when it is not.

use crate::data::{FixData, FixKind, Scope, data};
use crate::graph::{Cause, Edge, Graph};
use crate::hitting::{Bits, MAX_ELEMENTS, hit};
use crate::holds::{Atom, Holds, Way};
use crate::search::Found;
use cofferdam_finding::{Condition, Confidence, Place, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a change of the code costs where the data does not say.
const COST_OF_CODE: u32 = 2;

/// Something to do, after which paths are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// The fix's id in the data, such as `F.mounts`; for a finding its check.
    pub id: String,
    /// What to do, one line.
    pub title: String,
    /// Whose work it is.
    pub kind: FixKind,
    /// Where: operations, or lines of files; the container alone where no line says so.
    pub places: Vec<Place>,
    /// 1 a line, 2 the code or the mounts of one service, 3 a component or an image, 4 the host.
    pub cost: u32,
    /// The positions, in the list of paths, of those that this fix alone cuts.
    pub cuts: Vec<usize>,
    /// The conditions that no longer hold after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removes: Vec<Condition>,
    /// The finding that it mends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The container that it changes; absent where it changes the engine or the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// A set of fixes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixSet {
    /// The fixes, the one that cuts most first. Empty when there is no path, or when none can be cut.
    pub fixes: Vec<Fix>,
    /// The paths that they cut: all that are at least this sure.
    pub level: Confidence,
    /// Whether no cheaper set exists. When it is false, the set is what the greedy rule gives: it
    /// cuts every path and costs at most 1 + ln(n) times the least, for n sets to hit.
    pub exact: bool,
    /// Whether a path is left because no fix is known for any of its steps.
    pub incurable: bool,
}

/// A fix that could be chosen.
struct Candidate {
    data: Option<&'static FixData>,
    finding: Option<usize>,
    container: u16,
    cost: u32,
    kills: BTreeSet<Atom>,
}

impl Candidate {
    fn hits(&self, edge: &Edge, way: &Way) -> bool {
        match (edge.cause, self.finding) {
            (Cause::Finding(index), Some(mended)) => index == mended,
            (Cause::Posture(_), None) => way.atoms.iter().any(|atom| self.kills.contains(atom)),
            _ => false,
        }
    }
}

impl Graph<'_> {
    /// The cheapest set of fixes after which no path to `to` is left that is at least `firm`; where
    /// there is none at that level, those that rest on assumptions.
    pub fn fixes(&self, to: State) -> FixSet {
        let goals = self.goals(to);
        let reaches = |level: Confidence| {
            let usable = |edge: usize| self.edges[edge].confidence >= level;
            self.shortest(&goals, usable).is_some()
        };
        let level = if reaches(Confidence::Firm) {
            Confidence::Firm
        } else {
            Confidence::Tentative
        };
        let mut set = FixSet {
            fixes: Vec::new(),
            level,
            exact: true,
            incurable: false,
        };
        let mut candidates = self.candidates(level);
        if candidates.len() > MAX_ELEMENTS {
            // Far more than one service has; a set over fewer still cuts every path, if there is one.
            candidates.truncate(MAX_ELEMENTS);
            set.exact = false;
        }
        let Some(chosen) = self.cut(&goals, level, &candidates, &mut set.exact) else {
            set.incurable = true;
            return set;
        };
        let found = self.all(to);
        set.fixes = chosen
            .iter()
            .map(|index| self.fix(&candidates[index], &found, level))
            .collect();
        // A stable sort: the order of the data decides between equals.
        set.fixes
            .sort_by_key(|fix| std::cmp::Reverse(fix.cuts.len()));
        set
    }

    /// The implicit hitting set; none when a path has no fix at all.
    fn cut(
        &self,
        goals: &[usize],
        level: Confidence,
        candidates: &[Candidate],
        exact: &mut bool,
    ) -> Option<Bits> {
        let weights: Vec<u32> = candidates.iter().map(|candidate| candidate.cost).collect();
        let mut sets: Vec<Bits> = Vec::new();
        let mut chosen = Bits::default();
        while let Some(path) = self.left(goals, level, candidates, chosen) {
            let mut set = Bits::default();
            for (edge, way) in path {
                for (index, candidate) in candidates.iter().enumerate() {
                    if candidate.hits(&self.edges[edge], way) {
                        set.insert(index);
                    }
                }
            }
            if set.is_empty() {
                return None;
            }
            sets.push(set);
            let answer = hit(&sets, &weights);
            *exact &= answer.exact;
            chosen = answer.chosen;
        }
        Some(chosen)
    }

    /// The shortest path that is left, with the way in which each step is still possible.
    fn left(
        &self,
        goals: &[usize],
        level: Confidence,
        candidates: &[Candidate],
        chosen: Bits,
    ) -> Option<Vec<(usize, &Way)>> {
        let possible = |edge: usize| {
            let edge = &self.edges[edge];
            edge.ways.iter().find(|way| {
                way.confidence >= level
                    && !chosen.iter().any(|index| candidates[index].hits(edge, way))
            })
        };
        let path = self.shortest(goals, |edge| possible(edge).is_some())?;
        path.into_iter()
            .map(|edge| Some((edge, possible(edge)?)))
            .collect()
    }

    /// Every fix that cuts at least one way of one edge, application first, then in the data's order.
    fn candidates(&self, level: Confidence) -> Vec<Candidate> {
        let mut all: Vec<Candidate> = Vec::new();
        for (index, finding) in self.findings.iter().enumerate() {
            let costs = finding.grants.iter().filter_map(|grant| {
                let edge = data().application(finding.from, *grant)?;
                let fixes = edge.fixes.iter().filter_map(|id| fix_data(id));
                fixes
                    .map(|fix| (fix.cost, fix))
                    .min_by_key(|(cost, _)| *cost)
            });
            let cheapest = costs.min_by_key(|(cost, _)| *cost);
            all.push(Candidate {
                data: cheapest.map(|(_, fix)| fix),
                finding: Some(index),
                container: 0,
                cost: cheapest.map_or(COST_OF_CODE, |(cost, _)| cost),
                kills: BTreeSet::new(),
            });
        }
        for fix in data()
            .fixes
            .iter()
            .filter(|fix| fix.kind == FixKind::Deployment)
        {
            let each = (0_u16..).zip(&self.containers).map(|(container, owned)| {
                let holds = Holds::new(container, &owned.facts);
                (container, kills(fix, container, &holds))
            });
            let candidate = |(container, kills)| Candidate {
                data: Some(fix),
                finding: None,
                container,
                cost: fix.cost,
                kills,
            };
            if fix.scope == Scope::Engine {
                // One change, and all containers have it.
                let kills = each.flat_map(|(_, kills)| kills).collect();
                all.push(candidate((0, kills)));
            } else {
                all.extend(each.map(candidate));
            }
        }
        self.without_dominated(all, level)
    }

    /// Leaves out what cuts nothing, and what another fix cuts too at no higher cost; the earlier
    /// one stays of two that are equal. No cheapest set is lost by it.
    fn without_dominated(&self, all: Vec<Candidate>, level: Confidence) -> Vec<Candidate> {
        let mut kept: Vec<(Candidate, BTreeSet<(usize, usize)>)> = Vec::new();
        for candidate in all {
            let cuts: BTreeSet<(usize, usize)> = self
                .edges
                .iter()
                .enumerate()
                .flat_map(|(index, edge)| {
                    let ways = edge.ways.iter().enumerate();
                    let hit = ways
                        .filter(|(_, way)| way.confidence >= level && candidate.hits(edge, way));
                    hit.map(move |(way, _)| (index, way)).collect::<Vec<_>>()
                })
                .collect();
            let dominated = kept
                .iter()
                .any(|(other, theirs)| other.cost <= candidate.cost && cuts.is_subset(theirs));
            if cuts.is_empty() || dominated {
                continue;
            }
            kept.retain(|(other, theirs)| {
                !(candidate.cost < other.cost && theirs.is_subset(&cuts))
            });
            kept.push((candidate, cuts));
        }
        kept.into_iter().map(|(candidate, _)| candidate).collect()
    }

    fn fix(&self, candidate: &Candidate, found: &Found, level: Confidence) -> Fix {
        let cuts = found
            .paths
            .iter()
            .enumerate()
            .filter(|(_, path)| {
                path.iter().any(|edge| {
                    let edge = &self.edges[*edge];
                    let mut ways = edge
                        .ways
                        .iter()
                        .filter(|way| way.confidence >= level)
                        .peekable();
                    ways.peek().is_some() && ways.all(|way| candidate.hits(edge, way))
                })
            })
            .map(|(index, _)| index)
            .collect();
        match candidate.finding {
            Some(index) => {
                let finding = &self.findings[index];
                Fix {
                    id: finding.check.clone(),
                    title: candidate
                        .data
                        .map_or_else(|| finding.remediation.clone(), |fix| fix.title.clone()),
                    kind: FixKind::Application,
                    places: finding.places.clone(),
                    cost: candidate.cost,
                    cuts,
                    removes: Vec::new(),
                    fingerprint: Some(finding.fingerprint.clone()),
                    container: None,
                }
            }
            None => {
                let owner = &self.containers[usize::from(candidate.container)];
                let holds = Holds::new(candidate.container, &owner.facts);
                let removes = self.removed(candidate, level);
                Fix {
                    id: candidate.data.map(|fix| fix.id.clone()).unwrap_or_default(),
                    title: candidate
                        .data
                        .map(|fix| fix.title.clone())
                        .unwrap_or_default(),
                    kind: FixKind::Deployment,
                    places: self.places(candidate, &removes, &holds),
                    cost: candidate.cost,
                    cuts,
                    removes,
                    fingerprint: None,
                    container: candidate
                        .data
                        .is_none_or(|fix| fix.scope != Scope::Engine)
                        .then(|| owner.name.to_owned()),
                }
            }
        }
    }

    /// The conditions of edges that do not hold after a fix: its own, and what follows from them.
    fn removed(&self, candidate: &Candidate, level: Confidence) -> Vec<Condition> {
        let mut removed = BTreeSet::new();
        for edge in &self.edges {
            let Cause::Posture(data) = edge.cause else {
                continue;
            };
            let holds = Holds::new(edge.owner, &self.containers[usize::from(edge.owner)].facts);
            for condition in &data.posture {
                let ways = holds.ways(*condition);
                let mut ways = ways.iter().filter(|way| way.confidence >= level).peekable();
                if ways.peek().is_some() && ways.all(|way| candidate.hits(edge, way)) {
                    removed.insert(*condition);
                }
            }
            for way in edge.ways.iter().filter(|way| way.confidence >= level) {
                let killed = way.atoms.intersection(&candidate.kills);
                removed.extend(
                    killed
                        .filter(|atom| !atom.absent)
                        .map(|atom| atom.condition),
                );
            }
        }
        removed.into_iter().collect()
    }

    /// The lines to mend: of deployment files where they say it, else the container's description.
    fn places(
        &self,
        candidate: &Candidate,
        removes: &[Condition],
        holds: &Holds<'_>,
    ) -> Vec<Place> {
        let owner = &self.containers[usize::from(candidate.container)];
        let mut places: Vec<Place> = Vec::new();
        for condition in removes {
            let fact = holds.facts().fact(*condition);
            let sources = fact
                .map_or(&[][..], |fact| fact.evidence.as_slice())
                .iter()
                .filter_map(|piece| piece.source.as_ref())
                // What was read from inside shows the thing and is not where it is mended.
                .filter(|source| source.line.is_some() && !source.file.starts_with("/proc/"));
            for source in sources {
                let place = Place::file(&source.file, source.line, Some(owner.name));
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        if places.is_empty() {
            let mut place = Place::file("", None, Some(owner.name));
            place.file = owner.source.map(|source| source.file.clone());
            place.line = owner.source.and_then(|source| source.line);
            places.push(place);
        }
        places
    }
}

/// What a fix takes away from one container.
fn kills(fix: &FixData, container: u16, holds: &Holds<'_>) -> BTreeSet<Atom> {
    let mut kills = BTreeSet::new();
    let mut kill = |condition, absent| {
        kills.insert(Atom {
            container,
            condition,
            absent,
        });
    };
    for condition in &fix.removes {
        kill(*condition, false);
        for cause in holds.same_line(*condition) {
            kill(cause, false);
        }
    }
    for condition in &fix.adds {
        kill(*condition, true);
    }
    kills
}

fn fix_data(id: &str) -> Option<&'static FixData> {
    data().fixes.iter().find(|fix| fix.id == id)
}
