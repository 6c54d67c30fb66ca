//! Where a claim stands.

use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::claims::{Claims, texts};
use crate::json::Value;

/// The member names that lead to a claim. Written as a text with dots between them
/// (`realm_access.roles`), or as a list where a name has dots of its own
/// (`["https://example.com/roles"]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// The text at this place.
    #[must_use]
    pub fn text<'c>(&self, claims: &'c Claims) -> Option<&'c str> {
        claims.at_path(&self.0)?.as_str()
    }

    /// The texts at this place: one alone, or the elements of a list as [`Claims::roles`] reads
    /// them.
    pub fn texts<'c>(&self, claims: &'c Claims) -> impl Iterator<Item = &'c str> + use<'c> {
        let found = claims.at_path(&self.0);
        let alone = found.and_then(Value::as_str);
        alone.into_iter().chain(found.into_iter().flat_map(texts))
    }
}

/// The names with dots between them.
impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Dotted(String),
    Listed(Vec<String>),
}

impl<'de> Deserialize<'de> for ClaimPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = match Written::deserialize(deserializer) {
            Ok(Written::Dotted(text)) => text.split('.').map(str::to_owned).collect(),
            Ok(Written::Listed(names)) => names,
            Err(_) => Vec::new(),
        };
        match names.is_empty() || names.iter().any(String::is_empty) {
            true => Err(serde::de::Error::custom(
                "a claim is named by a text such as `realm_access.roles`, or by a list of names",
            )),
            false => Ok(Self(names)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Document, Limits};

    fn claims() -> Claims {
        let json = r#"{"sub":"s","a":{"roles":["x",1,{"value":"y"},{"value":2}],"one":"z",
            "alone":{"value":"v"}},"https://e.com/r":["w"],"n":5}"#;
        Claims::read(Document::parse(json.into(), &Limits::CLAIMS).unwrap()).unwrap()
    }

    #[test]
    fn a_path_leads_to_its_claim_and_no_other() {
        let claims = claims();
        let path = |written: &str| serde_json::from_str::<ClaimPath>(written).unwrap();
        let texts = |written| path(written).texts(&claims).collect::<Vec<_>>();
        assert_eq!(texts(r#""a.roles""#), ["x", "y"]);
        assert_eq!(texts(r#""a.one""#), ["z"]);
        assert_eq!(texts(r#"["https://e.com/r"]"#), ["w"]);
        assert!(texts(r#""https://e.com/r""#).is_empty());
        assert!(texts(r#""n""#).is_empty());
        assert!(texts(r#""a.alone""#).is_empty());
        assert_eq!(path(r#""a.one""#).text(&claims), Some("z"));
        assert_eq!(path(r#""a.roles""#).text(&claims), None);
        for bad in [r#""""#, r#""a..b""#, "[]", r#"["a",""]"#, "5"] {
            assert!(serde_json::from_str::<ClaimPath>(bad).is_err(), "{bad}");
        }
    }
}
