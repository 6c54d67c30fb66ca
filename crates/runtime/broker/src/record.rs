//! The audit log, as the pipeline writes it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cofferdam_audit::Error as AuditError;
use cofferdam_audit::log::{Log, Opened, Options};
use cofferdam_audit::note::SigningKey;
use cofferdam_audit::record::{Decision, Event, Record};
use tokio::sync::{Semaphore, oneshot};

/// Records that may wait for the disk. Whoever has one more to write waits.
const QUEUE: usize = 4096;

/// How long a record is waited for that shows whether the log works again.
const PROBE: Duration = Duration::from_secs(5);

/// How long a stop waits for the records that are on their way.
const DRAIN: Duration = Duration::from_secs(10);

/// Writes records.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    log: Arc<Log>,
    room: Arc<Semaphore>,
    /// Whether the last record that nobody waited for got to the disk.
    healthy: Arc<AtomicBool>,
    /// Whether the log was published when that was asked last.
    published: Arc<AtomicBool>,
}

/// The log cannot take the record, so what was to be recorded is not to be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRecorded {
    /// The record is not in the log.
    #[error("the audit log cannot take the record: {0}")]
    Log(#[from] AuditError),
    /// The record is on its way to the disk, and may yet get there, or it got there too late.
    #[error("the audit log did not take the record within {} s", .0.as_secs_f32())]
    Late(Duration),
}

impl Recorder {
    /// Opens the log. It starts a thread.
    pub(crate) fn open(dir: &Path, key: SigningKey) -> Result<(Self, Opened), AuditError> {
        let options = Options {
            queue: QUEUE,
            ..Options::default()
        };
        let (log, opened) = Log::open(dir, key, options)?;
        let recorder = Self {
            log: Arc::new(log),
            room: Arc::new(Semaphore::new(QUEUE)),
            healthy: Arc::new(AtomicBool::new(true)),
            published: Arc::new(AtomicBool::new(true)),
        };
        Ok((recorder, opened))
    }

    /// Writes a record and waits until it is on the disk, at most for `limit` once it is on its
    /// way, and as long again for room.
    pub(crate) async fn durably(&self, event: Event, limit: Duration) -> Result<(), NotRecorded> {
        let (sender, receiver) = oneshot::channel();
        let submitted = self.submit(event, true, move |result| {
            // Whoever waited may be gone; the record is there all the same.
            let _ = sender.send(result);
        });
        tokio::time::timeout(limit, submitted)
            .await
            .map_err(|_| AuditError::Busy)??;
        let begun = Instant::now();
        let recorded = tokio::time::timeout(limit, receiver).await;
        recorded
            .map_err(|_| NotRecorded::Late(limit))?
            .map_err(|_| AuditError::Stopped)??;
        // The runtime's timers are up to a millisecond late, and the limit is not.
        match begun.elapsed() > limit {
            true => Err(NotRecorded::Late(limit)),
            false => Ok(()),
        }
    }

    /// Writes a record and waits only for room in the queue. Once such a record could not be
    /// written, the next one is waited for until it can, so that nothing goes on unrecorded.
    pub(crate) async fn soon(&self, event: Event) -> Result<(), NotRecorded> {
        if !self.healthy.load(Ordering::Acquire) {
            self.durably(event, PROBE).await?;
            self.healthy.store(true, Ordering::Release);
            return Ok(());
        }
        let healthy = Arc::clone(&self.healthy);
        self.submit(event, false, move |result| {
            if result.is_err() {
                healthy.store(false, Ordering::Release);
            }
        })
        .await
    }

    /// What has changed about the log's publication since this was asked last: why it fails, or that
    /// it works again.
    pub(crate) fn publication(&self) -> Option<Result<(), String>> {
        let error = self.log.unpublished();
        let before = self.published.swap(error.is_none(), Ordering::AcqRel);
        match (before, error) {
            (true, Some(error)) => Some(Err(error)),
            (false, None) => Some(Ok(())),
            _ => None,
        }
    }

    /// Moves records below `first` into a directory. It copies files, and is to be called from a
    /// thread that may wait.
    pub(crate) fn rotate(&self, first: u64, into: &Path) -> Result<u64, AuditError> {
        self.log.rotate(first, Some(into))
    }

    /// Waits until the disk has all that was submitted, for a bounded time.
    pub(crate) async fn drain(&self) {
        let all = self.room.acquire_many(QUEUE as u32);
        // What does not get there in this time is not coming.
        let _ = tokio::time::timeout(DRAIN, all).await;
    }

    /// Submits a record as soon as there is room.
    async fn submit(
        &self,
        event: Event,
        waited_for: bool,
        done: impl FnOnce(Result<u64, AuditError>) + Send + 'static,
    ) -> Result<(), NotRecorded> {
        let room = Arc::clone(&self.room).acquire_owned().await;
        let room = room.map_err(|_| AuditError::Stopped)?;
        let record = Record {
            time_ms: now_ms(),
            event,
        };
        let done = move |result| {
            drop(room);
            done(result);
        };
        match waited_for {
            true => self.log.submit(&record, done)?,
            false => self.log.submit_gathered(&record, done)?,
        }
        Ok(())
    }
}

/// A decision, cut so that its record is never larger than an entry may be.
pub(crate) fn bounded(mut decision: Decision) -> Decision {
    /// Texts of one list, bytes of each, and bytes of the reason.
    const LIST: usize = 32;
    const TEXT: usize = 256;
    const REASON: usize = 2048;
    let Decision {
        objects,
        policies,
        exceptions,
        reason,
        ..
    } = &mut decision;
    for list in [objects, policies, exceptions] {
        let left_out = list.len().saturating_sub(LIST);
        list.truncate(LIST);
        list.iter_mut().for_each(|text| cut(text, TEXT));
        if left_out > 0 {
            list.push(format!("and {left_out} more"));
        }
    }
    cut(reason, REASON);
    decision
}

fn cut(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        let mut end = bytes;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}

/// Milliseconds since 1970 by the clock of the host.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 is wrong anyway.
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use cofferdam_audit::MAX_ENTRY;

    use super::*;

    #[test]
    fn no_decision_is_too_large_for_an_entry() {
        let many = |count| vec!["€".repeat(1000); count];
        let decision = Decision {
            objects: many(500),
            policies: many(500),
            exceptions: many(500),
            reason: "€".repeat(100_000),
            ..Decision::default()
        };
        let record = Record {
            time_ms: 0,
            event: Event::Intent(bounded(decision)),
        };
        // Issuer, subject and client have at most 1024 bytes each, all of which JSON may escape.
        assert!(record.encode().unwrap().len() < MAX_ENTRY - 3 * 6 * 1024);
    }
}
