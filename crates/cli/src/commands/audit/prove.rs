//! `cofferdam audit prove`.

use super::place::{self, Place};
use crate::exit::Exit;
use crate::input::Failure;
use crate::output;
use cofferdam_audit::Error;
use cofferdam_audit::proof::{Inclusion, prove};
use cofferdam_audit::reader::{Entry, Reader};
use cofferdam_audit::record::{Event, Query};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a record may take to come into the published checkpoint: the broker publishes every
/// second.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(3);

/// What to do about a record that is not here any more.
const ARCHIVE: &str = "name the directory that old records were moved to with `--archive DIR`";

/// Proves one record to whoever has the key of the log and not the log: prints a proof in the form
/// of c2sp.org/tlog-proof, with the record in it. `audit verify --proof` checks it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The number of the record, or the id of a request.
    #[arg(value_name = "INDEX|REQUEST")]
    which: String,
    /// Of a request, proves what became of it; without this, what was decided.
    #[arg(long)]
    outcome: bool,
    /// Writes the proof to a file.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    place: place::Args,
    #[command(flatten)]
    archive: place::ArchiveArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let place = Place::of(&args.place)?;
    let key = place.key()?;
    let entry = find(&place.reader(&args.archive)?, args)?;
    let began = Instant::now();
    let proof = loop {
        match prove(&place.log, entry.index, &key) {
            Err(Error::NoEntry { .. }) if began.elapsed() < PUBLISHED_WITHIN => {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => break other,
        }
    };
    let proof = proof.map_err(|error| {
        let failure = Failure::new(&error);
        match error {
            Error::NoEntry { .. } => {
                failure.hint("a broker that runs publishes every second; is it running?")
            }
            _ => failure,
        }
    })?;
    let proof = Inclusion {
        extra: Some(entry.bytes),
        ..proof
    };
    match &args.out {
        Some(file) => output::write_file(file, &proof.to_text())?,
        None => output::print(&proof.to_text())?,
    }
    Ok(Exit::Clean)
}

fn find(reader: &Reader, args: &Args) -> Result<Entry, Failure> {
    let index = match args.which.parse::<u64>() {
        Ok(index) => index,
        Err(_) => of_request(reader, args)?,
    };
    let entry = reader
        .entries(index)
        .next()
        .transpose()
        .map_err(Failure::new)?;
    entry
        .filter(|entry| entry.index == index)
        .ok_or_else(|| match index < reader.first() {
            true => Failure::new(format!("entry {index} was moved away")).hint(ARCHIVE),
            false => Failure::new(format!(
                "there is no entry {index}: the log has {}",
                reader.len()
            )),
        })
}

fn of_request(reader: &Reader, args: &Args) -> Result<u64, Failure> {
    let query = Query {
        request: Some(args.which.clone()),
        ..Query::default()
    };
    for found in reader.search(&query) {
        let (index, record) = found.map_err(Failure::new)?;
        if matches!(record.event, Event::Outcome { .. }) == args.outcome {
            return Ok(index);
        }
    }
    let what = if args.outcome { "outcome" } else { "decision" };
    let missing = Failure::new(format!(
        "the log has no {what} of a request `{}`",
        args.which
    ));
    Err(match reader.first() {
        0 => missing,
        first => missing.hint(format!("records below {first} were moved away; {ARCHIVE}")),
    })
}
