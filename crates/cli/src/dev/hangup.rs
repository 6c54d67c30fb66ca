//! The end of the terminal.

use crate::input::Failure;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Has a hangup end the program in order, as SIGTERM does, unless whoever started it wants it to
/// survive that: `nohup` has the signal ignored.
pub(super) fn cancels(cancel: &CancellationToken) -> Result<(), Failure> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if is_ignored(&status) {
        return Ok(());
    }
    let mut hangups = signal(SignalKind::hangup()).map_err(Failure::new)?;
    let cancel = cancel.clone();
    tokio::spawn(async move {
        if hangups.recv().await.is_some() {
            cancel.cancel();
        }
    });
    Ok(())
}

/// Whether SIGHUP, the first signal, is among those that are ignored (proc_pid_status(5)).
fn is_ignored(status: &str) -> bool {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangup_that_is_ignored_stays_so() {
        assert!(is_ignored(
            "Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"
        ));
        assert!(!is_ignored("SigBlk:\t1\nSigIgn:\t0000000000001000\n"));
        assert!(!is_ignored(""));
    }
}
