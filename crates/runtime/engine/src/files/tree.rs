//! Whole trees of a container's files: for archives, and to tell what has changed.

use super::{NAMES, Root, View, normal};
use rustix::fd::OwnedFd;
use rustix::fs::{Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::{Errno, Result};
use std::fs::File;

/// What stat(2) says of one file, links not followed.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) kind: FileType,
    /// The permission bits.
    pub(crate) mode: u32,
    pub(crate) size: u64,
    /// Seconds and nanoseconds since 1970.
    pub(crate) changed: (i64, u32),
    /// Where a link leads.
    pub(crate) target: Option<String>,
}

impl Entry {
    fn of(file: &OwnedFd) -> Result<Self> {
        let stat: Stat = rustix::fs::fstat(file)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let target = match kind {
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(file, "", Vec::new())?;
                Some(target.to_string_lossy().into_owned())
            }
            _ => None,
        };
        Ok(Self {
            kind,
            mode: stat.st_mode & 0o7777,
            size: match kind {
                FileType::RegularFile => u64::try_from(stat.st_size).unwrap_or_default(),
                _ => 0,
            },
            changed: (
                stat.st_mtime,
                u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
            ),
            target,
        })
    }
}

impl Root {
    /// What is at `path`; the last part is not followed.
    pub(crate) fn stat(&self, path: &str) -> Result<Entry> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        Entry::of(&self.at(path, flags, Mode::empty())?)
    }

    /// The names in a directory, sorted.
    pub(crate) fn names(&self, path: &str) -> Result<Vec<String>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        names(&self.at(path, flags, Mode::empty())?)
    }
}

impl View {
    /// What is at `path`; the last part is not followed.
    pub(crate) fn stat(&self, path: &str) -> Result<Entry> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        Entry::of(&self.open(path, flags, Mode::empty())?)
    }

    /// The names in a directory, sorted, those that begin with a dot too.
    pub(crate) fn names(&self, path: &str) -> Result<Vec<String>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        names(&self.open(path, flags, Mode::empty())?)
    }

    /// Whether `path` leads to a directory.
    pub(crate) fn is_dir(&self, path: &str) -> Result<bool> {
        let file = self.open(path, OFlags::PATH, Mode::empty())?;
        let mode = rustix::fs::fstat(&file)?.st_mode;
        Ok(FileType::from_raw_mode(mode) == FileType::Directory)
    }

    /// Opens a regular file for reading.
    pub(crate) fn file(&self, path: &str) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        Ok(File::from(self.open(path, flags, Mode::empty())?))
    }

    /// Makes a regular file anew with these permissions.
    pub(crate) fn create(&self, path: &str, mode: u32) -> Result<File> {
        // What is there is replaced: a link would lead elsewhere.
        if self
            .stat(path)
            .is_ok_and(|entry| entry.kind != FileType::RegularFile)
        {
            self.remove(path)?;
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(mode & 0o7777);
        let file = self.open(path, flags | OFlags::NONBLOCK, mode)?;
        rustix::fs::fchmod(&file, mode)?;
        Ok(File::from(file))
    }

    /// Makes a symbolic link anew.
    pub(crate) fn link(&self, path: &str, target: &str) -> Result<()> {
        if self.stat(path).is_ok() {
            self.remove(path)?;
        }
        let (parent, name) = self.parent(path)?;
        rustix::fs::symlinkat(target, &parent, name)
    }

    /// Makes `path` and what is missing above it; directories that are there stay.
    pub(crate) fn make_all(&self, path: &str) -> Result<()> {
        let mut made = String::new();
        for part in normal(path).split('/').filter(|part| !part.is_empty()) {
            made.push('/');
            made.push_str(part);
            match self.is_dir(&made) {
                Ok(true) => {}
                Ok(false) => return Err(Errno::NOTDIR),
                Err(Errno::NOENT) => self.make_dir(&made)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Sets when a file was changed, in seconds since 1970.
pub(crate) fn set_changed(file: &File, seconds: i64) -> Result<()> {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    rustix::fs::futimens(
        file,
        &Timestamps {
            last_access: time,
            last_modification: time,
        },
    )
}

fn names(directory: &OwnedFd) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)?.take(NAMES) {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
