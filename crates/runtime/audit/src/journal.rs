//! The journal: what has been appended since the last full tile, one frame for each flush.
//!
//! ```text
//! file   = head frame*
//! head   = "CFDMAUD1" base:u64 length:u32 note sha256      all numbers big-endian
//! frame  = "CFB1" length:u32 count:u32 (size:u16 entry)*count note sha256
//! ```
//!
//! `base` is the number of entries before the journal, a multiple of 256; the note of the head is
//! the signed checkpoint at `base`, the note of a frame that after its entries. `length` counts
//! what stands between it and the hash, and each hash covers everything before it in head or frame.
//!
//! While the log is open, zeros stand behind the last frame: a frame that takes their place leaves
//! the file's length and blocks as they are, so a flush writes the frame and nothing else, which
//! takes two thirds of the time.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};

use crate::disk;
use crate::error::Error;
use crate::tile::{WIDTH, read_entries, write_entry};

/// The journal's name in the log's directory.
pub(crate) const FILE: &str = "journal";

const HEAD: &[u8; 8] = b"CFDMAUD1";
const FRAME: &[u8; 4] = b"CFB1";
const HASH: usize = 32;
/// More entries than any log will have, and few enough to count on from there.
const MAX_BASE: u64 = 1 << 62;
/// To a multiple of so many bytes the file is filled with zeros.
const ROOM: u64 = 64 << 10;
/// What a disk writes whole or not at all, at the least, in bytes.
const SECTOR: usize = 512;
/// Fewer zeros at the end of a frame are part of its hash.
const ENOUGH_ZEROS: usize = 8;

/// What the writer needs of a file; the tests put a full disk in its place.
pub(crate) trait Storage {
    fn write_all_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

impl Storage for File {
    fn write_all_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// An open journal. One that is dropped takes its zeros with it.
pub(crate) struct Journal<S: Storage> {
    storage: S,
    /// Up to the end of the last frame.
    length: u64,
    /// Up to the end of the zeros behind it.
    filled: u64,
    stopped: bool,
}

/// What a journal holds.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Entries before the journal.
    pub(crate) base: u64,
    /// The signed checkpoint at `base`.
    pub(crate) base_note: String,
    /// The frames, in order.
    pub(crate) frames: Vec<Frame>,
    /// Bytes up to the end of the last whole frame.
    pub(crate) whole: u64,
    /// What follows it, up to the last byte that is not zero: of a write that was never
    /// acknowledged.
    pub(crate) torn: Vec<u8>,
    /// How many zeros follow that.
    pub(crate) zeros: u64,
}

/// The entries of one flush.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) entries: Vec<Vec<u8>>,
    /// The signed checkpoint after them.
    pub(crate) note: String,
}

impl Journal<File> {
    /// Puts a new journal in the place of the old one, whole or not at all. After an error the old
    /// one is still there and goes on.
    pub(crate) fn create(dir: &Path, base: u64, note: &str, frames: &[u8]) -> Result<Self, Error> {
        let mut bytes = head(base, note)?;
        bytes.extend_from_slice(frames);
        let temporary = dir.join("journal.new");
        let write = || {
            let mut file = File::create(&temporary)?;
            io::Write::write_all(&mut file, &bytes)?;
            let filled = fill(&mut file, bytes.len() as u64);
            file.sync_all()?;
            fs::rename(&temporary, dir.join(FILE))?;
            Ok((file, filled))
        };
        let (storage, filled) = write().map_err(|source| {
            // What is left of it may be what fills the disk.
            let _ = fs::remove_file(&temporary);
            Error::Io {
                doing: "write",
                path: temporary.clone(),
                source,
            }
        })?;
        // The new journal has taken the place; where that may not survive a crash nothing more is
        // written to it.
        let stopped = disk::sync_dir(dir).is_err();
        Ok(Self {
            storage,
            length: bytes.len() as u64,
            filled,
            stopped,
        })
    }

    /// Opens the journal to append after its first `length` bytes; what follows is cut off.
    pub(crate) fn open(dir: &Path, length: u64) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let open = || {
            let file = OpenOptions::new().write(true).open(&path)?;
            if file.metadata()?.len() != length {
                file.set_len(length)?;
                file.sync_data()?;
            }
            Ok(file)
        };
        let storage = open().map_err(Error::io("open", &path))?;
        Ok(Self {
            storage,
            length,
            filled: length,
            stopped: false,
        })
    }
}

impl<S: Storage> Journal<S> {
    /// Appends a frame and flushes it. After an error nothing of it is there; where that cannot be
    /// said for sure the journal stops.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk is full or fails, [`Error::Stopped`] afterwards where a flush
    /// failed: the kernel may have dropped what it could not write, so trying again proves nothing.
    pub(crate) fn append(&mut self, frame: &[u8]) -> Result<(), Error> {
        if self.stopped {
            return Err(Error::Stopped);
        }
        if let Err(source) = self.storage.write_all_at(frame, self.length) {
            self.filled = self.length;
            if self.storage.truncate(self.length).is_err() {
                self.stopped = true;
            }
            return Err(Error::Io {
                doing: "append to",
                path: FILE.into(),
                source,
            });
        }
        let length = self.length + frame.len() as u64;
        if length > self.filled {
            self.filled = fill(&mut self.storage, length);
        }
        if let Err(source) = self.storage.sync() {
            self.stopped = true;
            return Err(Error::Io {
                doing: "flush",
                path: FILE.into(),
                source,
            });
        }
        self.length = length;
        Ok(())
    }
}

impl<S: Storage> Drop for Journal<S> {
    fn drop(&mut self) {
        // Where a flush failed nobody knows what stands there. Zeros that stay do no harm.
        if self.filled > self.length && !self.stopped {
            let _ = self.storage.truncate(self.length);
        }
    }
}

/// Fills the room behind `length` bytes with zeros, and answers how far. A disk that has no room
/// for them has none soon for anything.
fn fill(storage: &mut impl Storage, length: u64) -> u64 {
    let filled = length.next_multiple_of(ROOM);
    let zeros = vec![0; (filled - length) as usize];
    match storage.write_all_at(&zeros, length) {
        Ok(()) => filled,
        // Some may be there: whoever writes next writes over them.
        Err(_) => length,
    }
}

/// The bytes of a frame.
pub(crate) fn frame(entries: &[Vec<u8>], note: &str) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    for entry in entries {
        write_entry(&mut body, entry)?;
    }
    body.extend_from_slice(note.as_bytes());
    let too_large = |_| Error::TooLarge { size: body.len() };
    let length = u32::try_from(body.len()).map_err(too_large)?;
    let count = u32::try_from(entries.len()).map_err(too_large)?;
    let bytes = [
        FRAME,
        &length.to_be_bytes()[..],
        &count.to_be_bytes(),
        &body,
    ]
    .concat();
    Ok(sealed(bytes))
}

fn head(base: u64, note: &str) -> Result<Vec<u8>, Error> {
    let length = u32::try_from(note.len()).map_err(|_| Error::TooLarge { size: note.len() })?;
    let bytes = [
        &HEAD[..],
        &base.to_be_bytes(),
        &length.to_be_bytes(),
        note.as_bytes(),
    ]
    .concat();
    Ok(sealed(bytes))
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let hash = digest(&SHA256, &bytes);
    bytes.extend_from_slice(hash.as_ref());
    bytes
}

/// Whether the last 32 bytes are the hash of what is before them.
fn is_sealed(bytes: &[u8]) -> bool {
    match bytes.split_last_chunk::<HASH>() {
        Some((before, hash)) => digest(&SHA256, before).as_ref() == hash,
        None => false,
    }
}

/// Reads a journal.
///
/// # Errors
/// [`Error::Corrupt`] for a head that is not whole, and for a frame that is not whole although a
/// whole one follows it: only the last write can be torn.
pub(crate) fn read(bytes: &[u8]) -> Result<Contents, Error> {
    let corrupt = |what: &str| Error::Corrupt(format!("the journal {what}"));
    let number = |at: usize| {
        bytes
            .get(at..at + 8)
            .and_then(|it| <[u8; 8]>::try_from(it).ok())
    };
    let length = |at: usize| {
        let bytes = <[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?;
        Some(u32::from_be_bytes(bytes) as usize)
    };
    let head = length(16)
        .and_then(|note| bytes.get(..20 + note + HASH))
        .filter(|head| head.starts_with(HEAD) && is_sealed(head));
    let (Some(head), Some(base)) = (head, number(8).map(u64::from_be_bytes)) else {
        return Err(corrupt("has no whole head"));
    };
    if !base.is_multiple_of(WIDTH) || base > MAX_BASE {
        return Err(corrupt("begins where no journal begins"));
    }
    let base_note = String::from_utf8_lossy(&head[20..head.len() - HASH]).into_owned();
    let mut frames = Vec::new();
    let mut at = head.len();
    while let Some((frame, size)) = whole_frame(&bytes[at..]) {
        frames.push(frame);
        at += size;
    }
    let torn = trimmed(&bytes[at..]);
    let follows = (1..torn.len())
        .filter(|start| torn[*start..].starts_with(FRAME))
        .any(|start| whole_frame(&torn[start..]).is_some());
    if follows {
        return Err(corrupt("has a damaged frame before a whole one"));
    }
    Ok(Contents {
        base,
        base_note,
        frames,
        whole: at as u64,
        torn: torn.to_vec(),
        zeros: (bytes.len() - at - torn.len()) as u64,
    })
}

/// Without the zeros at the end.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0);
    &bytes[..end.map_or(0, |last| last + 1)]
}

impl Contents {
    /// Whether what stands after the last whole frame is more than a write that did not end: all the
    /// bytes of a frame and yet no whole one, or no frame at all. A write that is under way, or that
    /// a crash cut off, is the beginning of a frame, with nothing or zeros behind it, or has a hole
    /// of zeros where a sector did not arrive.
    pub(crate) fn is_damaged(&self) -> bool {
        let torn = &self.torn;
        // The sectors of the file, of which the first may belong to the frame before.
        let first = SECTOR - self.whole as usize % SECTOR;
        let (first, others) = torn.split_at(first.min(torn.len()));
        let is_hole = |sector: &[u8]| sector.iter().all(|byte| *byte == 0);
        if is_hole(first) || others.chunks(SECTOR).any(is_hole) || FRAME.starts_with(torn) {
            return false;
        }
        let Some(rest) = torn.strip_prefix(FRAME) else {
            return true;
        };
        rest.split_first_chunk::<4>().is_some_and(|(length, _)| {
            let size = 12 + HASH + u32::from_be_bytes(*length) as usize;
            torn.len() + ENOUGH_ZEROS > size && torn.len() as u64 + self.zeros >= size as u64
        })
    }
}

/// The frame at the beginning of `bytes` and its size, if it is whole.
fn whole_frame(bytes: &[u8]) -> Option<(Frame, usize)> {
    let rest = bytes.strip_prefix(FRAME)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (count, _) = rest.split_first_chunk::<4>()?;
    let size = 12usize
        .checked_add(u32::from_be_bytes(*length) as usize)?
        .checked_add(HASH)?;
    let whole = bytes.get(..size).filter(|whole| is_sealed(whole))?;
    let body = &whole[12..size - HASH];
    let mut at = 0;
    for _ in 0..u32::from_be_bytes(*count) {
        let (length, _) = body.get(at..)?.split_first_chunk::<2>()?;
        at += 2 + usize::from(u16::from_be_bytes(*length));
    }
    let entries = read_entries(body.get(..at)?)?
        .into_iter()
        .map(<[u8]>::to_vec)
        .collect();
    let note = String::from_utf8(body.get(at..)?.to_vec()).ok()?;
    Some((Frame { entries, note }, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(frames: usize) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = head(256, "note\n").unwrap();
        let mut starts = Vec::new();
        for index in 0..frames {
            starts.push(bytes.len());
            let entries = vec![format!("entry {index}").into_bytes(), Vec::new()];
            bytes.extend(frame(&entries, "note\n").unwrap());
        }
        (bytes, starts)
    }

    #[test]
    fn a_journal_that_begins_where_none_can_is_corrupt() {
        for base in [1, 255, u64::MAX, u64::MAX - 255] {
            assert!(read(&head(base, "note\n").unwrap()).is_err(), "{base}");
        }
    }

    #[test]
    fn a_journal_reads_as_it_was_written() {
        let (bytes, _) = journal(3);
        let contents = read(&bytes).unwrap();
        assert_eq!(
            (contents.base, contents.frames.len(), contents.torn.len()),
            (256, 3, 0)
        );
        assert_eq!(
            contents.frames[2].entries,
            [b"entry 2".to_vec(), Vec::new()]
        );
        assert_eq!(contents.frames[0].note, "note\n");
    }

    #[test]
    fn a_write_torn_anywhere_costs_only_itself() {
        let (bytes, starts) = journal(3);
        for cut in starts[2]..bytes.len() {
            let contents = read(&bytes[..cut]).unwrap();
            assert_eq!(contents.frames.len(), 2, "{cut}");
            assert_eq!(contents.whole, starts[2] as u64);
            // Some file systems leave zeros where the data did not arrive.
            let mut zeros = bytes[..cut].to_vec();
            zeros.resize(bytes.len(), 0);
            if zeros != bytes {
                assert_eq!(read(&zeros).unwrap().frames.len(), 2, "{cut}");
            }
        }
    }

    #[test]
    fn a_last_frame_that_was_changed_is_told_from_one_that_was_cut_off() {
        let (bytes, starts) = journal(2);
        for cut in starts[1]..bytes.len() {
            assert!(!read(&bytes[..cut]).unwrap().is_damaged(), "{cut}");
        }
        // All but the length, where a larger number makes it look cut off.
        for at in (starts[1]..bytes.len()).filter(|at| !(4..8).contains(&(at - starts[1]))) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(read(&changed).unwrap().is_damaged(), "{at}");
            changed.extend([0; 1000]);
            assert!(read(&changed).unwrap().is_damaged(), "{at} and zeros");
        }
    }

    /// As a crash may leave it: any sectors of the last frame, and zeros where others belong.
    #[test]
    fn a_write_of_which_sectors_did_not_arrive_is_not_damaged() {
        let mut bytes = head(256, "note\n").unwrap();
        let start = bytes.len();
        bytes.extend(frame(&[vec![b'x'; 1200], vec![b'y'; 900]], "note\n").unwrap());
        bytes.resize(ROOM as usize, 0);
        assert_eq!(read(&bytes).unwrap().frames.len(), 1);
        let sectors = start / SECTOR..=(start + 2200) / SECTOR;
        for arrived in 0..1 << sectors.clone().count() {
            let mut torn = bytes.clone();
            for (bit, sector) in sectors.clone().enumerate() {
                if arrived & (1 << bit) == 0 {
                    torn[(sector * SECTOR).max(start)..(sector + 1) * SECTOR].fill(0);
                }
            }
            let contents = read(&torn).unwrap();
            assert!(!contents.is_damaged(), "{arrived:b}");
            assert_eq!(contents.whole == start as u64, torn != bytes);
        }
    }

    #[test]
    fn damage_before_a_whole_frame_is_no_torn_write() {
        let (bytes, starts) = journal(3);
        for at in 0..starts[2] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(matches!(read(&damaged), Err(Error::Corrupt(_))), "{at}");
        }
    }

    /// A disk with so much room, whose flush may fail.
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
        flush_fails: bool,
        truncate_fails: bool,
    }

    impl Storage for Disk {
        fn write_all_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
            let at = at as usize;
            let fits = bytes.len().min(self.room - at);
            self.bytes.resize(self.bytes.len().max(at + fits), 0);
            self.bytes[at..at + fits].copy_from_slice(&bytes[..fits]);
            match fits == bytes.len() {
                true => Ok(()),
                false => Err(io::ErrorKind::StorageFull.into()),
            }
        }

        fn sync(&mut self) -> io::Result<()> {
            if self.flush_fails {
                Err(io::Error::other("flush"))
            } else {
                Ok(())
            }
        }

        fn truncate(&mut self, length: u64) -> io::Result<()> {
            if self.truncate_fails {
                return Err(io::Error::other("truncate"));
            }
            self.bytes.truncate(length as usize);
            Ok(())
        }
    }

    fn on(disk: Disk) -> Journal<Disk> {
        Journal {
            storage: disk,
            length: 0,
            filled: 0,
            stopped: false,
        }
    }

    #[test]
    fn zeros_go_before_and_come_after_in_large_pieces() {
        let disk = Disk {
            bytes: vec![],
            room: usize::MAX,
            flush_fails: false,
            truncate_fails: false,
        };
        let mut journal = on(disk);
        for count in [1, 10, 100] {
            journal.append(&[b'x'; 100]).unwrap();
            let disk = &journal.storage.bytes;
            assert_eq!(disk.len() as u64, ROOM, "{count}");
        }
        journal.append(&[b'x'; ROOM as usize]).unwrap();
        let disk = &journal.storage.bytes;
        assert_eq!(disk.len() as u64, 2 * ROOM);
        assert_eq!(trimmed(disk).len() as u64, ROOM + 300);
    }

    #[test]
    fn a_full_disk_refuses_and_leaves_nothing_behind() {
        let disk = Disk {
            bytes: vec![],
            room: 10,
            flush_fails: false,
            truncate_fails: false,
        };
        let mut journal = on(disk);
        journal.append(b"12345678").unwrap();
        assert!(matches!(journal.append(b"12345678"), Err(Error::Io { .. })));
        assert_eq!(journal.storage.bytes, b"12345678");
        journal.storage.room = 100;
        journal.append(b"9").unwrap();
        assert_eq!(trimmed(&journal.storage.bytes), b"123456789");
    }

    #[test]
    fn after_a_failed_flush_nothing_is_written_any_more() {
        let disk = Disk {
            bytes: vec![],
            room: 100,
            flush_fails: true,
            truncate_fails: false,
        };
        let mut journal = on(disk);
        assert!(matches!(journal.append(b"1"), Err(Error::Io { .. })));
        journal.storage.flush_fails = false;
        assert!(matches!(journal.append(b"1"), Err(Error::Stopped)));

        let disk = Disk {
            bytes: vec![],
            room: 0,
            flush_fails: false,
            truncate_fails: true,
        };
        let mut journal = on(disk);
        assert!(journal.append(b"1").is_err());
        journal.storage.room = 100;
        assert!(matches!(journal.append(b"1"), Err(Error::Stopped)));
    }
}
