//! The store of owners: what is in memory, and the journal that outlives the process.
//!
//! Every look-up is in memory. Every change is a line at the end of a journal, written before the
//! call returns but not flushed to the disk one by one: a killed process loses nothing, and what a
//! power loss takes is [adopted](super::reconcile) again by the mark that the broker left on the
//! object and the intent in the audit log. Names of images have no such mark, so these lines are
//! flushed, and so are new names of containers.

mod journal;
mod memory;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use cofferdam_action::image::ImageRef;

pub use journal::JournalError;
pub(crate) use memory::Found;

use super::owner::{Kind, Owner};
use journal::{Change, Journal};
use memory::Memory;

/// Whose what is. Cloning is cheap, and every clone is the same store.
#[derive(Clone, Debug)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    memory: RwLock<Memory>,
    journal: Mutex<Journal>,
    path: PathBuf,
}

/// How many objects a store has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Containers, networks and volumes.
    pub objects: usize,
    /// Execs.
    pub execs: usize,
    /// Names of images.
    pub tags: usize,
}

impl Store {
    /// Opens the journal at `path`, or begins one, and reads it. A last line that is not whole is
    /// cut off; [`Store::cut`] says how much that was. The file is the owner's alone (0600).
    ///
    /// # Errors
    /// Where the file cannot be read or written, or has a line in its midst that is none of the
    /// journal's.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let path = path.into();
        let mut memory = Memory::default();
        let mut journal = Journal::open(&path, |change| {
            memory.apply(&change);
        })?;
        if journal.changes() > 2 * memory.counts().total() + 16 {
            journal.replace(&memory.snapshot())?;
        }
        let memory = RwLock::new(memory);
        let journal = Mutex::new(journal);
        Ok(Self(Arc::new(Shared {
            memory,
            journal,
            path,
        })))
    }

    /// Where the journal is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Bytes of an unfinished line that were cut off when the journal was opened.
    #[must_use]
    pub fn cut(&self) -> u64 {
        self.journal().cut()
    }

    /// How many objects there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.memory().counts()
    }

    /// Writes the journal anew when most of it is of objects that are gone. It blocks for as long
    /// as a file of the objects that are there takes to write and flush; some hundred milliseconds
    /// for a hundred thousand.
    ///
    /// # Errors
    /// Where the file cannot be written; then the old one stays in use.
    pub fn compact(&self) -> Result<(), JournalError> {
        // Whoever changes something waits for the journal; whoever looks something up does not.
        let mut journal = self.journal();
        let memory = self.memory();
        if journal.changes() <= 2 * memory.counts().total() + 1024 {
            return Ok(());
        }
        let snapshot = memory.snapshot();
        drop(memory);
        journal.replace(&snapshot)
    }

    /// Whose an object is; nothing where the store does not know it. A volume's id is its name in
    /// the engine.
    #[must_use]
    pub fn owner_of(&self, kind: Kind, id: &str) -> Option<Owner> {
        self.memory().object(kind, id).map(|found| found.owner)
    }

    /// What the store knows of an object.
    pub(crate) fn object(&self, kind: Kind, id: &str) -> Option<Found> {
        self.memory().object(kind, id)
    }

    /// The object that an owner means by `text`: by its name, else by its full id, else by a prefix
    /// that only one of theirs has.
    pub(crate) fn find(&self, owner: &Owner, kind: Kind, text: &str) -> Option<Found> {
        self.memory().find(owner, kind, text)
    }

    /// Every object of a kind.
    pub(crate) fn all(&self, kind: Kind) -> Vec<Found> {
        self.memory().all(kind)
    }

    /// A name for a container that has been given none; it is not handed out again soon.
    pub(crate) fn made_up_name(&self, owner: &Owner) -> String {
        self.memory_mut().made_up_name(owner)
    }

    /// The container of an exec, if the exec is this principal's.
    pub(crate) fn exec(&self, exec: &str, principal: &Owner) -> Option<Found> {
        self.memory().exec(exec, principal)
    }

    /// Whose tag a name of an image is.
    pub(crate) fn tag_owner(&self, image: &ImageRef) -> Option<Owner> {
        self.memory().tag_owner(image)
    }

    /// Every name of an image that somebody has made.
    pub(crate) fn tags(&self) -> Vec<(ImageRef, Owner)> {
        self.memory().tags()
    }

    /// Holds a name of an image for an owner while the engine is asked for it.
    pub(crate) fn claim_tag(&self, image: &ImageRef, owner: Owner) -> Option<TagClaim> {
        self.memory_mut().claim_tag(image, owner).then(|| TagClaim {
            store: self.clone(),
            image: image.clone(),
        })
    }

    /// Takes note that an object is an owner's. One that has an owner already keeps it. A name that
    /// another object of the owner had is this one's from now on: the engine gives no name twice.
    ///
    /// # Errors
    /// Where the journal could not be written; the object is owned nevertheless until the process
    /// ends, and is adopted afterwards.
    pub(crate) fn own(
        &self,
        kind: Kind,
        id: &str,
        owner: Owner,
        name: &str,
    ) -> Result<(), JournalError> {
        self.change(&Change::Own {
            kind,
            id: id.into(),
            owner,
            name: name.into(),
        })
    }

    /// Takes note of a container's new name.
    ///
    /// # Errors
    /// As [`Store::own`].
    pub(crate) fn rename(&self, id: &str, name: &str) -> Result<(), JournalError> {
        self.change(&Change::Rename {
            id: id.into(),
            name: name.into(),
        })
    }

    /// Takes note that an object is gone, and with a container its execs.
    ///
    /// # Errors
    /// As [`Store::own`].
    pub(crate) fn gone(&self, kind: Kind, id: &str) -> Result<(), JournalError> {
        self.change(&Change::Gone {
            kind,
            id: id.into(),
        })
    }

    /// Takes note of an exec.
    ///
    /// # Errors
    /// As [`Store::own`].
    pub(crate) fn own_exec(
        &self,
        exec: &str,
        container: &str,
        principal: Owner,
    ) -> Result<(), JournalError> {
        self.change(&Change::Exec {
            id: exec.into(),
            container: container.into(),
            principal,
        })
    }

    /// Takes note that a name of an image is an owner's.
    ///
    /// # Errors
    /// As [`Store::own`].
    pub(crate) fn own_tag(&self, image: &ImageRef, owner: Owner) -> Result<(), JournalError> {
        self.change(&Change::Tag {
            image: image.clone(),
            owner,
        })
    }

    /// Takes note that a name of an image is nobody's any more.
    ///
    /// # Errors
    /// As [`Store::own`].
    pub(crate) fn untag(&self, image: &ImageRef) -> Result<(), JournalError> {
        self.change(&Change::Untag {
            image: image.clone(),
        })
    }

    /// The journal is locked first, so that its lines are in the order in which memory changes.
    fn change(&self, change: &Change) -> Result<(), JournalError> {
        let mut journal = self.journal();
        let mut memory = self.memory_mut();
        if !memory.apply(change) {
            return Ok(());
        }
        drop(memory);
        journal.append(change)
    }

    // A panic while one of them was held has left whole entries behind, since each change is one
    // call; the store goes on with them.
    fn memory(&self) -> RwLockReadGuard<'_, Memory> {
        self.0.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory_mut(&self) -> RwLockWriteGuard<'_, Memory> {
        self.0
            .memory
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.0
            .journal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name of an image that is held for its owner-to-be until this is dropped.
#[derive(Debug)]
pub(crate) struct TagClaim {
    store: Store,
    image: ImageRef,
}

impl Drop for TagClaim {
    fn drop(&mut self) {
        self.store.memory_mut().release_tag(&self.image);
    }
}
