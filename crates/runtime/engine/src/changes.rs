//! What a container has changed in its own directory since it was made.

use crate::files::{Entry, Root};
use rustix::fs::FileType;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;

/// How many files are looked at.
const FILES: usize = 20_000;

/// The files of a directory as they were.
#[derive(Debug, Default)]
pub(crate) struct Snapshot(BTreeMap<String, Entry>);

/// dockerd's numbers.
const MODIFIED: u8 = 0;
const ADDED: u8 = 1;
const DELETED: u8 = 2;

impl Snapshot {
    /// Looks at everything below a directory.
    pub(crate) fn of(root: &Root) -> io::Result<Self> {
        let mut seen = BTreeMap::new();
        let mut directories = vec![String::new()];
        while let Some(directory) = directories.pop() {
            for name in root.names(&directory)? {
                if seen.len() >= FILES {
                    return Err(io::Error::other("the container has too many files"));
                }
                let path = format!("{directory}/{name}");
                let entry = root.stat(&path)?;
                if entry.kind == FileType::Directory {
                    directories.push(path.clone());
                }
                seen.insert(path, entry);
            }
        }
        Ok(Self(seen))
    }

    /// How `now` differs, as `changes` shows it.
    pub(crate) fn changes(&self, now: &Self) -> Vec<Value> {
        let mut kinds = BTreeMap::new();
        for (path, entry) in &now.0 {
            match self.0.get(path) {
                None => kinds.insert(path.clone(), ADDED),
                // A directory is changed when something in it is, which is seen there.
                Some(before)
                    if entry.kind != FileType::Directory
                        && (before.changed, before.size, before.mode)
                            != (entry.changed, entry.size, entry.mode) =>
                {
                    kinds.insert(path.clone(), MODIFIED)
                }
                Some(_) => None,
            };
        }
        for path in self.0.keys().filter(|path| !now.0.contains_key(*path)) {
            kinds.insert(path.clone(), DELETED);
        }
        let changed: Vec<_> = kinds.keys().cloned().collect();
        for path in changed {
            let mut rest = path.as_str();
            while let Some((parent, _)) = rest.rsplit_once('/').filter(|(p, _)| !p.is_empty()) {
                kinds.entry(parent.to_owned()).or_insert(MODIFIED);
                rest = parent;
            }
        }
        kinds
            .into_iter()
            .map(|(path, kind)| json!({"Path": path, "Kind": kind}))
            .collect()
    }

    /// How many bytes its files have.
    pub(crate) fn size(&self) -> u64 {
        self.0.values().map(|entry| entry.size).sum()
    }
}
