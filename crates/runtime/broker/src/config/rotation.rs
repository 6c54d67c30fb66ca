//! `[audit]`: what of the log moves away while the broker runs.

use std::path::PathBuf;
use std::time::Duration;

use cofferdam_audit::keep::Keep;
use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer};

/// What of the audit log moves away, and where to. Whatever one of the two does not keep moves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// A directory of the broker's own, on another disk perhaps.
    pub archive: PathBuf,
    /// Records that are no older stay: `90d`, `12w`, `36h`.
    #[serde(default, rename = "keep", deserialize_with = "age")]
    pub age: Option<Duration>,
    /// So many records stay, the last ones.
    #[serde(default, rename = "keep_records")]
    pub records: Option<u64>,
}

impl Rotation {
    /// How much stays.
    #[must_use]
    pub const fn keep(&self) -> Keep {
        Keep {
            age: self.age,
            entries: self.records,
        }
    }
}

fn age<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let age = text.parse::<Span>().ok();
    let age = age.and_then(|age| age.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    match age.and_then(|age| Duration::try_from(age).ok()) {
        Some(age) => Ok(Some(age)),
        None => Err(serde::de::Error::custom(format!(
            "`{text}` is no time: write `90d`, `12w` or `36h`"
        ))),
    }
}
