//! The files that a pretended container sees: its own directory, and its mounts over it.
//!
//! Everything is opened with `openat2(2)` and `RESOLVE_IN_ROOT`, relative to the directory that a
//! path belongs to. To the kernel that directory is `/`: neither `..` nor an absolute link leads out
//! of it, and `RESOLVE_NO_MAGICLINKS` closes `/proc/self/root` and its like.

mod tree;

pub(crate) use tree::{Entry, set_changed};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

/// How many bytes of a file are read.
const LIMIT: u64 = 1024 * 1024;
/// How many names of a directory are listed.
const NAMES: usize = 1000;

/// A directory that plays a root.
#[derive(Debug, Clone)]
pub(crate) struct Root(Arc<OwnedFd>);

/// What is mounted over a part of the root.
#[derive(Debug, Clone)]
pub(crate) struct Mounted {
    /// Absolute and without dot segments.
    pub(crate) target: String,
    /// The directory that holds the source.
    pub(crate) root: Root,
    /// The mounted file's path below `root`; `None` when the root itself is mounted.
    pub(crate) file: Option<String>,
    pub(crate) read_only: bool,
    /// Whether the files belong to users that the container does not have, so that only what
    /// everybody may do is allowed.
    pub(crate) foreign: bool,
}

/// What one container sees.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) root: Root,
    pub(crate) mounts: Vec<Mounted>,
    pub(crate) read_only: bool,
}

impl Root {
    /// Opens a real directory. This is the only place where a path of the machine is opened.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(Arc::new(rustix::fs::openat(
            CWD,
            path,
            flags,
            Mode::empty(),
        )?)))
    }

    /// The directory at `path` below this one, as a root of its own; or that `path` names something
    /// else, with its kind.
    pub(crate) fn below(&self, path: &str) -> Result<std::result::Result<Self, FileType>> {
        let file = self.at(path, OFlags::PATH, Mode::empty())?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
        Ok(match kind {
            FileType::Directory => Ok(Self(Arc::new(file))),
            other => Err(other),
        })
    }

    /// Makes `path` and what is missing above it.
    pub(crate) fn make_dirs(&self, path: &str) -> Result<()> {
        let mut made = String::new();
        for part in normal(path).split('/').filter(|part| !part.is_empty()) {
            let parent = self.at(&made, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
            match rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            made.push('/');
            made.push_str(part);
        }
        Ok(())
    }

    /// Writes a file anew.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) -> std::io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
        let file = self.at(path, flags, Mode::from_raw_mode(0o644))?;
        File::from(file).write_all(bytes)
    }

    fn at(&self, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        let path = if path.is_empty() { "/" } else { path };
        rustix::fs::openat2(
            self.0.as_fd(),
            path,
            flags | OFlags::CLOEXEC,
            mode,
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )
    }
}

impl View {
    /// The first bytes of a file, at most 1 MiB. A pipe or device is refused, since reading one
    /// could wait for ever; a socket answers ENXIO, as open(2) does.
    pub(crate) fn read(&self, path: &str) -> std::io::Result<Vec<u8>> {
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(Errno::ISDIR.into()),
            _ => return Err(Errno::NXIO.into()),
        }
        let mut bytes = Vec::new();
        File::from(file).take(LIMIT).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes to a file, creating it; at its end with `append`.
    pub(crate) fn write(&self, path: &str, bytes: &[u8], append: bool) -> std::io::Result<()> {
        let how = if append {
            OFlags::APPEND
        } else {
            OFlags::TRUNC
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK | how;
        let file = self.open(path, flags, Mode::from_raw_mode(0o644))?;
        File::from(file).write_all(bytes)
    }

    /// Creates a file that is not there.
    pub(crate) fn touch(&self, path: &str) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK;
        self.open(path, flags, Mode::from_raw_mode(0o644)).map(drop)
    }

    /// Makes one directory.
    pub(crate) fn make_dir(&self, path: &str) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))
    }

    /// Removes one file.
    pub(crate) fn remove(&self, path: &str) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        rustix::fs::unlinkat(&parent, name, AtFlags::empty())
    }

    /// The names in a directory, or the file itself.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<String>> {
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::Directory {
            return Ok(vec![path.to_owned()]);
        }
        let mut names = Vec::new();
        for entry in Dir::read_from(&file)?.take(NAMES) {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        let path = normal(path);
        let place = self.place(&path);
        let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::CREATE);
        if place.read_only && writes {
            return Err(Errno::ROFS);
        }
        if place.foreign {
            let needed = if writes { Mode::WOTH } else { Mode::ROTH };
            match place.root.at(&place.rest, OFlags::PATH, Mode::empty()) {
                Ok(file) => allows(&file, needed)?,
                Err(Errno::NOENT) if flags.contains(OFlags::CREATE) => {
                    drop(self.parent(&path)?);
                }
                Err(error) => return Err(error),
            }
        }
        place.root.at(&place.rest, flags, mode)
    }

    /// The directory that holds `path`, in which entries may be made and removed, and the last part
    /// of it.
    fn parent(&self, path: &str) -> Result<(OwnedFd, String)> {
        let path = normal(path);
        let place = self.place(&path);
        if place.read_only {
            return Err(Errno::ROFS);
        }
        match place.rest.rsplit_once('/') {
            Some((parent, name)) if !name.is_empty() => {
                let flags = OFlags::PATH | OFlags::DIRECTORY;
                let directory = place.root.at(parent, flags, Mode::empty())?;
                if place.foreign {
                    allows(&directory, Mode::WOTH)?;
                }
                Ok((directory, name.to_owned()))
            }
            _ => Err(Errno::BUSY),
        }
    }

    /// Which root a path belongs to, and what is left of it there.
    fn place(&self, path: &str) -> Place<'_> {
        let mounted = self
            .mounts
            .iter()
            .filter_map(|mount| Some((mount, rest(path, &mount.target)?)))
            .max_by_key(|(mount, _)| mount.target.len());
        match mounted {
            Some((mount, rest)) => Place {
                root: &mount.root,
                rest: match &mount.file {
                    Some(file) => format!("{file}{rest}"),
                    None => rest.to_owned(),
                },
                read_only: mount.read_only,
                foreign: mount.foreign,
            },
            None => Place {
                root: &self.root,
                rest: path.to_owned(),
                read_only: self.read_only,
                foreign: false,
            },
        }
    }
}

/// Where a path of the container is.
struct Place<'v> {
    root: &'v Root,
    rest: String,
    read_only: bool,
    foreign: bool,
}

/// Whether everybody may do this with a file.
fn allows(file: &OwnedFd, needed: Mode) -> Result<()> {
    let has = Mode::from_raw_mode(rustix::fs::fstat(file)?.st_mode);
    match has.contains(needed) {
        true => Ok(()),
        false => Err(Errno::ACCESS),
    }
}

/// `path` without dot segments and doubled slashes, absolute. `..` at the root stays there.
pub(crate) fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// What is left of `path` below `target`: empty, or from a slash on.
fn rest<'a>(path: &'a str, target: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(target)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn view(dir: &Path) -> View {
        for name in ["root/etc", "host/etc"] {
            std::fs::create_dir_all(dir.join(name)).unwrap();
        }
        std::fs::write(dir.join("root/etc/hostname"), "container\n").unwrap();
        std::fs::write(dir.join("host/etc/hostname"), "pretend-host\n").unwrap();
        std::fs::write(dir.join("outside"), "the real machine\n").unwrap();
        let host = Root::open(&dir.join("host")).unwrap();
        View {
            root: Root::open(&dir.join("root")).unwrap(),
            mounts: vec![
                Mounted {
                    target: "/host".to_owned(),
                    root: host.clone(),
                    file: None,
                    read_only: false,
                    foreign: false,
                },
                Mounted {
                    target: "/name".to_owned(),
                    root: host,
                    file: Some("/etc/hostname".to_owned()),
                    read_only: true,
                    foreign: false,
                },
            ],
            read_only: false,
        }
    }

    #[test]
    fn a_mount_shows_the_pretend_host_and_the_rest_the_container() {
        let dir = tempfile::tempdir().unwrap();
        let view = view(dir.path());
        assert_eq!(view.read("/etc/hostname").unwrap(), b"container\n");
        assert_eq!(view.read("/host/etc/hostname").unwrap(), b"pretend-host\n");
        assert_eq!(view.read("/host/../etc/hostname").unwrap(), b"container\n");
        assert_eq!(view.read("/name").unwrap(), b"pretend-host\n");
        view.touch("/host/marker").unwrap();
        assert!(dir.path().join("host/marker").exists());
        assert_eq!(view.touch("/name"), Err(Errno::ROFS));
    }

    #[test]
    fn neither_dots_nor_links_reach_the_real_machine() {
        let dir = tempfile::tempdir().unwrap();
        let view = view(dir.path());
        let outside = dir.path().join("outside");
        symlink(&outside, dir.path().join("host/absolute")).unwrap();
        symlink("../../../outside", dir.path().join("host/relative")).unwrap();
        symlink("/", dir.path().join("host/slash")).unwrap();
        symlink(dir.path(), dir.path().join("root/dir")).unwrap();
        symlink("/proc/self/root", dir.path().join("host/magic")).unwrap();
        for path in [
            "/host/absolute",
            "/host/relative",
            &format!("/host/slash{}", outside.display()),
            "/dir/outside",
            "/host/magic/etc/hostname",
            "/host/../../../../../outside",
            "../../outside",
            outside.to_str().unwrap(),
        ] {
            assert!(view.read(path).is_err(), "{path}");
        }
        for path in ["/host/absolute", "/host/relative", "/dir/new"] {
            let _ = view.touch(path);
            let _ = view.write(path, b"changed", false);
            let _ = view.remove(path);
            let _ = view.make_dir(path);
        }
        assert_eq!(std::fs::read(&outside).unwrap(), b"the real machine\n");
        assert!(!dir.path().join("new").exists());
    }

    #[test]
    fn a_pipe_is_refused_and_a_socket_answers_as_open_does() {
        let dir = tempfile::tempdir().unwrap();
        let view = view(dir.path());
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("host/sock")).unwrap();
        let error = view.read("/host/sock").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::NXIO.raw_os_error()));
        rustix::fs::mknodat(
            CWD,
            dir.path().join("host/pipe"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert!(view.read("/host/pipe").is_err());
    }
}
