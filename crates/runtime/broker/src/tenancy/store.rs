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

/// Changes that a journal may have beyond three times what is there, before it is written anew.
const GARBAGE: usize = 1 << 16;

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

    /// Every name of an image that somebody has made, without those that are just being made.
    pub(crate) fn tags(&self) -> Vec<(ImageRef, Owner)> {
        self.memory().tags()
    }

    /// Holds a name of an image for an owner while the engine is asked for it.
    pub(crate) fn claim_tag(&self, image: &ImageRef, owner: Owner) -> Option<TagClaim> {
        let mut memory = self.memory_mut();
        let is_new = memory.tag_owner(image).is_none();
        memory.claim_tag(image, owner).then(|| TagClaim {
            store: self.clone(),
            image: image.clone(),
            is_new,
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

    /// Takes note of a container's new name, if its name is still the one before: whoever has just
    /// renamed it knows better than a list that was read earlier.
    ///
    /// # Errors
    /// As [`Store::own`].
    pub(crate) fn rename_from(
        &self,
        id: &str,
        before: &str,
        name: &str,
    ) -> Result<(), JournalError> {
        let journal = self.journal();
        let found = self.object(Kind::Container, id);
        if found.is_none_or(|found| *found.name != *before) {
            return Ok(());
        }
        let (id, name) = (id.into(), name.into());
        self.change_in(journal, &Change::Rename { id, name })
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
        self.change_in(self.journal(), change)
    }

    fn change_in(
        &self,
        mut journal: MutexGuard<'_, Journal>,
        change: &Change,
    ) -> Result<(), JournalError> {
        let mut memory = self.memory_mut();
        if !memory.apply(change) {
            return Ok(());
        }
        drop(memory);
        journal.append(change)?;
        // Whoever changes something waits for this; whoever looks something up does not, or only
        // for as long as it takes to copy what there is.
        let memory = self.memory();
        if journal.changes() > 3 * memory.counts().total() + GARBAGE {
            let snapshot = memory.snapshot();
            drop(memory);
            journal.replace(&snapshot)?;
        }
        Ok(())
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
    is_new: bool,
}

impl TagClaim {
    /// Whether it was nobody's.
    pub(crate) const fn is_new(&self) -> bool {
        self.is_new
    }
}

impl Drop for TagClaim {
    fn drop(&mut self) {
        self.store.memory_mut().release_tag(&self.image);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// Everything that a store knows, in an order.
    fn dump(store: &Store) -> BTreeSet<String> {
        let memory = store.memory();
        memory
            .snapshot()
            .iter()
            .map(|change| format!("{change:?}"))
            .collect()
    }

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("owners.jsonl")).unwrap();
        (folder, store)
    }

    fn owner(number: u8) -> Owner {
        Owner::of("i", &number.to_string())
    }

    fn id(number: u8) -> String {
        format!("{number:02x}").repeat(32)
    }

    fn change() -> impl Strategy<Value = Change> {
        let kind = prop::sample::select(vec![Kind::Container, Kind::Network, Kind::Volume]);
        let name =
            prop::sample::select(vec!["db", "web", "ab", "00", "0123"]).prop_map(str::to_owned);
        let image = prop::sample::select(vec!["a/b:1", "a/b:2", "c"]);
        let image = image.prop_map(|text| ImageRef::parse(text).unwrap());
        prop_oneof![
            4 => (kind.clone(), 0u8..6, 0u8..3, name.clone()).prop_map(|(kind, at, of, name)| {
                Change::Own { kind, id: id(at), owner: owner(of), name }
            }),
            2 => (0u8..6, name).prop_map(|(at, name)| Change::Rename { id: id(at), name }),
            2 => (kind, 0u8..6).prop_map(|(kind, at)| Change::Gone { kind, id: id(at) }),
            2 => (0u8..6, 10u8..30, 0u8..3).prop_map(|(container, at, of)| Change::Exec {
                id: id(at),
                container: id(container),
                principal: owner(of),
            }),
            1 => (image.clone(), 0u8..3).prop_map(|(image, of)| Change::Tag { image, owner: owner(of) }),
            1 => image.prop_map(|image| Change::Untag { image }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_read_again_is_what_was_known_after_any_changes_and_any_torn_write(
            changes in prop::collection::vec(change(), 0..60),
            torn in prop::collection::vec(any::<u8>(), 0..40),
            compact in any::<bool>(),
        ) {
            let (_folder, store) = store();
            for change in &changes {
                store.change(change).unwrap();
            }
            if compact {
                let snapshot = store.memory().snapshot();
                store.journal().replace(&snapshot).unwrap();
            }
            let before = dump(&store);
            // A line that was not finished, perhaps with what a disk leaves behind.
            let torn: Vec<u8> = torn.into_iter().filter(|byte| *byte != b'\n').collect();
            let mut file = std::fs::OpenOptions::new().append(true).open(store.path()).unwrap();
            file.write_all(&torn).unwrap();
            let again = Store::open(store.path()).unwrap();
            prop_assert_eq!(dump(&again), before);
            prop_assert_eq!(again.cut(), torn.len() as u64);
            // And it can be written to.
            let change = Change::Own { kind: Kind::Volume, id: id(99), owner: owner(1), name: "new".into() };
            again.change(&change).unwrap();
            let last = Store::open(store.path()).unwrap();
            prop_assert_eq!(dump(&last), dump(&again));
        }

        #[test]
        fn a_journal_cut_anywhere_is_one_of_its_beginnings(
            changes in prop::collection::vec(change(), 1..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let (_folder, store) = store();
            let mut beginnings = vec![dump(&store)];
            for change in &changes {
                store.change(change).unwrap();
                beginnings.push(dump(&store));
            }
            let bytes = std::fs::read(store.path()).unwrap();
            std::fs::write(store.path(), &bytes[..cut.index(bytes.len())]).unwrap();
            let again = Store::open(store.path()).unwrap();
            prop_assert!(beginnings.contains(&dump(&again)));
        }

        #[test]
        fn an_owner_finds_nothing_of_anothers(
            changes in prop::collection::vec(change(), 0..60),
            text in "[0-9a-f]{1,64}|db|web|ab",
        ) {
            let (_folder, store) = store();
            for change in &changes {
                store.change(change).unwrap();
            }
            for of in 0..3 {
                for kind in [Kind::Container, Kind::Network, Kind::Volume] {
                    if let Some(found) = store.find(&owner(of), kind, &text) {
                        prop_assert_eq!(found.owner, owner(of));
                        prop_assert_eq!(store.owner_of(kind, &found.id), Some(owner(of)));
                    }
                }
            }
        }
    }

    #[test]
    fn an_object_is_found_by_name_by_id_or_by_a_prefix_that_only_it_has() {
        let (_folder, store) = store();
        let [one, two] = [
            format!("ab1{}", "0".repeat(61)),
            format!("ab2{}", "0".repeat(61)),
        ];
        store.own(Kind::Container, &one, owner(1), "db").unwrap();
        store.own(Kind::Container, &two, owner(1), "ab1").unwrap();
        store.own(Kind::Container, &id(7), owner(2), "db").unwrap();
        let find = |text: &str| {
            let found = store.find(&owner(1), Kind::Container, text);
            found.map(|found| found.id.to_string())
        };
        assert_eq!(find("db"), Some(one.clone()));
        assert_eq!(find(&one), Some(one.clone()));
        assert_eq!(find("ab10"), Some(one.clone()));
        // The engine, too, takes a name before an id.
        assert_eq!(find("ab1"), Some(two.clone()));
        assert_eq!(find("ab2"), Some(two));
        assert_eq!(find("ab"), None);
        assert_eq!(find(&id(7)), None);
        assert_eq!(find(""), None);
        // A volume has no id that could be cut short.
        store.own(Kind::Volume, &one, owner(1), &one).unwrap();
        assert!(store.find(&owner(1), Kind::Volume, "ab1").is_none());
        assert!(store.find(&owner(1), Kind::Volume, &one).is_some());
    }

    #[test]
    fn an_exec_is_its_principals_and_goes_with_its_container() {
        let (_folder, store) = store();
        let container = id(1);
        store
            .own(Kind::Container, &container, owner(1), "db")
            .unwrap();
        store.own_exec(&id(20), &container, owner(5)).unwrap();
        assert_eq!(&*store.exec(&id(20), &owner(5)).unwrap().id, container);
        assert!(store.exec(&id(20), &owner(1)).is_none());
        store.own_exec(&id(21), &id(2), owner(5)).unwrap();
        assert!(store.exec(&id(21), &owner(5)).is_none());
        for number in 0..2000u32 {
            store
                .own_exec(&format!("{number:064}"), &container, owner(5))
                .unwrap();
        }
        assert_eq!(store.counts().execs, 1024);
        assert!(store.exec(&id(20), &owner(5)).is_none());
        store.gone(Kind::Container, &container).unwrap();
        assert_eq!(store.counts(), Counts::default());
    }

    #[test]
    fn a_name_that_the_engine_gives_again_leads_to_the_new_object() {
        let (_folder, store) = store();
        store.own(Kind::Container, &id(1), owner(1), "db").unwrap();
        store.own(Kind::Container, &id(2), owner(1), "db").unwrap();
        let found = |text: &str| store.find(&owner(1), Kind::Container, text).unwrap();
        assert_eq!(*found("db").id, *id(2));
        assert_eq!(*found(&id(1)).name, *id(1));
        // What is gone takes its own name with it, not that of the new one.
        store.gone(Kind::Container, &id(1)).unwrap();
        assert_eq!(*found("db").id, *id(2));
        // Nobody takes what has an owner.
        store
            .own(Kind::Container, &id(2), owner(2), "mine")
            .unwrap();
        assert_eq!(store.owner_of(Kind::Container, &id(2)), Some(owner(1)));
    }

    #[test]
    fn a_tag_that_is_being_made_is_nobody_elses() {
        let (_folder, store) = store();
        let image = ImageRef::parse("mine/app:1").unwrap();
        let claim = store.claim_tag(&image, owner(1)).unwrap();
        assert!(store.claim_tag(&image, owner(2)).is_none());
        assert!(store.claim_tag(&image, owner(1)).is_none());
        assert_eq!(store.tag_owner(&image), Some(owner(1)));
        drop(claim);
        assert_eq!(store.tag_owner(&image), None);
        store.own_tag(&image, owner(2)).unwrap();
        assert!(store.claim_tag(&image, owner(1)).is_none());
        assert!(store.claim_tag(&image, owner(2)).is_some());
    }

    #[test]
    fn a_journal_is_written_anew_when_most_of_it_is_gone() {
        let (_folder, store) = store();
        for number in 0..100 {
            store
                .own(Kind::Container, &id(number), owner(1), "db")
                .unwrap();
            store.gone(Kind::Container, &id(number)).unwrap();
        }
        store.own(Kind::Container, &id(1), owner(1), "db").unwrap();
        let long = std::fs::metadata(store.path()).unwrap().len();
        let again = Store::open(store.path()).unwrap();
        let short = std::fs::metadata(store.path()).unwrap().len();
        assert!(short * 50 < long, "{short} of {long}");
        assert_eq!(dump(&again), dump(&store));
        again.rename(&id(1), "web").unwrap();
        let last = Store::open(store.path()).unwrap();
        assert!(last.find(&owner(1), Kind::Container, "web").is_some());
    }

    #[test]
    fn a_damaged_line_in_the_midst_is_not_passed_over() {
        let (_folder, store) = store();
        store.own(Kind::Container, &id(1), owner(1), "db").unwrap();
        store.own(Kind::Container, &id(2), owner(1), "web").unwrap();
        let text = std::fs::read_to_string(store.path()).unwrap();
        let damage = |text: String| {
            std::fs::write(store.path(), text).unwrap();
            match Store::open(store.path()) {
                Err(JournalError::Damaged { line, .. }) => line,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(damage(text.replacen("\"own\"", "\"0wn\"", 1)), 2);
        assert_eq!(damage(text.replace("\"version\":1", "\"version\":2")), 1);
        assert_eq!(
            damage(text.replacen("\"db\"", &format!("\"{}\"", "x".repeat(9000)), 1)),
            2
        );
    }

    #[test]
    fn the_journal_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, store) = store();
        let mode = || {
            std::fs::metadata(store.path())
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(mode(), 0o600);
        store.journal().replace(&[]).unwrap();
        assert_eq!(mode(), 0o600);
    }
}
