//! Strict JSON, read in one pass over the bytes.
//!
//! RFC 8259 leaves open what a reader does with duplicate member names, with lone surrogates and
//! with numbers that it cannot hold, and every one of these has been used to make two readers see
//! two different tokens (RFC 8725bis §3.7). Here all of them are refused, at every depth, and size,
//! depth and number of values are bounded.

mod read;
mod value;

pub(crate) use value::Place;
pub use value::{Elements, Members, Value};

use std::fmt;

/// What a document may hold at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the text. Never more than [`Limits::MAX_BYTES`] is read, whatever stands here.
    pub max_bytes: usize,
    /// Arrays and objects inside one another; a scalar alone has depth 0. At most
    /// [`Limits::MAX_DEPTH`].
    pub max_depth: usize,
    /// Values in the whole document, member names included.
    pub max_values: usize,
    /// Members of one object.
    pub max_members: usize,
}

impl Limits {
    /// The most bytes that any document may have, 16 MiB.
    pub const MAX_BYTES: usize = 16 << 20;
    /// The deepest nesting that any document may have: the reader calls itself.
    pub const MAX_DEPTH: usize = 64;

    /// For a token's claims: 64 KiB, depth 16, 4096 values, 256 members.
    pub const CLAIMS: Limits = Limits {
        max_bytes: 64 << 10,
        max_depth: 16,
        max_values: 4096,
        max_members: 256,
    };
    /// For a JOSE header: 4 KiB, depth 6, 128 values, 32 members.
    pub const HEADER: Limits = Limits {
        max_bytes: 4 << 10,
        max_depth: 6,
        max_values: 128,
        max_members: 32,
    };
    /// For a JWK set, a discovery document or an introspection answer: 1 MiB, depth 16, 32,768
    /// values, 1024 members.
    pub const KEYS: Limits = Limits {
        max_bytes: 1 << 20,
        max_depth: 16,
        max_values: 32_768,
        max_members: 1024,
    };
}

/// Why a text is no JSON document that this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Longer than the limit.
    #[error("JSON text is too long")]
    TooLong,
    /// Not UTF-8.
    #[error("JSON text is not UTF-8")]
    NotUtf8,
    /// Not JSON by RFC 8259, at this byte.
    #[error("JSON is malformed at byte {at}")]
    Syntax {
        /// Offset from the start of the text.
        at: usize,
    },
    /// Bytes follow the value.
    #[error("JSON is followed by something else at byte {at}")]
    Trailing {
        /// Offset from the start of the text.
        at: usize,
    },
    /// An object has two members of one name, after escapes are resolved.
    #[error("JSON object has a member name twice")]
    DuplicateMember,
    /// An escape names half of a surrogate pair, which is no character.
    #[error("JSON string has a lone surrogate at byte {at}")]
    LoneSurrogate {
        /// Offset from the start of the text.
        at: usize,
    },
    /// An integer beyond 64 bits, or a number that no double can hold.
    #[error("JSON number is out of range at byte {at}")]
    NumberRange {
        /// Offset from the start of the text.
        at: usize,
    },
    /// Nested too deep.
    #[error("JSON is nested too deep")]
    TooDeep,
    /// Too many values, or too many members in one object.
    #[error("JSON has too many values")]
    TooMany,
}

/// A JSON document that was read strictly: its text and an index into it.
///
/// Strings without escapes are slices of the text; only those with escapes are copied.
#[derive(Clone)]
pub struct Document {
    text: Box<str>,
    /// Strings that had escapes, resolved, one behind the other.
    resolved: Box<str>,
    nodes: Box<[Node]>,
}

#[derive(Clone, Copy, Default)]
struct Node {
    kind: Kind,
    /// Strings and numbers: where they start. Arrays and objects: how many children.
    start: u32,
    /// Strings and numbers: where they end. Arrays and objects: the node behind the last child.
    end: u32,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Null,
    False,
    True,
    Integer,
    Float,
    /// A slice of the text.
    Plain,
    /// A slice of the resolved strings.
    Escaped,
    Array,
    Object,
}

impl Document {
    /// Reads `bytes` whole.
    ///
    /// # Errors
    /// [`JsonError`] for anything that is not exactly one JSON value within `limits`.
    pub fn parse(bytes: Vec<u8>, limits: &Limits) -> Result<Document, JsonError> {
        if bytes.len() > limits.max_bytes.min(Limits::MAX_BYTES) {
            return Err(JsonError::TooLong);
        }
        let text = String::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
        read::read(text, limits)
    }

    /// The value at the top.
    pub fn root(&self) -> Value<'_> {
        Value::at(self, 0)
    }

    /// The text as it came.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Shows the size alone: documents here are tokens and answers of issuers.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}
