//! The cheapest set that hits every one of a list of sets: minimum weight hitting set.
//!
//! It is NP-hard (Jha, Sheyner, Wing 2002, for attack graphs), and the graphs of one service are
//! small: a branch and bound over bit sets with a bound from disjoint sets is exact in well under a
//! millisecond. It stops after [`MAX_BRANCHES`] branches, which a single service does not come near,
//! and gives what the greedy rule gives, at most H(n) times as dear (Chvátal 1979).

/// Most elements to choose from.
pub(crate) const MAX_ELEMENTS: usize = 128;
/// Most branches that are looked at.
pub(crate) const MAX_BRANCHES: usize = 2_000_000;

/// A set to hit, or a set that hits: one bit an element.
pub(crate) type Bits = u128;

/// The outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hitting {
    pub(crate) chosen: Bits,
    /// Whether nothing cheaper exists.
    pub(crate) exact: bool,
}

/// Hits every set of `sets`, none of which is empty, at the least sum of `weights`; among equally
/// cheap answers with the fewest elements.
pub(crate) fn hit(sets: &[Bits], weights: &[u32]) -> Hitting {
    let scaled: Vec<u64> = weights
        .iter()
        .map(|weight| u64::from(*weight) * 1_000 + 1)
        .collect();
    let first = greedy(sets, &scaled);
    let mut search = Search {
        sets,
        weights: &scaled,
        best: first,
        best_weight: total(first, &scaled),
        branches: 0,
    };
    // The greedy answer is only a bound: an equally cheap one that comes first in order replaces it.
    search.best_weight += 1;
    search.branch(0, 0, 0);
    Hitting {
        chosen: search.best,
        exact: search.branches <= MAX_BRANCHES,
    }
}

struct Search<'a> {
    sets: &'a [Bits],
    weights: &'a [u64],
    best: Bits,
    best_weight: u64,
    branches: usize,
}

impl Search<'_> {
    /// `chosen` is in, `barred` is out.
    fn branch(&mut self, chosen: Bits, barred: Bits, weight: u64) {
        self.branches += 1;
        if self.branches > MAX_BRANCHES || weight + self.bound(chosen, barred) >= self.best_weight {
            return;
        }
        // The set with the fewest elements left has to be hit by one of them.
        let open = self
            .sets
            .iter()
            .filter(|set| **set & chosen == 0)
            .min_by_key(|set| (**set & !barred).count_ones());
        let Some(open) = open else {
            self.best = chosen;
            self.best_weight = weight;
            return;
        };
        let mut barred = barred;
        for element in elements(*open & !barred) {
            let bit = 1_u128 << element;
            self.branch(chosen | bit, barred, weight + self.weights[element]);
            barred |= bit;
        }
    }

    /// What is still to be paid at least: the cheapest elements of sets that share none.
    fn bound(&self, chosen: Bits, barred: Bits) -> u64 {
        let mut used: Bits = 0;
        let mut sum = 0;
        for set in self.sets {
            let left = *set & !barred;
            if *set & chosen != 0 || left & used != 0 {
                continue;
            }
            match elements(left).map(|element| self.weights[element]).min() {
                Some(least) => sum += least,
                None => return u64::MAX / 2,
            }
            used |= left;
        }
        sum
    }
}

fn greedy(sets: &[Bits], weights: &[u64]) -> Bits {
    let mut chosen: Bits = 0;
    loop {
        let open: Vec<Bits> = sets
            .iter()
            .copied()
            .filter(|set| set & chosen == 0)
            .collect();
        let all = open.iter().fold(0, |all, set| all | set);
        let next = elements(all).min_by_key(|element| {
            let hits = open.iter().filter(|set| **set >> element & 1 == 1).count() as u64;
            // Weight per set that is hit, in thousandths.
            weights[*element] * 1_000 / hits.max(1)
        });
        match next {
            Some(element) => chosen |= 1 << element,
            None => return chosen,
        }
    }
}

fn total(chosen: Bits, weights: &[u64]) -> u64 {
    elements(chosen).map(|element| weights[element]).sum()
}

/// The elements of a set, the lowest first.
pub(crate) fn elements(set: Bits) -> impl Iterator<Item = usize> {
    let mut left = set;
    std::iter::from_fn(move || {
        (left != 0).then(|| {
            let lowest = left.trailing_zeros() as usize;
            left &= left - 1;
            lowest
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_answer_is_that_of_brute_force(
            sets in prop::collection::vec(1_u128..256, 0..8),
            weights in prop::collection::vec(1_u32..5, 8),
        ) {
            let answer = hit(&sets, &weights);
            prop_assert!(answer.exact);
            prop_assert!(sets.iter().all(|set| set & answer.chosen != 0));
            let cost = |set: Bits| elements(set).map(|e| weights[e]).sum::<u32>();
            let least = (0_u128..256)
                .filter(|chosen| sets.iter().all(|set| set & chosen != 0))
                .map(|chosen| (cost(chosen), chosen.count_ones()))
                .min()
                .unwrap();
            prop_assert_eq!((cost(answer.chosen), answer.chosen.count_ones()), least);
        }
    }
}
