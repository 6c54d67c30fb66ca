//! The filters, asked without a kernel: a small machine for classic BPF runs them, so that every
//! call can be tried with any arguments, those that cannot be made without harm included.

use proptest::prelude::*;

use super::*;

/// The own process in these tests.
const PROCESS: i32 = 4242;

const X86_64: u32 = 0xc000_003e;
const AARCH64: u32 = 0xc000_00b7;
const I386: u32 = 0x4000_0003;
const ARM: u32 = 0x4000_0028;
const NATIVE: u32 = if cfg!(target_arch = "x86_64") {
    X86_64
} else {
    AARCH64
};

/// What the kernel does with a call.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Allow,
    Refuse(i32),
    Kill,
}
use Answer::{Allow, Kill, Refuse};

struct Filters([BpfProgram; 3]);

impl Filters {
    fn of(role: &Role) -> Self {
        Self(programs(role, PROCESS).unwrap())
    }

    fn broker() -> Self {
        Self::of(&Role::Broker)
    }

    fn ask(&self, call: i64, arguments: [u64; 6]) -> Answer {
        self.ask_on(NATIVE, call, arguments)
    }

    /// The strictest answer of all, as `seccomp_run_filters` of the kernel chooses it.
    fn ask_on(&self, architecture: u32, call: i64, arguments: [u64; 6]) -> Answer {
        let data = data(architecture, call, arguments);
        let answers = self.0.iter().map(|program| run(program, &data));
        let strictest = answers.min_by_key(|it| it.cast_signed() & !0xffff).unwrap();
        match strictest & 0xffff_0000 {
            libc::SECCOMP_RET_ALLOW => Allow,
            libc::SECCOMP_RET_ERRNO => Refuse((strictest & 0xffff).cast_signed()),
            libc::SECCOMP_RET_KILL_PROCESS => Kill,
            other => panic!("{other:#x}"),
        }
    }
}

/// `struct seccomp_data`.
fn data(architecture: u32, call: i64, arguments: [u64; 6]) -> Vec<u8> {
    let mut data = u32::try_from(call).unwrap().to_le_bytes().to_vec();
    data.extend(architecture.to_le_bytes());
    data.extend([0; 8]);
    data.extend(arguments.iter().flat_map(|it| it.to_le_bytes()));
    data
}

/// Classic BPF as far as `seccompiler` writes it (`linux/bpf_common.h`).
fn run(program: &BpfProgram, data: &[u8]) -> u32 {
    let (mut at, mut accumulator) = (0, 0u32);
    loop {
        let step = &program[at];
        at += 1;
        let mut jump = |condition| at += usize::from(if condition { step.jt } else { step.jf });
        match step.code {
            0x20 => {
                let from = step.k as usize;
                accumulator = u32::from_le_bytes(data[from..from + 4].try_into().unwrap());
            }
            0x54 => accumulator &= step.k,
            0x05 => at += step.k as usize,
            0x15 => jump(accumulator == step.k),
            0x25 => jump(accumulator > step.k),
            0x35 => jump(accumulator >= step.k),
            0x06 => return step.k,
            code => panic!("no such instruction: {code:#x}"),
        }
    }
}

fn roles() -> [Role; 3] {
    let gate = |connect| Role::Gate {
        listen: vec![8443],
        connect,
    };
    [Role::Broker, gate(vec![]), gate(vec![443])]
}

/// Any value for the 32 bits that count, with anything above them.
fn wide(low: u32) -> impl Strategy<Value = u64> {
    any::<u32>().prop_map(move |high| u64::from(high) << 32 | u64::from(low))
}

#[test]
fn programs_kill_the_process() {
    for filters in roles().iter().map(Filters::of) {
        assert_eq!(filters.ask(libc::SYS_execve, [0; 6]), Kill);
        assert_eq!(filters.ask(libc::SYS_execveat, [0; 6]), Kill);
    }
}

#[test]
fn a_system_call_of_another_architecture_kills_the_process() {
    for other in [X86_64, AARCH64, I386, ARM]
        .into_iter()
        .filter(|it| *it != NATIVE)
    {
        for call in 0..512 {
            assert_eq!(Filters::broker().ask_on(other, call, [0; 6]), Kill);
        }
    }
}

#[test]
fn a_system_call_of_x32_is_unknown() {
    for call in 0..1024 {
        let answer = Filters::broker().ask(0x4000_0000 + call, [0; 6]);
        assert_eq!(answer, Refuse(libc::ENOSYS), "{call}");
    }
}

#[test]
fn what_goes_round_the_sandbox_is_on_no_list() {
    let named = [
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_clone3,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_tkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_kcmp,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_mount_setattr,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_name_to_handle_at,
        libc::SYS_open_by_handle_at,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_kexec_file_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_acct,
        libc::SYS_syslog,
        libc::SYS_quotactl,
        libc::SYS_personality,
        libc::SYS_seccomp,
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setgroups,
        libc::SYS_capset,
        libc::SYS_setrlimit,
        libc::SYS_memfd_create,
        libc::SYS_shmat,
        libc::SYS_pkey_mprotect,
        libc::SYS_remap_file_pages,
        libc::SYS_splice,
        libc::SYS_tee,
        libc::SYS_vmsplice,
        libc::SYS_truncate,
        libc::SYS_mknodat,
        libc::SYS_symlinkat,
        libc::SYS_fanotify_init,
        libc::SYS_clock_settime,
        libc::SYS_settimeofday,
        libc::SYS_clock_adjtime,
        libc::SYS_sethostname,
    ];
    for filters in roles().iter().map(Filters::of) {
        for call in named {
            assert_eq!(filters.ask(call, [0; 6]), Refuse(libc::ENOSYS), "{call}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_not_listed_is_unknown_whatever_its_arguments(
        call in 0i64..4096,
        arguments: [u64; 6],
        role in prop::sample::select(roles().to_vec()),
    ) {
        let answer = Filters::of(&role).ask(call, arguments);
        if arguments::PROGRAMS.contains(&call) {
            prop_assert_eq!(answer, Kill);
        } else if !allowed::of(&role).any(|it| it == call) {
            // Some refused arguments are of calls that this role does not have at all.
            prop_assert!(matches!(answer, Refuse(_)), "{:?}", answer);
        } else {
            prop_assert!(matches!(answer, Allow | Refuse(libc::EPERM)), "{:?}", answer);
        }
    }

    #[test]
    fn the_broker_has_unix_sockets_alone(
        family in prop_oneof![0..64u32, any::<u32>()].prop_flat_map(wide),
        kind: u64,
        protocol: u64,
    ) {
        for call in [libc::SYS_socket, libc::SYS_socketpair] {
            let answer = Filters::broker().ask(call, [family, kind, protocol, 0, 0, 0]);
            let unix = family as u32 == 1;
            prop_assert_eq!(answer, if unix { Allow } else { Refuse(libc::EPERM) });
        }
    }

    #[test]
    fn the_gate_has_unix_and_tcp_sockets_and_udp_only_to_ask_for_names(
        family in prop_oneof![0..64u32, any::<u32>()].prop_flat_map(wide),
        kind in 0..16u32,
        flags in prop::sample::select(vec![0, libc::SOCK_CLOEXEC, libc::SOCK_NONBLOCK]),
        protocol in prop_oneof![0..300u32, any::<u32>()].prop_flat_map(wide),
        names: bool,
    ) {
        let connect = if names { vec![443] } else { vec![] };
        let filters = Filters::of(&Role::Gate { listen: vec![], connect });
        let typed = u64::from(kind | flags.cast_unsigned());
        let answer = filters.ask(libc::SYS_socket, [family, typed, protocol, 0, 0, 0]);
        let internet = matches!(family as u32, 2 | 10)
            && (kind == 1 || names && kind == 2)
            && (matches!(protocol as u32, 0 | 6) || names && protocol as u32 == 17);
        let expected = if family as u32 == 1 || internet { Allow } else { Refuse(libc::EPERM) };
        prop_assert_eq!(answer, expected);
    }

    #[test]
    fn a_clone_is_a_thread_of_this_process_or_refused(flags: u32, rest: [u64; 5]) {
        let arguments = [u64::from(flags), rest[0], rest[1], rest[2], rest[3], rest[4]];
        let answer = Filters::broker().ask(libc::SYS_clone, arguments);
        // CLONE_THREAD, and none of CLONE_NEWNS, NEWCGROUP to NEWNET.
        let thread = flags & 0x1_0000 != 0 && flags & (0x2_0000 | 0x7e00_0000) == 0;
        prop_assert_eq!(answer, if thread { Allow } else { Refuse(libc::EPERM) });
    }

    #[test]
    fn signals_go_to_this_process_alone(
        target in prop_oneof![Just(PROCESS), Just(0), Just(-1), Just(-PROCESS), any::<i32>()],
        signal: u64,
    ) {
        let target_argument = u64::from(target.cast_unsigned());
        let expected = if target == PROCESS { Allow } else { Refuse(libc::EPERM) };
        for call in [libc::SYS_kill, libc::SYS_tgkill] {
            let answer = Filters::broker().ask(call, [target_argument, signal, 0, 0, 0, 0]);
            prop_assert_eq!(&answer, &expected);
        }
    }

    #[test]
    fn memory_is_never_executable(protection in 0..16u64, rest: u64) {
        let executable = protection & 4 != 0;
        let expected = if executable { Refuse(libc::EPERM) } else { Allow };
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            let answer = Filters::broker().ask(call, [rest, rest, protection, 0x22, rest, 0]);
            prop_assert_eq!(&answer, &expected);
        }
    }

    #[test]
    fn prctl_names_threads_and_undoes_nothing(option in prop_oneof![0..80u32, any::<u32>()]) {
        let answer = Filters::broker().ask(libc::SYS_prctl, [option.into(), 1, 0, 0, 0, 0]);
        // PR_SET_NAME, PR_GET_NAME, PR_SET_NO_NEW_PRIVS, PR_SET_VMA.
        let allowed = matches!(option, 15 | 16 | 38 | 0x5356_4d41);
        prop_assert_eq!(answer, if allowed { Allow } else { Refuse(libc::EPERM) });
    }
}

#[test]
fn fast_open_does_not_go_round_connect() {
    let fast = 0x2000_0000;
    let gate = Filters::of(&roles()[2]);
    for (call, flags) in [
        (libc::SYS_sendto, [0, 0, 0, fast, 0, 0]),
        (libc::SYS_sendmsg, [0, 0, fast | 0x4000, 0, 0, 0]),
        (libc::SYS_sendmmsg, [0, 0, 0, fast, 0, 0]),
    ] {
        assert_eq!(gate.ask(call, flags), Refuse(libc::EPERM));
        assert_eq!(gate.ask(call, [0, 0, 0, 0x4000, 0, 0]), Allow);
    }
}

#[test]
fn socket_options_load_no_filter_and_no_other_protocol() {
    let broker = Filters::broker();
    let set = |level, option| broker.ask(libc::SYS_setsockopt, [3, level, option, 0, 0, 0]);
    // SO_REUSEADDR, TCP_NODELAY, IPV6_V6ONLY.
    for (level, option) in [(1, 2), (6, 1), (41, 26)] {
        assert_eq!(set(level, option), Allow);
    }
    // Filters, TCP_ULP, TCP_REPAIR, and levels of netlink, packets, raw ICMP, SCTP, TLS, XDP.
    for (level, option) in [(1, 26), (1, 50), (1, 51), (1, 52), (6, 31), (6, 19)] {
        assert_eq!(set(level, option), Refuse(libc::EPERM));
    }
    for level in [270, 263, 58, 132, 282, 283] {
        assert_eq!(set(level, 1), Refuse(libc::EPERM));
    }
}

#[test]
fn limits_are_read_and_neither_set_nor_those_of_others() {
    let broker = Filters::broker();
    let own = PROCESS as u64;
    let ask = |process, new| broker.ask(libc::SYS_prlimit64, [process, 4, new, 1, 0, 0]);
    assert_eq!((ask(0, 0), ask(own, 0)), (Allow, Allow));
    assert_eq!(ask(1, 0), Refuse(libc::EPERM));
    assert_eq!(ask(0, 0x7fff_0000_0000), Refuse(libc::EPERM));
}

#[test]
fn descriptors_neither_type_for_the_user_nor_signal_others() {
    let broker = Filters::broker();
    // TCGETS, TIOCGWINSZ, FIONBIO; TIOCSTI, TIOCLINUX, SIOCGIFCONF, FIOASYNC, BLKDISCARD.
    for (request, expected) in [
        (0x5401, Allow),
        (0x5413, Allow),
        (0x5421, Allow),
        (0x5412, Refuse(libc::EPERM)),
        (0x541c, Refuse(libc::EPERM)),
        (0x8912, Refuse(libc::EPERM)),
        (0x5452, Refuse(libc::EPERM)),
        (0x1277, Refuse(libc::EPERM)),
    ] {
        assert_eq!(
            broker.ask(libc::SYS_ioctl, [0, request, 0, 0, 0, 0]),
            expected
        );
    }
    for command in [8, 10, 15] {
        let answer = broker.ask(libc::SYS_fcntl, [0, command, 1, 0, 0, 0]);
        assert_eq!(answer, Refuse(libc::EPERM));
    }
    for command in [1, 2, 3, 4, 5, 6, 37, 1030] {
        assert_eq!(broker.ask(libc::SYS_fcntl, [0, command, 1, 0, 0, 0]), Allow);
    }
}
