//! The two users: which unix socket a process reaches is decided by the permissions of its file.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener;

use libtest_mimic::Trial;

use crate::support::{Place, Probe, mode};
use crate::{only_for_root, trials};

// Numbers that no distribution gives out; there need be no such accounts.
const GATE: u32 = 64001;
const BROKER: u32 = 64002;
const ENGINE: u32 = 64010;
const PAIR: u32 = 64011;

pub(crate) fn trials() -> Vec<Trial> {
    only_for_root(trials![
        code_in_the_gate_reaches_neither_engine_nor_its_state,
        code_in_the_broker_reaches_the_engine_and_no_network,
        the_pair_meets_at_the_socket_of_the_broker,
        the_change_of_user_is_for_good,
        a_service_that_its_manager_has_started_as_this_user_starts,
        a_group_that_is_not_configured_is_not_kept_in_silence,
    ])
}

/// An engine's socket as Debian makes it: `root:docker 0660`.
fn engine(place: &Place) -> UnixListener {
    let socket = place.path("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    chown(&socket, Some(0), Some(ENGINE)).unwrap();
    mode(&socket, 0o660);
    listener
}

fn gate(place: &Place) -> Probe {
    let probe = place.probe("gate").option("listen", 8443);
    probe
        .option("user", GATE)
        .option("group", GATE)
        .option("groups", PAIR)
}

fn broker(place: &Place) -> Probe {
    let probe = place
        .probe("broker")
        .option("user", BROKER)
        .option("group", BROKER);
    probe.option("groups", ENGINE).option("groups", PAIR)
}

fn code_in_the_gate_reaches_neither_engine_nor_its_state() {
    let place = Place::new();
    let _engine = engine(&place);
    let secret = place.path("state/broker-only");
    std::fs::write(&secret, "key").unwrap();
    chown(&secret, Some(BROKER), Some(BROKER)).unwrap();
    mode(&secret, 0o600);
    let probe = gate(&place)
        .option("required", "")
        .on("connect-unix", place.name("engine.sock"))
        .on("read", secret.display())
        .run();
    probe.all("EACCES");
    assert_eq!(probe.reported("user"), "64001 in 64001, 64011");
}

fn code_in_the_broker_reaches_the_engine_and_no_network() {
    let place = Place::new();
    let _engine = engine(&place);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let probe = broker(&place)
        .option("required", "")
        .on("connect-unix", place.name("engine.sock"))
        .on("connect-tcp", listener.local_addr().unwrap())
        .on("socket", "2,2,0")
        .run();
    assert_eq!(probe.answers(), ["ok", "EPERM", "EPERM"]);
    assert_eq!(probe.reported("user"), "64002 in 64002, 64010, 64011");
    // The group opens the engine's socket: without it the broker is a stranger to it as well.
    let other = place
        .probe("broker")
        .option("user", BROKER)
        .option("group", BROKER);
    let probe = other.on("connect-unix", place.name("engine.sock")).run();
    probe.all("EACCES");
}

fn the_pair_meets_at_the_socket_of_the_broker() {
    let place = Place::new();
    let socket = place.name("state/broker.sock");
    let _broker = broker(&place).wait_in("serve", format!("{socket},{PAIR}"));
    let probe = gate(&place).on("ask", &socket).run();
    assert_eq!(probe.answers(), ["ok 64001"]);
    let stranger = place
        .probe("gate")
        .option("user", 64003)
        .option("group", 64003);
    stranger.on("ask", &socket).run().all("EACCES");
}

fn the_change_of_user_is_for_good() {
    let place = Place::new();
    for (probe, user, groups) in [
        (gate(&place), GATE, "64011"),
        (broker(&place), BROKER, "64010 64011"),
    ] {
        let probe = probe.wait();
        // Real, effective, saved, and that of file systems.
        let ids = [user.to_string().as_str(); 4].join("\t");
        assert_eq!(probe.status("Uid"), ids);
        assert_eq!(probe.status("Gid"), ids);
        assert_eq!(probe.status("Groups"), groups);
    }
}

fn a_service_that_its_manager_has_started_as_this_user_starts() {
    let place = Place::new();
    let _engine = engine(&place);
    let socket = place.name("engine.sock");
    let probe = broker(&place)
        .option("required", "")
        .option("started-as", format!("{BROKER},{BROKER},{ENGINE},{PAIR}"))
        .on("connect-unix", &socket)
        .run();
    probe.all("ok");
    assert_eq!(probe.reported("user"), "64002 in 64002, 64010, 64011");
    // A gate is in no group but its own.
    let gate = place.probe("gate").option("listen", 8443);
    let probe = gate
        .option("user", GATE)
        .option("group", GATE)
        .option("required", "")
        .option("started-as", format!("{GATE},{GATE}"))
        .on("connect-unix", &socket)
        .run();
    probe.all("EACCES");
    assert_eq!(probe.reported("user"), "64001 in 64001");
}

fn a_group_that_is_not_configured_is_not_kept_in_silence() {
    let place = Place::new();
    for (groups, started_as) in [
        (None, format!("{GATE},{GATE},{ENGINE}")),
        (Some(PAIR), format!("{GATE},{GATE}")),
        (None, format!("{GATE},{ENGINE},{GATE}")),
    ] {
        let probe = place.probe("gate").option("user", GATE);
        let probe = probe.option("group", GATE);
        let probe = match groups {
            Some(group) => probe.option("groups", group),
            None => probe,
        };
        let probe = probe.option("started-as", &started_as).run();
        assert!(!probe.succeeded(), "{started_as}: {probe:?}");
        assert!(probe.lines[0].starts_with("error "), "{probe:?}");
    }
}
