//! `docker inspect` of containers: what was created, with what the image brought along.

use crate::host_path::HostPath;
use crate::node::{Entry, Node, Value};
use crate::settings::{At, Mount, MountSource, Origin, PublishedPort, Settings, Variable};
use cofferdam_finding::SourceLine;

/// Reads a list of containers.
pub(crate) fn parse(file: &str, containers: &[Node]) -> Vec<Settings> {
    containers
        .iter()
        .map(|container| Reader { file }.container(container))
        .collect()
}

struct Reader<'a> {
    file: &'a str,
}

impl Reader<'_> {
    fn container(&self, node: &Node) -> Settings {
        let empty = Node {
            value: Value::Null,
            line: node.line,
        };
        let config = node.get("Config").unwrap_or(&empty);
        let host = node.get("HostConfig").unwrap_or(&empty);
        let name = node
            .get("Name")
            .and_then(Node::text)
            .map(|name| name.trim_start_matches('/'))
            .filter(|name| !name.is_empty());
        let id = node.get("Id").and_then(Node::text).unwrap_or("container");
        let name = name.unwrap_or_else(|| id.get(..12).unwrap_or(id));
        let line = node.entry("Name").map_or(node.line, |entry| entry.line);
        let mut settings = Settings::new(
            Origin::Inspect,
            name,
            self.source(line, format!("Name: {name}")),
        );
        let labels = config.get("Labels").unwrap_or(&empty);
        settings.container_name = Some(name.to_owned());
        settings.service = labels
            .get("com.docker.compose.service")
            .and_then(Node::text)
            .map(str::to_owned);
        settings.project = labels
            .get("com.docker.compose.project")
            .and_then(Node::text)
            .map(str::to_owned);
        settings.kubernetes = labels
            .entries()
            .iter()
            .any(|label| label.key.starts_with("io.kubernetes."));

        settings.image = self.text(config, "Config", "Image");
        settings.user = self.text(config, "Config", "User").or_else(|| {
            // Podman and old engines leave an empty user out; the engine takes that for root.
            config.is_map().then(|| At {
                value: String::new(),
                at: self.source(config.line, "Config.User: \"\"".to_owned()),
            })
        });
        settings.groups = self.texts(host, "GroupAdd");
        settings.cap_add = self.texts(host, "CapAdd");
        settings.cap_drop = self.texts(host, "CapDrop");
        settings.security_opt = self.texts(host, "SecurityOpt");
        settings.privileged = self.truth(host, "Privileged");
        settings.read_only = self.truth(host, "ReadonlyRootfs");
        settings.pid = self.text(host, "HostConfig", "PidMode");
        settings.ipc = self.text(host, "HostConfig", "IpcMode");
        settings.network = self.text(host, "HostConfig", "NetworkMode");
        settings.userns = self.text(host, "HostConfig", "UsernsMode");
        settings.runtime = self.text(host, "HostConfig", "Runtime");
        settings.restart = host
            .get("RestartPolicy")
            .and_then(|policy| self.text(policy, "HostConfig.RestartPolicy", "Name"));
        let started = node
            .get("State")
            .and_then(|state| state.get("Status"))
            .and_then(Node::text)
            != Some("created");
        if started {
            // Both are filled in when the container starts.
            settings.apparmor = self.text(node, "", "AppArmorProfile");
            settings.selinux_label = self.text(node, "", "ProcessLabel");
        }
        settings.unmasked = ["MaskedPaths", "ReadonlyPaths"].iter().find_map(|key| {
            let entry = host.entry(key)?;
            let empty = matches!(&entry.node.value, Value::List(items) if items.is_empty());
            empty.then(|| At {
                value: (),
                at: self.source(entry.line, format!("HostConfig.{key}: []")),
            })
        });
        settings.mounts = self.mounts(node, host);
        for device in host.get("Devices").map_or(&[][..], Node::items) {
            if let Some(path) = device.get("PathOnHost").and_then(Node::text) {
                settings.devices.push(At {
                    value: path.to_owned(),
                    at: self.source(device.line, format!("HostConfig.Devices: {path}")),
                });
            }
        }
        for item in config.get("Env").map_or(&[][..], Node::items) {
            let Some(text) = item.text() else { continue };
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            let variable = Variable::new(name, Some(value));
            let shown = variable.kept.as_deref().unwrap_or("…");
            let at = self.source(item.line, format!("Config.Env: {name}={shown}"));
            settings.environment.push(At {
                value: variable,
                at,
            });
        }
        for (parent, key) in [(config, "Entrypoint"), (config, "Cmd")] {
            for item in parent.get(key).map_or(&[][..], Node::items) {
                if let Some(text) = item.text() {
                    let at = self.source(item.line, format!("Config.{key}: …"));
                    settings.command.push(At {
                        value: text.to_owned(),
                        at,
                    });
                }
            }
        }
        settings.published = self.ports(node, host);
        settings
    }

    fn mounts(&self, node: &Node, host: &Node) -> Vec<At<Mount>> {
        let mut mounts: Vec<At<Mount>> = Vec::new();
        for item in node.get("Mounts").map_or(&[][..], Node::items) {
            let text = |key| item.get(key).and_then(Node::text).unwrap_or_default();
            let source = match text("Type") {
                "bind" | "npipe" | "" => host_source(text("Source")),
                "volume" => MountSource::Volume(text("Name").to_owned()),
                _ => MountSource::Private,
            };
            let line = item.entry("Source").map_or(item.line, |entry| entry.line);
            mounts.push(self.mount(
                line,
                "Mounts",
                Mount {
                    source,
                    target: text("Destination").to_owned(),
                    read_only: item.get("RW").and_then(Node::truth) == Some(false),
                    propagation: Some(text("Propagation").to_owned()).filter(|p| !p.is_empty()),
                },
            ));
        }
        // A volume whose driver binds a path of the host shows only here.
        for item in host.get("Mounts").map_or(&[][..], Node::items) {
            let target = item.get("Target").and_then(Node::text).unwrap_or_default();
            let options = item
                .get("VolumeOptions")
                .and_then(|options| options.get("DriverConfig"))
                .and_then(|driver| driver.get("Options"));
            let device = options
                .and_then(|options| options.get("device"))
                .and_then(Node::text);
            let binds = options
                .and_then(|options| options.get("o"))
                .and_then(Node::text)
                .is_some_and(|o| o.split(',').any(|part| matches!(part, "bind" | "rbind")));
            if let Some(device) = device.filter(|_| binds) {
                mounts.retain(|known| known.value.target != target);
                mounts.push(self.mount(
                    item.line,
                    "HostConfig.Mounts",
                    Mount {
                        source: host_source(device),
                        target: target.to_owned(),
                        read_only: item.get("ReadOnly").and_then(Node::truth) == Some(true),
                        propagation: None,
                    },
                ));
            }
        }
        for item in host.get("Binds").map_or(&[][..], Node::items) {
            let parts: Vec<&str> = item.text().unwrap_or_default().split(':').collect();
            let [source, target, rest @ ..] = parts.as_slice() else {
                continue;
            };
            let known = mounts.iter().any(|known| known.value.target == *target);
            if !known && source.starts_with('/') {
                let options: Vec<&str> = rest.iter().flat_map(|mode| mode.split(',')).collect();
                let propagation = options.iter().find(|option| option.ends_with("shared"));
                mounts.push(self.mount(
                    item.line,
                    "HostConfig.Binds",
                    Mount {
                        source: host_source(source),
                        target: (*target).to_owned(),
                        read_only: options.contains(&"ro"),
                        propagation: propagation.map(|option| (*option).to_owned()),
                    },
                ));
            }
        }
        mounts
    }

    fn mount(&self, line: u32, member: &str, mount: Mount) -> At<Mount> {
        let source = match &mount.source {
            MountSource::Host { written, .. } => written.as_str(),
            MountSource::Volume(name) => name.as_str(),
            MountSource::Private => "",
        };
        let mode = if mount.read_only { " (ro)" } else { "" };
        let text = format!("{member}: {source} at {}{mode}", mount.target);
        At {
            at: self.source(line, text),
            value: mount,
        }
    }

    fn ports(&self, node: &Node, host: &Node) -> Vec<At<PublishedPort>> {
        let live = node
            .get("NetworkSettings")
            .and_then(|network| network.get("Ports"))
            .map_or(&[][..], Node::entries);
        let bound = |entries: &[Entry]| entries.iter().any(|entry| !entry.node.items().is_empty());
        let entries = if bound(live) {
            live
        } else {
            host.get("PortBindings").map_or(&[][..], Node::entries)
        };
        let mut ports: Vec<At<PublishedPort>> = Vec::new();
        for entry in entries {
            let Ok(container) = entry.key.split('/').next().unwrap_or_default().parse() else {
                continue;
            };
            for binding in entry.node.items() {
                let address = binding
                    .get("HostIp")
                    .and_then(Node::text)
                    .unwrap_or_default();
                let port = PublishedPort {
                    address: (!matches!(address, "" | "0.0.0.0" | "::"))
                        .then(|| address.to_owned()),
                    host: binding
                        .get("HostPort")
                        .and_then(Node::text)
                        .and_then(|port| port.parse().ok()),
                    container,
                };
                if ports.iter().all(|known| known.value != port) {
                    let at = self.source(entry.line, format!("Ports: {}", entry.key));
                    ports.push(At { value: port, at });
                }
            }
        }
        ports
    }

    fn source(&self, line: u32, text: String) -> SourceLine {
        SourceLine {
            file: self.file.to_owned(),
            line: Some(line),
            text,
        }
    }

    fn text(&self, parent: &Node, path: &str, key: &str) -> Option<At<String>> {
        let entry = parent.entry(key)?;
        let value = entry.node.text()?.to_owned();
        let dot = if path.is_empty() { "" } else { "." };
        let text = format!("{path}{dot}{key}: {value:?}");
        Some(At {
            at: self.source(entry.line, text),
            value,
        })
    }

    fn truth(&self, host: &Node, key: &str) -> Option<At<bool>> {
        let entry = host.entry(key)?;
        let value = entry.node.truth()?;
        Some(At {
            at: self.source(entry.line, format!("HostConfig.{key}: {value}")),
            value,
        })
    }

    fn texts(&self, host: &Node, key: &str) -> Vec<At<String>> {
        host.get(key)
            .map_or(&[][..], Node::items)
            .iter()
            .filter_map(|item| {
                let value = item.text()?.to_owned();
                let at = self.source(item.line, format!("HostConfig.{key}: {value}"));
                Some(At { value, at })
            })
            .collect()
    }
}

fn host_source(written: &str) -> MountSource {
    MountSource::Host {
        path: HostPath::parse(written),
        written: written.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_read_with_its_lines() {
        let text = r#"[
 {
  "Id": "0123456789abcdef", "Name": "/shop-api-1", "State": {"Status": "running"},
  "AppArmorProfile": "docker-default",
  "HostConfig": {
   "Privileged": false, "CapAdd": ["SYS_PTRACE"], "CapDrop": null,
   "Binds": ["/var/run/docker.sock:/var/run/docker.sock:ro", "/etc:/host/etc:rw"],
   "MaskedPaths": [],
   "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
  },
  "Mounts": [
   {"Type": "bind",
    "Source": "/var/run/docker.sock", "Destination": "/var/run/docker.sock", "RW": false},
   {"Type": "volume", "Name": "data", "Source": "/var/lib/docker/volumes/data/_data", "Destination": "/d", "RW": true}
  ],
  "Config": {"User": "", "Env": ["API_KEY=k-1"], "Labels": {"com.docker.compose.service": "api"}}
 }
]"#;
        let root = Node::parse("i.json", text.as_bytes()).unwrap();
        let all = parse("i.json", root.items());
        let one = &all[0];
        assert_eq!(one.name, "shop-api-1");
        assert_eq!(one.service.as_deref(), Some("api"));
        assert_eq!(one.user.as_ref().unwrap().value, "");
        assert_eq!(
            one.mounts.len(),
            3,
            "the bind that Mounts does not show is kept"
        );
        assert_eq!(one.mounts[0].at.line, Some(13));
        assert!(one.mounts[0].value.read_only);
        assert!(one.mounts[1].value.host().is_none());
        assert_eq!(one.published[0].value.host, Some(8080));
        assert_eq!(one.unmasked.as_ref().unwrap().at.line, Some(8));
        assert!(!format!("{one:?}").contains("k-1"));
    }
}
