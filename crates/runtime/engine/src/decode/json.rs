//! JSON as Go's decoder takes it: repeated members in their order, broken UTF-8 and lone surrogates
//! replaced, and only the first value looked at.

use serde_json::{Map, Value};

/// How deep Go's decoder follows brackets.
const DEPTH: usize = 10_000;
/// How deep a value is kept. No body that the engine knows is deeper, so what lies below can only be
/// ignored or of the wrong kind; this bounds the recursion of whoever walks the value.
const KEPT: usize = 64;

/// One value as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// The digits as sent.
    Number(String),
    Text(String),
    List(Vec<Json>),
    /// In the order of sending, with every repetition.
    Object(Vec<(String, Json)>),
}

/// What is wrong with the text, and where.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("unexpected end of JSON input")]
    End,
    #[error("invalid character at byte {0} of the JSON input")]
    At(usize),
    #[error("exceeded max depth")]
    Depth,
}

/// Reads the first value.
pub(super) fn parse(bytes: &[u8]) -> Result<Json, Problem> {
    let mut parser = Parser { bytes, at: 0 };
    parser.value(0)
}

impl Json {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "bool",
            Json::Number(_) => "number",
            Json::Text(_) => "string",
            Json::List(_) => "array",
            Json::Object(_) => "object",
        }
    }

    /// As Go's `interface{}` holds it: the last of repeated members.
    pub(super) fn into_value(self) -> Value {
        match self {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(flag),
            Json::Number(digits) => serde_json::from_str(&digits).unwrap_or(Value::Null),
            Json::Text(text) => Value::String(text),
            Json::List(items) => items.into_iter().map(Json::into_value).collect(),
            Json::Object(members) => Value::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (name, value.into_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn value(&mut self, depth: usize) -> Result<Json, Problem> {
        match self.peek()? {
            b'{' | b'[' if depth == KEPT => {
                self.skip(depth)?;
                Ok(Json::Null)
            }
            b'{' => {
                self.at += 1;
                let mut members = Vec::new();
                if self.take(b'}')? {
                    return Ok(Json::Object(members));
                }
                loop {
                    let name = self.name()?;
                    members.push((name, self.value(depth + 1)?));
                    if !self.more(b'}')? {
                        return Ok(Json::Object(members));
                    }
                }
            }
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                if self.take(b']')? {
                    return Ok(Json::List(items));
                }
                loop {
                    items.push(self.value(depth + 1)?);
                    if !self.more(b']')? {
                        return Ok(Json::List(items));
                    }
                }
            }
            _ => self.scalar(),
        }
    }

    /// Walks over a list or an object without recursion and checks its form.
    fn skip(&mut self, depth: usize) -> Result<(), Problem> {
        let mut open = Vec::new();
        loop {
            // A value begins here.
            let end = match self.peek()? {
                b'{' => Some(b'}'),
                b'[' => Some(b']'),
                _ => None,
            };
            if let Some(end) = end {
                self.at += 1;
                if depth + open.len() >= DEPTH {
                    return Err(Problem::Depth);
                }
                if !self.take(end)? {
                    open.push(end);
                    if end == b'}' {
                        self.name()?;
                    }
                    continue;
                }
            } else {
                self.scalar()?;
            }
            // A value has ended here.
            loop {
                let Some(&end) = open.last() else {
                    return Ok(());
                };
                if self.more(end)? {
                    if end == b'}' {
                        self.name()?;
                    }
                    break;
                }
                open.pop();
            }
        }
    }

    fn scalar(&mut self) -> Result<Json, Problem> {
        match self.peek()? {
            b'"' => self.text().map(Json::Text),
            b't' => self.word(b"true", Json::Bool(true)),
            b'f' => self.word(b"false", Json::Bool(false)),
            b'n' => self.word(b"null", Json::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(Problem::At(self.at)),
        }
    }

    /// A member's name and the colon after it.
    fn name(&mut self) -> Result<String, Problem> {
        if self.peek()? != b'"' {
            return Err(Problem::At(self.at));
        }
        let name = self.text()?;
        match self.take(b':')? {
            true => Ok(name),
            false => Err(Problem::At(self.at)),
        }
    }

    /// Whether a comma follows rather than `end`.
    fn more(&mut self, end: u8) -> Result<bool, Problem> {
        if self.take(b',')? {
            return Ok(true);
        }
        match self.take(end)? {
            true => Ok(false),
            false => Err(Problem::At(self.at)),
        }
    }

    fn word(&mut self, word: &[u8], value: Json) -> Result<Json, Problem> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(Problem::At(self.at));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Json, Problem> {
        let start = self.at;
        let rest = &self.bytes[start..];
        let length = rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte))
            .count();
        self.at += length;
        let digits = String::from_utf8_lossy(&rest[..length]).into_owned();
        // The grammar of numbers is the same everywhere, so another reader may judge it.
        match serde_json::from_str::<serde_json::Number>(&digits) {
            Ok(_) => Ok(Json::Number(digits)),
            // A number beyond every range is one to Go until it is stored.
            Err(error) if error.to_string().contains("out of range") => Ok(Json::Number(digits)),
            Err(_) => Err(Problem::At(start)),
        }
    }

    fn text(&mut self) -> Result<String, Problem> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let start = self.at;
            while self
                .byte()
                .is_some_and(|b| b >= 0x20 && b != b'"' && b != b'\\')
            {
                self.at += 1;
            }
            text.push_str(&String::from_utf8_lossy(&self.bytes[start..self.at]));
            match self.byte().ok_or(Problem::End)? {
                b'"' => {
                    self.at += 1;
                    return Ok(text);
                }
                b'\\' => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                _ => return Err(Problem::At(self.at)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Problem> {
        let letter = match self.byte().ok_or(Problem::End)? {
            letter @ (b'"' | b'\\' | b'/') => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.unit(self.at + 1)?;
                self.at += 5;
                if let Some(letter) = char::from_u32(first) {
                    return Ok(letter);
                }
                // The first half of a pair, when the second half follows; else it stands alone.
                if self.bytes[self.at..].starts_with(b"\\u") {
                    let pair = [first, self.unit(self.at + 2)?]
                        .map(|unit| u16::try_from(unit).unwrap_or_default());
                    if let Some(Ok(letter)) = char::decode_utf16(pair).next() {
                        self.at += 6;
                        return Ok(letter);
                    }
                }
                return Ok(char::REPLACEMENT_CHARACTER);
            }
            _ => return Err(Problem::At(self.at)),
        };
        self.at += 1;
        Ok(letter)
    }

    /// Four hexadecimal digits.
    fn unit(&self, at: usize) -> Result<u32, Problem> {
        let digits = self.bytes.get(at..at + 4).ok_or(Problem::End)?;
        digits.iter().try_fold(0, |unit, digit| {
            let digit = char::from(*digit).to_digit(16).ok_or(Problem::At(at))?;
            Ok(unit * 16 + digit)
        })
    }

    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Result<u8, Problem> {
        while self.byte().is_some_and(|byte| b" \t\r\n".contains(&byte)) {
            self.at += 1;
        }
        self.byte().ok_or(Problem::End)
    }

    fn take(&mut self, wanted: u8) -> Result<bool, Problem> {
        let found = self.peek()? == wanted;
        self.at += usize::from(found);
        Ok(found)
    }
}
