//! The reader: recursive descent, one pass, duplicates found as each object closes.

use std::cell::Cell;

use super::{Document, JsonError, Kind, Limits, Node};

/// Up to this many members are compared pairwise behind a 64-bit filter; above it they are sorted.
const PAIRWISE_MEMBERS: usize = 32;

thread_local! {
    /// Where nodes are collected: how many there will be is known at the end, and a document is
    /// kept without what was reserved and not needed.
    static NODES: Cell<Vec<Node>> = const { Cell::new(Vec::new()) };
}

/// The most nodes for which memory is held on to between documents, 12 bytes each.
const KEPT_NODES: usize = 1024;

pub(super) fn read(text: String, limits: &Limits) -> Result<Document, JsonError> {
    let mut reader = Reader {
        bytes: text.as_bytes(),
        text: &text,
        at: 0,
        max_depth: limits.max_depth.min(Limits::MAX_DEPTH),
        max_values: limits.max_values,
        max_members: limits.max_members,
        resolved: String::new(),
        nodes: NODES.take(),
    };
    let result = reader.document();
    let Reader {
        resolved,
        mut nodes,
        ..
    } = reader;
    let kept: Box<[Node]> = nodes.as_slice().into();
    if nodes.capacity() <= KEPT_NODES {
        nodes.clear();
        NODES.set(nodes);
    }
    result.map(|()| Document {
        text: text.into_boxed_str(),
        resolved: resolved.into_boxed_str(),
        nodes: kept,
    })
}

struct Reader<'t> {
    bytes: &'t [u8],
    text: &'t str,
    at: usize,
    max_depth: usize,
    max_values: usize,
    max_members: usize,
    resolved: String,
    nodes: Vec<Node>,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<(), JsonError> {
        self.space();
        self.value(0)?;
        self.space();
        match self.at == self.bytes.len() {
            true => Ok(()),
            false => Err(JsonError::Trailing { at: self.at }),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn syntax<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::Syntax { at: self.at })
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) -> Result<usize, JsonError> {
        if self.nodes.len() >= self.max_values {
            return Err(JsonError::TooMany);
        }
        // Offsets fit: a text is at most `Limits::MAX_BYTES`, 16 MiB.
        self.nodes.push(Node {
            kind,
            start: start as u32,
            end: end as u32,
        });
        Ok(self.nodes.len() - 1)
    }

    fn value(&mut self, depth: usize) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Kind::True),
            Some(b'f') => self.word("false", Kind::False),
            Some(b'n') => self.word("null", Kind::Null),
            _ => self.syntax(),
        }
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return self.syntax();
        }
        self.at += word.len();
        self.push(kind, 0, 0).map(drop)
    }

    fn array(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > self.max_depth {
            return Err(JsonError::TooDeep);
        }
        let node = self.push(Kind::Array, 0, 0)?;
        self.at += 1;
        self.space();
        let mut count = 0usize;
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                self.value(depth)?;
                count += 1;
                self.space();
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.space();
                    }
                    Some(b']') => {
                        self.at += 1;
                        break;
                    }
                    _ => return self.syntax(),
                }
            }
        }
        self.close(node, count);
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > self.max_depth {
            return Err(JsonError::TooDeep);
        }
        let node = self.push(Kind::Object, 0, 0)?;
        self.at += 1;
        self.space();
        let mut count = 0usize;
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                if self.peek() != Some(b'"') {
                    return self.syntax();
                }
                self.string()?;
                self.space();
                if self.peek() != Some(b':') {
                    return self.syntax();
                }
                self.at += 1;
                self.space();
                self.value(depth)?;
                count += 1;
                if count > self.max_members {
                    return Err(JsonError::TooMany);
                }
                self.space();
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.space();
                    }
                    Some(b'}') => {
                        self.at += 1;
                        break;
                    }
                    _ => return self.syntax(),
                }
            }
        }
        self.close(node, count);
        if self.has_duplicate(node, count) {
            return Err(JsonError::DuplicateMember);
        }
        Ok(())
    }

    fn close(&mut self, node: usize, count: usize) {
        let end = self.nodes.len() as u32;
        let node = &mut self.nodes[node];
        node.start = count as u32;
        node.end = end;
    }

    fn has_duplicate(&self, object: usize, count: usize) -> bool {
        if count < 2 {
            return false;
        }
        if count > PAIRWISE_MEMBERS {
            let mut names: Vec<&str> = self.names(object).collect();
            names.sort_unstable();
            return names.windows(2).any(|pair| pair[0] == pair[1]);
        }
        let mut seen = 0u64;
        for (index, name) in self.names(object).enumerate() {
            let bit = 1u64 << (mix(name.as_bytes()) & 63);
            if seen & bit != 0
                && self
                    .names(object)
                    .take(index)
                    .any(|earlier| earlier == name)
            {
                return true;
            }
            seen |= bit;
        }
        false
    }

    fn names(&self, object: usize) -> impl Iterator<Item = &str> {
        let end = self.nodes[object].end as usize;
        let mut at = object + 1;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let name = self.nodes[at];
            let value = self.nodes[at + 1];
            at = match value.kind {
                Kind::Array | Kind::Object => value.end as usize,
                _ => at + 2,
            };
            let source = if name.kind == Kind::Escaped {
                &self.resolved
            } else {
                self.text
            };
            Some(&source[name.start as usize..name.end as usize])
        })
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        let start = self.at;
        self.at += plain_length(&self.bytes[start..]);
        match self.peek() {
            Some(b'"') => {
                let end = self.at;
                self.at += 1;
                self.push(Kind::Plain, start, end).map(drop)
            }
            Some(b'\\') => self.escaped(start),
            _ => self.syntax(),
        }
    }

    /// The rest of a string that has an escape, which begins at `start`.
    fn escaped(&mut self, start: usize) -> Result<(), JsonError> {
        let from = self.resolved.len();
        self.resolved.push_str(&self.text[start..self.at]);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    let end = self.resolved.len();
                    return self.push(Kind::Escaped, from, end).map(drop);
                }
                Some(b'\\') => {
                    let character = self.escape()?;
                    self.resolved.push(character);
                }
                Some(0x20..) => {
                    let run = plain_length(&self.bytes[self.at..]);
                    self.resolved.push_str(&self.text[self.at..self.at + run]);
                    self.at += run;
                }
                _ => return self.syntax(),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let at = self.at;
        let letter = self.bytes.get(at + 1).copied();
        self.at += 2;
        Ok(match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let high = self.hex4(at)?;
                let code = match high {
                    0xD800..=0xDBFF => {
                        if !self.bytes[self.at..].starts_with(b"\\u") {
                            return Err(JsonError::LoneSurrogate { at });
                        }
                        self.at += 2;
                        let low = self.hex4(at)?;
                        if !(0xDC00..=0xDFFF).contains(&low) {
                            return Err(JsonError::LoneSurrogate { at });
                        }
                        0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
                    }
                    other => other,
                };
                return char::from_u32(code).ok_or(JsonError::LoneSurrogate { at });
            }
            _ => return Err(JsonError::Syntax { at }),
        })
    }

    fn hex4(&mut self, at: usize) -> Result<u32, JsonError> {
        let digits = self
            .bytes
            .get(self.at..self.at + 4)
            .ok_or(JsonError::Syntax { at })?;
        let mut code = 0;
        for &digit in digits {
            let value = char::from(digit)
                .to_digit(16)
                .ok_or(JsonError::Syntax { at })?;
            code = code << 4 | value;
        }
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.syntax(),
        }
        let mut kind = Kind::Integer;
        if self.peek() == Some(b'.') {
            kind = Kind::Float;
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            kind = Kind::Float;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        let text = &self.text[start..self.at];
        let fits = match kind {
            // 18 digits always fit 64 bits.
            Kind::Integer if text.len() <= 18 => true,
            Kind::Integer => text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok(),
            _ => text.parse::<f64>().is_ok_and(f64::is_finite),
        };
        if !fits {
            return Err(JsonError::NumberRange { at: start });
        }
        self.push(kind, start, self.at).map(drop)
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'0'..=b'9') => {
                self.digits();
                Ok(())
            }
            _ => self.syntax(),
        }
    }
}

/// Spreads a name over 64 buckets; equal names fall into one, and that is all that is asked.
fn mix(name: &[u8]) -> u32 {
    let first = name.first().copied().unwrap_or(0);
    let middle = name.get(name.len() / 2).copied().unwrap_or(0);
    let last = name.last().copied().unwrap_or(0);
    let word = u32::from_le_bytes([first, middle, last, name.len() as u8]);
    word.wrapping_mul(0x9E37_79B1) >> 26
}

/// How many bytes from the start are neither a quote, nor a backslash, nor a control character.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The lowest set high bit of the result marks the first byte that is zero (Mycroft's test); a
    // byte above it may be marked wrongly by the borrow, which does not matter here.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (chunks, _) = bytes.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = control
            | zero(word ^ (ONES * u64::from(b'"')))
            | zero(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return index * 8 + (found.trailing_zeros() / 8) as usize;
        }
    }
    let from = chunks.len() * 8;
    let tail = bytes[from..]
        .iter()
        .position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    tail.map_or(bytes.len(), |position| from + position)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_bytes: 10_000,
        max_depth: 4,
        max_values: 600,
        max_members: 200,
    };

    fn parse(text: &str) -> Result<Document, JsonError> {
        Document::parse(text.as_bytes().to_vec(), &LIMITS)
    }

    #[test]
    fn duplicate_names_are_found_at_any_depth_and_in_any_spelling() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"b":2,"\u0061":2}"#,
            r#"{"x":[{"k":{"a":1,"b":0,"\u0061":2}}]}"#,
            r#"{"":1,"":1}"#,
            r#"{"\ud83d\ude00":1,"😀":1}"#,
        ] {
            assert_eq!(
                parse(text).err(),
                Some(JsonError::DuplicateMember),
                "{text}"
            );
        }
        let many: Vec<String> = (0..100).map(|n| format!("\"k{n}\":0")).collect();
        assert!(parse(&format!("{{{}}}", many.join(","))).is_ok());
        assert_eq!(
            parse(&format!("{{{},\"k7\":1}}", many.join(","))).err(),
            Some(JsonError::DuplicateMember)
        );
        // Unicode forms are not folded: these are two names (RFC 8259 §8.3).
        assert!(parse("{\"é\":1,\"e\u{301}\":2}").is_ok());
    }

    #[test]
    fn limits_hold() {
        assert!(parse("[[[[]]]]").is_ok());
        assert_eq!(parse("[[[[[]]]]]").err(), Some(JsonError::TooDeep));
        assert_eq!(
            parse(&format!("[{}0]", "0,".repeat(600))).err(),
            Some(JsonError::TooMany)
        );
        assert_eq!(parse(&" ".repeat(10_001)).err(), Some(JsonError::TooLong));
        assert_eq!(
            parse("18446744073709551616").err(),
            Some(JsonError::NumberRange { at: 0 })
        );
        assert_eq!(
            parse("[1e400]").err(),
            Some(JsonError::NumberRange { at: 1 })
        );
        assert!(parse("[18446744073709551615,-9223372036854775808]").is_ok());
    }

    #[test]
    fn the_word_wise_scan_stops_where_the_byte_wise_one_does() {
        let plain = |bytes: &[u8]| {
            bytes
                .iter()
                .position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')
                .unwrap_or(bytes.len())
        };
        for special in 0..=255u8 {
            for length in 1..26 {
                for place in 0..length {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = special;
                    if place + 1 < length {
                        bytes[place + 1] = 0x21;
                    }
                    assert_eq!(plain_length(&bytes), plain(&bytes), "{bytes:?}");
                }
            }
        }
    }
}
