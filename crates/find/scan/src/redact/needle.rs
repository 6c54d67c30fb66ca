//! Known secrets, found in whatever form they stand.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::collections::HashMap;

/// A known secret and what stands in its place.
struct Needle {
    text: Vec<u8>,
    label: String,
}

/// Bytes by which secrets are found; no secret is shorter.
const KEY: usize = 4;

/// Known secrets by their first bytes, so that a text is passed over once, however many there are.
#[derive(Default)]
pub(super) struct Index {
    buckets: HashMap<[u8; KEY], Vec<Needle>>,
    length: usize,
}

impl Index {
    /// Adds a secret, unless it is there or shorter than [`KEY`].
    pub(super) fn insert(&mut self, text: &str, label: &str) {
        let bytes = text.as_bytes();
        let Some(key) = bytes.first_chunk::<KEY>() else {
            return;
        };
        let bucket = self.buckets.entry(*key).or_default();
        if bucket.iter().any(|known| known.text == bytes) {
            return;
        }
        bucket.push(Needle {
            text: bytes.to_vec(),
            label: label.to_owned(),
        });
        // A whole token is found before what it begins with.
        bucket.sort_by_key(|needle| std::cmp::Reverse(needle.text.len()));
        self.length += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The secret that the beginning of `text` writes: in how many bytes, and what replaces it.
    fn find(&self, text: &[u8]) -> Option<(usize, &str)> {
        let mut key = [0; KEY];
        let mut at = 0;
        for byte in &mut key {
            let (written, length) = unit(text.get(at..)?)?;
            *byte = written;
            at += length;
        }
        self.buckets.get(&key)?.iter().find_map(|needle| {
            let length = match_at(text, &needle.text)?;
            Some((length, needle.label.as_str()))
        })
    }

    /// Whether a secret stands plainly in `text`.
    fn is_in(&self, text: &[u8]) -> bool {
        text.windows(KEY).enumerate().any(|(at, window)| {
            window
                .first_chunk::<KEY>()
                .and_then(|key| self.buckets.get(key))
                .is_some_and(|bucket| {
                    bucket
                        .iter()
                        .any(|needle| text[at..].starts_with(&needle.text))
                })
        })
    }
}

/// Replaces every secret, written plainly, percent-encoded (once or twice), or with JSON escapes.
pub(super) fn replace(text: &str, known: &[&Index]) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        match known.iter().find_map(|index| index.find(&bytes[at..])) {
            // Both ends lie beside ASCII bytes that were matched, so they are character boundaries;
            // a secret that is not ASCII is matched as a whole.
            Some((length, label)) if text.is_char_boundary(at) => {
                out.push_str(&text[copied..at]);
                out.push_str(label);
                at += length;
                copied = at;
            }
            _ => at += 1,
        }
    }
    out.push_str(&text[copied..]);
    out
}

/// How many bytes of `text` write the whole of `needle`, if its beginning does.
fn match_at(text: &[u8], needle: &[u8]) -> Option<usize> {
    let mut at = 0;
    for wanted in needle {
        let (byte, length) = unit(text.get(at..)?)?;
        if byte != *wanted {
            return None;
        }
        at += length;
    }
    Some(at)
}

/// The byte that the beginning of `text` writes, and in how many bytes.
fn unit(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'%', b'2', b'5', a, b, ..] => match hex(&[*a, *b]) {
            Some(byte) => Some((byte, 5)),
            None => Some((b'%', 3)),
        },
        [b'%', a, b, ..] => match hex(&[*a, *b]) {
            Some(byte) => Some((byte, 3)),
            None => Some((b'%', 1)),
        },
        [b'\\', b'u', b'0', b'0', a, b, ..] => match hex(&[*a, *b]) {
            Some(byte) => Some((byte, 6)),
            None => Some((b'\\', 1)),
        },
        [b'\\', byte @ (b'/' | b'"' | b'\\'), ..] => Some((*byte, 2)),
        [byte, ..] => Some((*byte, 1)),
        [] => None,
    }
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then(|| u8::from_str_radix(text, 16).ok())
        .flatten()
}

/// Shorter runs hold no secret in base64.
const SHORTEST_RUN: usize = 12;
/// How often base64 may stand in base64.
const DEPTH: u32 = 2;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Replaces every run of base64 characters that decodes to something with a needle in it.
pub(super) fn replace_in_base64(text: &str, known: &[&Index]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_base64) {
        out.push_str(&rest[..start]);
        let run = &rest[start..];
        let end = run.find(|c| !is_base64(c)).unwrap_or(run.len());
        let (run, after) = run.split_at(end);
        if run.len() >= SHORTEST_RUN && hides(run, known, DEPTH) {
            out.push_str("[base64 with a token]");
        } else {
            out.push_str(run);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn is_base64(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '+' | '/' | '-' | '_' | '=')
}

/// Whether `run` decodes to something with a needle in it. It may begin in the middle of what was
/// taken for one run (`/files/aGVs…`), so every alignment is tried.
fn hides(run: &str, known: &[&Index], depth: u32) -> bool {
    let run = run.trim_end_matches('=');
    let plain: String = run
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    let url: String = run
        .chars()
        .map(|c| match c {
            '+' => '-',
            '/' => '_',
            c => c,
        })
        .collect();
    (0..4).any(|skip| {
        [(&STANDARD, plain.get(skip..)), (&URL_SAFE, url.get(skip..))]
            .into_iter()
            .any(|(engine, part)| {
                let Some(part) = part else { return false };
                // A length that no encoding has: its last character belongs to something else.
                let part = if part.len() % 4 == 1 {
                    &part[..part.len() - 1]
                } else {
                    part
                };
                let Ok(decoded) = engine.decode(part) else {
                    return false;
                };
                known.iter().any(|index| index.is_in(&decoded))
                    || (depth > 1
                        && std::str::from_utf8(&decoded).is_ok_and(|inner| {
                            inner.split(|c| !is_base64(c)).any(|run| {
                                run.len() >= SHORTEST_RUN && hides(run, known, depth - 1)
                            })
                        }))
            })
    })
}
