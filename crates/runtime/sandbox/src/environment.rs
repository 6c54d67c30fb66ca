//! The environment: cleared by starting the program once more.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::Error;
use crate::report::{Measure, Report, count};

/// What stays. Nothing here names a program, a library or a proxy, and nothing is a secret.
const KEPT: &[&str] = &[
    // The protocol of the service manager (sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3)),
    // and the directories it made for the service (systemd.exec(5)).
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "CACHE_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "LOGS_DIRECTORY",
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
    // How to write: whether standard error is the journal or a terminal, and what to log.
    "JOURNAL_STREAM",
    "TERM",
    "NO_COLOR",
    "CLICOLOR_FORCE",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "TZ",
];

/// Starts this program once more, in this process and with the same arguments, without the variables
/// that it does not need. Returns if there are none.
///
/// Nothing less takes them away: to remove a variable in place leaves it readable in
/// `/proc/PID/environ`, and what `LD_PRELOAD` has loaded stays loaded. To be called before anything
/// else in `main`, since what the program has done until then is done again.
///
/// # Errors
/// If the program cannot be started, for example since its file was replaced in this very moment.
pub fn clear_environment() -> Result<(), Error> {
    if others().next().is_none() {
        return Ok(());
    }
    let program = env::current_exe().map_err(Error::call("find the program's own file"))?;
    let mut arguments = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).env_clear().envs(kept());
    // Only comes back if it fails.
    let source = command.exec();
    Err(Error::Call {
        doing: "start the program without its environment",
        source,
    })
}

pub(crate) fn report(report: &mut Report) {
    let others = others().count();
    let measure = Measure::Environment;
    match others {
        0 => report.held(
            measure,
            format!("{} kept", count(kept().count(), "variable")),
        ),
        others => report.not_held(
            measure,
            format!("{} beyond the needed ones", count(others, "variable")),
        ),
    }
}

fn kept() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os().filter(|(name, _)| is_kept(name))
}

fn others() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os().filter(|(name, _)| !is_kept(name))
}

fn is_kept(name: &OsStr) -> bool {
    KEPT.iter().any(|kept| name == *kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loads_code_or_leads_elsewhere_is_not_kept() {
        for name in [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "GLIBC_TUNABLES",
            "PATH",
            "HTTPS_PROXY",
            "SSL_CERT_FILE",
            "DOCKER_HOST",
            "AWS_SECRET_ACCESS_KEY",
            "notify_socket",
        ] {
            assert!(!is_kept(OsStr::new(name)), "{name}");
        }
        assert!(is_kept(OsStr::new("NOTIFY_SOCKET")));
    }
}
