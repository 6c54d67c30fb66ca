//! The filter of names, which the engine cannot apply: it does not know the tenant's.

use std::collections::BTreeSet;

use regex_lite::{Error, Regex, RegexBuilder};

/// Patterns that one filter may have, and bytes of each. A name without signs is none.
const PATTERNS: usize = 16;
const PATTERN: usize = 256;

/// Bytes that a compiled pattern may have.
const COMPILED: usize = 64 << 10;

/// Names that a list is narrowed to, as the engine reads them: a name is wanted that is one of the
/// values, or that one of them matches as a regular expression anywhere in it.
#[derive(Debug, Default)]
pub(crate) struct NameFilter {
    values: BTreeSet<String>,
    patterns: Vec<Regex>,
}

/// A filter that would take the broker too long, or too much memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a filter by name takes at most {PATTERNS} patterns of {PATTERN} bytes, none of which may \
     repeat much; write fewer or shorter ones"
)]
pub(crate) struct TooCostly;

impl NameFilter {
    /// The filter of these values; none narrow nothing. What is no regular expression matches
    /// nothing but itself, as with the engine.
    pub(crate) fn new(values: BTreeSet<String>) -> Result<Self, TooCostly> {
        let mut patterns = Vec::new();
        let signs = values.iter().filter(|value| !is_plain(value));
        for (count, value) in signs.enumerate() {
            if count == PATTERNS || value.len() > PATTERN {
                return Err(TooCostly);
            }
            match compile(value, COMPILED) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) if is_too_large(&error) => return Err(TooCostly),
                Err(_) => {}
            }
        }
        Ok(Self { values, patterns })
    }

    /// Whether a name is wanted; of a container, with its slash or without.
    pub(super) fn wants(&self, name: &str) -> bool {
        let plain = |text: &str| {
            let mut values = self.values.iter().filter(|value| is_plain(value));
            values.any(|value| text.contains(&**value))
        };
        let spelled = |text: &str| {
            self.values.contains(text)
                || plain(text)
                || self.patterns.iter().any(|it| it.is_match(text))
        };
        let bare = name.strip_prefix('/');
        self.values.is_empty() || spelled(name) || bare.is_some_and(spelled)
    }
}

/// Whether a value matches itself alone, so that it need not be compiled.
fn is_plain(value: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/".contains(&byte);
    value.bytes().all(word)
}

fn compile(pattern: &str, most: usize) -> Result<Regex, Error> {
    RegexBuilder::new(pattern).size_limit(most).build()
}

/// Whether it is the size, and not the syntax: the error is that of a pattern without room.
fn is_too_large(error: &Error) -> bool {
    compile("a", 0).is_err_and(|without_room| without_room == *error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_wanted_by_value_or_pattern_with_its_slash_or_without() {
        let wants = |value: &str, name: &str| filter([value.to_owned()]).unwrap().wants(name);
        assert!(wants("web", "/web"));
        assert!(wants("we", "/web"));
        assert!(wants("^/web$", "/web"));
        assert!(wants("^web$", "/web"));
        assert!(!wants("^/web$", "/web2"));
        assert!(!wants("db", "/web"));
        assert!(wants("(", "("));
        assert!(!wants("(", "/web"));
        assert!(NameFilter::default().wants("/web"));
    }

    fn filter(values: impl IntoIterator<Item = String>) -> Result<NameFilter, TooCostly> {
        NameFilter::new(values.into_iter().collect())
    }

    #[test]
    fn a_filter_that_would_cost_too_much_is_refused_and_many_names_are_not() {
        let patterns = |count: usize| filter((0..count).map(|number| format!("^{number}$")));
        assert!(patterns(PATTERNS).is_ok());
        assert_eq!(patterns(PATTERNS + 1).unwrap_err(), TooCostly);
        let long = |bytes: usize| filter([format!("^{}", "a".repeat(bytes - 1))]);
        assert!(long(PATTERN).is_ok());
        assert_eq!(long(PATTERN + 1).unwrap_err(), TooCostly);
        for costly in ["(a{1000}){1000}", "\\w{60000}", "((a{100}){100}){100}"] {
            let begun = std::time::Instant::now();
            assert_eq!(filter([costly.to_owned()]).unwrap_err(), TooCostly);
            assert!(begun.elapsed().as_millis() < 500, "{costly}");
        }
        let many = filter((0..5000).map(|number| format!("web-{number}"))).unwrap();
        assert!(many.wants("/web-77") && many.wants("web-77-1") && !many.wants("/db"));
    }
}
