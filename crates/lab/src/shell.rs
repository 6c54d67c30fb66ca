//! The shell of the command injection: a real one, in namespaces of its own.
//!
//! A *helper*, which is the running program started anew, takes the steps that must happen in a
//! process with one thread: new user, mount, network, process, IPC and host-name namespaces; the
//! pretend root of the container as the only root there is, read-only but for what is named; the
//! machine's `/usr` in it, read-only; no capabilities, no new privileges, limits on memory, file
//! size, CPU and wall time. Then it runs the command with an empty environment. The old root is
//! unmounted, so there is nothing to break out to, and the network namespace has no network.

use nix::sched::{CloneFlags, unshare};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_remount, unmount,
};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, pidfd_open, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;

/// The first argument by which a program knows that it is the helper.
const MARK: &str = "__cofferdam-confined-shell";
/// How long a command may run.
const TIME: Duration = Duration::from_secs(3);
/// How much output is taken.
const OUTPUT: u64 = 64 * 1024;
/// The helper's exit code when the confinement could not be made.
const REFUSED: u8 = 125;

/// What the helper is told.
#[derive(Serialize, Deserialize)]
struct Order {
    root: PathBuf,
    uid: u32,
    hostname: String,
    /// Directories below the root, as `/host`, that stay writable.
    writable: Vec<String>,
    command: Vec<String>,
}

/// Runs commands in the pretend container.
#[derive(Debug)]
pub(crate) struct Shell {
    helper: PathBuf,
    root: PathBuf,
    uid: u32,
    writable: Vec<String>,
    at_once: Semaphore,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Output {
    /// 124 when it ran out of time.
    pub(crate) code: i32,
    /// Standard output and error as they came, at most 64 KiB.
    pub(crate) text: String,
}

impl Shell {
    /// A shell whose confinement was tried, or why there is none.
    pub(crate) async fn new(
        helper: Option<&Path>,
        root: &Path,
        uid: u32,
        writable: Vec<String>,
    ) -> Result<Self, String> {
        let helper = helper.ok_or("no helper program was named that can confine it")?;
        let shell = Self {
            helper: helper.to_owned(),
            root: root.to_owned(),
            uid,
            writable,
            at_once: Semaphore::new(4),
        };
        match shell.run(&["/bin/sh", "-c", "echo $((40 + 2))"]).await {
            Ok(output) if output.code == 0 && output.text == "42\n" => Ok(shell),
            Ok(output) => Err(format!("the machine refuses: {}", output.text.trim())),
            Err(error) => Err(format!("`{}` cannot be run: {error}", helper.display())),
        }
    }

    pub(crate) async fn run(&self, command: &[&str]) -> io::Result<Output> {
        let _turn = self.at_once.acquire().await.map_err(io::Error::other)?;
        let order = Order {
            root: self.root.clone(),
            uid: self.uid,
            hostname: "5f0c1d7b92aa".to_owned(),
            writable: self.writable.clone(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
        };
        let mut child = tokio::process::Command::new(&self.helper)
            .args([MARK, &serde_json::to_string(&order)?])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut text = Vec::new();
        if let Some(out) = child.stdout.take() {
            let mut out = out.take(OUTPUT);
            // The helper ends the command in time; this limit is for a helper that is none.
            if let Ok(read) = tokio::time::timeout(TIME * 2, out.read_to_end(&mut text)).await {
                read?;
            }
        }
        let code = match tokio::time::timeout(TIME * 2, child.wait()).await {
            Ok(status) => status?.code().unwrap_or(i32::from(REFUSED)),
            Err(_) => {
                child.start_kill()?;
                i32::from(REFUSED)
            }
        };
        Ok(Output {
            code,
            text: String::from_utf8_lossy(&text).into_owned(),
        })
    }
}

/// The helper's entry. A program that starts a lab calls this first thing in `main`, before it has
/// a second thread, and ends with the code that it is given; `None` means that it is not the helper
/// now and goes on as usual.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     if let Some(code) = cofferdam_lab::confined_shell_main(std::env::args_os()) {
///         return code;
///     }
///     // … the program itself
///     std::process::ExitCode::SUCCESS
/// }
/// ```
pub fn confined_shell_main(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != MARK {
        return None;
    }
    let order = arguments.next()?.into_string().ok()?;
    let order: Order = match serde_json::from_str(&order) {
        Ok(order) => order,
        Err(_) => return Some(ExitCode::from(REFUSED)),
    };
    Some(match confine(&order).and_then(|()| run(&order.command)) {
        Ok(code) => ExitCode::from(code),
        Err((step, error)) => {
            // Standard output is the pipe to the lab: this is the helper's answer, not a message.
            use std::io::Write;
            let _ = writeln!(io::stdout(), "{step}: {error}");
            ExitCode::from(REFUSED)
        }
    })
}

type Step<T> = Result<T, (&'static str, io::Error)>;

fn step<T, E: Into<io::Error>>(name: &'static str, result: Result<T, E>) -> Step<T> {
    result.map_err(|error| (name, error.into()))
}

fn confine(order: &Order) -> Step<()> {
    // Standard error goes where standard output goes.
    step("dup2", rustix::stdio::dup2_stderr(rustix::stdio::stdout()))?;
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let all = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    step("unshare", unshare(all))?;
    let map = |outer: u32| format!("{} {outer} 1", order.uid);
    step("setgroups", std::fs::write("/proc/self/setgroups", "deny"))?;
    step(
        "uid_map",
        std::fs::write("/proc/self/uid_map", map(uid.as_raw())),
    )?;
    step(
        "gid_map",
        std::fs::write("/proc/self/gid_map", map(gid.as_raw())),
    )?;
    step(
        "sethostname",
        rustix::system::sethostname(order.hostname.as_bytes()),
    )?;

    let root = order.root.as_path();
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    step("private", mount_change("/", private))?;
    step("bind root", mount_bind_recursive(root, root))?;
    for name in ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        let (real, inside) = (Path::new("/").join(name), root.join(name));
        let is_directory = |path: &Path| path.symlink_metadata().is_ok_and(|data| data.is_dir());
        if is_directory(&real) && is_directory(&inside) {
            step("bind programs", mount_bind(&real, &inside))?;
            step("read-only programs", read_only(&inside))?;
        }
    }
    for name in ["null", "zero", "urandom"] {
        let real = Path::new("/dev").join(name);
        step(
            "bind device",
            mount_bind(&real, root.join("dev").join(name)),
        )?;
    }
    let tmpfs = MountFlags::NOSUID | MountFlags::NODEV;
    step(
        "tmpfs",
        mount(
            "tmpfs",
            root.join("tmp"),
            "tmpfs",
            tmpfs,
            Some(c"size=1m,mode=1777"),
        ),
    )?;
    for directory in &order.writable {
        let inside = root.join(directory.trim_start_matches('/'));
        step("bind writable", mount_bind_recursive(&inside, &inside))?;
    }
    step("read-only root", read_only(root))?;
    step("chdir", rustix::process::chdir(root))?;
    // The old root goes below the new one in the same place, and is then taken away.
    step("pivot_root", rustix::process::pivot_root(".", "."))?;
    step("detach", unmount(".", UnmountFlags::DETACH))?;
    step("chdir", rustix::process::chdir("/"))?;

    for (resource, limit) in [
        (Resource::Cpu, 2),
        (Resource::Fsize, 1 << 20),
        (Resource::As, 512 << 20),
        (Resource::Nofile, 64),
        (Resource::Nproc, 64),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        step("setrlimit", setrlimit(resource, limit))?;
    }
    for capability in CapabilitySet::all().iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // A capability that this kernel does not know.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(("bounding set", error.into())),
        }
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    step("capset", rustix::thread::set_capabilities(None, none))?;
    step("no_new_privs", rustix::thread::set_no_new_privs(true))
}

/// Makes one mount read-only. In a user namespace the flags that the mount has must be kept.
fn read_only(path: &Path) -> io::Result<()> {
    let has = statvfs(path)?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    for (flag, kept) in [
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        if has.contains(flag) {
            flags |= kept;
        }
    }
    Ok(mount_remount(path, flags, c"")?)
}

/// Runs the command as the first process of the new process namespace. When that ends, or its time
/// does, the kernel ends every other process there.
fn run(command: &[String]) -> Step<u8> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(("command", io::ErrorKind::InvalidInput.into()));
    };
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .spawn();
    let mut child = step("run", child)?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(("pid", io::ErrorKind::InvalidData.into()))?;
    let watched = step("pidfd_open", pidfd_open(pid, PidfdFlags::empty()))?;
    let limit = Timespec {
        tv_sec: TIME.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(&watched, PollFlags::IN)];
    if step("poll", poll(&mut fds, Some(&limit)))? == 0 {
        step("kill", child.kill())?;
        step("wait", child.wait())?;
        return Ok(124);
    }
    let status = step("wait", child.wait())?;
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(REFUSED))
}
