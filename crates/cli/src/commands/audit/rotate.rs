//! `cofferdam audit rotate`.

use super::line::moment;
use super::place::{self, Place};
use crate::exit::Exit;
use crate::input::Failure;
use crate::output;
use cofferdam_audit::Error;
use cofferdam_audit::log::{Log, Options};
use cofferdam_audit::reader::Reader;
use std::path::PathBuf;

/// Moves old records into another directory, while the broker is stopped. Their hashes stay, so the
/// log still verifies, and a record says what was moved.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Moves what was recorded before this moment, in bundles of 256: `2026-11-24T12:00:00Z`, or
    /// how long ago it was, such as `2160h`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    before: u64,
    /// Where to.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    #[command(flatten)]
    place: place::Args,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let place = Place::of(&args.place)?;
    let key = place.signing_key()?;
    let reader = Reader::open(&place.log).map_err(Failure::new)?;
    let mut first = reader.len();
    for entry in reader.entries(0) {
        let entry = entry.map_err(Failure::new)?;
        if entry.record().map_err(Failure::new)?.time_ms >= args.before {
            first = entry.index;
            break;
        }
    }
    let before = reader.first();
    let (log, _) = Log::open(&place.log, key, Options::default()).map_err(|error| {
        let failure = Failure::new(&error);
        match error {
            Error::Locked(_) => failure.hint("stop the broker first; it holds the log"),
            _ => failure,
        }
    })?;
    let now = log.rotate(first, Some(&args.into)).map_err(Failure::new)?;
    output::print(&format!(
        "moved {} records; the first that is here is {now}\n",
        now - before
    ))?;
    Ok(Exit::Clean)
}
