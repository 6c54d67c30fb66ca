//! Files that others than their owner may read or write, in sentences for `config check`.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Warns of a file that decides, and of its directory: whoever writes it, or puts another in its
/// place, decides. `then` says what they can do. What is not there yet weakens nothing.
#[must_use]
pub fn written_by_others(path: &Path, then: &str) -> Vec<String> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let warn = |path: &Path| {
        look(path, |mode| {
            (mode & 0o022 != 0).then(|| {
                format!(
                    "whoever may write `{}` {then}; its mode is {mode:03o}",
                    path.display()
                )
            })
        })
    };
    [path, folder].into_iter().filter_map(warn).collect()
}

/// Warns of a file that nobody else may even read. `then` says what they could do.
#[must_use]
pub fn read_by_others(path: &Path, then: &str) -> Option<String> {
    look(path, |mode| {
        (mode & 0o077 != 0).then(|| {
            format!(
                "whoever may open `{}` {then}; its mode is {mode:03o}, and should leave out group \
                 and others",
                path.display()
            )
        })
    })
}

fn look(path: &Path, judge: impl FnOnce(u32) -> Option<String>) -> Option<String> {
    match std::fs::metadata(path).as_ref().map(Metadata::mode) {
        Ok(mode) => judge(mode & 0o777),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(format!("`{}` cannot be looked at: {error}", path.display())),
    }
}
