//! The filter of names, which the engine cannot apply: it does not know the tenant's.

use std::collections::BTreeSet;

use regex_lite::Regex;

/// Names that a list is narrowed to, as the engine reads them: a name is wanted that is one of the
/// values, or that one of them matches as a regular expression anywhere in it.
#[derive(Debug, Default)]
pub(crate) struct NameFilter {
    values: BTreeSet<String>,
    patterns: Vec<Regex>,
}

impl NameFilter {
    /// The filter of these values; none narrow nothing. What is no regular expression matches
    /// nothing but itself, as with the engine.
    pub(crate) fn new(values: BTreeSet<String>) -> Self {
        let patterns = values.iter().filter_map(|value| Regex::new(value).ok());
        Self {
            patterns: patterns.collect(),
            values,
        }
    }

    /// Whether a name is wanted; of a container, with its slash or without.
    pub(super) fn wants(&self, name: &str) -> bool {
        let spelled = |text: &str| {
            self.values.contains(text) || self.patterns.iter().any(|it| it.is_match(text))
        };
        let bare = name.strip_prefix('/');
        self.values.is_empty() || spelled(name) || bare.is_some_and(spelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_wanted_by_value_or_pattern_with_its_slash_or_without() {
        let wants =
            |value: &str, name: &str| NameFilter::new([value.to_owned()].into()).wants(name);
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
}
