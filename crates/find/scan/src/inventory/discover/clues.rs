//! What an answer gives away about other operations: paths, words, names of missing fields.

use super::super::tag::words;
use crate::Target;
use crate::text::head;
use serde_json::Value;

/// Bytes of a text that are searched.
const SEARCHED: usize = 512 * 1024;
/// Paths that are taken from one answer.
const PATHS: usize = 200;

/// Path-like texts in an answer, as they stand: quoted, linked, or listed. Placeholders such as
/// `:id` and `<id>` become `{id}`. A relative link is joined with the folder of `from`.
pub(crate) fn paths(text: &str, from: &str, target: &Target) -> Vec<String> {
    let text = head(text, SEARCHED);
    let mut paths: Vec<String> = Vec::new();
    let mut take = |path: String| {
        // Behind the target's own URL may stand more of a port or of a host's name.
        let is_path = path.starts_with('/') && !path.starts_with("//");
        let fits = path.len() > 1 && path.len() < 200 && paths.len() < PATHS;
        if is_path && fits && !paths.contains(&path) {
            paths.push(path);
        }
    };
    // `href="x"`, also without the quotes of JSON strings.
    for attribute in ["href=", "src=", "action="] {
        for (at, _) in text.match_indices(attribute) {
            let value = text[at + attribute.len()..].trim_start_matches(['"', '\'', '\\']);
            let end =
                value.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '>' | '\\'));
            if let Some(path) = resolve(&value[..end.unwrap_or(value.len())], from, target) {
                take(path);
            }
        }
    }
    let url = target.to_string();
    for origin in [url.strip_suffix(target.base_path()).unwrap_or(&url)] {
        for (at, _) in text.match_indices(origin) {
            take(clean(run(&text[at + origin.len()..])));
        }
    }
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('/') {
        let before = at.checked_sub(1).map(|at| bytes[at]);
        let begins =
            before.is_none_or(|byte| byte.is_ascii_whitespace() || b"\"'`(>=,[".contains(&byte));
        if begins && bytes.get(at + 1) != Some(&b'/') {
            let path = clean(run(&text[at..]));
            // A closing tag, a comment, a media type range.
            if path
                .as_bytes()
                .get(1)
                .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'{' | b'.'))
            {
                take(path);
            }
        }
    }
    paths
}

fn run(text: &str) -> &str {
    let end = text.find(|c: char| {
        !(c.is_ascii_alphanumeric()
            || matches!(
                c,
                '/' | '-' | '_' | '.' | '~' | '{' | '}' | ':' | '<' | '>' | '%' | '@'
            ))
    });
    &text[..end.unwrap_or(text.len())]
}

/// The path without the end of a sentence, its placeholders in braces.
fn clean(path: &str) -> String {
    let path = path.split("</").next().unwrap_or_default();
    let mut segments: Vec<String> = Vec::new();
    for segment in path.split('/') {
        let segment = segment.trim_end_matches(['.', ':', '>']);
        let inner = segment
            .strip_prefix(':')
            .or_else(|| segment.strip_prefix('<'))
            // `<int:id>` as Flask and others write it.
            .map(|name| {
                name.rsplit(':')
                    .next()
                    .unwrap_or(name)
                    .trim_end_matches('>')
            });
        segments.push(match inner {
            Some(name) if !name.is_empty() => format!("{{{name}}}"),
            _ => segment.split('<').next().unwrap_or_default().to_owned(),
        });
    }
    segments.join("/")
}

/// The path that a link names, when it stays on the target.
fn resolve(link: &str, from: &str, target: &Target) -> Option<String> {
    let link = link.split(['#', '?']).next()?;
    if link.is_empty() || link.starts_with("//") {
        return None;
    }
    if link.contains("://") {
        let (place, _) = Target::parse_url(link).ok()?;
        return place.same_origin(target).then(|| place.path().to_owned());
    }
    if link.contains(':') {
        // `mailto:`, `javascript:`, `data:`.
        return None;
    }
    if link.starts_with('/') {
        return Some(link.to_owned());
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut segments: Vec<&str> = folder.split('/').collect();
    for part in link.split('/') {
        match part {
            "." => {}
            ".." => {
                segments.pop();
            }
            part => segments.push(part),
        }
    }
    let path = segments.join("/");
    Some(if path.starts_with('/') {
        path
    } else {
        format!("/{path}")
    })
}

/// Words of an answer that could be path segments: names of members that hold lists or objects or
/// end in `_url`, plural names, and bare words in lists.
pub(crate) fn segments(answer: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(answer, 0, &mut found);
    found
}

fn walk(value: &Value, depth: u32, found: &mut Vec<String>) {
    if depth > 4 || found.len() > 100 {
        return;
    }
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let stem = ["_url", "Url", "_link", "Link", "_href", "_uri", "_path"]
                    .iter()
                    .find_map(|ending| name.strip_suffix(ending));
                let holds = inner.is_array() || inner.is_object();
                if let Some(stem) = stem {
                    take(stem, found);
                } else if holds || name.ends_with('s') {
                    take(name, found);
                }
                walk(inner, depth + 1, found);
            }
        }
        Value::Array(list) => {
            for inner in list.iter().take(20) {
                match inner {
                    Value::String(text) if text.len() <= 24 && text.ends_with('s') => {
                        take(text, found)
                    }
                    inner => walk(inner, depth + 1, found),
                }
            }
        }
        _ => {}
    }
}

fn take(name: &str, found: &mut Vec<String>) {
    let fits = (2..=32).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && name.bytes().any(|byte| byte.is_ascii_alphabetic());
    if !fits {
        return;
    }
    let kebab = words(name).join("-");
    for form in [name.to_owned(), kebab] {
        if !found.contains(&form) {
            found.push(form);
        }
    }
}

/// Plural words of a page that lists what a service offers.
pub(crate) fn listed_words(text: &str) -> Vec<String> {
    let text = head(text, 16 * 1024);
    let mut found = Vec::new();
    for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
        let lower = word.to_ascii_lowercase();
        if (4..=24).contains(&lower.len())
            && lower.ends_with('s')
            && !found.contains(&lower)
            && found.len() < 40
        {
            found.push(lower);
        }
    }
    found
}

/// A field that a refusal says is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Whether the text says that it belongs into the query.
    pub(crate) query: bool,
}

/// What stands before `is required` and is no field.
const NO_FIELDS: [&str; 11] = [
    "is",
    "parameter",
    "field",
    "authentication",
    "authorization",
    "token",
    "header",
    "login",
    "credentials",
    "body",
    "not",
];

/// The names of fields that an error text says are missing: `` missing field `x` `` as serde says,
/// `"loc": ["query", "x"]` as FastAPI says, `x is required`, `missing parameter 'x'`.
pub(crate) fn missing_fields(text: &str) -> Vec<Field> {
    let text = head(text, 8 * 1024);
    let mut fields: Vec<Field> = Vec::new();
    let mut take = |name: &str, query: bool| {
        let name = name.trim_matches(|c: char| !c.is_alphanumeric() && c != '_');
        let fits = (1..=40).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if fits && !fields.iter().any(|known| known.name == name) {
            fields.push(Field {
                name: name.to_owned(),
                query,
            });
        }
    };
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        for detail in value["detail"].as_array().into_iter().flatten() {
            if let Some(loc) = detail["loc"].as_array()
                && let (Some(place), Some(name)) = (loc.first(), loc.last().and_then(Value::as_str))
            {
                take(name, place == "query");
            }
        }
    }
    let plain = text.replace('\\', "");
    let lower = plain.to_ascii_lowercase();
    let in_query = lower.contains("query");
    for (at, _) in lower.match_indices("missing") {
        // The first quoted name after `missing field`, `missing required parameter`, …
        let rest = &plain[at + "missing".len()..];
        let rest = head(rest, 60);
        if let Some(start) = rest.find(['`', '\'', '"']) {
            let tail = &rest[start + 1..];
            if let Some(end) = tail.find(['`', '\'', '"']) {
                take(&tail[..end], in_query);
                continue;
            }
        }
        let words: Vec<&str> = rest
            .split(|c: char| c.is_whitespace() || matches!(c, ':' | ','))
            .filter(|word| !word.is_empty())
            .collect();
        let skip = words
            .iter()
            .take_while(|word| {
                matches!(
                    word.to_ascii_lowercase().as_str(),
                    "required"
                        | "query"
                        | "parameter"
                        | "param"
                        | "field"
                        | "argument"
                        | "the"
                        | "a"
                        | "property"
                )
            })
            .count();
        if skip > 0
            && let Some(name) = words.get(skip)
        {
            take(name, in_query);
        }
    }
    for ending in [
        " is required",
        " required",
        " must be given",
        " is missing",
        " must be provided",
    ] {
        for (at, _) in lower.match_indices(ending) {
            let name = plain[..at]
                .rsplit(|c: char| {
                    c.is_whitespace() || matches!(c, '{' | ',' | ':' | '"' | '`' | '\'')
                })
                .find(|word| !word.is_empty())
                .unwrap_or_default();
            if !NO_FIELDS.contains(&name.to_ascii_lowercase().as_str()) {
                take(name, in_query);
            }
        }
    }
    fields
}

/// A value of the type that an error text asks for, as serde says it: `invalid type: string "x",
/// expected u32`.
pub(crate) fn expected(text: &str) -> Option<Value> {
    let text = head(text, 8 * 1024).to_ascii_lowercase();
    if !text.contains("invalid type") && !text.contains("invalid digit") {
        return None;
    }
    let wanted = text.split("expected ").nth(1).unwrap_or("integer");
    let word = wanted
        .split(|c: char| !c.is_ascii_alphanumeric())
        .find(|word| !matches!(*word, "a" | "an" | "" | "valid"))?;
    match word {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" | "f32"
        | "f64" | "integer" | "number" | "int" => Some(Value::from(1)),
        "boolean" | "bool" => Some(Value::Bool(false)),
        "sequence" | "array" | "list" => Some(Value::Array(Vec::new())),
        "map" | "struct" | "object" => Some(Value::Object(serde_json::Map::new())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_only_begins_like_the_targets_url_gives_no_path() {
        let target = Target::parse("http://127.0.0.1:8080").unwrap();
        let text = "http://127.0.0.1:80801/a http://127.0.0.1:8080.example/b \
                    http://127.0.0.1:8080//c/d http://127.0.0.1:8080/e";
        assert_eq!(paths(text, "/", &target), ["/e"]);
    }

    #[test]
    fn paths_are_found_in_pages_and_listings() {
        let target = Target::parse("http://127.0.0.1:9").unwrap();
        let page = r#"<a href="parcels">x</a> <a href='/drivers/'>y</a> <a href="https://other.example/z">z</a></p>
            GET /routes/:id/stops, POST /routes. See http://127.0.0.1:9/depots/{code}. "/api/<int:n>/x" text/html a/b"#;
        let found = paths(page, "/v1/index", &target);
        for wanted in [
            "/v1/parcels",
            "/drivers/",
            "/routes/{id}/stops",
            "/routes",
            "/depots/{code}",
            "/api/{n}/x",
        ] {
            assert!(
                found.iter().any(|path| path == wanted),
                "{wanted}: {found:?}"
            );
        }
        assert!(
            !found
                .iter()
                .any(|path| path.contains("other") || path == "/z" || path == "/b" || path == "/p"),
            "{found:?}"
        );
    }

    #[test]
    fn words_of_answers_become_segments() {
        let found = segments(
            &json!({ "parcels": [{ "id": 1, "trackingEvents_url": "x" }], "resources": ["drivers"], "name": "n" }),
        );
        for wanted in ["parcels", "tracking-events", "drivers", "resources"] {
            assert!(
                found.iter().any(|word| word == wanted),
                "{wanted}: {found:?}"
            );
        }
        assert!(!found.iter().any(|word| word == "name"));
    }

    #[test]
    fn the_type_that_is_asked_for_is_understood() {
        for (text, value) in [
            (
                "Json deserialize error: invalid type: string \"x\", expected u32 at line 1",
                Some(json!(1)),
            ),
            (
                "invalid type: string \"x\", expected a boolean",
                Some(json!(false)),
            ),
            (
                "invalid type: string \"x\", expected a sequence",
                Some(json!([])),
            ),
            ("we expected a better answer", None),
        ] {
            assert_eq!(expected(text), value, "{text}");
        }
    }

    #[test]
    fn missing_fields_are_named_by_many_frameworks() {
        for (text, name, query) in [
            ("Query deserialize error: missing field `doc`", "doc", true),
            (
                "Json deserialize error: missing field `url` at line 1 column 2",
                "url",
                false,
            ),
            (
                r#"{"detail":[{"loc":["query","q"],"msg":"field required"}]}"#,
                "q",
                true,
            ),
            (r#"{"error":"target is required"}"#, "target", false),
            (r#"{"error":"missing query parameter: path"}"#, "path", true),
            (
                r#"{"message":"Missing required field 'image'"}"#,
                "image",
                false,
            ),
        ] {
            assert_eq!(
                missing_fields(text).first(),
                Some(&Field {
                    name: name.to_owned(),
                    query
                }),
                "{text}"
            );
        }
        assert_eq!(missing_fields(r#"{"error":"authentication required"}"#), []);
    }
}
