//! `cofferdam posture`.

use super::scan;
use crate::exit::Exit;
use crate::input::Failure;
use crate::output;
use cofferdam_finding::State;
use std::path::PathBuf;

/// Reads deployment files, without a service: what a container could touch, and which ways to the
/// host follow when an attacker holds STATE in it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compose, `docker inspect` or `docker info` in JSON.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What an attacker is assumed to hold: exec, file_read, ssrf_get, …
    #[arg(long, value_name = "STATE", default_value = "exec", value_parser = state)]
    assume: State,
    /// The compose service or container to look at, where the files name several.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    #[command(flatten)]
    output: output::Args,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let files = scan::deployment(&args.files)?;
    let assessment = cofferdam_assess::posture_only(files, args.service.as_deref(), args.assume)
        .map_err(Failure::new)?;
    args.output.finish(&assessment)
}

fn state(text: &str) -> Result<State, String> {
    text.parse().map_err(|_| {
        let known: Vec<_> = State::ALL.iter().map(|state| state.id()).collect();
        format!("a state is one of {}", known.join(", "))
    })
}
