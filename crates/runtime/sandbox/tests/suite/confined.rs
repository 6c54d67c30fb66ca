//! What a confined process can and cannot do, each beside the same attempt of a free one where the
//! machine would allow it: a refusal that everyone gets would prove nothing.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use libtest_mimic::Trial;

use crate::support::{Place, Probe};
use crate::trials;

const BOTH: [&str; 2] = ["broker", "gate"];

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        every_measure_of_this_kernel_holds_and_is_reported,
        capabilities_are_gone_and_none_can_be_gained,
        a_file_that_is_not_listed_cannot_be_read,
        a_file_that_is_listed_can_be_read_and_not_written,
        nothing_is_written_outside_the_state,
        the_state_is_a_place_to_work,
        a_path_of_the_host_can_be_walked_without_following_links,
        a_path_that_is_not_there_is_named,
        the_broker_has_no_network,
        the_gate_binds_its_own_port_alone,
        the_gate_connects_to_the_ports_of_its_issuers_alone,
        the_gate_has_neither_raw_nor_other_sockets,
        unix_sockets_work,
        abstract_sockets_of_others_are_out_of_reach,
        a_program_kills_the_process,
        a_child_is_refused,
        other_processes_are_out_of_reach,
        namespaces_and_mounts_are_refused,
        io_uring_is_refused,
        written_memory_cannot_be_run,
        the_memory_stays_closed_and_leaves_no_core,
        an_inherited_descriptor_is_closed_and_a_given_one_is_not,
        the_environment_is_cleared_from_memory_too,
        an_environment_that_was_not_cleared_is_reported,
        threads_and_tokio_work,
        signatures_and_random_numbers_work,
        a_panic_is_caught_as_ever,
        a_second_thread_is_refused,
        what_is_required_and_not_held_is_an_error,
        what_the_process_creates_is_its_own,
    ]
}

fn every_measure_of_this_kernel_holds_and_is_reported() {
    let place = Place::new();
    for role in BOTH {
        let probe = place.probe(role).option("listen", 8443).run();
        let root = rustix::process::geteuid().is_root();
        let held = |measure| !probe.reported(measure).starts_with("not held");
        assert_eq!(held("user"), !root, "{probe:?}");
        for measure in ["environment", "descriptors", "capabilities", "memory"] {
            assert!(held(measure), "{measure}: {probe:?}");
        }
        // Every kernel that Cofferdam is built and tested on has these.
        for measure in ["files", "network", "other processes", "system calls"] {
            assert!(held(measure), "{measure}: {probe:?}");
        }
        assert!(
            probe
                .reported("files")
                .ends_with("reads 1 path, writes 1 path")
        );
    }
}

fn capabilities_are_gone_and_none_can_be_gained() {
    for role in BOTH {
        let probe = Probe::new(role).wait();
        let mut sets = vec!["CapInh", "CapPrm", "CapEff", "CapAmb"];
        // To empty the bounding set takes a capability.
        if rustix::process::geteuid().is_root() {
            sets.push("CapBnd");
        }
        for set in sets {
            assert_eq!(probe.status(set), "0000000000000000", "{set}");
        }
        assert_eq!(probe.status("NoNewPrivs"), "1");
        assert_eq!(probe.status("Seccomp"), "2");
    }
    let free = Probe::new("free").wait();
    assert_eq!(free.status("Seccomp"), "0");
}

fn a_file_that_is_not_listed_cannot_be_read() {
    let place = Place::new();
    for role in BOTH {
        place
            .probe(role)
            .on("read", "/etc/passwd")
            .on("read", place.name("unlisted"))
            .on("list", "/etc")
            .on("list", place.name(""))
            .on("read", "/proc/self/environ")
            .run()
            .all("EACCES");
    }
    let free = Probe::new("free")
        .on("list", "/etc")
        .on("list", place.name(""))
        .run();
    free.all("ok");
}

fn a_file_that_is_listed_can_be_read_and_not_written() {
    let place = Place::new();
    for role in BOTH {
        let probe = place
            .probe(role)
            .on("read", place.name("listed"))
            .on("write", place.name("listed"))
            .on("remove", place.name("listed"))
            .on("truncate-by-path", place.name("listed"))
            .run();
        assert_eq!(probe.answers(), ["ok listed", "EACCES", "EACCES", "ENOSYS"]);
    }
    assert_eq!(std::fs::read(place.path("listed")).unwrap(), b"listed");
}

fn nothing_is_written_outside_the_state() {
    let place = Place::new();
    for role in BOTH {
        let probe = place
            .probe(role)
            .on("write", place.name("new"))
            .on("mkdir", place.name("folder"))
            .on("bind-unix", place.name("socket"))
            .on("rename", place.name("unlisted"))
            .on("remove", place.name("unlisted"))
            .on("write", "/tmp/cofferdam-sandbox-test")
            .run();
        probe.all("EACCES");
    }
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), 3);
}

fn the_state_is_a_place_to_work() {
    for role in BOTH {
        let place = Place::new();
        let state = place.name("state");
        let probe = place
            .probe(role)
            .on("audit", &state)
            .on("write", format!("{state}/file"))
            .on("rename", format!("{state}/file"))
            .on("symlink", format!("{state}/link"))
            .run();
        assert_eq!(probe.answers(), ["ok", "ok", "ok", "ENOSYS"]);
    }
}

fn a_path_of_the_host_can_be_walked_without_following_links() {
    let place = Place::new();
    std::os::unix::fs::symlink("/etc", place.path("link")).unwrap();
    let probe = place
        .probe("broker")
        .on("walk", place.name("unlisted"))
        .on("walk", place.name("link"))
        .on("read", place.name("unlisted"))
        .run();
    assert_eq!(probe.answers(), ["ok", "ELOOP", "EACCES"]);
}

fn a_path_that_is_not_there_is_named() {
    let place = Place::new();
    let probe = Probe::new("broker")
        .path("read", place.path("missing"))
        .run();
    let said = &probe.lines[0];
    assert!(
        said.contains(&format!("`{}`", place.name("missing"))),
        "{said}"
    );
}

fn the_broker_has_no_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ways = |role| {
        Probe::new(role)
            .on("connect-tcp", address)
            .on("bind-tcp", "127.0.0.1:0")
            // AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG.
            .on("socket", "2,1,0")
            .on("socket", "2,2,0")
            .on("socket", "10,1,0")
            .on("socket", "16,3,0")
            .on("socket", "17,3,0")
            .on("socket", "40,1,0")
            .on("socket", "38,5,0")
            .run()
    };
    ways("broker").all("EPERM");
    assert_eq!(ways("free").answers()[..5], ["ok"; 5]);
}

fn the_gate_binds_its_own_port_alone() {
    // The port is taken: that this is what the kernel complains about shows that it may be bound.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let other = if port == 65535 { 65534 } else { port + 1 };
    let probe = Probe::new("gate")
        .option("listen", port)
        .on("bind-tcp", format!("127.0.0.1:{port}"))
        .on("bind-tcp", format!("127.0.0.1:{other}"))
        .on("bind-tcp", "127.0.0.1:0")
        .run();
    assert_eq!(probe.answers(), ["EADDRINUSE", "EACCES", "EACCES"]);
    assert_eq!(
        probe.reported("network"),
        format!("listens on TCP {port}, connects to TCP nothing")
    );
}

fn the_gate_connects_to_the_ports_of_its_issuers_alone() {
    let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let [issuer, other] = listeners.each_ref().map(|it| it.local_addr().unwrap());
    let probe = Probe::new("gate")
        .option("connect", issuer.port())
        .on("connect-tcp", issuer)
        .on("connect-tcp", other)
        .on("fast-open", other)
        .on("read", "/etc/hosts")
        .run();
    let answers = probe.answers();
    assert_eq!(answers[..3], ["ok", "EACCES", "EPERM"]);
    // Names are asked for, if the machine has a file for them.
    assert!(
        answers[3].starts_with("ok") || answers[3] == "ENOENT",
        "{answers:?}"
    );
    let probe = Probe::new("gate").on("connect-tcp", issuer).run();
    probe.all("EACCES");
    let free = Probe::new("free")
        .on("connect-tcp", other)
        .on("fast-open", other)
        .run();
    free.all("ok");
}

fn the_gate_has_neither_raw_nor_other_sockets() {
    Probe::new("gate")
        // UDP, raw, MPTCP (262), SCTP (132), netlink, packet, vsock, AF_ALG.
        .on("socket", "2,2,0")
        .on("socket", "2,3,1")
        .on("socket", "2,1,262")
        .on("socket", "10,1,132")
        .on("socket", "16,3,0")
        .on("socket", "17,3,0")
        .on("socket", "40,1,0")
        .on("socket", "38,5,0")
        .run()
        .all("EPERM");
    let allowed = ["2,1,0", "10,1,6", "1,1,0"];
    let probe = allowed
        .iter()
        .fold(Probe::new("gate"), |it, socket| it.on("socket", socket));
    probe.run().all("ok");
}

fn unix_sockets_work() {
    let place = Place::new();
    let socket = place.path("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    for role in BOTH {
        place
            .probe(role)
            .attempt("socketpair")
            .on("socket", "1,2,0")
            .on("connect-unix", socket.display())
            .on("bind-unix", place.name(&format!("state/{role}")))
            .run()
            .all("ok");
    }
}

fn abstract_sockets_of_others_are_out_of_reach() {
    let name = format!("cofferdam-sandbox-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    for role in BOTH {
        Probe::new(role)
            .on("connect-abstract", &name)
            .run()
            .all("EPERM");
    }
    Probe::new("free")
        .on("connect-abstract", &name)
        .run()
        .all("ok");
}

fn a_program_kills_the_process() {
    for role in BOTH {
        let place = Place::new();
        // Readable, so that only the filter is left to refuse it.
        let probe = place
            .probe(role)
            .path("read", "/")
            .on("exec", "/bin/true")
            .run();
        assert_eq!(probe.signal(), Some(libc::SIGSYS), "{probe:?}");
    }
    let free = Probe::new("free").on("exec", "/bin/true").run();
    assert!(free.succeeded() && free.lines.is_empty(), "{free:?}");
}

fn a_child_is_refused() {
    for role in BOTH {
        let probe = Probe::new(role)
            .path("read", "/")
            .on("spawn", "/bin/true")
            .run();
        probe.all("EPERM");
    }
    Probe::new("free").on("spawn", "/bin/true").run().all("ok");
}

fn other_processes_are_out_of_reach() {
    let other = Probe::new("free").wait();
    for role in BOTH {
        let probe = Probe::new(role)
            .on("signal", other.id())
            .on("signal", 0)
            .on("signal", -1)
            .on("trace", other.id())
            .attempt("trace-me")
            .on("read-memory", other.id())
            .run();
        let [eperm, enosys] = ["EPERM", "ENOSYS"];
        assert_eq!(
            probe.answers(),
            [eperm, eperm, eperm, enosys, enosys, enosys]
        );
    }
    Probe::new("free").on("signal", other.id()).run().all("ok");
}

fn namespaces_and_mounts_are_refused() {
    let place = Place::new();
    for role in BOTH {
        place
            .probe(role)
            .attempt("unshare")
            .on("enter-namespace", place.name("listed"))
            .on("mount", place.name("state"))
            .on("chroot", place.name("state"))
            .attempt("memory-file")
            .attempt("become-root")
            .run()
            .all("ENOSYS");
    }
    let free = Probe::new("free").attempt("memory-file");
    let free = free.on("enter-namespace", place.name("listed")).run();
    assert_eq!(free.answers(), ["ok", "EINVAL"]);
}

fn io_uring_is_refused() {
    for role in BOTH {
        Probe::new(role).attempt("io-uring").run().all("ENOSYS");
    }
}

fn written_memory_cannot_be_run() {
    for role in BOTH {
        Probe::new(role)
            .attempt("executable-memory")
            .run()
            .all("EPERM");
    }
    Probe::new("free")
        .attempt("executable-memory")
        .run()
        .all("ok");
}

fn the_memory_stays_closed_and_leaves_no_core() {
    let probe = Probe::new("broker")
        .attempt("be-dumpable")
        .attempt("core-limit")
        .run();
    assert_eq!(probe.answers(), ["EPERM", "ok Some(0) Some(0)"]);
    let probe = Probe::new("gate").wait();
    let owner = std::fs::metadata(format!("/proc/{}/environ", probe.id())).unwrap();
    // The kernel gives the files of a process that cannot be dumped to root.
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 0);
}

fn an_inherited_descriptor_is_closed_and_a_given_one_is_not() {
    let place = Place::new();
    let files = [0, 1].map(|_| std::fs::File::open(place.path("unlisted")).unwrap());
    for file in &files {
        // Inherited by whatever this process starts.
        rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty()).unwrap();
    }
    let [given, leaked] = files.each_ref().map(std::os::fd::AsRawFd::as_raw_fd);
    let descriptors = |role| {
        Probe::new(role)
            .path("read", "/")
            .option("descriptor", given)
            .on("descriptor", given)
            .on("descriptor", leaked)
            .run()
    };
    assert_eq!(descriptors("broker").answers(), ["ok", "ENOENT"]);
    assert!(
        descriptors("broker")
            .reported("descriptors")
            .contains("and 1 more kept")
    );
    assert_eq!(descriptors("free").answers(), ["ok", "ok"]);
}

fn the_environment_is_cleared_from_memory_too() {
    let probe = Probe::new("gate")
        .variable("COFFERDAM_SECRET", "hunter2")
        .variable("LD_LIBRARY_PATH", "/tmp")
        .variable("NOTIFY_SOCKET", "/run/systemd/notify")
        .option("clear-environment", "")
        .path("read", "/proc")
        .attempt("environment")
        .run();
    assert_eq!(probe.answers(), ["ok NOTIFY_SOCKET"]);
    assert_eq!(probe.reported("environment"), "1 variable kept");
    if rustix::process::geteuid().is_root() {
        let probe = Probe::new("gate")
            .variable("COFFERDAM_SECRET", "hunter2")
            .option("clear-environment", "")
            .wait();
        let kept = std::fs::read(format!("/proc/{}/environ", probe.id())).unwrap();
        assert_eq!(kept, b"");
    }
}

fn an_environment_that_was_not_cleared_is_reported() {
    let probe = Probe::new("gate").variable("LD_LIBRARY_PATH", "/tmp").run();
    let said = probe.reported("environment");
    assert_eq!(said, "not held (1 variable beyond the needed ones)");
}

fn threads_and_tokio_work() {
    for role in BOTH {
        let place = Place::new();
        place
            .probe(role)
            .attempt("threads")
            .on("tokio", place.name("state"))
            .attempt("threads")
            .run()
            .all("ok");
    }
}

fn signatures_and_random_numbers_work() {
    Probe::new("broker").attempt("cryptography").run().all("ok");
}

fn a_panic_is_caught_as_ever() {
    Probe::new("gate")
        .attempt("panic")
        .variable("RUST_BACKTRACE", "1")
        .run()
        .all("ok");
}

fn a_second_thread_is_refused() {
    let probe = Probe::new("broker").option("thread", "").run();
    assert!(probe.lines[0].contains("process of 2 threads"), "{probe:?}");
}

fn what_is_required_and_not_held_is_an_error() {
    let probe = Probe::new("broker")
        .option("shared", "")
        .option("required", "")
        .run();
    let said = probe.lines.join("\n");
    assert!(
        said.contains("error the sandbox does not hold in full:\n"),
        "{said}"
    );
    assert!(said.contains("\nuser: not held ("), "{said}");
}

fn what_the_process_creates_is_its_own() {
    let place = Place::new();
    let file = place.path("state/file");
    place
        .probe("broker")
        .on("write", file.display())
        .run()
        .all("ok");
    let mode = std::fs::metadata(file).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
    assert_eq!(mode & 0o777, 0o600);
}
