//! Arbitrary actions: every member of what is made takes part.

use std::collections::{BTreeMap, BTreeSet};

use cofferdam_action::action::*;
use cofferdam_action::container::*;
use cofferdam_action::filter::{FilterKey, Filters};
use cofferdam_action::image::{ImageRef, ImageSelector, Platform};
use cofferdam_action::name::*;
use cofferdam_action::path::{ArchivePath, ContainerPath, HostPath};
use cofferdam_action::value::*;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn text() -> impl Strategy<Value = String> {
    "[ -~é\"\\\\]{0,12}"
}

fn word() -> impl Strategy<Value = String> {
    "[a-z\"\\\\ é]{1,12}"
}

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9][A-Za-z0-9_.-]{1,20}"
}

pub(crate) fn container() -> impl Strategy<Value = ContainerRef> {
    name().prop_map(|text| ContainerRef::parse(&text).unwrap())
}

fn network() -> impl Strategy<Value = NetworkRef> {
    name().prop_filter_map("a name of the engine's", |text| {
        NetworkRef::parse(&text).ok()
    })
}

fn volume() -> impl Strategy<Value = VolumeRef> {
    name().prop_map(|text| VolumeRef::parse(&text).unwrap())
}

fn exec() -> impl Strategy<Value = ExecId> {
    "[0-9a-f]{64}".prop_map(|text| ExecId::parse(&text).unwrap())
}

fn container_name() -> impl Strategy<Value = ContainerName> {
    name().prop_filter_map("reserved", |text| ContainerName::parse(&text).ok())
}

fn hostname() -> impl Strategy<Value = Hostname> {
    "[a-z0-9]{1,8}(\\.[a-z0-9_]{1,8}){0,2}".prop_map(|text| Hostname::parse(&text).unwrap())
}

fn image() -> impl Strategy<Value = ImageRef> {
    let name = "([a-z]{1,5}\\.example(:5000)?/)?[a-z]{1,6}(/[a-z0-9]{1,6}([._-][a-z0-9]{1,3})?)?";
    let version = prop_oneof![
        "[A-Za-z0-9_][A-Za-z0-9_.-]{0,8}".prop_map(|tag| format!(":{tag}")),
        "[0-9a-f]{64}".prop_map(|hex| format!("@sha256:{hex}"))
    ];
    (name, version).prop_filter_map("an id", |(name, version)| {
        ImageRef::parse(&format!("{name}{version}")).ok()
    })
}

fn tagged() -> impl Strategy<Value = ImageRef> {
    "[a-z]{1,6}/[a-z0-9]{1,6}:[a-z0-9]{1,6}".prop_map(|text| ImageRef::parse(&text).unwrap())
}

fn selector() -> impl Strategy<Value = ImageSelector> {
    prop_oneof![
        image().prop_map(ImageSelector::Name),
        "(sha256:)?[0-9a-f]{64}".prop_map(|text| ImageSelector::parse(&text).unwrap()),
    ]
}

fn platform() -> impl Strategy<Value = Platform> {
    "linux(/[a-z0-9]{1,6}(/v[0-9])?)?".prop_map(|text| Platform::parse(&text).unwrap())
}

fn path() -> impl Strategy<Value = ContainerPath> {
    "(/[a-z0-9é ,-]{1,6}){1,4}".prop_map(|text| ContainerPath::parse(&text).unwrap())
}

fn host_path() -> impl Strategy<Value = HostPath> {
    "(/[a-z0-9é ,-]{1,6}){1,4}".prop_map(|text| HostPath::parse(&text).unwrap())
}

fn archive_path() -> impl Strategy<Value = ArchivePath> {
    "(/[a-z0-9é &?%#+]{1,6}){1,4}(/|/\\.)?"
        .prop_filter_map("a system path", |text| ArchivePath::parse(&text).ok())
}

fn labels() -> impl Strategy<Value = Labels> {
    btree_map(text(), text(), 0..3).prop_map(Labels)
}

fn variable() -> impl Strategy<Value = EnvVar> {
    "[A-Z_]{1,6}(=[ -~é]{0,8})?".prop_map(|text| EnvVar::parse(&text).unwrap())
}

fn user() -> impl Strategy<Value = UserSpec> {
    "([a-z_][a-z0-9_-]{0,6}|[1-9][0-9]{0,5}|0)(:(0|[1-9][0-9]{0,4}|wheel))?"
        .prop_map(|text| UserSpec::parse(&text).unwrap())
}

fn signal() -> impl Strategy<Value = Signal> {
    select(vec!["SIGTERM", "HUP", "9", "SIGRTMIN+3"]).prop_map(|text| Signal::parse(text).unwrap())
}

fn detach_keys() -> impl Strategy<Value = DetachKeys> {
    select(vec!["ctrl-p,ctrl-q", "a", "ctrl-@,&"]).prop_map(|text| DetachKeys::parse(text).unwrap())
}

fn moment() -> impl Strategy<Value = Timestamp> {
    "[1-9][0-9]{0,9}(\\.[0-9]{1,9})?".prop_map(|text| Timestamp::parse(&text).unwrap())
}

fn filters(keys: &'static [FilterKey]) -> impl Strategy<Value = Filters> {
    btree_map(select(keys), btree_set(text(), 1..3), 0..3).prop_map(Filters)
}

fn count() -> impl Strategy<Value = u64> {
    1..=i64::MAX as u64
}

fn health() -> impl Strategy<Value = Health> {
    let test = prop_oneof![
        Just(HealthTest::Inherit),
        Just(HealthTest::None),
        vec(text(), 1..3).prop_map(HealthTest::Command),
        text().prop_map(HealthTest::Shell),
    ];
    (
        test,
        0..=i64::MAX as u64,
        0..=i64::MAX as u64,
        0..=i64::MAX as u64,
        any::<u32>(),
    )
        .prop_map(|(test, interval, timeout, start_period, retries)| Health {
            test,
            interval,
            timeout,
            start_period,
            retries,
        })
}

prop_compose! {
    fn process()(
        (hostname, domainname, user) in (option::of(hostname()), option::of(hostname()), option::of(user())),
        command in option::of(vec(text(), 1..4)),
        entrypoint in option::of(vec(text(), 0..3)),
        environment in vec(variable(), 0..3),
        working_directory in option::of(path()),
        flags in any::<[bool; 6]>(),
        stop_signal in option::of(signal()),
        stop_timeout in option::of(any::<u32>()),
        health in option::of(health()),
    ) -> Process {
        let [attach_stdin, attach_stdout, attach_stderr, tty, open_stdin, stdin_once] = flags;
        Process {
            hostname, domainname, user, command, entrypoint, environment, working_directory, attach_stdin,
            attach_stdout, attach_stderr, tty, open_stdin, stdin_once, stop_signal, stop_timeout, health,
        }
    }
}

fn bind() -> impl Strategy<Value = Bind> {
    let source = prop_oneof![
        volume().prop_map(BindSource::Volume),
        host_path().prop_map(BindSource::Host)
    ];
    (source, path(), any::<bool>(), any::<bool>()).prop_map(
        |(source, target, read_only, no_copy)| Bind {
            source,
            target,
            read_only,
            no_copy,
        },
    )
}

fn mount() -> impl Strategy<Value = Mount> {
    prop_oneof![
        (
            option::of(volume()),
            path(),
            any::<bool>(),
            any::<bool>(),
            labels()
        )
            .prop_map(
                |(source, target, read_only, no_copy, labels)| Mount::Volume {
                    source,
                    target,
                    read_only,
                    no_copy,
                    labels
                }
            ),
        (
            path(),
            option::of(count()),
            option::of(1u32..=0o7777),
            any::<bool>()
        )
            .prop_map(|(target, size, mode, read_only)| Mount::Tmpfs {
                target,
                size,
                mode,
                read_only
            }),
        (host_path(), path(), any::<bool>()).prop_map(|(source, target, read_only)| Mount::Host {
            source,
            target,
            read_only
        }),
    ]
}

prop_compose! {
    fn storage()(
        binds in vec(bind(), 0..3),
        mounts in vec(mount(), 0..3),
        tmpfs in btree_map(path(), tmpfs(), 0..3),
        anonymous_volumes in btree_set(path(), 0..3),
        shm_size in option::of(count()),
        read_only_root in any::<bool>(),
    ) -> Storage {
        Storage { binds, mounts, tmpfs, anonymous_volumes, shm_size, read_only_root }
    }
}

prop_compose! {
    fn tmpfs()(
        size in option::of(any::<u64>()),
        mode in option::of(0u32..=0o7777),
        uid in option::of(any::<u32>()),
        gid in option::of(any::<u32>()),
        (read_only, exec) in any::<(bool, bool)>(),
    ) -> TmpfsOptions {
        TmpfsOptions { size, mode, uid, gid, read_only, exec }
    }
}

fn port() -> impl Strategy<Value = Port> {
    (
        1u16..,
        select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]),
    )
        .prop_map(|(number, protocol)| Port { number, protocol })
}

fn binding() -> impl Strategy<Value = HostBinding> {
    let range = (1u16..60_000, 0u16..100).prop_map(|(first, more)| PortRange {
        first,
        last: first + more,
    });
    (option::of(any::<std::net::IpAddr>()), option::of(range))
        .prop_map(|(address, port)| HostBinding { address, port })
}

fn joined() -> impl Strategy<Value = (NetworkMode, Option<Endpoint>)> {
    let endpoint = (network(), vec(hostname(), 0..3))
        .prop_map(|(network, aliases)| Endpoint { network, aliases })
        .boxed();
    prop_oneof![
        Just((NetworkMode::Default, None)),
        Just((NetworkMode::Bridge, None)),
        Just((NetworkMode::None, None)),
        container().prop_map(|container| (NetworkMode::Container(container), None)),
        network().prop_map(|network| (NetworkMode::Network(network), None)),
        endpoint
            .clone()
            .prop_map(|it| (NetworkMode::Default, Some(it))),
        endpoint.prop_map(|it| (NetworkMode::Network(it.network.clone()), Some(it))),
    ]
}

prop_compose! {
    fn attached()(
        (mode, endpoint) in joined(),
        (disabled, publish_all) in any::<(bool, bool)>(),
        exposed_ports in btree_set(port(), 0..3),
        published_ports in btree_map(port(), vec(binding(), 0..3), 0..3),
        dns in vec(any::<std::net::IpAddr>(), 0..3),
        dns_options in vec(select(vec!["ndots:1", "rotate"]), 0..2),
        dns_search in vec(hostname(), 0..2),
    ) -> Network {
        let dns_options = dns_options.into_iter().map(|text| DnsOption::parse(text).unwrap()).collect();
        Network { mode, endpoint, disabled, exposed_ports, published_ports, publish_all, dns, dns_options, dns_search }
    }
}

fn capabilities() -> impl Strategy<Value = BTreeSet<Capability>> {
    btree_set(select(Capability::ALL), 0..4)
}

fn device() -> impl Strategy<Value = Device> {
    (host_path(), path(), select(vec!["r", "rw", "rwm", "m"])).prop_map(
        |(on_host, in_container, access)| Device {
            on_host,
            in_container,
            access: DeviceAccess::parse(access).unwrap(),
        },
    )
}

prop_compose! {
    fn security()(
        (cap_add, cap_drop) in (capabilities(), capabilities()),
        (cap_drop_all, no_new_privileges, private_cgroup_namespace) in any::<(bool, bool, bool)>(),
        pid_of in option::of(container()),
        ipc in select(vec![IpcMode::Default, IpcMode::Private, IpcMode::None]),
        devices in vec(device(), 0..2),
        sysctls in btree_map(select(vec!["net.core.somaxconn", "kernel.shmmax"]), text(), 0..2),
    ) -> Security {
        let sysctls: BTreeMap<_, _> =
            sysctls.into_iter().map(|(name, value)| (SysctlName::parse(name).unwrap(), value)).collect();
        Security {
            cap_add, cap_drop_all, cap_drop, no_new_privileges, pid_of, ipc, private_cgroup_namespace, devices, sysctls,
        }
    }
}

prop_compose! {
    fn resources()(
        numbers in vec(option::of(count()), 8),
        cpus in option::of(select(vec!["0-3", "0,2"])),
        mems in option::of(select(vec!["0", "0-1"])),
        oom_score_adj in 0u16..=1000,
        ulimits in vec((select(UlimitName::ALL), 0..=i64::MAX as u64, 0..=i64::MAX as u64), 0..3),
    ) -> Resources {
        let set = |text: Option<&str>| text.map(|text| CpuSet::parse(text).unwrap());
        Resources {
            memory: numbers[0],
            memory_reservation: numbers[1],
            memory_swap: numbers[2],
            nano_cpus: numbers[3],
            cpu_shares: numbers[4],
            cpu_period: numbers[5],
            cpu_quota: numbers[6],
            cpuset_cpus: set(cpus),
            cpuset_mems: set(mems),
            pids: numbers[7],
            oom_score_adj,
            ulimits: ulimits.into_iter().map(|(name, soft, hard)| Ulimit { name, soft, hard }).collect(),
        }
    }
}

prop_compose! {
    fn lifecycle()(
        auto_remove in any::<bool>(),
        restart in prop_oneof![
            Just(RestartPolicy::No),
            Just(RestartPolicy::Always),
            Just(RestartPolicy::UnlessStopped),
            any::<u32>().prop_map(RestartPolicy::OnFailure),
        ],
        init in option::of(any::<bool>()),
        log in option::of((
            select(vec![LogDriver::JsonFile, LogDriver::Local]),
            option::of(1u64..),
            option::of(1u32..),
            option::of(any::<bool>()),
            option::of(select(vec![LogMode::Blocking, LogMode::NonBlocking])),
            option::of(1u64..),
        )),
    ) -> Lifecycle {
        let log = log.map(|(driver, max_size, max_files, compress, mode, max_buffer_size)| LogFiles {
            driver, max_size, max_files, compress, mode, max_buffer_size,
        });
        Lifecycle { auto_remove, restart, init, log }
    }
}

prop_compose! {
    pub(crate) fn create()(
        (name, image, platform, labels) in (option::of(container_name()), image(), option::of(platform()), labels()),
        process in process(),
        storage in storage(),
        network in attached(),
        security in security(),
        resources in resources(),
        lifecycle in lifecycle(),
    ) -> ContainerCreate {
        ContainerCreate { name, image, platform, labels, process, storage, network, security, resources, lifecycle }
    }
}

prop_compose! {
    fn exec_spec()(
        command in vec(text(), 1..4),
        environment in vec(variable(), 0..3),
        user in option::of(user()),
        working_directory in option::of(path()),
        [attach_stdin, attach_stdout, attach_stderr, tty] in any::<[bool; 4]>(),
        detach_keys in option::of(detach_keys()),
    ) -> ExecSpec {
        ExecSpec {
            command, environment, user, working_directory, attach_stdin, attach_stdout, attach_stderr, tty, detach_keys,
        }
    }
}

fn size() -> impl Strategy<Value = TerminalSize> {
    any::<(u16, u16)>().prop_map(|(height, width)| TerminalSize { height, width })
}

/// Any action but a prune, which the broker carries out itself.
pub(crate) fn action() -> impl Strategy<Value = Action> {
    use FilterKey::{Dangling, Label, Name, Status, Type};
    let system = prop_oneof![
        Just(Action::Ping),
        Just(Action::Version),
        Just(Action::Info),
        Just(Action::DiskUsage),
        (
            option::of(moment()),
            option::of(moment()),
            filters(&[Type, Label])
        )
            .prop_map(|(since, until, filters)| Action::Events(EventsQuery {
                since,
                until,
                filters
            })),
    ];
    let looking = prop_oneof![
        (
            any::<bool>(),
            option::of(1u32..),
            any::<bool>(),
            filters(&[Label, Name, Status])
        )
            .prop_map(|(all, limit, size, filters)| Action::ContainerList(
                ContainerListQuery {
                    all,
                    limit,
                    size,
                    filters
                }
            )),
        (container(), any::<bool>())
            .prop_map(|(container, size)| Action::ContainerInspect { container, size }),
        (
            container(),
            any::<[bool; 4]>(),
            option::of(moment()),
            option::of(moment()),
            option::of(any::<u32>())
        )
            .prop_map(
                |(container, [stdout, stderr, follow, timestamps], since, until, tail)| {
                    Action::ContainerLogs(LogsQuery {
                        container,
                        stdout,
                        stderr,
                        follow,
                        timestamps,
                        since,
                        until,
                        tail,
                    })
                }
            ),
        container().prop_map(|container| Action::ContainerChanges { container }),
        (container(), any::<bool>(), any::<bool>()).prop_map(|(container, stream, one_shot)| {
            Action::ContainerStats {
                container,
                stream,
                one_shot,
            }
        }),
        (
            container(),
            option::of(select(vec!["-ef", "aux", "-o pid,comm"]))
        )
            .prop_map(|(container, columns)| {
                let columns = columns.map(|text| ProcessColumns::parse(text).unwrap());
                Action::ContainerTop { container, columns }
            }),
        (
            container(),
            option::of(select(vec![
                WaitCondition::NotRunning,
                WaitCondition::NextExit,
                WaitCondition::Removed
            ]))
        )
            .prop_map(|(container, condition)| Action::ContainerWait {
                container,
                condition
            }),
        (container(), archive_path())
            .prop_map(|(container, path)| Action::ContainerCopyOut { container, path }),
        (container(), archive_path())
            .prop_map(|(container, path)| Action::ContainerPathStat { container, path }),
    ];
    let running = prop_oneof![
        4 => create().prop_map(|create| Action::ContainerCreate(Box::new(create))),
        1 => (container(), option::of(detach_keys()))
            .prop_map(|(container, detach_keys)| Action::ContainerStart { container, detach_keys }),
        1 => (container(), option::of(0u32..=i32::MAX as u32))
            .prop_map(|(container, timeout)| Action::ContainerStop { container, timeout }),
        1 => (container(), option::of(0u32..=i32::MAX as u32))
            .prop_map(|(container, timeout)| Action::ContainerRestart { container, timeout }),
        1 => (container(), option::of(signal())).prop_map(|(container, signal)| Action::ContainerKill { container, signal }),
        1 => container().prop_map(|container| Action::ContainerPause { container }),
        1 => container().prop_map(|container| Action::ContainerUnpause { container }),
        1 => (container(), container_name()).prop_map(|(container, name)| Action::ContainerRename { container, name }),
        1 => (container(), any::<bool>(), any::<bool>())
            .prop_map(|(container, force, volumes)| Action::ContainerRemove { container, force, volumes }),
        1 => (container(), any::<[bool; 5]>(), option::of(detach_keys())).prop_map(
            |(container, [stream, logs, stdin, stdout, stderr], detach_keys)| {
                Action::ContainerAttach(AttachQuery { container, stream, logs, stdin, stdout, stderr, detach_keys })
            }
        ),
        1 => (container(), size()).prop_map(|(container, size)| Action::ContainerResize { container, size }),
        1 => (container(), archive_path(), any::<bool>(), any::<bool>()).prop_map(
            |(container, path, no_overwrite_dir_non_dir, copy_uid_gid)| Action::ContainerCopyIn {
                container, path, no_overwrite_dir_non_dir, copy_uid_gid,
            }
        ),
        1 => (container(), exec_spec()).prop_map(|(container, exec)| Action::ExecCreate { container, exec }),
        1 => (exec(), any::<bool>(), any::<bool>()).prop_map(|(exec, detach, tty)| Action::ExecStart { exec, detach, tty }),
        1 => exec().prop_map(|exec| Action::ExecInspect { exec }),
        1 => (exec(), size()).prop_map(|(exec, size)| Action::ExecResize { exec, size }),
    ];
    let images = prop_oneof![
        (any::<bool>(), any::<bool>(), filters(&[Label, Dangling])).prop_map(
            |(all, digests, filters)| Action::ImageList(ImageListQuery {
                all,
                digests,
                filters
            })
        ),
        selector().prop_map(|image| Action::ImageInspect { image }),
        selector().prop_map(|image| Action::ImageHistory { image }),
        (image(), option::of(platform()))
            .prop_map(|(image, platform)| Action::ImagePull { image, platform }),
        (selector(), tagged()).prop_map(|(image, target)| Action::ImageTag { image, target }),
        (selector(), any::<bool>(), any::<bool>()).prop_map(|(image, force, no_prune)| {
            Action::ImageRemove {
                image,
                force,
                no_prune,
            }
        }),
    ];
    let others = prop_oneof![
        filters(&[Label, Name]).prop_map(|filters| Action::NetworkList { filters }),
        network().prop_map(|network| Action::NetworkInspect { network }),
        (name(), any::<[bool; 3]>(), labels()).prop_filter_map(
            "reserved",
            |(name, [internal, attachable, ipv6], labels)| {
                let name = NetworkName::parse(&name).ok()?;
                Some(Action::NetworkCreate(NetworkCreate {
                    name,
                    internal,
                    attachable,
                    ipv6,
                    labels,
                }))
            }
        ),
        network().prop_map(|network| Action::NetworkRemove { network }),
        (container(), network(), vec(hostname(), 0..3)).prop_map(
            |(container, network, aliases)| {
                Action::NetworkConnect {
                    container,
                    endpoint: Endpoint { network, aliases },
                }
            }
        ),
        (network(), container(), any::<bool>()).prop_map(|(network, container, force)| {
            Action::NetworkDisconnect {
                network,
                container,
                force,
            }
        }),
        filters(&[Label, Name]).prop_map(|filters| Action::VolumeList { filters }),
        volume().prop_map(|volume| Action::VolumeInspect { volume }),
        (option::of(name()), labels()).prop_filter_map("reserved", |(name, labels)| {
            let name = name.map(|name| VolumeName::parse(&name)).transpose().ok()?;
            Some(Action::VolumeCreate { name, labels })
        }),
        (volume(), any::<bool>())
            .prop_map(|(volume, force)| Action::VolumeRemove { volume, force }),
    ];
    prop_oneof![1 => system, 3 => looking, 6 => running, 2 => images, 3 => others]
}

/// Text that could be a member name, for tricks.
pub(crate) fn member() -> impl Strategy<Value = String> {
    prop_oneof![
        word(),
        select(vec!["Privileged", "HostConfig", "Binds", "Memory"]).prop_map(str::to_owned)
    ]
}
