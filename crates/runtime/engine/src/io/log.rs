//! What a container has written, kept for `logs`, with a way to wait for more.

use bytes::Bytes;
use cofferdam_docker::stream::{self, Kind};
use jiff::Timestamp;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// How many bytes a container's log keeps; what comes later is dropped.
const LIMIT: usize = 1024 * 1024;

/// The log of one container or exec.
pub(crate) struct Log {
    lines: Mutex<Lines>,
    /// Counts the entries; closed never.
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Lines {
    entries: Vec<(Timestamp, Kind, Bytes)>,
    size: usize,
}

/// Which part of a log is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
    pub(crate) timestamps: bool,
    /// Frames rather than plain bytes.
    pub(crate) frames: bool,
    /// From when on.
    pub(crate) since: Option<Timestamp>,
    /// Until when.
    pub(crate) until: Option<Timestamp>,
}

impl Wanted {
    /// Output as it comes.
    pub(crate) fn live(stdout: bool, stderr: bool, frames: bool) -> Self {
        Self {
            stdout,
            stderr,
            timestamps: false,
            frames,
            since: None,
            until: None,
        }
    }

    pub(crate) fn has(self, kind: Kind) -> bool {
        match kind {
            Kind::Stdout => self.stdout,
            Kind::Stderr => self.stderr,
        }
    }

    fn within(self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time <= until)
    }
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            lines: Mutex::default(),
            count: watch::Sender::new(0),
        }
    }

    pub(crate) fn write(&self, kind: Kind, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let room = LIMIT.saturating_sub(lines.size);
        let bytes = &bytes[..bytes.len().min(room)];
        if bytes.is_empty() {
            return;
        }
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let entry = (Timestamp::now(), kind, Bytes::copy_from_slice(line));
            lines.entries.push(entry);
        }
        lines.size += bytes.len();
        self.count.send_replace(lines.entries.len());
    }

    /// The place from which the last `tail` lines are read.
    pub(crate) fn tail(&self, tail: Option<usize>) -> usize {
        match tail {
            Some(tail) => self.count.borrow().saturating_sub(tail),
            None => 0,
        }
    }

    /// What was written from entry `from` on, and where to go on.
    pub(crate) fn read(&self, from: usize, wanted: Wanted) -> (Bytes, usize) {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = Vec::new();
        for (time, kind, bytes) in lines.entries.get(from..).unwrap_or_default() {
            if !wanted.has(*kind) || !wanted.within(*time) {
                continue;
            }
            let mut line = Vec::new();
            if wanted.timestamps {
                line.extend_from_slice(format!("{time:.9} ").as_bytes());
            }
            line.extend_from_slice(bytes);
            if wanted.frames {
                line = stream::encode(*kind, &line);
            }
            out.extend_from_slice(&line);
        }
        (out.into(), lines.entries.len())
    }

    /// Tells of new entries.
    pub(crate) fn watch(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }
}
