//! Versions of runc and containerd, and which of them have a known way out.

/// `major.minor.patch`; a release candidate counts as older than its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    parts: [u32; 3],
    release: bool,
    candidate: u32,
}

impl Version {
    /// Reads `1.1.12`, `v1.1.12-0-g51d5e946`, `1.2.0-rc.1`; a bare commit is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().strip_prefix('v').unwrap_or(text.trim());
        let (numbers, tail) = match text.find(['-', '+', '~']) {
            Some(end) => text.split_at(end),
            None => (text, ""),
        };
        let mut parts = [0; 3];
        let mut count = 0;
        for part in numbers.split('.') {
            *parts.get_mut(count)? = part.parse().ok()?;
            count += 1;
        }
        let candidate = tail
            .trim_start_matches(['-', '~'])
            .strip_prefix("rc")
            .map(|rest| {
                let digits: String = rest
                    .trim_start_matches('.')
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect();
                digits.parse().unwrap_or(0)
            });
        (count >= 2).then_some(Self {
            parts,
            release: candidate.is_none(),
            candidate: candidate.unwrap_or(0),
        })
    }

    /// runc with CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881 (fixed in 1.2.8, 1.3.3 and
    /// 1.4.0-rc.3) or older ones that those releases fix too.
    pub(crate) fn is_vulnerable_runc(self) -> bool {
        let fixed = match self.parts {
            [1, 4, 0] => Version {
                parts: [1, 4, 0],
                release: false,
                candidate: 3,
            },
            [1, 3, _] => Version::release(1, 3, 3),
            [major, minor, _] if (major, minor) > (1, 3) => return false,
            _ => Version::release(1, 2, 8),
        };
        self < fixed
    }

    /// containerd with CVE-2020-15257 (fixed in 1.3.9 and 1.4.3).
    pub(crate) fn has_abstract_shim(self) -> bool {
        match self.parts {
            [1, 4, _] => self < Version::release(1, 4, 3),
            _ => self < Version::release(1, 3, 9),
        }
    }

    /// As people write it.
    pub(crate) fn text(self) -> String {
        let [major, minor, patch] = self.parts;
        let candidate = if self.release {
            String::new()
        } else {
            format!("-rc.{}", self.candidate)
        };
        format!("{major}.{minor}.{patch}{candidate}")
    }

    const fn release(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            parts: [major, minor, patch],
            release: true,
            candidate: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn vulnerable_versions_are_told_from_fixed_ones() {
        for bad in [
            "1.0.3",
            "v1.1.12-0-g51d5e946",
            "1.2.7",
            "1.3.2",
            "1.4.0-rc.2",
            "1.2.8-rc.1",
        ] {
            assert!(version(bad).is_vulnerable_runc(), "{bad}");
        }
        for good in [
            "1.2.8",
            "1.2.9",
            "1.3.3",
            "1.4.0-rc.3",
            "1.4.0",
            "1.5.1",
            "2.0.0",
        ] {
            assert!(!version(good).is_vulnerable_runc(), "{good}");
        }
        assert!(version("1.3.8").has_abstract_shim());
        assert!(version("1.4.2").has_abstract_shim());
        assert!(!version("1.3.9").has_abstract_shim());
        assert!(!version("v2.1.0").has_abstract_shim());
    }

    #[test]
    fn a_commit_is_no_version() {
        assert_eq!(
            Version::parse("8165feabfdfe38c65b599c4993d227328c231fca"),
            None
        );
        assert_eq!(Version::parse(""), None);
        assert_eq!(Version::parse("1.2.3.4"), None);
    }
}
