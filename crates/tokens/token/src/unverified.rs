//! Reading a token without believing it: for tools that show or compare tokens.
//!
//! Nothing here verifies anything. It is as strict about the form as the verifier, but it does not
//! mind an unknown algorithm, an unsupported header member or an expired date: those are what a
//! reader wants to see.

use std::fmt;

use crate::base64url;
use crate::json::{Document, JsonError, Limits};

/// The longest token that is looked at, in bytes.
const MAX_LENGTH: usize = 1 << 20;
/// Wider than the verifier's, so that a token which it refuses for its size can still be shown.
const LIMITS: Limits = Limits {
    max_bytes: MAX_LENGTH,
    max_depth: 64,
    max_values: 65_536,
    max_members: 16_384,
};

/// A decoded token of which nothing is known to be true.
#[derive(Clone)]
pub struct Unverified {
    header: Document,
    claims: Document,
    signature: Vec<u8>,
}

/// Why a text cannot be read as a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// Longer than 1 MiB.
    #[error("text is longer than 1 MiB")]
    TooLong,
    /// Not three segments with dots between.
    #[error("text is not a JWS in compact serialization: {0} segments instead of 3")]
    Segments(usize),
    /// A segment is not strict base64url.
    #[error("{0} is not base64url without padding")]
    Base64(&'static str),
    /// A segment is no strict JSON.
    #[error("{0}: {1}")]
    Json(&'static str, JsonError),
}

/// Decodes a token and believes nothing of it.
///
/// # Errors
/// [`InspectError`] where it has not the form of a JWT.
pub fn inspect(token: &str) -> Result<Unverified, InspectError> {
    if token.len() > MAX_LENGTH {
        return Err(InspectError::TooLong);
    }
    let mut segments = token.split('.');
    let (Some(header), Some(claims), Some(signature), None) = (
        segments.next(),
        segments.next(),
        segments.next(),
        segments.next(),
    ) else {
        return Err(InspectError::Segments(token.split('.').count()));
    };
    let document = |segment: &str, name| {
        let bytes = base64url::decode(segment).ok_or(InspectError::Base64(name))?;
        Document::parse(bytes, &LIMITS).map_err(|error| InspectError::Json(name, error))
    };
    Ok(Unverified {
        header: document(header, "header")?,
        claims: document(claims, "claims")?,
        signature: base64url::decode(signature).ok_or(InspectError::Base64("signature"))?,
    })
}

impl Unverified {
    /// The header as it says of itself.
    pub fn header(&self) -> &Document {
        &self.header
    }

    /// The claims as they say of themselves.
    pub fn claims(&self) -> &Document {
        &self.claims
    }

    /// The bytes in the place of the signature, which may be none.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl fmt::Debug for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_verifier_refuses_can_still_be_looked_at() {
        let token = format!(
            "{}.{}.",
            base64url::encode(br#"{"alg":"none","jku":"https://evil.example"}"#),
            base64url::encode(br#"{"exp":0}"#)
        );
        let token = inspect(&token).unwrap();
        assert_eq!(
            token.header().root().get("alg").unwrap().as_str(),
            Some("none")
        );
        assert_eq!(token.claims().text(), r#"{"exp":0}"#);
        assert!(token.signature().is_empty());
    }

    #[test]
    fn what_is_no_token_is_said_to_be_none() {
        assert_eq!(inspect("opaque").unwrap_err(), InspectError::Segments(1));
        assert_eq!(inspect("a.b.c.d.e").unwrap_err(), InspectError::Segments(5));
        assert_eq!(
            inspect("e30=.e30.x").unwrap_err(),
            InspectError::Base64("header")
        );
        assert_eq!(
            inspect("e30.e30e30.").unwrap_err(),
            InspectError::Base64("claims")
        );
    }
}
