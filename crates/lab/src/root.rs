//! The pretend roots: a directory that looks like the root of the service's container, and one that
//! looks like its host's.
//!
//! Whatever the file holes read they read below the first, opened with `openat2(2)` and
//! `RESOLVE_IN_ROOT`, so that its `..` and its links end there as in a real container.

use crate::deployment::{Facts, SERVICE, Secrets, UID};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// How many bytes of a file are served.
const LIMIT: u64 = 256 * 1024;

/// Where the pretend roots are.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The container's root.
    pub(crate) root: PathBuf,
    /// The host's root: below the container's when that has it mounted.
    pub(crate) host: PathBuf,
    /// The engine's socket, which is a file of the host.
    pub(crate) socket: PathBuf,
}

/// Lays both roots below `dir`.
pub(crate) fn lay(dir: &Path, facts: &Facts, secrets: &Secrets) -> io::Result<Places> {
    let root = dir.join("root");
    let host = match facts.host_mount {
        true => root.join("host"),
        false => dir.join("host"),
    };
    lay_host(&host)?;
    lay_container(&root, facts, secrets)?;
    Ok(Places {
        socket: host.join("run/docker.sock"),
        root,
        host,
    })
}

/// Mounts the engine's socket into the container's root: the same socket under a second name.
pub(crate) fn mount_socket(places: &Places) -> io::Result<()> {
    fs::hard_link(&places.socket, places.root.join("run/docker.sock"))
}

fn lay_host(host: &Path) -> io::Result<()> {
    write(host, "etc/hostname", "dock-1\n")?;
    write(
        host,
        "etc/os-release",
        "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\n",
    )?;
    write(
        host,
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nops:x:1000:1000::/home/ops:/bin/bash\n",
    )?;
    write(
        host,
        "etc/shadow",
        "root:!:20100:0:99999:7:::\nops:!:20100:0:99999:7:::\n",
    )?;
    write(
        host,
        "etc/crontab",
        "17 * * * * root run-parts /etc/cron.hourly\n",
    )?;
    for dir in [
        "root",
        "home/ops",
        "run",
        "tmp",
        "var/lib/docker",
        "var/log",
    ] {
        fs::create_dir_all(host.join(dir))?;
    }
    let modes = [
        ("", 0o755),
        ("root", 0o700),
        ("home/ops", 0o700),
        ("tmp", 0o1777),
        ("etc/shadow", 0o640),
    ];
    for (path, mode) in modes {
        fs::set_permissions(host.join(path), fs::Permissions::from_mode(mode))?;
    }
    symlink("/run", host.join("var/run"))
}

fn lay_container(root: &Path, facts: &Facts, secrets: &Secrets) -> io::Result<()> {
    for dir in ["run", "tmp", "var", "sys", "home", "dev"] {
        fs::create_dir_all(root.join(dir))?;
    }
    symlink("/run", root.join("var/run"))?;
    lay_programs(root)?;
    write(root, "etc/hostname", "5f0c1d7b92aa\n")?;
    write(
        root,
        "etc/hosts",
        "127.0.0.1\tlocalhost\n10.20.0.5\tregistry.internal\n10.20.0.6\thooks.internal\n10.20.0.9\t5f0c1d7b92aa\n",
    )?;
    write(
        root,
        "etc/resolv.conf",
        "nameserver 127.0.0.11\noptions ndots:0\n",
    )?;
    write(
        root,
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\n",
    )?;
    write(
        root,
        "etc/os-release",
        "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\n",
    )?;
    write(
        root,
        "etc/passwd",
        &format!(
            "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
             nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\napp:x:{UID}:{UID}::/srv:/bin/sh\n"
        ),
    )?;
    write(
        root,
        "etc/group",
        &format!("root:x:0:\nnogroup:x:65534:\napp:x:{UID}:\n"),
    )?;
    write(root, "opt/tools/probe", PROBE)?;
    fs::set_permissions(
        root.join("opt/tools/probe"),
        fs::Permissions::from_mode(0o755),
    )?;
    for tenant in ["acme", "globex"] {
        let dir = format!("srv/workspaces/{tenant}");
        write(
            root,
            &format!("{dir}/README.md"),
            &format!("# Workspace of {tenant}\n\nBuilt with `make`.\n"),
        )?;
        write(
            root,
            &format!("{dir}/build.log"),
            "compile main.c\nlink app\nok\n",
        )?;
        write(
            root,
            &format!("{dir}/src/main.c"),
            "int main(void) { return 0; }\n",
        )?;
    }
    if facts.service_account {
        let dir = "run/secrets/kubernetes.io/serviceaccount";
        write(root, &format!("{dir}/token"), &secrets.service_account)?;
        write(root, &format!("{dir}/namespace"), "edge")?;
    }
    lay_proc(root, facts)
}

/// What the shell needs to find the programs that are mounted for it.
fn lay_programs(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root.join("usr"))?;
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        match fs::read_link(Path::new("/").join(name)) {
            Ok(target) => symlink(target, root.join(name))?,
            Err(_) if Path::new("/").join(name).is_dir() => fs::create_dir_all(root.join(name))?,
            Err(_) => {}
        }
    }
    for name in ["null", "zero", "urandom"] {
        write(root, &format!("dev/{name}"), "")?;
    }
    Ok(())
}

/// The look-up that the diagnostic runs.
const PROBE: &str = "#!/bin/sh
# Looks a name up and says where a probe would go.
if found=$(getent hosts \"$1\"); then
    echo \"$1 is at ${found%% *}\"
else
    echo \"cannot find $1\"
    exit 2
fi
";

fn lay_proc(root: &Path, facts: &Facts) -> io::Result<()> {
    // With the host's process namespace the service is one process among all.
    let pid = if facts.host_pid { 4242 } else { 1 };
    let own = format!("proc/{pid}");
    write(root, &format!("{own}/status"), &facts.status(pid))?;
    write(root, &format!("{own}/mountinfo"), &facts.mountinfo())?;
    write(root, &format!("{own}/comm"), &format!("{SERVICE}\n"))?;
    write(
        root,
        &format!("{own}/cmdline"),
        &format!("/usr/local/bin/{SERVICE}\0"),
    )?;
    write(root, &format!("{own}/cgroup"), "0::/\n")?;
    let profile = match facts.app_armor {
        true => "docker-default (enforce)\n",
        false => "unconfined\n",
    };
    write(root, &format!("{own}/attr/current"), profile)?;
    let map = match facts.user_namespace {
        true => "         0       1000          1\n         1     100000      65536\n",
        false => "         0          0 4294967295\n",
    };
    write(root, &format!("{own}/uid_map"), map)?;
    write(root, &format!("{own}/gid_map"), map)?;
    let mut environ = facts.environment.join("\0");
    environ.push('\0');
    write(root, &format!("{own}/environ"), &environ)?;
    lay_net(root, &own, facts)?;
    if facts.host_pid {
        write(root, "proc/1/comm", "systemd\n")?;
        write(root, "proc/1/cmdline", "/sbin/init\0")?;
        write(
            root,
            "proc/1/status",
            "Name:\tsystemd\nPid:\t1\nPPid:\t0\nUid:\t0\t0\t0\t0\n",
        )?;
        write(root, "proc/1/cgroup", "0::/init.scope\n")?;
        write(root, "proc/2/comm", "kthreadd\n")?;
        write(root, "proc/812/comm", "dockerd\n")?;
        write(root, "proc/812/cmdline", "/usr/bin/dockerd\0-H\0fd://\0")?;
    }
    symlink(pid.to_string(), root.join("proc/self"))?;
    symlink("self/net", root.join("proc/net"))?;
    write(
        root,
        "proc/version",
        "Linux version 6.12.48-generic (build@debian) #1 SMP PREEMPT_DYNAMIC\n",
    )?;
    write(root, "proc/sys/kernel/osrelease", "6.12.48-generic\n")?;
    write(root, "proc/sys/kernel/hostname", "5f0c1d7b92aa\n")?;
    write(root, "proc/sys/kernel/core_pattern", "core\n")?;
    write(
        root,
        "proc/filesystems",
        "nodev\tproc\nnodev\ttmpfs\n\text4\nnodev\toverlay\n",
    )
}

fn lay_net(root: &Path, own: &str, facts: &Facts) -> io::Result<()> {
    let mut dev = "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n".to_owned();
    let cards: &[&str] = match facts.host_network {
        true => &["lo", "enp1s0", "docker0", "br-edge", "veth3f1a"],
        false => &["lo", "eth0"],
    };
    for card in cards {
        dev.push_str(&format!("{card:>8}: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"));
    }
    write(root, &format!("{own}/net/dev"), &dev)?;
    let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    let line = |number: usize, port: u16| {
        format!(
            "{number:>4}: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2034{number} 1\n"
        )
    };
    let mut tcp = format!("{head}{}", line(0, 8080));
    let mut unix = "Num       RefCount Protocol Flags    Type St Inode Path\n".to_owned();
    if facts.host_network {
        tcp.push_str(&line(1, 22));
        if facts.engine_tcp {
            tcp.push_str(&line(2, 2375));
        }
        unix.push_str(
            "0000000000000000: 00000002 00000000 00010000 0001 01 18211 /run/docker.sock\n",
        );
        unix.push_str(
            "0000000000000000: 00000002 00000000 00010000 0001 01 17092 /run/systemd/private\n",
        );
    }
    write(root, &format!("{own}/net/tcp"), &tcp)?;
    write(root, &format!("{own}/net/unix"), &unix)
}

fn write(root: &Path, path: &str, text: &str) -> io::Result<()> {
    let path = root.join(path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)
}

/// The container's root as the service sees it.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

impl Root {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    /// Reads a file by its path in the container. Dots and links are resolved as in a container,
    /// which is what the traversal rests on; the kernel ends them at the root.
    pub(crate) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        read(
            self.0.as_fd(),
            path,
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )
    }

    /// Reads a file below `directory` and nowhere else: no `..` that leads out of it, no absolute
    /// path and no link.
    pub(crate) fn read_beneath(&self, directory: &str, path: &Path) -> io::Result<Vec<u8>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        let directory = rustix::fs::openat2(&self.0, directory, flags, Mode::empty(), resolve)?;
        read(
            directory.as_fd(),
            path,
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        )
    }
}

fn read(
    root: rustix::fd::BorrowedFd<'_>,
    path: &Path,
    resolve: ResolveFlags,
) -> io::Result<Vec<u8>> {
    // NONBLOCK, so that opening a pipe does not wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)?;
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile | FileType::Directory => {}
        _ => return Err(rustix::io::Errno::NXIO.into()),
    }
    let mut bytes = Vec::new();
    fs::File::from(file).take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}
