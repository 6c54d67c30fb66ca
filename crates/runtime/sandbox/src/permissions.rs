//! Who may read or write a file, in sentences for `config check`.

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

/// Warns of a file that others may open and nobody but its owner should even read. `then` says what
/// they can do.
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

/// Says of a file that whoever looks may not read it: its own user may, so that is no error.
#[must_use]
pub fn hidden_from_this_user(path: &Path) -> Option<String> {
    let error = std::fs::File::open(path).err()?;
    (error.kind() == io::ErrorKind::PermissionDenied).then(|| {
        format!(
            "`{}` may not be read by this user, and was not looked at",
            path.display()
        )
    })
}

fn look(path: &Path, judge: impl FnOnce(u32) -> Option<String>) -> Option<String> {
    match std::fs::metadata(path).as_ref().map(Metadata::mode) {
        Ok(mode) => judge(mode & 0o777),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(format!("`{}` cannot be looked at: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn set(path: &Path, mode: u32) {
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn whoever_writes_a_file_or_its_directory_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let path = folder.join("policy.cedar");
        std::fs::write(&path, "").unwrap();
        let warnings = |of_folder, of_file| {
            set(folder, of_folder);
            set(&path, of_file);
            written_by_others(&path, "decides")
        };
        let says = |path: &Path, mode| {
            let path = path.display();
            format!("whoever may write `{path}` decides; its mode is {mode}")
        };
        assert_eq!(warnings(0o755, 0o644), [""; 0]);
        assert_eq!(warnings(0o755, 0o646), [says(&path, "646")]);
        assert_eq!(warnings(0o775, 0o644), [says(folder, "775")]);
        let both = [says(&path, "664"), says(folder, "757")];
        assert_eq!(warnings(0o757, 0o664), both);
        // Whoever puts a file there that is missing decides as well.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(written_by_others(&path, "decides"), both[1..]);
    }

    #[test]
    fn whoever_may_only_open_a_secret_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "").unwrap();
        for (mode, warns) in [(0o600, false), (0o640, true), (0o604, true), (0o700, false)] {
            set(&path, mode);
            let warning = read_by_others(&path, "can sign");
            assert_eq!(warning.is_some(), warns, "{mode:o}: {warning:?}");
        }
    }

    #[test]
    fn what_this_user_may_not_read_is_told_from_what_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert_eq!(hidden_from_this_user(&path), None);
        std::fs::write(&path, "").unwrap();
        assert_eq!(hidden_from_this_user(&path), None);
        set(&path, 0o000);
        let hidden = hidden_from_this_user(&path);
        // Root reads every file.
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!(hidden.is_none(), is_root, "{hidden:?}");
    }

    #[test]
    fn what_is_not_there_weakens_nothing_and_what_cannot_be_looked_at_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(written_by_others(&path, "decides"), [""; 0]);
        assert_eq!(read_by_others(&path, "can sign"), None);
        std::fs::write(&path, "").unwrap();
        // A file is no directory.
        let warning = read_by_others(&path.join("key"), "can sign").unwrap();
        assert!(warning.contains("cannot be looked at"), "{warning}");
    }
}
