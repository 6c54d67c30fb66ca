//! `cofferdam audit key` and `new-key`.

use super::place::{self, Place};
use crate::exit::Exit;
use crate::input::Failure;
use crate::output;
use cofferdam_audit::note::SigningKey;
use std::path::PathBuf;

/// Prints the verifier key of the log, for whoever checks checkpoints and proofs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: place::Args,
}

/// Makes the key that signs a new log, in a file for its owner alone, and prints its verifier key.
#[derive(Debug, clap::Args)]
pub(super) struct NewArgs {
    /// The name of the log, like a URL without its scheme: `audit.example/broker-1`.
    name: String,
    /// The file, which must not be there yet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let key = Place::of(&args.place)?.key()?;
    output::print(&format!("{key}\n"))?;
    Ok(Exit::Clean)
}

pub(super) fn new(args: &NewArgs) -> Result<Exit, Failure> {
    let key = SigningKey::generate(&args.name).map_err(Failure::new)?;
    output::write_secret(&args.file, &key.to_secret_text())?;
    output::print(&format!("{}\n", key.verifying_key()))?;
    Ok(Exit::Clean)
}
