//! The system calls that the gate and the broker may make. Each group says what it is for; a call
//! that stands out has its reason beside it.
//!
//! Not here on purpose, beside everything that no one would miss: `io_uring_*` (it opens and connects
//! sockets without a system call that a filter could judge), `splice`, `tee` and `vmsplice` (the way
//! of CVE-2022-0847; the standard library falls back to reading and writing), `ptrace`,
//! `process_vm_*`, `pidfd_*` and `kcmp` (other processes), `mount` and its new family, `chroot`,
//! `pivot_root`, `unshare`, `setns` (namespaces), `open_by_handle_at` (around path permissions,
//! CVE-2014-3519), `bpf`, `perf_event_open`, `userfaultfd`, `keyctl` and `add_key`, `init_module`,
//! `kexec_load` (the kernel's surface), `memfd_create` and `shmat` (memory without a file),
//! `personality`, `setuid` and its kin, `seccomp`, `setrlimit`, `truncate` (by path, which Landlock
//! does not judge before ABI 3), `symlink` and `mknod`.

use crate::Role;
use crate::landlock::resolves;

/// Those for `role`.
pub(super) fn of(role: &Role) -> impl Iterator<Item = i64> + use<> {
    let resolver: &[i64] = if resolves(role) { RESOLVER } else { &[] };
    [
        FILES, LEGACY, MEMORY, THREADS, SELF, TIME, SIGNALS, EVENTS, SOCKETS, resolver,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Files and directories; which of them, Landlock decides.
const FILES: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_lseek,
    libc::SYS_openat,
    // To walk a path of the host that an exception allows without following links. Landlock judges
    // what is opened here as well.
    libc::SYS_openat2,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    // Free space, before the audit log is full.
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    // The audit log: locked, preallocated, durable.
    libc::SYS_flock,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    // A file that appears under its name only when it is whole.
    libc::SYS_linkat,
    // The mode and the group of the broker's own socket; without capabilities only of own files.
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_umask,
    libc::SYS_dup,
    libc::SYS_dup3,
    // Arguments are judged.
    libc::SYS_fcntl,
    libc::SYS_ioctl,
];

/// Older names of the same, which only x86-64 has and its C library still uses.
#[cfg(target_arch = "x86_64")]
const LEGACY: &[i64] = &[
    libc::SYS_access,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_dup2,
    libc::SYS_epoll_wait,
    libc::SYS_link,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(target_arch = "aarch64")]
const LEGACY: &[i64] = &[libc::SYS_renameat];

/// Memory; executable pages are refused by their arguments.
const MEMORY: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    // Keys that should not reach the swap.
    libc::SYS_mlock,
    libc::SYS_munlock,
];

/// Threads of this process; `clone` is judged by its flags, and `clone3`, whose flags a filter cannot
/// read, is not there, so that the C library falls back to `clone`.
const THREADS: &[i64] = &[
    libc::SYS_clone,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    // Names of threads; everything else that it can do is refused.
    libc::SYS_prctl,
    // Children that were started before the sandbox was entered (`cofferdam gate --dev`).
    libc::SYS_wait4,
    libc::SYS_waitid,
];

/// What the process may know of itself and the machine.
const SELF: &[i64] = &[
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getgroups,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_capget,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // Only to read the own limits.
    libc::SYS_prlimit64,
];

/// Clocks and sleep.
const TIME: &[i64] = &[
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
];

/// Signals that come in, and those to itself (`abort`).
const SIGNALS: &[i64] = &[
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_kill,
    libc::SYS_tgkill,
];

/// What tokio waits on.
const EVENTS: &[i64] = &[
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
];

/// Sockets; `socket` is judged by family, type and protocol.
const SOCKETS: &[i64] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_shutdown,
];

/// The C library asks for both kinds of address in one call.
const RESOLVER: &[i64] = &[libc::SYS_sendmmsg, libc::SYS_recvmmsg];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_call_is_listed_twice() {
        let gate = |connect: &[u16]| Role::Gate {
            listen: vec![8443],
            connect: connect.to_vec(),
        };
        for role in [Role::Broker, gate(&[]), gate(&[443])] {
            let all: Vec<i64> = of(&role).collect();
            let once: BTreeSet<i64> = all.iter().copied().collect();
            assert_eq!(all.len(), once.len(), "{role:?}");
        }
    }
}
