//! Tiles: where hashes and entries lie, as in c2sp.org/tlog-tiles.
//!
//! A tile of level `L` holds up to 256 hashes of nodes of tree level `8·L`; an entry bundle holds
//! the entries of a tile of level 0. A tile that is not full lies under its width, `….p/W`.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::merkle::{Hash, root_of};

/// Hashes of a full tile, and entries of a full bundle.
pub(crate) const WIDTH: u64 = 256;

/// The largest tile of level `L` that a full tree can have; 8 levels hold 2^64 leaves.
pub(crate) const LEVELS: u32 = 8;

/// The path of a hash tile below the log's directory.
pub(crate) fn tile_path(level: u32, index: u64, width: u64) -> PathBuf {
    path(&format!("tile/{level}"), index, width)
}

/// The path of an entry bundle below the log's directory.
pub(crate) fn entries_path(index: u64, width: u64) -> PathBuf {
    path("tile/entries", index, width)
}

/// `x001/x234/067`, with `.p/W` where the tile is not full.
fn path(under: &str, index: u64, width: u64) -> PathBuf {
    let mut groups = vec![format!("{:03}", index % 1000)];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    groups.reverse();
    let name = groups.join("/");
    match width {
        WIDTH => PathBuf::from(format!("{under}/{name}")),
        _ => PathBuf::from(format!("{under}/{name}.p/{width}")),
    }
}

/// How many hashes the tile has in a tree of `size` leaves; 0 where there is none.
pub(crate) fn width_at(level: u32, index: u64, size: u64) -> u64 {
    let hashes = size >> (8 * level);
    hashes.saturating_sub(index * WIDTH).min(WIDTH)
}

/// Writes hashes one after the other.
pub(crate) fn to_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// Reads a hash tile of `width` hashes.
pub(crate) fn read(dir: &Path, level: u32, index: u64, width: u64) -> Result<Vec<Hash>, Error> {
    let path = dir.join(tile_path(level, index, width));
    let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if hashes.len() as u64 != width || !rest.is_empty() {
        return Err(Error::Corrupt(format!(
            "`{}` does not hold {width} hashes",
            path.display()
        )));
    }
    Ok(hashes.to_vec())
}

/// Node `(level, index)` of the tree of `size` leaves, from the tiles of that tree.
pub(crate) fn node(dir: &Path, size: u64, level: u32, index: u64) -> Result<Hash, Error> {
    let (tile_level, within) = (level / 8, level % 8);
    // The node covers `2^within` hashes of the tile, from `first` on.
    let first = index << within;
    let tile = first / WIDTH;
    let hashes = read(dir, tile_level, tile, width_at(tile_level, tile, size))?;
    let at = (first % WIDTH) as usize;
    match hashes.get(at..at + (1 << within)) {
        Some(covered) => Ok(root_of(covered)),
        None => Err(Error::Corrupt(format!(
            "a tile of level {tile_level} is too short"
        ))),
    }
}

/// The same of a tree whose tiles that are not full may be missing: what would stand in one is the
/// root of a full tile below it.
pub(crate) fn node_of_full(dir: &Path, size: u64, level: u32, index: u64) -> Result<Hash, Error> {
    let (tile_level, within) = (level / 8, level % 8);
    let first = index << within;
    let is_full = width_at(tile_level, first / WIDTH, size) == WIDTH;
    let Some(below) = tile_level.checked_sub(1).filter(|_| !is_full) else {
        return node(dir, size, level, index);
    };
    let roots = (first..first + (1 << within))
        .map(|index| Ok(root_of(&read(dir, below, index, WIDTH)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(root_of(&roots))
}

/// Entries with their lengths before them.
pub(crate) fn write_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), Error> {
    let length = u16::try_from(entry.len()).map_err(|_| Error::TooLarge { size: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle; nothing where it does not end with an entry.
pub(crate) fn read_entries(bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    let mut rest = bundle;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        rest = after;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_other_people() {
        for (level, index, width) in [
            (0, 0, 256),
            (0, 1_234_067, 256),
            (1, 5, 7),
            (2, 999, 256),
            (3, 1000, 1),
        ] {
            let theirs = tlog_tiles::Tile::new(8, level, index, width, false).path();
            let ours = tile_path(level.into(), index, width.into());
            // The Go original says the height first, C2SP has only one.
            let theirs = theirs.replacen("tile/8/", "tile/", 1);
            assert_eq!(ours.to_str().unwrap(), theirs);
        }
        assert_eq!(
            entries_path(1_234_067, 256).to_str().unwrap(),
            "tile/entries/x001/x234/067"
        );
        assert_eq!(entries_path(0, 3).to_str().unwrap(), "tile/entries/000.p/3");
    }

    #[test]
    fn widths_follow_the_size() {
        assert_eq!(width_at(0, 0, 0), 0);
        assert_eq!(width_at(0, 0, 255), 255);
        assert_eq!(width_at(0, 0, 256), 256);
        assert_eq!(width_at(0, 1, 256), 0);
        assert_eq!(width_at(1, 0, 256), 1);
        assert_eq!(width_at(1, 0, 65_536 + 300), 256);
        assert_eq!(width_at(7, 0, u64::MAX), 255);
    }

    #[test]
    fn a_bundle_is_whole_entries() {
        let mut bundle = Vec::new();
        write_entry(&mut bundle, b"one").unwrap();
        write_entry(&mut bundle, b"").unwrap();
        assert_eq!(read_entries(&bundle).unwrap(), [&b"one"[..], b""]);
        assert!(read_entries(&bundle[..bundle.len() - 1]).is_none());
        assert!(write_entry(&mut bundle, &[0; 65_536]).is_err());
    }
}
