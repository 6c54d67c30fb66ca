//! Unix sockets that a process makes for others to find by their path.

use std::fs::Metadata;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Connections that may wait to be accepted: as many as the system allows (`net.core.somaxconn`).
const WAITING: i32 = -1;

/// The file of a socket that [`bind`] has made.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

/// Makes a socket for this user alone (mode 0600), in the place of one that nobody serves any more.
/// The file has that mode from its first moment, whatever the umask of the process lets through.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] where somebody serves at `path`, [`io::ErrorKind::AlreadyExists`] where
/// something else than a socket is there, and what the system says.
pub fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    remove_stale(path)?;
    let socket = socket(SocketFlags::CLOEXEC)?;
    // Linux makes the file with the mode that the socket has before it is bound. A umask of its own
    // would be that of every thread of the process.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, WAITING)?;
    let file = SocketFile {
        path: path.to_owned(),
        id: id(&std::fs::symlink_metadata(path)?),
    };
    Ok((socket.into(), file))
}

impl SocketFile {
    /// Takes the file away, unless another process has put its own there meanwhile. One that stays
    /// behind is found by the next [`bind`].
    pub fn remove(&self) {
        let found = std::fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| id(&found) == self.id) {
            // Somebody else may have taken it away in this moment.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn id(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// A connection that is refused says that the process that listened has ended. Any other failure
/// does not: the socket may be somebody's who does not let this user in.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something else than a socket is there",
        ));
    }
    match connect(path) {
        // Without blocking: whoever listens and does not accept is there all the same.
        Ok(()) | Err(Errno::AGAIN) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "it is served by another program",
        )),
        Err(Errno::CONNREFUSED) => std::fs::remove_file(path),
        // Whoever made it has taken it away in this moment.
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn connect(path: &Path) -> rustix::io::Result<()> {
    let socket = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
}

fn socket(flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn kind(path: &Path) -> io::ErrorKind {
        bind(path).unwrap_err().kind()
    }

    #[test]
    fn only_a_socket_that_nobody_serves_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        std::fs::write(&path, "kept").unwrap();
        assert_eq!(kind(&path), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
        std::fs::remove_file(&path).unwrap();

        let (listener, _) = bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(kind(&path), io::ErrorKind::AddrInUse);
        drop(listener);
        let (listener, file) = bind(&path).unwrap();
        drop(listener);
        file.remove();
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_of_another_kind_may_be_in_use_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("datagrams");
        let _socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert!(bind(&path).is_err());
        assert!(path.exists());
    }

    #[test]
    fn whoever_listens_and_does_not_accept_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let _waiting = UnixStream::connect(&path).unwrap();
        assert_eq!(kind(&path), io::ErrorKind::AddrInUse);
        assert!(path.exists());
    }

    #[test]
    fn the_socket_of_another_is_left_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (_listener, file) = bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (_other, other) = bind(&path).unwrap();
        file.remove();
        assert!(path.exists());
        other.remove();
        assert!(!path.exists());
    }
}
