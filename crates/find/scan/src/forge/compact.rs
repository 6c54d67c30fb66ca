//! A token in the JWS compact serialization that can be taken apart and put together again.
//!
//! [`Jwt`](crate::Jwt) is the view for reading; this one keeps the signature, since a forgery may
//! carry the original's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// A valid token, taken apart. It holds a live credential, so it has no `Debug`.
#[derive(Clone)]
pub(crate) struct Compact {
    /// The JOSE header.
    pub(crate) header: Map<String, Value>,
    /// The claims.
    pub(crate) claims: Map<String, Value>,
    /// The signature as it stands in the token, base64url.
    pub(crate) signature: String,
}

impl Compact {
    /// Takes `token` apart, or `None` when it is no signed JWT.
    pub(crate) fn read(token: &str) -> Option<Self> {
        let jwt = crate::Jwt::read(token)?;
        let signature = token.rsplit('.').next()?.to_owned();
        (!signature.is_empty()).then_some(Self {
            header: jwt.header,
            claims: jwt.claims,
            signature,
        })
    }

    /// The `alg` of the header; empty when there is none.
    pub(crate) fn algorithm(&self) -> &str {
        self.header
            .get("alg")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The same with one claim set.
    #[must_use]
    pub(crate) fn with_claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// The same with one member of the header set.
    #[must_use]
    pub(crate) fn with_header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// What is signed: header and claims, encoded (RFC 7515, section 5.1).
    pub(crate) fn signing_input(&self) -> String {
        format!("{}.{}", encode(&self.header), encode(&self.claims))
    }

    /// The whole token with this signature.
    pub(crate) fn sealed(&self, signature: &[u8]) -> String {
        format!(
            "{}.{}",
            self.signing_input(),
            URL_SAFE_NO_PAD.encode(signature)
        )
    }

    /// The name of the claim that holds the scopes, and their list: see [`crate::Jwt::scopes`].
    pub(crate) fn scopes(&self) -> Option<(&'static str, Vec<String>)> {
        let name = ["scope", "scp", "scopes", "permissions"]
            .into_iter()
            .find(|name| {
                matches!(
                    self.claims.get(*name),
                    Some(Value::String(_) | Value::Array(_))
                )
            })?;
        let scopes = match self.claims.get(name)? {
            Value::String(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
            Value::Array(list) => list
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => return None,
        };
        Some((name, scopes))
    }

    /// The same with these scopes, in the claim and the JSON type in which the token has its own.
    /// `None` when it has none.
    pub(crate) fn with_scopes(self, scopes: &[String]) -> Option<Self> {
        let (name, _) = self.scopes()?;
        let value = match self.claims.get(name)? {
            Value::Array(_) => Value::from(scopes.to_vec()),
            _ => Value::from(scopes.join(" ")),
        };
        Some(self.with_claim(name, value))
    }
}

fn encode(object: &Map<String, Value>) -> String {
    // A map of JSON values always serializes; `Value`'s own Display cannot fail.
    URL_SAFE_NO_PAD.encode(Value::Object(object.clone()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn token(claims: &Value) -> String {
        format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"k"}"#),
            URL_SAFE_NO_PAD.encode(claims.to_string()),
            URL_SAFE_NO_PAD.encode("signature")
        )
    }

    #[test]
    fn an_untouched_token_is_put_together_as_it_was() {
        let text = token(&json!({ "sub": "a", "aud": ["x", "y"], "n": 1.5 }));
        let compact = Compact::read(&text).unwrap();
        assert_eq!(compact.sealed(b"signature"), text);
        assert_eq!(compact.algorithm(), "ES256");
    }

    #[test]
    fn a_token_without_a_signature_is_no_ground_for_a_forgery() {
        let text = token(&json!({}));
        let (unsigned, _) = text.rsplit_once('.').unwrap();
        assert!(Compact::read(&format!("{unsigned}.")).is_none());
        assert!(Compact::read(unsigned).is_none());
    }

    #[test]
    fn scopes_keep_the_claim_and_the_type_of_the_original() {
        let scopes = ["b".to_owned(), "c".to_owned()];
        for (claims, name, expected) in [
            (json!({ "scope": "a" }), "scope", json!("b c")),
            (json!({ "scp": ["a"] }), "scp", json!(["b", "c"])),
        ] {
            let changed = Compact::read(&token(&claims))
                .unwrap()
                .with_scopes(&scopes)
                .unwrap();
            assert_eq!(changed.claims[name], expected);
        }
        let none = Compact::read(&token(&json!({ "sub": "a" }))).unwrap();
        assert!(none.with_scopes(&scopes).is_none());
    }
}
