//! A file of an issuer's public keys, which is read again when it has changed.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{IssuerSettings, KeyFileError};
use crate::key::{JwkSet, KeyStore};

/// Bytes that a file of keys may have.
const MAX_FILE: u64 = 1 << 20;

/// What a file was when it was looked at. Two looks at one path are equal if nobody has written or
/// replaced it in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMark {
    device: u64,
    inode: u64,
    size: u64,
    /// Both times in nanoseconds: whoever sets the one back moves the other.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileMark {
    /// Looks at a file; nothing where there is none.
    #[must_use]
    pub fn of(path: &Path) -> Option<FileMark> {
        let found = std::fs::metadata(path).ok()?;
        Some(FileMark {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// A file of keys, and the keys that it had when it was last of use.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    store: Arc<KeyStore>,
    seen: Mutex<Option<FileMark>>,
}

impl KeyFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`KeyFileError`] where there are no keys in it.
    pub fn open(path: &Path) -> Result<KeyFile, KeyFileError> {
        // Looked at before it is read, so that a change in between is seen the next time.
        let seen = FileMark::of(path);
        Ok(KeyFile {
            path: path.to_owned(),
            store: Arc::new(KeyStore::new(read(path)?)),
            seen: Mutex::new(seen),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys, which follow the file.
    #[must_use]
    pub fn store(&self) -> Arc<KeyStore> {
        Arc::clone(&self.store)
    }

    /// Reads the file again if it has changed, and says whether there are other keys now. Where it
    /// has become useless the former keys stay, and that is said once.
    pub fn refresh(&self) -> Option<Result<(), KeyFileError>> {
        let now = FileMark::of(&self.path);
        // A mark is whole at any time, so a panic elsewhere is no reason to stop.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return None;
        }
        *seen = now;
        let before = self.store.generation();
        match read(&self.path) {
            Ok(keys) => {
                self.store.replace(keys);
                (self.store.generation() != before).then_some(Ok(()))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

fn read(path: &Path) -> Result<JwkSet, KeyFileError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| KeyFileError::Read(error.to_string()))?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(KeyFileError::TooLong),
        false => IssuerSettings::parse_keys(&bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"KID",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    #[test]
    fn a_file_is_followed_and_a_useless_one_is_said_once_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(&KEY.replace("KID", "one"));
        let file = KeyFile::open(&path).unwrap();
        let has = |kid: &str| file.store().keys().unwrap().has_kid(kid);
        assert!(has("one"));
        assert_eq!(file.refresh(), None);

        let long = " ".repeat(MAX_FILE as usize + 1);
        for (text, error) in [
            ("{\"keys\":[]}", KeyFileError::Empty),
            (&long, KeyFileError::TooLong),
        ] {
            write(text);
            assert_eq!(file.refresh(), Some(Err(error)));
            assert_eq!(file.refresh(), None);
            assert!(has("one"));
        }
        // Of the same length, written to another file and moved over it, as a careful writer does.
        let other = folder.path().join("other");
        std::fs::write(&other, KEY.replace("KID", "two")).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(file.refresh(), Some(Ok(())));
        assert!(has("two") && !has("one"));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(file.refresh(), Some(Err(KeyFileError::Read(_)))));
        assert!(has("two") && KeyFile::open(&path).is_err());
    }
}
