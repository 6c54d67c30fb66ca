//! The table of `docs/gate/clients.md`, which is that of the cases.

use crate::cases::{CASES, Gate};
use std::path::Path;

const BEGIN: &str = "<!-- commands: written by the test docker_cli -->\n";
const END: &str = "<!-- end of commands -->\n";

/// Holds the page to the cases, or writes it anew under `COFFERDAM_WRITE=1`.
pub fn check() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gate/clients.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var("COFFERDAM_WRITE").is_ok_and(|value| value == "1") {
        std::fs::write(&path, &wanted).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text == wanted,
        "docs/gate/clients.md is not what the cases say: run this test with COFFERDAM_WRITE=1"
    );
}

fn table() -> String {
    let mut table = "\n| `docker …` | through the gate |\n|---|---|\n".to_owned();
    let same = CASES.iter().filter(|case| matches!(case.gate, Gate::Same));
    for case in CASES {
        let line = shown(case.line);
        match case.gate {
            Gate::Same => {}
            Gate::Differs(_, why) => table += &format!("| `{line}` | other: {why} |\n"),
            Gate::Rewords(_, why) => {
                table += &format!("| `{line}` | ends the same, in other words: {why} |\n");
            }
            Gate::Refused(sentence) => {
                table += &format!(
                    "| `{line}` | refused, with a sentence that has “{sentence}” in it |\n"
                );
            }
        }
    }
    table += "\nThe same, straight and through the gate:\n\n";
    for case in same {
        table += &format!("- `{}`\n", shown(case.line));
    }
    table + "\n"
}

/// As it would be typed.
fn shown(line: &str) -> String {
    let words = line
        .split(' ')
        .map(|word| match word.contains(['|', ';', '>', '$']) {
            true => format!("'{}'", word.replace('|', " ")),
            false => word.to_owned(),
        });
    let line: Vec<_> = words.collect();
    line.join(" ").replace('@', "")
}
