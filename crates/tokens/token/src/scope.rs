//! Scopes: a set of names that are compared whole (RFC 6749 §3.3).
//!
//! `"x:host:containers-ro"` contains the text `host:containers`, and grants nothing of it.

use std::fmt;

use crate::json::Value;

/// The scopes of a token, as a view into its claims.
#[derive(Clone, Copy)]
pub struct Scopes<'c>(Source<'c>);

#[derive(Clone, Copy)]
enum Source<'c> {
    None,
    List(&'c str),
    Array(Value<'c>),
}

impl<'c> Scopes<'c> {
    pub(crate) const EMPTY: Scopes<'static> = Scopes(Source::None);

    /// Reads a claim: a string of names with spaces between them, or an array of names. `None` where
    /// it is neither, or holds a character that a scope may not have.
    ///
    /// RFC 6749 §3.3 has one space and at least one name. More spaces, and none but spaces, name
    /// nothing, so they grant nothing; Keycloak sends `""` for a token without scopes.
    pub(crate) fn read(claim: Value<'c>) -> Option<Scopes<'c>> {
        if let Some(list) = claim.as_str() {
            let fits = list.bytes().all(|byte| byte == b' ' || is_scope_byte(byte));
            return fits.then_some(Scopes(Source::List(list)));
        }
        let mut names = claim.as_strings()?;
        names
            .all(|name| !name.is_empty() && name.bytes().all(is_scope_byte))
            .then_some(Scopes(Source::Array(claim)))
    }

    /// A claim that [`Scopes::read`] has read before.
    pub(crate) fn checked(claim: Value<'c>) -> Scopes<'c> {
        match claim.as_str() {
            Some(list) => Scopes(Source::List(list)),
            None => Scopes(Source::Array(claim)),
        }
    }

    /// Whether `scope` is among them, as a whole and with case.
    pub fn contains(self, scope: &str) -> bool {
        !scope.is_empty() && self.iter().any(|each| each == scope)
    }

    /// The names in the order of the token.
    pub fn iter(self) -> impl Iterator<Item = &'c str> {
        let (list, array) = match self.0 {
            Source::None => ("", None),
            Source::List(list) => (list, None),
            Source::Array(array) => ("", array.as_strings()),
        };
        list.split(' ')
            .filter(|name| !name.is_empty())
            .chain(array.into_iter().flatten())
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// Whether the two hold the same names.
    pub(crate) fn same_as(self, other: Scopes<'_>) -> bool {
        self.iter().all(|name| other.contains(name)) && other.iter().all(|name| self.contains(name))
    }
}

impl fmt::Debug for Scopes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Whether the text is one scope (RFC 6749 §3.3: `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`).
pub fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(is_scope_byte)
}

fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Document, Limits};

    fn document(json: &str) -> Document {
        Document::parse(json.into(), &Limits::CLAIMS).unwrap()
    }

    #[test]
    fn scopes_are_compared_whole() {
        let document = document(r#""x:host:containers-ro containers:read""#);
        let scopes = Scopes::read(document.root()).unwrap();
        assert!(scopes.contains("containers:read"));
        for not in [
            "host:containers",
            "containers",
            "containers:rea",
            "containers:read ",
            "",
            " ",
        ] {
            assert!(!scopes.contains(not), "{not:?}");
        }
        assert!(!scopes.contains("x:host:containers-ro containers:read"));
    }

    #[test]
    fn both_shapes_are_read_and_other_types_are_not() {
        let array = document(r#"["a","b"]"#);
        let list = document(r#""b a""#);
        let (array, list) = (
            Scopes::read(array.root()).unwrap(),
            Scopes::read(list.root()).unwrap(),
        );
        assert!(array.same_as(list) && list.contains("a"));
        for bad in [
            r#"["a",1]"#,
            "1",
            "null",
            r#"{"a":1}"#,
            r#""a\tb""#,
            r#"["a b"]"#,
            r#""é""#,
        ] {
            assert!(Scopes::read(document(bad).root()).is_none(), "{bad}");
        }
    }

    #[test]
    fn spaces_grant_nothing_however_many_there_are() {
        for (list, names) in [
            (r#""""#, &[][..]),
            (r#"" ""#, &[]),
            (r#""a  b""#, &["a", "b"]),
            (r#"" a ""#, &["a"]),
        ] {
            let document = document(list);
            let scopes = Scopes::read(document.root()).unwrap();
            assert_eq!(scopes.iter().collect::<Vec<_>>(), names, "{list}");
            assert!(!scopes.contains("") && !scopes.contains(" "), "{list}");
        }
    }
}
