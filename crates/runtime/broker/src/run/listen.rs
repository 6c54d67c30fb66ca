//! The broker's own socket.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::fs::Mode;
use rustix::process::umask;

use super::RunError;
use crate::config::BrokerConfig;

/// Makes the socket: nobody else may connect before its mode and group are set.
pub(super) fn bind(config: &BrokerConfig) -> Result<UnixListener, RunError> {
    let path = &config.socket;
    let failed = |help| {
        move |source| RunError::Listen {
            path: path.clone(),
            source,
            help,
        }
    };
    remove_stale(path).map_err(failed("is another broker running?"))?;
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    let listener = bound.map_err(failed("make its directory for the broker's user to write"))?;
    if let Some(group) = &config.socket_group {
        let group = cofferdam_sandbox::group_number(group)?;
        chown(path, None, Some(group))
            .map_err(failed("the broker's user must be in `socket_group`"))?;
    }
    let mode = std::fs::Permissions::from_mode(config.socket_mode);
    std::fs::set_permissions(path, mode)
        .and_then(|()| listener.set_nonblocking(true))
        .map_err(failed("its mode cannot be set"))?;
    Ok(listener)
}

/// Takes the socket away at the end. What stays behind is found by the next start.
pub(super) fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

/// What an earlier process has left behind answers nobody.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is something else",
        )),
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)
            }
            Err(error) => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_that_nobody_serves_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        remove_stale(&path).unwrap();
        std::fs::write(&path, "kept").unwrap();
        assert!(remove_stale(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
        std::fs::remove_file(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        assert!(remove_stale(&path).is_err());
        drop(listener);
        remove_stale(&path).unwrap();
        assert!(!path.exists());
    }
}
