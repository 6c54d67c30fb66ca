//! The multiplexed stream in which the engine sends the output of a container without a terminal:
//! frames of an 8-byte header (kind, three zero bytes, big-endian length) and a payload.

use crate::Error;

/// Which stream a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Where it was written.
    pub kind: Kind,
    /// What was written.
    pub bytes: Vec<u8>,
}

/// Writes `bytes` as frames of at most 16 KiB.
pub fn encode(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    for part in bytes.chunks(16 * 1024) {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&[
            match kind {
                Kind::Stdout => 1,
                Kind::Stderr => 2,
            },
            0,
            0,
            0,
        ]);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// Reads a complete stream.
///
/// # Errors
/// [`Error::Frames`] with the offset, when a frame is of an unknown kind or cut short.
pub fn decode(bytes: &[u8]) -> Result<Vec<Frame>, Error> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let Some(([kind, 0, 0, 0, length @ ..], rest)) = bytes[at..].split_first_chunk::<8>()
        else {
            return Err(Error::Frames(at));
        };
        let kind = match kind {
            0 | 1 => Kind::Stdout,
            2 => Kind::Stderr,
            _ => return Err(Error::Frames(at)),
        };
        let length = u32::from_be_bytes(*length) as usize;
        let Some(payload) = rest.get(..length) else {
            return Err(Error::Frames(at));
        };
        frames.push(Frame {
            kind,
            bytes: payload.to_vec(),
        });
        at += 8 + length;
    }
    Ok(frames)
}

/// All output of a stream as text, standard error among standard output as it came.
///
/// # Errors
/// As [`decode`].
pub fn text(bytes: &[u8]) -> Result<String, Error> {
    let mut all = Vec::new();
    for frame in decode(bytes)? {
        all.extend_from_slice(&frame.bytes);
    }
    Ok(String::from_utf8_lossy(&all).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_the_same_bytes() {
        let long = vec![b'x'; 40_000];
        let mut wire = encode(Kind::Stdout, &long);
        wire.extend(encode(Kind::Stderr, b"oops\n"));
        let frames = decode(&wire).unwrap();
        assert_eq!(frames.len(), 4);
        assert_eq!(frames[3].kind, Kind::Stderr);
        assert_eq!(text(&wire).unwrap().len(), 40_005);
    }

    #[test]
    fn a_cut_or_foreign_stream_is_an_error_and_no_panic() {
        let wire = encode(Kind::Stdout, b"hello");
        for end in 1..wire.len() {
            assert!(decode(&wire[..end]).is_err(), "cut at {end}");
        }
        assert!(decode(b"HTTP/1.1 200").is_err());
        assert!(decode(&[9, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(decode(&[1, 0, 0, 0, 255, 255, 255, 255]).is_err());
    }
}
