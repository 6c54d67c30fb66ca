//! Which conditions hold, on what they rest, and what would have to change for them not to.
//!
//! A condition can hold on its own line and follow from another at the same time: a container that
//! is privileged and says `seccomp:unconfined` beside. Only who changes both has a filter again.
//! So a condition holds in one or more *ways*, each a set of *atoms*, and a fix kills atoms.

use crate::data::{Data, data};
use cofferdam_finding::{Condition, Confidence, Facts, SourceLine, Truth};
use std::collections::BTreeSet;

/// Most ways in which one condition or one edge is followed.
pub(crate) const MAX_WAYS: usize = 32;

/// Something that a fix can take away: a condition of one container, or the absence of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Atom {
    /// 0 is the container of the API, n is neighbour n - 1.
    pub(crate) container: u16,
    pub(crate) condition: Condition,
    /// Whether the edge needs its absence.
    pub(crate) absent: bool,
}

/// One way in which conditions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) atoms: BTreeSet<Atom>,
    pub(crate) confidence: Confidence,
    /// What is taken for given.
    pub(crate) assumed: BTreeSet<Condition>,
}

impl Way {
    pub(crate) fn certain() -> Self {
        Self {
            atoms: BTreeSet::new(),
            confidence: Confidence::Proven,
            assumed: BTreeSet::new(),
        }
    }

    fn and(&self, other: &Way) -> Way {
        Way {
            atoms: self.atoms.union(&other.atoms).copied().collect(),
            confidence: self.confidence.min(other.confidence),
            assumed: self.assumed.union(&other.assumed).copied().collect(),
        }
    }
}

/// The conditions of one container.
pub(crate) struct Holds<'a> {
    container: u16,
    facts: &'a Facts,
    data: &'static Data,
}

impl<'a> Holds<'a> {
    pub(crate) fn new(container: u16, facts: &'a Facts) -> Self {
        Self {
            container,
            facts,
            data: data(),
        }
    }

    pub(crate) fn facts(&self) -> &'a Facts {
        self.facts
    }

    fn atom(&self, condition: Condition) -> Atom {
        Atom {
            container: self.container,
            condition,
            absent: false,
        }
    }

    /// The ways in which all of `conditions` hold, none of `not` does, and nothing of `presumed` is
    /// known not to; empty when there is none.
    pub(crate) fn all(
        &self,
        conditions: &[Condition],
        not: &[Condition],
        presumed: &[Condition],
    ) -> Vec<Way> {
        let mut ways = vec![Way::certain()];
        for condition in conditions {
            ways = product(&ways, &self.ways(*condition));
        }
        for condition in not {
            ways = product(&ways, &self.absent(*condition));
        }
        for condition in presumed {
            ways = product(&ways, &self.presumed(*condition));
        }
        ways
    }

    /// The ways in which one condition holds.
    pub(crate) fn ways(&self, condition: Condition) -> Vec<Way> {
        let mut ways: Vec<Way> = self.own(condition).into_iter().collect();
        for rule in self
            .data
            .derived_conditions
            .iter()
            .filter(|d| d.condition == condition)
        {
            for premises in &rule.any_of {
                // Derivations do not nest deeper than the data, which has no circle.
                let mut derived = vec![Way::certain()];
                for premise in premises {
                    derived = product(&derived, &self.ways(*premise));
                }
                ways.extend(
                    derived
                        .into_iter()
                        .filter(|way| self.outweighs_no(condition, way)),
                );
            }
        }
        ways.truncate(MAX_WAYS);
        ways
    }

    /// Of two equally sure sources that differ the worse one stands, as in [`Facts::learn`].
    fn outweighs_no(&self, condition: Condition, way: &Way) -> bool {
        match self.facts.fact(condition) {
            Some(fact) if fact.truth == Truth::No => {
                way.assumed.is_empty() && way.confidence >= fact.confidence
            }
            _ => true,
        }
    }

    /// How it holds by itself, apart from what follows from other conditions.
    fn own(&self, condition: Condition) -> Option<Way> {
        let mut way = Way::certain();
        way.atoms.insert(self.atom(condition));
        match self.facts.fact(condition) {
            Some(fact) if fact.truth == Truth::No => return None,
            Some(fact) if fact.truth == Truth::Yes => {
                if self.cause(condition).is_some() {
                    return None;
                }
                way.confidence = fact.confidence;
            }
            _ if self.data.is_assumable(condition) => {
                way.confidence = Confidence::Tentative;
                way.assumed.insert(condition);
            }
            _ => return None,
        }
        Some(way)
    }

    /// The condition that is the whole reason why this one holds: everything that shows it shows
    /// the other, so it has no line of its own to mend.
    fn cause(&self, condition: Condition) -> Option<Condition> {
        let own = self.lines(condition);
        if own.is_empty() {
            return None;
        }
        self.data
            .derived_conditions
            .iter()
            .filter(|rule| rule.condition == condition)
            .flat_map(|rule| &rule.any_of)
            .filter_map(|premises| match premises.as_slice() {
                [one] => Some(*one),
                _ => None,
            })
            .find(|cause| {
                let lines = self.lines(*cause);
                self.facts.truth(*cause) == Truth::Yes
                    && own.iter().all(|line| lines.contains(line))
            })
    }

    fn absent(&self, condition: Condition) -> Vec<Way> {
        let mut way = Way::certain();
        way.atoms.insert(Atom {
            container: self.container,
            condition,
            absent: true,
        });
        match self.facts.fact(condition) {
            Some(fact) if fact.truth == Truth::Yes => return Vec::new(),
            Some(fact) if fact.truth == Truth::No => way.confidence = fact.confidence,
            _ => {
                way.confidence = Confidence::Tentative;
                way.assumed.insert(condition);
            }
        }
        vec![way]
    }

    fn presumed(&self, condition: Condition) -> Vec<Way> {
        if self.facts.truth(condition) == Truth::No {
            return Vec::new();
        }
        let mut way = Way::certain();
        way.atoms.insert(self.atom(condition));
        vec![way]
    }

    /// The lines that say that a condition holds.
    pub(crate) fn lines(&self, condition: Condition) -> Vec<&'a SourceLine> {
        self.facts
            .fact(condition)
            .filter(|fact| fact.truth == Truth::Yes)
            .map_or(&[][..], |fact| fact.evidence.as_slice())
            .iter()
            .filter_map(|piece| piece.source.as_ref())
            .collect()
    }

    /// The conditions that go with `condition` when its line is mended: those that hold because of
    /// the same line, such as the mount of `/run` that brings the socket.
    pub(crate) fn same_line(&self, condition: Condition) -> Vec<Condition> {
        let own = self.lines(condition);
        self.data
            .derived_conditions
            .iter()
            .filter(|rule| rule.same_line && rule.condition == condition)
            .flat_map(|rule| rule.any_of.iter().flatten())
            .copied()
            .filter(|cause| {
                let lines = self.lines(*cause);
                !lines.is_empty() && lines.iter().all(|line| own.contains(line))
            })
            .collect()
    }
}

fn product(left: &[Way], right: &[Way]) -> Vec<Way> {
    let mut all = Vec::new();
    for a in left {
        for b in right {
            let way = a.and(b);
            if all.len() < MAX_WAYS && !all.contains(&way) {
                all.push(way);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_finding::{Evidence, Fact};

    fn facts(list: &[(Condition, Truth, &str)]) -> Facts {
        let mut facts = Facts::new();
        for (condition, truth, line) in list {
            let source = SourceLine {
                file: "compose.yaml".to_owned(),
                line: Some(1),
                text: (*line).to_owned(),
            };
            facts.learn(
                *condition,
                Fact {
                    truth: *truth,
                    confidence: Confidence::Firm,
                    evidence: vec![Evidence::new("it says so").source(source)],
                },
            );
        }
        facts
    }

    fn atoms(way: &Way) -> Vec<Condition> {
        way.atoms.iter().map(|atom| atom.condition).collect()
    }

    #[test]
    fn what_follows_from_privileged_has_no_line_of_its_own() {
        use Condition::{Privileged, SeccompOff};
        let one = facts(&[(Privileged, Truth::Yes, "p"), (SeccompOff, Truth::Yes, "p")]);
        let ways = Holds::new(0, &one).ways(SeccompOff);
        assert_eq!(ways.iter().map(atoms).collect::<Vec<_>>(), [[Privileged]]);
        let two = facts(&[(Privileged, Truth::Yes, "p"), (SeccompOff, Truth::Yes, "s")]);
        let ways = Holds::new(0, &two).ways(SeccompOff);
        assert_eq!(
            ways.iter().map(atoms).collect::<Vec<_>>(),
            [[SeccompOff], [Privileged]]
        );
    }

    #[test]
    fn what_may_not_be_assumed_holds_only_when_something_says_so() {
        let none = Facts::new();
        let holds = Holds::new(0, &none);
        assert!(holds.ways(Condition::SockDocker).is_empty());
        assert!(holds.ways(Condition::KernelVuln).is_empty());
        assert!(holds.ways(Condition::CorePatternW).is_empty());
        let root = holds.ways(Condition::UserRoot);
        assert_eq!(root[0].confidence, Confidence::Tentative);
        assert!(root[0].assumed.contains(&Condition::UserRoot));
    }

    #[test]
    fn a_condition_that_is_known_not_to_hold_is_not_derived_by_assumption() {
        let no = facts(&[(Condition::UserDockergid, Truth::No, "u")]);
        assert!(Holds::new(0, &no).ways(Condition::UserDockergid).is_empty());
    }
}
