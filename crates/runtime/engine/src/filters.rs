//! The `filters` parameter of lists, events and prunes.

use crate::answer::Refusal;
use serde_json::Value;
use std::collections::BTreeMap;

/// `{"label":["a=b"]}`, or the older `{"label":{"a=b":true}}`.
#[derive(Debug, Default)]
pub(crate) struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Reads them; a name that is not in `known` is an error.
    pub(crate) fn read(text: &str, known: &[&str]) -> Result<Self, Refusal> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let invalid = |_| Refusal::bad("invalid filter");
        let given: BTreeMap<String, Value> = serde_json::from_str(text).map_err(invalid)?;
        let mut filters = BTreeMap::new();
        for (name, value) in given {
            if !known.contains(&name.as_str()) {
                return Err(Refusal::bad(format!("invalid filter '{name}'")));
            }
            let values = match value {
                Value::Array(list) => list
                    .into_iter()
                    .map(serde_json::from_value)
                    .collect::<Result<_, _>>()
                    .map_err(invalid)?,
                Value::Object(map) => map.into_iter().map(|(key, _)| key).collect(),
                _ => return Err(Refusal::bad("invalid filter")),
            };
            filters.insert(name, values);
        }
        Ok(Self(filters))
    }

    pub(crate) fn names(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether the filter is absent, or one of its values fits.
    pub(crate) fn any(&self, name: &str, fits: impl Fn(&str) -> bool) -> bool {
        let values = self.0.get(name);
        values.is_none_or(|values| values.is_empty() || values.iter().any(|value| fits(value)))
    }

    /// Whether every label that is asked for is there, as dockerd wants it.
    pub(crate) fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|label| label == value),
            None => labels.contains_key(wanted),
        };
        let lacks = |unwanted: &String| !has(unwanted);
        self.0.get("label").into_iter().flatten().all(has)
            && self.0.get("label!").into_iter().flatten().all(lacks)
    }

    /// The first value of a filter.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        Some(self.0.get(name)?.first()?.as_str())
    }

    /// A filter that is a truth value; `None` when it is absent.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        let value = self.first(name)?;
        Some(matches!(value, "1" | "true" | "True" | "TRUE" | "t"))
    }
}
