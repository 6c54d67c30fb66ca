//! Deployment files, told apart by what is in them.

use crate::compose::Compose;
use crate::engine::Engine;
use crate::node::{Node, Value};
use crate::settings::Settings;
use crate::{Error, compose, engine, inspect};
use serde::{Deserialize, Serialize};

/// The largest deployment file that is read, in bytes. An inspect of one container has about 10 kB.
pub const MAX_INPUT_BYTES: usize = 8 * 1024 * 1024;

/// A deployment file that somebody has read from wherever it was.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Its name, as messages and findings give it back.
    pub name: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// What a deployment file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A compose file, YAML or JSON.
    Compose,
    /// `docker inspect`, one container or a list of them.
    DockerInspect,
    /// `docker info --format '{{json .}}'`, or the engine's `GET /info`.
    DockerInfo,
}

/// One file, read.
#[derive(Debug)]
pub(crate) enum Parsed {
    Compose(Compose),
    Inspect(Vec<Settings>),
    Engine(Box<Engine>),
}

impl Parsed {
    pub(crate) fn format(&self) -> Format {
        match self {
            Parsed::Compose(_) => Format::Compose,
            Parsed::Inspect(_) => Format::DockerInspect,
            Parsed::Engine(_) => Format::DockerInfo,
        }
    }
}

/// Reads a file by its content; its name decides nothing.
pub(crate) fn parse(input: Input<'_>) -> Result<Parsed, Error> {
    let Input { name, bytes } = input;
    let node = Node::parse(name, bytes)?;
    let other = |what, advice| {
        Err(Error::NotADeployment {
            file: name.to_owned(),
            what,
            advice,
        })
    };
    match &node.value {
        Value::List(items) if items.is_empty() => other(
            "an empty list: `docker inspect` found no container",
            "check the container's name",
        ),
        Value::List(items) if items.iter().all(is_container) => {
            Ok(Parsed::Inspect(inspect::parse(name, items)))
        }
        Value::Map(_) if is_container(&node) => Ok(Parsed::Inspect(inspect::parse(
            name,
            std::slice::from_ref(&node),
        ))),
        Value::Map(_) if node.get("services").is_some_and(Node::is_map) => {
            Ok(Parsed::Compose(compose::parse(name, &node)?))
        }
        Value::Map(_) if is_info(&node) => Ok(Parsed::Engine(Box::new(engine::parse(name, &node)))),
        Value::List(items) if items.iter().any(is_image) => other(
            "`docker inspect` of an image",
            "give that of the container: `docker inspect CONTAINER`",
        ),
        Value::Map(_) if is_image(&node) => other(
            "`docker inspect` of an image",
            "give that of the container: `docker inspect CONTAINER`",
        ),
        Value::Map(_) if node.get("apiVersion").is_some() && node.get("kind").is_some() => other(
            "a Kubernetes manifest, which is not read yet",
            "give a compose file, docker inspect or docker info JSON",
        ),
        Value::Map(_) if node.get("Client").is_some() && node.get("Server").is_some() => other(
            "the output of `docker version`",
            "give `docker info --format '{{json .}}'`",
        ),
        _ => other(
            "no deployment file that is known",
            "give a compose file with `services`, docker inspect JSON of containers, or docker info JSON",
        ),
    }
}

fn is_container(node: &Node) -> bool {
    node.get("HostConfig").is_some_and(Node::is_map)
        && (node.get("Config").is_some() || node.get("State").is_some() || node.get("Id").is_some())
}

fn is_image(node: &Node) -> bool {
    node.get("RootFS").is_some() && node.get("HostConfig").is_none()
}

fn is_info(node: &Node) -> bool {
    [
        "ServerVersion",
        "SecurityOptions",
        "OperatingSystem",
        "DefaultRuntime",
        "KernelVersion",
    ]
    .iter()
    .filter(|key| node.get(key).is_some())
    .count()
        >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(text: &str) -> Result<Format, String> {
        parse(Input {
            name: "x.txt",
            bytes: text.as_bytes(),
        })
        .map(|parsed| parsed.format())
        .map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_known_by_its_content() {
        assert_eq!(
            format("services:\n  a:\n    image: b\n"),
            Ok(Format::Compose)
        );
        assert_eq!(
            format("{\"services\":{\"a\":{\"image\":\"b\"}}}"),
            Ok(Format::Compose)
        );
        let container = "{\"Id\":\"1\",\"HostConfig\":{},\"Config\":{}}";
        assert_eq!(format(container), Ok(Format::DockerInspect));
        assert_eq!(format(&format!("[{container}]")), Ok(Format::DockerInspect));
        assert_eq!(
            format("{\"ServerVersion\":\"29.0\",\"SecurityOptions\":[\"name=rootless\"]}"),
            Ok(Format::DockerInfo)
        );
    }

    #[test]
    fn what_is_none_is_refused_with_advice() {
        for (text, word) in [
            ("[]", "empty list"),
            ("[{\"RootFS\":{},\"Config\":{}}]", "of an image"),
            ("apiVersion: v1\nkind: Pod\n", "Kubernetes"),
            ("hello", "no deployment file"),
            ("", "no deployment file"),
            ("a: [", "cannot be read"),
            ("{\"Client\":{},\"Server\":{}}", "docker version"),
        ] {
            let error = format(text).unwrap_err();
            assert!(
                error.contains(word) && error.starts_with("`x.txt`"),
                "{error}"
            );
        }
        let bytes = [0xff, 0xfe];
        let error = parse(Input {
            name: "y",
            bytes: &bytes,
        })
        .unwrap_err();
        assert!(matches!(error, Error::NotText { .. }));
        let big = vec![b' '; MAX_INPUT_BYTES + 1];
        let error = parse(Input {
            name: "y",
            bytes: &big,
        })
        .unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }));
    }
}
