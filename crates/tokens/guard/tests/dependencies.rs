//! What the crates pull in, held to a list: a new dependency is a decision and not an accident.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The names in the tree of a crate with its default features, itself left out.
fn tree(package: &str, depth: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .args([
            "--target",
            "x86_64-unknown-linux-gnu",
            "--package",
            package,
            "--depth",
            depth,
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty() && *name != package)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_core_pulls_in_cryptography_and_little_else() {
    let expected = [
        "aws-lc-rs",
        "aws-lc-sys",
        "base64",
        // `thiserror` at compile time.
        "proc-macro2",
        "quote",
        "rustls-pki-types",
        "syn",
        "thiserror",
        "thiserror-impl",
        "unicode-ident",
        "untrusted",
        "zeroize",
    ];
    let found = tree("cofferdam-token", "99");
    assert_eq!(found, expected.map(str::to_owned).into());
}

#[test]
fn the_guard_pulls_in_the_core_and_actix_web() {
    let expected = [
        "actix-web",
        "cofferdam-token",
        "futures-util",
        "serde",
        "serde_json",
    ];
    assert_eq!(
        tree("cofferdam-guard", "1"),
        expected.map(str::to_owned).into()
    );
    let whole = tree("cofferdam-guard", "99");
    // No second TLS or HTTP stack, and no `h2`, which has an open advisory in the version that
    // actix-web's feature `http2` asks for.
    for unwanted in [
        "openssl",
        "openssl-sys",
        "ring",
        "h2",
        "hyper",
        "rustls",
        "reqwest",
    ] {
        assert!(!whole.contains(unwanted), "{unwanted}");
    }
}
