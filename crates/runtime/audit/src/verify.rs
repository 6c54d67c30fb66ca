//! Verifying a whole log: every entry against its hash, every hash against the tiles, the tree
//! against every signed checkpoint there is, and against one that was kept elsewhere.
//!
//! It reads one bundle at a time, so its memory hardly grows with the log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::checkpoint::SignedCheckpoint;
use crate::disk;
use crate::error::Error;
use crate::journal::{self, Contents};
use crate::log::CHECKPOINT;
use crate::merkle::{Edge, Hash, leaf_hash, root_of};
use crate::note::VerifyingKey;
use crate::record::{Event, Record};
use crate::tile::{self, LEVELS, WIDTH};

/// Faults that a report names; what is beyond them is counted.
const MAX_FAULTS: usize = 20;

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Report {
    /// Entries in the log.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
    /// Entries that were moved away with a record that says so; only their hashes were checked.
    pub moved: u64,
    /// Entries that were moved away, and were checked in the archive.
    pub archived: u64,
    /// The size of the published checkpoint.
    pub published: Option<u64>,
    /// Signed checkpoints that were checked against the tree.
    pub checkpoints: u64,
    /// Bytes of a write that is under way or was never finished.
    pub torn: u64,
    /// What is wrong, the first twenty of it.
    pub faults: Vec<Fault>,
    /// How much is wrong.
    pub fault_count: u64,
}

/// One thing that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The entry, where one can be named.
    pub index: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.fault_count == 0
    }
}

/// Verifies the log in `dir`, which is of `key`. `against` is the note of a checkpoint that was kept
/// elsewhere: with it, a log that was cut back or rewritten with its own key shows too. Entries that
/// were moved away are looked for in `archive`.
///
/// The log may be written meanwhile, and rotated.
///
/// # Errors
/// [`Error::Io`] where a file cannot be read; [`Error::Malformed`] or [`Error::Signature`] where
/// `against` itself does not open. What is wrong with the log is in the report.
pub fn verify(
    dir: &Path,
    archive: Option<&Path>,
    key: &VerifyingKey,
    against: Option<&str>,
) -> Result<Report, Error> {
    let kept = against
        .map(|note| SignedCheckpoint::open(note, key))
        .transpose()?;
    let mut gone = BTreeSet::new();
    loop {
        let check = once(dir, archive, key, kept.as_ref())?;
        let unsaid = check.unsaid();
        // What is gone and was there at the beginning may have been moved away meanwhile. Then a
        // record says so that was written before, and the next look finds it. Every look counts:
        // files that somebody hides and puts back in turn would keep this going for ever.
        if unsaid.is_empty() || !unsaid.is_disjoint(&gone) {
            return Ok(check.finish());
        }
        gone.extend(unsaid);
    }
}

/// Looks at all of the log, as it is at the beginning.
fn once<'a>(
    dir: &'a Path,
    archive: Option<&'a Path>,
    key: &'a VerifyingKey,
    kept: Option<&SignedCheckpoint>,
) -> Result<Check<'a>, Error> {
    // The checkpoint is read before the journal, so that the journal is never behind it.
    let published = disk::read_if_there(&dir.join(CHECKPOINT))?;
    let journal = disk::read_if_there(&dir.join(journal::FILE))?;

    let mut check = Check::new(dir, archive, key);
    let contents = match journal.as_deref().map(journal::read) {
        Some(Ok(contents)) => Some(contents),
        Some(Err(error)) => {
            check.fault(None, error.to_string());
            None
        }
        None => {
            check.fault(None, "the journal is missing".to_owned());
            None
        }
    };
    if let Some(kept) = kept {
        check.mark("the kept checkpoint", kept);
    }
    // A log that has just been begun has none yet.
    let begun = |contents: &Contents| contents.base == 0 && contents.frames.is_empty();
    if published.is_none() && !contents.as_ref().is_some_and(begun) {
        check.fault(None, "the published checkpoint is missing".to_owned());
    }
    if let Some(note) = published {
        match open(&note, key) {
            Ok(signed) => {
                check.report.published = Some(signed.checkpoint.size);
                check.mark("the published checkpoint", &signed);
            }
            Err(error) => check.fault(None, format!("the published checkpoint: {error}")),
        }
    }
    let mut base = None;
    if let Some(contents) = &contents {
        match SignedCheckpoint::open(&contents.base_note, key) {
            Ok(signed) => {
                check.mark("the checkpoint at the head of the journal", &signed);
                if signed.checkpoint.size == contents.base {
                    base = Some(contents.base);
                } else {
                    check.fault(
                        None,
                        "the head of the journal has a checkpoint of another size".to_owned(),
                    );
                }
            }
            Err(error) => check.fault(None, format!("the head of the journal: {error}")),
        }
    }
    check.passed()?;
    // Where nobody has signed how much there is before the journal, the tiles say it: a number that
    // somebody wrote there could keep this busy for years.
    check.base = base.unwrap_or_else(|| check.count_tiles());
    for index in 0..check.base / WIDTH {
        check.bundle(index)?;
    }
    if let Some(contents) = contents {
        check.journal(contents)?;
    }
    Ok(check)
}

/// A verification under way.
struct Check<'a> {
    dir: &'a Path,
    archive: Option<&'a Path>,
    key: &'a VerifyingKey,
    /// Entries before the journal. Their tiles are all written.
    base: u64,
    edge: Edge,
    levels: Vec<Vec<Hash>>,
    /// What signed checkpoints say about the tree, by its size.
    marks: BTreeMap<u64, Vec<(&'static str, Hash)>>,
    /// Bundles that are not here.
    missing: Vec<u64>,
    /// Below this index a record says that entries were moved away.
    moved_below: u64,
    report: Report,
}

impl<'a> Check<'a> {
    fn new(dir: &'a Path, archive: Option<&'a Path>, key: &'a VerifyingKey) -> Self {
        let edge = Edge::default();
        let report = Report {
            size: 0,
            root: edge.root(),
            moved: 0,
            archived: 0,
            published: None,
            checkpoints: 0,
            torn: 0,
            faults: Vec::new(),
            fault_count: 0,
        };
        let (levels, marks, missing) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self {
            dir,
            archive,
            key,
            base: 0,
            edge,
            levels,
            marks,
            missing,
            moved_below: 0,
            report,
        }
    }

    fn fault(&mut self, index: Option<u64>, what: String) {
        self.report.fault_count += 1;
        if self.report.faults.len() < MAX_FAULTS {
            self.report.faults.push(Fault { index, what });
        }
    }

    fn mark(&mut self, what: &'static str, signed: &SignedCheckpoint) {
        let at = self.marks.entry(signed.checkpoint.size).or_default();
        at.push((what, signed.checkpoint.root));
    }

    /// How many full tiles of level 0 there are.
    fn count_tiles(&self) -> u64 {
        let there = |index: &u64| self.dir.join(tile::tile_path(0, *index, WIDTH)).exists();
        (0..).take_while(there).count() as u64 * WIDTH
    }

    /// A full bundle and its tile.
    fn bundle(&mut self, index: u64) -> Result<(), Error> {
        let first = index * WIDTH;
        let hashes = match self.leaves(index)? {
            Some(hashes) => hashes,
            None => {
                self.fault(
                    Some(first),
                    "the tile of its hashes is missing or damaged".to_owned(),
                );
                Vec::new()
            }
        };
        let file = tile::entries_path(index, WIDTH);
        let mut path = self.dir.join(&file);
        let mut bytes = disk::read_if_there(&path)?;
        if let (None, Some(archive)) = (&bytes, self.archive) {
            path = archive.join(&file);
            bytes = disk::read_if_there(&path)?;
            self.report.archived += bytes.as_ref().map_or(0, |_| WIDTH);
        }
        let Some(bytes) = bytes else {
            self.missing.push(index);
            return hashes.into_iter().try_for_each(|hash| self.leaf(hash));
        };
        let entries = tile::read_entries(&bytes).filter(|it| it.len() as u64 == WIDTH);
        let Some(entries) = entries else {
            self.fault(
                Some(first),
                format!("`{}` is not {WIDTH} entries", path.display()),
            );
            return hashes.into_iter().try_for_each(|hash| self.leaf(hash));
        };
        for (at, entry) in entries.into_iter().enumerate() {
            let leaf = leaf_hash(entry);
            if hashes.get(at).is_some_and(|hash| *hash != leaf) {
                self.fault(
                    Some(first + at as u64),
                    "the entry is not the one that was logged".to_owned(),
                );
            }
            self.note_move(entry);
            self.leaf(leaf)?;
        }
        Ok(())
    }

    /// The flushes of the journal.
    fn journal(&mut self, contents: Contents) -> Result<(), Error> {
        self.report.torn = contents.torn.len() as u64;
        if contents.is_damaged() {
            self.fault(None, "the last flush is damaged".to_owned());
        }
        for frame in contents.frames {
            let first = self.edge.size();
            match SignedCheckpoint::open(&frame.note, self.key) {
                Ok(signed) if signed.checkpoint.size == first + frame.entries.len() as u64 => {
                    self.mark("the checkpoint of its flush", &signed);
                }
                Ok(_) => self.fault(
                    Some(first),
                    "its flush has a checkpoint of another size".to_owned(),
                ),
                Err(error) => self.fault(Some(first), format!("its flush: {error}")),
            }
            for entry in &frame.entries {
                self.note_move(entry);
                self.leaf(leaf_hash(entry))?;
            }
        }
        Ok(())
    }

    /// Adds a leaf, and compares what is full or signed now.
    fn leaf(&mut self, leaf: Hash) -> Result<(), Error> {
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
            let index = (self.edge.size() >> (8 * (level + 1))) - 1;
            // Those of level 0 have been compared entry by entry.
            if level > 0 {
                self.full_tile(level, index, &full)?;
            }
            hash = root_of(&full);
        }
        self.passed()
    }

    /// A full tile above level 0.
    fn full_tile(&mut self, level: u32, index: u64, hashes: &[Hash]) -> Result<(), Error> {
        let path = self.dir.join(tile::tile_path(level, index, WIDTH));
        let wrong = match disk::read_if_there(&path)? {
            Some(bytes) if bytes == tile::to_bytes(hashes) => return Ok(()),
            // The journal may hold more than a bundle while its tiles are being written.
            None if self.edge.size() > self.base => return Ok(()),
            Some(_) => "is not that of the tree",
            None => "is missing",
        };
        self.fault(None, format!("tile {index} of level {level} {wrong}"));
        Ok(())
    }

    /// Compares the tree with what is signed at its size.
    fn passed(&mut self) -> Result<(), Error> {
        let size = self.edge.size();
        let Some(marks) = self.marks.remove(&size) else {
            return Ok(());
        };
        let root = self.edge.root();
        for (what, signed) in marks {
            self.report.checkpoints += 1;
            if signed != root {
                self.fault(
                    None,
                    format!("the first {size} entries do not have the root that {what} signs"),
                );
            }
        }
        if self.report.published == Some(size) {
            self.published_tiles(size)?;
        }
        Ok(())
    }

    /// The tiles that go with the published checkpoint and are not full; other people read them.
    fn published_tiles(&mut self, size: u64) -> Result<(), Error> {
        for level in 0..LEVELS {
            let Some(hashes) = self.levels.get(level as usize).filter(|it| !it.is_empty()) else {
                continue;
            };
            let (hashes, index) = (hashes.clone(), (size >> (8 * level)) / WIDTH);
            let width = hashes.len() as u64;
            let path = self.dir.join(tile::tile_path(level, index, width));
            let right = match disk::read_if_there(&path)? {
                Some(bytes) => bytes == tile::to_bytes(&hashes),
                None => self.has_moved_on(size)?,
            };
            if !right {
                self.fault(None, format!("tile {index} of level {level} at {width} hashes is not that of the published checkpoint"));
            }
        }
        let (index, width) = (size / WIDTH, size % WIDTH);
        if width > 0 {
            let bytes = disk::read_if_there(&self.dir.join(tile::entries_path(index, width)))?;
            if bytes.is_none() && self.has_moved_on(size)? {
                return Ok(());
            }
            let entries = bytes
                .as_deref()
                .and_then(tile::read_entries)
                .unwrap_or_default();
            let leaves: Vec<Hash> = entries.into_iter().map(leaf_hash).collect();
            if self.levels.first() != Some(&leaves) {
                self.fault(None, format!("the last {width} entries of the published checkpoint are not those of the log"));
            }
        }
        Ok(())
    }

    /// Whether a later checkpoint was published while this went on. Then the writer, and nobody
    /// without its key, may have removed the tiles that were not full at this size.
    fn has_moved_on(&self, size: u64) -> Result<bool, Error> {
        let note = disk::read_if_there(&self.dir.join(CHECKPOINT))?;
        let later = note.and_then(|note| open(&note, self.key).ok());
        Ok(later.is_some_and(|signed| signed.checkpoint.size > size))
    }

    fn note_move(&mut self, entry: &[u8]) {
        const WORD: &[u8] = b"\"rotated\"";
        if entry.windows(WORD.len()).any(|window| window == WORD)
            && let Ok(Record {
                event: Event::Rotated { first },
                ..
            }) = Record::decode(entry)
        {
            self.moved_below = self.moved_below.max(first);
        }
    }

    /// The hashes of a full tile of level 0; nothing where it is missing or damaged.
    fn leaves(&self, index: u64) -> Result<Option<Vec<Hash>>, Error> {
        let path = self.dir.join(tile::tile_path(0, index, WIDTH));
        let Some(bytes) = disk::read_if_there(&path)? else {
            return Ok(None);
        };
        let (hashes, rest) = bytes.as_chunks::<32>();
        Ok((hashes.len() as u64 == WIDTH && rest.is_empty()).then(|| hashes.to_vec()))
    }

    /// Bundles that are not here although no record says that they were moved away.
    fn unsaid(&self) -> BTreeSet<u64> {
        let said = |bundle: &u64| (bundle + 1) * WIDTH <= self.moved_below;
        let missing = self.missing.iter().copied();
        missing.filter(|bundle| !said(bundle)).collect()
    }

    fn finish(mut self) -> Report {
        let size = self.edge.size();
        for (at, marks) in std::mem::take(&mut self.marks) {
            for (what, _) in marks {
                self.fault(
                    None,
                    format!("{what} has {at} entries, and there are {size}"),
                );
            }
        }
        let unsaid = self.unsaid();
        self.report.moved = (self.missing.len() - unsaid.len()) as u64 * WIDTH;
        for bundle in unsaid {
            self.fault(
                Some(bundle * WIDTH),
                format!(
                    "{WIDTH} entries are missing, and no record says that they were moved away"
                ),
            );
        }
        Report {
            size,
            root: self.edge.root(),
            ..self.report
        }
    }
}

fn open(note: &[u8], key: &VerifyingKey) -> Result<SignedCheckpoint, Error> {
    let note = std::str::from_utf8(note).map_err(|_| Error::malformed("note", "it is no text"))?;
    SignedCheckpoint::open(note, key)
}
