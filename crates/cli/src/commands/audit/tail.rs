//! `cofferdam audit tail`.

use super::line::{self, line};
use super::place::{self, Place};
use crate::exit::Exit;
use crate::input::Failure;
use crate::output::Lines;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How often a log that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Prints the last records.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many.
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    count: u64,
    /// Goes on with what is appended, until it is interrupted.
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    place: place::Args,
    #[command(flatten)]
    archive: place::ArchiveArgs,
    #[command(flatten)]
    output: line::Args,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let place = Place::of(&args.place)?;
    let mut lines = Lines::new();
    let mut seen = change(&place.log);
    let reader = place.reader(&args.archive)?;
    let mut next = reader.len().saturating_sub(args.count);
    loop {
        let reader = place.reader(&args.archive)?;
        for entry in reader.entries(next) {
            let entry = entry.map_err(Failure::new)?;
            let record = entry.record().map_err(Failure::new)?;
            if lines
                .print(&line(entry.index, &record, &args.output)?)?
                .is_break()
            {
                return Ok(Exit::Clean);
            }
            next = entry.index + 1;
        }
        if lines.flush()?.is_break() || !args.follow {
            return Ok(Exit::Clean);
        }
        let mut now = change(&place.log);
        while now == seen {
            std::thread::sleep(LOOK_EVERY);
            now = change(&place.log);
        }
        seen = now;
    }
}

/// What tells that the journal, which every append goes to, has been written.
fn change(log: &Path) -> Option<(u64, SystemTime)> {
    let data = std::fs::metadata(log.join("journal")).ok()?;
    Some((data.len(), data.modified().ok()?))
}
