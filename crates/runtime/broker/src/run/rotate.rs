//! Old records move out of the log while the broker runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cofferdam_audit::Error;
use cofferdam_audit::reader::Reader;
use tokio::time::MissedTickBehavior;

use crate::broker::Broker;
use crate::config::Rotation;
use crate::record::{Recorder, now_ms};

/// How often the log is looked at.
const LOOK: Duration = Duration::from_secs(60);

/// Bundles of 256 records that are moved at once. They are copied beside the log's work; appends wait
/// while so many files are removed.
const BUNDLES: u64 = 64;

/// Keeps the log to what the configuration says for as long as it is polled.
pub(super) async fn rotate(broker: Arc<Broker>, audit: PathBuf, rotation: Rotation) {
    let archive = rotation.archive.display();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        look.tick().await;
        let mut all = 0;
        let failed = loop {
            match turn(&broker, &audit, &rotation).await {
                Ok(0) => break None,
                Ok(moved) => all += moved,
                Err(error) => break Some(error),
            }
        };
        if all > 0 {
            broker.say(&format!(
                "{all} records were moved from the audit log to `{archive}`"
            ));
        }
        match failed {
            Some(error) if !failing => {
                broker
                    .notice(format!(
                        "old records cannot be moved to `{archive}`: {error}; they stay in the audit log, and it is tried again every minute"
                    ))
                    .await;
                failing = true;
            }
            None if failing => {
                let text = format!("old records are moved to `{archive}` again");
                broker.notice(text).await;
                failing = false;
            }
            _ => {}
        }
    }
}

/// Moves some records; answers how many.
async fn turn(broker: &Broker, audit: &Path, rotation: &Rotation) -> Result<u64, Error> {
    let recorder = broker.recorder().clone();
    let (audit, rotation) = (audit.to_owned(), rotation.clone());
    let moved = tokio::task::spawn_blocking(move || some(&recorder, &audit, &rotation));
    // It ends early only with the runtime.
    moved.await.map_err(|_| Error::Stopped)?
}

fn some(recorder: &Recorder, audit: &Path, rotation: &Rotation) -> Result<u64, Error> {
    let reader = Reader::open(audit)?;
    let here = reader.first();
    let first = rotation.keep().first(&reader, now_ms(), BUNDLES)?;
    if first <= here {
        return Ok(0);
    }
    recorder.rotate(first, &rotation.archive)?;
    Ok(first - here)
}
