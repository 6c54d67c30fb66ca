//! A tree of values in which each knows its line: compose files and JSON alike.
//!
//! YAML contains JSON, so one parser with one set of limits reads both; what docker prints and what
//! people write then point at their lines in the same way.

use crate::{Error, MAX_INPUT_BYTES};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{NonFiniteFloatPolicy, Spanned};
use std::fmt;

/// Nodes of one file, aliases counted each time they are used. A compose file has hundreds; an
/// inspect of a hundred containers about fifty thousand.
const MAX_NODES: usize = 400_000;
/// Parser events that aliases repeat. Anchors of a compose file hold a dozen values, used a dozen
/// times.
const MAX_REPLAYED: usize = 40_000;
/// Nesting; compose needs about eight levels.
const MAX_DEPTH: usize = 64;

/// A value and the line on which it is defined. For a merged or aliased value that is where the
/// anchor stands: the line that has to be mended.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) line: u32,
}

/// What stands there.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// Text or a number, as text.
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; keys are unique.
    Map(Vec<Entry>),
}

/// A member of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// The line of the key.
    pub(crate) line: u32,
    pub(crate) node: Node,
}

impl Node {
    /// Reads one document.
    pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<Node, Error> {
        if bytes.len() > MAX_INPUT_BYTES {
            return Err(Error::TooLarge {
                file: file.to_owned(),
                bytes: bytes.len(),
                limit: MAX_INPUT_BYTES,
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Error::NotText {
            file: file.to_owned(),
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_depth: MAX_DEPTH,
                max_nodes: MAX_NODES,
                max_events: MAX_NODES * 3,
                // One more than is read, so that the parser says that there are several.
                max_documents: 2,
            },
            alias_limits: serde_saphyr::alias_limits! {
                max_total_replayed_events: MAX_REPLAYED,
                max_replay_stack_depth: MAX_DEPTH,
            },
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
            underscored_numbers_as_strings: true,
            non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        };
        serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| {
            let line = error
                .location()
                .and_then(|at| u32::try_from(at.line()).ok());
            let message = error.without_snippet().to_string();
            let file = file.to_owned();
            if message.contains("multiple YAML documents") {
                Error::SeveralDocuments { file, line }
            } else {
                // The parser's advice is about its own Rust options, of no use to who has the file.
                let message = message.split(", set DuplicateKeyPolicy").next();
                let message = message.unwrap_or_default().to_owned();
                Error::Syntax {
                    file,
                    line,
                    message,
                }
            }
        })
    }

    /// The member `key` of a mapping, unless it is null.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The member `key` of a mapping with its key's line, unless it is null.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key && !matches!(entry.node.value, Value::Null))
    }

    /// The members of a mapping; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Text or a number as text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            _ => None,
        }
    }

    /// A truth value, also in the spellings of YAML 1.1, which compose understands too.
    pub(crate) fn truth(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(truth) => Some(*truth),
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" | "1" => Some(true),
                "false" | "no" | "off" | "n" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether this is a mapping.
    pub(crate) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }
}

fn line_of(location: serde_saphyr::Location) -> u32 {
    u32::try_from(location.line()).unwrap_or(u32::MAX).max(1)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Node {
            value: spanned.value,
            line: line_of(spanned.defined),
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a deployment file")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Text(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Text(number.to_string()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Value, E> {
        Ok(Value::Text(number.to_string()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Value, E> {
        Ok(Value::Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Text(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, node)) = members.next_entry::<Spanned<String>, Node>()? {
            map.push(Entry {
                key: key.value,
                line: line_of(key.defined),
                node,
            });
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Node, Error> {
        Node::parse("compose.yaml", text.as_bytes())
    }

    #[test]
    fn a_merged_value_points_at_the_line_of_its_anchor() {
        let node = parse(
            "x-base: &base\n  privileged: yes\nservices:\n  api:\n    <<: *base\n    user: 007\n",
        )
        .unwrap();
        let api = node.get("services").unwrap().get("api").unwrap();
        let privileged = api.get("privileged").unwrap();
        assert_eq!((privileged.truth(), privileged.line), (Some(true), 2));
        let user = api.get("user").unwrap();
        assert_eq!((user.text(), user.line), (Some("007"), 6));
    }

    #[test]
    fn json_as_docker_prints_it_is_read_with_lines() {
        let node =
            parse("[\n\t{\n\t\t\"A\": \"b\\u00e9\\/\",\n\t\t\"N\": null, \"I\": -1\n\t}\n]\n")
                .unwrap();
        let first = &node.items()[0];
        assert_eq!(first.get("A").unwrap().text(), Some("bé/"));
        assert_eq!(first.get("A").unwrap().line, 3);
        assert!(first.get("N").is_none());
        assert_eq!(first.get("I").unwrap().text(), Some("-1"));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let before = format!("*a{}", level - 1);
            let list = vec![before; 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        assert!(matches!(parse(&text), Err(Error::Syntax { .. })));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(matches!(parse(&text), Err(Error::Syntax { .. })));
    }

    #[test]
    fn several_documents_are_refused_by_name() {
        let error = parse("services: {}\n---\nservices: {}\n").unwrap_err();
        assert!(
            matches!(error, Error::SeveralDocuments { line: Some(_), .. }),
            "{error}"
        );
    }

    #[test]
    fn a_duplicate_key_is_refused_with_its_line_and_no_talk_of_rust() {
        let error = parse("a: 1\na: 2\n").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(!error.contains("DuplicateKeyPolicy"), "{error}");
    }
}
