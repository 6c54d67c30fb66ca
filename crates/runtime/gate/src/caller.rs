//! Who asks: the token that a request carries, verified before anything else of it is looked at.
//!
//! The broker verifies the token once more. The gate does it so that a stranger gets no further
//! than here, and hears what to do.

mod keys;
mod verify;

pub(crate) use keys::Keys;
pub use keys::KeysError;
pub use verify::Unauthenticated;
pub(crate) use verify::{Authenticator, Presented, verifier};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The SHA-256 of a certificate in unpadded base64url (RFC 8705 §3.1).
pub(crate) fn thumbprint(der: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, der))
}
