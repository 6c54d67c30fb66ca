//! What is mounted into a container: binds of the pretended host, volumes, and those of others.

use super::valid_name;
use crate::answer::Refusal;
use crate::files::{Mounted, Root, normal};
use crate::state::{Engine, Inner, random_id};
use crate::volume::{Volume, host_path, mount_point};
use jiff::Timestamp;
use rustix::io::Errno;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One mount as the engine made it.
#[derive(Debug, Clone)]
pub(crate) struct Mount {
    /// `MountPoint` of the reference.
    pub(crate) shown: Value,
    /// The volume's name, where it is one.
    pub(crate) volume: Option<String>,
}

/// One mount as it is asked for.
struct Wanted {
    kind: &'static str,
    source: String,
    target: String,
    mode: String,
    /// The short form makes a directory of the host that is missing, the long form refuses.
    create: bool,
    labels: Option<BTreeMap<String, String>>,
    options: Option<BTreeMap<String, String>>,
}

const MODES: &[&str] = &[
    "ro",
    "rw",
    "z",
    "Z",
    "rprivate",
    "private",
    "rshared",
    "shared",
    "rslave",
    "slave",
    "nocopy",
    "consistent",
    "cached",
    "delegated",
];

/// Checks and opens what is mounted.
pub(super) fn open(
    engine: &Engine,
    inner: &mut Inner,
    root: &Root,
    config: &Map<String, Value>,
    host_config: &Map<String, Value>,
) -> Result<(Vec<Mount>, Vec<Mounted>), Refusal> {
    let mut mounts: Vec<Mount> = Vec::new();
    let mut opened: Vec<Mounted> = Vec::new();
    for from in texts(host_config.get("VolumesFrom")) {
        let (key, mode) = from.split_once(':').unwrap_or((from, "rw"));
        let other = inner.container(key)?;
        mounts.extend(other.mounts.iter().cloned());
        let taken = other.context.view.mounts.iter().cloned();
        opened.extend(taken.map(|mount| Mounted {
            read_only: mount.read_only || mode == "ro",
            ..mount
        }));
    }
    let mut targets = Vec::new();
    for wanted in asked(config, host_config)? {
        let target = absolute(&wanted.target)?;
        if targets.contains(&target) {
            return Err(Refusal::bad(format!("Duplicate mount point: {target}")));
        }
        targets.push(target.clone());
        mounts.retain(|mount| mount.shown["Destination"] != target.as_str());
        opened.retain(|mount| mount.target != target);
        let (mount, place) = one(engine, inner, host_config, &wanted, &target)?;
        root.make_dirs(&target)
            .map_err(|error| Refusal::internal(std::io::Error::from(error)))?;
        mounts.push(mount);
        opened.extend(place);
    }
    Ok((mounts, opened))
}

/// What a body asks for, in the order in which dockerd looks at it.
fn asked(
    config: &Map<String, Value>,
    host_config: &Map<String, Value>,
) -> Result<Vec<Wanted>, Refusal> {
    let mut wanted = Vec::new();
    for bind in texts(host_config.get("Binds")) {
        let mut parts = bind.split(':');
        let (Some(source), Some(target), mode) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Refusal::bad(format!(
                "invalid volume specification: '{bind}'"
            )));
        };
        if parts.next().is_some() || source.is_empty() {
            return Err(Refusal::bad(format!(
                "invalid volume specification: '{bind}'"
            )));
        }
        wanted.push(Wanted {
            kind: if source.starts_with('/') {
                "bind"
            } else {
                "volume"
            },
            source: source.to_owned(),
            target: target.to_owned(),
            mode: mode.unwrap_or_default().to_owned(),
            create: true,
            labels: None,
            options: None,
        });
    }
    for mount in host_config
        .get("Mounts")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        wanted.push(long(mount)?);
    }
    for target in config
        .get("Volumes")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::keys)
    {
        let is_taken = wanted
            .iter()
            .any(|other| normal(&other.target) == normal(target));
        if !is_taken {
            wanted.push(Wanted {
                kind: "volume",
                source: String::new(),
                target: target.clone(),
                mode: String::new(),
                create: true,
                labels: None,
                options: None,
            });
        }
    }
    Ok(wanted)
}

/// The long form.
fn long(mount: &Value) -> Result<Wanted, Refusal> {
    let text = |name: &str| mount[name].as_str().unwrap_or_default().to_owned();
    let (given, source) = (text("Type"), text("Source"));
    let kind = match given.as_str() {
        "bind" => "bind",
        "volume" => "volume",
        "tmpfs" => "tmpfs",
        other => {
            return Err(Refusal::bad(format!(
                "invalid mount config for type \"{other}\": mount type unknown: \"{other}\""
            )));
        }
    };
    let is_sound = match kind {
        "bind" => source.starts_with('/'),
        "tmpfs" => source.is_empty(),
        _ => !source.starts_with('/'),
    };
    if !is_sound {
        return Err(Refusal::bad(format!(
            "invalid mount config for type \"{kind}\": invalid mount path: '{source}'"
        )));
    }
    let propagation = &mount["BindOptions"]["Propagation"];
    let mode = [
        if mount["ReadOnly"] == true { "ro" } else { "" },
        propagation.as_str().unwrap_or_default(),
    ];
    let map = |value: &Value| serde_json::from_value(value.clone()).unwrap_or_default();
    Ok(Wanted {
        kind,
        source,
        target: text("Target"),
        mode: mode.join(",").trim_matches(',').to_owned(),
        create: false,
        labels: map(&mount["VolumeOptions"]["Labels"]),
        options: map(&mount["VolumeOptions"]["DriverConfig"]["Options"]),
    })
}

/// One mount, and where its files are.
fn one(
    engine: &Engine,
    inner: &mut Inner,
    host_config: &Map<String, Value>,
    wanted: &Wanted,
    target: &str,
) -> Result<(Mount, Option<Mounted>), Refusal> {
    let options: Vec<_> = wanted
        .mode
        .split(',')
        .filter(|option| !option.is_empty())
        .collect();
    if let Some(unknown) = options.iter().find(|option| !MODES.contains(option)) {
        return Err(Refusal::bad(format!("invalid mode: {unknown}")));
    }
    let read_only = options.contains(&"ro");
    let mut volume = None;
    let mut on_host = wanted.kind == "bind";
    let (source, place, file) = match wanted.kind {
        "tmpfs" => (String::new(), None, None),
        "bind" => {
            let (place, file) = bind(engine, &wanted.source, wanted.create)?;
            (normal(&wanted.source), Some(place), file)
        }
        _ => {
            let name = match wanted.source.as_str() {
                "" => random_id().map_err(Refusal::internal)?,
                name if valid_name(name) => name.to_owned(),
                name => return Err(invalid_volume(name)),
            };
            let one = inner.add_volume(
                engine,
                Volume {
                    name: name.clone(),
                    created: Timestamp::now(),
                    labels: wanted.labels.clone(),
                    options: wanted.options.clone(),
                    anonymous: wanted.source.is_empty(),
                },
            )?;
            let (place, is_host) = one.open(engine)?;
            on_host = is_host;
            volume = Some(name.clone());
            (mount_point(&name), Some(place), None)
        }
    };
    let propagation = options
        .iter()
        .find(|option| option.ends_with("shared") || option.ends_with("slave"))
        .map_or("rprivate", |option| option);
    let mut shown = json!({
        "Type": wanted.kind,
        "Source": source,
        "Destination": target,
        "Mode": wanted.mode,
        "RW": !read_only,
        "Propagation": if wanted.kind == "bind" { propagation } else { "" },
    });
    if let Some(name) = &volume {
        shown["Name"] = name.clone().into();
        shown["Driver"] = "local".into();
    }
    let own_users = host_config
        .get("UsernsMode")
        .is_some_and(|mode| mode == "host");
    let mounted = place.map(|root| Mounted {
        target: target.to_owned(),
        root,
        file,
        read_only,
        // Root in the container is nobody of the host, unless the container asks for the host's
        // users where they are only mapped.
        foreign: on_host && (engine.options.rootless || engine.options.userns_remap && !own_users),
    });
    Ok((Mount { shown, volume }, mounted))
}

/// A directory of the pretended host, or one of its files.
fn bind(engine: &Engine, source: &str, create: bool) -> Result<(Root, Option<String>), Refusal> {
    let source = host_path(source);
    let failed = |error: Errno| Refusal::internal(std::io::Error::from(error));
    let found = match engine.host.below(&source) {
        Err(Errno::NOENT) if create => {
            engine.host.make_dirs(&source).map_err(failed)?;
            engine.host.below(&source)
        }
        found => found,
    };
    match found {
        Ok(Ok(directory)) => Ok((directory, None)),
        Ok(Err(_)) => Ok((engine.host.clone(), Some(source))),
        Err(Errno::NOENT) => Err(Refusal::bad(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {source}"
        ))),
        Err(error) => Err(failed(error)),
    }
}

fn absolute(target: &str) -> Result<String, Refusal> {
    if !target.starts_with('/') {
        return Err(Refusal::bad(format!(
            "invalid mount config: invalid mount path: '{target}' mount path must be absolute"
        )));
    }
    match normal(target).as_str() {
        "/" => Err(Refusal::bad(
            "invalid specification: destination can't be '/'",
        )),
        target => Ok(target.to_owned()),
    }
}

pub(crate) fn invalid_volume(name: &str) -> Refusal {
    Refusal::bad(format!(
        "create {name}: \"{name}\" includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use \
         absolute path"
    ))
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = list.and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}
