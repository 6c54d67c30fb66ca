//! Arguments that are refused though the call is allowed, each with what it would open.

use seccompiler::{
    BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition as Condition, SeccompRule,
};

use crate::Role;
use crate::landlock::resolves;

/// To start a program, in this process or a child: the first thing that injected code does.
pub(super) const PROGRAMS: &[i64] = &[libc::SYS_execve, libc::SYS_execveat];

/// The rules by call. A call is refused if any of its rules matches, and a rule matches if all its
/// conditions do. `process` is the own process id.
pub(super) fn refused(
    role: &Role,
    process: i32,
) -> Result<Vec<(i64, Vec<SeccompRule>)>, BackendError> {
    [
        (libc::SYS_socket, sockets(role)),
        (libc::SYS_socketpair, vec![vec![not(0, libc::AF_UNIX)]]),
        // Through TCP Fast Open these connect without the `connect` that Landlock judges.
        (libc::SYS_sendto, vec![vec![has(3, libc::MSG_FASTOPEN)]]),
        (libc::SYS_sendmsg, vec![vec![has(2, libc::MSG_FASTOPEN)]]),
        (libc::SYS_sendmmsg, vec![vec![has(3, libc::MSG_FASTOPEN)]]),
        (libc::SYS_setsockopt, socket_options()),
        (libc::SYS_clone, processes_and_namespaces()),
        // Code that was written to memory cannot be run.
        (libc::SYS_mmap, vec![vec![has(2, libc::PROT_EXEC)]]),
        (libc::SYS_mprotect, vec![vec![has(2, libc::PROT_EXEC)]]),
        // Only to itself, neither to all nor to a group (0, -1 and below).
        (libc::SYS_kill, vec![vec![not(0, process)]]),
        (libc::SYS_tgkill, vec![vec![not(0, process)]]),
        // Another way to signal others: as the owner of a descriptor that becomes ready.
        (
            libc::SYS_fcntl,
            [libc::F_SETOWN, F_SETOWN_EX, F_SETSIG]
                .map(|command| vec![is(1, command)])
                .into(),
        ),
        (libc::SYS_ioctl, vec![none_of(1, IOCTLS)]),
        (libc::SYS_prctl, vec![none_of(0, PRCTLS)]),
        // Neither another process's limits nor new ones of its own: core files stay forbidden.
        (
            libc::SYS_prlimit64,
            vec![vec![not(0, 0), not(0, process)], vec![pointer(2)]],
        ),
    ]
    .into_iter()
    .map(|(call, rules)| Ok((call, rules.into_iter().map(rule).collect::<Result<_, _>>()?)))
    .collect()
}

/// Families, types and protocols of sockets.
fn sockets(role: &Role) -> Vec<Vec<Test>> {
    if matches!(role, Role::Broker) {
        return vec![vec![not(0, libc::AF_UNIX)]];
    }
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
    let mut rules = vec![none_of(0, &families)];
    let datagrams = resolves(role);
    for family in [libc::AF_INET, libc::AF_INET6] {
        // The type is in the low four bits; above them are the flags. Raw sockets need a capability
        // as well, but not in a user namespace.
        for kind in 0..16 {
            let allowed = kind == libc::SOCK_STREAM || (datagrams && kind == libc::SOCK_DGRAM);
            if !allowed {
                rules.push(vec![is(0, family), masked(1, 0xf, kind)]);
            }
        }
        // Landlock judges TCP alone: MPTCP and SMC connect as streams of another protocol.
        let mut protocols = vec![0, libc::IPPROTO_TCP];
        if datagrams {
            protocols.push(libc::IPPROTO_UDP);
        }
        let mut other = none_of(2, &protocols);
        other.push(is(0, family));
        rules.push(other);
    }
    rules
}

/// Options that load filters into the kernel or other protocols over the socket.
fn socket_options() -> Vec<Vec<Test>> {
    let levels = [
        libc::SOL_SOCKET,
        libc::IPPROTO_IP,
        libc::IPPROTO_IPV6,
        libc::IPPROTO_TCP,
    ];
    let mut rules = vec![none_of(1, &levels)];
    for option in [
        libc::SO_ATTACH_FILTER,
        libc::SO_ATTACH_BPF,
        libc::SO_ATTACH_REUSEPORT_CBPF,
        libc::SO_ATTACH_REUSEPORT_EBPF,
    ] {
        rules.push(vec![is(1, libc::SOL_SOCKET), is(2, option)]);
    }
    for option in [libc::TCP_ULP, libc::TCP_REPAIR] {
        rules.push(vec![is(1, libc::IPPROTO_TCP), is(2, option)]);
    }
    rules
}

/// A clone that is not a thread of this process is a child; the rest are new namespaces.
fn processes_and_namespaces() -> Vec<Vec<Test>> {
    let mut rules = vec![vec![masked(0, libc::CLONE_THREAD, 0)]];
    for namespace in [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ] {
        rules.push(vec![has(0, namespace)]);
    }
    rules
}

/// What the standard library asks of descriptors: whether it is a terminal and how wide, how much
/// waits, not to block, to close on exec. So no `TIOCSTI` or `TIOCLINUX`, which type for the user.
const IOCTLS: &[i32] = &[
    0x5401,
    0x802c_542a_u32 as i32,
    0x5413,
    0x541b,
    0x5421,
    0x5451,
];

/// The names of threads and of memory (the C library labels its own), and the flag that
/// `seccompiler` sets with each filter. So never `PR_SET_DUMPABLE`, which would open the memory.
const PRCTLS: &[i32] = &[
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    libc::PR_SET_VMA,
    libc::PR_SET_NO_NEW_PRIVS,
];

/// `fcntl` commands that the libc crate does not name (`include/uapi/asm-generic/fcntl.h`).
const F_SETSIG: i32 = 10;
const F_SETOWN_EX: i32 = 15;

/// A condition, not yet built.
struct Test {
    argument: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
}

/// The kernel reads these arguments as 32 bits, and so must the filter: what is in the upper half
/// makes no difference to the call.
fn test(argument: u8, operator: SeccompCmpOp, value: u32) -> Test {
    Test {
        argument,
        length: SeccompCmpArgLen::Dword,
        operator,
        value: value.into(),
    }
}

fn is(argument: u8, value: i32) -> Test {
    test(argument, SeccompCmpOp::Eq, value.cast_unsigned())
}

fn not(argument: u8, value: i32) -> Test {
    test(argument, SeccompCmpOp::Ne, value.cast_unsigned())
}

fn masked(argument: u8, mask: i32, value: i32) -> Test {
    let mask = SeccompCmpOp::MaskedEq(mask.cast_unsigned().into());
    test(argument, mask, value.cast_unsigned())
}

/// Whether every bit of `flag` is set.
fn has(argument: u8, flag: i32) -> Test {
    masked(argument, flag, flag)
}

/// Whether a pointer is not null: all its 64 bits count.
fn pointer(argument: u8) -> Test {
    Test {
        argument,
        length: SeccompCmpArgLen::Qword,
        operator: SeccompCmpOp::Ne,
        value: 0,
    }
}

fn none_of(argument: u8, values: &[i32]) -> Vec<Test> {
    values.iter().map(|value| not(argument, *value)).collect()
}

fn rule(tests: Vec<Test>) -> Result<SeccompRule, BackendError> {
    let conditions = tests
        .into_iter()
        .map(|it| Condition::new(it.argument, it.length, it.operator, it.value))
        .collect::<Result<_, _>>()?;
    SeccompRule::new(conditions)
}
