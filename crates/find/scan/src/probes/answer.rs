//! What an answer says, wherever in it: the body, the text members of a JSON document, text in
//! base64 in such a member.

use crate::{Exchange, oracle};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;

/// Where in an answer a text stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The member as a JSON pointer; `None` for the whole body.
    pointer: Option<String>,
    base64: bool,
}

impl Spot {
    /// The text in the same place of another answer.
    pub(crate) fn read(&self, exchange: &Exchange) -> Option<String> {
        let text = match &self.pointer {
            None => exchange.text().into_owned(),
            Some(pointer) => exchange.json()?.pointer(pointer)?.as_str()?.to_owned(),
        };
        if self.base64 {
            decoded(&text)
        } else {
            Some(text)
        }
    }
}

/// Every text of an answer, with its place. The body comes first, unless it is JSON: there escaped
/// characters would hide what its members say, so it comes last.
pub(crate) fn texts(exchange: &Exchange) -> Vec<(Spot, String)> {
    let mut found = Vec::new();
    if let Some(json) = exchange.json() {
        for (pointer, leaf) in leaves(json) {
            let Value::String(text) = leaf else { continue };
            if let Some(inner) = decoded(text) {
                let pointer = Some(pointer.clone());
                found.push((
                    Spot {
                        pointer,
                        base64: true,
                    },
                    inner,
                ));
            }
            let pointer = Some(pointer);
            found.push((
                Spot {
                    pointer,
                    base64: false,
                },
                text.clone(),
            ));
        }
    } else if let Some(inner) = decoded(exchange.text().trim()) {
        found.push((
            Spot {
                pointer: None,
                base64: true,
            },
            inner,
        ));
    }
    let body = exchange.text().into_owned();
    found.push((
        Spot {
            pointer: None,
            base64: false,
        },
        body,
    ));
    found
}

/// The first place whose text holds what `telling` looks for.
pub(crate) fn find_text<T>(
    exchange: &Exchange,
    telling: impl Fn(&str) -> Option<T>,
) -> Option<(Spot, T)> {
    texts(exchange)
        .into_iter()
        .find_map(|(spot, text)| telling(&text).map(|found| (spot, found)))
}

/// Whether any text of the answer holds `needle`.
pub(crate) fn shown(exchange: &Exchange, needle: &str) -> bool {
    texts(exchange)
        .iter()
        .any(|(_, text)| text.contains(needle))
}

/// Whether it is a success that does not take itself back.
pub(crate) fn succeeded(exchange: &Exchange) -> bool {
    exchange
        .status()
        .is_some_and(|status| (200..300).contains(&status))
        && oracle::welcome(exchange)
}

/// Every value of a document that has none below it, with its JSON pointer; at most 20,000.
pub(crate) fn leaves(document: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    let mut stack = vec![(String::new(), document)];
    while let Some((at, value)) = stack.pop() {
        if found.len() >= 20_000 {
            break;
        }
        match value {
            Value::Object(map) => {
                for (name, value) in map.iter().rev() {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    stack.push((format!("{at}/{name}"), value));
                }
            }
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate().rev() {
                    stack.push((format!("{at}/{index}"), value));
                }
            }
            leaf => found.push((at, leaf)),
        }
    }
    found
}

/// What `text` says in base64, when that is text of some length.
fn decoded(text: &str) -> Option<String> {
    let packed: String = text.split_ascii_whitespace().collect();
    if packed.len() < 16 || packed.len() > 4 << 20 {
        return None;
    }
    [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD]
        .into_iter()
        .find_map(|engine| engine.decode(&packed).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
}
