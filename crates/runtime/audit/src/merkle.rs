//! The Merkle tree of RFC 6962 §2.1: hashes, roots, inclusion and consistency proofs.
//!
//! Nodes are addressed by level and index: node `(l, i)` covers the leaves `i·2^l` to `(i+1)·2^l`.

use aws_lc_rs::digest::{Context, SHA256, digest};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The hash of a leaf.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    hash(&[&[0], data])
}

/// The hash of two nodes.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], left, right])
}

/// The root of the empty tree.
#[must_use]
pub fn empty_root() -> Hash {
    array(digest(&SHA256, b"").as_ref())
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    array(context.finish().as_ref())
}

fn array(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(bytes);
    hash
}

/// The right edge of a growing tree: one hash per complete subtree, largest first. At most 64
/// hashes, however many leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    peaks: Vec<Hash>,
}

impl Edge {
    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_subtree(0, leaf);
    }

    /// Adds a complete subtree of `2^level` leaves. The size must be a multiple of that.
    pub(crate) fn push_subtree(&mut self, level: u32, root: Hash) {
        let mut hash = root;
        let mut at = level;
        while self.size >> at & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            at += 1;
        }
        self.peaks.push(hash);
        self.size += 1 << level;
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => empty_root(),
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

/// The root of a run of hashes whose number is a power of two, or of a whole small tree.
pub(crate) fn root_of(hashes: &[Hash]) -> Hash {
    let mut edge = Edge::default();
    hashes.iter().for_each(|hash| edge.push(*hash));
    edge.root()
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

/// The hash of the leaves `lo` to `hi`, from the nodes that `node` knows. `lo` is a multiple of the
/// power of two at or above `hi - lo`, as it is in every proof.
fn range<E>(
    lo: u64,
    hi: u64,
    node: &mut impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let size = hi - lo;
    if size.is_power_of_two() {
        let level = size.trailing_zeros();
        return node(level, lo >> level);
    }
    let middle = lo + split(size);
    Ok(node_hash(
        &range(lo, middle, node)?,
        &range(middle, hi, node)?,
    ))
}

/// The root of the first `size` leaves, from the nodes of a tree that has them.
///
/// # Errors
/// What `node` fails with.
pub fn root_at<E>(size: u64, mut node: impl FnMut(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    if size == 0 {
        Ok(empty_root())
    } else {
        range(0, size, &mut node)
    }
}

/// The inclusion proof of leaf `index` in the tree of `size` leaves (RFC 6962 §2.1.1), lowest
/// hash first. `index` must be below `size`.
///
/// # Errors
/// What `node` fails with.
pub fn inclusion<E>(
    index: u64,
    size: u64,
    mut node: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let (mut lo, mut hi) = (0, size);
    let mut siblings = Vec::new();
    while hi - lo > 1 {
        let middle = lo + split(hi - lo);
        if index < middle {
            siblings.push((middle, hi));
            hi = middle;
        } else {
            siblings.push((lo, middle));
            lo = middle;
        }
    }
    siblings
        .iter()
        .rev()
        .map(|(lo, hi)| range(*lo, *hi, &mut node))
        .collect()
}

/// The root that an inclusion proof leads to (RFC 9162 §2.1.3.2); nothing where the proof has the
/// wrong length.
#[must_use]
pub fn root_by_inclusion(index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// The proof that the tree of `size` leaves continues that of `old` leaves (RFC 6962 §2.1.2).
/// `old` is at least 1 and at most `size`.
///
/// # Errors
/// What `node` fails with.
pub fn consistency<E>(
    old: u64,
    size: u64,
    mut node: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let (mut lo, mut hi) = (0, size);
    let mut siblings = Vec::new();
    // Whether what is left of the old tree is a whole subtree that the verifier knows by its root.
    let mut known = true;
    while old != hi {
        let middle = lo + split(hi - lo);
        if old <= middle {
            siblings.push((middle, hi));
            hi = middle;
        } else {
            siblings.push((lo, middle));
            lo = middle;
            known = false;
        }
    }
    if !known {
        siblings.push((lo, hi));
    }
    siblings
        .iter()
        .rev()
        .map(|(lo, hi)| range(*lo, *hi, &mut node))
        .collect()
}

/// Whether a consistency proof leads from one root to the other (RFC 9162 §2.1.4.2).
#[must_use]
pub fn is_consistent(old: u64, old_root: Hash, size: u64, root: Hash, proof: &[Hash]) -> bool {
    if old == size {
        return proof.is_empty() && old_root == root;
    }
    if old == 0 || old > size {
        return false;
    }
    let mut path = proof.iter();
    let (mut at, mut last) = (old - 1, size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let start = if old.is_power_of_two() {
        Some(&old_root)
    } else {
        path.next()
    };
    let Some(start) = start else { return false };
    let (mut first, mut second) = (*start, *start);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            first = node_hash(sibling, &first);
            second = node_hash(sibling, &second);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            second = node_hash(&second, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && first == old_root && second == root
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn leaves(size: u64) -> Vec<Hash> {
        (0..size)
            .map(|index| leaf_hash(&index.to_be_bytes()))
            .collect()
    }

    fn root(size: u64) -> Hash {
        root_of(&leaves(size))
    }

    fn node(level: u32, index: u64) -> Result<Hash, Infallible> {
        let all = leaves((index + 1) << level);
        Ok(root_of(&all[(index << level) as usize..]))
    }

    #[test]
    fn roots_are_those_of_the_rfc() {
        // RFC 6962's own algorithm, written as it stands there.
        fn mth(leaves: &[Hash]) -> Hash {
            match leaves {
                [] => empty_root(),
                [one] => *one,
                more => {
                    let middle = split(more.len() as u64) as usize;
                    node_hash(&mth(&more[..middle]), &mth(&more[middle..]))
                }
            }
        }
        for size in 0..70 {
            assert_eq!(root(size), mth(&leaves(size)), "{size}");
        }
    }

    #[test]
    fn other_people_compute_the_same_roots_and_accept_the_proofs() {
        for size in 1..40u64 {
            let theirs = tlog_tiles::Hash(root(size));
            for index in 0..size {
                let proof = inclusion(index, size, node).unwrap();
                let proof = proof.into_iter().map(tlog_tiles::Hash).collect();
                let leaf = tlog_tiles::record_hash(&index.to_be_bytes());
                tlog_tiles::check_record(&proof, size, theirs, index, leaf).unwrap();
            }
            for old in 1..=size {
                let proof = consistency(old, size, node).unwrap();
                let proof = proof.into_iter().map(tlog_tiles::Hash).collect();
                tlog_tiles::check_tree(&proof, size, theirs, old, tlog_tiles::Hash(root(old)))
                    .unwrap();
            }
        }
    }

    proptest! {
        #[test]
        fn a_proof_proves_its_leaf_and_no_other(size in 1u64..200, pick in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()) {
            let index = pick.index(size as usize) as u64;
            let leaf = leaf_hash(&index.to_be_bytes());
            let mut proof = inclusion(index, size, node).unwrap();
            prop_assert_eq!(root_by_inclusion(index, size, leaf, &proof), Some(root(size)));
            prop_assert_ne!(root_by_inclusion(index, size, leaf_hash(b"x"), &proof), Some(root(size)));
            if !proof.is_empty() {
                let at = flip.index(proof.len());
                proof[at][0] ^= 1;
                prop_assert_ne!(root_by_inclusion(index, size, leaf, &proof), Some(root(size)));
                proof[at][0] ^= 1;
            }
            proof.push([0; 32]);
            prop_assert_eq!(root_by_inclusion(index, size, leaf, &proof), None);
        }

        #[test]
        fn a_tree_is_consistent_with_its_past_and_no_other(size in 1u64..200, pick in any::<prop::sample::Index>()) {
            let old = 1 + pick.index(size as usize) as u64;
            let proof = consistency(old, size, node).unwrap();
            prop_assert!(is_consistent(old, root(old), size, root(size), &proof));
            prop_assert!(!is_consistent(old, leaf_hash(b"x"), size, root(size), &proof));
            prop_assert!(!is_consistent(old, root(old), size, leaf_hash(b"x"), &proof));
        }
    }
}
