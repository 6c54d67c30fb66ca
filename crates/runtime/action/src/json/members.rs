//! An object read member by member as one of the engine's structs.

use std::collections::HashMap;

use super::{Value, fold};
use crate::refusal::{BODY, Refusal, Rule, quote};

/// The members of an object that the engine decodes into a struct.
///
/// Each member is taken under its one canonical name; [`finish`](Self::finish) then refuses what is
/// left unless it is at its default, so that a member nobody thought of cannot do anything. Nothing
/// that is left is ever passed on.
pub(crate) struct Members {
    path: String,
    left: Vec<(String, Value)>,
    known: Vec<&'static str>,
}

/// A member that is never offered, and why.
pub(crate) struct Never {
    pub(crate) name: &'static str,
    pub(crate) rule: Rule,
    /// What taking it would mean; ends the sentence "… is not offered: ".
    pub(crate) why: &'static str,
    pub(crate) default: Default,
}

/// Which values of a member that is never offered mean "not given".
pub(crate) enum Default {
    /// Whatever [`Value::is_default`] says.
    Any,
    /// `null` alone: an empty list there is a wish of its own.
    Null,
    /// The defaults, and the numbers that the docker command line sends for "not given".
    OrNumbers(&'static [&'static str]),
}

impl Default {
    fn takes(&self, value: &Value) -> bool {
        match self {
            Default::Any => value.is_default(),
            Default::Null => *value == Value::Null,
            Default::OrNumbers(numbers) => match value {
                Value::Number(number) => number == "0" || numbers.contains(&number.as_str()),
                Value::Array(items) => items
                    .iter()
                    .all(|item| matches!(item, Value::Number(n) if numbers.contains(&n.as_str()))),
                other => other.is_default(),
            },
        }
    }
}

impl Members {
    /// Reads a whole body.
    pub(crate) fn of_body(body: &[u8]) -> Result<Self, Refusal> {
        let members = Value::parse(body).and_then(|value| Self::of(value, String::new()));
        members.map_err(|refusal| refusal.at(BODY))
    }

    /// Opens an object that stands at `path`.
    pub(crate) fn of(value: Value, path: String) -> Result<Self, Refusal> {
        let Value::Object(left) = value else {
            let refusal = wrong_type(&value, "an object");
            return Err(if path.is_empty() {
                refusal
            } else {
                refusal.at(path)
            });
        };
        let mut folded = HashMap::with_capacity(left.len());
        for (name, _) in &left {
            if let Some(other) = folded.insert(fold(name), name) {
                let refusal = Refusal::new(
                    Rule::JsonDuplicate,
                    format!(
                        "the engine takes {} and {} for one member",
                        quote(other),
                        quote(name)
                    ),
                );
                return Err(if path.is_empty() {
                    refusal
                } else {
                    refusal.at(path)
                });
            }
        }
        Ok(Self {
            path,
            left,
            known: Vec::new(),
        })
    }

    /// The full name of a member, for messages.
    pub(crate) fn field(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// Takes a member; `null` is a member that is not there.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        let at = self.left.iter().position(|(member, _)| member == name)?;
        Some(self.left.swap_remove(at).1).filter(|value| *value != Value::Null)
    }

    /// A string; the empty one is not there.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(other) => Err(wrong_type(&other, "a string").at(self.field(name))),
        }
    }

    /// A string of a grammar; the empty one is not there.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        let text = self.text(name)?;
        text.map(|text| parse(&text))
            .transpose()
            .map_err(|refusal| refusal.at(self.field(name)))
    }

    /// A string of a grammar that must be there; where it is not, `rule` refuses.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        rule: Rule,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if let Some(value) = self.parsed(name, parse)? {
            return Ok(value);
        }
        match self
            .left
            .iter()
            .find(|(other, _)| fold(other) == fold(name))
        {
            Some((other, _)) => Err(self.other_case(other, name)),
            None => Err(Refusal::new(rule, "it is missing").at(self.field(name))),
        }
    }

    /// A boolean, false where it is not there.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, Refusal> {
        Ok(self.optional_flag(name)?.unwrap_or(false))
    }

    /// A boolean, or nothing.
    pub(crate) fn optional_flag(&mut self, name: &'static str) -> Result<Option<bool>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong_type(&other, "a boolean").at(self.field(name))),
        }
    }

    /// A whole number of 64 bits, or nothing.
    pub(crate) fn integer(&mut self, name: &'static str) -> Result<Option<i64>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => integer(&value)
                .map(Some)
                .map_err(|r| r.at(self.field(name))),
        }
    }

    /// A number that is a limit: 0 is not there, what is below 0 is refused by `rule` as no limit.
    pub(crate) fn limit(&mut self, name: &'static str, rule: Rule) -> Result<Option<u64>, Refusal> {
        match self.integer(name)? {
            None | Some(0) => Ok(None),
            Some(number) => u64::try_from(number).map(Some).map_err(|_| {
                Refusal::new(rule, format!("{number} lifts the limit")).at(self.field(name))
            }),
        }
    }

    /// A list of strings; `null` is the empty one.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Vec<String>, Refusal> {
        self.list(name, |value, field| match value {
            Value::Text(text) => Ok(text),
            other => Err(wrong_type(&other, "a string").at(field)),
        })
    }

    /// A list of strings of a grammar.
    pub(crate) fn parsed_list<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        self.list(name, |value, field| match value {
            Value::Text(text) => parse(&text).map_err(|refusal| refusal.at(field)),
            other => Err(wrong_type(&other, "a string").at(field)),
        })
    }

    /// A list; `each` also hears the full name of its element.
    pub(crate) fn list<T>(
        &mut self,
        name: &'static str,
        each: impl Fn(Value, String) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .into_iter()
                .enumerate()
                .map(|(at, item)| each(item, format!("{}[{at}]", self.field(name))))
                .collect(),
            Some(other) => Err(wrong_type(&other, "an array").at(self.field(name))),
        }
    }

    /// A struct inside this one.
    pub(crate) fn object(&mut self, name: &'static str) -> Result<Option<Members>, Refusal> {
        let field = self.field(name);
        self.take(name)
            .map(|value| Members::of(value, field))
            .transpose()
    }

    /// A map: its keys are data, case sensitive, and may differ in case alone.
    pub(crate) fn map(&mut self, name: &'static str) -> Result<Vec<(String, Value)>, Refusal> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Object(members)) => Ok(members),
            Some(other) => Err(wrong_type(&other, "an object").at(self.field(name))),
        }
    }

    /// A map of strings.
    pub(crate) fn text_map(
        &mut self,
        name: &'static str,
    ) -> Result<Vec<(String, String)>, Refusal> {
        let field = self.field(name);
        self.map(name)?
            .into_iter()
            .map(|(key, value)| match value {
                Value::Text(text) => Ok((key, text)),
                other => {
                    Err(wrong_type(&other, "a string").at(format!("{field}[{}]", quote(&key))))
                }
            })
            .collect()
    }

    /// A map whose values are empty objects: Go's way to write a set.
    pub(crate) fn key_set(&mut self, name: &'static str) -> Result<Vec<String>, Refusal> {
        let field = self.field(name);
        self.map(name)?
            .into_iter()
            .map(|(key, value)| match value {
                Value::Object(members) if members.is_empty() => Ok(key),
                Value::Null => Ok(key),
                other => {
                    Err(wrong_type(&other, "an empty object")
                        .at(format!("{field}[{}]", quote(&key))))
                }
            })
            .collect()
    }

    /// Takes a string that clients say a second time; where it is not what was `said`, the action would
    /// not be the one that it names, and `why` ends the refusal.
    pub(crate) fn repeats(
        &mut self,
        name: &'static str,
        said: Option<&str>,
        why: &str,
    ) -> Result<(), Refusal> {
        match self.text(name)? {
            Some(text) if said != Some(&*text) => {
                Err(Refusal::new(Rule::JsonUnknown, why).at(self.field(name)))
            }
            _ => Ok(()),
        }
    }

    /// Takes the members that are never offered, and refuses the first that is not at its default.
    pub(crate) fn never(&mut self, members: &'static [Never]) -> Result<(), Refusal> {
        for member in members {
            self.known.push(member.name);
            let Some(at) = self.left.iter().position(|(name, _)| name == member.name) else {
                continue;
            };
            let (_, value) = self.left.swap_remove(at);
            if !member.default.takes(&value) {
                return Err(
                    Refusal::new(member.rule, format!("not offered: {}", member.why))
                        .at(self.field(member.name)),
                );
            }
        }
        Ok(())
    }

    /// Ends the object: nothing may be left but members at their defaults.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        for (name, value) in &self.left {
            if let Some(known) = self.known.iter().find(|known| fold(known) == fold(name)) {
                return Err(self.other_case(name, known));
            }
            if !value.is_default() {
                return Err(Refusal::new(
                    Rule::JsonUnknown,
                    "no action has this member; leave it out or at its default",
                )
                .at(self.field(&printable(name))));
            }
        }
        Ok(())
    }

    fn other_case(&self, written: &str, known: &str) -> Refusal {
        Refusal::new(
            Rule::JsonCase,
            format!("the member is written {}", quote(known)),
        )
        .at(self.field(&printable(written)))
    }
}

/// A whole number of 64 bits.
pub(crate) fn integer(value: &Value) -> Result<i64, Refusal> {
    match value {
        Value::Number(text) => text.parse().map_err(|_| {
            Refusal::new(
                Rule::JsonType,
                format!("{} is no whole number of 64 bits", quote(text)),
            )
        }),
        other => Err(wrong_type(other, "a number")),
    }
}

fn wrong_type(value: &Value, expected: &str) -> Refusal {
    Refusal::new(
        Rule::JsonType,
        format!("{expected} is expected, not {}", value.kind()),
    )
}

/// A member name for a message, without the backticks.
fn printable(name: &str) -> String {
    quote(name).trim_matches('`').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: &[Never] = &[
        Never {
            name: "Privileged",
            rule: Rule::Privileged,
            why: "w",
            default: Default::Any,
        },
        Never {
            name: "MaskedPaths",
            rule: Rule::SecurityPaths,
            why: "w",
            default: Default::Null,
        },
        Never {
            name: "MemorySwappiness",
            rule: Rule::MemoryLimit,
            why: "w",
            default: Default::OrNumbers(&["-1"]),
        },
    ];

    fn read(body: &str) -> Result<(), Rule> {
        let mut members = Members::of_body(body.as_bytes()).map_err(|r| r.rule)?;
        members.never(NEVER).map_err(|r| r.rule)?;
        members.finish().map_err(|r| r.rule)
    }

    #[test]
    fn members_at_their_defaults_are_not_there() {
        let body = r#"{"Privileged":false,"MaskedPaths":null,"MemorySwappiness":-1,
            "New":{"A":0,"B":[""],"C":""},"Other":[]}"#;
        assert_eq!(read(body).unwrap_err(), Rule::JsonUnknown);
        assert_eq!(read(&body.replace("[\"\"]", "[]")), Ok(()));
    }

    #[test]
    fn members_beyond_their_defaults_are_refused_by_their_rule() {
        assert_eq!(read(r#"{"Privileged":true}"#), Err(Rule::Privileged));
        assert_eq!(read(r#"{"MaskedPaths":[]}"#), Err(Rule::SecurityPaths));
        assert_eq!(read(r#"{"MemorySwappiness":-2}"#), Err(Rule::MemoryLimit));
        assert_eq!(read(r#"{"New":1}"#), Err(Rule::JsonUnknown));
    }

    #[test]
    fn what_the_engine_would_fold_is_refused() {
        assert_eq!(read(r#"{"privileged":false}"#), Err(Rule::JsonCase));
        assert_eq!(
            read("{\"Ma\u{17f}\u{212a}edPaths\":[]}"),
            Err(Rule::JsonCase)
        );
        assert_eq!(read("{\"A\u{212a}\":1,\"ak\":1}"), Err(Rule::JsonDuplicate));
        assert_eq!(
            read(r#"{"Privileged":false,"PRIVILEGED":true}"#),
            Err(Rule::JsonDuplicate)
        );
    }
}
