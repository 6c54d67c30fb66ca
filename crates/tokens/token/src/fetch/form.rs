//! What a client of a token endpoint writes: a form, and who it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// `application/x-www-form-urlencoded`, with every byte that could mean something encoded.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The value of `Authorization` for a client's id and secret: both are form-encoded before they are
/// joined (RFC 6749 §2.3.1).
pub(super) fn basic(id: &str, secret: &str) -> String {
    let pair = format!("{}:{}", encode(id), encode(secret));
    format!("Basic {}", STANDARD.encode(pair))
}
