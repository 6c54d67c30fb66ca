//! Whether a file or a folder has changed since it was looked at, told from its metadata.

use std::path::{Path, PathBuf};

use cofferdam_token::settings::FileMark;

/// What a path was when it was looked at. Two looks at the same path are equal if nobody has
/// written or replaced it, or a file of the folder, in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<(PathBuf, FileMark)>);

impl Stamp {
    /// Looks at a file, or at a folder and the files in it. What is not there has an empty stamp.
    pub(crate) fn of(path: &Path) -> Self {
        let mut marks: Vec<(PathBuf, FileMark)> = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .filter_map(|entry| look(&entry.ok()?.path()))
            .collect();
        marks.extend(look(path));
        marks.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        Self(marks)
    }
}

fn look(path: &Path) -> Option<(PathBuf, FileMark)> {
    Some((path.to_owned(), FileMark::of(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_in_the_stamp_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        assert_eq!(Stamp::of(&file), Stamp::default());
        std::fs::write(&file, "1").unwrap();
        let (of_file, of_folder) = (Stamp::of(&file), Stamp::of(dir.path()));
        assert_eq!(Stamp::of(&file), of_file);
        assert_eq!(Stamp::of(dir.path()), of_folder);
        // Written to another file and moved over it, as a careful writer does.
        std::fs::write(dir.path().join("b"), "2").unwrap();
        std::fs::rename(dir.path().join("b"), &file).unwrap();
        assert_ne!(Stamp::of(&file), of_file);
        assert_ne!(Stamp::of(dir.path()), of_folder);
    }
}
