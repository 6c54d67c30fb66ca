//! The body of `POST /containers/create`, whose Go type embeds three others.

use super::json::{self, Json};
use super::shape::{CONFIG, HOST_CONFIG, NETWORKING, Shape};
use super::{apply, field};
use crate::answer::Refusal;
use cofferdam_docker::wire::CreateBody;
use serde_json::{Map, Value};

/// What a container is created from. Only members that were sent are there, each under the name
/// that the reference gives it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Created {
    pub(crate) config: Map<String, Value>,
    pub(crate) host_config: Map<String, Value>,
    /// `EndpointsConfig`.
    pub(crate) endpoints: Map<String, Value>,
}

/// The members of an old top-level host configuration that fill a new one.
const FILLED: &[&str] = &[
    "Memory",
    "MemorySwap",
    "CpuShares",
    "CpusetCpus",
    "VolumeDriver",
];

impl Created {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let given = json::parse(bytes).map_err(|problem| Refusal::bad(problem.to_string()))?;
        let members = match given {
            Json::Object(members) => members,
            // A null body leaves the empty configuration.
            Json::Null => Vec::new(),
            other => {
                let text = "json: cannot unmarshal % into Go value of type ContainerConfigWrapper";
                return Err(Refusal::bad(text.replace('%', other.kind())));
            }
        };
        let empty = || Value::Object(Map::new());
        let (mut config, mut top) = (empty(), empty());
        let (mut inner, mut networking, mut cpuset) = (Value::Null, Value::Null, Value::Null);
        for (name, given) in members {
            let one = || Json::Object(vec![(name.clone(), given.clone())]);
            let result = match field(WRAPPER, &name) {
                Some(("HostConfig", shape)) => apply(&mut inner, shape, given, "HostConfig"),
                Some(("NetworkingConfig", shape)) => {
                    apply(&mut networking, shape, given, "NetworkingConfig")
                }
                Some((_, shape)) => apply(&mut cpuset, shape, given, "Cpuset"),
                None if field(CONFIG, &name).is_some() => {
                    apply(&mut config, &Shape::Struct(CONFIG), one(), "")
                }
                None => apply(&mut top, &Shape::Struct(HOST_CONFIG), one(), ""),
            };
            result.map_err(Refusal::bad)?;
        }
        let top = members_of(top);
        let mut host_config = match inner {
            Value::Object(mut inner) => {
                for name in FILLED {
                    let is_zero = |value: &Value| *value == 0 || value == "";
                    if let Some(value) = top.get(*name)
                        && inner.get(*name).is_none_or(is_zero)
                    {
                        inner.insert((*name).to_owned(), value.clone());
                    }
                }
                inner
            }
            _ => top,
        };
        if let Value::String(cpus) = cpuset
            && !cpus.is_empty()
            && host_config
                .get("CpusetCpus")
                .is_none_or(|value| value == "")
        {
            host_config.insert("CpusetCpus".to_owned(), cpus.into());
        }
        let endpoints = members_of(networking).remove("EndpointsConfig");
        Ok(Self {
            config: members_of(config),
            host_config,
            endpoints: members_of(endpoints.unwrap_or_default()),
        })
    }

    /// A body that the engine's owner gives it.
    pub(crate) fn of(body: &CreateBody) -> Result<Self, Refusal> {
        let bytes = serde_json::to_vec(body).map_err(Refusal::internal)?;
        Self::read(&bytes)
    }

    /// The part of it that has a type.
    pub(crate) fn typed(&self) -> Result<CreateBody, Refusal> {
        let mut all = self.config.clone();
        all.insert("HostConfig".to_owned(), self.host_config.clone().into());
        serde_json::from_value(all.into()).map_err(|error| Refusal::bad(error.to_string()))
    }
}

/// Looked at before the fields of the embedded types, which lie deeper.
const WRAPPER: &[(&str, Shape)] = &[
    ("HostConfig", Shape::Pointer(&Shape::Struct(HOST_CONFIG))),
    (
        "NetworkingConfig",
        Shape::Pointer(&Shape::Struct(NETWORKING)),
    ),
    ("Cpuset", Shape::Text),
];

fn members_of(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
