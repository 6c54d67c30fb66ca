//! `HostConfig`: what a container gets of the host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::prelude::*;
use super::{lifecycle, mounts};
use crate::container::{
    Capability, ContainerCreate, Device, DeviceAccess, IpcMode, NetworkMode, Resources, Security,
    Ulimit, UlimitName,
};
use crate::json::{Default, Members, Never, Value};
use crate::name::{ContainerRef, Hostname, NetworkRef};
use crate::path::{ContainerPath, HostPath};
use crate::value::{CpuSet, DnsOption, HostBinding, Port, PortRange, SysctlName};

const fn never(name: &'static str, rule: Rule, why: &'static str) -> Never {
    Never {
        name,
        rule,
        why,
        default: Default::Any,
    }
}

/// Members that no action has, so that neither the broker nor the engine ever sees them.
const NEVER: &[Never] = &[
    never(
        "Privileged",
        Rule::Privileged,
        "a privileged container is root on the host; add the one capability or device that is needed",
    ),
    never(
        "VolumesFrom",
        Rule::VolumesFrom,
        "it copies every mount of another container; name the volumes",
    ),
    never(
        "VolumeDriver",
        Rule::VolumeDriver,
        "a volume driver is a plug-in on the host",
    ),
    never(
        "Links",
        Rule::Link,
        "a link shows another container's environment; use a network of your own",
    ),
    never(
        "ExtraHosts",
        Rule::ExtraHost,
        "it makes names lead elsewhere, to the host with `host-gateway`; use names of a network of your own",
    ),
    never(
        "GroupAdd",
        Rule::Group,
        "additional groups open files and devices; set `User` with its group",
    ),
    never("UTSMode", Rule::UtsNamespace, "it is the host's own name"),
    never(
        "UsernsMode",
        Rule::UserNamespace,
        "root inside would be root outside",
    ),
    never(
        "Cgroup",
        Rule::CgroupNamespace,
        "it joins the cgroup of another container",
    ),
    never(
        "CgroupParent",
        Rule::CgroupParent,
        "it leaves the limits under which containers stand",
    ),
    never(
        "Runtime",
        Rule::Runtime,
        "another runtime has other rules; the engine's default is used",
    ),
    never("Isolation", Rule::Runtime, "it belongs to Windows"),
    never(
        "Annotations",
        Rule::Runtime,
        "annotations steer the runtime and its hooks",
    ),
    never(
        "DeviceCgroupRules",
        Rule::Device,
        "it opens devices of the host by number",
    ),
    never(
        "DeviceRequests",
        Rule::DeviceRequest,
        "its hooks run as root on the host (CVE-2025-23266)",
    ),
    never(
        "StorageOpt",
        Rule::StorageLimit,
        "it sets options of the storage driver",
    ),
    never(
        "OomKillDisable",
        Rule::OomLimit,
        "it hangs the host when memory ends",
    ),
    never(
        "BlkioWeight",
        Rule::BlockLimit,
        "block input and output is shared evenly",
    ),
    never(
        "BlkioWeightDevice",
        Rule::BlockLimit,
        "it names devices of the host",
    ),
    never(
        "BlkioDeviceReadBps",
        Rule::BlockLimit,
        "it names devices of the host",
    ),
    never(
        "BlkioDeviceWriteBps",
        Rule::BlockLimit,
        "it names devices of the host",
    ),
    never(
        "BlkioDeviceReadIOps",
        Rule::BlockLimit,
        "it names devices of the host",
    ),
    never(
        "BlkioDeviceWriteIOps",
        Rule::BlockLimit,
        "it names devices of the host",
    ),
    never(
        "CpuRealtimePeriod",
        Rule::CpuLimit,
        "real-time priority starves the host",
    ),
    never(
        "CpuRealtimeRuntime",
        Rule::CpuLimit,
        "real-time priority starves the host",
    ),
    never(
        "KernelMemory",
        Rule::MemoryLimit,
        "the kernel has no such limit any more",
    ),
    never(
        "KernelMemoryTCP",
        Rule::MemoryLimit,
        "the kernel has no such limit any more",
    ),
    never(
        "ContainerIDFile",
        Rule::JsonUnknown,
        "it is a file of the client",
    ),
    never("CpuCount", Rule::JsonUnknown, "it belongs to Windows"),
    never("CpuPercent", Rule::JsonUnknown, "it belongs to Windows"),
    never("IOMaximumIOps", Rule::JsonUnknown, "it belongs to Windows"),
    never(
        "IOMaximumBandwidth",
        Rule::JsonUnknown,
        "it belongs to Windows",
    ),
    // An empty list is a wish of its own here: nothing masked.
    Never {
        name: "MaskedPaths",
        rule: Rule::SecurityPaths,
        why: "the engine's own paths stay masked",
        default: Default::Null,
    },
    Never {
        name: "ReadonlyPaths",
        rule: Rule::SecurityPaths,
        why: "the engine's own paths stay read-only",
        default: Default::Null,
    },
    Never {
        name: "MemorySwappiness",
        rule: Rule::MemoryLimit,
        why: "the host decides what it swaps",
        default: Default::OrNumbers(&["-1"]),
    },
];

/// Reads `HostConfig` into the container.
pub(super) fn read(mut members: Members, container: &mut ContainerCreate) -> Result<(), Refusal> {
    members.never(NEVER)?;
    // The size of the client's terminal, which `resize` sets again; of no use to the engine.
    members.list("ConsoleSize", |_, _| Ok(()))?;
    mounts::read(&mut members, &mut container.storage)?;
    network(&mut members, container)?;
    container.security = security(&mut members)?;
    container.resources = resources(&mut members)?;
    container.lifecycle = lifecycle::read(&mut members)?;
    members.finish()
}

fn network(members: &mut Members, container: &mut ContainerCreate) -> Result<(), Refusal> {
    let network = &mut container.network;
    network.mode = members
        .parsed("NetworkMode", network_mode)?
        .unwrap_or_default();
    network.publish_all = members.flag("PublishAllPorts")?;
    network.dns = members.parsed_list("Dns", |text| {
        text.parse::<IpAddr>()
            .map_err(|_| Refusal::new(Rule::JsonType, format!("{} is no address", quote(text))))
    })?;
    network.dns_options = members.parsed_list("DnsOptions", DnsOption::parse)?;
    network.dns_search = members.parsed_list("DnsSearch", Hostname::parse)?;
    network.published_ports = published_ports(members)?;
    Ok(())
}

fn network_mode(text: &str) -> Result<NetworkMode, Refusal> {
    Ok(match text.split_once(':') {
        Some(("container", container)) => NetworkMode::Container(ContainerRef::parse(container)?),
        Some(_) => {
            return Err(Refusal::new(
                Rule::NetworkNamespace,
                format!("{} is a namespace by path", quote(text)),
            ));
        }
        None => match text {
            "default" => NetworkMode::Default,
            "bridge" => NetworkMode::Bridge,
            "none" => NetworkMode::None,
            // The engine compares without case in places.
            _ if text.eq_ignore_ascii_case("host") => {
                return Err(Refusal::new(
                    Rule::NetworkNamespace,
                    "the host's network reaches every service on it; publish a port instead",
                ));
            }
            name => NetworkMode::Network(NetworkRef::parse(name)?),
        },
    })
}

fn published_ports(members: &mut Members) -> Result<BTreeMap<Port, Vec<HostBinding>>, Refusal> {
    let field = members.field("PortBindings");
    let mut published = BTreeMap::new();
    for (key, value) in members.map("PortBindings")? {
        let at = format!("{field}[{}]", quote(&key));
        let port = Port::parse(&key).map_err(|refusal| refusal.at(at.clone()))?;
        let items = match value {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            other => {
                return Err(Refusal::new(
                    Rule::JsonType,
                    format!("an array is expected, not {}", other.kind()),
                )
                .at(at));
            }
        };
        let bindings = items.into_iter().map(|item| {
            let mut members = Members::of(item, at.clone())?;
            let binding = HostBinding {
                address: members.parsed("HostIp", |text| {
                    text.parse().map_err(|_| {
                        Refusal::new(Rule::HostPort, format!("{} is no address", quote(text)))
                    })
                })?,
                port: members
                    .parsed("HostPort", |text| match text {
                        "0" => Ok(None),
                        text => PortRange::parse(text).map(Some),
                    })?
                    .flatten(),
            };
            members.finish().map(|()| binding)
        });
        if published
            .insert(port, bindings.collect::<Result<Vec<_>, _>>()?)
            .is_some()
        {
            return Err(Refusal::new(Rule::JsonDuplicate, "the port is given twice").at(at));
        }
    }
    Ok(published)
}

fn security(members: &mut Members) -> Result<Security, Refusal> {
    let mut security = Security::default();
    for name in members.texts("CapAdd")? {
        security
            .cap_add
            .insert(capability(&name).map_err(|r| r.at(members.field("CapAdd")))?);
    }
    for name in members.texts("CapDrop")? {
        match name.to_ascii_uppercase().as_str() {
            "ALL" | "CAP_ALL" => security.cap_drop_all = true,
            _ => {
                let dropped = capability(&name).map_err(|r| r.at(members.field("CapDrop")))?;
                security.cap_drop.insert(dropped);
            }
        }
    }
    for option in members.texts("SecurityOpt")? {
        match option.as_str() {
            "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true" => {
                security.no_new_privileges = true;
            }
            other => {
                return Err(Refusal::new(
                    Rule::SecurityOption,
                    format!(
                        "{} loosens the container; the engine's own profiles stay on",
                        quote(other)
                    ),
                )
                .at(members.field("SecurityOpt")));
            }
        }
    }
    security.pid_of = members.parsed("PidMode", |text| match text.strip_prefix("container:") {
        Some(container) => ContainerRef::parse(container),
        None => Err(Refusal::new(
            Rule::PidNamespace,
            format!("{} shows the processes of the host", quote(text)),
        )),
    })?;
    let ipc = members.parsed("IpcMode", |text| match text {
        "private" => Ok(IpcMode::Private),
        "none" => Ok(IpcMode::None),
        _ => Err(Refusal::new(
            Rule::IpcNamespace,
            format!(
                "{} shares memory beyond the container; write `private` or `none`",
                quote(text)
            ),
        )),
    })?;
    security.ipc = ipc.unwrap_or_default();
    security.private_cgroup_namespace = members
        .parsed("CgroupnsMode", |text| match text {
            "private" => Ok(()),
            _ => Err(Refusal::new(
                Rule::CgroupNamespace,
                format!(
                    "{} shows the cgroups of the host; write `private`",
                    quote(text)
                ),
            )),
        })?
        .is_some();
    security.devices = members.list("Devices", |value, field| {
        let mut members = Members::of(value, field)?;
        let on_host = members.required("PathOnHost", Rule::Device, device_path)?;
        let in_container = members.parsed("PathInContainer", |path| {
            ContainerPath::normal(path, Rule::Device)
        })?;
        let device = Device {
            in_container: match in_container {
                Some(path) => path,
                None => ContainerPath::normal(on_host.as_str(), Rule::Device)?,
            },
            on_host,
            access: members
                .parsed("CgroupPermissions", DeviceAccess::parse)?
                .unwrap_or(DeviceAccess {
                    read: true,
                    write: true,
                    make: true,
                }),
        };
        members.finish().map(|()| device)
    })?;
    let field = members.field("Sysctls");
    for (name, value) in members.text_map("Sysctls")? {
        let name = SysctlName::parse(&name).map_err(|refusal| refusal.at(field.clone()))?;
        security.sysctls.insert(name, value);
    }
    Ok(security)
}

/// A path of the host that is a device, in the one spelling of [`HostPath`]. The name of a CDI device
/// (`vendor.com/gpu=all`) is none.
fn device_path(text: &str) -> Result<HostPath, Refusal> {
    HostPath::parse(text).map_err(|refusal| Refusal {
        rule: Rule::Device,
        ..refusal
    })
}

/// A capability with or without its `CAP_`, in either case, as the engine takes it.
fn capability(text: &str) -> Result<Capability, Refusal> {
    let upper = text.to_ascii_uppercase();
    Capability::parse(upper.strip_prefix("CAP_").unwrap_or(&upper))
}

fn resources(members: &mut Members) -> Result<Resources, Refusal> {
    let score = members.integer("OomScoreAdj")?.unwrap_or(0);
    let oom_score_adj = u16::try_from(score)
        .ok()
        .filter(|score| *score <= 1000)
        .ok_or_else(|| {
            Refusal::new(
                Rule::OomLimit,
                format!("{score} protects the container before the host; write 0 to 1000"),
            )
            .at(members.field("OomScoreAdj"))
        })?;
    Ok(Resources {
        memory: members.limit("Memory", Rule::MemoryLimit)?,
        memory_reservation: members.limit("MemoryReservation", Rule::MemoryLimit)?,
        memory_swap: members.limit("MemorySwap", Rule::MemoryLimit)?,
        nano_cpus: members.limit("NanoCpus", Rule::CpuLimit)?,
        cpu_shares: members.limit("CpuShares", Rule::CpuLimit)?,
        cpu_period: members.limit("CpuPeriod", Rule::CpuLimit)?,
        cpu_quota: members.limit("CpuQuota", Rule::CpuLimit)?,
        cpuset_cpus: members.parsed("CpusetCpus", CpuSet::parse)?,
        cpuset_mems: members.parsed("CpusetMems", CpuSet::parse)?,
        pids: members.limit("PidsLimit", Rule::PidsLimit)?,
        oom_score_adj,
        ulimits: members.list("Ulimits", |value, field| {
            let mut members = Members::of(value, field)?;
            let ulimit = Ulimit {
                name: members.required("Name", Rule::UlimitLimit, UlimitName::parse)?,
                soft: members.limit("Soft", Rule::UlimitLimit)?.unwrap_or(0),
                hard: members.limit("Hard", Rule::UlimitLimit)?.unwrap_or(0),
            };
            members.finish().map(|()| ulimit)
        })?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::docker::post;
    use crate::refusal::Rule;

    #[test]
    fn a_device_is_refused_as_one_in_any_spelling() {
        for path in [
            "/dev/./sda",
            "/dev//sda",
            "/dev/../dev/sda",
            "/dev/sda/",
            "dev/sda",
            "vendor.com/gpu=all",
            "/dev/a:b",
            "",
        ] {
            let device = json!({ "PathOnHost": path, "PathInContainer": "/dev/x" });
            let body = json!({ "Image": "app:1", "HostConfig": { "Devices": [device] } });
            let refused = post("/v1.41/containers/create", &body.to_string()).unwrap_err();
            assert_eq!(refused.rule, Rule::Device, "{path}");
            let field = refused.field.unwrap();
            assert!(field.starts_with("HostConfig.Devices[0]"), "{field}");
        }
    }
}
