//! The log's one writer: appends, many to a flush, and publishes.

mod tree;
mod writer;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::checkpoint::SignedCheckpoint;
use crate::disk;
use crate::error::Error;
use crate::note::SigningKey;
use crate::reader::Reader;
use crate::record::Record;
use crate::tile::{self, WIDTH};
pub(crate) use writer::CHECKPOINT;
use writer::{Command, Done, Pace, Writer};

/// How a log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long after an append the tiles and the checkpoint are published at most.
    pub publish_every: Duration,
    /// How long a record that nobody waits for may lie in memory, so that many share a flush.
    pub gather: Duration,
    /// Records that may wait for the disk. Each is at most [`MAX_ENTRY`](crate::MAX_ENTRY) bytes.
    pub queue: usize,
}

/// A log that is open for writing, by this process alone. Dropping it publishes what there is.
///
/// Appends from any number of threads share a flush: while one is on its way to the disk, the
/// others gather for the next.
#[derive(Debug)]
pub struct Log {
    dir: PathBuf,
    sender: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
    /// How often the writer was told to gather no longer.
    hurries: Arc<AtomicUsize>,
    /// Why the last publication failed, where it did.
    unpublished: Unpublished,
}

/// What went wrong with the last publication; nothing where it went well.
#[derive(Clone, Debug, Default)]
struct Unpublished(Arc<Mutex<Option<String>>>);

impl Unpublished {
    fn set(&self, error: Option<&Error>) {
        *self.locked() = error.map(ToString::to_string);
    }

    fn get(&self) -> Option<String> {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Option<String>> {
        // A text is whole or not there, so a panic elsewhere is no reason to stop.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was found when a log was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Entries in it, the one about the recovery included.
    pub size: u64,
    /// Bytes of an unfinished write that were cut off; nothing in them had been acknowledged.
    pub torn: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            publish_every: Duration::from_secs(1),
            gather: Duration::from_millis(10),
            queue: 4096,
        }
    }
}

impl Log {
    /// Opens the log in `dir`, or begins one.
    ///
    /// # Errors
    /// [`Error::Locked`] where another process writes it; [`Error::Corrupt`] where it does not fit
    /// its own signatures, was cut back behind its published checkpoint, or has another key;
    /// [`Error::Io`].
    pub fn open(dir: &Path, key: SigningKey, options: Options) -> Result<(Self, Opened), Error> {
        make_private(dir)?;
        let lock = lock(dir)?;
        let (mut writer, opened) = Writer::open(dir, key, lock)?;
        let (sender, commands) = sync_channel(options.queue.max(1));
        let hurries = Arc::new(AtomicUsize::new(0));
        let unpublished = writer.unpublished();
        let pace = Pace {
            publish_every: options.publish_every,
            gather: options.gather,
            hurries: Arc::clone(&hurries),
        };
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run(&commands, &pace))
            .map_err(Error::io("start the writer of", dir))?;
        Ok((
            Self {
                dir: dir.to_owned(),
                sender: Some(sender),
                thread: Some(thread),
                hurries,
                unpublished,
            },
            opened,
        ))
    }

    /// Appends a record and waits until it is on disk; answers its index.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Io`] where the disk is full, [`Error::Stopped`]. After an error
    /// the record is not in the log.
    pub fn append(&self, record: &Record) -> Result<u64, Error> {
        let (sender, receiver) = sync_channel(1);
        let done: Done = Box::new(move |result| {
            // The caller waits below; nobody else can have dropped the receiver.
            let _ = sender.send(result);
        });
        self.send(Command::Append {
            entry: record.encode()?,
            waited_for: true,
            done,
        })?;
        receiver.recv().map_err(|_| Error::Stopped)?
    }

    /// Appends a record without blocking: `done` hears its index, or why it is not in the log, from
    /// the writer's thread, and must not block it.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; [`Error::Busy`] where the queue is full; [`Error::Stopped`]. Then `done`
    /// is never called.
    pub fn submit(
        &self,
        record: &Record,
        done: impl FnOnce(Result<u64, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        self.try_send(record, true, Box::new(done))?;
        self.hurry();
        Ok(())
    }

    /// As [`Log::submit`], of a record that nobody waits for: the writer takes it up with the next
    /// that somebody does wait for, and after [`Options::gather`] by itself.
    ///
    /// # Errors
    /// As [`Log::submit`].
    pub fn submit_gathered(
        &self,
        record: &Record,
        done: impl FnOnce(Result<u64, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        self.try_send(record, false, Box::new(done))
    }

    /// Publishes the tiles and the checkpoint of all that has been appended, and answers it.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`].
    pub fn publish(&self) -> Result<SignedCheckpoint, Error> {
        let (sender, receiver) = sync_channel(1);
        self.send(Command::Publish { reply: sender })?;
        receiver.recv().map_err(|_| Error::Stopped)?
    }

    /// Why nothing has been published lately: the error of the last publication, if it failed. The
    /// entries are safe in the journal, it is tried again by itself, and until it works nobody sees
    /// a newer checkpoint.
    #[must_use]
    pub fn unpublished(&self) -> Option<String> {
        self.unpublished.get()
    }

    /// Moves entries below `first` away: into the directory `into`, or for good. Their hashes stay,
    /// so there is no gap in the proof, and a record says what was moved before it is. Entries move
    /// in bundles of 256; answers the first index that is still here.
    ///
    /// All of them are copied, by the calling thread, before the first is removed, so what cannot be
    /// copied stays. Appends wait for the removal alone.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`]. After an error some may have been moved; ask again.
    pub fn rotate(&self, first: u64, into: Option<&Path>) -> Result<u64, Error> {
        // What has been appended lies in full bundles from here on.
        self.publish()?;
        let reader = Reader::open(&self.dir)?;
        let bundles = reader.bundles_below(first);
        if let Some(into) = into {
            make_private(into)?;
            is_elsewhere(&self.dir, into)?;
            for bundle in bundles.clone() {
                copy(&self.dir, into, &tile::entries_path(bundle, WIDTH))?;
            }
        }
        let (sender, receiver) = sync_channel(1);
        self.send(Command::Rotate {
            bundles,
            reply: sender,
        })?;
        receiver.recv().map_err(|_| Error::Stopped)?
    }

    fn try_send(&self, record: &Record, waited_for: bool, done: Done) -> Result<(), Error> {
        let command = Command::Append {
            entry: record.encode()?,
            waited_for,
            done,
        };
        let sender = self.sender.as_ref().ok_or(Error::Stopped)?;
        sender.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => Error::Busy,
            TrySendError::Disconnected(_) => Error::Stopped,
        })
    }

    fn send(&self, command: Command) -> Result<(), Error> {
        let sender = self.sender.as_ref().ok_or(Error::Stopped)?;
        sender.send(command).map_err(|_| Error::Stopped)?;
        self.hurry();
        Ok(())
    }

    /// Ends the writer's gathering, where it does. To be called after what it shall find.
    fn hurry(&self) {
        self.hurries.fetch_add(1, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        drop(self.sender.take());
        self.hurry();
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

/// Makes the directory for its owner alone: records say who did what.
fn make_private(dir: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(Error::io("make the directory", dir))
}

/// Refuses the log itself as its archive: what is copied onto itself is removed afterwards.
fn is_elsewhere(dir: &Path, into: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt as _;
    let place = |path: &Path| {
        let found = fs::metadata(path).map_err(Error::io("look at", path))?;
        Ok((found.dev(), found.ino()))
    };
    match place(dir)? == place(into)? {
        false => Ok(()),
        true => Err(Error::io("move entries to", into)(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is the log itself",
        ))),
    }
}

/// Copies a file of the log to the same place below another directory, whole or not at all.
fn copy(dir: &Path, into: &Path, file: &Path) -> Result<(), Error> {
    let here = dir.join(file);
    let bytes = fs::read(&here).map_err(Error::io("read", &here))?;
    disk::write_whole(into, file, &bytes)
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path: PathBuf = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
    }
}
