//! Filters of lists, events and prunes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::json::Value;
use crate::refusal::{Refusal, Rule, quote};
use crate::target::place;

/// The filter by which a caller says that a prune is of their own: `label=com.cofferdam.owner=me`.
/// It is no label of anything; the broker knows what is whose from its own store.
pub const OWN: &str = "com.cofferdam.owner=me";

/// Values that a filter may have.
const MAX_VALUES: usize = 256;

/// Filters by key. The values of one key are alternatives, keys narrow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Filters(pub BTreeMap<FilterKey, BTreeSet<String>>);

/// Defines the keys with their one spelling.
macro_rules! filter_keys {
    ($($variant:ident $word:literal),* $(,)?) => {
        /// What a filter looks at, as the engine names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "the Engine API describes each key")]
        pub enum FilterKey {
            $(#[serde(rename = $word)] $variant,)*
        }

        impl FilterKey {
            /// As it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(FilterKey::$variant => $word,)* }
            }

            fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(FilterKey::$variant),)* _ => None }
            }
        }
    };
}

filter_keys! {
    All "all", Ancestor "ancestor", Before "before", Container "container", Dangling "dangling",
    Driver "driver", Event "event", Exited "exited", Expose "expose", Health "health", Id "id",
    Image "image", Isolation "isolation", IsTask "is-task", Label "label", LabelNot "label!",
    Name "name", Network "network", Publish "publish", Reference "reference", Scope "scope",
    Since "since", Status "status", Type "type", Until "until", Volume "volume",
}

impl Filters {
    /// Reads the JSON that the `filters` key of a query holds, in either of the engine's two forms:
    /// `{"label":["a=b"]}` or `{"label":{"a=b":true}}`. Both are maps, so their keys are exact.
    ///
    /// # Errors
    /// [`Rule::Filter`] for a key that the list does not offer, [`Rule::JsonType`] for another form.
    pub fn parse(text: &str, offered: &[FilterKey]) -> Result<Self, Refusal> {
        let form = || Refusal::new(Rule::JsonType, "the filters are no map of lists of strings");
        let members = match Value::parse(text.as_bytes())? {
            Value::Object(members) => members,
            Value::Null => return Ok(Self::default()),
            _ => return Err(form()),
        };
        let mut filters = BTreeMap::new();
        for (key, value) in members {
            let known = FilterKey::parse(&key).filter(|known| offered.contains(known));
            let known = known.ok_or_else(|| {
                Refusal::new(
                    Rule::Filter,
                    format!("there is no filter {} here", quote(&key)),
                )
            })?;
            let values: Option<BTreeSet<String>> = match value {
                Value::Array(items) => items
                    .into_iter()
                    .map(|item| match item {
                        Value::Text(text) => Some(text),
                        _ => None,
                    })
                    .collect(),
                Value::Object(members) => members
                    .into_iter()
                    .map(|(text, chosen)| (chosen == Value::Bool(true)).then_some(text))
                    .collect(),
                _ => None,
            };
            let values = values.ok_or_else(form)?;
            if values.len() > MAX_VALUES {
                return Err(Refusal::new(
                    Rule::Filter,
                    format!("the filter `{key}` has more than {MAX_VALUES} values"),
                ));
            }
            if !values.is_empty() {
                filters.insert(known, values);
            }
        }
        Ok(Self(filters))
    }

    /// Takes the mark by which a prune says that it is of one's own; see [`OWN`].
    ///
    /// # Errors
    /// [`Rule::PruneOwn`] where it is missing: on the engine, a bare prune is of everyone's.
    pub(crate) fn of_own(mut self) -> Result<Self, Refusal> {
        let labels = self.0.entry(FilterKey::Label).or_default();
        let marked = labels.remove(OWN);
        if labels.is_empty() {
            self.0.remove(&FilterKey::Label);
        }
        if marked {
            return Ok(self);
        }
        Err(Refusal::new(
            Rule::PruneOwn,
            format!("a bare prune removes what belongs to everyone; say `--filter label={OWN}`"),
        )
        .at(place("filters")))
    }

    /// The JSON of the engine's newer form; nothing where there is no filter.
    #[must_use]
    pub fn to_json(&self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let map: serde_json::Map<String, serde_json::Value> = self
            .0
            .iter()
            .map(|(key, values)| (key.as_str().to_owned(), values.iter().cloned().collect()))
            .collect();
        Some(serde_json::Value::Object(map).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: &[FilterKey] = &[FilterKey::Label, FilterKey::Status];

    #[test]
    fn both_forms_of_the_engine_are_one() {
        let list = Filters::parse(r#"{"label":["a=b","A=b"]}"#, OFFERED).unwrap();
        let map = Filters::parse(r#"{"label":{"a=b":true,"A=b":true}}"#, OFFERED).unwrap();
        assert_eq!(list, map);
        assert_eq!(
            Filters::parse(&list.to_json().unwrap(), OFFERED).unwrap(),
            list
        );
    }

    #[test]
    fn only_offered_keys_in_their_one_spelling_are_filters() {
        let rule = |text| Filters::parse(text, OFFERED).unwrap_err().rule;
        assert_eq!(rule(r#"{"name":["x"]}"#), Rule::Filter);
        assert_eq!(rule(r#"{"Label":["x"]}"#), Rule::Filter);
        assert_eq!(rule(r#"{"label":"x"}"#), Rule::JsonType);
        assert_eq!(rule(r#"{"label":{"x":false}}"#), Rule::JsonType);
        assert_eq!(rule(r#"{"label":["x"],"label":[]}"#), Rule::JsonDuplicate);
        assert_eq!(rule("{"), Rule::JsonSyntax);
    }

    #[test]
    fn a_prune_must_say_that_it_is_of_ones_own() {
        let own = |text: &str| Filters::parse(text, OFFERED).unwrap().of_own();
        assert_eq!(
            own(&format!(r#"{{"label":["{OWN}"]}}"#)).unwrap(),
            Filters::default()
        );
        assert_eq!(own("{}").unwrap_err().rule, Rule::PruneOwn);
        assert_eq!(
            own(r#"{"label":["com.cofferdam.owner=root"]}"#)
                .unwrap_err()
                .rule,
            Rule::PruneOwn
        );
    }
}
