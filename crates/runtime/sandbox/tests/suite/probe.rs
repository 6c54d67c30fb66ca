//! The process that enters the sandbox: it does what its arguments say, a line of output for each.

use std::io::Read as _;
use std::process::ExitCode;

use cofferdam_sandbox::{Confinement, Enforcement, Role, User, clear_environment, confine};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use crate::attempts;

/// The first argument of a probe.
pub(crate) const FLAG: &str = "--probe";

/// What precedes a line of the report.
pub(crate) const REPORT: &str = "report ";

/// `ROLE [OPTION=VALUE]… -- [ATTEMPT[=ARGUMENT]]…`, where the role `free` enters no sandbox.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut arguments = arguments.peekable();
    let role = arguments.next().unwrap();
    let mut confinement = Confinement {
        role: Role::Broker,
        enforcement: Enforcement::BestEffort,
        user: User::Keep,
        read: Vec::new(),
        write: Vec::new(),
        descriptors: Vec::new(),
    };
    let (mut listen, mut connect) = (Vec::new(), Vec::new());
    let (mut user, mut group, mut groups) = (None, None, Vec::new());
    for option in arguments.by_ref().take_while(|it| it != "--") {
        let (name, value) = split(&option);
        match name {
            "clear-environment" => clear_environment().unwrap(),
            "required" => confinement.enforcement = Enforcement::Required,
            "read" => confinement.read.push(value.into()),
            "write" => confinement.write.push(value.into()),
            "descriptor" => confinement.descriptors.push(value.parse().unwrap()),
            "listen" => listen.push(value.parse().unwrap()),
            "connect" => connect.push(value.parse().unwrap()),
            "user" => user = Some(value.to_owned()),
            "group" => group = Some(value.to_owned()),
            "groups" => groups.push(value.to_owned()),
            "shared" => confinement.user = User::Shared,
            "started-as" => start_as(value),
            "thread" => drop(std::thread::spawn(std::thread::park)),
            other => panic!("no such option: {other}"),
        }
    }
    if let Some(user) = user {
        confinement.user = User::Change {
            user,
            group,
            groups,
        };
    }
    if role == "gate" {
        confinement.role = Role::Gate { listen, connect };
    }
    if role != "free" {
        match confine(&confinement) {
            Ok(report) => report
                .lines()
                .iter()
                .for_each(|line| println!("{REPORT}{line}")),
            Err(error) => {
                println!("error {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    for attempt in arguments {
        let (name, argument) = split(&attempt);
        if name == "wait" {
            println!("waiting");
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
            continue;
        }
        match attempts::make(name, argument) {
            Ok(text) => println!("{attempt} ok{text}"),
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(number) => println!("{attempt} {number:?}"),
                None => println!("{attempt} failed: {error}"),
            },
        }
    }
    ExitCode::SUCCESS
}

/// Becomes what a service manager makes of a service before it runs it: `USER,GROUP[,GROUP]…`, the
/// first group being the primary one and, as `initgroups(3)` has it, among the others as well.
/// Capabilities go with the user.
fn start_as(ids: &str) {
    let ids: Vec<u32> = ids.split(',').map(|id| id.parse().unwrap()).collect();
    let groups: Vec<Gid> = ids[1..].iter().copied().map(Gid::from_raw).collect();
    let user = Uid::from_raw(ids[0]);
    setgroups(&groups).unwrap();
    setresgid(groups[0], groups[0], groups[0]).unwrap();
    setresuid(user, user, user).unwrap();
}

fn split(argument: &str) -> (&str, &str) {
    argument.split_once('=').unwrap_or((argument, ""))
}
