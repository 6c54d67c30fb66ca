//! What passes between the gate and the broker over their unix socket.
//!
//! A connection carries one call at a time. The gate sends a [`Call`] frame, the caller's bytes as
//! [`Data`](Frame::Data) frames where the action takes any (an archive, the input of a terminal),
//! and [`End`](Frame::End). The broker sends an [`Answer`] frame, the engine's bytes as `Data`
//! frames, and `End`. Either side ends its direction when it has no more to send, so a half-closed
//! stream stays half open; when both have ended, the connection is free for the next call. Whoever
//! breaks off sends [`Abort`](Frame::Abort) or closes the connection: without an `End`, what came
//! is not whole.
//!
//! Nothing here does I/O: [`encode`] writes to a buffer, [`decode`] reads from one.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::refusal::Refusal;

/// Bytes that a `Call` or an `Answer` may have: a body of one MiB, written as JSON once more.
pub const MAX_MESSAGE: usize = 4 << 20;

/// Bytes that one `Data` frame may have.
pub const MAX_DATA: usize = 64 << 10;

/// Bytes before the payload of a frame: its kind, and the length in big-endian order.
pub const HEADER: usize = 5;

/// What the gate asks of the broker, for the holder of one token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The token as the client sent it. The broker verifies it itself.
    pub token: RawToken,
    /// The SHA-256 of the client's certificate on the gate's TLS connection, in unpadded base64url,
    /// for tokens that are bound to one (RFC 8705).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// What it is about.
    pub ask: Ask,
}

/// What a call is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// An action is to be done.
    Act(Box<Action>),
    /// The gate has refused a request, since it is no action; the audit log shall have it.
    Refused {
        /// The method and the path, without the query, cut to 256 bytes.
        route: String,
        /// Why.
        refusal: Refusal,
    },
}

/// A bearer token. Neither `Debug` nor an error shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawToken(String);

/// What the broker answers to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The request's id, made by the broker: 32 lower-case hex digits. The audit log has it.
    pub request: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The engine did it; the body follows.
    Done(Done),
    /// It was refused, or failed; no body follows.
    Refused(Refused),
}

/// The head of the engine's answer, as far as a client hears of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// The status: 2xx or 304.
    pub status: u16,
    /// The type of the body, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `X-Docker-Container-Path-Stat`: base64 of JSON, for archives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_stat: Option<String>,
    /// What follows.
    pub body: Body,
}

/// What follows an answer's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Nothing.
    Empty,
    /// So many bytes.
    Sized(u64),
    /// Bytes until the end, as they come.
    Stream,
    /// Bytes in both directions: the connection to the engine was hijacked.
    Streams,
}

/// Why there is no answer of the engine, or that it said no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Who refused.
    pub by: By,
    /// The HTTP status for both dialects.
    pub status: u16,
    /// The sentence for people, which names the rule, the field and the reason.
    pub message: String,
    /// The id of the rule or of the policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// The scope that is missing, where it is that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Seconds after which another try may be answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

/// Who refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The token is not valid (401).
    Token,
    /// The token lacks the scope (403).
    Scope,
    /// There is no such object, or it is another's: the same answer (404).
    Ownership,
    /// The floor.
    Floor,
    /// A policy.
    Policy,
    /// The engine said no.
    Engine,
    /// The broker could not: its log is full, the engine does not answer, too much at once.
    Broker,
}

/// One frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A [`Call`] as JSON.
    Call(Bytes),
    /// An [`Answer`] as JSON.
    Answer(Bytes),
    /// Bytes of a body.
    Data(Bytes),
    /// The end of one direction.
    End,
    /// The other side has broken off; why, in a few words.
    Abort(Bytes),
}

/// What is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The kind does not exist.
    Kind(u8),
    /// The payload is longer than its kind may be.
    Length(u32),
}

impl RawToken {
    /// Takes a token as it came.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The token, for the verifier alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for RawToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawToken(…)")
    }
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameError::Kind(kind) => write!(f, "there is no frame of kind {kind}"),
            FrameError::Length(length) => write!(f, "a frame of {length} bytes is too long"),
        }
    }
}

impl std::error::Error for FrameError {}

const CALL: u8 = 1;
const ANSWER: u8 = 2;
const DATA: u8 = 3;
const END: u8 = 4;
const ABORT: u8 = 5;

/// Bytes of text that an `Abort` may have.
const MAX_ABORT: usize = 1024;

/// Bytes that a frame of this kind may have; none where there is no such kind.
const fn longest(kind: u8) -> Option<usize> {
    match kind {
        CALL | ANSWER => Some(MAX_MESSAGE),
        DATA => Some(MAX_DATA),
        END => Some(0),
        ABORT => Some(MAX_ABORT),
        _ => None,
    }
}

/// Writes a frame at the end of a buffer. `Data` longer than [`MAX_DATA`] becomes several frames,
/// and an empty one none; the text of an `Abort` is cut.
///
/// # Errors
/// [`FrameError::Length`] for a message above [`MAX_MESSAGE`]. Then nothing is written.
pub fn encode(frame: &Frame, buffer: &mut BytesMut) -> Result<(), FrameError> {
    let (kind, payload): (u8, &[u8]) = match frame {
        Frame::Call(payload) => (CALL, payload),
        Frame::Answer(payload) => (ANSWER, payload),
        Frame::Data(payload) => {
            for part in payload.chunks(MAX_DATA) {
                put(DATA, part, buffer);
            }
            return Ok(());
        }
        Frame::End => (END, &[]),
        Frame::Abort(text) => (ABORT, &text[..text.len().min(MAX_ABORT)]),
    };
    if payload.len() > MAX_MESSAGE {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        return Err(FrameError::Length(length));
    }
    put(kind, payload, buffer);
    Ok(())
}

/// `payload` is at most [`MAX_MESSAGE`], so its length fits.
fn put(kind: u8, payload: &[u8], buffer: &mut BytesMut) {
    buffer.reserve(HEADER + payload.len());
    buffer.put_u8(kind);
    buffer.put_u32(payload.len() as u32);
    buffer.put_slice(payload);
}

/// Takes the first frame out of a buffer; nothing where it is not whole yet. The length is judged
/// before the payload is waited for, so a buffer never needs more than [`MAX_MESSAGE`].
///
/// # Errors
/// What is no frame; the connection is of no use after it.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some((&[kind, a, b, c, d], _)) = buffer.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    let longest = longest(kind).ok_or(FrameError::Kind(kind))?;
    if length as usize > longest {
        return Err(FrameError::Length(length));
    }
    if buffer.len() < HEADER + length as usize {
        return Ok(None);
    }
    buffer.advance(HEADER);
    let payload = buffer.split_to(length as usize).freeze();
    Ok(Some(match kind {
        CALL => Frame::Call(payload),
        ANSWER => Frame::Answer(payload),
        DATA => Frame::Data(payload),
        END => Frame::End,
        _ => Frame::Abort(payload),
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        let call = Call {
            token: RawToken::new("secret"),
            certificate: None,
            ask: Ask::Act(Box::new(Action::Ping)),
        };
        assert!(!format!("{call:?}").contains("secret"));
        let json = serde_json::to_vec(&call).unwrap();
        assert_eq!(serde_json::from_slice::<Call>(&json).unwrap(), call);
    }

    #[test]
    fn a_length_is_judged_before_the_payload_comes() {
        let mut buffer = BytesMut::from(&[DATA, 0xff, 0xff, 0xff, 0xff][..]);
        assert_eq!(decode(&mut buffer), Err(FrameError::Length(u32::MAX)));
        let mut buffer = BytesMut::from(&[9, 0, 0, 0, 0][..]);
        assert_eq!(decode(&mut buffer), Err(FrameError::Kind(9)));
        let mut buffer = BytesMut::from(&[END, 0, 0, 0, 1][..]);
        assert_eq!(decode(&mut buffer), Err(FrameError::Length(1)));
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_are_cut(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..8),
            cut in 1usize..64,
        ) {
            let frames: Vec<Frame> = payloads
                .into_iter()
                .map(|bytes| Frame::Data(bytes.into()))
                .chain([Frame::End])
                .collect();
            let mut wire = BytesMut::new();
            for frame in &frames {
                encode(frame, &mut wire).unwrap();
            }
            let (mut buffer, mut read) = (BytesMut::new(), Vec::new());
            for part in wire.chunks(cut) {
                buffer.extend_from_slice(part);
                while let Some(frame) = decode(&mut buffer).unwrap() {
                    read.push(frame);
                }
            }
            prop_assert_eq!(read, frames);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = decode(&mut buffer) {}
        }
    }
}
