//! Paths inside a container and on the host. Absolute, and in one spelling.

use crate::refusal::{Refusal, Rule, quote};
use crate::text::parsed_text;

/// Bytes of the longest path that Linux takes (`PATH_MAX` less its NUL).
const MAX_PATH: usize = 4095;

parsed_text! {
    /// A directory or file in a container: absolute, without `..`, `.`, empty segments or control
    /// characters. [`ContainerPath::normal`] drops what a person may add without meaning anything.
    ContainerPath, |text| normal_form(text, Rule::MountTarget)
}

parsed_text! {
    /// A path of the host, in the same one spelling: what is not written plainly is refused rather
    /// than cleaned, since an exception names an exact path.
    HostPath, |text| normal_form(text, Rule::HostPath)
}

parsed_text! {
    /// The path of a copy in or out of a container, as `docker cp` sends it: absolute or relative to
    /// `/`, a trailing `/` or `/.` kept (it says that the content is meant, not the directory).
    ArchivePath, archive_path
}

impl ContainerPath {
    /// Reads a path as people write it: doubled, trailing and `.` segments are dropped; `..` is
    /// refused by `rule`.
    ///
    /// # Errors
    /// A path that is relative, climbs, is too long or holds control characters.
    pub fn normal(text: &str, rule: Rule) -> Result<Self, Refusal> {
        if !text.starts_with('/') {
            return Err(Refusal::new(
                rule,
                format!("{} is not absolute", quote(text)),
            ));
        }
        let kept: Vec<&str> = text
            .split('/')
            .filter(|segment| !segment.is_empty() && *segment != ".")
            .collect();
        let path = format!("/{}", kept.join("/"));
        normal_form(&path, rule).map(|()| Self(path))
    }

    /// Whether the path is in one of the file systems through which the kernel and the runtime
    /// show themselves: `/proc`, `/sys`, `/dev`.
    #[must_use]
    pub fn is_system(&self) -> bool {
        is_system(&self.0)
    }

    /// Whether this is `/`.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }
}

impl HostPath {
    /// Whether `other` is this path or lies below it, segment by segment.
    #[must_use]
    pub fn contains(&self, other: &HostPath) -> bool {
        let Some(rest) = other.0.strip_prefix(self.0.trim_end_matches('/')) else {
            return false;
        };
        rest.is_empty() || rest.starts_with('/')
    }
}

/// Whether an absolute or relative path leads into `/proc`, `/sys` or `/dev` once its empty and dot
/// segments are dropped and its `..` resolved.
pub(crate) fn is_system(path: &str) -> bool {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    matches!(kept.first(), Some(&("proc" | "sys" | "dev")))
}

fn normal_form(text: &str, rule: Rule) -> Result<(), Refusal> {
    let why = if !text.starts_with('/') {
        "is not absolute"
    } else if text.len() > MAX_PATH {
        "is too long"
    } else if text.chars().any(char::is_control) {
        "holds a control character"
    } else if text.contains(':') {
        // The engine cuts `-v` at colons, so a colon in a path could begin another member.
        "holds `:`"
    } else if text != "/"
        && text[1..]
            .split('/')
            .any(|part| matches!(part, "" | "." | ".."))
    {
        "is not in its one spelling: no `.`, `..`, empty or trailing segment"
    } else {
        return Ok(());
    };
    Err(Refusal::new(
        rule,
        format!("the path {} {why}", quote(text)),
    ))
}

fn archive_path(text: &str) -> Result<(), Refusal> {
    let why = if text.is_empty() || text.len() > MAX_PATH {
        "is empty or too long"
    } else if text.chars().any(char::is_control) {
        "holds a control character"
    } else if text.split('/').any(|segment| segment == "..") {
        "climbs with `..`"
    } else if is_system(text) {
        "is in `/proc`, `/sys` or `/dev`, which show the kernel and the runtime"
    } else {
        return Ok(());
    };
    Err(Refusal::new(
        Rule::ArchivePath,
        format!("the path {} {why}", quote(text)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_path_is_brought_into_one_form() {
        let normal = |text| ContainerPath::normal(text, Rule::WorkingDirectory).map(String::from);
        assert_eq!(normal("/app//./x/").unwrap(), "/app/x");
        assert_eq!(normal("/").unwrap(), "/");
        for text in ["app", "/a/../proc", "", "/a\nb", "/a:/b"] {
            assert_eq!(
                normal(text).unwrap_err().rule,
                Rule::WorkingDirectory,
                "{text}"
            );
        }
    }

    #[test]
    fn system_paths_are_seen_in_any_spelling() {
        for text in [
            "/proc",
            "//proc/self/fd/8",
            "/x/../proc",
            "/./sys",
            "proc/1",
            "/dev/../dev/sda",
        ] {
            assert!(is_system(text), "{text}");
        }
        for text in ["/process", "/srv/proc", "/", "/proc/../app"] {
            assert!(!is_system(text), "{text}");
        }
    }

    #[test]
    fn a_host_path_contains_whole_segments_only() {
        let path = |text| HostPath::parse(text).unwrap();
        assert!(path("/srv/builds").contains(&path("/srv/builds")));
        assert!(path("/srv/builds").contains(&path("/srv/builds/a")));
        assert!(!path("/srv/builds").contains(&path("/srv/builds-2")));
        assert!(!path("/srv/builds").contains(&path("/srv")));
        assert!(path("/").contains(&path("/srv")));
        for text in ["//", "/srv/", "/a/./b", "/a/../b", "srv"] {
            assert_eq!(
                HostPath::parse(text).unwrap_err().rule,
                Rule::HostPath,
                "{text}"
            );
        }
    }

    #[test]
    fn a_copy_keeps_its_trailing_dot_and_does_not_climb() {
        for text in ["/app/.", "/app/", "app/out.txt", "/"] {
            assert_eq!(ArchivePath::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "../../etc",
            "/a/../../x",
            "/proc/1/environ",
            "proc/1",
            "",
            "/./proc/self/fd",
        ] {
            assert_eq!(
                ArchivePath::parse(text).unwrap_err().rule,
                Rule::ArchivePath,
                "{text}"
            );
        }
    }
}
