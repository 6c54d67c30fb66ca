//! `/proc/self/mountinfo` (proc_pid_mountinfo(5)): what of the host is in the container.

use super::{Live, View};
use crate::host_path::{HostPath, socket_named};
use cofferdam_finding::{Condition, Confidence, Truth};

/// Most lines that are looked at.
const MAX_LINES: usize = 4_096;

/// File systems that hold the files of a host.
const DISKS: &[&str] = &["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs"];

/// One line.
struct Line<'a> {
    index: usize,
    text: &'a str,
    device: &'a str,
    /// The path within the file system that is mounted.
    root: String,
    point: String,
    read_only: bool,
    shared: bool,
    kind: &'a str,
}

pub(super) fn learn(live: &mut Live, file: &View<'_>) {
    let lines: Vec<Line<'_>> = file
        .text
        .lines()
        .take(MAX_LINES)
        .enumerate()
        .filter_map(|(index, text)| parse(index, text))
        .collect();
    if !lines.iter().any(|line| line.point == "/") {
        return;
    }
    let proven = |live: &mut Live, condition, truth, shows: &str, line: &Line<'_>| {
        let evidence = file.shows(shows, line.index, line.text);
        live.learn(condition, truth, Confidence::Proven, evidence);
    };
    for line in &lines {
        match (line.point.as_str(), line.kind) {
            ("/", _) => {
                let truth = if line.read_only {
                    Truth::No
                } else {
                    Truth::Yes
                };
                proven(
                    live,
                    Condition::RootfsRw,
                    truth,
                    "how the root filesystem is mounted",
                    line,
                );
            }
            ("/sys", "sysfs") => {
                let truth = if line.read_only {
                    Truth::No
                } else {
                    Truth::Yes
                };
                proven(
                    live,
                    Condition::MountSys,
                    truth,
                    "how /sys is mounted",
                    line,
                );
            }
            _ => {}
        }
    }
    kernel_files(live, &lines, &proven);
    let host_device = engine_device(&lines);
    let mut host_mounts: Vec<&Line<'_>> = Vec::new();
    let mut learned: Vec<Condition> = Vec::new();
    for line in &lines {
        let name = |path: &str| socket_named(path.rsplit('/').next().unwrap_or_default());
        if let Some(socket) = name(&line.root).or_else(|| name(&line.point)) {
            proven(
                live,
                socket.condition(),
                Truth::Yes,
                "a runtime socket is mounted",
                line,
            );
            learned.push(socket.condition());
            if line.read_only {
                let shows = "mounted read-only, which does not keep anybody from connecting";
                proven(live, Condition::SockRo, Truth::Yes, shows, line);
            }
            continue;
        }
        let conditions = host_conditions(line, &lines, host_device);
        for condition in &conditions {
            proven(
                live,
                *condition,
                Truth::Yes,
                "a path of the host is mounted",
                line,
            );
            learned.push(*condition);
        }
        if !conditions.is_empty() {
            host_mounts.push(line);
            if line.shared {
                let shows = "what is mounted below it appears on the host";
                proven(live, Condition::MountRshared, Truth::Yes, shows, line);
            }
        }
        if line.point.ends_with("/kubernetes.io/serviceaccount") {
            let shows = "the token of a service account is mounted";
            proven(live, Condition::SaAutomount, Truth::Yes, shows, line);
        }
    }
    match host_mounts.iter().find(|line| !line.read_only) {
        Some(line) => proven(
            live,
            Condition::MountRo,
            Truth::No,
            "the mount is writable",
            line,
        ),
        None => {
            for line in &host_mounts {
                proven(
                    live,
                    Condition::MountRo,
                    Truth::Yes,
                    "the mount is read-only",
                    line,
                );
            }
        }
    }
    // The list is complete, so what is not in it is not mounted: not by its own name, that is.
    if let Some(first) = lines.first() {
        use Condition::*;
        for condition in [
            MountRoot,
            MountEtc,
            MountHome,
            MountVarlog,
            MountKubelet,
            MountDockerlib,
            MountBin,
        ] {
            if !learned.contains(&condition) {
                let evidence = file.shows("no mount brings it in", first.index, first.text);
                live.learn(condition, Truth::No, Confidence::Firm, evidence);
            }
        }
    }
}

/// `/proc`: masked, writable, or mounted a second time.
fn kernel_files(
    live: &mut Live,
    lines: &[Line<'_>],
    proven: &impl Fn(&mut Live, Condition, Truth, &str, &Line<'_>),
) {
    let proc = lines
        .iter()
        .find(|line| line.point == "/proc" && line.kind == "proc");
    let masked = lines
        .iter()
        .find(|line| line.point == "/proc/sys" && line.read_only);
    match (proc, masked) {
        (Some(_), Some(masked)) => {
            proven(
                live,
                Condition::ProcUnmasked,
                Truth::No,
                "/proc/sys is read-only",
                masked,
            );
        }
        (Some(proc), None) if !proc.read_only => {
            let shows = "nothing makes /proc/sys read-only";
            proven(live, Condition::ProcUnmasked, Truth::Yes, shows, proc);
        }
        _ => {}
    }
    let sys = lines
        .iter()
        .find(|line| line.point == "/sys" && line.kind == "sysfs");
    live.open_kernel_files = proc.is_some_and(|proc| !proc.read_only)
        && masked.is_none()
        && sys.is_some_and(|sys| !sys.read_only);
    let second = lines
        .iter()
        .find(|line| line.kind == "proc" && line.root == "/" && line.point != "/proc");
    match (second, proc) {
        (Some(second), _) => {
            proven(
                live,
                Condition::MountProc,
                Truth::Yes,
                "a second /proc is mounted",
                second,
            );
        }
        (None, Some(proc)) => {
            proven(
                live,
                Condition::MountProc,
                Truth::No,
                "there is one /proc",
                proc,
            );
        }
        _ => {}
    }
}

/// The file system on which the engine keeps its own files; `/etc/hosts` of a container lies there.
fn engine_device<'a>(lines: &[Line<'a>]) -> Option<&'a str> {
    lines
        .iter()
        .find(|line| {
            ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"].contains(&line.point.as_str())
                && DISKS.contains(&line.kind)
        })
        .map(|line| line.device)
}

/// What a bind mount of a disk gives away. The path within the file system is that of the host only
/// on the file system that the host has at `/`; a disk of its own, mounted whole, is nobody's root.
fn host_conditions(
    line: &Line<'_>,
    lines: &[Line<'_>],
    host_device: Option<&str>,
) -> Vec<Condition> {
    if !DISKS.contains(&line.kind) || line.point == "/" {
        return Vec::new();
    }
    let engines_own = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]
        .contains(&line.point.as_str())
        || line.root.contains("/volumes/")
        || line.root.contains("/containers/");
    if engines_own {
        return Vec::new();
    }
    if line.root == "/" {
        let below = |kind: &str, name: &str| {
            let point = format!("{}{name}", line.point.trim_end_matches('/'));
            lines
                .iter()
                .any(|other| other.kind == kind && other.point == point)
        };
        let whole =
            host_device == Some(line.device) || below("proc", "/proc") || below("sysfs", "/sys");
        if !whole {
            return Vec::new();
        }
    } else if host_device.is_some_and(|device| device != line.device) {
        return Vec::new();
    }
    HostPath::parse(&line.root).conditions(!line.read_only)
}

/// `id parent major:minor root point options [optional…] - kind source super`
fn parse(index: usize, text: &str) -> Option<Line<'_>> {
    let (front, back) = text.split_once(" - ")?;
    let fields: Vec<&str> = front.split(' ').collect();
    let [_, _, device, root, point, options, optional @ ..] = fields.as_slice() else {
        return None;
    };
    Some(Line {
        index,
        text,
        device,
        root: unescape(root),
        point: unescape(point),
        read_only: options.split(',').any(|option| option == "ro"),
        shared: optional.iter().any(|field| field.starts_with("shared:")),
        kind: back.split(' ').next()?,
    })
}

/// Spaces and the like are written as three octal digits after a backslash.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use crate::{LiveFile, LiveProc};
    use cofferdam_finding::{Condition, Facts, Truth};

    /// As runc lays it out, trimmed.
    const ORDINARY: &str = "\
600 500 0:60 / / rw,relatime - overlay overlay rw,lowerdir=/x
601 600 0:61 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
602 600 0:62 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
603 600 0:63 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
604 603 0:30 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw
605 600 8:1 /var/lib/docker/containers/ab/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/sda1 rw
606 600 8:1 /var/lib/docker/containers/ab/hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw
607 600 8:1 /var/lib/docker/volumes/data/_data /data rw,relatime master:1 - ext4 /dev/sda1 rw
608 601 0:61 /sys /proc/sys ro,relatime - proc proc rw
609 601 0:64 / /proc/acpi ro,relatime - tmpfs tmpfs ro
";

    fn facts(more: &str) -> Facts {
        LiveProc {
            mountinfo: Some(LiveFile {
                text: format!("{ORDINARY}{more}"),
                evidence: Vec::new(),
            }),
            ..LiveProc::default()
        }
        .facts()
    }

    #[test]
    fn an_ordinary_container_has_nothing_of_the_host() {
        let facts = facts("");
        let yes: Vec<_> = facts
            .iter()
            .filter(|(_, fact)| fact.truth == Truth::Yes)
            .collect();
        assert_eq!(yes.len(), 1, "{yes:?}");
        assert_eq!(yes[0].0, Condition::RootfsRw);
        assert_eq!(facts.truth(Condition::ProcUnmasked), Truth::No);
        assert_eq!(facts.truth(Condition::MountRoot), Truth::No);
        assert_eq!(facts.truth(Condition::SockDocker), Truth::Unknown);
    }

    #[test]
    fn a_socket_is_seen_on_the_file_system_of_run() {
        let facts = facts(
            "610 600 0:25 /docker.sock /run/docker.sock ro,nosuid - tmpfs tmpfs rw,mode=755\n",
        );
        assert_eq!(facts.truth(Condition::SockDocker), Truth::Yes);
        assert_eq!(facts.truth(Condition::SockRo), Truth::Yes);
        let source = facts.fact(Condition::SockDocker).unwrap().evidence[0]
            .source
            .clone()
            .unwrap();
        assert_eq!(source.line, Some(11));
    }

    #[test]
    fn the_root_of_the_host_is_told_from_a_disk_of_its_own() {
        assert_eq!(
            facts("610 600 8:1 / /host rw - ext4 /dev/sda1 rw\n").truth(Condition::MountRoot),
            Truth::Yes
        );
        assert_eq!(
            facts("610 600 8:16 / /disk rw - ext4 /dev/sdb rw\n").truth(Condition::MountRoot),
            Truth::No
        );
        let other = "610 600 8:2 / /host ro - ext4 /dev/sda2 rw\n611 610 0:5 / /host/proc rw - proc proc rw\n";
        let facts = facts(other);
        assert_eq!(facts.truth(Condition::MountRoot), Truth::Yes);
        assert_eq!(facts.truth(Condition::MountProc), Truth::Yes);
        assert_eq!(facts.truth(Condition::MountRo), Truth::Yes);
    }

    #[test]
    fn a_bind_of_etc_is_seen_and_a_project_below_home_is_not() {
        let facts = facts(
            "610 600 8:1 /etc /host/etc rw shared:7 - ext4 /dev/sda1 rw\n611 600 8:1 /home/a/shop/data /d rw - ext4 /dev/sda1 rw\n",
        );
        assert_eq!(facts.truth(Condition::MountEtc), Truth::Yes);
        assert_eq!(facts.truth(Condition::MountRshared), Truth::Yes);
        assert_eq!(facts.truth(Condition::MountHome), Truth::No);
        assert_eq!(facts.truth(Condition::MountRo), Truth::No);
    }
}
