//! The edges of the attack graph, as data: `data/edges.json`, embedded.

use cofferdam_finding::{Condition, Confidence, State};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Everything that `data/edges.json` says.
#[derive(Debug, Deserialize)]
pub struct Data {
    /// Every state, in the order of the file.
    pub states: Vec<State>,
    /// Who holds the key can do whatever the values can.
    pub implies: BTreeMap<State, Vec<State>>,
    /// The states that a report names a path to, the worst first.
    pub harmful: Vec<State>,
    /// Every condition.
    pub conditions: Vec<ConditionData>,
    /// Conditions that follow from others.
    pub derived_conditions: Vec<Derivation>,
    /// Every fix; the order breaks ties between sets of equal cost.
    pub fixes: Vec<FixData>,
    /// Every edge, the negative ones included.
    pub edges: Vec<EdgeData>,
    /// Edges that stand for a join that must not be made; never part of a graph.
    pub negative_edges: Vec<String>,
}

/// A condition and whether it may be taken for given.
#[derive(Debug, Deserialize)]
pub struct ConditionData {
    /// Its id.
    pub id: Condition,
    /// What it says, for people.
    pub title: String,
    /// Whether a path may assume it where nothing tells: it holds by default, or the image or the
    /// host decides. A mount, an added capability or a flaw of the platform is never assumed, since
    /// then every container would have a path.
    pub assumable: bool,
}

/// A condition that holds when all of one list hold.
#[derive(Debug, Deserialize)]
pub struct Derivation {
    /// What follows.
    pub condition: Condition,
    /// Any of these lists suffices.
    pub any_of: Vec<Vec<Condition>>,
    /// Whether both stand on the same line of a deployment file, so that who mends the one mends
    /// the other: a mount of `/run` and the socket in it.
    pub same_line: bool,
}

/// Whose work a fix is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FixKind {
    /// The code of the API: a finding is mended.
    Application,
    /// The deployment files, the engine or the host: a condition is changed.
    Deployment,
}

/// What a fix changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The code of the API.
    Code,
    /// One container.
    Container,
    /// The engine, the host or the cluster, and so every container.
    Engine,
}

/// Something that can be done.
#[derive(Debug, Deserialize)]
pub struct FixData {
    /// Its id, such as `F.mounts`.
    pub id: String,
    /// What to do, one line.
    pub title: String,
    /// Whose work it is.
    pub kind: FixKind,
    /// What it changes.
    pub scope: Scope,
    /// 1 a line of a deployment file, 2 a change of one service's code or mounts, 3 a new component
    /// or a changed image, 4 a change of the engine or the host.
    pub cost: u32,
    /// The conditions that no longer hold after it.
    pub removes: Vec<Condition>,
    /// The conditions that hold after it.
    pub adds: Vec<Condition>,
}

/// What makes an edge exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// A finding that grants its target; conditions are context.
    Finding,
    /// Conditions alone.
    Posture,
}

/// Whose conditions an edge asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Of {
    /// Those of the container that the API runs in.
    Own,
    /// Those of the other container that has been entered.
    Neighbour,
}

/// One edge.
#[derive(Debug, Deserialize)]
pub struct EdgeData {
    /// Its id, such as `X01`.
    pub id: String,
    /// What the attacker holds before it.
    pub from: State,
    /// What the attacker holds after it.
    pub to: State,
    /// What makes it exist.
    pub by: By,
    /// Whose conditions it asks about.
    pub of: Of,
    /// What makes it possible, for people.
    pub title: String,
    /// All of these must hold.
    pub posture: Vec<Condition>,
    /// None of these may hold.
    pub posture_not: Vec<Condition>,
    /// Known not to hold they switch the edge off; not known they change nothing.
    pub presumed: Vec<Condition>,
    /// Where one of these holds the step changes nothing, and no path through it is listed.
    pub idle_when: Vec<Condition>,
    /// The best confidence that the edge can have.
    pub max_confidence: Confidence,
    /// The fixes that cut it.
    pub fixes: Vec<String>,
    /// ATT&CK techniques.
    pub attack: Vec<String>,
}

static DATA: LazyLock<Data> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "the file is compiled in, and a test reads it"
    )]
    serde_json::from_str(include_str!("../data/edges.json")).expect("data/edges.json is valid")
});

/// The edges, read once.
pub fn data() -> &'static Data {
    &DATA
}

impl Data {
    /// Whether an edge stands for a join that must not be made.
    pub fn is_negative(&self, id: &str) -> bool {
        self.negative_edges.iter().any(|negative| negative == id)
    }

    /// `state` and all that it implies, itself first.
    pub fn implied(&self, state: State) -> Vec<State> {
        let mut all = vec![state];
        let mut next = 0;
        while let Some(current) = all.get(next) {
            for implied in self.implies.get(current).map_or(&[][..], Vec::as_slice) {
                if !all.contains(implied) {
                    all.push(*implied);
                }
            }
            next += 1;
        }
        all
    }

    /// Whether a path may take `condition` for given.
    pub fn is_assumable(&self, condition: Condition) -> bool {
        self.conditions
            .iter()
            .any(|known| known.id == condition && known.assumable)
    }

    /// What is known of a way from `from` to `to` that a finding grants.
    pub fn application(&self, from: State, to: State) -> Option<&EdgeData> {
        self.edges
            .iter()
            .find(|edge| edge.by == By::Finding && edge.from == from && edge.to == to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn states_and_conditions_are_those_of_the_vocabulary() {
        assert_eq!(data().states, State::ALL);
        let conditions: Vec<Condition> = data().conditions.iter().map(|known| known.id).collect();
        assert_eq!(conditions, Condition::ALL);
        for condition in &data().conditions {
            assert_eq!(condition.title, condition.id.label(), "{}", condition.id);
        }
    }

    #[test]
    fn ids_are_unique_and_point_at_something() {
        let edges: BTreeSet<&str> = data().edges.iter().map(|edge| edge.id.as_str()).collect();
        assert_eq!(edges.len(), data().edges.len());
        let fixes: BTreeSet<&str> = data().fixes.iter().map(|fix| fix.id.as_str()).collect();
        assert_eq!(fixes.len(), data().fixes.len());
        for edge in &data().edges {
            assert!(!edge.title.is_empty(), "{}", edge.id);
            for fix in &edge.fixes {
                assert!(fixes.contains(fix.as_str()), "{}: {fix}", edge.id);
            }
        }
        for negative in &data().negative_edges {
            assert!(edges.contains(negative.as_str()), "{negative}");
        }
    }

    #[test]
    fn a_posture_edge_lists_exactly_the_fixes_that_falsify_one_of_its_conditions() {
        for edge in data().edges.iter().filter(|edge| edge.by == By::Posture) {
            if data().is_negative(&edge.id) {
                continue;
            }
            let falsifies = |fix: &&FixData| {
                fix.kind == FixKind::Deployment
                    && (edge
                        .posture
                        .iter()
                        .chain(&edge.presumed)
                        .any(|c| fix.removes.contains(c))
                        || edge.posture_not.iter().any(|c| fix.adds.contains(c)))
            };
            let expected: Vec<&str> = data()
                .fixes
                .iter()
                .filter(falsifies)
                .map(|fix| fix.id.as_str())
                .collect();
            assert_eq!(edge.fixes, expected, "{}", edge.id);
        }
    }

    #[test]
    fn what_a_negative_edge_warns_of_is_done_by_no_other_edge() {
        assert_eq!(data().negative_edges, ["R08", "R18", "S06", "S09", "W07"]);
        let negative = data()
            .edges
            .iter()
            .filter(|edge| data().is_negative(&edge.id));
        for warning in negative {
            assert_eq!(warning.from, warning.to, "{} leads nowhere", warning.id);
            for edge in data().edges.iter().filter(|edge| edge.from == warning.from) {
                // The first condition is what the warning is about.
                let same = warning
                    .posture
                    .first()
                    .is_some_and(|c| edge.posture.contains(c));
                let joins = same && edge.by == By::Posture && data().harmful.contains(&edge.to);
                assert!(!joins, "{} does what {} warns of", edge.id, warning.id);
            }
        }
    }

    #[test]
    fn no_fix_opens_a_way() {
        for fix in &data().fixes {
            assert!(fix.cost > 0, "{}", fix.id);
            for edge in &data().edges {
                let opens = edge.posture_not.iter().any(|c| fix.removes.contains(c))
                    || edge
                        .posture
                        .iter()
                        .chain(&edge.presumed)
                        .any(|c| fix.adds.contains(c));
                assert!(!opens, "{} opens {}", fix.id, edge.id);
            }
        }
    }

    #[test]
    fn every_posture_edge_that_may_be_assumed_whole_is_known_to_be() {
        // Each of these needs nothing but what may be assumed. A new one is a path that every
        // container has; it must be meant.
        let whole: Vec<&str> = data()
            .edges
            .iter()
            .filter(|edge| edge.by == By::Posture && !data().is_negative(&edge.id))
            .filter(|edge| edge.posture.iter().all(|c| data().is_assumable(*c)))
            .map(|edge| edge.id.as_str())
            .collect();
        assert_eq!(
            whole,
            [
                "D02", "D04", "X21", "X33", "K06", "K07", "K08", "K11", "K12", "K13", "K14", "K15",
                "K17"
            ]
        );
    }
}
