//! The broker's own socket.

use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;

use cofferdam_sandbox::SocketFile;

use super::RunError;
use crate::config::BrokerConfig;

/// Makes the socket: nobody else may connect before its mode and group are set.
pub(super) fn bind(config: &BrokerConfig) -> Result<(UnixListener, SocketFile), RunError> {
    let path = &config.socket;
    let failed = |help| {
        move |source| RunError::Listen {
            path: path.clone(),
            source,
            help,
        }
    };
    let (listener, file) = cofferdam_sandbox::bind(path).map_err(|error| {
        let help = match error.kind() {
            ErrorKind::AddrInUse => "is another broker running?",
            ErrorKind::AlreadyExists => "name another `socket`, or take it away",
            _ => "make its directory for the broker's user to write",
        };
        failed(help)(error)
    })?;
    if let Some(group) = &config.socket_group {
        let group = cofferdam_sandbox::group_number(group)?;
        let found = std::fs::metadata(path).map_err(failed("it is gone again"))?;
        // The directory's set-group-ID bit may have seen to it. Then the call is not made: it takes
        // rights that a service manager may have taken away.
        if found.gid() != group {
            chown(path, None, Some(group))
                .map_err(failed("the broker's user must be in `socket_group`"))?;
        }
    }
    let mode = std::fs::Permissions::from_mode(config.socket_mode);
    std::fs::set_permissions(path, mode)
        .and_then(|()| listener.set_nonblocking(true))
        .map_err(failed("its mode cannot be set"))?;
    Ok((listener, file))
}
