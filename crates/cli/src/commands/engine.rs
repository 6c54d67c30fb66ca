//! `cofferdam engine`: the embedded engine as a process of its own.

use super::scan::block_on;
use crate::exit::Exit;
use crate::input::Failure;
use crate::{child, output};
use cofferdam_engine::{Engine, EngineOptions};
use std::path::PathBuf;

/// Serves the embedded engine, a simulation, on a unix socket.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The socket to serve.
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// The directory that plays the root of the host; a new one that goes with the engine, where
    /// none is named.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Ends with this process, which must be the one that starts it.
    #[arg(long, hide = true, value_name = "PID")]
    child_of: Option<u32>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    child::end_with(args.child_of)?;
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("cannot start: {error}"));
    let (root, _kept) = match &args.root {
        Some(root) => (root.clone(), None),
        None => {
            let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
            (folder.path().to_owned(), Some(folder))
        }
    };
    std::fs::create_dir_all(&root)
        .map_err(|error| Failure::new(format!("cannot make `{}`: {error}", root.display())))?;
    let options = EngineOptions::new(&args.socket, root);
    block_on(|cancel| async move {
        let engine = Engine::start(options).await.map_err(Failure::chain)?;
        output::print("ready\n")?;
        cancel.cancelled().await;
        engine.stop().await;
        Ok(Exit::Clean)
    })?
}
