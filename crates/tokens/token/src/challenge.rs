//! `WWW-Authenticate`: what a refused client is told (RFC 6750 §3, RFC 9110 §11.6.1).

use std::fmt;

/// The value of `error` in a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request is malformed (RFC 6750 §3.1); 400.
    InvalidRequest,
    /// The token is not valid (RFC 6750 §3.1); 401.
    InvalidToken,
    /// The token grants too little (RFC 6750 §3.1); 403.
    InsufficientScope,
    /// The login was too weak or too long ago (RFC 9470 §3); 401.
    InsufficientUserAuthentication,
    /// The DPoP proof is not valid (RFC 9449 §7.1); 401.
    InvalidDpopProof,
    /// The DPoP proof needs the nonce that comes with the answer (RFC 9449 §9); 401.
    UseDpopNonce,
}

impl ErrorCode {
    /// The code as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::InvalidRequest => "invalid_request",
            ErrorCode::InvalidToken => "invalid_token",
            ErrorCode::InsufficientScope => "insufficient_scope",
            ErrorCode::InsufficientUserAuthentication => "insufficient_user_authentication",
            ErrorCode::InvalidDpopProof => "invalid_dpop_proof",
            ErrorCode::UseDpopNonce => "use_dpop_nonce",
        }
    }

    /// The HTTP status that goes with it.
    pub fn status(self) -> u16 {
        match self {
            ErrorCode::InvalidRequest => 400,
            ErrorCode::InsufficientScope => 403,
            _ => 401,
        }
    }
}

/// An authentication scheme for access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449 §7.1.
    Dpop,
}

impl Scheme {
    /// The name as it is registered.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Bearer => "Bearer",
            Scheme::Dpop => "DPoP",
        }
    }
}

/// One challenge. `Display` gives the field's value, its parameters separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: Scheme,
    parameters: Vec<(&'static str, String)>,
}

impl Challenge {
    /// A challenge without parameters: no credentials came, so there is no error to name (RFC 6750
    /// §3.1).
    pub fn new(scheme: Scheme) -> Challenge {
        Challenge {
            scheme,
            parameters: Vec::new(),
        }
    }

    /// `realm`.
    #[must_use]
    pub fn realm(self, realm: &str) -> Challenge {
        self.with("realm", realm)
    }

    /// `error`.
    #[must_use]
    pub fn error(self, code: ErrorCode) -> Challenge {
        self.with("error", code.as_str())
    }

    /// `error_description`, for developers.
    #[must_use]
    pub fn description(self, description: &str) -> Challenge {
        self.with("error_description", description)
    }

    /// `scope`: what would be enough.
    #[must_use]
    pub fn scope(self, scope: &str) -> Challenge {
        self.with("scope", scope)
    }

    /// `resource_metadata`: the URL of this resource's metadata (RFC 9728 §5.1).
    #[must_use]
    pub fn resource_metadata(self, url: &str) -> Challenge {
        self.with("resource_metadata", url)
    }

    /// `acr_values` (RFC 9470 §3).
    #[must_use]
    pub fn acr_values(self, values: &str) -> Challenge {
        self.with("acr_values", values)
    }

    /// `max_age` in seconds (RFC 9470 §3).
    #[must_use]
    pub fn max_age(self, seconds: u64) -> Challenge {
        self.with("max_age", &seconds.to_string())
    }

    /// `algs`: which algorithms a DPoP proof may use (RFC 9449 §7.1).
    #[must_use]
    pub fn algorithms(self, algorithms: crate::AlgorithmSet) -> Challenge {
        let names: Vec<_> = algorithms.iter().map(crate::Algorithm::name).collect();
        self.with("algs", &names.join(" "))
    }

    fn with(mut self, name: &'static str, value: &str) -> Challenge {
        self.parameters.push((name, value.to_owned()));
        self
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme.as_str())?;
        for (index, (name, value)) in self.parameters.iter().enumerate() {
            f.write_str(if index == 0 { " " } else { ", " })?;
            write!(f, "{name}=\"")?;
            for character in value.chars() {
                match character {
                    '"' | '\\' => write!(f, "\\{character}")?,
                    // A field value is visible ASCII and spaces; a line end would start a new field.
                    ' '..='~' => write!(f, "{character}")?,
                    _ => f.write_str("?")?,
                }
            }
            f.write_str("\"")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_separated_by_commas() {
        let challenge = Challenge::new(Scheme::Bearer)
            .realm("containers")
            .error(ErrorCode::InsufficientScope)
            .scope("containers:read");
        assert_eq!(
            challenge.to_string(),
            r#"Bearer realm="containers", error="insufficient_scope", scope="containers:read""#
        );
        assert_eq!(Challenge::new(Scheme::Dpop).to_string(), "DPoP");
    }

    #[test]
    fn nothing_breaks_out_of_a_quoted_string() {
        let challenge = Challenge::new(Scheme::Bearer).realm("a\"b\\c\r\nX: é");
        assert_eq!(challenge.to_string(), r#"Bearer realm="a\"b\\c??X: ?""#);
    }
}
