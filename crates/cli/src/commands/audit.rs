//! `cofferdam audit`: reads, verifies and proves the broker's log.

mod key;
mod line;
mod place;
mod prove;
mod rotate;
mod search;
mod tail;
mod verify;

use crate::exit::Exit;
use crate::input::Failure;
use crate::output;
use place::Place;

/// Reads, verifies and proves the audit log of the broker, while it runs or not.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Tail(tail::Args),
    Search(search::Args),
    Verify(verify::Args),
    Prove(prove::Args),
    Checkpoint(CheckpointArgs),
    Rotate(rotate::Args),
    Key(key::Args),
    NewKey(key::NewArgs),
}

/// Prints the log's signed checkpoint. Keep it where whoever owns the log cannot change it, and hand
/// it to `audit verify --against` later.
#[derive(Debug, clap::Args)]
struct CheckpointArgs {
    #[command(flatten)]
    place: place::Args,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Tail(args) => tail::run(args),
        Command::Search(args) => search::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Prove(args) => prove::run(args),
        Command::Checkpoint(args) => checkpoint(args),
        Command::Rotate(args) => rotate::run(args),
        Command::Key(args) => key::run(args),
        Command::NewKey(args) => key::new(args),
    }
}

fn checkpoint(args: &CheckpointArgs) -> Result<Exit, Failure> {
    let place = Place::of(&args.place)?;
    let signed = cofferdam_audit::proof::published(&place.log, &place.key()?)
        .map_err(|error| Failure::new(format!("no checkpoint: {error}")))?;
    output::print(&signed.note)?;
    Ok(Exit::Clean)
}
