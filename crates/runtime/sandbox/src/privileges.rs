//! Capabilities, the ways to new ones, and the memory of the process.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::Error;
use crate::report::{Measure, Report};

/// Empties the bounding set, as far as the process may: that takes `CAP_SETPCAP`, which goes with
/// the user. A process that does not have it has `no_new_privs` against what the set allows.
pub(crate) fn empty_bounding_set() -> Result<(), Error> {
    for capability in known() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            Err(Errno::PERM) => return Ok(()),
            Err(error) => return Err(Error::call("empty the capability bounding set")(error)),
        }
    }
    Ok(())
}

/// Gives up every capability and every way to gain one, and closes the memory to others.
pub(crate) fn give_up(report: &mut Report) -> Result<(), Error> {
    rustix::thread::clear_ambient_capability_set()
        .map_err(Error::call("empty the ambient capabilities"))?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    // A service manager that has taken them all may refuse the call as well.
    if capabilities()? != none {
        rustix::thread::set_capabilities(None, none)
            .map_err(Error::call("give up capabilities"))?;
    }
    rustix::thread::set_no_new_privs(true).map_err(Error::call("set no_new_privs"))?;
    let bounding = known().next().map_or(
        "bounding set empty",
        |_| "none can be gained through the bounding set (no_new_privs)",
    );
    report.push(
        Measure::Capabilities,
        capabilities()? == none && rustix::thread::no_new_privs().unwrap_or(false),
        format!("none, no_new_privs, {bounding}"),
    );
    close_memory(report)
}

fn capabilities() -> Result<CapabilitySets, Error> {
    rustix::thread::capabilities(None).map_err(Error::call("read the capabilities"))
}

/// Keys and tokens are in the memory: no core file, and no `ptrace` or `/proc/PID/mem` for other
/// processes of the same user. After the change of user, which sets the flag anew.
fn close_memory(report: &mut Report) -> Result<(), Error> {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, nothing)
        .map_err(Error::call("forbid core files"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(Error::call("close the memory to other processes"))?;
    report.held(
        Measure::Memory,
        "no core files, closed to other processes of this user",
    );
    Ok(())
}

/// The capabilities of this kernel that are in the bounding set.
fn known() -> impl Iterator<Item = CapabilitySet> {
    (0..u64::BITS)
        .map(|bit| CapabilitySet::from_bits_retain(1 << bit))
        // Beyond the last one that the kernel knows it answers `EINVAL`.
        .map_while(|capability| {
            let is_in = rustix::thread::capability_is_in_bounding_set(capability).ok()?;
            Some((capability, is_in))
        })
        .filter_map(|(capability, is_in)| is_in.then_some(capability))
}
