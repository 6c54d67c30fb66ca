//! The growing tree with the tiles of its right edge. Its size in memory is bounded: at most 255
//! hashes of each tile level, and the entries of one bundle.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::merkle::{Edge, Hash, leaf_hash, root_of};
use crate::tile::{self, LEVELS, WIDTH};

/// The tree as the writer sees it.
#[derive(Default)]
pub(super) struct Tree {
    edge: Edge,
    /// The hashes of the tiles that are not full, by level.
    levels: Vec<Vec<Hash>>,
    /// The entries since the last full bundle, with their lengths.
    bundle: Vec<u8>,
    /// Full tiles and bundles that are not written yet.
    pub(super) unwritten: Vec<(PathBuf, Vec<u8>)>,
    /// The tree after the last full bundle.
    pub(super) base: Edge,
}

impl Tree {
    /// The tree of the first `size` entries, a multiple of 256, from the full tiles.
    pub(super) fn load(dir: &Path, size: u64) -> Result<Self, Error> {
        let mut tree = Self {
            levels: vec![Vec::new()],
            ..Self::default()
        };
        for level in 1..LEVELS {
            let hashes = size >> (8 * level);
            if hashes == 0 {
                break;
            }
            // Each hash of this level is the root of a full tile below it.
            let first = hashes / WIDTH * WIDTH;
            let roots = (first..hashes)
                .map(|index| Ok(root_of(&tile::read(dir, level - 1, index, WIDTH)?)))
                .collect::<Result<Vec<_>, Error>>()?;
            tree.levels.push(roots);
        }
        for (level, hashes) in (0..LEVELS).zip(&tree.levels).rev() {
            hashes
                .iter()
                .for_each(|hash| tree.edge.push_subtree(8 * level, *hash));
        }
        tree.base = tree.edge.clone();
        Ok(tree)
    }

    pub(super) fn size(&self) -> u64 {
        self.edge.size()
    }

    pub(super) fn root(&self) -> Hash {
        self.edge.root()
    }

    /// The root after some more entries, which are not added.
    pub(super) fn root_with(&self, entries: &[Vec<u8>]) -> Hash {
        let mut edge = self.edge.clone();
        entries.iter().for_each(|entry| edge.push(leaf_hash(entry)));
        edge.root()
    }

    /// Adds an entry, which is in the journal.
    pub(super) fn push(&mut self, entry: &[u8]) -> Result<(), Error> {
        tile::write_entry(&mut self.bundle, entry)?;
        let leaf = leaf_hash(entry);
        self.edge.push(leaf);
        let mut hash = leaf;
        for level in 0..LEVELS {
            let at = level as usize;
            if self.levels.len() == at {
                self.levels.push(Vec::new());
            }
            self.levels[at].push(hash);
            if (self.levels[at].len() as u64) < WIDTH {
                break;
            }
            let full = std::mem::take(&mut self.levels[at]);
            let index = (self.size() >> (8 * (level + 1))) - 1;
            self.unwritten
                .push((tile::tile_path(level, index, WIDTH), tile::to_bytes(&full)));
            hash = root_of(&full);
        }
        if self.size().is_multiple_of(WIDTH) {
            let index = self.size() / WIDTH - 1;
            let bundle = std::mem::take(&mut self.bundle);
            self.unwritten
                .push((tile::entries_path(index, WIDTH), bundle));
            self.base = self.edge.clone();
        }
        Ok(())
    }

    /// The entries since the last full bundle.
    pub(super) fn pending(&self) -> Vec<Vec<u8>> {
        let entries = tile::read_entries(&self.bundle).unwrap_or_default();
        entries.into_iter().map(<[u8]>::to_vec).collect()
    }

    /// The tiles and the bundle that are not full.
    pub(super) fn partial(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let size = self.size();
        let mut files: Vec<_> = (0..LEVELS)
            .zip(&self.levels)
            .filter(|(_, hashes)| !hashes.is_empty())
            .map(|(level, hashes)| {
                let index = (size >> (8 * level)) / WIDTH;
                let path = tile::tile_path(level, index, hashes.len() as u64);
                (path, tile::to_bytes(hashes))
            })
            .collect();
        if !self.bundle.is_empty() {
            let path = tile::entries_path(size / WIDTH, size % WIDTH);
            files.push((path, self.bundle.clone()));
        }
        files
    }
}

/// The paths of the tiles and the bundle that are not full in a tree of `size` entries.
pub(super) fn partial_paths(size: u64) -> Vec<PathBuf> {
    let tiles = (0..LEVELS).filter_map(|level| {
        let hashes = size >> (8 * level);
        let width = hashes % WIDTH;
        (width > 0).then(|| tile::tile_path(level, hashes / WIDTH, width))
    });
    let width = size % WIDTH;
    tiles
        .chain((width > 0).then(|| tile::entries_path(size / WIDTH, width)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk;

    #[test]
    fn a_tree_that_is_loaded_goes_on_as_the_one_that_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = Tree::load(dir.path(), 0).unwrap();
        let entry = |index: u64| format!("entry {index}").into_bytes();
        for index in 0..256 * 258 + 7 {
            tree.push(&entry(index)).unwrap();
        }
        for (path, bytes) in tree.unwritten.drain(..) {
            disk::write_whole(dir.path(), &path, &bytes).unwrap();
        }
        let mut again = Tree::load(dir.path(), 256 * 258).unwrap();
        assert_eq!(again.root(), tree.base.root());
        for index in 256 * 258..256 * 258 + 7 {
            again.push(&entry(index)).unwrap();
        }
        assert_eq!((again.size(), again.root()), (tree.size(), tree.root()));
        assert_eq!(again.partial(), tree.partial());
        let paths: Vec<_> = tree.partial().into_iter().map(|(path, _)| path).collect();
        assert_eq!(partial_paths(tree.size()), paths);
    }
}
