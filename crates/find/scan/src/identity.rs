//! Whom the scan speaks as.

use std::fmt;
use thiserror::Error;
use zeroize::Zeroize;

/// Text that never shows itself: not in `Debug`, not in `Display`, and wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the wire and for computing with it; never for a message.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A holder of a token. The name is reported, the token never.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The name that reports use.
    pub name: String,
    /// The token as it was issued.
    pub token: Secret,
    /// How the token is put on a request.
    pub template: Template,
    /// The scopes that its holder should have, where the user said so.
    pub scopes: Option<Vec<String>>,
}

impl Identity {
    /// An identity whose token goes into `Authorization: Bearer`.
    pub fn new(name: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            token: Secret::new(token),
            template: Template::default(),
            scopes: None,
        }
    }
}

/// A header field with the place of the token in it, such as `Authorization: Bearer {token}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    name: String,
    before: String,
    after: String,
}

impl Default for Template {
    fn default() -> Self {
        Self {
            name: "authorization".to_owned(),
            before: "Bearer ".to_owned(),
            after: String::new(),
        }
    }
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// There is no `Name: value` in it.
    #[error("no header field in the template `{0}`: write `Name: value with {{token}}`")]
    NoField(String),
    /// The value does not say where the token goes.
    #[error("no `{{token}}` in the template `{0}`: write it where the token goes")]
    NoToken(String),
}

impl Template {
    /// Parses `Name: value`, where the value holds `{token}` once.
    ///
    /// # Errors
    /// When there is no field name (RFC 9110, section 5.1) or no `{token}`.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| TemplateError::NoField(text.to_owned()))?;
        let name = name.trim().to_ascii_lowercase();
        if name.is_empty() || hyper::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(TemplateError::NoField(text.to_owned()));
        }
        let (before, after) = value
            .trim()
            .split_once("{token}")
            .ok_or_else(|| TemplateError::NoToken(text.to_owned()))?;
        Ok(Self {
            name,
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }

    /// The name of the field, in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of the field for `token`.
    pub fn value(&self, token: &str) -> String {
        format!("{}{token}{}", self.before, self.after)
    }

    /// Whether the token goes as a bearer token of RFC 6750, section 2.1.
    pub fn is_bearer(&self) -> bool {
        self.name == "authorization" && self.before.eq_ignore_ascii_case("Bearer ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing() {
        let identity = Identity::new("alice", "eyJhbGciOi.secret.part");
        assert!(!format!("{identity:?} {}", identity.token).contains("secret"));
    }

    #[test]
    fn a_template_says_where_the_token_goes() {
        let template = Template::parse("X-Api-Key: key={token};v1").unwrap();
        assert_eq!(template.name(), "x-api-key");
        assert_eq!(template.value("abc"), "key=abc;v1");
        assert!(Template::parse("Authorization Bearer {token}").is_err());
        assert!(Template::parse("Authorization: Bearer").is_err());
        assert!(Template::parse("a b: {token}").is_err());
        assert!(
            Template::parse("authorization: bearer {token}")
                .unwrap()
                .is_bearer()
        );
    }
}
