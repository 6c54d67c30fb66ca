//! Mounts in the engine's four forms: `Binds`, `Mounts`, `Tmpfs`, and the size of `/dev/shm`.

use super::prelude::*;
use super::volumes::local_driver;
use crate::container::{Bind, BindSource, Mount, Storage, TmpfsOptions};
use crate::json::{Default, Members, Never};
use crate::name::VolumeRef;
use crate::path::{ContainerPath, HostPath};
use crate::value::{Labels, bytes};

const NEVER_OF_BIND: &[Never] = &[
    option("NonRecursive"),
    option("CreateMountpoint"),
    option("ReadOnlyNonRecursive"),
    option("ReadOnlyForceRecursive"),
];

const NEVER_OF_VOLUME: &[Never] = &[Never {
    name: "Subpath",
    rule: Rule::MountOption,
    why: "a part of a volume is not mounted alone",
    default: Default::Any,
}];

const NEVER_OF_TMPFS: &[Never] = &[option("Options")];

/// What a type of mount does not take of the others: the engine refuses it or passes it over.
const FOREIGN: &[Never] = &[
    foreign("BindOptions"),
    foreign("ClusterOptions"),
    foreign("ImageOptions"),
    foreign("TmpfsOptions"),
    foreign("VolumeOptions"),
    Never {
        name: "Source",
        rule: Rule::MountOption,
        why: "a tmpfs is made of memory",
        default: Default::Any,
    },
];

const fn foreign(name: &'static str) -> Never {
    Never {
        name,
        rule: Rule::MountOption,
        why: "they are options of another type of mount",
        default: Default::Any,
    }
}

const fn option(name: &'static str) -> Never {
    Never {
        name,
        rule: Rule::MountOption,
        why: "mounts here are read-only or not, and nothing else",
        default: Default::Any,
    }
}

pub(super) fn read(members: &mut Members, storage: &mut Storage) -> Result<(), Refusal> {
    storage.binds = members.parsed_list("Binds", bind)?;
    storage.mounts = members.list("Mounts", |value, field| mount(Members::of(value, field)?))?;
    let field = members.field("Tmpfs");
    for (path, options) in members.text_map("Tmpfs")? {
        let at = |refusal: Refusal| refusal.at(format!("{field}[{}]", quote(&path)));
        let target = ContainerPath::normal(&path, Rule::MountTarget).map_err(at)?;
        if storage
            .tmpfs
            .insert(target, tmpfs_options(&options).map_err(at)?)
            .is_some()
        {
            return Err(at(Refusal::new(
                Rule::JsonDuplicate,
                "the path is given twice",
            )));
        }
    }
    storage.shm_size = members.limit("ShmSize", Rule::ShmLimit)?;
    storage.read_only_root = members.flag("ReadonlyRootfs")?;
    Ok(())
}

/// `source:target[:options]`.
fn bind(text: &str) -> Result<Bind, Refusal> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        // What begins with a path is a mount of the host, whatever comes after.
        [source, _, _, _, ..] if is_path(source) => return Err(of_the_host(source)),
        // A volume has two letters at least, so that this is a drive of Windows.
        [drive, path, rest @ ..]
            if drive.len() == 1
                && (path.starts_with('\\')
                    || path.starts_with('/')
                        && rest.first().is_some_and(|target| target.starts_with('/'))) =>
        {
            return Err(of_the_host(&format!("{drive}:{path}")));
        }
        [source, target] => (*source, *target, ""),
        [source, target, options] => (*source, *target, *options),
        _ => {
            return Err(Refusal::new(
                Rule::MountType,
                format!("{} is not `volume:target[:options]`", quote(text)),
            ));
        }
    };
    let source = if source.starts_with('/') {
        BindSource::Host(host_path(source)?)
    } else {
        BindSource::Volume(volume(source)?)
    };
    let target = ContainerPath::normal(target, Rule::MountTarget)?;
    let mut bind = Bind {
        source,
        target,
        read_only: false,
        no_copy: false,
    };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => bind.read_only = true,
            "nocopy" => bind.no_copy = true,
            // The defaults, and words that mean something on a Mac only.
            "rw" | "rprivate" | "consistent" | "cached" | "delegated" | "default" => {}
            _ => {
                // A mount of the host is the graver fault of the two.
                let rule = match bind.source {
                    BindSource::Host(_) => Rule::HostPath,
                    BindSource::Volume(_) => Rule::MountOption,
                };
                return Err(Refusal::new(
                    rule,
                    format!(
                        "{} relabels the host's files or lets mounts spread",
                        quote(option)
                    ),
                ));
            }
        }
    }
    Ok(bind)
}

/// A volume by its name. What looks like a path is refused as one.
fn volume(source: &str) -> Result<VolumeRef, Refusal> {
    match is_path(source) {
        true => Err(of_the_host(source)),
        false => VolumeRef::parse(source),
    }
}

/// Whether a source is a path of the host in some spelling, and so no volume.
fn is_path(source: &str) -> bool {
    source.contains(['/', '\\', '~']) || source.starts_with('.')
}

fn of_the_host(source: &str) -> Refusal {
    Refusal::new(
        Rule::HostPath,
        format!("{} is a path of the host; name a volume", quote(source)),
    )
}

/// A path of the host, which must be written plainly: an exception names it letter by letter.
fn host_path(text: &str) -> Result<HostPath, Refusal> {
    let text = if text.len() > 1 {
        text.strip_suffix('/').unwrap_or(text)
    } else {
        text
    };
    HostPath::parse(text)
}

fn mount(mut members: Members) -> Result<Mount, Refusal> {
    let kind = members.required("Type", Rule::MountType, |kind| Ok(kind.to_owned()))?;
    let target = members.required("Target", Rule::MountTarget, |path| {
        ContainerPath::normal(path, Rule::MountTarget)
    });
    let read_only = members.flag("ReadOnly")?;
    // A word that means something on a Mac only.
    members.text("Consistency")?;
    let mount = match kind.as_str() {
        "volume" => {
            let source = members.parsed("Source", volume)?;
            let (no_copy, labels) = match members.object("VolumeOptions")? {
                Some(options) => volume_options(options)?,
                None => (false, Labels::default()),
            };
            Mount::Volume {
                source,
                target: target?,
                read_only,
                no_copy,
                labels,
            }
        }
        "tmpfs" => {
            let (size, mode) = match members.object("TmpfsOptions")? {
                Some(options) => tmpfs_struct(options)?,
                None => (None, None),
            };
            Mount::Tmpfs {
                target: target?,
                size,
                mode,
                read_only,
            }
        }
        "bind" => {
            let source = members.required("Source", Rule::HostPath, host_path)?;
            if let Some(mut options) = members.object("BindOptions")? {
                options.never(NEVER_OF_BIND)?;
                options.parsed("Propagation", |word| match word {
                    "rprivate" => Ok(()),
                    _ => Err(Refusal::new(
                        Rule::MountOption,
                        format!("{} lets mounts spread to the host", quote(word)),
                    )),
                })?;
                options.finish()?;
            }
            Mount::Host {
                source,
                target: target?,
                read_only,
            }
        }
        other => {
            return Err(Refusal::new(
                Rule::MountType,
                format!(
                    "{} is not offered; mount a `volume` or a `tmpfs`",
                    quote(other)
                ),
            )
            .at(members.field("Type")));
        }
    };
    // What is of the type itself has been taken.
    members.never(FOREIGN)?;
    members.finish().map(|()| mount)
}

fn volume_options(mut members: Members) -> Result<(bool, Labels), Refusal> {
    let no_copy = members.flag("NoCopy")?;
    let labels = Labels(members.text_map("Labels")?.into_iter().collect());
    members.never(NEVER_OF_VOLUME)?;
    if let Some(mut driver) = members.object("DriverConfig")? {
        driver.parsed("Name", local_driver)?;
        driver.never(&[Never {
            name: "Options",
            rule: Rule::VolumeDriver,
            why: "options of `local` mount any directory, device or share as a volume",
            default: Default::Any,
        }])?;
        driver.finish()?;
    }
    members.finish().map(|()| (no_copy, labels))
}

fn tmpfs_struct(mut members: Members) -> Result<(Option<u64>, Option<u32>), Refusal> {
    let size = members.limit("SizeBytes", Rule::TmpfsLimit)?;
    let mode = members.limit("Mode", Rule::MountOption)?;
    let mode = mode
        .map(|mode| u32::try_from(mode).ok().filter(|mode| *mode <= 0o7777))
        .map(|mode| {
            mode.ok_or_else(|| {
                Refusal::new(Rule::MountOption, "it is no mode").at(members.field("Mode"))
            })
        })
        .transpose()?;
    members.never(NEVER_OF_TMPFS)?;
    members.finish().map(|()| (size, mode))
}

/// `size=64m,mode=1777,…`.
fn tmpfs_options(text: &str) -> Result<TmpfsOptions, Refusal> {
    let mut options = TmpfsOptions::default();
    for option in text.split(',').filter(|option| !option.is_empty()) {
        let fail = || {
            Refusal::new(
                Rule::MountOption,
                format!("{} is no option of a tmpfs here", quote(option)),
            )
        };
        let number = |text: &str, radix| {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            u32::from_str_radix(text, radix)
                .ok()
                .filter(|_| plain)
                .ok_or_else(fail)
        };
        match option.split_once('=').unwrap_or((option, "")) {
            ("rw" | "noexec" | "nosuid" | "nodev", "") => {}
            ("ro", "") => options.read_only = true,
            ("exec", "") => options.exec = true,
            ("size", size) => options.size = Some(bytes(size).ok_or_else(fail)?),
            ("mode", mode) => {
                options.mode = Some(number(mode, 8)?).filter(|mode| *mode <= 0o7777);
                options.mode.ok_or_else(fail)?;
            }
            ("uid", uid) => options.uid = Some(number(uid, 10)?),
            ("gid", gid) => options.gid = Some(number(gid, 10)?),
            _ => return Err(fail()),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::docker::post;

    fn rule(host: Value) -> Option<Rule> {
        let body = json!({ "Image": "app:1", "HostConfig": host }).to_string();
        let refused = post("/v1.41/containers/create", &body).err();
        refused.map(|refusal| refusal.rule)
    }

    #[test]
    fn a_path_in_the_place_of_a_volume_is_a_path_of_the_host() {
        for source in [
            "/",
            "//",
            "../x",
            ".",
            "~/x",
            "a/b",
            "C:\\",
            "C:/x",
            "\\\\.\\pipe\\docker_engine",
        ] {
            let mount = json!({ "Type": "volume", "Source": source, "Target": "/h" });
            let refused = rule(json!({ "Mounts": [mount] }));
            assert_eq!(refused, Some(Rule::HostPath), "{source}");
        }
        for bind in [
            "C:\\:/h",
            "C:\\x:/h:ro",
            "C:/x:/h",
            "/:/h:ro:z",
            "../x:/h:ro:z",
            "./x:/h",
            "~:/h",
            "a/b:/h",
            "\\\\.\\pipe\\docker_engine:/h",
        ] {
            let refused = rule(json!({ "Binds": [bind] }));
            assert_eq!(refused, Some(Rule::HostPath), "{bind}");
        }
        let named = json!({ "Type": "volume", "Source": "data", "Target": "/h" });
        let anonymous = json!({ "Type": "volume", "Target": "/h" });
        assert_eq!(rule(json!({ "Mounts": [named, anonymous] })), None);
        assert_eq!(rule(json!({ "Binds": ["data:/h", "data:/h:ro"] })), None);
        let four = rule(json!({ "Binds": ["data:/h:ro:z"] }));
        assert_eq!(four, Some(Rule::MountType));
    }

    #[test]
    fn options_of_another_type_of_mount_are_refused_as_options() {
        let harmful = |name: &str| match name {
            "BindOptions" => json!({ "Propagation": "rshared" }),
            "VolumeOptions" => json!({ "NoCopy": true }),
            "TmpfsOptions" => json!({ "SizeBytes": 1 }),
            _ => json!({ "Subpath": "x" }),
        };
        for (kind, names) in [
            (
                "volume",
                [
                    "BindOptions",
                    "TmpfsOptions",
                    "ClusterOptions",
                    "ImageOptions",
                ],
            ),
            (
                "tmpfs",
                [
                    "BindOptions",
                    "VolumeOptions",
                    "ClusterOptions",
                    "ImageOptions",
                ],
            ),
            (
                "bind",
                [
                    "VolumeOptions",
                    "TmpfsOptions",
                    "ClusterOptions",
                    "ImageOptions",
                ],
            ),
        ] {
            for name in names {
                let mut mount = json!({ "Type": kind, "Target": "/h" });
                if kind != "tmpfs" {
                    let source = if kind == "bind" { "/srv" } else { "data" };
                    mount["Source"] = json!(source);
                }
                // Where the options say nothing they are not there.
                mount[name] = json!({});
                assert_eq!(rule(json!({ "Mounts": [mount] })), None, "{kind} {name}");
                mount[name] = harmful(name);
                let refused = rule(json!({ "Mounts": [mount] }));
                assert_eq!(refused, Some(Rule::MountOption), "{kind} {name}");
            }
        }
        let mount = json!({ "Type": "tmpfs", "Source": "/", "Target": "/h" });
        assert_eq!(rule(json!({ "Mounts": [mount] })), Some(Rule::MountOption));
        // A type that is not offered is refused as one, whatever its options say.
        let mount = json!({
            "Type": "cluster", "Target": "/h", "ClusterOptions": harmful("ClusterOptions"),
        });
        assert_eq!(rule(json!({ "Mounts": [mount] })), Some(Rule::MountType));
    }
}
