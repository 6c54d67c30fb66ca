//! The cheapest set that hits every one of a list of sets: minimum weight hitting set.
//!
//! It is NP-hard (Jha, Sheyner, Wing 2002, for attack graphs), and the graphs of one service are
//! small: a branch and bound over bit sets with a bound from disjoint sets is exact in well under a
//! millisecond. It stops after [`MAX_BRANCHES`] branches, which a single service does not come near,
//! and gives what the greedy rule gives, at most H(n) times as dear (Chvátal 1979).

/// Most elements to choose from.
pub(crate) const MAX_ELEMENTS: usize = 256;
/// Most branches that are looked at.
pub(crate) const MAX_BRANCHES: usize = 2_000_000;

/// A set to hit, or a set that hits: one bit an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bits([u64; MAX_ELEMENTS / 64]);

impl Bits {
    pub(crate) fn insert(&mut self, element: usize) {
        self.0[element / 64] |= 1 << (element % 64);
    }

    fn with(mut self, element: usize) -> Self {
        self.insert(element);
        self
    }

    fn contains(&self, element: usize) -> bool {
        self.0[element / 64] >> (element % 64) & 1 == 1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; MAX_ELEMENTS / 64]
    }

    fn meets(&self, other: &Bits) -> bool {
        self.0.iter().zip(other.0).any(|(a, b)| a & b != 0)
    }

    fn without(&self, other: &Bits) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }

    fn or(&self, other: &Bits) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The elements, the lowest first.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, mut left)| {
            std::iter::from_fn(move || {
                (left != 0).then(|| {
                    let lowest = left.trailing_zeros() as usize;
                    left &= left - 1;
                    word * 64 + lowest
                })
            })
        })
    }
}

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
    search.branch(Bits::default(), Bits::default(), 0);
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
        if self.branches > MAX_BRANCHES || weight + self.bound(&chosen, &barred) >= self.best_weight
        {
            return;
        }
        // The set with the fewest elements left has to be hit by one of them.
        let open = self
            .sets
            .iter()
            .filter(|set| !set.meets(&chosen))
            .min_by_key(|set| set.without(&barred).len());
        let Some(open) = open else {
            self.best = chosen;
            self.best_weight = weight;
            return;
        };
        let mut barred = barred;
        for element in open.without(&barred).iter() {
            let weight = weight + self.weights[element];
            self.branch(chosen.with(element), barred, weight);
            barred.insert(element);
        }
    }

    /// What is still to be paid at least: the cheapest elements of sets that share none.
    fn bound(&self, chosen: &Bits, barred: &Bits) -> u64 {
        let mut used = Bits::default();
        let mut sum = 0;
        for set in self.sets {
            let left = set.without(barred);
            if set.meets(chosen) || left.meets(&used) {
                continue;
            }
            match left.iter().map(|element| self.weights[element]).min() {
                Some(least) => sum += least,
                None => return u64::MAX / 2,
            }
            used = used.or(&left);
        }
        sum
    }
}

fn greedy(sets: &[Bits], weights: &[u64]) -> Bits {
    let mut chosen = Bits::default();
    loop {
        let open: Vec<&Bits> = sets.iter().filter(|set| !set.meets(&chosen)).collect();
        let all = open.iter().fold(Bits::default(), |all, set| all.or(set));
        let next = all.iter().min_by_key(|element| {
            let hits = open.iter().filter(|set| set.contains(*element)).count() as u64;
            // Weight per set that is hit, in thousandths.
            weights[*element] * 1_000 / hits.max(1)
        });
        match next {
            Some(element) => chosen.insert(element),
            None => return chosen,
        }
    }
}

fn total(chosen: Bits, weights: &[u64]) -> u64 {
    chosen.iter().map(|element| weights[element]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(low: u64) -> Bits {
        // Spread over the words, so that none is left out of the test.
        let mut bits = Bits::default();
        for element in (0..64).filter(|element| low >> element & 1 == 1) {
            bits.insert(element * 31);
        }
        bits
    }

    proptest! {
        #[test]
        fn the_answer_is_that_of_brute_force(
            sets in prop::collection::vec(1_u64..256, 0..8),
            costs in prop::collection::vec(1_u32..5, 8),
        ) {
            let mut weights = vec![1; MAX_ELEMENTS];
            for (element, cost) in costs.iter().enumerate() {
                weights[element * 31] = *cost;
            }
            let spread: Vec<Bits> = sets.iter().map(|set| bits(*set)).collect();
            let answer = hit(&spread, &weights);
            prop_assert!(answer.exact);
            prop_assert!(spread.iter().all(|set| set.meets(&answer.chosen)));
            let cost = |set: Bits| set.iter().map(|e| weights[e]).sum::<u32>();
            let least = (0_u64..256)
                .filter(|chosen| sets.iter().all(|set| set & chosen != 0))
                .map(|chosen| (cost(bits(chosen)), chosen.count_ones()))
                .min()
                .unwrap();
            prop_assert_eq!((cost(answer.chosen), answer.chosen.len()), least);
        }
    }
}
