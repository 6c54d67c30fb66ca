//! What a policy is told of an action, beside who asks and on what.
//!
//! Cedar has no loops, so what would need one is computed here: the highest of several ports, the
//! set of all host paths.

use std::collections::BTreeSet;

use cedar_policy::{Context, RestrictedExpression as Value};
use cofferdam_action::action::Action;
use cofferdam_action::container::{
    BindSource, ContainerCreate, HealthTest, Mount, Network, NetworkMode, Process, Resources,
    RestartPolicy, Security, Storage,
};
use cofferdam_action::image::{ImageRef, ImageVersion};
use cofferdam_action::value::{Signal, UserSpec};

use crate::request::Request;

type Pairs = Vec<(String, Value)>;

/// The context of a request.
///
/// # Errors
/// What Cedar says of a context that cannot be made.
pub(crate) fn context(request: &Request<'_>) -> Result<Context, String> {
    let mut pairs = members(request.action)?;
    // Never that of the action: the broker may have put the engine's in its place.
    if let Some(name) = request.given_name {
        pairs.push(("name".to_owned(), text(name)));
    }
    pairs.push(("time".to_owned(), time(request.now)?));
    Context::from_pairs(pairs).map_err(|error| error.to_string())
}

/// The name of an image as the schema has it.
pub(crate) fn image(image: &ImageRef) -> Result<Value, String> {
    let name = format!("{}/{}", image.registry(), image.repository());
    let mut pairs = vec![
        ("name".to_owned(), text(&name)),
        ("registry".to_owned(), text(image.registry())),
        ("repository".to_owned(), text(image.repository())),
    ];
    pairs.push(match image.version() {
        ImageVersion::Tag(tag) => ("tag".to_owned(), text(tag)),
        ImageVersion::Digest(digest) => ("digest".to_owned(), text(digest)),
    });
    record(pairs)
}

pub(crate) fn text(text: &str) -> Value {
    Value::new_string(text.to_owned())
}

/// A number; what does not fit is the highest one.
fn long(number: u64) -> Value {
    Value::new_long(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(crate) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    Value::new_set(texts.into_iter().map(text))
}

fn record(pairs: Pairs) -> Result<Value, String> {
    Value::new_record(pairs).map_err(|error| error.to_string())
}

fn time(now: u64) -> Result<Value, String> {
    const DAY: u64 = 24 * 60 * 60;
    // The first of January 1970 was a Thursday, the fourth day of the week.
    let weekday = (now / DAY + 3) % 7 + 1;
    record(vec![
        ("now".to_owned(), long(now)),
        ("hour".to_owned(), long(now % DAY / 3600)),
        ("weekday".to_owned(), long(weekday)),
    ])
}

fn members(action: &Action) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    let mut add = |name: &str, value: Value| pairs.push((name.to_owned(), value));
    match action {
        Action::ContainerCreate(create) => return of_create(create),
        Action::ContainerKill {
            container: _,
            signal,
        } => add("signal", long(signal.as_ref().map_or(9, number))),
        Action::ContainerRemove {
            container: _,
            force,
            volumes,
        } => {
            add("force", Value::new_bool(*force));
            add("volumes", Value::new_bool(*volumes));
        }
        Action::ContainerAttach(query) => add("stdin", Value::new_bool(query.stdin)),
        Action::ContainerCopyOut { path, .. }
        | Action::ContainerPathStat { path, .. }
        | Action::ContainerCopyIn { path, .. } => add("path", text(path.as_str())),
        Action::ExecCreate { container: _, exec } => {
            let program = exec.command.first().map_or("", String::as_str);
            add("program", text(program));
            if let Some(user) = &exec.user {
                add("user", text(user.as_str()));
            }
            add("stdin", Value::new_bool(exec.attach_stdin));
            add("tty", Value::new_bool(exec.tty));
        }
        Action::ImageTag { image: _, target } => add("target", image(target)?),
        Action::ImageRemove { force, .. } => add("force", Value::new_bool(*force)),
        Action::NetworkCreate(network) => add("internal", Value::new_bool(network.internal)),

        Action::Ping
        | Action::Version
        | Action::Info
        | Action::DiskUsage
        | Action::Events(_)
        | Action::ContainerList(_)
        | Action::ContainerInspect { .. }
        | Action::ContainerLogs(_)
        | Action::ContainerChanges { .. }
        | Action::ContainerStats { .. }
        | Action::ContainerTop { .. }
        | Action::ContainerWait { .. }
        | Action::ContainerStart { .. }
        | Action::ContainerStop { .. }
        | Action::ContainerRestart { .. }
        | Action::ContainerRename { .. }
        | Action::ContainerPause { .. }
        | Action::ContainerUnpause { .. }
        | Action::ContainerResize { .. }
        | Action::ContainerPrune { .. }
        | Action::ExecStart { .. }
        | Action::ExecInspect { .. }
        | Action::ExecResize { .. }
        | Action::ImageList(_)
        | Action::ImageInspect { .. }
        | Action::ImageHistory { .. }
        | Action::ImagePull { .. }
        | Action::NetworkList { .. }
        | Action::NetworkInspect { .. }
        | Action::NetworkRemove { .. }
        | Action::NetworkConnect { .. }
        | Action::NetworkDisconnect { .. }
        | Action::NetworkPrune { .. }
        | Action::VolumeList { .. }
        | Action::VolumeInspect { .. }
        | Action::VolumeCreate { .. }
        | Action::VolumeRemove { .. }
        | Action::VolumePrune { .. } => {}
    }
    Ok(pairs)
}

/// A container to be made. Its parts are destructured, so that a new member does not compile until
/// somebody has thought about whether policy should see it.
fn of_create(create: &ContainerCreate) -> Result<Pairs, String> {
    let ContainerCreate {
        name: _,
        image: image_name,
        platform: _,
        labels,
        process,
        storage,
        network,
        security,
        resources,
        lifecycle,
    } = create;
    let mut pairs = Pairs::with_capacity(24);
    let mut add = |name: &str, value: Value| pairs.push((name.to_owned(), value));
    add("image", image(image_name)?);
    let labels = labels.0.iter();
    let labels = labels.map(|(key, value)| Value::new_string(format!("{key}={value}")));
    add("labels", Value::new_set(labels));
    let restart = match lifecycle.restart {
        RestartPolicy::No => "no",
        RestartPolicy::Always => "always",
        RestartPolicy::UnlessStopped => "unless-stopped",
        RestartPolicy::OnFailure(_) => "on-failure",
    };
    add("restart", text(restart));
    add("auto_remove", Value::new_bool(lifecycle.auto_remove));
    of_process(&mut pairs, process);
    of_storage(&mut pairs, storage);
    of_network(&mut pairs, network);
    of_security(&mut pairs, security);
    of_resources(&mut pairs, resources);
    Ok(pairs)
}

fn of_process(pairs: &mut Pairs, process: &Process) {
    // An entry point that is empty only takes the image's away.
    let entrypoint = process.entrypoint.as_ref().filter(|it| !it.is_empty());
    let line = entrypoint.or(process.command.as_ref());
    if let Some(program) = line.and_then(|line| line.first()) {
        pairs.push(("program".to_owned(), text(program)));
    }
    if let Some(user) = process.user.as_ref().map(UserSpec::as_str) {
        pairs.push(("user".to_owned(), text(user)));
    }
    let health = process
        .health
        .as_ref()
        .is_some_and(|health| matches!(health.test, HealthTest::Command(_) | HealthTest::Shell(_)));
    pairs.push(("health_command".to_owned(), Value::new_bool(health)));
}

fn of_storage(pairs: &mut Pairs, storage: &Storage) {
    let Storage {
        binds,
        mounts,
        tmpfs: _,
        anonymous_volumes: _,
        shm_size: _,
        read_only_root,
    } = storage;
    let binds = binds.iter().filter_map(|bind| match &bind.source {
        BindSource::Host(path) => Some((path.as_str(), bind.read_only)),
        BindSource::Volume(_) => None,
    });
    let mounts = mounts.iter().filter_map(|mount| match mount {
        Mount::Host {
            source,
            target: _,
            read_only,
        } => Some((source.as_str(), *read_only)),
        Mount::Volume { .. } | Mount::Tmpfs { .. } => None,
    });
    let paths: Vec<(&str, bool)> = binds.chain(mounts).collect();
    let all = paths.iter().map(|(path, _)| *path);
    let writable = paths.iter().filter(|(_, read_only)| !read_only);
    pairs.push(("host_paths".to_owned(), texts(all)));
    let writable = texts(writable.map(|(path, _)| *path));
    pairs.push(("writable_host_paths".to_owned(), writable));
    let read_only = Value::new_bool(*read_only_root);
    pairs.push(("read_only_root".to_owned(), read_only));
}

fn of_network(pairs: &mut Pairs, network: &Network) {
    let Network {
        mode,
        endpoint,
        disabled,
        exposed_ports: _,
        published_ports,
        publish_all,
        dns: _,
        dns_options: _,
        dns_search: _,
    } = network;
    let mode = match mode {
        _ if *disabled => "none",
        // An endpoint alone joins its network.
        NetworkMode::Default if endpoint.is_some() => "network",
        NetworkMode::Default => "default",
        NetworkMode::Bridge => "bridge",
        NetworkMode::None => "none",
        NetworkMode::Network(_) => "network",
        NetworkMode::Container(_) => "container",
    };
    let bindings = || published_ports.values().flatten();
    let loopback = |address: Option<std::net::IpAddr>| address.is_some_and(|it| it.is_loopback());
    // A port without a binding is one that the engine may publish wherever it likes.
    let unbound = published_ports.values().any(Vec::is_empty);
    let beyond = *publish_all || unbound || bindings().any(|it| !loopback(it.address));
    let publishes = *publish_all || !published_ports.is_empty();
    let ports = || bindings().filter_map(|binding| binding.port);
    let lowest = ports().map(|range| range.first).min().unwrap_or(0);
    let highest = ports().map(|range| range.last).max().unwrap_or(0);
    pairs.push(("network".to_owned(), text(mode)));
    pairs.push(("publishes".to_owned(), Value::new_bool(publishes)));
    let beyond = Value::new_bool(beyond);
    pairs.push(("publishes_beyond_loopback".to_owned(), beyond));
    pairs.push(("lowest_host_port".to_owned(), long(lowest.into())));
    pairs.push(("highest_host_port".to_owned(), long(highest.into())));
}

fn of_security(pairs: &mut Pairs, security: &Security) {
    let Security {
        cap_add,
        cap_drop_all: _,
        cap_drop: _,
        no_new_privileges: _,
        pid_of,
        ipc: _,
        private_cgroup_namespace: _,
        devices,
        sysctls,
    } = security;
    let capabilities = texts(cap_add.iter().map(|capability| capability.as_str()));
    pairs.push(("capabilities".to_owned(), capabilities));
    let shares = Value::new_bool(pid_of.is_some());
    pairs.push(("shares_processes".to_owned(), shares));
    let devices = devices.iter().map(|device| device.on_host.as_str());
    // A device may be named twice.
    let devices: BTreeSet<&str> = devices.collect();
    pairs.push(("devices".to_owned(), texts(devices)));
    let sysctls = texts(sysctls.keys().map(|name| name.as_str()));
    pairs.push(("sysctls".to_owned(), sysctls));
}

fn of_resources(pairs: &mut Pairs, resources: &Resources) {
    let Resources {
        memory,
        memory_reservation: _,
        memory_swap: _,
        nano_cpus,
        cpu_shares: _,
        cpu_period,
        cpu_quota,
        cpuset_cpus: _,
        cpuset_mems: _,
        pids,
        oom_score_adj: _,
        ulimits: _,
    } = resources;
    // The engine's own period is a tenth of a second; a quota of zero is none.
    let period = cpu_period.filter(|it| *it > 0).unwrap_or(100_000);
    let quota = cpu_quota.filter(|it| *it > 0);
    let by_quota = quota.map(|quota| quota.saturating_mul(1000).div_ceil(period));
    let by_count = nano_cpus.filter(|it| *it > 0);
    let cpu = by_count.map(|it| it.div_ceil(1_000_000)).or(by_quota);
    let limit = |limit: Option<u64>| long(limit.filter(|it| *it > 0).unwrap_or(u64::MAX));
    pairs.push(("memory".to_owned(), limit(*memory)));
    pairs.push(("cpu".to_owned(), limit(cpu)));
    pairs.push(("pids".to_owned(), limit(*pids)));
}

/// The number of a signal on Linux, x86-64 and AArch64; 0 is none.
fn number(signal: &Signal) -> u64 {
    const REAL_TIME: u64 = 34;
    let name = signal.as_str();
    let name = name.strip_prefix("SIG").unwrap_or(name);
    let offset = |prefix| {
        name.strip_prefix(prefix)
            .and_then(|it: &str| it.parse().ok())
    };
    if let Some(more) = offset("RTMIN+") {
        return u64::saturating_add(REAL_TIME, more);
    }
    if let Some(less) = offset("RTMAX-") {
        return u64::saturating_sub(64, less);
    }
    match name {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "ILL" => 4,
        "TRAP" => 5,
        "ABRT" | "IOT" => 6,
        "BUS" => 7,
        "FPE" => 8,
        "KILL" => 9,
        "USR1" => 10,
        "SEGV" => 11,
        "USR2" => 12,
        "PIPE" => 13,
        "ALRM" => 14,
        "TERM" => 15,
        "STKFLT" => 16,
        "CHLD" | "CLD" => 17,
        "CONT" => 18,
        "STOP" => 19,
        "TSTP" => 20,
        "TTIN" => 21,
        "TTOU" => 22,
        "URG" => 23,
        "XCPU" => 24,
        "XFSZ" => 25,
        "VTALRM" => 26,
        "PROF" => 27,
        "WINCH" => 28,
        "IO" | "POLL" => 29,
        "PWR" => 30,
        "SYS" => 31,
        "RTMIN" => REAL_TIME,
        "RTMAX" => 64,
        digits => digits.parse().unwrap_or(0),
    }
}
