//! The engine itself: disk usage, information, version.

use cofferdam_action::OLDEST_MINOR;
use serde_json::{Map, Value, json};

use super::json::{text, text_of};
use super::{containers, images, volumes};
use crate::tenancy::owner::Kind;
use crate::tenancy::sight::Sight;

/// How many containers a tenant has, and images they see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) running: usize,
    pub(crate) paused: usize,
    pub(crate) stopped: usize,
    pub(crate) images: usize,
}

/// What `docker info` and client libraries read. What names or describes the host beyond what every
/// container sees is not among it: its name, paths, proxies (which may hold a password), registries,
/// descriptors.
const INFO: &[&str] = &[
    "Containers",
    "ContainersRunning",
    "ContainersPaused",
    "ContainersStopped",
    "Images",
    "Driver",
    "MemoryLimit",
    "SwapLimit",
    "KernelMemory",
    "KernelMemoryTCP",
    "CpuCfsPeriod",
    "CpuCfsQuota",
    "CPUShares",
    "CPUSet",
    "PidsLimit",
    "OomKillDisable",
    "IPv4Forwarding",
    "BridgeNfIptables",
    "BridgeNfIp6tables",
    "SystemTime",
    "LoggingDriver",
    "CgroupDriver",
    "CgroupVersion",
    "KernelVersion",
    "OperatingSystem",
    "OSVersion",
    "OSType",
    "Architecture",
    "IndexServerAddress",
    "NCPU",
    "MemTotal",
    "ExperimentalBuild",
    "ServerVersion",
    "DefaultRuntime",
    "Isolation",
    "SecurityOptions",
];

/// Members that clients expect to be there, with nothing in them.
fn empty_info() -> Map<String, Value> {
    let empty = json!({
        "ID": "",
        "Name": "cofferdam",
        "DriverStatus": null,
        "Plugins": { "Volume": ["local"], "Network": ["bridge"], "Authorization": null, "Log": [] },
        "Debug": false,
        "NFd": 0,
        "NGoroutines": 0,
        "NEventsListener": 0,
        "RegistryConfig": null,
        "GenericResources": null,
        "DockerRootDir": "",
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Labels": [],
        "Runtimes": {},
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": false,
            "Error": "",
            "RemoteManagers": null,
        },
        "LiveRestoreEnabled": false,
        "InitBinary": "",
        "ContainerdCommit": { "ID": "", "Expected": "" },
        "RuncCommit": { "ID": "", "Expected": "" },
        "InitCommit": { "ID": "", "Expected": "" },
        "Warnings": null,
    });
    match empty {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// What the engine is, with the tenant's own counts; the engine's where they see all.
pub(super) fn info(engine: &Map<String, Value>, counts: Option<&Counts>) -> Value {
    let mut info = empty_info();
    for member in INFO {
        if let Some(value) = engine.get(*member) {
            info.insert((*member).to_owned(), value.clone());
        }
    }
    let runtime = text(engine, "DefaultRuntime");
    if !runtime.is_empty() {
        info.insert("Runtimes".to_owned(), json!({ runtime: { "path": "" } }));
    }
    if let Some(counts) = counts {
        let Counts {
            running,
            paused,
            stopped,
            images,
        } = *counts;
        for (member, count) in [
            ("Containers", running + paused + stopped),
            ("ContainersRunning", running),
            ("ContainersPaused", paused),
            ("ContainersStopped", stopped),
            ("Images", images),
        ] {
            info.insert(member.to_owned(), count.into());
        }
    }
    info.into()
}

/// The engine's version, with the one API version that is served.
pub(super) fn version(version: &mut Map<String, Value>) {
    let api = format!("1.{OLDEST_MINOR}");
    let set = |of: &mut Map<String, Value>| {
        for member in ["ApiVersion", "MinAPIVersion"] {
            if of.contains_key(member) {
                of.insert(member.to_owned(), api.clone().into());
            }
        }
    };
    set(version);
    let components = version.get_mut("Components").and_then(Value::as_array_mut);
    let details = components.into_iter().flatten();
    let details = details.filter_map(|component| component.get_mut("Details")?.as_object_mut());
    details.for_each(set);
}

/// What is stored of the tenant's, and of images that they see.
pub(super) fn disk_usage(usage: &mut Map<String, Value>, sight: &Sight) -> Option<()> {
    if let Some(containers) = list(usage, "Containers")? {
        containers.retain_mut(|container| {
            container.as_object_mut().is_some_and(|container| {
                let sees = sight.sees(Kind::Container, text(container, "Id"));
                if sees {
                    containers::whole(container, sight);
                }
                sees
            })
        });
    }
    if let Some(volumes) = list(usage, "Volumes")? {
        volumes.retain_mut(|volume| {
            let volume = volume.as_object_mut();
            volume.is_some_and(|volume| volumes::seen(volume, sight))
        });
    }
    if sight.sees_all {
        return Some(());
    }
    let of_image = |usage: &Map<String, Value>, id: &str| {
        let containers = usage.get("Containers").and_then(Value::as_array);
        let containers = containers.into_iter().flatten();
        containers.filter(|it| text_of(it, "ImageID") == id).count()
    };
    let mut images = match usage.get_mut("Images")?.take() {
        Value::Array(images) => images,
        _ => Vec::new(),
    };
    images::list(&mut images, sight);
    let mut size = 0;
    for image in images.iter_mut().filter_map(Value::as_object_mut) {
        let used = of_image(usage, text(image, "Id"));
        image.insert("Containers".to_owned(), used.into());
        size = image
            .get("Size")
            .and_then(Value::as_u64)
            .unwrap_or(0)
            .saturating_add(size);
    }
    usage.insert("Images".to_owned(), images.into());
    // Layers that two images share count twice; the engine's own number is of everybody's.
    usage.insert("LayersSize".to_owned(), size.into());
    usage.insert("BuildCache".to_owned(), Value::Null);
    usage.insert("BuilderSize".to_owned(), 0.into());
    Some(())
}

/// A member that is a list or `null`; nothing of another kind is shown.
fn list<'a>(usage: &'a mut Map<String, Value>, member: &str) -> Option<Option<&'a mut Vec<Value>>> {
    match usage.get_mut(member) {
        None | Some(Value::Null) => Some(None),
        Some(value) => Some(Some(value.as_array_mut()?)),
    }
}
