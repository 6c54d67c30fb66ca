//! `cofferdam audit verify`.

use super::line::{self, line};
use super::place::{self, Place};
use crate::exit::Exit;
use crate::input::{self, Failure};
use crate::output;
use cofferdam_audit::proof::Inclusion;
use cofferdam_audit::record::Record;
use cofferdam_audit::verify::{Report, verify};
use cofferdam_report::visible;
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Verifies the whole log: answers 0 where nothing was changed, removed or moved, and 1 with what
/// is wrong and where. Or, with --proof, verifies the proof of one record without any log.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A checkpoint that was kept elsewhere: what was in the log then must still be in it. Without
    /// one, an older state of the whole log in place of this one does not show.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// A proof that `audit prove` wrote; needs `--key` alone.
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["against", "log", "config", "archive"])]
    proof: Option<PathBuf>,
    #[command(flatten)]
    place: place::Args,
    #[command(flatten)]
    archive: place::ArchiveArgs,
    #[command(flatten)]
    output: line::Args,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    if let Some(file) = &args.proof {
        return proof(file, args);
    }
    let place = Place::of(&args.place)?;
    let kept = args.against.as_deref().map(input::text).transpose()?;
    let archive = place.archive(&args.archive)?;
    let report =
        verify(&place.log, archive, &place.key()?, kept.as_deref()).map_err(Failure::new)?;
    output::print(&match args.output.json {
        true => format!("{}\n", as_json(&report)),
        false => as_text(&report, kept.is_some()),
    })?;
    Ok(match report.is_intact() {
        true => Exit::Clean,
        false => Exit::Failed,
    })
}

fn proof(file: &Path, args: &Args) -> Result<Exit, Failure> {
    let key = args.place.named_key()?;
    let refused = |why: &dyn std::fmt::Display| {
        output::note(&format!("not proved: {why}"));
        Ok(Exit::Failed)
    };
    let inclusion = match Inclusion::parse(&input::text(file)?) {
        Ok(inclusion) => inclusion,
        Err(error) => return refused(&error),
    };
    let Some(entry) = &inclusion.extra else {
        return refused(&"the proof does not carry its record");
    };
    let signed = match inclusion.check(entry, &key) {
        Ok(signed) => signed,
        Err(error) => return refused(&error),
    };
    let record = Record::decode(entry).map_err(Failure::new)?;
    output::print(&line(inclusion.index, &record, &args.output)?)?;
    output::note(&format!(
        "proved: entry {} of the log `{}`, whose first {} entries are signed",
        inclusion.index, signed.checkpoint.origin, signed.checkpoint.size
    ));
    Ok(Exit::Clean)
}

fn as_json(report: &Report) -> serde_json::Value {
    let faults: Vec<_> = report
        .faults
        .iter()
        .map(|fault| json!({ "index": fault.index, "what": fault.what }))
        .collect();
    json!({
        "intact": report.is_intact(),
        "size": report.size,
        "root": hex(&report.root),
        "moved": report.moved,
        "archived": report.archived,
        "published": report.published,
        "checkpoints": report.checkpoints,
        "torn": report.torn,
        "fault_count": report.fault_count,
        "faults": faults,
    })
}

fn as_text(report: &Report, against: bool) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let mut say = |line: &str| {
        let _ = writeln!(text, "{}", visible(line));
    };
    match report.is_intact() {
        true => say(&format!("intact: {} entries", report.size)),
        false => say(&format!("NOT intact: {} faults", report.fault_count)),
    }
    for fault in &report.faults {
        match fault.index {
            Some(index) => say(&format!("  entry {index}: {}", fault.what)),
            None => say(&format!("  {}", fault.what)),
        }
    }
    let unnamed = report.fault_count - report.faults.len() as u64;
    if unnamed > 0 {
        say(&format!("  and {unnamed} more"));
    }
    say(&format!("  root of the tree: {}", hex(&report.root)));
    say(&format!(
        "  signed checkpoints compared: {}",
        report.checkpoints
    ));
    if report.archived > 0 {
        say(&format!(
            "  {} entries were moved to the archive, and checked there",
            report.archived
        ));
    }
    if report.moved > 0 {
        say(&format!(
            "  {} entries were moved away; their hashes were checked, and `--archive DIR` checks them too",
            report.moved
        ));
    }
    if report.torn > 0 {
        say(&format!(
            "  {} bytes of a write that is under way or was never finished",
            report.torn
        ));
    }
    if !against {
        say(
            "  not compared with a kept checkpoint (`--against`): an older state of the whole log would not show",
        );
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
