//! The service manager hears how it goes (sd_notify(3)).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells the service manager a state such as `READY=1`, where there is one that listens at
/// `NOTIFY_SOCKET`. A unit of `Type=notify` counts as started only once it has heard that.
///
/// A confined process reaches a manager by a path; abstract names are out of its reach where the
/// kernel has Landlock ABI 6. systemd gives a path.
pub fn notify(state: &str) {
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET") {
        // A manager that does not listen is not waited for, and says itself what it misses.
        let _ = send(&socket, state);
    }
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let sender = UnixDatagram::unbound()?;
    // A manager whose queue is full is not waited for either.
    sender.set_nonblocking(true)?;
    sender.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_is_told_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let heard = |listener: UnixDatagram, socket: &OsStr| {
            send(socket, "READY=1").unwrap();
            let mut bytes = [0; 16];
            let length = listener.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"READY=1");
        };
        heard(UnixDatagram::bind(&path).unwrap(), path.as_os_str());
        // The random name of the folder makes this one unique too.
        let name = format!("cofferdam{}", folder.path().display());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        heard(listener, OsStr::new(&format!("@{name}")));
        assert!(send(folder.path().join("nobody").as_os_str(), "READY=1").is_err());
    }
}
