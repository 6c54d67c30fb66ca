//! The field `Authorization` (RFC 9110 §11.6.2, RFC 6750 §2.1), and the places where a token does
//! not belong.

use std::fmt;

use crate::challenge::{ErrorCode, Scheme};

/// A scheme and a token that has the right form, nothing more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'h> {
    /// The scheme.
    pub scheme: Scheme,
    /// The token, which has not been looked at yet.
    pub token: &'h str,
}

/// Shows the scheme alone.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// Why a request has no credentials that can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// There is no `Authorization`.
    #[error("no credentials came")]
    Missing,
    /// Another scheme, such as `Basic`.
    #[error("another authentication scheme came than is accepted")]
    OtherScheme,
    /// More than one `Authorization`, or a token in more than one place: two readers could each
    /// take another one.
    #[error("credentials came more than once")]
    Ambiguous,
    /// Not of the form `scheme 1*SP token68`.
    #[error("credentials are malformed")]
    Malformed,
    /// Longer than the limit.
    #[error("credentials are longer than allowed")]
    TooLong,
    /// A token in the query, a form body or a cookie (RFC 6750 §2.2, §2.3; RFC 9700 §4.3.2).
    #[error("a token came outside of `Authorization`")]
    WrongPlace,
}

impl AuthorizationError {
    /// A stable name for logs, metrics and tests.
    pub fn id(self) -> &'static str {
        match self {
            AuthorizationError::Missing => "missing",
            AuthorizationError::OtherScheme => "other-scheme",
            AuthorizationError::Ambiguous => "ambiguous",
            AuthorizationError::Malformed => "malformed",
            AuthorizationError::TooLong => "too-long",
            AuthorizationError::WrongPlace => "wrong-place",
        }
    }

    /// The error code, `None` where no credentials of ours came (RFC 6750 §3.1).
    pub fn code(self) -> Option<ErrorCode> {
        match self {
            AuthorizationError::Missing | AuthorizationError::OtherScheme => None,
            _ => Some(ErrorCode::InvalidRequest),
        }
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.code().map_or(401, ErrorCode::status)
    }
}

/// What a request has in `Authorization`, of which the token's own bytes have not been looked at. A
/// token that is remembered need not be ([`crate::Verifier::verify_field`]); any other must be.
#[derive(Clone, Copy)]
pub struct Field<'h> {
    /// The scheme.
    pub scheme: Scheme,
    pub(crate) token: &'h [u8],
}

/// Shows the scheme alone.
impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

impl<'h> Field<'h> {
    /// Takes every value of the field `Authorization` that the request has, which must be one.
    ///
    /// # Errors
    /// [`AuthorizationError`]; the length is judged before anything else.
    pub fn split(
        values: impl IntoIterator<Item = &'h [u8]>,
        max_length: usize,
    ) -> Result<Field<'h>, AuthorizationError> {
        let mut values = values.into_iter();
        let value = values.next().ok_or(AuthorizationError::Missing)?;
        if values.next().is_some() {
            return Err(AuthorizationError::Ambiguous);
        }
        // The scheme and the space, and some more spaces if need be.
        if value.len() > max_length.saturating_add(16) {
            return Err(AuthorizationError::TooLong);
        }
        let end = value
            .iter()
            .position(|&byte| byte == b' ')
            .unwrap_or(value.len());
        let (name, rest) = value.split_at(end);
        let scheme = if name.eq_ignore_ascii_case(b"bearer") {
            Scheme::Bearer
        } else if name.eq_ignore_ascii_case(b"dpop") {
            Scheme::Dpop
        } else if !name.is_empty() && name.iter().copied().all(is_tchar) {
            return Err(AuthorizationError::OtherScheme);
        } else {
            return Err(AuthorizationError::Malformed);
        };
        let token = &rest[rest.iter().take_while(|byte| **byte == b' ').count()..];
        Ok(Field { scheme, token })
    }

    /// Reads the token.
    ///
    /// # Errors
    /// [`AuthorizationError::Malformed`] where it is no `token68`.
    pub fn read(self) -> Result<Credentials<'h>, AuthorizationError> {
        let Field { scheme, token } = self;
        if !is_token68(token) {
            return Err(AuthorizationError::Malformed);
        }
        let token = std::str::from_utf8(token).map_err(|_| AuthorizationError::Malformed)?;
        Ok(Credentials { scheme, token })
    }
}

impl<'h> Credentials<'h> {
    /// Reads every value of the field `Authorization` that the request has, which must be one.
    ///
    /// # Errors
    /// [`AuthorizationError`]; the length is judged before anything else.
    pub fn parse(
        values: impl IntoIterator<Item = &'h [u8]>,
        max_length: usize,
    ) -> Result<Credentials<'h>, AuthorizationError> {
        Field::split(values, max_length)?.read()
    }
}

/// Whether a query or form body has a parameter `access_token`, however it is spelt. The bytes need
/// not be UTF-8: who reads them later may take one field for itself.
pub fn carries_token(pairs: impl AsRef<[u8]>) -> bool {
    let mut pairs = pairs.as_ref().split(|byte| b"&;".contains(byte));
    pairs.any(|pair| is_parameter(name_of(pair), b"access_token"))
}

/// Whether a `Cookie` field has a cookie `access_token`, whatever bytes the others have.
pub fn cookie_carries_token(cookies: impl AsRef<[u8]>) -> bool {
    let mut cookies = cookies.as_ref().split(|byte| *byte == b';');
    cookies.any(|cookie| {
        let name = name_of(cookie).trim_ascii();
        name.eq_ignore_ascii_case(b"access_token")
    })
}

/// What comes before the first `=`.
fn name_of(pair: &[u8]) -> &[u8] {
    pair.split(|byte| *byte == b'=').next().unwrap_or_default()
}

/// Compares without case a name in which any byte may be percent-encoded.
fn is_parameter(mut name: &[u8], wanted: &[u8]) -> bool {
    for &expected in wanted {
        let (byte, rest) = match name {
            [b'%', high, low, rest @ ..] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                match digit(high).zip(digit(low)) {
                    Some((high, low)) => ((high << 4 | low) as u8, rest),
                    None => return false,
                }
            }
            [byte, rest @ ..] => (*byte, rest),
            [] => return false,
        };
        if !byte.eq_ignore_ascii_case(&expected) {
            return false;
        }
        name = rest;
    }
    name.is_empty()
}

/// RFC 9110 §5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9110 §11.2.
fn is_token68(token: &[u8]) -> bool {
    let equals = token.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = &token[..token.len() - equals];
    // Without a branch for each byte, so that the compiler takes many at once: a good token is read
    // to its end on every request.
    !body.is_empty()
        && body
            .iter()
            .fold(true, |good, &byte| good & is_token68_byte(byte))
}

fn is_token68_byte(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26)
        | (byte.wrapping_sub(b'-') < 13) // `-`, `.`, `/` and the digits
        | (byte == b'_')
        | (byte == b'~')
        | (byte == b'+')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<&str, AuthorizationError> {
        Credentials::parse([value.as_bytes()], 100).map(|credentials| credentials.token)
    }

    #[test]
    fn the_scheme_has_no_case_and_the_token_has_a_grammar() {
        for value in [
            "Bearer abc",
            "bearer abc",
            "BEARER abc",
            "Bearer  abc",
            "DPoP abc",
            "dpop abc",
        ] {
            assert_eq!(parse(value), Ok("abc"), "{value}");
        }
        assert_eq!(parse("Bearer a.b-c_d~e+f/g=="), Ok("a.b-c_d~e+f/g=="));
        for value in [
            "",
            " ",
            " Bearer abc",
            "Bearer",
            "Bearer ",
            "Bearer abc ",
            "Bearer a c",
            "Bearer abc\t",
            "Bearer\tabc",
            "Bearer abc,Bearer def",
            "Bearer a\u{0}c",
            "Bearer é",
            "Bearer ==",
            "Bearer a=b",
            "Bearer \"abc\"",
            "Bear\u{e9}r abc",
        ] {
            assert_eq!(
                parse(value),
                Err(AuthorizationError::Malformed),
                "{value:?}"
            );
        }
        assert_eq!(parse("Basic YTpi"), Err(AuthorizationError::OtherScheme));
        assert_eq!(parse("Bearerabc"), Err(AuthorizationError::OtherScheme));
    }

    #[test]
    fn a_token_has_the_characters_of_its_grammar_and_no_other() {
        for byte in 0..=255u8 {
            let expected = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(is_token68(&[b'a', byte, b'a']), expected, "{byte}");
        }
    }

    #[test]
    fn one_field_only_and_none_too_long() {
        let none: [&[u8]; 0] = [];
        assert_eq!(
            Credentials::parse(none, 9).unwrap_err(),
            AuthorizationError::Missing
        );
        assert_eq!(
            Credentials::parse([b"Bearer a".as_slice(), b"Bearer a"], 9).unwrap_err(),
            AuthorizationError::Ambiguous
        );
        let long = format!("Bearer {}", "a".repeat(200));
        assert_eq!(parse(&long), Err(AuthorizationError::TooLong));
    }

    #[test]
    fn a_token_elsewhere_is_found_in_any_spelling() {
        for query in [
            "access_token=x",
            "a=b&access_token=x",
            "access%5ftoken=x",
            "ACCESS_TOKEN",
            "a;access_token=x",
        ] {
            assert!(carries_token(query), "{query}");
        }
        for query in [
            "",
            "a=access_token",
            "access_tokens=x",
            "x_access_token=x",
            "access%token=x",
        ] {
            assert!(!carries_token(query), "{query}");
        }
        assert!(carries_token(b"a=\xff&access_token=x") && carries_token(b"a&access_token=\xc3"));
        assert!(cookie_carries_token("a=b; access_token=x"));
        assert!(cookie_carries_token(b"lang=\xe9; access_token=x"));
        assert!(!cookie_carries_token("a=access_token; my_access_token=x"));
    }
}
