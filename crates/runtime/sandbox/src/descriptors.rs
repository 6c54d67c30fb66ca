//! Inherited file descriptors: a leaked one is a file, socket or pipe that no later rule judges.

use std::os::fd::RawFd;

use nix::errno::Errno;

use crate::Error;
use crate::report::{Measure, Report};

/// Closes everything but 0, 1, 2 and `keep`.
///
/// A descriptor that this program has opened itself before is closed as well: hence the promise to
/// call it first.
pub(crate) fn close_others(keep: &[RawFd], report: &mut Report) -> Result<(), Error> {
    let mut closed = 0;
    for descriptor in open()? {
        if descriptor <= 2 || keep.contains(&descriptor) {
            continue;
        }
        match nix::unistd::close(descriptor) {
            Ok(()) => closed += 1,
            // The one through which the list was read, closed by now.
            Err(Errno::EBADF) => {}
            Err(error) => return Err(Error::call("close an inherited file descriptor")(error)),
        }
    }
    let kept = match keep.len() {
        0 => "none".to_owned(),
        number => format!("{number} more"),
    };
    report.held(
        Measure::Descriptors,
        format!("0 to 2 and {kept} kept, {closed} closed"),
    );
    Ok(())
}

fn open() -> Result<Vec<RawFd>, Error> {
    let doing = "list the open file descriptors in `/proc/self/fd`";
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").map_err(Error::call(doing))? {
        let name = entry.map_err(Error::call(doing))?.file_name();
        open.extend(name.to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    Ok(open)
}
