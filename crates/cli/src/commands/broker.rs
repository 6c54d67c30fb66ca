//! `cofferdam broker`.

use crate::exit::Exit;
use crate::input::Failure;
use crate::{output, process};
use cofferdam_broker::BrokerConfig;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs the broker: it alone holds the runtime's socket, verifies the token again, decides, writes
/// the audit record, and acts. The same as the small program `cofferdam-broker`, which production
/// should rather use.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration of the broker.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Ends with this process, which must be the one that starts it.
    #[arg(long, hide = true, value_name = "PID")]
    child_of: Option<u32>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    process::begin(args.child_of)?;
    let config = BrokerConfig::read(&args.config).map_err(Failure::new)?;
    let development = args.child_of.is_some();
    if !development {
        config
            .warnings()
            .iter()
            .for_each(|warning| output::warn(warning));
    }
    // What it says while it starts are the measures of its sandbox, one by one. In development only
    // those count that do not hold.
    let started = std::sync::Arc::new(AtomicBool::new(false));
    let say = {
        let started = std::sync::Arc::clone(&started);
        move |line: &str| {
            if !development || started.load(Ordering::Relaxed) || line.contains("not held") {
                output::note(&format!("broker: {line}"));
            }
        }
    };
    let ready = || {
        started.store(true, Ordering::Relaxed);
        // Whoever waits for the line is gone when it cannot be printed.
        let _ = output::print("ready\n");
    };
    cofferdam_broker::run(config, say, ready).map_err(Failure::chain)?;
    Ok(Exit::Clean)
}
