//! `cofferdam demo`, the whole of it, through the real binary.

mod common;

use common::{Cofferdam, assert_valid, firm_findings};

#[test]
fn the_demo_shows_what_it_claims_and_writes_its_reports() {
    let cofferdam = Cofferdam::new();
    let output = cofferdam.run(&["demo", "--quiet"]);
    let story = String::from_utf8_lossy(&output.stdout).into_owned();
    let trouble = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{story}\n{trouble}");
    assert!(story.contains("the story holds"), "{story}");
    for line in [
        "refused by rule mount.host-path",
        "✓ the same container without the host's root is made",
        "refused  alice through cofferdam-api  container.create by mount.host-path, 1×",
    ] {
        assert!(story.contains(line), "{line}\n{story}");
    }
    let verified = story.lines().find(|line| line.contains("records verifies"));
    assert!(verified.is_some_and(|line| line.contains('✓')), "{story}");
    let folder = cofferdam.folder.path().join("cofferdam-demo");
    let read =
        |twin: &str, name: &str| std::fs::read_to_string(folder.join(twin).join(name)).unwrap();
    for twin in ["vulnerable", "hardened"] {
        assert_valid(&serde_json::from_str(&read(twin, "report.json")).unwrap());
        assert!(read(twin, "report.html").starts_with("<!DOCTYPE html>"));
        assert!(read(twin, "report.sarif").contains("\"2.1.0\""));
    }
    let hardened = serde_json::from_str(&read("hardened", "report.json")).unwrap();
    assert_eq!(firm_findings(&hardened), Vec::<String>::new());
}
