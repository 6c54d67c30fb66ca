//! A JSON reader that accepts less than the engine's.
//!
//! The engine (Go's `encoding/json`) takes member names in any case, folds U+017F to `s` and U+212A
//! to `k`, merges members that are given twice, stops reading at a stray closing bracket, and turns
//! invalid text into U+FFFD. Each of these makes a body mean one thing to a filter and another to
//! the engine. Here such a body is no JSON (measured: `shared/gate/notes.md`, *Parser facts*).

mod members;

pub(crate) use members::{Default, Members, Never};

use crate::refusal::{Refusal, Rule, quote};

/// Bytes that a JSON body may have: 1 MiB.
pub const MAX_BODY: usize = 1 << 20;
/// Levels of arrays and objects that a JSON body may nest.
pub const MAX_DEPTH: usize = 64;

/// A JSON value. Numbers keep their text, so that no rounding hides a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Array(Vec<Value>),
    /// Members in the order of the body; no name occurs twice.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Reads one document and nothing after it but white space.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.len() > MAX_BODY {
            return Err(Refusal::new(
                Rule::BodySize,
                format!(
                    "the body has {} bytes, more than the {MAX_BODY} allowed",
                    body.len()
                ),
            ));
        }
        let text = std::str::from_utf8(body)
            .map_err(|error| syntax(error.valid_up_to(), "the text is not valid UTF-8"))?;
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.space();
        if reader.at != text.len() {
            return Err(reader.fail("there is more after the document"));
        }
        Ok(value)
    }

    /// Whether the engine would take this for "not given": `null`, `false`, `0`, `""`, `[]`, and
    /// objects that hold nothing else.
    pub(crate) fn is_default(&self) -> bool {
        match self {
            Value::Null | Value::Bool(false) => true,
            Value::Bool(true) => false,
            Value::Number(number) => number == "0",
            Value::Text(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.iter().all(|(_, value)| value.is_default()),
        }
    }

    /// What kind of value this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    /// The same document for serde. Only whole numbers of 64 bits pass: no action has others.
    pub(crate) fn into_serde(self) -> Result<serde_json::Value, Refusal> {
        Ok(match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => value.into(),
            Value::Number(text) => match (text.parse::<i64>(), text.parse::<u64>()) {
                (Ok(number), _) => number.into(),
                (_, Ok(number)) => number.into(),
                _ => {
                    return Err(Refusal::new(
                        Rule::JsonType,
                        format!("{} is no whole number of 64 bits", quote(&text)),
                    ));
                }
            },
            Value::Text(text) => text.into(),
            Value::Array(items) => items
                .into_iter()
                .map(Value::into_serde)
                .collect::<Result<Vec<_>, _>>()?
                .into(),
            Value::Object(members) => serde_json::Value::Object(
                members
                    .into_iter()
                    .map(|(name, value)| Ok((name, value.into_serde()?)))
                    .collect::<Result<_, Refusal>>()?,
            ),
        })
    }
}

/// `name` as Go's `encoding/json` compares it: ASCII case folded, and the two letters outside ASCII
/// that Unicode folds into ASCII ones.
pub(crate) fn fold(name: &str) -> String {
    name.chars()
        .map(|letter| match letter {
            '\u{017f}' => 's',
            '\u{212a}' => 'k',
            _ => letter.to_ascii_lowercase(),
        })
        .collect()
}

fn syntax(at: usize, what: &str) -> Refusal {
    Refusal::new(
        Rule::JsonSyntax,
        format!("the body is not strict JSON: {what} at byte {at}"),
    )
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn fail(&self, what: &str) -> Refusal {
        syntax(self.at, what)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Refusal> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.fail("a value is expected"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Refusal> {
        self.space();
        match self.peek() {
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'[' | b'{') if depth == MAX_DEPTH => Err(self.fail("it nests too deep")),
            Some(b'[') => self.array(depth + 1),
            Some(b'{') => self.object(depth + 1),
            _ => Err(self.fail("a value is expected")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Refusal> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.space();
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            if !self.take(b',') {
                return Err(self.fail("`,` or `]` is expected"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Refusal> {
        self.at += 1;
        let mut members: Vec<(String, Value)> = Vec::new();
        // Names are looked up in a set: a body of 1 MiB can hold 100,000 of them.
        let mut seen = std::collections::HashSet::new();
        self.space();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.fail("a member name is expected"));
            }
            let name = self.string()?;
            if !seen.insert(name.clone()) {
                return Err(Refusal::new(
                    Rule::JsonDuplicate,
                    format!("the member {} is given twice", quote(&name)),
                ));
            }
            self.space();
            if !self.take(b':') {
                return Err(self.fail("`:` is expected"));
            }
            let value = self.value(depth)?;
            members.push((name, value));
            self.space();
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.take(b',') {
                return Err(self.fail("`,` or `}` is expected"));
            }
        }
    }

    fn number(&mut self) -> Result<Value, Refusal> {
        let start = self.at;
        self.take(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return Err(self.fail("a number is malformed"));
        }
        if self.take(b'.') && self.digits() == 0 {
            return Err(self.fail("a number is malformed"));
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return Err(self.fail("a number is malformed"));
            }
        }
        Ok(Value::Number(self.text[start..self.at].to_owned()))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Result<String, Refusal> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest
                .find(|letter: char| matches!(letter, '"' | '\\') || letter < ' ')
                .ok_or_else(|| self.fail("a string does not end"))?;
            string.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => {
                    self.at += 1;
                    string.push(self.escape()?);
                }
                _ => return Err(self.fail("a string holds a control character")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Refusal> {
        let letter = self
            .peek()
            .ok_or_else(|| self.fail("a string does not end"))?;
        self.at += 1;
        Ok(match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.fail("an escape is unknown")),
        })
    }

    fn unicode(&mut self) -> Result<char, Refusal> {
        let first = self.hex()?;
        let code = match first {
            // No argument, variable, path or label of a process can hold a NUL.
            0 => return Err(self.fail("a string holds a NUL")),
            0xd800..=0xdbff => {
                if !(self.take(b'\\') && self.take(b'u')) {
                    return Err(self.fail("a surrogate stands alone"));
                }
                let second = self.hex()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(self.fail("a surrogate stands alone"));
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| self.fail("a surrogate stands alone"))
    }

    fn hex(&mut self) -> Result<u32, Refusal> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or_else(|| self.fail("an escape is malformed"))?;
        let code =
            u32::from_str_radix(digits, 16).map_err(|_| self.fail("an escape is malformed"))?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(body: &[u8]) -> Rule {
        Value::parse(body).expect_err("this body is refused").rule
    }

    #[test]
    fn one_document_is_read_with_white_space_around_it() {
        let value =
            Value::parse(b" {\"a\":[1,-2.5e3,\"x\\u00e9\\ud83d\\ude00\"],\"b\":{}}\n").unwrap();
        let Value::Object(members) = value else {
            panic!("an object")
        };
        assert_eq!(
            members[0].1,
            Value::Array(vec![
                Value::Number("1".into()),
                Value::Number("-2.5e3".into()),
                Value::Text("xé😀".into())
            ])
        );
    }

    #[test]
    fn whatever_the_engine_reads_differently_is_no_json() {
        for body in [
            &b"{}}"[..],
            b"{}] {}",
            b"{}{}",
            b"{}\0\0",
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":\"\\udc00\"}",
            b"{\"a\":\"\\ud800\\u0041\"}",
            b"{\"a\":\"\\u0000\"}",
            b"{\"a\":01}",
            b"{\"a\":1,}",
            b"{'a':1}",
            b"{\"a\":NaN}",
            b"{\"a\":\"\n\"}",
            b"// c\n{}",
            b"",
        ] {
            assert_eq!(
                rule(body),
                Rule::JsonSyntax,
                "{:?}",
                String::from_utf8_lossy(body)
            );
        }
        assert_eq!(rule(b"{\"a\":1,\"a\":1}"), Rule::JsonDuplicate);
        assert_eq!(rule(b"{\"a\":1,\"\\u0061\":1}"), Rule::JsonDuplicate);
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert!(Value::parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(rule(&nested(MAX_DEPTH + 1)), Rule::JsonSyntax);
        assert_eq!(rule(&nested(400_000)), Rule::JsonSyntax);
        assert_eq!(rule(&vec![b' '; MAX_BODY + 1]), Rule::BodySize);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Value::parse(&bytes);
        }

        #[test]
        fn no_text_of_json_letters_makes_the_reader_panic(text in "[\\[\\]{}:,\"\\\\u0-9a-fdtrue. -]{0,60}") {
            let _ = Value::parse(text.as_bytes());
        }

        #[test]
        fn what_serde_json_writes_is_read_alike(text in "[^\u{0}]{0,20}", number in any::<i64>()) {
            let written = serde_json::json!({ "m": text, "n": [number, null, true] });
            let read = Value::parse(written.to_string().as_bytes()).unwrap().into_serde().unwrap();
            prop_assert_eq!(read, written);
        }
    }
}
