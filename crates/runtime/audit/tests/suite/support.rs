//! A log in a directory of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cofferdam_audit::log::{Log, Opened, Options};
use cofferdam_audit::note::SigningKey;
use cofferdam_audit::record::{Event, Record};
use cofferdam_audit::verify::{Report, verify};

/// A directory, and the key of the log in it.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    key: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let key = SigningKey::generate("audit.example")
            .unwrap()
            .to_secret_text()
            .to_string();
        // In memory where there is such a place: flushes cost nothing there.
        let dir = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        Self { dir, key }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::parse(&self.key).unwrap()
    }

    /// Opens the log; it publishes when it is asked to, and when it is dropped.
    pub(crate) fn open(&self) -> Result<(Log, Opened), cofferdam_audit::Error> {
        let options = Options {
            publish_every: Duration::from_secs(3600),
            ..Options::default()
        };
        Log::open(self.path(), self.key(), options)
    }

    /// A log of so many entries, closed.
    pub(crate) fn with_entries(count: u64) -> Self {
        let place = Self::new();
        fill(&place.open().unwrap().0, count);
        place
    }

    pub(crate) fn verify(&self, against: Option<&str>) -> Report {
        verify(self.path(), None, &self.key().verifying_key(), against).unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

pub(crate) fn record(number: u64) -> Record {
    Record {
        time_ms: number,
        event: Event::Notice {
            text: format!("entry {number}"),
        },
    }
}

/// A journal up to the end of its last frame, without the zeros that an open log has behind it.
pub(crate) fn written(mut journal: Vec<u8>) -> Vec<u8> {
    let length = |at: usize| {
        let bytes = journal[at..at + 4].try_into().unwrap();
        u32::from_be_bytes(bytes) as usize
    };
    let mut end = 20 + length(16) + 32;
    while journal[end..].starts_with(b"CFB1") {
        end += 12 + length(end + 4) + 32;
    }
    journal.truncate(end);
    journal
}

/// Appends so many records, and waits for the last.
pub(crate) fn fill(log: &Log, count: u64) {
    for number in 0..count.saturating_sub(1) {
        log.submit(&record(number), |result| {
            result.unwrap();
        })
        .unwrap();
    }
    if count > 0 {
        log.append(&record(count - 1)).unwrap();
    }
}
