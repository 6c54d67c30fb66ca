//! Makes visible what a target could hide in a report: control characters, escape sequences, and
//! the format characters that reorder or hide text.
//!
//! A report shows names, titles and bodies that a hostile service chose. Every renderer starts from
//! [`assessment`], so that no string of it can move the cursor of a terminal (CWE-150) or show
//! other text than it holds (CVE-2021-42574).

use cofferdam_assess::Assessment;
use serde_json::Value;

/// A copy in which every invisible character of every string is written as `\u{…}`. Line feeds and
/// tabs stay, for bodies; a renderer that needs one line folds them.
pub(crate) fn assessment(assessment: &Assessment) -> Assessment {
    let copy = || -> Result<Assessment, serde_json::Error> {
        let mut value = serde_json::to_value(assessment)?;
        walk(&mut value);
        serde_json::from_value(value)
    };
    #[expect(
        clippy::expect_used,
        reason = "the model has only string keys, and no id of an enum has an invisible character, \
                  so it comes back from JSON as it went; a property test of this file holds it"
    )]
    copy().expect("the model survives JSON")
}

/// `text` with its invisible characters written as `\u{…}`.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\r' && chars.peek() == Some(&'\n') {
            continue;
        }
        if is_invisible(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// `text` on one line: as [`text`], with line feeds and tabs escaped as well.
pub(crate) fn line(one: &str) -> String {
    let mut out = String::with_capacity(one.len());
    for c in one.chars() {
        if c == '\n' || c == '\t' || is_invisible(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Escapes the invisible characters of a JSON text as JSON does, which leaves its data as they
/// are. They can stand only inside strings.
pub(crate) fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) {
            let mut units = [0_u16; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn walk(value: &mut Value) {
    match value {
        Value::String(string) => {
            if string.chars().any(is_invisible) {
                *string = text(string);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(walk),
        Value::Object(members) => {
            let old = std::mem::take(members);
            for (name, mut member) in old {
                walk(&mut member);
                members.insert(text(&name), member);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Control characters but line feed and tab; Unicode's format characters (general category Cf),
/// line and paragraph separators, fillers without a glyph, tags and noncharacters.
pub(crate) fn is_invisible(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{ad}'
        | '\u{34f}'
        | '\u{600}'..='\u{605}'
        | '\u{61c}'
        | '\u{6dd}'
        | '\u{70f}'
        | '\u{890}'..='\u{891}'
        | '\u{8e2}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}'
        | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        c if u32::from(c) & 0xfffe == 0xfffe => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use proptest::prelude::*;

    #[test]
    fn what_moves_a_cursor_or_reorders_text_becomes_readable() {
        assert_eq!(
            text("a\u{1b}[2Jb\u{202e}c\u{9b}31md\r\ne\rf\0"),
            "a\\u{1b}[2Jb\\u{202e}c\\u{9b}31md\ne\\u{d}f\\u{0}"
        );
        assert_eq!(text("für 日本 🙂\n\tx"), "für 日本 🙂\n\tx");
    }

    proptest! {
        #[test]
        fn any_string_survives_the_model_and_none_stays_invisible(
            chars in proptest::collection::vec(any::<char>(), 0..40),
        ) {
            let hostile: String = chars.into_iter().collect();
            let mut model = fixture::vulnerable();
            model.target = Some(hostile.clone());
            model.findings[0].title = hostile.clone();
            model.operations[0].answers[0].identity = hostile.clone();
            let clean = assessment(&model);
            prop_assert_eq!(clean.target, Some(text(&hostile)));
            prop_assert!(!clean.findings[0].title.chars().any(is_invisible));
            let written = json(&serde_json::to_string(&model).unwrap());
            prop_assert!(!written.chars().any(is_invisible));
            let read: Assessment = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read, model);
        }
    }
}
