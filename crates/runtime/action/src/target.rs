//! The request target: one spelling for each route, and a query of known keys.

use crate::json::fold;
use crate::refusal::{Refusal, Rule, quote};

/// Bytes that a request target may have. dockerode copies the whole body into the query, so the
/// bound is above the usual 8 KiB.
pub const MAX_TARGET: usize = 64 << 10;
/// The oldest Engine API version that the docker dialect answers, and the one that is spoken to the
/// engine.
pub const OLDEST_MINOR: u16 = 41;

/// A raw target, checked and cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The path without its version: starts with `/`, has no empty or dot segment and does not end
    /// with `/`.
    pub(crate) path: &'a str,
    /// What follows `?`, not yet decoded.
    pub(crate) query: &'a str,
}

impl<'a> Target<'a> {
    /// Reads the target of the docker dialect, whose version comes first or not at all.
    pub(crate) fn versioned(raw: &'a str) -> Result<Self, Refusal> {
        let target = Self::literal(raw)?;
        let first = target.path[1..].split('/').next().unwrap_or_default();
        let looks_versioned =
            first.starts_with(['v', 'V']) && first[1..].starts_with(|c: char| c.is_ascii_digit());
        if !looks_versioned {
            return Ok(target);
        }
        let rest = &target.path[1 + first.len()..];
        if rest == "/libpod" || rest.starts_with("/libpod/") {
            return Ok(Self {
                path: rest,
                ..target
            });
        }
        let minor = first
            .strip_prefix("v1.")
            .filter(|minor| minor.len() == 2 && minor.bytes().all(|digit| digit.is_ascii_digit()));
        match minor.and_then(|minor| minor.parse::<u16>().ok()) {
            Some(minor) if minor >= OLDEST_MINOR && !rest.is_empty() => Ok(Self {
                path: rest,
                ..target
            }),
            _ => Err(Refusal::new(
                Rule::Version,
                format!(
                    "{} is no version that is answered here; write `/v1.{OLDEST_MINOR}` to `/v1.99`, or none",
                    quote(first)
                ),
            )
            .at("path")),
        }
    }

    /// Checks the spelling of a target. No route decodes anything of its path but the name of an image,
    /// so nothing else may be left that an engine or a proxy would decode, fold or resolve into another
    /// route.
    pub(crate) fn literal(raw: &'a str) -> Result<Self, Refusal> {
        let fail =
            |why: &str| Err(Refusal::new(Rule::Target, format!("the target {why}")).at("path"));
        if raw.len() > MAX_TARGET {
            return Err(Refusal::new(
                Rule::BodySize,
                format!(
                    "the target has {} bytes, more than the {MAX_TARGET} allowed",
                    raw.len()
                ),
            )
            .at("path"));
        }
        if !raw.starts_with('/') {
            return fail("is not a path; the absolute form and `*` name no action");
        }
        if let Some(bad) = raw
            .chars()
            .find(|letter| !letter.is_ascii_graphic() || *letter == '#')
        {
            return fail(&format!("holds {}", quote(&bad.to_string())));
        }
        let (path, query) = raw.split_once('?').unwrap_or((raw, ""));
        if path.contains(['\\', ';', '"', '<', '>', '^', '`', '{', '|', '}']) {
            return fail("holds a character that no route has");
        }
        if path[1..].split('/').any(str::is_empty) {
            return fail("has an empty segment");
        }
        if path
            .split('/')
            .any(|segment| segment == "." || segment == "..")
        {
            return fail("has a dot segment");
        }
        // Only names of images may be encoded, since no other name has letters that a client would
        // encode. The prefix is compared after the version, in the one spelling that `versioned`
        // accepts.
        if path.contains('%') {
            let after_version = match path[1..].split_once('/') {
                Some((first, _)) if first.starts_with("v1.") && !first.contains('%') => {
                    &path[1 + first.len()..]
                }
                _ => path,
            };
            match after_version.strip_prefix("/images/") {
                Some(name) if is_encoded_name(name) => {}
                _ => {
                    return fail(
                        "holds `%`; only `/`, `:` and `@` in names of images may be encoded",
                    );
                }
            }
        }
        Ok(Self { path, query })
    }
}

/// Whether what is encoded below `/images/` can be a part of an image's name: `%2f`, `%3a` and `%40`,
/// which dockerode and docker-py write for its `/`, `:` and `@`, and no segment that is empty or made
/// of dots once they are decoded.
fn is_encoded_name(name: &str) -> bool {
    const CODES: [&str; 5] = ["2f", "2F", "3a", "3A", "40"];
    let is_known = |piece: &str| CODES.iter().any(|code| piece.starts_with(code));
    let is_dots = |segment: &str| matches!(segment, "" | "." | "..");
    name.split('%').skip(1).all(is_known)
        && decode(name, false).is_ok_and(|name| !name.split('/').any(is_dots))
}

/// Decodes `%XX`, and `+` as a space where `plus` says so. Anything malformed, and what is not
/// UTF-8 or holds a NUL afterwards, is refused.
pub(crate) fn decode(text: &str, plus: bool) -> Result<String, Refusal> {
    let fail = || {
        Refusal::new(
            Rule::QuerySyntax,
            format!("{} cannot be decoded in one way", quote(text)),
        )
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| (byte? as char).to_digit(16);
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Err(fail());
                };
                // Two hex digits are below 256.
                (high * 16 + low) as u8
            }
            b'+' if plus => b' ',
            other => other,
        });
    }
    let decoded = String::from_utf8(bytes).map_err(|_| fail())?;
    if decoded.contains('\0') {
        Err(fail())
    } else {
        Ok(decoded)
    }
}

/// Percent-encodes a query value: everything but the unreserved characters of RFC 3986 §2.3.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The known keys of a query. Unknown ones are dropped (dockerode sends its whole body there) and
/// never passed on; a known key in another case, or twice, is refused.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(&'static str, String)>,
}

impl Query {
    pub(crate) fn parse(raw: &str, known: &[&'static str]) -> Result<Self, Refusal> {
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        if raw.contains(';') {
            return Err(Refusal::new(Rule::QuerySyntax, "it holds `;`").at("query"));
        }
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = decode(key, true).map_err(|refusal| refusal.at("query"))?;
            let Some(name) = known.iter().find(|name| fold(name) == fold(&key)) else {
                continue;
            };
            if *name != key {
                return Err(
                    Refusal::new(Rule::QueryCase, format!("the key is written `{name}`"))
                        .at(format!("query {}", quote(&key))),
                );
            }
            if pairs.iter().any(|(other, _)| other == name) {
                return Err(
                    Refusal::new(Rule::QueryDuplicate, "the key is given twice").at(place(name))
                );
            }
            let value = decode(value, true).map_err(|refusal| refusal.at(place(name)))?;
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// The value of a key; the empty one is not there.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        let (_, value) = self.pairs.iter().find(|(name, _)| *name == key)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// A value of a grammar.
    pub(crate) fn parsed<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        self.text(key)
            .map(parse)
            .transpose()
            .map_err(|refusal| refusal.at(place(key)))
    }

    /// A value that must be there.
    pub(crate) fn required<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.parsed(key, parse)?.ok_or_else(|| missing(key))
    }

    /// A boolean as the engine's clients write it.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, Refusal> {
        self.parsed(key, |text| match text {
            "1" | "true" | "True" => Ok(true),
            "0" | "false" | "False" => Ok(false),
            _ => Err(value(text, "a boolean")),
        })
    }

    /// A whole number from `range`.
    pub(crate) fn number(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, Refusal> {
        self.parsed(key, |text| {
            text.parse()
                .ok()
                .filter(|number| range.contains(number))
                .ok_or_else(|| {
                    value(
                        text,
                        &format!("a number from {} to {}", range.start(), range.end()),
                    )
                })
        })
    }
}

/// The refusal of a query without a key that must be there.
pub(crate) fn missing(key: &str) -> Refusal {
    Refusal::new(Rule::QueryValue, "it is missing").at(place(key))
}

/// How a refusal names a key.
pub(crate) fn place(key: &str) -> String {
    format!("query `{key}`")
}

fn value(text: &str, expected: &str) -> Refusal {
    Refusal::new(
        Rule::QueryValue,
        format!("{} is not {expected}", quote(text)),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_route_has_one_spelling() {
        for raw in [
            "http://evil/containers/json",
            "*",
            "",
            "//containers/json",
            "/v1.41//containers/json",
            "/v1.41/./containers/json",
            "/v1.41/x/../containers/json",
            "/containers/json/",
            "/containers/json?#x",
            "/containers/json;x",
            "/containers%2fjson",
            "/v1.41%2fcontainers%2fjson",
            "/%761.41/containers/json",
            "/containers/a\\b/json",
            "/containers/\u{e9}/json",
            "/containers/a b/json",
            "/images/%2e%2e/containers/create",
            "/images/%2E%2e%2fcontainers%2fcreate",
            "/images/..%2fcontainers%2fcreate",
            "/images/a%2f..%2Fb/json",
            "/images/a%2f%2fb/json",
            "/images/%2fapp/json",
            "/images/app%2f/json",
            "/images/x%00/json",
            "/images/x%1f/json",
            "/images/x%0a/json",
            "/images/x%5cy/json",
            "/images/x%5Cy/json",
            "/images/x%252fy/json",
            "/images/%61pp/json",
            "/images/x%3fy/json",
            "/images/x%/json",
            "/images/x%2",
            "/images/x%zz/json",
            "/images/x%2\u{e9}/json",
            "/v1.41/images/x%2e/json",
            "/networks/a%2fb",
            "/networks/%2e%2e/containers/create",
            "/v1.41/networks/n%00/connect",
        ] {
            assert_eq!(
                Target::versioned(raw).unwrap_err().rule,
                Rule::Target,
                "{raw}"
            );
        }
    }

    #[test]
    fn the_name_of_an_image_may_be_encoded_as_clients_do() {
        for raw in [
            "/images/allowed%2Fapp%3A1/json",
            "/v1.41/images/allowed%2fapp%3a1/tag?repo=a%2e",
            "/images/registry.example%3A5000%2Fteam%2Fapp%40sha256%3Aab/json",
            "/images/allowed/app%40sha256:ab",
            "/images/allowed/app:1/json",
        ] {
            assert!(Target::versioned(raw).is_ok(), "{raw}");
        }
    }

    #[test]
    fn a_version_has_one_spelling() {
        for version in [
            "v1.41.", "v01.41", "v1.041", "v1.41.0", "V1.41", "v1.40", "v1.12", "v2.0", "v1.100",
            "v1",
        ] {
            let raw = format!("/{version}/containers/json");
            assert_eq!(
                Target::versioned(&raw).unwrap_err().rule,
                Rule::Version,
                "{raw}"
            );
        }
        for raw in [
            "/containers/json",
            "/v1.41/containers/json",
            "/v1.51/containers/json?all=1",
        ] {
            assert_eq!(Target::versioned(raw).unwrap().path, "/containers/json");
        }
        assert_eq!(Target::versioned("/v1.41").unwrap_err().rule, Rule::Version);
        assert_eq!(Target::versioned("/volumes").unwrap().path, "/volumes");
    }

    #[test]
    fn unknown_keys_are_dropped_and_known_ones_are_exact() {
        let known = &["name", "platform"];
        let query = Query::parse("Image=x&name=a%2Db&Cmd=1&Cmd=2", known).unwrap();
        assert_eq!(query.text("name"), Some("a-b"));
        let rule = |raw| Query::parse(raw, known).unwrap_err().rule;
        assert_eq!(rule("Name=x"), Rule::QueryCase);
        assert_eq!(rule("%4eame=x"), Rule::QueryCase);
        assert_eq!(rule("name=x&name=y"), Rule::QueryDuplicate);
        assert_eq!(rule("name=%zz"), Rule::QuerySyntax);
        assert_eq!(rule("name=%ff"), Rule::QuerySyntax);
        assert_eq!(rule("name=%00"), Rule::QuerySyntax);
        assert_eq!(rule("a;name=x"), Rule::QuerySyntax);
    }

    proptest! {
        #[test]
        fn an_encoded_value_decodes_to_itself(text in "[^\u{0}]{0,40}") {
            prop_assert_eq!(decode(&encode(&text), true).unwrap(), text);
        }

        #[test]
        fn no_target_makes_the_reader_panic(raw in "/[ -~\u{e9}]{0,40}") {
            if let Ok(target) = Target::versioned(&raw) {
                let _ = Query::parse(target.query, &["name"]);
            }
        }
    }
}
