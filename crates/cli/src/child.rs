//! Processes that belong to another one and end with it.

use crate::input::Failure;
use rustix::process::{Pid, Signal};

/// Has this process told to stop when its parent ends, however it ends. To be called from the first
/// thread, before the process gives anything up.
pub(crate) fn end_with(parent: Option<u32>) -> Result<(), Failure> {
    let Some(parent) = parent else {
        return Ok(());
    };
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| Failure::new(format!("cannot end with the process {parent}: {error}")))?;
    // It may have ended before the system knew.
    let now = rustix::process::getppid().map(|pid| Pid::as_raw(Some(pid)));
    match now.and_then(|pid| u32::try_from(pid).ok()) == Some(parent) {
        true => Ok(()),
        false => Err(Failure::new(format!("the process {parent} has ended"))),
    }
}
