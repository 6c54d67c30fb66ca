//! Directories that are nobody's own.

use std::path::Path;

/// Directories of the system that hold the files of many programs.
const SHARED: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/dev/shm",
    "/etc",
    "/etc/ssl",
    "/home",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/run/lock",
    "/run/user",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/etc",
    "/usr/local/share",
    "/usr/sbin",
    "/usr/share",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/spool",
    "/var/tmp",
];

/// Those of which each directory in them is somebody's all.
const OF_USERS: &[&str] = &["/home", "/run/user"];

/// Whether a directory holds the files of many programs, or all of a user's. A sandbox that opens it
/// for the sake of one file opens all of them.
#[must_use]
pub fn is_shared(directory: &Path) -> bool {
    // `/var/run` is another name of `/run`. What is not there yet is judged by its name.
    let found = std::fs::canonicalize(directory);
    let directory = found.as_deref().unwrap_or(directory);
    let among = |list: &[&str], path: &Path| list.iter().any(|it| Path::new(it) == path);
    among(SHARED, directory) || directory.parent().is_some_and(|it| among(OF_USERS, it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_one_program_is_not_shared() {
        for path in [
            "/",
            "/etc",
            "/etc/",
            "/run",
            "/tmp",
            "/home/alice",
            "/run/user/1000",
        ] {
            assert!(is_shared(Path::new(path)), "{path}");
        }
        for path in [
            "/etc/cofferdam",
            "/run/cofferdam",
            "/home/alice/cofferdam",
            "/srv/audit",
        ] {
            assert!(!is_shared(Path::new(path)), "{path}");
        }
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        assert!(is_shared(&link) && !is_shared(dir.path()));
    }
}
