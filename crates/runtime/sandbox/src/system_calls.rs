//! System calls, by seccomp: a list of what is allowed, and of arguments that are refused all the
//! same.
//!
//! An allow-list, since what a kernel will learn tomorrow should not be open by itself. A call that
//! is not on it answers `ENOSYS`, as a kernel without it would: libraries that try a newer call
//! first (the C library does with `clone3`, tokio with `io_uring`) then fall back to the older one,
//! where `EPERM` would make them give up. Refused arguments answer `EPERM`. To start a program kills
//! the process: no library does it, so it is an intruder or a grave mistake, and neither should get
//! a second try. Calls of another architecture (32-bit ones on a 64-bit kernel) kill as well, and
//! those of x32 are on no list.

mod allowed;
mod arguments;

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch,
};

use crate::landlock::resolves;
use crate::report::{Measure, Report};
use crate::{Error, Role};

/// Filters the process from here on. `ports` says whether Landlock restricts its TCP ports.
pub(crate) fn filter(role: &Role, ports: bool, report: &mut Report) -> Result<(), Error> {
    let programs = programs(role, std::process::id().cast_signed())?;
    let mut failed = None;
    for program in &programs {
        if let Err(error) = seccompiler::apply_filter(program) {
            failed = Some(error.to_string());
            break;
        }
    }
    let allowed = allowed::of(role).count();
    match &failed {
        None => report.held(
            Measure::SystemCalls,
            format!("filtered, {allowed} allowed, no programs, no new executable memory"),
        ),
        Some(why) => report.not_held(Measure::SystemCalls, why),
    }
    say_network(role, failed.is_none(), ports, report);
    Ok(())
}

/// The three filters, in the order in which they are installed; the kernel asks all of them and
/// takes the strictest answer. The allow-list is last, since it refuses to install another.
fn programs(role: &Role, process: i32) -> Result<[BpfProgram; 3], BackendError> {
    Ok([
        program(
            arguments::PROGRAMS.iter().map(|call| (*call, Vec::new())),
            SeccompAction::KillProcess,
            SeccompAction::Allow,
        )?,
        program(
            arguments::refused(role, process)?,
            SeccompAction::Errno(libc::EPERM as u32),
            SeccompAction::Allow,
        )?,
        program(
            allowed::of(role).map(|call| (call, Vec::new())),
            SeccompAction::Allow,
            SeccompAction::Errno(libc::ENOSYS as u32),
        )?,
    ])
}

fn program(
    rules: impl IntoIterator<Item = (i64, Vec<SeccompRule>)>,
    if_listed: SeccompAction,
    otherwise: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let rules: BTreeMap<_, _> = rules.into_iter().collect();
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, otherwise, if_listed, architecture)?.try_into()
}

fn say_network(role: &Role, filtered: bool, ports: bool, report: &mut Report) {
    let measure = Measure::Network;
    match (role, filtered, ports) {
        (_, false, _) => report.not_held(measure, "system calls are not filtered"),
        (Role::Broker, true, _) => report.held(measure, "none, unix sockets only"),
        (Role::Gate { .. }, true, false) => report.not_held(
            measure,
            "TCP and UDP only, but any port: Landlock judges ports since Linux 6.7",
        ),
        (Role::Gate { listen, connect }, true, true) => {
            let names = if resolves(role) { ", names by UDP" } else { "" };
            let (listen, connect) = (listed(listen), listed(connect));
            report.held(
                measure,
                format!("listens on TCP {listen}, connects to TCP {connect}{names}"),
            );
        }
    }
}

fn listed(ports: &[u16]) -> String {
    match ports {
        [] => "nothing".to_owned(),
        ports => {
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            ports.join(", ")
        }
    }
}

#[cfg(test)]
mod tests;
