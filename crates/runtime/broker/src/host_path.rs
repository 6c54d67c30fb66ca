//! Paths of the host that an exception allows, looked at right before the engine is asked.
//!
//! The engine follows links when it mounts a path, so a link below the excepted path would lead out
//! of it. Here the path is walked without following any. What is put in its place between this look
//! and the engine's own walk is not seen: whoever may write in the excepted directory on the host
//! could still win that race.

use std::os::fd::OwnedFd;

use cofferdam_action::floor::HostPathUse;
use cofferdam_action::refusal::{Refusal, Rule, quote};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// Walks the paths without following a link.
///
/// # Errors
/// A refusal for the first that is not there, has a link on its way, or cannot be walked.
pub(crate) fn walk(paths: &[HostPathUse]) -> Result<(), Refusal> {
    paths.iter().try_for_each(one)
}

fn one(path: &HostPathUse) -> Result<(), Refusal> {
    let within = open(None, path.within.as_str()).map_err(|error| refusal(path, error))?;
    let rest = path.path.as_str().strip_prefix(path.within.as_str());
    let rest = rest.unwrap_or_default().trim_start_matches('/');
    if !rest.is_empty() {
        open(Some(&within), rest).map_err(|error| refusal(path, error))?;
    }
    Ok(())
}

/// Opens a path, to look at it only: from `/`, or below a directory.
fn open(below: Option<&OwnedFd>, path: &str) -> Result<OwnedFd, Errno> {
    // Without `O_NOFOLLOW`: with it a link at the end of the path would be opened itself.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let links = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match below {
        None => openat2(CWD, path, flags, Mode::empty(), links),
        Some(below) => openat2(
            below,
            path,
            flags,
            Mode::empty(),
            links | ResolveFlags::BENEATH,
        ),
    }
}

fn refusal(path: &HostPathUse, error: Errno) -> Refusal {
    let path = quote(path.path.as_str());
    let reason = match error {
        Errno::LOOP | Errno::XDEV => {
            format!(
                "{path} has a symbolic link on its way, which could lead out of what is allowed"
            )
        }
        Errno::NOENT | Errno::NOTDIR => {
            format!("{path} is not there on the host; somebody must make it first")
        }
        _ => format!("{path} cannot be looked at by the broker: {error}"),
    };
    Refusal::new(Rule::HostPath, reason)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use cofferdam_action::path::HostPath;

    use super::*;

    #[test]
    fn a_link_on_the_way_is_refused_wherever_it_leads() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        let below = root.join("builds/a");
        std::fs::create_dir_all(&below).unwrap();
        symlink("/", root.join("builds/out")).unwrap();
        symlink("a", root.join("builds/in")).unwrap();
        symlink(root.join("builds"), root.join("other")).unwrap();
        let try_it = |path: &str, within: &str| {
            let host = |part: &str| HostPath::parse(root.join(part).to_str().unwrap()).unwrap();
            walk(&[HostPathUse {
                path: host(path),
                within: host(within),
                read_only: true,
            }])
        };
        assert_eq!(try_it("builds", "builds"), Ok(()));
        assert_eq!(try_it("builds/a", "builds"), Ok(()));
        for (path, within, word) in [
            ("builds/out", "builds", "symbolic link"),
            ("builds/out/etc", "builds", "symbolic link"),
            ("builds/in", "builds", "symbolic link"),
            ("other/a", "other", "symbolic link"),
            ("builds/b", "builds", "not there"),
            ("none", "none", "not there"),
        ] {
            let refusal = try_it(path, within).unwrap_err();
            assert_eq!(refusal.rule, Rule::HostPath);
            assert!(refusal.reason.contains(word), "{path}: {refusal}");
        }
    }
}
