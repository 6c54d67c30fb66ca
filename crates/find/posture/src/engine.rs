//! `docker info`: what the engine says of itself.

use crate::node::{Node, Value};
use crate::settings::At;
use crate::version::Version;
use cofferdam_finding::SourceLine;

/// An engine, as far as it changes what a container could do. What is absent is unknown.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    /// Where the description begins.
    pub(crate) at: SourceLine,
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    /// `name=seccomp,profile=builtin`, `name=apparmor`, `name=rootless`, `name=userns`, …
    pub(crate) security_options: Option<At<Vec<String>>>,
    pub(crate) cgroup_version: Option<At<String>>,
    /// Names of authorization plugins.
    pub(crate) authorization: Option<At<Vec<String>>>,
    pub(crate) default_runtime: Option<At<String>>,
    pub(crate) runc: Option<At<Version>>,
    pub(crate) containerd: Option<At<Version>>,
    /// The engine's own warning that its API is open on TCP.
    pub(crate) open_tcp: Option<At<String>>,
}

impl Engine {
    /// Whether a security option of this name is on; unknown when the engine did not say.
    pub(crate) fn security(&self, name: &str) -> Option<&At<Vec<String>>> {
        self.security_options.as_ref().filter(|options| {
            options.value.iter().any(|option| {
                option
                    .split(',')
                    .any(|part| part.trim().strip_prefix("name=").unwrap_or(part) == name)
            })
        })
    }
}

/// Reads the answer of the engine.
pub(crate) fn parse(file: &str, root: &Node) -> Engine {
    let source = |line, text| SourceLine {
        file: file.to_owned(),
        line: Some(line),
        text,
    };
    let text = |parent: &Node, key: &str, shown: &str| {
        let entry = parent.entry(key)?;
        let value = entry.node.text()?.to_owned();
        let at = source(entry.line, format!("{shown}: {value}"));
        Some(At { value, at })
    };
    let texts = |parent: &Node, key: &str, shown: &str| {
        // A null list is an empty one here: the engine prints `"Authorization": null`.
        let entry = parent.entries().iter().find(|entry| entry.key == key)?;
        let value: Vec<String> = match &entry.node.value {
            Value::List(items) => items
                .iter()
                .filter_map(|item| item.text().map(str::to_owned))
                .collect(),
            Value::Null => Vec::new(),
            _ => return None,
        };
        let at = source(entry.line, format!("{shown}: [{}]", value.join(", ")));
        Some(At { value, at })
    };
    let version = |key: &str| {
        let id = text(root.get(key)?, "ID", key)?;
        let value = Version::parse(&id.value)?;
        Some(At { value, at: id.at })
    };
    let open_tcp = root
        .get("Warnings")
        .map_or(&[][..], Node::items)
        .iter()
        .find_map(|warning| {
            let said = warning.text()?;
            let open = said.contains("API is accessible on http://");
            open.then(|| At {
                value: said.chars().take(200).collect(),
                at: source(
                    warning.line,
                    format!("Warnings: {}", said.chars().take(120).collect::<String>()),
                ),
            })
        });
    Engine {
        at: source(root.line, "docker info".to_owned()),
        name: text(root, "Name", "Name").map(|name| name.value),
        version: text(root, "ServerVersion", "ServerVersion").map(|version| version.value),
        security_options: texts(root, "SecurityOptions", "SecurityOptions"),
        cgroup_version: text(root, "CgroupVersion", "CgroupVersion"),
        authorization: root
            .get("Plugins")
            .and_then(|plugins| texts(plugins, "Authorization", "Plugins.Authorization")),
        default_runtime: text(root, "DefaultRuntime", "DefaultRuntime"),
        runc: version("RuncCommit"),
        containerd: version("ContainerdCommit"),
        open_tcp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_read_with_its_lines() {
        let root = Node::parse(
            "info.json",
            b"{\n\"ServerVersion\":\"28.1.0\",\n\"SecurityOptions\":[\"name=seccomp,profile=builtin\",\"name=userns\"],\n\
              \"Plugins\":{\"Authorization\":null},\n\"CgroupVersion\":\"2\",\n\
              \"RuncCommit\":{\"ID\":\"v1.1.12-0-g51d5e946\"},\"ContainerdCommit\":{\"ID\":\"8165feabfdfe38c65b599c4993d227328c231fca\"},\n\
              \"Warnings\":[\"[DEPRECATION NOTICE]: API is accessible on http://0.0.0.0:2375 without encryption.\"]}",
        )
        .unwrap();
        let engine = parse("info.json", &root);
        assert!(engine.security("userns").is_some());
        assert!(engine.security("seccomp").is_some());
        assert!(engine.security("rootless").is_none());
        assert_eq!(
            engine.authorization.as_ref().unwrap().value,
            Vec::<String>::new()
        );
        assert_eq!(engine.cgroup_version.as_ref().unwrap().at.line, Some(5));
        assert_eq!(
            engine.runc.as_ref().unwrap().value,
            Version::parse("1.1.12").unwrap()
        );
        assert!(engine.containerd.is_none());
        assert_eq!(engine.open_tcp.as_ref().unwrap().at.line, Some(7));
    }
}
