//! base64url exactly as RFC 7515 §2 wants it: no padding, no white space, no spare bits.
//!
//! A lenient decoder gives one token several texts, which is how deny lists and caches are walked
//! around (RFC 8725bis §3.14).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Encodes without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes one segment, or answers `None` where a byte is outside the alphabet, the length is
/// impossible, padding is present or the last character carries bits that mean nothing.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Decodes into `buffer` and answers the part that was filled; `None` also where it does not fit.
pub(crate) fn decode_into<'b>(text: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let length = URL_SAFE_NO_PAD.decode_slice(text, buffer).ok()?;
    buffer.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_one_encoding_of_some_bytes_is_refused() {
        assert_eq!(decode("Zm9v").as_deref(), Some(b"foo".as_slice()));
        assert_eq!(decode(""), Some(Vec::new()));
        for bad in [
            "Zg==", "Zm8=", "Zh", "Z", "Zm 9v", "Zm9v\n", "Zm+v", "Zm/v", "Zm9v.", "é",
        ] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
