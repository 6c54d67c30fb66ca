//! The volumes of a compose service, short and long.

use crate::host_path::HostPath;
use crate::interpolate::interpolate;
use crate::node::Node;
use crate::settings::{Mount, MountSource};

/// The top-level `volumes` that are bind mounts in disguise: the local driver with `o: bind` and a
/// `device` of the host.
#[derive(Debug, Default)]
pub(super) struct NamedVolumes(Vec<(String, String)>);

impl NamedVolumes {
    pub(super) fn read(volumes: Option<&Node>) -> Self {
        let mut found = Vec::new();
        for entry in volumes.map_or(&[][..], Node::entries) {
            let Some(options) = entry.node.get("driver_opts") else {
                continue;
            };
            let option = |key| options.get(key).and_then(Node::text).map(interpolate);
            let Some(device) = option("device") else {
                continue;
            };
            let binds = option("o").is_some_and(|o| {
                o.split(',')
                    .any(|part| matches!(part.trim(), "bind" | "rbind"))
            });
            let no_filesystem = option("type").is_none_or(|kind| kind == "none" || kind == "bind");
            if binds || (no_filesystem && device.starts_with('/')) || device.starts_with("/dev/") {
                found.push((entry.key.clone(), device));
            }
        }
        Self(found)
    }

    /// Reads one item of a service's `volumes`.
    pub(super) fn mount(&self, item: &Node) -> Option<Mount> {
        match item.text() {
            Some(text) => Some(self.short(&interpolate(text))),
            None => self.long(item),
        }
    }

    /// `[SOURCE:]TARGET[:MODE]`
    fn short(&self, text: &str) -> Mount {
        let parts = split(text);
        let (source, target, mode) = match parts.as_slice() {
            [target] => (None, *target, ""),
            [source, target] => (Some(*source), *target, ""),
            [source, target, mode, ..] => (Some(*source), *target, *mode),
            [] => (None, "", ""),
        };
        let options: Vec<&str> = mode.split(',').collect();
        let propagation = options
            .iter()
            .find(|option| option.ends_with("shared") || option.ends_with("slave"))
            .map(|option| (*option).to_owned());
        Mount {
            source: source.map_or(MountSource::Private, |source| self.source(source)),
            target: target.to_owned(),
            read_only: options.contains(&"ro") || options.contains(&"readonly"),
            propagation,
        }
    }

    fn long(&self, item: &Node) -> Option<Mount> {
        let text = |key| item.get(key).and_then(Node::text).map(interpolate);
        let target = text("target")?;
        let source = match (text("type").as_deref(), text("source")) {
            (Some("bind" | "npipe"), Some(source)) => MountSource::Host {
                path: HostPath::parse(&source),
                written: source,
            },
            (Some("volume") | None, Some(source)) => self.source(&source),
            _ => MountSource::Private,
        };
        Some(Mount {
            source,
            target,
            read_only: item
                .get("read_only")
                .and_then(Node::truth)
                .unwrap_or_default(),
            propagation: item
                .get("bind")
                .and_then(|bind| bind.get("propagation"))
                .and_then(Node::text)
                .map(str::to_owned),
        })
    }

    /// A path when it looks like one, else the name of a volume, as compose decides it.
    fn source(&self, source: &str) -> MountSource {
        let path = HostPath::parse(source);
        let looks_like_a_path = source.contains(['/', '\\'])
            || source.starts_with(['.', '~', '$'])
            || matches!(path, HostPath::Windows(_));
        if looks_like_a_path {
            return MountSource::Host {
                written: source.to_owned(),
                path,
            };
        }
        match self.0.iter().find(|(name, _)| name == source) {
            Some((_, device)) => MountSource::Host {
                written: device.clone(),
                path: HostPath::parse(device),
            },
            None => MountSource::Volume(source.to_owned()),
        }
    }
}

/// The mount, short, for evidence.
pub(super) fn written(mount: &Mount) -> String {
    let source = match &mount.source {
        MountSource::Host { written, .. } => written.as_str(),
        MountSource::Volume(name) => name.as_str(),
        MountSource::Private => return mount.target.clone(),
    };
    let mode = if mount.read_only { ":ro" } else { "" };
    format!("{source}:{}{mode}", mount.target)
}

/// Splits at colons, but not at that of a drive letter or of a variable's braces.
fn split(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut parts = Vec::new();
    let mut start = 0;
    let mut braces = 0_usize;
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' => braces += 1,
            b'}' => braces = braces.saturating_sub(1),
            b':' if braces == 0 => {
                let drive = index == start + 1
                    && bytes[start].is_ascii_alphabetic()
                    && matches!(bytes.get(index + 1), Some(b'\\' | b'/'));
                // `a:/b` is a volume `a`, and so is `a:/b:ro`; `a:/b:/c` is a drive.
                let rest = &text[index + 1..];
                let target = rest.split_once(':').map(|(_, target)| target);
                let drive = drive
                    && (rest.starts_with('\\')
                        || target.is_some_and(|target| target.starts_with(['/', '\\'])));
                if !drive {
                    parts.push(&text[start..index]);
                    start = index + 1;
                }
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volumes(text: &str) -> NamedVolumes {
        let node = Node::parse("c", text.as_bytes()).unwrap();
        NamedVolumes::read(node.get("volumes"))
    }

    fn one(text: &str) -> Mount {
        let node = Node::parse("c", format!("v: {text}").as_bytes()).unwrap();
        volumes(
            "volumes:\n  disguised:\n    driver_opts: {type: none, o: bind, device: /etc}\n  \
                 nfs:\n    driver_opts: {type: nfs, o: \"addr=10.0.0.1\", device: \":/x\"}\n",
        )
        .mount(node.get("v").unwrap())
        .unwrap()
    }

    #[test]
    fn a_path_and_a_named_volume_are_told_apart() {
        for (text, source) in [
            ("/run:/run", Some("/run")),
            (
                "\"/var/run/docker.sock:/s:ro\"",
                Some("/var/run/docker.sock"),
            ),
            ("./conf:/etc/nginx:ro", Some("./conf")),
            ("~/.aws:/root/.aws", Some("~/.aws")),
            (
                "${SOCK:-/var/run/docker.sock}:/s",
                Some("/var/run/docker.sock"),
            ),
            ("${DATA}/x:/y", Some("${DATA}/x")),
            ("'C:\\x:/y'", Some("C:\\x")),
            ("disguised:/x", Some("/etc")),
            ("{type: bind, source: /etc, target: /x}", Some("/etc")),
            (
                "{type: npipe, source: '\\\\.\\pipe\\docker_engine', target: x}",
                Some("\\\\.\\pipe\\docker_engine"),
            ),
            ("data:/var/lib/db", None),
            ("nfs:/x", None),
            ("a:/x", None),
            ("a:/x:ro", None),
            ("/var/lib/db", None),
            ("{type: volume, source: data, target: /x}", None),
            ("{type: tmpfs, target: /x}", None),
        ] {
            let mount = one(text);
            assert_eq!(mount.host().map(|(written, _)| written), source, "{text}");
        }
    }

    #[test]
    fn modes_are_read_in_both_syntaxes() {
        assert!(one("/a:/b:ro").read_only);
        assert!(one("/a:/b:z,ro").read_only);
        assert!(!one("/a:/b:rw").read_only);
        assert!(one("{type: bind, source: /a, target: /b, read_only: true}").read_only);
        assert_eq!(
            one("/a:/b:ro,rshared").propagation.as_deref(),
            Some("rshared")
        );
        let long = "{type: bind, source: /a, target: /b, bind: {propagation: shared}}";
        assert_eq!(one(long).propagation.as_deref(), Some("shared"));
    }
}
