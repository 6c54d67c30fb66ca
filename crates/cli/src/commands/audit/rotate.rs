//! `cofferdam audit rotate`.

use super::line::moment;
use super::place::{self, Place};
use crate::exit::Exit;
use crate::input::Failure;
use crate::output;
use cofferdam_audit::Error;
use cofferdam_audit::keep::Keep;
use cofferdam_audit::log::{Log, Options};
use cofferdam_audit::reader::Reader;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Moves old records into another directory, while the broker is stopped. Their hashes stay, so the
/// log still verifies, and a record says what was moved. A broker that runs does it by itself, as
/// `[audit]` of its configuration says.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Moves what was recorded before this moment, in bundles of 256: `2026-11-24T12:00:00Z`, or
    /// how long ago it was, such as `90d`.
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
    is_own(&place.log)?;
    let key = place.signing_key()?;
    let (log, _) = Log::open(&place.log, key, Options::default()).map_err(|error| {
        let failure = Failure::new(&error);
        match error {
            Error::Locked(_) => failure.hint(
                "stop the broker first, which holds the log; or let it rotate by itself, with `[audit]`",
            ),
            _ => failure,
        }
    })?;
    let reader = Reader::open(&place.log).map_err(Failure::new)?;
    let before = reader.first();
    let keep = Keep {
        age: Some(Duration::ZERO),
        entries: None,
    };
    let first = keep.first(&reader, args.before, u64::MAX);
    let first = first.map_err(Failure::new)?;
    let now = log.rotate(first, Some(&args.into)).map_err(Failure::new)?;
    output::print(&format!(
        "moved {} records; the first that is here is {now}\n",
        now - before
    ))?;
    Ok(Exit::Clean)
}

/// Refuses another user than the log's own: the broker could not open files that are not its own.
fn is_own(log: &Path) -> Result<(), Failure> {
    let found = std::fs::metadata(log)
        .map_err(|error| Failure::new(format!("cannot look at `{}`: {error}", log.display())))?;
    let me = rustix::process::geteuid().as_raw();
    if found.uid() == me {
        return Ok(());
    }
    let name = cofferdam_sandbox::user_name;
    let named = |user: u32| name(user).unwrap_or_else(|| user.to_string());
    let owner = name(found.uid()).unwrap_or_else(|| format!("'#{}'", found.uid()));
    Err(Failure::new(format!(
        "the log in `{}` is {}'s, who could not open files that `{}` makes in it",
        log.display(),
        named(found.uid()),
        named(me),
    ))
    .hint(format!("sudo -u {owner} cofferdam audit rotate …")))
}
