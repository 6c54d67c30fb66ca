//! The writer's thread: gather, sign, flush, acknowledge; then tiles; now and then publish.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};

use super::tree::{Tree, partial_paths};
use super::{Opened, Unpublished};
use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::disk;
use crate::error::Error;
use crate::journal::{self, Journal};
use crate::merkle::{Hash, root_at};
use crate::note::SigningKey;
use crate::record::{Event, Record};
use crate::tile::{self, WIDTH};

/// The published checkpoint's name in the log's directory.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// Entries that one flush takes at most, and bytes of them.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 4 << 20;

/// Full tiles that may wait for a disk that takes appends but no new files.
const MAX_UNWRITTEN: usize = 64;

/// What hears whether an entry is on disk.
pub(super) type Done = Box<dyn FnOnce(Result<u64, Error>) + Send>;

/// What the writer is asked for.
pub(super) enum Command {
    Append {
        entry: Vec<u8>,
        /// Whether somebody waits for it to be on disk.
        waited_for: bool,
        done: Done,
    },
    Publish {
        reply: SyncSender<Result<SignedCheckpoint, Error>>,
    },
    Rotate {
        /// Those to remove, by index; all before them are gone already.
        bundles: Range<u64>,
        reply: SyncSender<Result<u64, Error>>,
    },
}

/// When the writer does what.
pub(super) struct Pace {
    pub(super) publish_every: Duration,
    pub(super) gather: Duration,
    /// Counted up, before the thread is unparked, when something came that is not to be kept waiting.
    pub(super) hurries: Arc<AtomicUsize>,
}

/// Entries of one flush.
#[derive(Default)]
struct Batch {
    entries: Vec<Vec<u8>>,
    bytes: usize,
    waiting: Vec<Done>,
    waited_for: bool,
    /// Whether nothing comes after it, since every sender is gone.
    is_last: bool,
}

/// The state of an open log.
pub(super) struct Writer {
    dir: PathBuf,
    key: SigningKey,
    journal: Journal<File>,
    tree: Tree,
    /// The checkpoint of the tree as it is.
    signed: SignedCheckpoint,
    /// The sizes that were published last, the newest at the end.
    published: Vec<u64>,
    unpublished: Unpublished,
    /// Held as long as the log is open.
    _lock: File,
}

impl Writer {
    pub(super) fn open(dir: &Path, key: SigningKey, lock: File) -> Result<(Self, Opened), Error> {
        let corrupt = |what: &str| Error::Corrupt(what.to_owned());
        let path = dir.join(journal::FILE);
        let published = disk::read_if_there(&dir.join(CHECKPOINT))?;
        let bytes = match disk::read_if_there(&path)? {
            Some(bytes) => bytes,
            None if published.is_some() || dir.join("tile").exists() => {
                return Err(corrupt("its journal is missing"));
            }
            None => {
                let empty = Tree::load(dir, 0)?;
                let signed = Checkpoint::sign(0, empty.root(), &key);
                Journal::create(dir, 0, &signed.note, &[])?;
                fs::read(&path).map_err(Error::io("read", &path))?
            }
        };
        let contents = journal::read(&bytes)?;
        let verifying = key.verifying_key();
        let mut tree = Tree::load(dir, contents.base)?;
        let mut signed = SignedCheckpoint::open(&contents.base_note, &verifying)
            .map_err(|error| Error::Corrupt(format!("its journal does not open: {error}")))?;
        let fits = |tree: &Tree, signed: &SignedCheckpoint| {
            signed.checkpoint.size == tree.size() && signed.checkpoint.root == tree.root()
        };
        if !contents.base.is_multiple_of(WIDTH) || !fits(&tree, &signed) {
            return Err(corrupt("its tiles do not have the signed root"));
        }
        let published = published
            .map(|note| open_published(&note, &key))
            .transpose()?;
        // The root at the published size, once the tree has passed it.
        let mut passed = published
            .as_ref()
            .filter(|it| it.size == tree.size())
            .map(|_| tree.root());
        for frame in &contents.frames {
            for entry in &frame.entries {
                tree.push(entry)?;
                if published.as_ref().is_some_and(|it| it.size == tree.size()) {
                    passed = Some(tree.root());
                }
            }
            signed = SignedCheckpoint::open(&frame.note, &verifying)
                .map_err(|error| Error::Corrupt(format!("a flush does not open: {error}")))?;
            if !fits(&tree, &signed) {
                return Err(corrupt("a flush does not have its signed root"));
            }
        }

        let journal = Journal::open(dir, contents.whole)?;
        let sizes = published.iter().map(|it| it.size).collect();
        let dir = dir.to_owned();
        let mut writer = Self {
            dir,
            key,
            journal,
            tree,
            signed,
            published: sizes,
            unpublished: Unpublished::default(),
            _lock: lock,
        };
        // A stop between a full bundle and its tiles is made good here.
        writer.settle()?;
        match published {
            Some(published) => writer.check_published(&published, passed)?,
            // The first one is published before the first append, so that it can be missed.
            None if writer.tree.size() == 0 => drop(writer.publish()?),
            None => return Err(corrupt("its published checkpoint is missing")),
        }
        let torn = contents.torn;
        if !torn.is_empty() {
            let name = format!("torn-{}", writer.tree.size());
            disk::write_whole(&writer.dir, Path::new(&name), &torn)?;
            let hash = digest(&SHA256, &torn);
            let sha256 = hash
                .as_ref()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            writer.record(Event::Recovered {
                bytes: torn.len() as u64,
                sha256,
            })?;
            writer.settle()?;
        }
        let opened = Opened {
            size: writer.tree.size(),
            torn: torn.len() as u64,
        };
        Ok((writer, opened))
    }

    /// Checks that the published checkpoint is of this tree's past. `passed` is the root at its
    /// size, where the journal reaches back so far.
    fn check_published(&self, published: &Checkpoint, passed: Option<Hash>) -> Result<(), Error> {
        let size = self.tree.size();
        if published.size > size {
            return Err(Error::Corrupt(format!(
                "its published checkpoint has {} entries, and there are {size} left",
                published.size
            )));
        }
        let base = self.tree.base.size();
        let root = match passed {
            Some(root) => root,
            None => root_at(published.size, |level, index| {
                tile::node_of_full(&self.dir, base, level, index)
            })?,
        };
        match root == published.root {
            true => Ok(()),
            false => Err(Error::Corrupt(
                "its published checkpoint has another root".to_owned(),
            )),
        }
    }

    /// Serves until every sender is gone, then publishes what there is.
    pub(super) fn run(&mut self, commands: &Receiver<Command>, pace: &Pace) {
        let mut due: Option<Instant> = None;
        loop {
            let wait = due.map_or(Duration::from_secs(3600), |due| {
                due.saturating_duration_since(Instant::now())
            });
            match commands.recv_timeout(wait) {
                Ok(command) => {
                    let mut next = Some(command);
                    while let Some(command) = next.take() {
                        next = self.serve(command, commands, pace);
                    }
                    due = due.or_else(|| {
                        self.is_behind()
                            .then(|| Instant::now() + pace.publish_every)
                    });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if due.is_some_and(|due| Instant::now() >= due) {
                // Where this fails the entries are safe in the journal, and it is tried again.
                let failed = self.publish().is_err();
                due = failed.then(|| Instant::now() + pace.publish_every);
            }
        }
        // Nobody is left to hear an error; opening the log again makes it good.
        let _ = self.publish();
    }

    /// Serves one command, with all appends that wait behind it; answers the first that is none.
    fn serve(
        &mut self,
        command: Command,
        commands: &Receiver<Command>,
        pace: &Pace,
    ) -> Option<Command> {
        match command {
            Command::Append {
                entry,
                waited_for,
                done,
            } => {
                let mut batch = Batch::default();
                batch.push(entry, waited_for, done);
                // Whoever was in a hurry until now has sent what is taken here.
                let hurries = pace.hurries.load(Ordering::Acquire);
                let mut next = batch.fill(commands);
                if next.is_none() && !batch.waited_for && !batch.is_last && !batch.is_full() {
                    pace.gather(hurries);
                    next = batch.fill(commands);
                }
                let first = self.tree.size();
                match self.append(&batch.entries) {
                    Ok(()) => (first..)
                        .zip(batch.waiting)
                        .for_each(|(index, done)| done(Ok(index))),
                    Err(error) => batch
                        .waiting
                        .into_iter()
                        .for_each(|done| done(Err(again(&error)))),
                }
                // Acknowledged or not, full tiles come after: nobody waits for them.
                let _ = self.settle();
                next
            }
            Command::Publish { reply } => {
                // The caller may have gone.
                let _ = reply.send(self.publish());
                None
            }
            Command::Rotate { bundles, reply } => {
                let _ = reply.send(self.rotate(bundles));
                None
            }
        }
    }

    /// Puts entries on disk with the checkpoint after them, or leaves everything as it was.
    fn append(&mut self, entries: &[Vec<u8>]) -> Result<(), Error> {
        if self.tree.unwritten.len() > MAX_UNWRITTEN {
            self.settle()?;
        }
        let size = self.tree.size() + entries.len() as u64;
        let signed = Checkpoint::sign(size, self.tree.root_with(entries), &self.key);
        self.journal
            .append(&journal::frame(entries, &signed.note)?)?;
        entries.iter().try_for_each(|entry| self.tree.push(entry))?;
        self.signed = signed;
        Ok(())
    }

    /// Appends a record of the log's own.
    fn record(&mut self, event: Event) -> Result<(), Error> {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let time_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.append(&[Record { time_ms, event }.encode()?])
    }

    /// Writes full tiles, then begins a new journal after them.
    fn settle(&mut self) -> Result<(), Error> {
        if self.tree.unwritten.is_empty() {
            return Ok(());
        }
        for (path, bytes) in &self.tree.unwritten {
            disk::write_whole(&self.dir, path, bytes)?;
        }
        let base = &self.tree.base;
        let at_base = Checkpoint::sign(base.size(), base.root(), &self.key);
        let pending = self.tree.pending();
        let frames = match pending.is_empty() {
            true => Vec::new(),
            false => journal::frame(&pending, &self.signed.note)?,
        };
        self.journal = Journal::create(&self.dir, base.size(), &at_base.note, &frames)?;
        self.tree.unwritten.clear();
        Ok(())
    }

    fn is_behind(&self) -> bool {
        self.published.last() != Some(&self.tree.size())
    }

    /// Where whoever holds the log sees whether it is published.
    pub(super) fn unpublished(&self) -> Unpublished {
        self.unpublished.clone()
    }

    fn publish(&mut self) -> Result<SignedCheckpoint, Error> {
        let published = self.try_publish();
        self.unpublished.set(published.as_ref().err());
        published
    }

    fn try_publish(&mut self) -> Result<SignedCheckpoint, Error> {
        self.settle()?;
        if !self.is_behind() {
            return Ok(self.signed.clone());
        }
        for (path, bytes) in self.tree.partial() {
            disk::write_whole(&self.dir, &path, &bytes)?;
        }
        disk::write_whole(
            &self.dir,
            Path::new(CHECKPOINT),
            self.signed.note.as_bytes(),
        )?;
        self.published.push(self.tree.size());
        // Whoever reads the checkpoint before this one still finds its tiles.
        while self.published.len() > 2 {
            self.forget_partial(self.published[0]);
            self.published.remove(0);
        }
        Ok(self.signed.clone())
    }

    /// Removes the tiles that were not full at an earlier size and are not those of a later one.
    fn forget_partial(&self, size: u64) {
        let kept: Vec<PathBuf> = self.published[1..]
            .iter()
            .flat_map(|size| partial_paths(*size))
            .collect();
        for path in partial_paths(size)
            .iter()
            .filter(|path| !kept.contains(path))
        {
            // One that stays does no harm.
            let path = self.dir.join(path);
            let _ = fs::remove_file(&path);
            if let Some(parent) = path.parent() {
                let _ = fs::remove_dir(parent);
            }
        }
    }

    /// Removes full bundles, which is recorded before.
    fn rotate(&mut self, bundles: Range<u64>) -> Result<u64, Error> {
        let first = bundles.end * WIDTH;
        if bundles.is_empty() {
            return Ok(first);
        }
        self.record(Event::Rotated { first })?;
        for bundle in bundles {
            let path = self.dir.join(tile::entries_path(bundle, WIDTH));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        self.settle()?;
        Ok(first)
    }
}

impl Pace {
    /// Waits for others, until somebody is in a hurry who was not among the `hurries` so far.
    fn gather(&self, hurries: usize) {
        let until = Instant::now() + self.gather;
        while self.hurries.load(Ordering::Acquire) == hurries {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::park_timeout(left);
        }
    }
}

impl Batch {
    fn push(&mut self, entry: Vec<u8>, waited_for: bool, done: Done) {
        self.bytes += entry.len();
        self.entries.push(entry);
        self.waiting.push(done);
        self.waited_for |= waited_for;
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= BATCH || self.bytes >= BATCH_BYTES
    }

    /// Takes the appends that are there; answers the first command that is none.
    fn fill(&mut self, commands: &Receiver<Command>) -> Option<Command> {
        while !self.is_full() {
            match commands.try_recv() {
                Ok(Command::Append {
                    entry,
                    waited_for,
                    done,
                }) => self.push(entry, waited_for, done),
                Ok(other) => return Some(other),
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => {
                    self.is_last = true;
                    return None;
                }
            }
        }
        None
    }
}

fn open_published(note: &[u8], key: &SigningKey) -> Result<Checkpoint, Error> {
    let note = String::from_utf8_lossy(note);
    SignedCheckpoint::open(&note, &key.verifying_key())
        .map(|signed| signed.checkpoint)
        .map_err(|error| Error::Corrupt(format!("its published checkpoint does not open: {error}")))
}

/// The same error for the next of several waiting callers.
fn again(error: &Error) -> Error {
    match error {
        Error::Io {
            doing,
            path,
            source,
        } => {
            let source = match source.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::from(source.kind()),
            };
            Error::Io {
                doing,
                path: path.clone(),
                source,
            }
        }
        Error::TooLarge { size } => Error::TooLarge { size: *size },
        _ => Error::Stopped,
    }
}
