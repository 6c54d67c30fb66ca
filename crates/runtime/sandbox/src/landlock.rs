//! Files, TCP ports and other processes, by Landlock.

use std::fs;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, Scope, make_bitflags,
};

use crate::report::{Measure, Report, count};
use crate::{Confinement, Error, Role};

/// The newest version these rules were tried with (Linux 6.15). What later ones add is not asked
/// for, so that a new kernel does not start to refuse what nobody has tried: in ABI 9 that is the
/// right to connect to a unix socket by its path.
const TRIED: ABI = ABI::V7;

/// Truncation of files opened for reading is only judged since ABI 3.
const FILES_SINCE: i32 = 3;
const PORTS_SINCE: i32 = 4;
const PROCESSES_SINCE: i32 = 6;

/// Where the C library looks to find a host by its name. What is missing is skipped.
const RESOLVER: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    // Where `/etc/resolv.conf` leads with systemd-resolved, resolvconf and NetworkManager. A
    // directory, since the files in it are replaced when the network changes.
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
];

/// Restricts the process, and answers whether its TCP ports are restricted.
pub(crate) fn restrict(confinement: &Confinement, report: &mut Report) -> Result<bool, Error> {
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(TRIED))?
        .handle_access(AccessNet::from_all(TRIED))?
        .scope(Scope::from_all(TRIED))?
        .create()?;
    let ruleset = allow_paths(ruleset, confinement)?;
    let ruleset = allow_ports(ruleset, &confinement.role)?;
    let status = ruleset.restrict_self()?;
    let version = match status.landlock {
        LandlockStatus::NotEnabled => Err("the kernel has Landlock switched off"),
        LandlockStatus::NotImplemented => Err("the kernel has no Landlock"),
        LandlockStatus::Available {
            effective_abi,
            kernel_abi,
        } => Ok(kernel_abi.unwrap_or(effective_abi as i32)),
    };
    say(version, confinement, report);
    Ok(version.is_ok_and(|version| version >= PORTS_SINCE))
}

fn allow_paths(
    mut ruleset: RulesetCreated,
    confinement: &Confinement,
) -> Result<RulesetCreated, Error> {
    for path in &confinement.read {
        ruleset = allow(ruleset, path, to_read())?;
    }
    for path in &confinement.write {
        ruleset = allow(ruleset, path, to_read() | to_write())?;
    }
    if resolves(&confinement.role) {
        for path in RESOLVER.iter().map(Path::new).filter(|it| it.exists()) {
            ruleset = allow(ruleset, path, to_read())?;
        }
    }
    Ok(ruleset)
}

/// Whether the process may ask for the addresses of names.
pub(crate) fn resolves(role: &Role) -> bool {
    matches!(role, Role::Gate { connect, .. } if !connect.is_empty())
}

fn to_read() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{ReadFile | ReadDir})
}

/// No devices, no named pipes, no symbolic links, nothing to execute.
fn to_write() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{
        WriteFile | Truncate | MakeReg | MakeDir | MakeSock | RemoveFile | RemoveDir | Refer
    })
}

fn allow(
    ruleset: RulesetCreated,
    path: &Path,
    mut access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Error> {
    let unreachable = |source| Error::Path {
        path: path.to_owned(),
        source,
    };
    if !fs::metadata(path).map_err(unreachable)?.is_dir() {
        access &= AccessFs::from_file(TRIED);
    }
    let opened = PathFd::new(path).map_err(|error| match error {
        landlock::PathFdError::OpenCall { source, .. } => unreachable(source),
        other => unreachable(std::io::Error::other(other)),
    })?;
    Ok(ruleset.add_rule(PathBeneath::new(opened, access))?)
}

/// The broker gets none at all.
fn allow_ports(mut ruleset: RulesetCreated, role: &Role) -> Result<RulesetCreated, Error> {
    let Role::Gate { listen, connect } = role else {
        return Ok(ruleset);
    };
    for port in listen {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    for port in connect {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    Ok(ruleset)
}

fn say(version: Result<i32, &str>, confinement: &Confinement, report: &mut Report) {
    let Confinement { read, write, .. } = confinement;
    match version {
        Ok(version) if version >= FILES_SINCE => report.held(
            Measure::Files,
            format!(
                "Landlock ABI {version}, reads {}, writes {}",
                count(read.len(), "path"),
                count(write.len(), "path")
            ),
        ),
        Ok(version) => report.not_held(
            Measure::Files,
            format!("Landlock ABI {version} does not judge truncation; Linux 6.2 does"),
        ),
        Err(why) => report.not_held(Measure::Files, why),
    }
    match version {
        Ok(version) if version >= PROCESSES_SINCE => report.held(
            Measure::Processes,
            format!("Landlock ABI {version}, no signals, no abstract sockets of others"),
        ),
        Ok(version) => report.not_held(
            Measure::Processes,
            format!("Landlock ABI {version} does not judge abstract sockets; Linux 6.12 does"),
        ),
        Err(why) => report.not_held(Measure::Processes, why),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{Enforcement, User};

    fn confinement() -> Confinement {
        Confinement {
            role: Role::Broker,
            enforcement: Enforcement::Required,
            user: User::Keep,
            read: vec![PathBuf::from("/etc/cofferdam")],
            write: Vec::new(),
            descriptors: Vec::new(),
        }
    }

    #[test]
    fn an_older_kernel_is_told_from_one_that_holds_it_all() {
        for (version, files, processes) in [
            (Err("the kernel has no Landlock"), false, false),
            (Ok(1), false, false),
            (Ok(3), true, false),
            (Ok(6), true, true),
            (Ok(11), true, true),
        ] {
            let mut report = Report::default();
            say(version, &confinement(), &mut report);
            let held: Vec<_> = report.lines().iter().map(|line| line.holds).collect();
            assert_eq!(held, [files, processes], "{version:?}");
        }
    }

    #[test]
    fn what_may_be_written_may_not_be_executed_nor_be_a_device() {
        let never = make_bitflags!(AccessFs::{
            Execute | MakeBlock | MakeChar | MakeFifo | MakeSym | IoctlDev
        });
        assert!(((to_read() | to_write()) & never).is_empty());
        assert_eq!(to_read() | to_write() | never, AccessFs::from_all(TRIED));
    }
}
