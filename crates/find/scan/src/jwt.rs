//! An unverified view of a token in the JWS compact serialization (RFC 7515, section 7.1).
//!
//! The scan looks at its own identities' tokens this way to know what to mangle; it decides nothing
//! from what stands in them. It reads as loosely as the services that it meets: what
//! `cofferdam_token::inspect` refuses, such as a member that comes twice, an issuer may still write.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// What stands in a token, unverified.
#[derive(Debug, Clone, PartialEq)]
pub struct Jwt {
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
    /// The length of the signature in bytes; the signature itself is not kept.
    pub signature_length: usize,
}

impl Jwt {
    /// Reads `token`, or `None` when it is no JWT: three parts, the first two JSON objects.
    pub fn read(token: &str) -> Option<Self> {
        // A token that a server accepts in a header is far below this.
        if token.len() > 64 * 1024 {
            return None;
        }
        let mut parts = token.split('.');
        let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self {
            header: object(header)?,
            claims: object(claims)?,
            signature_length: URL_SAFE_NO_PAD.decode(signature).ok()?.len(),
        })
    }

    /// The `alg` of the header.
    pub fn algorithm(&self) -> Option<&str> {
        self.header.get("alg").and_then(Value::as_str)
    }

    /// A claim that is a string.
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    /// The scopes: `scope` as whole, space-separated tokens (RFC 8693, section 4.2), or the array
    /// or string in `scp`, `scopes`, `permissions` that some issuers write instead.
    pub fn scopes(&self) -> Option<Vec<String>> {
        ["scope", "scp", "scopes", "permissions"]
            .iter()
            .find_map(|name| match self.claims.get(*name)? {
                Value::String(text) => {
                    Some(text.split_ascii_whitespace().map(str::to_owned).collect())
                }
                Value::Array(list) => Some(
                    list.iter()
                        .filter_map(Value::as_str)
                        .map(str::to_owned)
                        .collect(),
                ),
                _ => None,
            })
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims),
            URL_SAFE_NO_PAD.encode("sig")
        )
    }

    #[test]
    fn the_view_reads_header_claims_and_scopes() {
        let jwt = Jwt::read(&token(
            r#"{"alg":"HS256"}"#,
            r#"{"sub":"a","scope":"x:read x:read-write"}"#,
        ))
        .unwrap();
        assert_eq!(jwt.algorithm(), Some("HS256"));
        assert_eq!(jwt.text("sub"), Some("a"));
        assert_eq!(jwt.scopes().unwrap(), ["x:read", "x:read-write"]);
        assert_eq!(jwt.signature_length, 3);
    }

    #[test]
    fn an_opaque_token_is_no_jwt() {
        for text in ["", "abc", "a.b", "a.b.c", "a.b.c.d", "..", "é.é.é"] {
            assert_eq!(Jwt::read(text), None, "{text}");
        }
    }
}
