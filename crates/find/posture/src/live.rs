//! A `/proc` that somebody reads from inside the container: through a file read of the API under
//! test, a command, or by hand. What it says is what runs, not what a file means to run, so its
//! facts are `proven`.

mod mountinfo;
mod status;

use crate::host_path::socket_named;
use crate::settings::is_secret_name;
use cofferdam_finding::{Condition, Confidence, Evidence, Fact, Facts, SourceLine, Truth};
use std::borrow::Cow;

/// The longest file that is looked at, in bytes; of a longer one only the beginning is.
pub const MAX_LIVE_BYTES: usize = 1024 * 1024;

/// A file as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveFile {
    /// What was in it.
    pub text: String,
    /// How it was read: the kept request and response, for one. Attached to each fact.
    pub evidence: Vec<Evidence>,
}

/// Whether something is at a path, as an error tells: opening a socket gives `ENXIO`, an absent
/// path `ENOENT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketProbe {
    /// The path in the container.
    pub path: String,
    /// Whether a socket is there.
    pub exists: bool,
    /// What shows it.
    pub evidence: Vec<Evidence>,
}

/// What could be read. Everything is optional, and what is missing stays unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveProc {
    /// `/proc/self/status`
    pub status: Option<LiveFile>,
    /// `/proc/self/mountinfo`
    pub mountinfo: Option<LiveFile>,
    /// `/proc/self/attr/current`
    pub attr_current: Option<LiveFile>,
    /// `/proc/self/uid_map`
    pub uid_map: Option<LiveFile>,
    /// `/proc/self/cgroup`
    pub cgroup: Option<LiveFile>,
    /// `/proc/1/comm`
    pub comm: Option<LiveFile>,
    /// The names in `/proc/self/environ`, one a line: see [`environ_names`]. Never the values.
    pub environ_names: Option<LiveFile>,
    /// Sockets that were looked for.
    pub sockets: Vec<SocketProbe>,
}

/// The names of the variables in a `/proc/*/environ`, for [`LiveProc::environ_names`]. The values
/// are not kept.
pub fn environ_names(raw: &[u8]) -> Vec<String> {
    let raw = &raw[..raw.len().min(MAX_LIVE_BYTES)];
    raw.split(|byte| *byte == 0)
        .filter_map(|entry| {
            let end = entry.iter().position(|byte| *byte == b'=')?;
            let name = String::from_utf8_lossy(&entry[..end]);
            (!name.is_empty()).then(|| name.into_owned())
        })
        .collect()
}

impl LiveProc {
    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What it says about the container.
    pub fn facts(&self) -> Facts {
        let mut live = Live::default();
        if let Some(file) = &self.mountinfo {
            mountinfo::learn(&mut live, &live_view("/proc/self/mountinfo", file));
        }
        if let Some(file) = &self.status {
            status::learn(&mut live, &live_view("/proc/self/status", file));
        }
        if let Some(file) = &self.attr_current {
            attr_current(&mut live, &live_view("/proc/self/attr/current", file));
        }
        if let Some(file) = &self.uid_map {
            uid_map(&mut live, &live_view("/proc/self/uid_map", file));
        }
        if let Some(file) = &self.cgroup {
            cgroup(&mut live, &live_view("/proc/self/cgroup", file));
        }
        if let Some(file) = &self.comm {
            comm(&mut live, &live_view("/proc/1/comm", file));
        }
        if let Some(file) = &self.environ_names {
            environ(&mut live, &live_view("/proc/self/environ", file));
        }
        self.sockets(&mut live);
        live.facts
    }

    fn sockets(&self, live: &mut Live) {
        for probe in &self.sockets {
            let name = probe.path.rsplit('/').next().unwrap_or_default();
            let Some(socket) = socket_named(name) else {
                continue;
            };
            if !probe.exists {
                // That it is not here does not say that it is nowhere.
                continue;
            }
            let mut evidence = vec![
                Evidence::new(format!("`{}` is a socket", probe.path)).source(SourceLine {
                    file: probe.path.clone(),
                    line: None,
                    text: "No such device or address (ENXIO)".to_owned(),
                }),
            ];
            evidence.extend(probe.evidence.iter().cloned());
            live.learn(socket.condition(), Truth::Yes, Confidence::Proven, evidence);
        }
    }
}

/// The facts so far, and what one file tells another.
#[derive(Default)]
struct Live {
    facts: Facts,
    /// Set by `mountinfo`: nothing of `/proc` is masked and `/sys` is writable.
    open_kernel_files: bool,
}

impl Live {
    fn learn(
        &mut self,
        condition: Condition,
        truth: Truth,
        confidence: Confidence,
        evidence: Vec<Evidence>,
    ) {
        self.facts.learn(
            condition,
            Fact {
                truth,
                confidence,
                evidence,
            },
        );
    }
}

/// A file with its name, of bounded length.
struct View<'a> {
    path: &'static str,
    text: Cow<'a, str>,
    how: &'a [Evidence],
}

fn live_view<'a>(path: &'static str, file: &'a LiveFile) -> View<'a> {
    let mut end = file.text.len().min(MAX_LIVE_BYTES);
    while !file.text.is_char_boundary(end) {
        end -= 1;
    }
    View {
        path,
        text: Cow::Borrowed(&file.text[..end]),
        how: &file.evidence,
    }
}

impl View<'_> {
    /// The line as evidence, followed by how the file was read.
    fn shows(&self, shows: impl Into<String>, line: usize, text: &str) -> Vec<Evidence> {
        let source = SourceLine {
            file: self.path.to_owned(),
            line: u32::try_from(line + 1).ok(),
            text: text.chars().take(200).collect(),
        };
        let mut evidence = vec![Evidence::new(shows).source(source)];
        evidence.extend(self.how.iter().cloned());
        evidence
    }

    fn first_line(&self) -> &str {
        // The kernel ends some of these with a zero byte.
        self.text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_end_matches('\0')
            .trim()
    }
}

fn attr_current(live: &mut Live, file: &View<'_>) {
    let label = file.first_line();
    let domain = label.split(':').nth(2);
    let (truth, shows) = match domain {
        _ if label.is_empty() => return,
        Some("spc_t" | "unconfined_t" | "kernel_t") => {
            (Truth::Yes, "SELinux does not confine the process")
        }
        Some(_) => (Truth::No, "SELinux confines the process"),
        None if label == "unconfined" => (Truth::Yes, "AppArmor does not confine the process"),
        None if label.ends_with("(complain)") => (Truth::Yes, "AppArmor only watches the process"),
        None => (Truth::No, "an AppArmor profile confines the process"),
    };
    live.learn(
        Condition::LsmOff,
        truth,
        Confidence::Proven,
        file.shows(shows, 0, label),
    );
}

fn uid_map(live: &mut Live, file: &View<'_>) {
    let line = file.first_line();
    let numbers: Vec<&str> = line.split_whitespace().collect();
    let [inside, outside, count] = numbers.as_slice() else {
        return;
    };
    let all = *inside == "0" && *outside == "0" && *count == "4294967295";
    let (truth, shows) = if all {
        (Truth::Yes, "root in the container is root of the host")
    } else {
        (Truth::No, "the container has a user namespace")
    };
    live.learn(
        Condition::UsernsNone,
        truth,
        Confidence::Proven,
        file.shows(shows, 0, line),
    );
}

fn cgroup(live: &mut Live, file: &View<'_>) {
    let mut any = false;
    for (index, line) in file.text.lines().enumerate() {
        let Some((number, rest)) = line.split_once(':') else {
            continue;
        };
        if number.parse::<u32>().is_err() {
            continue;
        }
        any = true;
        let controllers = rest.split(':').next().unwrap_or_default();
        if number != "0" && !controllers.is_empty() && !controllers.starts_with("name=") {
            let evidence = file.shows("the host has cgroup version 1", index, line);
            live.learn(
                Condition::CgroupV1rw,
                Truth::Yes,
                Confidence::Proven,
                evidence,
            );
            return;
        }
    }
    if any {
        let evidence = file.shows("the host has cgroup version 2 only", 0, file.first_line());
        live.learn(
            Condition::CgroupV1rw,
            Truth::No,
            Confidence::Proven,
            evidence,
        );
    }
}

fn comm(live: &mut Live, file: &View<'_>) {
    let name = file.first_line();
    match name {
        // Containers that run an init of their own exist, so these two prove nothing alone.
        "" | "init" => {}
        "systemd" => {
            let evidence = file.shows("process 1 is the init of a host", 0, name);
            live.learn(Condition::NsPid, Truth::Yes, Confidence::Firm, evidence);
        }
        "pause" => {
            let evidence = file.shows("process 1 is the pause of a pod", 0, name);
            live.learn(
                Condition::NsPidShared,
                Truth::Yes,
                Confidence::Proven,
                evidence.clone(),
            );
            live.learn(Condition::NsPid, Truth::No, Confidence::Proven, evidence);
        }
        _ => {
            let evidence = file.shows("process 1 is the container's own", 0, name);
            live.learn(Condition::NsPid, Truth::No, Confidence::Proven, evidence);
        }
    }
}

fn environ(live: &mut Live, file: &View<'_>) {
    let mut secret = false;
    for (index, name) in file.text.lines().enumerate() {
        let name = name.split('=').next().unwrap_or_default().trim();
        if is_secret_name(name) {
            secret = true;
            let evidence = file.shows(format!("`{name}` is set"), index, name);
            live.learn(
                Condition::SecretsEnv,
                Truth::Yes,
                Confidence::Proven,
                evidence,
            );
        }
        if name.starts_with("AWS_CONTAINER_CREDENTIALS_") {
            let evidence = file.shows("credentials of the task are served", index, name);
            live.learn(
                Condition::NetTaskcreds,
                Truth::Yes,
                Confidence::Proven,
                evidence,
            );
        }
    }
    if !secret && !file.text.trim().is_empty() {
        let evidence = file.shows("no variable has the name of a secret", 0, "");
        live.learn(Condition::SecretsEnv, Truth::No, Confidence::Firm, evidence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Option<LiveFile> {
        Some(LiveFile {
            text: text.to_owned(),
            evidence: vec![Evidence::new("GET /v1/files?path=… answered").observed("x")],
        })
    }

    #[test]
    fn each_small_file_gives_its_fact() {
        let live = LiveProc {
            attr_current: file("docker-default (enforce)\n"),
            uid_map: file("         0          0 4294967295\n"),
            cgroup: file("0::/\n"),
            comm: file("api\n"),
            environ_names: file("PATH\nJWT_SECRET\n"),
            ..LiveProc::default()
        };
        let facts = live.facts();
        for (condition, truth) in [
            (Condition::LsmOff, Truth::No),
            (Condition::UsernsNone, Truth::Yes),
            (Condition::CgroupV1rw, Truth::No),
            (Condition::NsPid, Truth::No),
            (Condition::SecretsEnv, Truth::Yes),
        ] {
            let fact = facts.fact(condition).unwrap();
            assert_eq!(fact.truth, truth, "{condition}");
            assert_eq!(fact.confidence, Confidence::Proven, "{condition}");
            assert_eq!(
                fact.evidence.len(),
                2,
                "how it was read is kept: {condition}"
            );
        }
        assert_eq!(facts.truth(Condition::UserRoot), Truth::Unknown);
    }

    #[test]
    fn what_confines_the_process_is_read_from_either_module() {
        for (text, truth) in [
            ("unconfined\n", Truth::Yes),
            ("cri-containerd.apparmor.d (enforce)\n", Truth::No),
            ("docker-default (complain)", Truth::Yes),
            ("system_u:system_r:container_t:s0:c1,c2\0", Truth::No),
            ("system_u:system_r:spc_t:s0\0", Truth::Yes),
            ("", Truth::Unknown),
        ] {
            let live = LiveProc {
                attr_current: file(text),
                ..LiveProc::default()
            };
            assert_eq!(live.facts().truth(Condition::LsmOff), truth, "{text:?}");
        }
    }

    #[test]
    fn a_socket_that_answers_enxio_is_proven_and_an_absent_path_says_nothing() {
        let probe = |path: &str, exists| SocketProbe {
            path: path.to_owned(),
            exists,
            evidence: Vec::new(),
        };
        let live = LiveProc {
            sockets: vec![
                probe("/var/run/docker.sock", true),
                probe("/run/containerd/containerd.sock", false),
                probe("/tmp/other.sock", true),
            ],
            ..LiveProc::default()
        };
        let facts = live.facts();
        assert_eq!(facts.truth(Condition::SockDocker), Truth::Yes);
        assert_eq!(facts.iter().count(), 1);
    }

    #[test]
    fn no_value_of_the_environment_is_kept() {
        let names = environ_names(b"PATH=/bin\0JWT_SECRET=abc=def\0\0=odd\0");
        assert_eq!(names, ["PATH", "JWT_SECRET"]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s).{0,200}") {
            let live = LiveProc {
                status: file(&text),
                mountinfo: file(&text),
                attr_current: file(&text),
                uid_map: file(&text),
                cgroup: file(&text),
                comm: file(&text),
                environ_names: file(&text),
                sockets: Vec::new(),
            };
            let _ = live.facts();
        }
    }
}
