//! What the broker pulls in, held to a list: it is root's equal, so a new dependency is a decision
//! and not an accident.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

#[test]
fn the_brokers_tree_is_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}", "--target", "x86_64-unknown-linux-gnu"])
        .args(["--package", "cofferdam-broker"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: BTreeSet<&str> = std::str::from_utf8(&output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "cofferdam-broker")
        .collect();
    let listed: BTreeSet<&str> = include_str!("dependencies.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let more: Vec<_> = found.difference(&listed).collect();
    let less: Vec<_> = listed.difference(&found).collect();
    assert!(
        more.is_empty() && less.is_empty(),
        "not in dependencies.txt: {more:?}; no longer pulled in: {less:?}"
    );
    for unwanted in ["openssl-sys", "ring", "rustls", "h2", "actix-web", "clap"] {
        assert!(!found.contains(unwanted), "{unwanted}");
    }
}
