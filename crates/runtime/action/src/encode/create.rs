//! The body of `POST /containers/create`, from nothing but the typed container.

use serde_json::{Map, Value, json};

use super::{labels_value, set};
use crate::container::{
    Bind, BindSource, ContainerCreate, Device, Endpoint, Health, HealthTest, IpcMode, Lifecycle,
    LogDriver, LogFiles, LogMode, Mount, Network, NetworkMode, Process, Resources, RestartPolicy,
    Security, Storage, TmpfsOptions, Ulimit,
};
use crate::value::HostBinding;

pub(super) fn body(create: &ContainerCreate) -> Value {
    let ContainerCreate {
        // The name and the platform go into the query.
        name: _,
        platform: _,
        image,
        labels,
        process,
        storage,
        network,
        security,
        resources,
        lifecycle,
    } = create;
    let mut body = Map::new();
    let mut host = Map::new();
    body.insert("Image".into(), image.to_string().into());
    set(&mut body, "Labels", labels_value(labels));
    write_process(&mut body, process);
    write_storage(&mut body, &mut host, storage);
    write_network(&mut body, &mut host, network);
    write_security(&mut host, security);
    write_resources(&mut host, resources);
    write_lifecycle(&mut host, lifecycle);
    body.insert("HostConfig".into(), host.into());
    body.into()
}

pub(super) fn endpoint(endpoint: &Endpoint) -> Value {
    let Endpoint {
        network: _,
        aliases,
    } = endpoint;
    json!({ "Aliases": aliases })
}

fn write_process(body: &mut Map<String, Value>, process: &Process) {
    let Process {
        hostname,
        domainname,
        user,
        command,
        entrypoint,
        environment,
        working_directory,
        attach_stdin,
        attach_stdout,
        attach_stderr,
        tty,
        open_stdin,
        stdin_once,
        stop_signal,
        stop_timeout,
        health,
    } = process;
    set(body, "Hostname", hostname.as_ref().map(|it| json!(it)));
    set(body, "Domainname", domainname.as_ref().map(|it| json!(it)));
    set(body, "User", user.as_ref().map(|it| json!(it)));
    set(body, "Cmd", command.as_ref().map(|it| json!(it)));
    set(body, "Entrypoint", entrypoint.as_ref().map(|it| json!(it)));
    set(body, "Env", some_list(environment));
    set(
        body,
        "WorkingDir",
        working_directory.as_ref().map(|it| json!(it)),
    );
    body.insert("AttachStdin".into(), (*attach_stdin).into());
    body.insert("AttachStdout".into(), (*attach_stdout).into());
    body.insert("AttachStderr".into(), (*attach_stderr).into());
    body.insert("Tty".into(), (*tty).into());
    body.insert("OpenStdin".into(), (*open_stdin).into());
    body.insert("StdinOnce".into(), (*stdin_once).into());
    set(body, "StopSignal", stop_signal.as_ref().map(|it| json!(it)));
    set(body, "StopTimeout", stop_timeout.map(|it| json!(it)));
    set(body, "Healthcheck", health.as_ref().map(write_health));
}

fn write_health(health: &Health) -> Value {
    let Health {
        test,
        interval,
        timeout,
        start_period,
        retries,
    } = health;
    let test = match test {
        HealthTest::Inherit => json!([]),
        HealthTest::None => json!(["NONE"]),
        HealthTest::Command(words) => std::iter::once("CMD")
            .chain(words.iter().map(String::as_str))
            .collect(),
        HealthTest::Shell(line) => json!(["CMD-SHELL", line]),
    };
    json!({
        "Test": test,
        "Interval": interval,
        "Timeout": timeout,
        "StartPeriod": start_period,
        "Retries": retries,
    })
}

fn write_storage(body: &mut Map<String, Value>, host: &mut Map<String, Value>, storage: &Storage) {
    let Storage {
        binds,
        mounts,
        tmpfs,
        anonymous_volumes,
        shm_size,
        read_only_root,
    } = storage;
    let binds: Vec<String> = binds.iter().map(write_bind).collect();
    set(host, "Binds", some_list(&binds));
    let mounts: Vec<Value> = mounts.iter().map(write_mount).collect();
    set(host, "Mounts", some_list(&mounts));
    let tmpfs: Map<String, Value> = tmpfs
        .iter()
        .map(|(path, options)| (path.as_str().to_owned(), tmpfs_options(options).into()))
        .collect();
    set(host, "Tmpfs", (!tmpfs.is_empty()).then(|| tmpfs.into()));
    set(
        body,
        "Volumes",
        key_set(anonymous_volumes.iter().map(ToString::to_string)),
    );
    set(host, "ShmSize", shm_size.map(Value::from));
    host.insert("ReadonlyRootfs".into(), (*read_only_root).into());
}

/// `source:target:options`. No part can hold a colon, by its type.
fn write_bind(bind: &Bind) -> String {
    let Bind {
        source,
        target,
        read_only,
        no_copy,
    } = bind;
    let source = match source {
        BindSource::Volume(volume) => volume.as_str(),
        BindSource::Host(path) => path.as_str(),
    };
    let mode = if *read_only { "ro" } else { "rw" };
    let copy = if *no_copy { ",nocopy" } else { "" };
    format!("{source}:{target}:{mode}{copy}")
}

fn write_mount(mount: &Mount) -> Value {
    match mount {
        Mount::Volume {
            source,
            target,
            read_only,
            no_copy,
            labels,
        } => {
            let mut options = Map::new();
            options.insert("NoCopy".into(), (*no_copy).into());
            set(&mut options, "Labels", labels_value(labels));
            let mut mount = Map::new();
            mount.insert("Type".into(), "volume".into());
            set(&mut mount, "Source", source.as_ref().map(|it| json!(it)));
            mount.insert("Target".into(), json!(target));
            mount.insert("ReadOnly".into(), (*read_only).into());
            mount.insert("VolumeOptions".into(), options.into());
            mount.into()
        }
        Mount::Tmpfs {
            target,
            size,
            mode,
            read_only,
        } => json!({
            "Type": "tmpfs",
            "Target": target,
            "ReadOnly": read_only,
            "TmpfsOptions": { "SizeBytes": size.unwrap_or(0), "Mode": mode.unwrap_or(0) },
        }),
        Mount::Host {
            source,
            target,
            read_only,
        } => json!({
            "Type": "bind",
            "Source": source,
            "Target": target,
            "ReadOnly": read_only,
            "BindOptions": { "Propagation": "rprivate" },
        }),
    }
}

fn tmpfs_options(options: &TmpfsOptions) -> String {
    let TmpfsOptions {
        size,
        mode,
        uid,
        gid,
        read_only,
        exec,
    } = options;
    let mut words = vec![if *read_only { "ro" } else { "rw" }.to_owned()];
    words.push(if *exec { "exec" } else { "noexec" }.to_owned());
    words.extend(["nosuid".to_owned(), "nodev".to_owned()]);
    words.extend(size.map(|size| format!("size={size}")));
    words.extend(mode.map(|mode| format!("mode={mode:o}")));
    words.extend(uid.map(|uid| format!("uid={uid}")));
    words.extend(gid.map(|gid| format!("gid={gid}")));
    words.join(",")
}

fn write_network(body: &mut Map<String, Value>, host: &mut Map<String, Value>, network: &Network) {
    let Network {
        mode,
        endpoint: joined,
        disabled,
        exposed_ports,
        published_ports,
        publish_all,
        dns,
        dns_options,
        dns_search,
    } = network;
    let mode = match mode {
        NetworkMode::Default => "default".to_owned(),
        NetworkMode::Bridge => "bridge".to_owned(),
        NetworkMode::None => "none".to_owned(),
        NetworkMode::Network(network) => network.to_string(),
        NetworkMode::Container(container) => format!("container:{container}"),
    };
    host.insert("NetworkMode".into(), mode.into());
    if let Some(joined) = joined {
        let endpoints = json!({ joined.network.as_str(): endpoint(joined) });
        body.insert(
            "NetworkingConfig".into(),
            json!({ "EndpointsConfig": endpoints }),
        );
    }
    body.insert("NetworkDisabled".into(), (*disabled).into());
    set(
        body,
        "ExposedPorts",
        key_set(exposed_ports.iter().map(ToString::to_string)),
    );
    let published: Map<String, Value> = published_ports
        .iter()
        .map(|(port, bindings)| {
            (
                port.to_string(),
                bindings.iter().map(write_binding).collect(),
            )
        })
        .collect();
    set(
        host,
        "PortBindings",
        (!published.is_empty()).then(|| published.into()),
    );
    host.insert("PublishAllPorts".into(), (*publish_all).into());
    set(host, "Dns", some_list(dns));
    set(host, "DnsOptions", some_list(dns_options));
    set(host, "DnsSearch", some_list(dns_search));
}

fn write_binding(binding: &HostBinding) -> Value {
    let HostBinding { address, port } = binding;
    json!({
        "HostIp": address.map(|it| it.to_string()).unwrap_or_default(),
        "HostPort": port.map(|it| it.to_string()).unwrap_or_default(),
    })
}

fn write_security(host: &mut Map<String, Value>, security: &Security) {
    let Security {
        cap_add,
        cap_drop_all,
        cap_drop,
        no_new_privileges,
        pid_of,
        ipc,
        private_cgroup_namespace,
        devices,
        sysctls,
    } = security;
    set(
        host,
        "CapAdd",
        some_list(&cap_add.iter().collect::<Vec<_>>()),
    );
    let all = cap_drop_all.then_some("ALL");
    let dropped: Vec<&str> = all
        .into_iter()
        .chain(cap_drop.iter().map(|it| it.as_str()))
        .collect();
    set(host, "CapDrop", some_list(&dropped));
    set(
        host,
        "SecurityOpt",
        no_new_privileges.then(|| json!(["no-new-privileges"])),
    );
    set(
        host,
        "PidMode",
        pid_of.as_ref().map(|it| format!("container:{it}").into()),
    );
    set(
        host,
        "IpcMode",
        match ipc {
            IpcMode::Default => None,
            IpcMode::Private => Some("private".into()),
            IpcMode::None => Some("none".into()),
        },
    );
    set(
        host,
        "CgroupnsMode",
        private_cgroup_namespace.then(|| "private".into()),
    );
    let devices: Vec<Value> = devices
        .iter()
        .map(
            |Device {
                 on_host,
                 in_container,
                 access,
             }| {
                json!({
                    "PathOnHost": on_host,
                    "PathInContainer": in_container,
                    "CgroupPermissions": access,
                })
            },
        )
        .collect();
    set(host, "Devices", some_list(&devices));
    set(
        host,
        "Sysctls",
        (!sysctls.is_empty()).then(|| json!(sysctls)),
    );
}

fn write_resources(host: &mut Map<String, Value>, resources: &Resources) {
    let Resources {
        memory,
        memory_reservation,
        memory_swap,
        nano_cpus,
        cpu_shares,
        cpu_period,
        cpu_quota,
        cpuset_cpus,
        cpuset_mems,
        pids,
        oom_score_adj,
        ulimits,
    } = resources;
    set(host, "Memory", memory.map(Value::from));
    set(
        host,
        "MemoryReservation",
        memory_reservation.map(Value::from),
    );
    set(host, "MemorySwap", memory_swap.map(Value::from));
    set(host, "NanoCpus", nano_cpus.map(Value::from));
    set(host, "CpuShares", cpu_shares.map(Value::from));
    set(host, "CpuPeriod", cpu_period.map(Value::from));
    set(host, "CpuQuota", cpu_quota.map(Value::from));
    set(host, "CpusetCpus", cpuset_cpus.as_ref().map(|it| json!(it)));
    set(host, "CpusetMems", cpuset_mems.as_ref().map(|it| json!(it)));
    set(host, "PidsLimit", pids.map(Value::from));
    host.insert("OomScoreAdj".into(), (*oom_score_adj).into());
    let ulimits: Vec<Value> = ulimits
        .iter()
        .map(|Ulimit { name, soft, hard }| json!({ "Name": name, "Soft": soft, "Hard": hard }))
        .collect();
    set(host, "Ulimits", some_list(&ulimits));
}

fn write_lifecycle(host: &mut Map<String, Value>, lifecycle: &Lifecycle) {
    let Lifecycle {
        auto_remove,
        restart,
        init,
        log,
    } = lifecycle;
    host.insert("AutoRemove".into(), (*auto_remove).into());
    let (name, retries) = match restart {
        RestartPolicy::No => ("no", 0),
        RestartPolicy::Always => ("always", 0),
        RestartPolicy::UnlessStopped => ("unless-stopped", 0),
        RestartPolicy::OnFailure(retries) => ("on-failure", *retries),
    };
    host.insert(
        "RestartPolicy".into(),
        json!({ "Name": name, "MaximumRetryCount": retries }),
    );
    set(host, "Init", init.map(Value::from));
    set(host, "LogConfig", log.as_ref().map(write_log));
}

fn write_log(log: &LogFiles) -> Value {
    let LogFiles {
        driver,
        max_size,
        max_files,
        compress,
        mode,
        max_buffer_size,
    } = log;
    let driver = match driver {
        LogDriver::JsonFile => "json-file",
        LogDriver::Local => "local",
    };
    let mode = mode.map(|mode| match mode {
        LogMode::Blocking => "blocking",
        LogMode::NonBlocking => "non-blocking",
    });
    let mut config = Map::new();
    for (key, value) in [
        ("max-size", max_size.map(|size| size.to_string())),
        ("max-file", max_files.map(|files| files.to_string())),
        ("compress", compress.map(|compress| compress.to_string())),
        ("mode", mode.map(str::to_owned)),
        (
            "max-buffer-size",
            max_buffer_size.map(|size| size.to_string()),
        ),
    ] {
        set(&mut config, key, value.map(Value::from));
    }
    json!({ "Type": driver, "Config": config })
}

fn some_list<T: serde::Serialize>(list: &[T]) -> Option<Value> {
    (!list.is_empty()).then(|| json!(list))
}

/// Go's way to write a set: a map of empty objects.
fn key_set(keys: impl Iterator<Item = String>) -> Option<Value> {
    let set: Map<String, Value> = keys.map(|key| (key, json!({}))).collect();
    (!set.is_empty()).then(|| set.into())
}
