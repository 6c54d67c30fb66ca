//! How the service reaches the container runtime: through the engine's socket that is mounted into
//! it, or as its caller through a gate.

use crate::caller::Caller;
use crate::service::Problem;
use actix_web::http::StatusCode;
use cofferdam_client::action::{Action, LogsQuery, WaitCondition};
use cofferdam_client::container::{ContainerCreate, NetworkMode};
use cofferdam_client::image::ImageRef;
use cofferdam_client::name::{ContainerName, ContainerRef};
use cofferdam_client::value::EnvVar;
use cofferdam_client::{Error, Gate, Reply};
use cofferdam_docker::wire::{
    Container, ContainerConfig, CreateAnswer, CreateBody, HostConfig, WaitAnswer,
};
use cofferdam_docker::{Client, stream};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

/// The one image that tenants may run.
pub(crate) const IMAGE: &str = "allowed/app:1";
/// Bytes of memory of a tenant's container.
const MEMORY: u32 = 64 << 20;
/// Processes of a tenant's container.
const PIDS: u32 = 64;

/// The way to the runtime.
#[derive(Debug)]
pub(crate) enum Runtime {
    /// The engine's own socket: whoever steers the service steers the engine.
    Socket(Client),
    /// A gate, where the service is nobody and its caller is who they are.
    Gate(Gate),
}

/// A container that a tenant wants.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) name: Option<String>,
    pub(crate) tenant: String,
    pub(crate) command: Vec<String>,
    /// `NAME=value`.
    pub(crate) environment: Vec<String>,
    /// Members for the engine that the caller wrote, where the service lets them.
    pub(crate) more: Map<String, Value>,
}

impl Runtime {
    /// The engine itself, where the service holds it.
    pub(crate) fn socket(&self) -> Option<&Client> {
        match self {
            Self::Socket(engine) => Some(engine),
            Self::Gate(_) => None,
        }
    }

    pub(crate) async fn inspect(
        &self,
        caller: &Caller,
        container: &str,
    ) -> Result<Container, Problem> {
        match self {
            Self::Socket(engine) => Ok(engine.inspect(container).await?),
            Self::Gate(gate) => {
                let inspect = Action::ContainerInspect {
                    container: named(container)?,
                    size: false,
                };
                Ok(act(gate, caller, &inspect).await?.json().await?)
            }
        }
    }

    /// The last lines of both outputs.
    pub(crate) async fn logs(
        &self,
        caller: &Caller,
        container: &str,
        tail: u32,
    ) -> Result<String, Problem> {
        let frames = match self {
            Self::Socket(engine) => engine.logs(container, tail).await?,
            Self::Gate(gate) => {
                let logs = Action::ContainerLogs(LogsQuery {
                    container: named(container)?,
                    stdout: true,
                    stderr: true,
                    follow: false,
                    timestamps: false,
                    since: None,
                    until: None,
                    tail: Some(tail),
                });
                stream::decode(&act(gate, caller, &logs).await?.bytes().await?)?
            }
        };
        let bytes: Vec<u8> = frames.into_iter().flat_map(|frame| frame.bytes).collect();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Creates a container; answers its full id.
    pub(crate) async fn create(&self, caller: &Caller, wanted: Wanted) -> Result<String, Problem> {
        match self {
            Self::Socket(engine) => {
                let mut body = serde_json::to_value(wanted.body()).unwrap_or_default();
                // "The engine knows its members better than we do."
                for (name, value) in wanted.more {
                    body[name] = value;
                }
                Ok(engine.create(wanted.name.as_deref(), &body).await?.id)
            }
            Self::Gate(gate) => {
                let create = Action::ContainerCreate(Box::new(wanted.action()?));
                let made: CreateAnswer = act(gate, caller, &create).await?.json().await?;
                Ok(made.id)
            }
        }
    }

    pub(crate) async fn start(&self, caller: &Caller, container: &str) -> Result<(), Problem> {
        match self {
            Self::Socket(engine) => engine.start(container).await?,
            Self::Gate(gate) => {
                let start = Action::ContainerStart {
                    container: named(container)?,
                    detach_keys: None,
                };
                act(gate, caller, &start).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn stop(
        &self,
        caller: &Caller,
        container: &str,
        seconds: u32,
    ) -> Result<(), Problem> {
        match self {
            Self::Socket(engine) => engine.stop(container, seconds).await?,
            Self::Gate(gate) => {
                let stop = Action::ContainerStop {
                    container: named(container)?,
                    timeout: Some(seconds),
                };
                act(gate, caller, &stop).await?;
            }
        }
        Ok(())
    }

    /// Removes a container, even one that runs.
    pub(crate) async fn remove(&self, caller: &Caller, container: &str) -> Result<(), Problem> {
        match self {
            Self::Socket(engine) => engine.remove(container, true).await?,
            Self::Gate(gate) => {
                let remove = Action::ContainerRemove {
                    container: named(container)?,
                    force: true,
                    volumes: false,
                };
                act(gate, caller, &remove).await?;
            }
        }
        Ok(())
    }

    /// The exit code of a container that ends within `limit`.
    pub(crate) async fn wait(
        &self,
        caller: &Caller,
        container: &str,
        limit: Duration,
    ) -> Option<i64> {
        match self {
            Self::Socket(engine) => {
                let waiting = engine.clone().with_timeout(limit);
                waiting.wait(container).await.ok()
            }
            Self::Gate(gate) => {
                let wait = Action::ContainerWait {
                    container: named(container).ok()?,
                    condition: Some(WaitCondition::NotRunning),
                };
                let answer = async {
                    let answer = act(gate, caller, &wait).await?;
                    Ok::<WaitAnswer, Problem>(answer.json().await?)
                };
                let answer = tokio::time::timeout(limit, answer).await.ok()?;
                Some(answer.ok()?.status_code)
            }
        }
    }
}

impl Wanted {
    /// As the engine takes it.
    pub(crate) fn body(&self) -> CreateBody {
        CreateBody {
            config: ContainerConfig {
                image: IMAGE.to_owned(),
                cmd: Some(self.command.clone()),
                env: Some(self.environment.clone()),
                labels: BTreeMap::from([("tenant".to_owned(), self.tenant.clone())]),
                ..ContainerConfig::default()
            },
            host_config: HostConfig {
                cap_drop: Some(vec!["ALL".to_owned()]),
                security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
                network_mode: "none".to_owned(),
                memory: MEMORY.into(),
                pids_limit: Some(PIDS.into()),
                ..HostConfig::default()
            },
        }
    }

    /// As the gate takes it, which has no place for more.
    fn action(&self) -> Result<ContainerCreate, Problem> {
        let image = ImageRef::parse(IMAGE).map_err(refused)?;
        let mut create = ContainerCreate::new(image);
        let name = self.name.as_deref().map(ContainerName::parse);
        create.name = name.transpose().map_err(refused)?;
        create
            .labels
            .0
            .insert("tenant".to_owned(), self.tenant.clone());
        create.process.command = Some(self.command.clone());
        let environment = self.environment.iter().map(|pair| EnvVar::parse(pair));
        create.process.environment = environment.collect::<Result<_, _>>().map_err(refused)?;
        create.network.mode = NetworkMode::None;
        create.security.cap_drop_all = true;
        create.security.no_new_privileges = true;
        create.resources.memory = Some(MEMORY.into());
        create.resources.pids = Some(PIDS.into());
        Ok(create)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let Error::Refused(problem) = error else {
            return silent();
        };
        let status = match problem.status {
            400 => StatusCode::BAD_REQUEST,
            403 => StatusCode::FORBIDDEN,
            404 => StatusCode::NOT_FOUND,
            409 => StatusCode::CONFLICT,
            _ => return silent(),
        };
        Self::new(status, "runtime_error", problem.detail)
    }
}

async fn act(gate: &Gate, caller: &Caller, action: &Action) -> Result<Reply, Error> {
    gate.caller(&caller.token).act(action).await
}

fn named(container: &str) -> Result<ContainerRef, Problem> {
    ContainerRef::parse(container).map_err(refused)
}

fn refused(why: impl Display) -> Problem {
    Problem::bad(why.to_string())
}

fn silent() -> Problem {
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "runtime_error",
        "the container runtime does not answer",
    )
}
