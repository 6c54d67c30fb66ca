//! Runs the real binary with a scrubbed environment.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test stops at the first surprise, and takes the part that it needs"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of its own and the binary to run in it.
pub struct Cofferdam {
    pub folder: tempfile::TempDir,
}

impl Cofferdam {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Writes a file into the folder and returns its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The binary with no environment but what it needs to start.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cofferdam"));
        command
            .args(args)
            .env_clear()
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// `--identity NAME=@FILE` for each token, written into the folder.
    pub fn identities(&self, tokens: &[(&str, &str)]) -> Vec<String> {
        tokens
            .iter()
            .flat_map(|(name, token)| {
                let file = self.file(&format!("{name}.token"), token);
                [
                    "--identity".to_owned(),
                    format!("{name}=@{}", file.display()),
                ]
            })
            .collect()
    }
}

/// The JSON report of a run, checked against nothing: the caller looks at it.
pub fn report(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "no JSON report: {error}\n{}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// `check place` of every finding at `firm` or above, sorted.
pub fn firm_findings(report: &serde_json::Value) -> Vec<String> {
    let mut found: Vec<String> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["confidence"] != "tentative")
        .map(|finding| {
            let place = &finding["places"][0];
            let operation = place["operation"].as_str().or(place["file"].as_str());
            format!(
                "{} {}",
                finding["check"].as_str().unwrap(),
                operation.unwrap_or("–")
            )
        })
        .collect();
    found.sort();
    found
}

/// Holds a report to the committed schema.
pub fn assert_valid(report: &serde_json::Value) {
    let schema =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/report.schema.json");
    let schema = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
    let errors: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        errors.is_empty(),
        "the report breaks its schema: {errors:#?}"
    );
}
