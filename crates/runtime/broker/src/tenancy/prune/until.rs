//! The moment before which an object must have been made to be pruned, as the engine takes it.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Until(Timestamp);

impl Until {
    /// Reads a duration before now (`10m`, `1h30m`), seconds since 1970, or a date and time, which
    /// is of UTC where it does not say.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let now = Timestamp::UNIX_EPOCH + SignedDuration::try_from(elapsed).ok()?;
        Self::parse_at(text, now)
    }

    fn parse_at(text: &str, now: Timestamp) -> Option<Self> {
        let moment = match duration(text) {
            Some(before) => now.checked_sub(before).ok()?,
            None => unix(text).or_else(|| date(text))?,
        };
        Some(Self(moment))
    }

    /// Whether it comes after a moment in seconds since 1970.
    pub(super) fn is_after(&self, seconds: i64) -> bool {
        self.0.as_second() > seconds
    }
}

/// The seconds since 1970 of a time as the engine writes it (RFC 3339).
pub(super) fn seconds(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// Go's form: numbers, each with its unit.
fn duration(text: &str) -> Option<SignedDuration> {
    let mut rest = text;
    let mut sum = 0.0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    (!text.is_empty()).then_some(())?;
    SignedDuration::try_from_secs_f64(sum).ok()
}

fn unix(text: &str) -> Option<Timestamp> {
    let whole = text.split('.').next().unwrap_or_default();
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    Timestamp::from_second(whole.parse().ok().filter(|_| is_number)?).ok()
}

fn date(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let local: DateTime = text.parse().ok()?;
    TimeZone::UTC.to_timestamp(local).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_duration_a_number_or_a_date() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let at = |text: &str| Until::parse_at(text, now).map(|until| until.0.to_string());
        let yesterday = Some("2026-01-01T00:00:00Z".to_owned());
        for text in [
            "24h",
            "23h60m",
            "86400s",
            "1767225600",
            "1767225600.5",
            "2026-01-01",
            "2026-01-01T00:00",
            "2026-01-01T00:00:00",
            "2026-01-01T01:00:00+01:00",
        ] {
            assert_eq!(at(text), yesterday, "{text}");
        }
        for text in [
            "",
            "h",
            "yesterday",
            "-1h",
            "1x",
            "1.h.",
            "1e9",
            "99999999999999h",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
