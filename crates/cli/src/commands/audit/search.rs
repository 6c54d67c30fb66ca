//! `cofferdam audit search`.

use super::line::{self, line, moment};
use super::place::{self, Place};
use crate::exit::Exit;
use crate::input::Failure;
use crate::output::{self, Lines};
use cofferdam_audit::reader::Reader;
use cofferdam_audit::record::Query;
use std::collections::HashSet;

/// Prints the records of every request that fits all that is asked for, each decision with what
/// became of it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// By this subject.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Of this kind, such as `container.create`.
    #[arg(long, value_name = "KIND")]
    action: Option<String>,
    /// On this object, or having made it: a name, a full id, or its first twelve digits or more.
    #[arg(long, value_name = "NAME|ID")]
    object: Option<String>,
    /// With this id, which an error message and the log of the gate name.
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// From this moment on: `2026-11-24T12:00:00Z`, or how long ago it was, such as `2h`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<u64>,
    /// Before this moment.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<u64>,
    /// What was refused.
    #[arg(long)]
    refused: bool,
    #[command(flatten)]
    place: place::Args,
    #[command(flatten)]
    archive: place::ArchiveArgs,
    #[command(flatten)]
    output: line::Args,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let place = Place::of(&args.place)?;
    let query = Query {
        since_ms: args.since,
        until_ms: args.until,
        subject: args.subject.clone(),
        action: args.action.clone(),
        object: args.object.clone(),
        request: args.request.clone(),
        refused: args.refused,
    };
    let reader = place.reader(&args.archive)?;
    // What fits may be one record of a request alone: the outcome names what was made, the intent
    // who asked. So the requests are found first.
    let mut requests = HashSet::new();
    for found in reader.search(&query) {
        let (_, record) = found.map_err(Failure::new)?;
        requests.extend(record.request().map(str::to_owned));
    }
    let mut lines = Lines::new();
    for entry in reader.entries(0) {
        let entry = entry.map_err(Failure::new)?;
        let record = entry.record().map_err(Failure::new)?;
        let wanted = match record.request() {
            Some(request) => requests.contains(request),
            None => query.matches(&record),
        };
        if wanted
            && lines
                .print(&line(entry.index, &record, &args.output)?)?
                .is_break()
        {
            return Ok(Exit::Clean);
        }
    }
    // Whoever reads may have read enough; either is well.
    let _ = lines.flush()?;
    if let Some(first) = unread(&reader, args.since)? {
        output::note(&format!(
            "records below {first} were moved away and not searched; `--archive DIR` searches them too"
        ));
    }
    Ok(Exit::Clean)
}

/// The first record that is here, where those before it may be wanted too.
fn unread(reader: &Reader, since: Option<u64>) -> Result<Option<u64>, Failure> {
    let first = reader.first();
    if first == 0 {
        return Ok(None);
    }
    let since = since.unwrap_or(0);
    let later = match reader.entries(first).next() {
        Some(entry) => {
            let record = entry.and_then(|entry| entry.record());
            record.map_err(Failure::new)?.time_ms > since
        }
        None => true,
    };
    Ok(later.then_some(first))
}
