//! What a path of the host gives away when a container mounts it.

use cofferdam_finding::Condition;

/// The host side of a bind mount, as far as the text tells where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPath {
    /// An absolute path, without `.`, `..` and doubled slashes, `/var/run` written as `/run`.
    Absolute(String),
    /// A path below the home of whoever starts the container; empty for the home itself.
    Home(String),
    /// Relative to the deployment file.
    Relative(String),
    /// Begins with a variable that has no default; what follows it is kept.
    Unresolved(String),
    /// A path of Windows, or one of its named pipes, with forward slashes.
    Windows(String),
}

impl HostPath {
    /// Reads the host side of a mount. Variables must have been replaced where they can be.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let slashed = text.replace('\\', "/");
        let drive = slashed.as_bytes().get(1) == Some(&b':')
            && slashed.starts_with(|c: char| c.is_ascii_alphabetic());
        if drive || slashed.starts_with("//./") || slashed.starts_with("//?/") {
            return HostPath::Windows(slashed);
        }
        for home in ["~", "$HOME", "${HOME}"] {
            if let Some(rest) = text.strip_prefix(home)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return HostPath::Home(normal(rest).trim_start_matches('/').to_owned());
            }
        }
        for runtime in ["$XDG_RUNTIME_DIR", "${XDG_RUNTIME_DIR}"] {
            if let Some(rest) = text.strip_prefix(runtime)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                // The user's number does not matter, only that it is a user's own directory.
                return HostPath::Absolute(normal(&format!("/run/user/1000{rest}")));
            }
        }
        if text.starts_with('/') {
            return HostPath::Absolute(normal(text));
        }
        if text.starts_with('$') {
            return HostPath::Unresolved(text.to_owned());
        }
        HostPath::Relative(text.to_owned())
    }

    /// The path, as text.
    pub fn text(&self) -> &str {
        match self {
            HostPath::Absolute(path)
            | HostPath::Home(path)
            | HostPath::Relative(path)
            | HostPath::Unresolved(path)
            | HostPath::Windows(path) => path,
        }
    }

    /// The runtime sockets that are reached through this path.
    pub fn sockets(&self) -> Vec<Socket> {
        let name = self.text().rsplit('/').next().unwrap_or_default();
        if let Some(socket) = socket_named(name) {
            return vec![socket];
        }
        match self {
            HostPath::Absolute(path) => SOCKET_PLACES
                .iter()
                .filter(|(place, _)| contains(path, place))
                .map(|(_, socket)| *socket)
                .fold(Vec::new(), |mut all, socket| {
                    if !all.contains(&socket) {
                        all.push(socket);
                    }
                    all
                }),
            HostPath::Home(path) if path.is_empty() || path == ".docker/run" => {
                // Docker Desktop keeps its socket there.
                if path.is_empty() {
                    Vec::new()
                } else {
                    vec![Socket::Docker]
                }
            }
            HostPath::Windows(path) if path.eq_ignore_ascii_case("//./pipe/docker_engine") => {
                vec![Socket::Docker]
            }
            _ => Vec::new(),
        }
    }

    /// Whether a socket below this path is that of a rootless engine, which runs as one user.
    pub fn is_rootless_runtime(&self) -> bool {
        matches!(self, HostPath::Absolute(path) if path.starts_with("/run/user/"))
    }

    /// The `mount.*` conditions that hold when this path is mounted; `writable` says how.
    pub fn conditions(&self, writable: bool) -> Vec<Condition> {
        let (path, home) = match self {
            HostPath::Absolute(path) => (path.as_str(), None),
            HostPath::Home(rest) => ("", Some(rest.as_str())),
            _ => return Vec::new(),
        };
        let mut found = Vec::new();
        if path == "/" {
            found.push(Condition::MountRoot);
        }
        if touches(path, ETC) || path == "/etc" {
            found.push(Condition::MountEtc);
        }
        if is_home(path) || home.is_some_and(|rest| rest.is_empty() || touches_keys(rest)) {
            found.push(Condition::MountHome);
        }
        if contains(path, "/var/log") {
            found.push(Condition::MountVarlog);
        }
        // Only by its own name: `/var` of a host that is no Kubernetes node has no kubelet.
        if within(path, "/var/lib/kubelet") {
            found.push(Condition::MountKubelet);
        }
        if DOCKER_LIB
            .iter()
            .any(|lib| path == *lib || contains(path, lib))
        {
            found.push(Condition::MountDockerlib);
        }
        if ["/proc", "/proc/sys", "/proc/1", "/proc/sys/kernel"].contains(&path) || path == "/" {
            found.push(Condition::MountProc);
        }
        if writable && (within(path, "/sys") && !within(path, "/sys/fs/cgroup") || path == "/") {
            found.push(Condition::MountSys);
        }
        if writable && (touches(path, PROGRAMS) || PROGRAM_PARENTS.contains(&path)) {
            found.push(Condition::MountBin);
        }
        if contains(path, "/run") {
            found.push(Condition::MountRun);
        }
        found
    }

    /// How bad it is that a container mounts this path, apart from sockets, which have a rule of
    /// their own; `None` for what a deployment may well share.
    pub fn sensitivity(&self, writable: bool) -> Option<Sensitivity> {
        use Sensitivity::{Credentials, Host, HostData, Logs};
        match self {
            HostPath::Absolute(path) => {
                let path = path.as_str();
                if path == "/" {
                    return Some(if writable { Host } else { HostData });
                }
                let conditions = self.conditions(writable);
                let has = |wanted| conditions.contains(&wanted);
                if has(Condition::MountBin) || has(Condition::MountSys) {
                    Some(Host)
                } else if has(Condition::MountEtc) || has(Condition::MountHome) {
                    Some(if writable { Host } else { HostData })
                } else if has(Condition::MountProc) {
                    Some(if writable { Host } else { Logs })
                } else if has(Condition::MountDockerlib) || has(Condition::MountKubelet) {
                    Some(if writable { Host } else { HostData })
                } else if is_raw_device(path) {
                    Some(HostData)
                } else if has(Condition::MountVarlog) {
                    Some(Logs)
                } else if CREDENTIALS.iter().any(|name| path.contains(name)) {
                    Some(Credentials)
                } else {
                    None
                }
            }
            HostPath::Home(rest) if rest.is_empty() || touches_keys(rest) => {
                Some(if writable { Host } else { HostData })
            }
            HostPath::Home(rest)
                if CREDENTIALS
                    .iter()
                    .any(|name| format!("/{rest}").contains(name)) =>
            {
                Some(Credentials)
            }
            _ => None,
        }
    }
}

/// What a mounted path of the host is worth to an attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sensitivity {
    /// Logs, or kernel files that can only be read.
    Logs,
    /// Credentials of a person or of a cloud account.
    Credentials,
    /// Files of the host that hold its secrets or those of other containers.
    HostData,
    /// Writing there is running on the host.
    Host,
}

/// A container runtime's socket, by what can be done through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socket {
    /// Docker's Engine API, or what speaks it.
    Docker,
    /// containerd.
    Containerd,
    /// CRI-O, cri-dockerd, podman, buildkit.
    Cri,
}

impl Socket {
    /// The condition that says that it can be reached.
    pub fn condition(self) -> Condition {
        match self {
            Socket::Docker => Condition::SockDocker,
            Socket::Containerd => Condition::SockContainerd,
            Socket::Cri => Condition::SockCri,
        }
    }
}

/// The socket that a file of this name is, in whatever directory.
pub(crate) fn socket_named(name: &str) -> Option<Socket> {
    match name {
        "docker_engine" => Some(Socket::Docker),
        "balena.sock" | "balena-engine.sock" => Some(Socket::Docker),
        "containerd.sock" | "containerd-debug.sock" => Some(Socket::Containerd),
        "crio.sock" | "cri-dockerd.sock" | "dockershim.sock" | "podman.sock" | "buildkitd.sock" => {
            Some(Socket::Cri)
        }
        // docker.sock, docker.sock.raw, docker.raw.sock, docker.proxy.sock
        _ if name.starts_with("docker.") && name.contains(".sock") => Some(Socket::Docker),
        _ if name.starts_with("docker.") && name.ends_with("sock") => Some(Socket::Docker),
        _ => None,
    }
}

/// Whether a device node is a disk or memory of the host: reading it is reading everything.
/// Terminals, graphics cards, `/dev/fuse` and `/dev/net/tun` are not.
pub(crate) fn is_raw_device(path: &str) -> bool {
    let Some(name) = path.strip_prefix("/dev/") else {
        return path == "/dev";
    };
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    matches!(name, "mem" | "kmem" | "port")
        || ["disk/", "mapper/"].iter().any(|dir| name.starts_with(dir))
        || ["sd", "hd", "vd", "xvd", "nvme", "mmcblk", "dm-", "md"]
            .iter()
            .any(|p| numbered(p))
}

/// Where sockets lie, so that mounting a parent is seen. Podman's and CRI-O's count only below
/// their own directories: `/run` of a Docker host need not have them.
const SOCKET_PLACES: &[(&str, Socket)] = &[
    ("/run/docker.sock", Socket::Docker),
    ("/run/host-services/docker.proxy.sock", Socket::Docker),
    ("/run/containerd/containerd.sock", Socket::Containerd),
    ("/run/docker/containerd/containerd.sock", Socket::Containerd),
];

/// What of `/etc` decides over the host. `/etc/localtime`, certificates and the configuration of a
/// service do not.
const ETC: &[&str] = &[
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/etc/crontab",
    "/var/spool/cron",
    "/etc/ssh",
    "/etc/shadow",
    "/etc/passwd",
    "/etc/group",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/pam.d",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/ld.so.preload",
    "/etc/ld.so.conf.d",
    "/etc/systemd",
    "/etc/init.d",
    "/etc/rc.local",
    "/etc/kubernetes",
    "/etc/docker",
    "/etc/security",
    "/etc/udev",
];

/// What the host runs.
const PROGRAMS: &[&str] = &[
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/lib/systemd",
    "/usr/lib/systemd",
    "/lib/modules",
    "/usr/lib/modules",
    "/boot",
];

const PROGRAM_PARENTS: &[&str] = &["/", "/usr", "/usr/local", "/lib", "/lib64", "/usr/lib"];

const DOCKER_LIB: &[&str] = &[
    "/var/lib/docker/overlay2",
    "/var/lib/docker/volumes",
    "/var/lib/docker/containers",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
];

const CREDENTIALS: &[&str] = &[
    "/.aws",
    "/.azure",
    "/.config/gcloud",
    "/.docker",
    "/.gnupg",
    "/.kube",
    "/.netrc",
    "/.ssh",
    "/.git-credentials",
    "/.npmrc",
    "/.pypirc",
    "/.vault-token",
];

/// Whether `path` is `place` or one of its parents.
fn contains(path: &str, place: &str) -> bool {
    within(place, path)
}

/// Whether `path` is `root` or lies below it.
fn within(path: &str, root: &str) -> bool {
    !root.is_empty()
        && (root == "/" && path.starts_with('/')
            || path
                .strip_prefix(root)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Whether `path` is one of `places`, lies below one, or is `/`, which has them all.
fn touches(path: &str, places: &[&str]) -> bool {
    path == "/" || places.iter().any(|place| within(path, place))
}

/// Homes as a whole, and keys in them: a project below a home is none of it.
fn is_home(path: &str) -> bool {
    if path == "/" || path == "/root" || path == "/home" {
        return true;
    }
    let rest = if let Some(rest) = path.strip_prefix("/root/") {
        rest
    } else if let Some(rest) = path.strip_prefix("/home/") {
        match rest.split_once('/') {
            None => return true,
            Some((_, rest)) => rest,
        }
    } else {
        return false;
    };
    touches_keys(rest)
}

/// What of a home lets one in as its owner.
fn touches_keys(rest: &str) -> bool {
    let first = rest.split('/').next().unwrap_or_default();
    [".ssh", ".bashrc", ".profile", ".bash_profile", ".zshrc"].contains(&first)
}

/// Without `.`, `..` and empty parts; `/var/run` is a link to `/run` everywhere.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    if parts.starts_with(&["var", "run"]) {
        parts.remove(0);
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_seen_by_its_name_and_through_its_parents() {
        for docker in [
            "/var/run/docker.sock",
            "/run/docker.sock",
            "//var/run/docker.sock",
            "/var/lib/../run/docker.sock",
            "/run/user/1000/docker.sock",
            "${XDG_RUNTIME_DIR}/docker.sock",
            "${DOCKER_DIR}/docker.sock",
            "~/.docker/run/docker.sock",
            "/run/host-services/docker.proxy.sock",
            "\\\\.\\pipe\\docker_engine",
            "//./pipe/docker_engine",
            "./docker.sock",
        ] {
            assert_eq!(
                HostPath::parse(docker).sockets(),
                [Socket::Docker],
                "{docker}"
            );
        }
        for parent in ["/", "/run", "/var/run", "/var/run/", "/run/."] {
            let sockets = HostPath::parse(parent).sockets();
            assert!(sockets.contains(&Socket::Docker), "{parent}");
            assert!(sockets.contains(&Socket::Containerd), "{parent}");
        }
        assert_eq!(
            HostPath::parse("/run/containerd").sockets(),
            [Socket::Containerd]
        );
        assert_eq!(
            HostPath::parse("/run/podman/podman.sock").sockets(),
            [Socket::Cri]
        );
        for none in [
            "/var",
            "/run/postgresql",
            "/etc",
            "./run",
            "C:\\Users",
            "/srv/docker.conf",
        ] {
            assert_eq!(HostPath::parse(none).sockets(), [], "{none}");
        }
    }

    #[test]
    fn what_everybody_mounts_gives_nothing() {
        for path in [
            "/etc/localtime",
            "/etc/timezone",
            "/etc/ssl/certs",
            "/etc/letsencrypt",
            "/etc/nginx/nginx.conf",
            "/usr/share/zoneinfo",
            "/home/alice/shop/data",
            "/root/shop/html",
            "/srv/data",
            "/opt/app",
            "/mnt/disk",
            "/var/lib/postgresql/data",
            "/dev/shm",
            "./nginx.conf",
            "../data",
            "~/shop/data",
            "/tmp/.X11-unix",
            "/run/postgresql",
            "/sys/fs/cgroup",
        ] {
            for writable in [false, true] {
                let path = HostPath::parse(path);
                assert_eq!(path.conditions(writable), [], "{path:?}");
                assert_eq!(path.sensitivity(writable), None, "{path:?}");
            }
        }
    }

    #[test]
    fn sensitive_paths_are_named_by_their_conditions() {
        use Condition::*;
        let of = |path: &str, writable| HostPath::parse(path).conditions(writable);
        assert_eq!(of("/etc", true), [MountEtc]);
        assert_eq!(of("/etc/cron.d", true), [MountEtc]);
        assert_eq!(of("/home/alice", false), [MountHome]);
        assert_eq!(of("~/.ssh", false), [MountHome]);
        assert_eq!(of("/home/alice/.ssh/id_ed25519", false), [MountHome]);
        assert_eq!(of("/var/run", false), [MountRun]);
        assert_eq!(of("/var/lib/docker/volumes", false), [MountDockerlib]);
        assert_eq!(of("/var", true), [MountVarlog, MountDockerlib]);
        assert_eq!(of("/usr", true), [MountBin]);
        assert_eq!(of("/usr", false), []);
        assert_eq!(of("/sys", true), [MountSys]);
        assert_eq!(of("/sys", false), []);
        assert!(of("/", true).contains(&MountRoot));
        assert!(of("/", true).contains(&MountDockerlib));
        assert_eq!(
            HostPath::parse("~/.aws").sensitivity(false),
            Some(Sensitivity::Credentials)
        );
    }

    #[test]
    fn disks_and_memory_are_raw_devices_and_terminals_are_not() {
        for raw in [
            "/dev",
            "/dev/sda",
            "/dev/nvme0n1p2",
            "/dev/mem",
            "/dev/mapper/root",
            "/dev/dm-0",
        ] {
            assert!(is_raw_device(raw), "{raw}");
        }
        for other in [
            "/dev/ttyUSB0",
            "/dev/dri",
            "/dev/fuse",
            "/dev/net/tun",
            "/dev/snd",
            "/dev/null",
            "/dev/video0",
            "/dev/kvm",
        ] {
            assert!(!is_raw_device(other), "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_classified_without_a_panic(text in ".{0,60}", writable in proptest::bool::ANY) {
            let path = HostPath::parse(&text);
            let _ = (path.sockets(), path.conditions(writable), path.sensitivity(writable));
        }
    }
}
