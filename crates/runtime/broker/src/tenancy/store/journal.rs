//! The journal of owners: one change a line, as JSON.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cofferdam_action::image::ImageRef;
use serde::{Deserialize, Serialize};

use crate::tenancy::owner::{Kind, Owner};

/// Bytes that a line may have. The longest change names an image.
const MAX_LINE: usize = 4096;

/// The first line: which form the others have.
const FORMAT: &str = r#"{"format":"cofferdam-owners","version":1}"#;

/// What changes whose what is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Change {
    /// An object has an owner.
    Own {
        kind: Kind,
        id: String,
        owner: Owner,
        name: String,
    },
    /// A container has another name.
    Rename { id: String, name: String },
    /// An object is gone.
    Gone { kind: Kind, id: String },
    /// A container has an exec.
    Exec {
        id: String,
        container: String,
        principal: Owner,
    },
    /// A name of an image has an owner.
    Tag { image: ImageRef, owner: Owner },
    /// A name of an image has none any more.
    Untag { image: ImageRef },
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("{what} the journal of owners {}", path.display())]
    Io {
        /// What could not be done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is none of the journal's, and others follow it: this is no unfinished write.
    #[error(
        "line {line} of the journal of owners {} is damaged; put back a copy, or move the file away and let the objects be adopted from the audit log",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines. What is beyond is of a write that failed.
    length: u64,
    /// Whether there may be something beyond.
    torn: bool,
    changes: usize,
    cut: u64,
}

/// What a reading found: whole lines, and perhaps an unfinished end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Whole {
    /// Bytes of whole lines.
    bytes: u64,
    /// Changes in them.
    changes: usize,
}

/// The number of a line, from 1, that is none of the journal's though others follow.
#[derive(Debug, PartialEq, Eq)]
struct DamagedLine(usize);

impl Journal {
    /// Opens or begins a journal, tells each change in it, and cuts off an unfinished end.
    pub(super) fn open(path: &Path, tell: impl FnMut(Change)) -> Result<Self, JournalError> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let file = options
            .open(path)
            .map_err(|source| io_error("cannot open", path, source))?;
        let cannot_read = |source| io_error("cannot read", path, source);
        let size = file.metadata().map_err(cannot_read)?.len();
        let whole = read(BufReader::new(&file), tell).map_err(cannot_read)?;
        let whole = whole.map_err(|DamagedLine(line)| JournalError::Damaged {
            path: path.to_owned(),
            line,
        })?;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            length: whole.bytes,
            torn: size != whole.bytes,
            changes: whole.changes,
            cut: size.saturating_sub(whole.bytes),
        };
        journal.write(|journal| match journal.length {
            0 => journal.write_line(FORMAT),
            _ => Ok(()),
        })?;
        Ok(journal)
    }

    /// How many changes the file has.
    pub(super) fn changes(&self) -> usize {
        self.changes
    }

    /// Bytes that were cut off when it was opened.
    pub(super) fn cut(&self) -> u64 {
        self.cut
    }

    /// Writes a change at the end. What no mark of the broker on the object could bring back is
    /// flushed to the disk.
    pub(super) fn append(&mut self, change: &Change) -> Result<(), JournalError> {
        let line = serialize(change);
        let flush = match change {
            Change::Rename { .. } | Change::Tag { .. } | Change::Untag { .. } => true,
            Change::Own { .. } | Change::Gone { .. } | Change::Exec { .. } => false,
        };
        self.write(|journal| {
            journal.write_line(&line)?;
            if flush {
                journal.file.sync_data()?;
            }
            Ok(())
        })?;
        self.changes += 1;
        Ok(())
    }

    /// Puts a file of these changes alone in the place of this one.
    pub(super) fn replace(&mut self, changes: &[Change]) -> Result<(), JournalError> {
        let beside = self.path.with_extension("jsonl.new");
        let written = write_file(&beside, changes).and_then(|(file, length)| {
            std::fs::rename(&beside, &self.path)?;
            self.file = file;
            self.length = length;
            self.torn = false;
            self.changes = changes.len();
            match self.path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
                _ => File::open(".")?.sync_all(),
            }
        });
        written.map_err(|source| io_error("cannot write", &beside, source))
    }

    /// Writes something after the last whole line. Where that fails, what came of it is cut off
    /// before the next write.
    fn write(
        &mut self,
        write: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> Result<(), JournalError> {
        let whole = || {
            if self.torn {
                self.file.set_len(self.length)?;
                self.torn = false;
            }
            self.torn = true;
            write(self)?;
            self.torn = false;
            Ok(())
        };
        whole().map_err(|source| io_error("cannot write", &self.path, source))
    }

    fn write_line(&mut self, line: &str) -> io::Result<()> {
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.length += line.len() as u64 + 1;
        Ok(())
    }
}

/// Reads lines and tells their changes up to the first that is none.
fn read(
    mut file: impl BufRead,
    mut tell: impl FnMut(Change),
) -> io::Result<Result<Whole, DamagedLine>> {
    let mut whole = Whole::default();
    let mut bad = None;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = read_line(&mut file, &mut line)?;
        if read == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n");
        if number == 1 {
            match text {
                Some(text) if text == FORMAT.as_bytes() => whole.bytes = read,
                Some(_) => return Ok(Err(DamagedLine(1))),
                None => break,
            }
            continue;
        }
        let change = text.and_then(|text| serde_json::from_slice::<Change>(text).ok());
        match (change, bad) {
            (Some(_), Some(bad)) => return Ok(Err(DamagedLine(bad))),
            (Some(change), None) => {
                whole.bytes += read;
                whole.changes += 1;
                tell(change);
            }
            (None, bad_before) => bad = bad_before.or(Some(number)),
        }
    }
    Ok(Ok(whole))
}

/// Reads one line with its end; of a line beyond [`MAX_LINE`] only so much that it is none. Bytes
/// that were read, 0 at the end.
fn read_line(file: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    let mut read = file.take(MAX_LINE as u64).read_until(b'\n', line)? as u64;
    while read >= MAX_LINE as u64 && !line.ends_with(b"\n") {
        line.clear();
        let more = file.take(MAX_LINE as u64).read_until(b'\n', line)? as u64;
        if more == 0 {
            break;
        }
        read += more;
        if line.ends_with(b"\n") {
            // Whatever the rest of a long line says, it is no line of its own.
            line.insert(0, 0);
        }
    }
    Ok(read)
}

fn serialize(change: &Change) -> String {
    // A change is made of strings; there is nothing in it that JSON could not hold.
    serde_json::to_string(change).unwrap_or_default()
}

fn write_file(path: &Path, changes: &[Change]) -> io::Result<(File, u64)> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.append(true).create_new(true).mode(0o600);
    let file = options.open(path)?;
    let mut out = BufWriter::new(&file);
    let mut length = 0;
    for line in std::iter::once(FORMAT.to_owned()).chain(changes.iter().map(serialize)) {
        writeln!(out, "{line}")?;
        length += line.len() as u64 + 1;
    }
    out.flush()?;
    drop(out);
    file.sync_all()?;
    Ok((file, length))
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> JournalError {
    JournalError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}
