//! The renderers of `cofferdam-report`, with texts that a hostile service chose.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use cofferdam_assess::Assessment;
use cofferdam_report::{TerminalOptions, html, json, sarif, terminal, visible, visible_lines};
use serde_json::Value;

use crate::Target;

/// The targets of this file.
pub const TARGETS: &[Target] = &[Target {
    name: "report_text",
    run: render,
    seeds: &[
        b"\x00\x01</script><x-evil a=\"b\" onload='c'>\x1b[2J\xe2\x80\xae\xc2\x9b31m`&amp;",
        b"\x03\x05\"><x-evil>",
        b"\x01\x00javascript:alert(1)",
        b"\x00\x07a\r\nb\tc\0d",
    ],
}];

/// An assessment of a vulnerable service, as a report.
static SAMPLE: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../seeds/assessment.json")).expect("JSON"));

/// The elements and attributes of the sample's own page.
static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let sample: Assessment = serde_json::from_value(SAMPLE.clone()).expect("an assessment");
    words(&html(&sample))
});

/// Puts a text into the model, in place of every so manieth text or after it, and renders it. No
/// control character, no line that reads backwards and no markup comes out.
pub fn render(data: &[u8]) {
    let [every, first, rest @ ..] = data else {
        return;
    };
    let text = String::from_utf8_lossy(&rest[..rest.len().min(4096)]);
    for one in [visible(&text), visible_lines(&text)] {
        assert!(one.chars().all(|c| !hidden(c)), "{one:?}");
    }
    let mut model = SAMPLE.clone();
    let every = u32::from(*every) % 64 + 1;
    let mut count = u32::from(*first) % every;
    replace(&mut model, "", &text, every, &mut count);
    // Where an id was hit it is no assessment any more.
    let Ok(model) = serde_json::from_value::<Assessment>(model) else {
        return;
    };
    for verbose in [false, true] {
        let options = TerminalOptions {
            all_paths: verbose,
            verbose,
            ..TerminalOptions::default()
        };
        let page = terminal(&model, &options);
        assert!(page.chars().all(|c| !hidden(c)), "{page:?}");
    }
    for page in [json(&model), sarif(&model)] {
        assert!(page.chars().all(|c| !hidden(c)));
        assert!(serde_json::from_str::<Value>(&page).is_ok());
    }
    let page = html(&model);
    assert!(page.chars().all(|c| !hidden(c)));
    let strange: Vec<String> = words(&page).difference(&KNOWN).cloned().collect();
    assert!(strange.is_empty(), "{strange:?}");
}

/// Members whose texts are ids of the model.
const IDS: [&str; 16] = [
    "severity",
    "confidence",
    "status",
    "grade",
    "grants",
    "needs",
    "state",
    "from",
    "to",
    "condition",
    "truth",
    "reach",
    "method",
    "assumed",
    "side",
    "kind",
];

fn replace(value: &mut Value, name: &str, text: &str, every: u32, count: &mut u32) {
    match value {
        Value::String(string) if !IDS.contains(&name) => {
            if *count == 0 {
                *string = match every % 2 {
                    0 => text.to_owned(),
                    _ => format!("{string}{text}"),
                };
                *count = every;
            }
            *count -= 1;
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| replace(item, name, text, every, count)),
        Value::Object(members) => members
            .iter_mut()
            .for_each(|(name, member)| replace(member, name, text, every, count)),
        _ => {}
    }
}

/// What moves a cursor or hides and reorders text.
fn hidden(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The names of all elements and attributes of a page, read as a browser reads them, and the
/// schemes of its links.
fn words(page: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let name: String = rest
            .chars()
            .take_while(|c| !c.is_whitespace() && !matches!(c, '>' | '/'))
            .collect();
        if name.is_empty() {
            let end = rest.find('>').unwrap_or(rest.len());
            rest = &rest[end..];
            continue;
        }
        rest = &rest[name.len()..];
        // Attributes: names, and values in quotes.
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            let end = rest
                .find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'))
                .unwrap_or(rest.len());
            let attribute = &rest[..end];
            rest = &rest[end..];
            if attribute.is_empty() {
                break;
            }
            words.insert(format!("{name} {attribute}"));
            if let Some(value) = rest.strip_prefix("=\"") {
                let end = value.find('"').unwrap_or(value.len());
                if attribute == "href" && !value.starts_with('#') {
                    let scheme = value[..end].split(':').next().unwrap_or_default();
                    words.insert(format!("link {scheme}"));
                }
                rest = value.get(end + 1..).unwrap_or_default();
            }
        }
        if name == "style" {
            // Its text is no markup; its end is.
            let end = rest.find("</style").unwrap_or(rest.len());
            rest = &rest[end..];
        }
        words.insert(name);
    }
    words
}
