//! Reading a file, and values that are texts with a unit.

use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// The text of a file of at most so many bytes.
pub(super) fn read(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(most + 1)
        .read_to_string(&mut text)?;
    match text.len() as u64 > most {
        true => Err(io::Error::other(format!("it has more than {most} bytes"))),
        false => Ok(text),
    }
}

/// The line, from 1, in which a place of the text is.
pub(super) fn line(text: &str, span: Option<Range<usize>>) -> usize {
    let at = span.map_or(0, |span| span.start).min(text.len());
    text.as_bytes()[..at]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// `500ms`, `30s`, `5m` or `2h`.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    const UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let text = String::deserialize(deserializer)?;
    number(&text, UNITS)
        .map(Duration::from_millis)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no time: write `30s`")))
}

/// `4096B`, `64KiB`, `64MiB` or `1GiB`.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    const UNITS: &[(&str, u64)] = &[
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("B", 1),
    ];
    let text = String::deserialize(deserializer)?;
    number(&text, UNITS)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no size: write `64MiB`")))
}

fn number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, scale) = units
        .iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)))?;
    let digits = digits.trim_end();
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| digits.parse::<u64>().ok()?.checked_mul(scale))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_units_and_bounds() {
        let time = |text: &str| number(text, &[("ms", 1), ("s", 1000)]);
        assert_eq!(time("30s"), Some(30_000));
        assert_eq!(time("30 ms"), Some(30));
        for text in [
            "30",
            "s",
            "-1s",
            "1.5s",
            "1x",
            "99999999999999999999s",
            "18446744073709551615s",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
        assert_eq!(line("a\nb\nc", Some(2..3)), 2);
        assert_eq!(line("a", None), 1);
    }
}
