//! What a process of the runtime half does before it serves: it ends with its parent, gives up what
//! it does not need, says what holds, and logs to standard error.

use crate::input::Failure;
use crate::{child, output};
use cofferdam_sandbox::Confinement;
use std::io::IsTerminal as _;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// To be called first: starts the program anew without its environment, where that says more than
/// the program needs.
pub(crate) fn begin(child_of: Option<u32>) -> Result<(), Failure> {
    cofferdam_sandbox::clear_environment().map_err(Failure::chain)?;
    child::end_with(child_of)
}

/// Confines the process, and says line by line what holds; with its parent on the same terminal,
/// only what does not.
pub(crate) fn confine(name: &str, confinement: &Confinement) -> Result<(), Failure> {
    let report = cofferdam_sandbox::confine(confinement).map_err(Failure::chain)?;
    let shared = matches!(confinement.user, cofferdam_sandbox::User::Shared);
    for line in report.lines().iter().filter(|line| !shared || !line.holds) {
        output::note(&format!("{name}: {line}"));
    }
    Ok(())
}

/// Logs to standard error: of this project from the level that `RUST_LOG` names, or `info`, and of
/// what it is built on the warnings.
pub(crate) fn log() {
    let level = std::env::var("RUST_LOG").ok();
    let level = level
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("cofferdam", level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry()
        .with(lines.with_filter(targets))
        .init();
}

/// The runtime, built once the process is confined.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))
}
