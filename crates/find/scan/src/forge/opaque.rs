//! Opaque tokens: how many there could be, and which ones stand next to those that are known.
//!
//! RFC 6749, section 10.10, allows a chance of 2^-128 per guess and asks for 2^-160; OWASP's
//! session management sheet asks for 64 bits of entropy. What is computed here is the most that a
//! token of this form can have, so a low number is a fact and a high one is none.

use crate::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;

/// From here on guessing is hopeless, and nothing is guessed.
pub(crate) const HOPELESS_BITS: f64 = 80.0;

/// What OWASP's session management sheet asks for. Below it guesses must be counted; at a thousand a
/// second, these many last for longer than anyone waits.
pub(crate) const ENOUGH_BITS: f64 = 64.0;

/// Below this a token is short whatever it was made by: a few machines try them all.
pub(crate) const SHORT_BITS: f64 = 40.0;

/// Numbers this near to each other are taken for members of one sequence.
const NEAR: u128 = 4096;

/// What the known tokens tell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Estimate {
    /// At most so many bits tell one token from another.
    pub(crate) bits: f64,
    /// Why, in words, without a token in it.
    pub(crate) why: String,
    /// Whether one known token is the other with the name of its holder replaced.
    pub(crate) from_name: bool,
}

/// The tokens of one kind, in the text that they encode.
struct Known {
    texts: Vec<String>,
    codec: Codec,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Codec {
    Plain,
    Standard,
    StandardBare,
    Url,
    UrlBare,
}

impl Codec {
    fn decode(self, token: &str) -> Option<String> {
        let bytes = match self {
            Codec::Plain => return Some(token.to_owned()),
            Codec::Standard => STANDARD.decode(token).ok()?,
            Codec::StandardBare => STANDARD_NO_PAD.decode(token).ok()?,
            Codec::Url => URL_SAFE.decode(token).ok()?,
            Codec::UrlBare => URL_SAFE_NO_PAD.decode(token).ok()?,
        };
        let readable = |byte: &u8| (b' '..=b'~').contains(byte);
        // Shorter ones are readable by chance too often.
        (bytes.len() >= 6 && bytes.iter().all(readable))
            .then(|| String::from_utf8(bytes).ok())
            .flatten()
    }

    fn encode(self, text: &str) -> String {
        match self {
            Codec::Plain => text.to_owned(),
            Codec::Standard => STANDARD.encode(text),
            Codec::StandardBare => STANDARD_NO_PAD.encode(text),
            Codec::Url => URL_SAFE.encode(text),
            Codec::UrlBare => URL_SAFE_NO_PAD.encode(text),
        }
    }
}

/// A run of digits at one place of a text.
struct Run {
    before: String,
    digits: String,
    after: String,
    radix: u32,
}

impl Run {
    fn value(&self) -> Option<u128> {
        u128::from_str_radix(&self.digits, self.radix).ok()
    }

    /// The text with another number in the run, as wide as it was where it had leading zeros.
    fn with(&self, value: u128) -> String {
        let width = self.digits.len();
        let number = match self.radix {
            10 => format!("{value:0width$}"),
            _ if self.digits.chars().any(|c| c.is_ascii_uppercase()) => {
                format!("{value:0width$X}")
            }
            _ => format!("{value:0width$x}"),
        };
        format!("{}{number}{}", self.before, self.after)
    }
}

/// What `tokens` (of one service, with the names of their holders) tell about the others.
pub(crate) fn estimate(tokens: &[(&str, &str)]) -> Estimate {
    let known = Known::read(tokens);
    if template(&known, tokens).is_some() {
        return Estimate {
            bits: 0.0,
            why: "one token is the other with the holder's name replaced".to_owned(),
            from_name: true,
        };
    }
    let encoded = match known.codec {
        Codec::Plain => "",
        _ => " inside base64",
    };
    let distinct: BTreeSet<&String> = known.texts.iter().collect();
    let mut pairs = distinct.iter().zip(distinct.iter().skip(1));
    if distinct.len() < 2 {
        let text = known.texts.first().map_or("", String::as_str);
        let (bits, words) = size(&[core_of(text)]);
        return Estimate {
            bits,
            why: format!("{words}{encoded}"),
            from_name: false,
        };
    }
    // The two that are nearest to each other tell the most.
    let mut best = Estimate {
        bits: f64::INFINITY,
        why: String::new(),
        from_name: false,
    };
    let mut consider = |a: &str, b: &str| {
        let found = match near(a, b) {
            Some(distance) => (
                ((distance + 1) as f64).log2() + 1.0,
                format!("two tokens are numbers that are {distance} apart{encoded}"),
            ),
            None => {
                let (from, to) = differing(a, b);
                let (bits, words) = size(&[&a[from..a.len() - to], &b[from..b.len() - to]]);
                (bits, format!("two tokens differ in {words}{encoded}"))
            }
        };
        if found.0 < best.bits {
            best.bits = found.0;
            best.why = found.1;
        }
    };
    let texts: Vec<&&String> = distinct.iter().collect();
    if texts.len() <= 8 {
        for (index, a) in texts.iter().enumerate() {
            for b in &texts[index + 1..] {
                consider(a, b);
            }
        }
    } else {
        pairs.by_ref().for_each(|(a, b)| consider(a, b));
    }
    best
}

/// Tokens that stand next to the known ones, at most `limit`, each with what it is in words. None of
/// them is a known one.
pub(crate) fn neighbours(tokens: &[(&str, &str)], limit: usize) -> Vec<(String, Secret)> {
    let known = Known::read(tokens);
    let mut seen: BTreeSet<String> = known.texts.iter().cloned().collect();
    let mut found = Vec::new();
    let mut add = |words: String, text: String| {
        if found.len() < limit && seen.insert(text.clone()) {
            found.push((words, Secret::new(known.codec.encode(&text))));
        }
    };
    if let Some((before, after)) = template(&known, tokens) {
        for name in [
            "admin",
            "root",
            "administrator",
            "user",
            "test",
            "guest",
            "operator",
            "system",
        ] {
            add(
                format!("the token with the name `{name}` in it"),
                format!("{before}{name}{after}"),
            );
        }
    }
    let runs = runs(&known.texts);
    for distance in 1..=limit as u128 {
        for run in &runs {
            let Some(value) = run.value() else { continue };
            for (words, near) in [
                ("after", value.checked_add(distance)),
                ("before", value.checked_sub(distance)),
            ] {
                if let Some(near) = near {
                    add(
                        format!("the token {distance} {words} a known one"),
                        run.with(near),
                    );
                }
            }
        }
    }
    found
}

/// A token of the same form that nobody was given, for counting refusals.
pub(crate) fn lookalike(token: &str) -> Option<Secret> {
    let mut random = vec![0_u8; token.len()];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    let text = token
        .chars()
        .zip(random)
        .map(|(c, byte)| {
            let pick = |first: u8, count: u8| char::from(first + byte % count);
            match c {
                '0'..='9' => pick(b'0', 10),
                'a'..='f' => pick(b'a', 6),
                'A'..='F' => pick(b'A', 6),
                'g'..='z' => pick(b'g', 20),
                'G'..='Z' => pick(b'G', 20),
                other => other,
            }
        })
        .collect::<String>();
    Some(Secret::new(text))
}

impl Known {
    fn read(tokens: &[(&str, &str)]) -> Self {
        for codec in [
            Codec::Standard,
            Codec::StandardBare,
            Codec::Url,
            Codec::UrlBare,
        ] {
            let texts: Option<Vec<String>> = tokens
                .iter()
                .map(|(_, token)| codec.decode(token))
                .collect();
            if let Some(texts) = texts {
                return Self { texts, codec };
            }
        }
        Self {
            texts: tokens
                .iter()
                .map(|(_, token)| (*token).to_owned())
                .collect(),
            codec: Codec::Plain,
        }
    }
}

/// What stands before and after the name of the holder, when that is all that tells two tokens of
/// different holders apart.
fn template(known: &Known, tokens: &[(&str, &str)]) -> Option<(String, String)> {
    let mut found: Option<(String, String)> = None;
    let mut holders = BTreeSet::new();
    for (text, (name, _)) in known.texts.iter().zip(tokens) {
        if name.is_empty() {
            return None;
        }
        let (before, after) = text.split_once(name)?;
        let this = (before.to_owned(), after.to_owned());
        match &found {
            Some(other) if *other != this => return None,
            _ => found = Some(this),
        }
        holders.insert(name);
    }
    found.filter(|_| holders.len() >= 2)
}

/// Bytes that two texts share at their start and at their end; the rest is what differs.
fn differing(a: &str, b: &str) -> (usize, usize) {
    let from = a
        .char_indices()
        .zip(b.chars())
        .find(|((_, x), y)| x != y)
        .map_or(a.len().min(b.len()), |((at, _), _)| at);
    let (rest_a, rest_b) = (&a[from..], &b[from..]);
    let to = rest_a
        .chars()
        .rev()
        .zip(rest_b.chars().rev())
        .take_while(|(x, y)| x == y)
        .map(|(x, _)| x.len_utf8())
        .sum();
    (from, to)
}

/// How far apart two texts are that differ in one number, when that is near.
fn near(a: &str, b: &str) -> Option<u128> {
    let texts = [a.to_owned(), b.to_owned()];
    let runs = runs(&texts);
    let [x, y] = runs.as_slice() else { return None };
    let distance = x.value()?.abs_diff(y.value()?);
    (distance <= NEAR).then_some(distance)
}

/// The run of digits that tells the texts apart, in each of them; for a single text its last one.
/// Empty when they differ in more than one run, or in other characters.
fn runs(texts: &[String]) -> Vec<Run> {
    let Some(first) = texts.first() else {
        return Vec::new();
    };
    let Some(other) = texts.iter().find(|text| *text != first) else {
        return last_run(first).into_iter().collect();
    };
    let (from, to) = differing(first, other);
    let mut runs = Vec::new();
    for radix in [10, 16] {
        runs.clear();
        for text in [first, other] {
            let Some(run) = run_around(text, from, text.len() - to, radix) else {
                break;
            };
            runs.push(run);
        }
        let same = |(x, y): (&Run, &Run)| x.before == y.before && x.after == y.after;
        if runs.len() == 2 && same((&runs[0], &runs[1])) {
            return runs;
        }
    }
    Vec::new()
}

/// The digits from `start` to `end` with those around them; `None` when there is another character
/// among them, or more than a number of 128 bits.
fn run_around(text: &str, start: usize, end: usize, radix: u32) -> Option<Run> {
    let digit = |c: &char| c.is_digit(radix);
    if !text[start..end].chars().all(|c| digit(&c)) {
        return None;
    }
    let before: usize = text[..start].chars().rev().take_while(digit).count();
    let after: usize = text[end..].chars().take_while(digit).count();
    let (start, end) = (start - before, end + after);
    let widest = if radix == 10 { 38 } else { 32 };
    (start < end && end - start <= widest).then(|| Run {
        before: text[..start].to_owned(),
        digits: text[start..end].to_owned(),
        after: text[end..].to_owned(),
        radix,
    })
}

fn last_run(text: &str) -> Option<Run> {
    let end = text.rfind(|c: char| c.is_ascii_digit())? + 1;
    run_around(text, end - 1, end, 10)
}

/// The token without a fixed beginning such as `ghp_` or `tok-`.
fn core_of(text: &str) -> &str {
    match text.rfind(['_', '-', ':', '.']) {
        Some(at) if at < text.len() / 2 && at < 12 => &text[at + 1..],
        _ => text,
    }
}

/// How many bits these parts can hold at most, by their alphabet and length, and that in words.
fn size(parts: &[&str]) -> (f64, String) {
    let has = |test: fn(char) -> bool| parts.iter().any(|part| part.chars().any(test));
    let length = parts
        .iter()
        .map(|part| part.chars().filter(|c| *c != '-').count())
        .max()
        .unwrap_or_default();
    let hex = parts
        .iter()
        .all(|part| part.chars().all(|c| c.is_ascii_hexdigit() || c == '-'));
    let (alphabet, words): (f64, &str) = if !has(|c| !c.is_ascii_digit()) {
        (10.0, "decimal digits")
    } else if hex && !(has(|c| c.is_ascii_uppercase()) && has(|c| c.is_ascii_lowercase())) {
        (16.0, "hexadecimal digits")
    } else {
        let mut size = 0.0;
        for (test, count) in [
            ((|c| c.is_ascii_digit()) as fn(char) -> bool, 10.0),
            (|c| c.is_ascii_lowercase(), 26.0),
            (|c| c.is_ascii_uppercase(), 26.0),
            (|c| !c.is_ascii_alphanumeric(), 2.0),
        ] {
            if has(test) {
                size += count;
            }
        }
        (size, "characters")
    };
    (
        length as f64 * alphabet.log2(),
        format!("at most {length} {words}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn guesses(tokens: &[(&str, &str)]) -> Vec<String> {
        neighbours(tokens, 24)
            .into_iter()
            .map(|(_, token)| token.reveal().to_owned())
            .collect()
    }

    #[test]
    fn a_sequence_is_seen_and_gone_on_with() {
        for (a, b, next) in [
            ("tok-1001", "tok-1002", "tok-1003"),
            ("tok-0009", "tok-0011", "tok-0010"),
            ("9", "11", "10"),
            ("sess_00ff", "sess_0101", "sess_0100"),
            (
                "7d44b3a29e5c4f01aa00000000000a0f",
                "7d44b3a29e5c4f01aa00000000000a11",
                "7d44b3a29e5c4f01aa00000000000a10",
            ),
        ] {
            let tokens = [("alice", a), ("bob", b)];
            let estimate = estimate(&tokens);
            assert!(estimate.bits < SHORT_BITS, "{a}: {estimate:?}");
            assert!(!estimate.why.contains(a));
            assert!(guesses(&tokens).contains(&next.to_owned()), "{a}");
        }
        let inside = [
            ("alice", STANDARD.encode("user:1001")),
            ("bob", STANDARD.encode("user:1004")),
        ];
        let tokens = inside
            .each_ref()
            .map(|(name, token)| (*name, token.as_str()));
        assert!(guesses(&tokens).contains(&STANDARD.encode("user:1002")));
        assert!(estimate(&tokens).why.contains("base64"));
    }

    #[test]
    fn a_token_made_of_a_name_is_seen() {
        let tokens = [("alice", "tok:alice:v1"), ("bob", "tok:bob:v1")];
        assert!(estimate(&tokens).from_name);
        assert!(guesses(&tokens).contains(&"tok:admin:v1".to_owned()));
        assert!(!estimate(&[("alice", "tok:alice:v1")]).from_name);
    }

    #[test]
    fn random_tokens_are_hopeless_and_short_ones_are_short() {
        let long = [
            ("a", "f3b1c2d4e5968778695a4b3c2d1e0f01"),
            ("b", "0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d"),
        ];
        assert!(estimate(&long).bits >= HOPELESS_BITS);
        for text in [
            "zQ4vT8yLmN2pR6sW0xB3cF",
            "ghp_zQ4vT8yLmN2pR6sW0xB3cF",
            "550e8400-e29b-41d4-a716-446655440000",
        ] {
            assert!(estimate(&[("a", text)]).bits >= HOPELESS_BITS, "{text}");
        }
        assert!(estimate(&[("a", "483920")]).bits < 20.0);
        assert!(estimate(&[("a", "sess-483920"), ("b", "sess-118234")]).bits < 20.0);
        assert!(estimate(&[("a", "tok_9f3a1c7e")]).bits <= 32.0);
    }

    #[test]
    fn strange_tokens_do_no_harm() {
        for tokens in [
            vec![("", "")],
            vec![],
            vec![("a", "é"), ("b", "éé")],
            vec![("é", "x-é"), ("ü", "x-ü1")],
            vec![("a", "-"), ("b", "--")],
        ] {
            let _ = estimate(&tokens);
            let _ = guesses(&tokens);
        }
    }

    proptest! {
        #[test]
        fn a_guess_is_never_a_known_token(a in "\\PC{0,20}", b in "\\PC{0,20}", n in any::<u64>()) {
            for (x, y) in [
                (a.clone(), b.clone()),
                (format!("{a}{n}"), format!("{a}{}", n / 2)),
            ] {
                let tokens = [("alice", x.as_str()), ("bob", y.as_str())];
                let guesses = guesses(&tokens);
                prop_assert!(guesses.len() <= 24);
                prop_assert!(!guesses.contains(&x) && !guesses.contains(&y));
            }
        }

        #[test]
        fn a_lookalike_keeps_the_form(token in "[a-zA-Z0-9_.-]{8,40}") {
            let made = lookalike(&token).unwrap();
            prop_assert_eq!(made.reveal().len(), token.len());
            let digits = |text: &str| text.chars().map(|c| c.is_ascii_digit()).collect::<Vec<_>>();
            prop_assert_eq!(digits(made.reveal()), digits(&token));
        }
    }
}
