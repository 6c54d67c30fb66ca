//! What is known about the conditions of one container.

use crate::{Condition, Confidence, Evidence};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Truth {
    /// It holds.
    Yes,
    /// It does not hold.
    No,
    /// Nothing that was given tells.
    Unknown,
}

/// What is known about one condition, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Whether the condition holds.
    pub truth: Truth,
    /// `firm` from a file, `proven` when read live through the API's own flaw.
    pub confidence: Confidence,
    /// Where it stands.
    pub evidence: Vec<Evidence>,
}

/// The conditions of one container. A condition that is absent is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<Condition, Fact>);

impl Facts {
    /// No knowledge at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `condition` holds.
    pub fn truth(&self, condition: Condition) -> Truth {
        self.0
            .get(&condition)
            .map_or(Truth::Unknown, |fact| fact.truth)
    }

    /// What is known about `condition`.
    pub fn fact(&self, condition: Condition) -> Option<&Fact> {
        self.0.get(&condition)
    }

    /// Every condition about which something is known, in the order of the ids.
    pub fn iter(&self) -> impl Iterator<Item = (Condition, &Fact)> {
        self.0.iter().map(|(condition, fact)| (*condition, fact))
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Learns a fact. A surer one replaces a less sure one; `unknown` never replaces anything;
    /// of two equally sure ones that differ, *yes* stands, since a missed way out is worse than a
    /// path that says what it assumes; equal ones join their evidence.
    pub fn learn(&mut self, condition: Condition, fact: Fact) {
        if fact.truth == Truth::Unknown {
            return;
        }
        match self.0.get_mut(&condition) {
            None => {
                self.0.insert(condition, fact);
            }
            Some(known) if known.truth == fact.truth => {
                known.confidence = known.confidence.max(fact.confidence);
                for piece in fact.evidence {
                    if !known.evidence.contains(&piece) {
                        known.evidence.push(piece);
                    }
                }
            }
            Some(known)
                if fact.confidence > known.confidence
                    || (fact.confidence == known.confidence && fact.truth == Truth::Yes) =>
            {
                *known = fact;
            }
            Some(_) => {}
        }
    }

    /// Learns all that `other` knows, by the rule of [`Facts::learn`].
    pub fn merge(&mut self, other: &Facts) {
        for (condition, fact) in other.iter() {
            self.learn(condition, fact.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(truth: Truth, confidence: Confidence) -> Fact {
        Fact {
            truth,
            confidence,
            evidence: vec![Evidence::new("a line says so")],
        }
    }

    #[test]
    fn what_was_read_live_outranks_what_a_file_says() {
        let mut facts = Facts::new();
        facts.learn(Condition::UserRoot, fact(Truth::Yes, Confidence::Firm));
        facts.learn(Condition::UserRoot, fact(Truth::No, Confidence::Proven));
        assert_eq!(facts.truth(Condition::UserRoot), Truth::No);
        facts.learn(Condition::UserRoot, fact(Truth::Yes, Confidence::Firm));
        assert_eq!(facts.truth(Condition::UserRoot), Truth::No);
        assert_eq!(facts.truth(Condition::Privileged), Truth::Unknown);
    }

    #[test]
    fn of_two_files_that_differ_the_worse_one_stands() {
        for pair in [[Truth::Yes, Truth::No], [Truth::No, Truth::Yes]] {
            let mut facts = Facts::new();
            for truth in pair {
                facts.learn(Condition::Privileged, fact(truth, Confidence::Firm));
            }
            facts.learn(
                Condition::Privileged,
                fact(Truth::Unknown, Confidence::Proven),
            );
            assert_eq!(facts.truth(Condition::Privileged), Truth::Yes);
        }
    }
}
