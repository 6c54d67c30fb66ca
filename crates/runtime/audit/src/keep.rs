//! How much of a log stays where it is, and what is to be moved away then.

use std::time::Duration;

use crate::error::Error;
use crate::reader::Reader;
use crate::record::Record;
use crate::tile::WIDTH;

/// What stays in the log. Whatever one of the two does not keep is to be moved away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Entries that are no older.
    pub age: Option<Duration>,
    /// So many entries, the last ones.
    pub entries: Option<u64>,
}

impl Keep {
    /// The first index that stays, at a bundle of 256 entries, for [`Log::rotate`]. A bundle is old
    /// when its last entry is. It looks at `bundles` of them at most, so that one rotation does not
    /// take for ever.
    ///
    /// # Errors
    /// An entry that cannot be read.
    ///
    /// [`Log::rotate`]: crate::log::Log::rotate
    pub fn first(&self, reader: &Reader, now_ms: u64, bundles: u64) -> Result<u64, Error> {
        let age = self.age.map(|age| u64::try_from(age.as_millis()));
        // Older than all the time that can be told is nothing.
        let since = age.map(|age| now_ms.saturating_sub(age.unwrap_or(u64::MAX)));
        let many = self
            .entries
            .map(|entries| reader.len().saturating_sub(entries));
        let mut all = reader.bundles_below(reader.len());
        let mut first = all.start;
        all.end = all.end.min(all.start.saturating_add(bundles));
        for bundle in all {
            let end = (bundle + 1) * WIDTH;
            let beyond = many.is_some_and(|many| end <= many);
            if !beyond && !is_before(reader, bundle, since)? {
                break;
            }
            first = bundle + 1;
        }
        Ok(first * WIDTH)
    }
}

/// Whether the last entry of a bundle was recorded before a moment.
fn is_before(reader: &Reader, bundle: u64, since: Option<u64>) -> Result<bool, Error> {
    let Some(since) = since else {
        return Ok(false);
    };
    match reader.bundle(bundle)?.last() {
        Some(entry) => Ok(Record::decode(entry)?.time_ms < since),
        None => Ok(false),
    }
}
