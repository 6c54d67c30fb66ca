//! The sandbox with real processes: this program starts itself again, enters the sandbox before any
//! thread runs, and tries what must not work and what must. That is why it has a `main` of its own:
//! the built-in harness runs every test in a thread.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "all of this is a test, which may stop at the first surprise and speaks to its starter"
)]

mod attempts;
mod confined;
mod probe;
mod support;
mod units;
mod users;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(probe::FLAG) {
        return probe::run(std::env::args().skip(2));
    }
    let mut trials = confined::trials();
    trials.extend(users::trials());
    trials.extend(units::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Trials named after their functions.
macro_rules! trials {
    ($($name:ident),+ $(,)?) => {
        vec![$(libtest_mimic::Trial::test(stringify!($name), || {
            $name();
            Ok(())
        })),+]
    };
}
use trials;

/// These trials if root runs them; otherwise they count as ignored, and it says so.
fn only_for_root(trials: Vec<Trial>) -> Vec<Trial> {
    if rustix::process::geteuid().is_root() {
        return trials;
    }
    let skip = |trial: Trial| {
        eprintln!(
            "SKIPPED, since only root can change users: {}",
            trial.name()
        );
        trial.with_ignored_flag(true)
    };
    trials.into_iter().map(skip).collect()
}
