//! Policy files, as text.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::error::LoadError;

/// Bytes of one policy file at most.
pub const MAX_FILE: u64 = 256 << 10;
/// Policy files of a set at most.
pub const MAX_FILES: usize = 256;
/// Policies of a set at most: a decision looks at each.
pub const MAX_POLICIES: usize = 1000;

/// A policy file: its name for messages, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name that problems are reported under.
    pub name: String,
    /// Policies in the syntax of Cedar.
    pub text: String,
}

impl Source {
    /// A source from memory.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// Reads one policy file, or the files `*.cedar` of a folder, by name; folders in it are left
    /// alone.
    ///
    /// # Errors
    /// What cannot be read or is no UTF-8, a folder without such a file, and what exceeds
    /// [`MAX_FILE`] or [`MAX_FILES`].
    pub fn read(path: &Path) -> Result<Vec<Self>, LoadError> {
        if !path.is_dir() {
            return Ok(vec![Self::read_file(path)?]);
        }
        let files = policy_files(path)?;
        if files.is_empty() {
            return Err(LoadError::Nothing {
                place: path.display().to_string(),
            });
        }
        files.iter().map(|file| Self::read_file(file)).collect()
    }

    fn read_file(path: &Path) -> Result<Self, LoadError> {
        let failed = |error| LoadError::Read {
            path: path.to_owned(),
            error,
        };
        let mut text = String::new();
        let mut file = std::fs::File::open(path)
            .map_err(failed)?
            .take(MAX_FILE + 1);
        file.read_to_string(&mut text).map_err(failed)?;
        let source = Self::new(path.display().to_string(), text);
        source.check_size()?;
        Ok(source)
    }

    /// Holds the bound of a file.
    pub(crate) fn check_size(&self) -> Result<(), LoadError> {
        if self.text.len() as u64 > MAX_FILE {
            return Err(LoadError::TooLarge {
                what: format!("`{}`", self.name),
                limit: format!("{} KiB", MAX_FILE >> 10),
            });
        }
        Ok(())
    }
}

fn policy_files(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |error| LoadError::Read {
        path: folder.to_owned(),
        error,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        // What a link leads to counts: that is how Kubernetes mounts a ConfigMap.
        if path.extension().is_some_and(|it| it == "cedar") && path.is_file() {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(LoadError::TooLarge {
                what: format!("the number of policy files in `{}`", folder.display()),
                limit: MAX_FILES.to_string(),
            });
        }
    }
    files.sort();
    Ok(files)
}
