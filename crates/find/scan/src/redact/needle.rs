//! Known secrets, found in whatever form they stand.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// A known secret and what stands in its place.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Needle {
    text: Vec<u8>,
    label: String,
}

impl Needle {
    pub(super) fn new(text: &str, label: &str) -> Self {
        Self {
            text: text.as_bytes().to_vec(),
            label: label.to_owned(),
        }
    }
}

/// Replaces every needle, written plainly, percent-encoded (once or twice), or with JSON escapes.
pub(super) fn replace(text: &str, needles: &[&Needle]) -> String {
    let mut clean = text.to_owned();
    for needle in needles {
        if let Some(replaced) = replace_one(&clean, needle) {
            clean = replaced;
        }
    }
    clean
}

fn replace_one(text: &str, needle: &Needle) -> Option<String> {
    let bytes = text.as_bytes();
    let first = *needle.text.first()?;
    let mut out: Option<String> = None;
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        let byte = bytes[at];
        if (byte == first || byte == b'%' || byte == b'\\')
            && let Some(length) = match_at(&bytes[at..], &needle.text)
        {
            let out = out.get_or_insert_with(String::new);
            // Both ends lie beside ASCII bytes that were matched, so they are character boundaries.
            out.push_str(text.get(copied..at)?);
            out.push_str(&needle.label);
            at += length;
            copied = at;
        } else {
            at += 1;
        }
    }
    let mut out = out?;
    out.push_str(text.get(copied..)?);
    Some(out)
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
pub(super) fn replace_in_base64(text: &str, needles: &[&Needle]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_base64) {
        out.push_str(&rest[..start]);
        let run = &rest[start..];
        let end = run.find(|c| !is_base64(c)).unwrap_or(run.len());
        let (run, after) = run.split_at(end);
        if run.len() >= SHORTEST_RUN && hides(run, needles, DEPTH) {
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
fn hides(run: &str, needles: &[&Needle], depth: u32) -> bool {
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
                needles
                    .iter()
                    .any(|needle| contains(&decoded, &needle.text))
                    || (depth > 1
                        && std::str::from_utf8(&decoded).is_ok_and(|inner| {
                            inner.split(|c| !is_base64(c)).any(|run| {
                                run.len() >= SHORTEST_RUN && hides(run, needles, depth - 1)
                            })
                        }))
            })
    })
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else {
        return false;
    };
    text.len() >= needle.len()
        && text
            .windows(needle.len())
            .any(|window| window[0] == *first && window == needle)
}
