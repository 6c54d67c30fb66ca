//! `cofferdam demo`.

use super::scan::block_on;
use crate::demo;
use crate::exit::Exit;
use crate::input::Failure;
use std::path::PathBuf;

/// Shows the whole story on loopback: a container service full of holes is scanned, the path from a
/// token to the host is found and walked, the smallest set of fixes is applied one by one, and the
/// hardened twin gives nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the reports go: vulnerable/ and hardened/ below it.
    #[arg(long, value_name = "DIR", default_value = "cofferdam-demo")]
    out: PathBuf,
    /// Leaves the vulnerable lab running, and prints the lines to go on by hand.
    #[arg(long)]
    keep: bool,
    /// Shows no progress.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    block_on(|cancel| demo::tell(&args.out, args.quiet, args.keep, cancel))?
}
