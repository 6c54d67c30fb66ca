//! Files that are whole or not there, and directories that remember them.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use crate::error::Error;

/// Writes a file below `root` so that after a crash it is whole or as it was: a temporary file,
/// flushed, renamed, and its directory flushed.
pub(crate) fn write_whole(root: &Path, below: &Path, bytes: &[u8]) -> Result<(), Error> {
    let path = root.join(below);
    let parent = make_parents(root, below)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(source) = written {
        // What is left of it may be what fills the disk.
        let _ = fs::remove_file(&temporary);
        return Err(Error::Io {
            doing: "write",
            path: temporary,
            source,
        });
    }
    fs::rename(&temporary, &path).map_err(Error::io("rename to", &path))?;
    sync_dir(&parent)
}

/// Makes the directories between `root` and the file, each flushed into the one above it.
fn make_parents(root: &Path, below: &Path) -> Result<std::path::PathBuf, Error> {
    let mut at = root.to_owned();
    for part in below.parent().into_iter().flat_map(Path::components) {
        let above = at.clone();
        at.push(part);
        match fs::create_dir(&at) {
            Ok(()) => sync_dir(&above)?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("make the directory", &at)(error)),
        }
    }
    Ok(at)
}

/// Flushes a directory, so that a new name in it survives a crash.
pub(crate) fn sync_dir(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(Error::io("flush", path))
}

/// Reads a file; nothing where it is not there.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}
