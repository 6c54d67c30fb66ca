//! Identifiers seen in answers, and which parameters they fit.

use super::tag::words;
use crate::{Operation, ParamIn};
use serde_json::Value;
use std::collections::HashSet;

/// Identifiers that are kept per identity.
const KEPT: usize = 4000;
/// The longest text that can be an identifier.
const LONGEST: usize = 200;
/// Elements of a list that are looked at.
const ELEMENTS: usize = 50;

/// What one identity has seen.
#[derive(Debug, Default)]
pub(crate) struct Harvest {
    seen: Vec<Seen>,
    known: HashSet<Seen>,
    /// Path-like texts: links to other operations.
    paths: Vec<String>,
}

/// One value, with the noun of what it stands in and the name of its member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Seen {
    noun: String,
    /// The words of the member's name, joined; empty for an element of a list of names.
    member: String,
    /// Its last word.
    last: String,
    /// The words before the last, joined and singular.
    of: String,
    value: String,
}

impl Harvest {
    /// Takes the identifiers out of an answer to a request for `path` (a template or a raw path).
    pub(crate) fn take(&mut self, path: &str, answer: &Value) {
        self.walk(&noun_of(path), answer, 0);
    }

    fn walk(&mut self, noun: &str, value: &Value, depth: u32) {
        if depth > 6 {
            return;
        }
        match value {
            Value::Object(map) => {
                for (name, inner) in map {
                    match inner {
                        Value::Object(_) | Value::Array(_) => {
                            // `data`, `items`, `results` wrap; every other name says what is in it.
                            let wraps = matches!(
                                name.as_str(),
                                "data"
                                    | "items"
                                    | "results"
                                    | "result"
                                    | "content"
                                    | "records"
                                    | "list"
                                    | "rows"
                                    | "values"
                                    | "entries"
                            );
                            let inner_noun = if wraps {
                                noun.to_owned()
                            } else {
                                singular(name)
                            };
                            self.walk(&inner_noun, inner, depth + 1);
                        }
                        scalar => self.keep(noun, name, scalar),
                    }
                }
            }
            Value::Array(list) => {
                for inner in list.iter().take(ELEMENTS) {
                    match inner {
                        Value::Object(_) | Value::Array(_) => {
                            self.walk(noun, inner, depth + 1);
                        }
                        // A list of bare names: `["a", "b"]` in `/builds`.
                        scalar => self.keep(noun, "", scalar),
                    }
                }
            }
            _ => {}
        }
    }

    fn keep(&mut self, noun: &str, member: &str, value: &Value) {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) if number.is_u64() || number.is_i64() => number.to_string(),
            _ => return,
        };
        if value.is_empty() || value.len() > LONGEST || self.seen.len() >= KEPT {
            return;
        }
        if let Some(path) = path_of(&value)
            && !self.paths.iter().any(|known| known == path)
        {
            self.paths.push(path.to_owned());
        }
        let mut parts = words(member);
        let joined = parts.concat();
        let seen = Seen {
            noun: noun.to_owned(),
            member: joined,
            last: parts.pop().unwrap_or_default(),
            of: singular(&parts.concat()),
            value,
        };
        if self.known.insert(seen.clone()) {
            self.seen.push(seen);
        }
    }

    /// Links to other operations, in the order in which they were seen.
    pub(crate) fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Values that fit `name` of `operation`, the likeliest first, at most `limit`.
    pub(crate) fn fitting(&self, operation: &Operation, name: &str, limit: usize) -> Vec<String> {
        self.scored(operation, name, limit, 1)
    }

    /// As [`Harvest::fitting`], without those of which only a link says that they might.
    pub(super) fn items(&self, operation: &Operation, name: &str, limit: usize) -> Vec<String> {
        self.scored(operation, name, limit, 4)
    }

    /// Identifiers of whatever the words of `path` name, for a parameter whose name tells nothing:
    /// `/papers/read?doc=` takes what `/papers` lists.
    pub(crate) fn related(&self, path: &str, limit: usize) -> Vec<String> {
        let nouns: Vec<String> = path
            .split('/')
            .filter(|segment| !segment.is_empty() && !segment.contains('{'))
            .map(singular)
            .collect();
        let mut related: Vec<String> = Vec::new();
        for seen in &self.seen {
            let names = seen.member.is_empty() || is_identifying(&seen.last);
            if names && nouns.contains(&seen.noun) && !related.contains(&seen.value) {
                related.push(seen.value.clone());
                if related.len() >= limit {
                    break;
                }
            }
        }
        related
    }

    fn scored(&self, operation: &Operation, name: &str, limit: usize, least: u32) -> Vec<String> {
        let integer = operation
            .params
            .iter()
            .find(|param| param.name == name)
            .is_some_and(|param| param.schema["type"] == "integer");
        let mut scored: Vec<(u32, usize, &str)> = Vec::new();
        let wanted = Wanted::new(operation, name);
        for path in &self.paths {
            if let Some(value) = value_in(path, &operation.path, name) {
                // `/papers/read` is more likely another operation than a paper called `read`.
                let sure = looks_like_id(value) || self.seen.iter().any(|seen| seen.value == value);
                scored.push((if sure { 12 } else { 2 }, 0, value));
            }
        }
        for (index, seen) in self.seen.iter().enumerate() {
            if integer && !seen.value.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            let score = wanted.score(seen);
            if score >= least {
                scored.push((score, index, &seen.value));
            }
        }
        scored.retain(|(score, _, _)| *score >= least);
        scored.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut fitting: Vec<String> = Vec::new();
        for (_, _, value) in scored {
            if fitting.len() >= limit {
                break;
            }
            if !fitting.iter().any(|known| known == value) {
                fitting.push(value.to_owned());
            }
        }
        fitting
    }
}

/// What a parameter wants, in the terms of what was seen.
struct Wanted {
    /// The words of its name, joined.
    bare: String,
    /// Its last word, `id` in `containerId`.
    last: String,
    /// What its name says it identifies, `container` in `containerId`.
    of: String,
    /// What stands before it in the path, singular.
    noun: String,
}

impl Wanted {
    fn new(operation: &Operation, name: &str) -> Self {
        let mut parts = words(name);
        let bare = parts.concat();
        let last = parts.pop().unwrap_or_default();
        let placeholder = format!("{{{name}}}");
        let before = operation
            .path
            .split('/')
            .take_while(|segment| !segment.contains(&placeholder));
        let noun = before
            .filter(|segment| !segment.contains('{') && !segment.is_empty())
            .last()
            .map(singular)
            .unwrap_or_default();
        let in_path = operation.param(ParamIn::Path, name).is_some();
        Self {
            bare,
            last,
            of: singular(&parts.concat()),
            noun: if in_path { noun } else { String::new() },
        }
    }

    /// 0 when it does not fit.
    fn score(&self, seen: &Seen) -> u32 {
        let same_noun = !seen.noun.is_empty() && (seen.noun == self.noun || seen.noun == self.of)
            || (!self.of.is_empty() && seen.of == self.of);
        let specific = !matches!(
            self.bare.as_str(),
            "id" | "name" | "key" | "slug" | "title" | "uuid" | "ref" | "code" | "number"
        );
        if same_noun && seen.member == self.bare {
            10
        } else if same_noun && seen.member.is_empty() {
            9
        } else if same_noun && seen.last == self.last {
            8
        } else if specific && seen.member == self.bare {
            7
        } else if same_noun && seen.last == "id" {
            6
        } else if same_noun && is_identifying(&seen.last) {
            // `/recipes/{slug}` answered by members called `name`.
            5
        } else if same_noun && self.bare == "id" && looks_like_name(&seen.value) {
            // A member that no list of names has, with a value such as `PX-7f3a91`.
            4
        } else if specific && !self.of.is_empty() && seen.member == self.of {
            // `container` holding the id of one.
            3
        } else {
            0
        }
    }
}

/// Whether a member whose name ends in this word names an object.
fn is_identifying(word: &str) -> bool {
    matches!(
        word,
        "id" | "uuid"
            | "guid"
            | "key"
            | "slug"
            | "name"
            | "title"
            | "handle"
            | "username"
            | "code"
            | "ref"
            | "reference"
            | "identifier"
            | "number"
    )
}

/// Whether a value is made to name something: letters and digits together, and no time, size or
/// sentence.
fn looks_like_name(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    value.len() <= 64
        && looks_like_id(value)
        && value.chars().all(plain)
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// The noun of a path: its last segment that is a word, singular.
fn noun_of(path: &str) -> String {
    path.split('?')
        .next()
        .unwrap_or_default()
        .split('/')
        .rfind(|segment| !segment.is_empty() && !segment.contains('{') && !looks_like_id(segment))
        .map(singular)
        .unwrap_or_default()
}

/// Whether a path segment is an identifier and no word: it has a digit beside more, or is long hex.
pub(super) fn looks_like_id(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let version = segment.strip_prefix('v').is_some_and(|rest| {
        rest.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    });
    if version || segment.is_empty() {
        return false;
    }
    digits == segment.len()
        || (digits > 0
            && segment.len() >= 4
            && (digits * 4 >= segment.len() || segment.contains('-')))
}

/// The path of a text that is a link: `/x/y`, or a URL; `None` for everything else.
fn path_of(text: &str) -> Option<&str> {
    let path = match text.split_once("://") {
        Some((scheme, rest)) if scheme.len() <= 5 && !text.contains(' ') => {
            &rest[rest.find('/')?..]
        }
        _ if text.starts_with('/') && !text.contains(' ') => text,
        _ => return None,
    };
    // `//x/y` is a host and its path.
    (path.len() > 1 && path.len() <= LONGEST && !path.starts_with("//")).then_some(path)
}

/// What stands at `{name}` of `template` in `path`, when they match otherwise.
fn value_in<'a>(path: &'a str, template: &str, name: &str) -> Option<&'a str> {
    let path = path.split(['?', '#']).next()?;
    let mut found = None;
    let mut segments = path.split('/');
    for part in template.split('/') {
        let segment = segments.next()?;
        if part == format!("{{{name}}}") {
            found = Some(segment).filter(|segment| !segment.is_empty());
        } else if !(part.starts_with('{') && part.ends_with('}')) && part != segment {
            return None;
        }
    }
    if segments.next().is_some() {
        None
    } else {
        found
    }
}

/// The singular of an English noun in lower case, near enough to compare two names.
pub(super) fn singular(word: &str) -> String {
    let word: String = words(word).concat();
    if let Some(stem) = word.strip_suffix("ies")
        && stem.len() > 1
    {
        return format!("{stem}y");
    }
    for ending in ["sses", "shes", "ches", "xes"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    match word.strip_suffix('s') {
        Some(stem) if stem.len() > 2 && !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::operation;
    use serde_json::json;

    #[test]
    fn identifiers_of_a_list_fit_the_item_operation() {
        let mut harvest = Harvest::default();
        harvest.take(
            "/v1/containers",
            &json!({ "items": [{ "id": "c-1", "image": "alpine", "owner": { "id": "u-9" } }, { "id": "c-2" }] }),
        );
        let inspect = operation("GET", "/v1/containers/{id}");
        assert_eq!(harvest.fitting(&inspect, "id", 8), ["c-1", "c-2"]);
        let logs = operation("GET", "/v1/containers/{containerId}/logs");
        assert_eq!(harvest.fitting(&logs, "containerId", 8), ["c-1", "c-2"]);
        let owner = operation("GET", "/owners/{owner_id}");
        assert_eq!(harvest.fitting(&owner, "owner_id", 8)[0], "u-9");
    }

    #[test]
    fn titles_and_bare_lists_are_identifiers_too() {
        let mut harvest = Harvest::default();
        harvest.take(
            "/books",
            &json!({ "Books": [{ "book_title": "T1", "user": "a" }] }),
        );
        harvest.take("/vaults", &json!(["north", "south"]));
        let book = operation("GET", "/books/v1/{book_title}");
        assert_eq!(harvest.fitting(&book, "book_title", 8), ["T1"]);
        let vault = operation("GET", "/vaults/{name}");
        assert_eq!(harvest.fitting(&vault, "name", 8), ["north", "south"]);
    }

    #[test]
    fn a_link_gives_the_value_of_its_place() {
        let mut harvest = Harvest::default();
        harvest.take("/", &json!({ "self_url": "http://h:1/a/7/b/x9", "n": 3 }));
        let operation = operation("GET", "/a/{n}/b/{m}");
        assert_eq!(harvest.fitting(&operation, "m", 8), ["x9"]);
        assert_eq!(harvest.fitting(&operation, "n", 8)[0], "7");
    }

    #[test]
    fn a_text_with_a_host_in_place_of_a_path_is_no_link() {
        let mut harvest = Harvest::default();
        harvest.take("/", &json!(["http://a//b/c", "//b/c", "/d/e"]));
        assert_eq!(harvest.paths(), ["/d/e"]);
    }

    #[test]
    fn nouns_are_compared_in_the_singular() {
        for (many, one) in [
            ("containers", "container"),
            ("policies", "policy"),
            ("boxes", "box"),
            ("status", "status"),
            ("class", "class"),
            ("Books", "book"),
        ] {
            assert_eq!(singular(many), one);
        }
        assert!(
            looks_like_id("42")
                && looks_like_id("c-17a")
                && !looks_like_id("v1")
                && !looks_like_id("logs")
        );
    }
}
