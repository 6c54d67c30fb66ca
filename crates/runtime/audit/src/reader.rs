//! Reading a log, while it is written or not: entries in order, the last ones, those that a search
//! wants. Nothing is checked here; that is what [`verify`](crate::verify) is for.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::Error;
use crate::journal;
use crate::record::{Query, Record};
use crate::tile::{self, WIDTH};

/// A log as it was when it was opened for reading.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    archive: Option<PathBuf>,
    base: u64,
    /// The entries of the journal.
    recent: Vec<Vec<u8>>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its index.
    pub index: u64,
    /// Its bytes, the JSON of a [`Record`].
    pub bytes: Vec<u8>,
}

/// Entries in order; see [`Reader::entries`].
#[derive(Debug)]
pub struct Entries<'a> {
    reader: &'a Reader,
    next: u64,
    /// The entries of the bundle that `next` is in.
    bundle: std::vec::IntoIter<Vec<u8>>,
}

impl Entry {
    /// The record in it.
    ///
    /// # Errors
    /// An entry that is no record.
    pub fn record(&self) -> Result<Record, Error> {
        Record::decode(&self.bytes)
    }
}

impl Reader {
    /// Opens the log in `dir` as it is now. What an unfinished write left behind is not read.
    ///
    /// # Errors
    /// [`Error::Io`] where there is no log, [`Error::Corrupt`] where its journal is damaged.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(journal::FILE);
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let contents = journal::read(&bytes)?;
        let recent = contents
            .frames
            .into_iter()
            .flat_map(|frame| frame.entries)
            .collect();
        Ok(Self {
            dir: dir.to_owned(),
            archive: None,
            base: contents.base,
            recent,
        })
    }

    /// Reads what was moved away from this directory, as far as it is there.
    #[must_use]
    pub fn with_archive(self, archive: Option<&Path>) -> Self {
        let archive = archive.map(Path::to_owned);
        Self { archive, ..self }
    }

    /// The number of entries, those that were moved away included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.base + self.recent.len() as u64
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first index that can be read: that was not moved away, or is in the archive. Bundles are
    /// moved away from the front.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first_bundle(|bundle| self.places(bundle).any(|path| path.exists())) * WIDTH
    }

    /// The full bundles that lie below `index` as a whole and are in the log itself.
    pub(crate) fn bundles_below(&self, index: u64) -> Range<u64> {
        let path = |bundle| self.dir.join(tile::entries_path(bundle, WIDTH));
        let first = self.first_bundle(|bundle| path(bundle).exists());
        first..(index.min(self.base) / WIDTH).max(first)
    }

    /// The first full bundle that is there, where all behind one that is there are too.
    fn first_bundle(&self, is_there: impl Fn(u64) -> bool) -> u64 {
        let (mut gone, mut end) = (0, self.base / WIDTH);
        while gone < end {
            let middle = gone + (end - gone) / 2;
            if is_there(middle) {
                end = middle;
            } else {
                gone = middle + 1;
            }
        }
        gone
    }

    /// Entries in order, from `index` or the first that is here.
    #[must_use]
    pub fn entries(&self, index: u64) -> Entries<'_> {
        Entries {
            reader: self,
            next: index.max(self.first()),
            bundle: Vec::new().into_iter(),
        }
    }

    /// The last `count` entries, in order.
    #[must_use]
    pub fn tail(&self, count: u64) -> Entries<'_> {
        self.entries(self.len().saturating_sub(count))
    }

    /// The records that a query wants, in order, with their index.
    pub fn search<'a>(
        &'a self,
        query: &'a Query,
    ) -> impl Iterator<Item = Result<(u64, Record), Error>> + 'a {
        self.entries(0).filter_map(move |entry| {
            let found = entry.and_then(|entry| Ok((entry.index, entry.record()?)));
            match found {
                Ok((_, record)) if !query.matches(&record) => None,
                other => Some(other),
            }
        })
    }

    /// The entries of a bundle.
    pub(crate) fn bundle(&self, index: u64) -> Result<Vec<Vec<u8>>, Error> {
        if index >= self.base / WIDTH {
            return Ok(self.recent.clone());
        }
        for path in self.places(index) {
            if let Some(bytes) = disk::read_if_there(&path)? {
                return whole_bundle(&path, &bytes);
            }
        }
        Err(Error::NoEntry {
            index: index * WIDTH,
            why: "it was moved away",
        })
    }

    /// Where a full bundle may be.
    fn places(&self, bundle: u64) -> impl Iterator<Item = PathBuf> {
        let file = tile::entries_path(bundle, WIDTH);
        let dirs = std::iter::once(&self.dir).chain(&self.archive);
        dirs.map(move |dir| dir.join(&file))
    }
}

fn whole_bundle(path: &Path, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let entries = tile::read_entries(bytes).filter(|it| it.len() as u64 == WIDTH);
    let damaged = || Error::Corrupt(format!("`{}` is no bundle of entries", path.display()));
    Ok(entries
        .ok_or_else(damaged)?
        .into_iter()
        .map(<[u8]>::to_vec)
        .collect())
}

impl Entries<'_> {
    /// Takes up the bundle that `next` is in. What was moved away since this was begun is passed
    /// over, as it would be by whoever begins now.
    fn fill(&mut self) -> Result<(), Error> {
        let entries = loop {
            match self.reader.bundle(self.next / WIDTH) {
                Err(Error::NoEntry { .. }) if self.next < self.reader.first() => {
                    self.next = self.reader.first();
                }
                other => break other?,
            }
        };
        let first = (self.next / WIDTH * WIDTH).min(self.reader.base);
        self.bundle = entries.into_iter();
        for _ in first..self.next {
            self.bundle.next();
        }
        Ok(())
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.reader.len() {
            return None;
        }
        if self.bundle.len() == 0
            && let Err(error) = self.fill()
        {
            // Once is enough: whoever goes on after an error would read a gap.
            self.next = u64::MAX;
            return Some(Err(error));
        }
        let bytes = self.bundle.next()?;
        let index = self.next;
        self.next += 1;
        Some(Ok(Entry { index, bytes }))
    }
}
