//! Compose files: the members that decide what a container may touch.
//!
//! The reader takes the compose specification as it is today (`version:` is ignored) and follows
//! `extends` within the file. What it does not read is said in a note: other files (`include`,
//! `extends` with `file`, `env_file`), the environment and `.env`.

mod ports;
mod volumes;

use crate::Error;
use crate::interpolate::interpolate;
use crate::node::{Entry, Node, Value};
use crate::settings::{At, Mount, Origin, Settings, Variable};
use cofferdam_finding::SourceLine;
use volumes::NamedVolumes;

/// How far `extends` is followed; more is a circle or a jest.
const MAX_EXTENDS: usize = 16;

/// A compose file, read.
#[derive(Debug)]
pub(crate) struct Compose {
    pub(crate) services: Vec<Settings>,
    /// What was not read and may matter, one sentence each.
    pub(crate) notes: Vec<String>,
}

/// Reads a compose file that is known to have `services`.
pub(crate) fn parse(file: &str, root: &Node) -> Result<Compose, Error> {
    let mut reader = Reader {
        file,
        services: root.get("services").map_or(&[], Node::entries),
        volumes: NamedVolumes::read(root.get("volumes")),
        notes: Vec::new(),
    };
    if let Some(include) = root.entry("include") {
        reader.note(
            include.line,
            "`include` is not followed: give those files too",
        );
    }
    let project = root.get("name").and_then(Node::text).map(interpolate);
    let project = project.filter(|name| !name.contains("${"));
    let mut services = Vec::new();
    let mut inherited = Vec::new();
    for entry in reader.services {
        let mut settings = reader.blank(entry);
        reader.apply(&mut settings, &entry.node, &mut Vec::new())?;
        settings.name = entry.key.clone();
        settings.service = Some(entry.key.clone());
        settings.project.clone_from(&project);
        if settings.networks.is_empty() && settings.network.is_none() {
            settings.networks.push("default".to_owned());
        }
        let from: Vec<String> = entry
            .node
            .get("volumes_from")
            .map_or(&[][..], Node::items)
            .iter()
            .filter_map(|node| node.text().map(str::to_owned))
            .collect();
        inherited.push(from);
        services.push(settings);
    }
    inherit_volumes(&mut services, &inherited);
    Ok(Compose {
        services,
        notes: reader.notes,
    })
}

struct Reader<'a> {
    file: &'a str,
    services: &'a [Entry],
    volumes: NamedVolumes,
    notes: Vec<String>,
}

impl<'a> Reader<'a> {
    fn note(&mut self, line: u32, text: &str) {
        let note = format!("{}:{line}: {text}", self.file);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn blank(&self, entry: &Entry) -> Settings {
        let text = format!("{}:", entry.key);
        Settings::new(Origin::Compose, &entry.key, self.line(entry.line, text))
    }

    fn line(&self, line: u32, text: String) -> SourceLine {
        SourceLine {
            file: self.file.to_owned(),
            line: Some(line),
            text,
        }
    }

    fn at<T>(&self, line: u32, text: String, value: T) -> At<T> {
        At {
            value,
            at: self.line(line, text),
        }
    }

    fn shape(&self, line: u32, member: &str, expected: &'static str) -> Error {
        Error::Shape {
            file: self.file.to_owned(),
            line: Some(line),
            member: member.to_owned(),
            expected,
        }
    }

    /// Lays what `node` says over `settings`: what stands alone is replaced, lists grow.
    fn apply(
        &mut self,
        settings: &mut Settings,
        node: &'a Node,
        seen: &mut Vec<&'a str>,
    ) -> Result<(), Error> {
        match node.value {
            Value::Map(_) | Value::Null => {}
            _ => return Err(self.shape(node.line, &settings.name, "a mapping")),
        }
        self.extend(settings, node, seen)?;
        self.apply_scalars(settings, node);
        self.apply_lists(settings, node)
    }

    fn extend(
        &mut self,
        settings: &mut Settings,
        node: &'a Node,
        seen: &mut Vec<&'a str>,
    ) -> Result<(), Error> {
        let Some(extends) = node.entry("extends") else {
            return Ok(());
        };
        let service = extends
            .node
            .get("service")
            .unwrap_or(&extends.node)
            .text()
            .unwrap_or_default();
        if let Some(file) = extends.node.get("file").and_then(Node::text) {
            let text = format!("`extends` from `{file}` is not followed: what it sets is unknown");
            self.note(extends.line, &text);
            settings.complete = false;
            return Ok(());
        }
        let base = self.services.iter().find(|entry| entry.key == service);
        match base {
            Some(base) if seen.len() < MAX_EXTENDS && !seen.contains(&base.key.as_str()) => {
                seen.push(&base.key);
                self.apply(settings, &base.node, seen)
            }
            _ => {
                let text =
                    format!("`extends` of `{service}` leads nowhere: what it sets is unknown");
                self.note(extends.line, &text);
                settings.complete = false;
                Ok(())
            }
        }
    }

    fn apply_scalars(&self, settings: &mut Settings, node: &Node) {
        let text = |key: &str| {
            let entry = node.entry(key)?;
            let value = interpolate(entry.node.text()?);
            Some(self.at(entry.node.line, format!("{key}: {value}"), value))
        };
        let take = |slot: &mut Option<At<String>>, key: &str| {
            if let Some(value) = text(key) {
                *slot = Some(value);
            }
        };
        take(&mut settings.image, "image");
        take(&mut settings.user, "user");
        take(&mut settings.pid, "pid");
        take(&mut settings.ipc, "ipc");
        take(&mut settings.network, "network_mode");
        take(&mut settings.userns, "userns_mode");
        take(&mut settings.runtime, "runtime");
        take(&mut settings.restart, "restart");
        if let Some(name) = text("container_name") {
            settings.container_name = Some(name.value);
        }
        for (slot, key) in [
            (&mut settings.privileged, "privileged"),
            (&mut settings.read_only, "read_only"),
            (&mut settings.use_api_socket, "use_api_socket"),
        ] {
            let Some(entry) = node.entry(key) else {
                continue;
            };
            let written = interpolate(entry.node.text().unwrap_or_default());
            let value = Node {
                value: Value::Text(written.clone()),
                line: entry.node.line,
            };
            match value.truth() {
                Some(truth) => {
                    *slot = Some(self.at(entry.node.line, format!("{key}: {truth}"), truth));
                }
                None => settings.unresolved.push(key),
            }
        }
    }

    fn apply_lists(&mut self, settings: &mut Settings, node: &Node) -> Result<(), Error> {
        for (slot, key) in [
            (&mut settings.groups, "group_add"),
            (&mut settings.cap_add, "cap_add"),
            (&mut settings.cap_drop, "cap_drop"),
            (&mut settings.security_opt, "security_opt"),
        ] {
            for item in self.list(node, key)? {
                if let Some(text) = item.text() {
                    let value = interpolate(text);
                    slot.push(self.at(item.line, format!("{key}: {value}"), value));
                }
            }
        }
        for key in ["command", "entrypoint"] {
            let Some(entry) = node.entry(key) else {
                continue;
            };
            let own = std::slice::from_ref(&entry.node);
            let items = match &entry.node.value {
                Value::List(items) => items.as_slice(),
                _ => own,
            };
            for item in items {
                if let Some(text) = item.text() {
                    let value = interpolate(text);
                    settings
                        .command
                        .push(self.at(item.line, format!("{key}: …"), value));
                }
            }
        }
        for item in self.list(node, "devices")? {
            let written = item
                .text()
                .or_else(|| item.get("source").and_then(Node::text));
            if let Some(written) = written {
                let value = interpolate(written);
                let source = value.split(':').next().unwrap_or_default().to_owned();
                let text = format!("devices: {value}");
                settings.devices.push(self.at(item.line, text, source));
            }
        }
        for item in self.list(node, "volumes")? {
            if let Some(mount) = self.volumes.mount(item) {
                let text = format!("volumes: {}", volumes::written(&mount));
                settings.mounts.retain(|old| {
                    // An extending service replaces what its base mounts at the same place.
                    old.value.target != mount.target || old.at.line == Some(item.line)
                });
                settings.mounts.push(self.at(item.line, text, mount));
            }
        }
        for item in self.list(node, "ports")? {
            for port in ports::published(item) {
                let text = format!("ports: {}", ports::written(&port));
                settings.published.push(self.at(item.line, text, port));
            }
        }
        match node.get("networks").map(|networks| &networks.value) {
            Some(Value::List(items)) => {
                let names = items.iter().filter_map(|item| item.text());
                settings.networks.extend(names.map(str::to_owned));
            }
            Some(Value::Map(members)) => {
                let names = members.iter().map(|member| member.key.clone());
                settings.networks.extend(names);
            }
            _ => {}
        }
        self.environment(settings, node)
    }

    fn list<'n>(&self, node: &'n Node, key: &str) -> Result<&'n [Node], Error> {
        match node.entry(key) {
            None => Ok(&[]),
            Some(entry) => match &entry.node.value {
                Value::List(items) => Ok(items),
                _ => Err(self.shape(entry.line, key, "a list")),
            },
        }
    }

    fn environment(&mut self, settings: &mut Settings, node: &Node) -> Result<(), Error> {
        if let Some(entry) = node.entry("env_file") {
            settings.more_environment = true;
            self.note(
                entry.line,
                "`env_file` is not read: secrets in it are not seen",
            );
        }
        let Some(entry) = node.entry("environment") else {
            return Ok(());
        };
        let mut found = Vec::new();
        match &entry.node.value {
            Value::Map(members) => {
                for member in members {
                    let value = member.node.text().map(interpolate);
                    found.push((member.line, Variable::new(&member.key, value.as_deref())));
                }
            }
            Value::List(items) => {
                for item in items {
                    let Some(text) = item.text() else { continue };
                    let (name, value) = match text.split_once('=') {
                        Some((name, value)) => (name, Some(interpolate(value))),
                        None => (text, None),
                    };
                    found.push((item.line, Variable::new(name, value.as_deref())));
                }
            }
            _ => return Err(self.shape(entry.line, "environment", "a mapping or a list")),
        }
        for (line, variable) in found {
            settings
                .environment
                .retain(|known| known.value.name != variable.name);
            let text = match &variable.kept {
                Some(value) => format!("environment: {}={value}", variable.name),
                None => format!("environment: {}=…", variable.name),
            };
            settings.environment.push(self.at(line, text, variable));
        }
        Ok(())
    }
}

/// `volumes_from` gives a service all the mounts of another; one level, as compose does.
fn inherit_volumes(services: &mut [Settings], inherited: &[Vec<String>]) {
    let own: Vec<(String, Vec<At<Mount>>)> = services
        .iter()
        .map(|service| (service.name.clone(), service.mounts.clone()))
        .collect();
    for (service, from) in services.iter_mut().zip(inherited) {
        for reference in from {
            let (name, mode) = reference.split_once(':').unwrap_or((reference, "rw"));
            let Some((_, mounts)) = own.iter().find(|(known, _)| known == name) else {
                continue;
            };
            for mount in mounts {
                let mut mount = mount.clone();
                mount.value.read_only |= mode == "ro";
                service.mounts.push(mount);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::MountSource;

    fn read(text: &str) -> Compose {
        let root = Node::parse("compose.yaml", text.as_bytes()).unwrap();
        parse("compose.yaml", &root).unwrap()
    }

    #[test]
    fn a_service_is_read_with_its_lines() {
        let compose = read(
            "services:\n  api:\n    image: api:1\n    user: 1000:999\n    cap_add:\n      - SYS_ADMIN\n    \
             security_opt: [\"seccomp:unconfined\"]\n    environment:\n      A_TOKEN: abc\n      B: null\n",
        );
        let api = &compose.services[0];
        assert_eq!(api.at.line, Some(2));
        assert_eq!(api.user.as_ref().unwrap().value, "1000:999");
        assert_eq!(api.cap_add[0].at.line, Some(6));
        assert_eq!(
            api.security_opt[0].at.text,
            "security_opt: seccomp:unconfined"
        );
        assert_eq!(api.environment[0].at.text, "environment: A_TOKEN=…");
        assert!(api.environment[0].value.is_secret());
        assert!(compose.notes.is_empty());
    }

    #[test]
    fn extends_is_followed_in_the_file_and_said_when_not() {
        let compose = read(
            "services:\n  base:\n    privileged: true\n    volumes: [\"/run:/run\"]\n  api:\n    \
             extends: {service: base}\n    privileged: false\n  far:\n    extends:\n      file: other.yml\n      \
             service: x\n  loop:\n    extends: loop2\n  loop2:\n    extends: loop\n",
        );
        let by = |name: &str| compose.services.iter().find(|s| s.name == name).unwrap();
        assert!(!by("api").privileged.as_ref().unwrap().value);
        assert_eq!(by("api").mounts.len(), 1);
        assert!(by("api").complete);
        assert!(!by("far").complete);
        assert!(!by("loop").complete);
        assert!(compose.notes.iter().any(|note| note.contains("other.yml")));
    }

    #[test]
    fn volumes_from_brings_the_mounts_of_the_other_service() {
        let compose = read(
            "services:\n  a:\n    volumes: [\"/var/run/docker.sock:/s\"]\n  b:\n    volumes_from: [\"a:ro\"]\n",
        );
        let mount = &compose.services[1].mounts[0].value;
        assert!(mount.read_only);
        assert!(
            matches!(&mount.source, MountSource::Host { written, .. } if written == "/var/run/docker.sock")
        );
    }

    #[test]
    fn a_wrong_shape_is_named_with_its_line() {
        let text = "services:\n  a:\n    volumes: /x:/y\n";
        let root = Node::parse("c.yml", text.as_bytes()).unwrap();
        let error = parse("c.yml", &root).unwrap_err().to_string();
        assert_eq!(error, "`c.yml` line 3: `volumes` should be a list");
    }
}
