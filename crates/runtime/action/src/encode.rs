//! The action written anew, for one pinned version of the Engine API.
//!
//! Everything is built from typed parts: no byte of a request is copied into the path, the query or
//! the body. What a type could not hold cannot be asked of the engine.

mod create;

use serde_json::{Map, Value, json};

use crate::action::{
    Action, AttachQuery, ContainerListQuery, EventsQuery, ImageListQuery, LogsQuery,
};
use crate::action::{NetworkCreate, TerminalSize};
use crate::container::ExecSpec;
use crate::target::{OLDEST_MINOR, encode as percent};
use crate::value::Labels;

/// A request to the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineRequest {
    /// The method.
    pub method: &'static str,
    /// The target: version, path, query.
    pub target: String,
    /// What follows the head.
    pub body: EngineBody,
    /// Whether the connection is hijacked for streams (`Connection: Upgrade`, `Upgrade: tcp`).
    pub hijack: bool,
}

/// The body of a request to the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineBody {
    /// None.
    Empty,
    /// A JSON document.
    Json(Value),
    /// The caller's tar archive, streamed.
    Archive,
}

/// Writes an action for the engine. Nothing for a prune: the engine's own would remove what is
/// another's, so the broker removes the caller's objects one by one.
#[must_use]
pub fn encode(action: &Action) -> Option<EngineRequest> {
    Some(match action {
        Action::Ping => get("/_ping"),
        Action::Version => get("/version"),
        Action::Info => get("/info"),
        Action::DiskUsage => get("/system/df"),
        Action::Events(EventsQuery {
            since,
            until,
            filters,
        }) => get("/events")
            .text("since", since.as_ref().map(|it| it.as_str()))
            .text("until", until.as_ref().map(|it| it.as_str()))
            .text("filters", filters.to_json().as_deref()),

        Action::ContainerList(ContainerListQuery {
            all,
            limit,
            size,
            filters,
        }) => get("/containers/json")
            .flag("all", *all)
            .number("limit", *limit)
            .flag("size", *size)
            .text("filters", filters.to_json().as_deref()),
        Action::ContainerInspect { container, size } => {
            get(&format!("/containers/{container}/json")).flag("size", *size)
        }
        Action::ContainerLogs(query) => logs(query),
        Action::ContainerChanges { container } => get(&format!("/containers/{container}/changes")),
        Action::ContainerStats {
            container,
            stream,
            one_shot,
        } => get(&format!("/containers/{container}/stats"))
            .text("stream", Some(if *stream { "1" } else { "0" }))
            .flag("one-shot", *one_shot),
        Action::ContainerTop { container, columns } => get(&format!("/containers/{container}/top"))
            .text("ps_args", columns.as_ref().map(|it| it.as_str())),
        Action::ContainerWait {
            container,
            condition,
        } => post(&format!("/containers/{container}/wait"))
            .text("condition", condition.map(|it| it.as_str())),
        Action::ContainerCreate(create) => post("/containers/create")
            .text("name", create.name.as_ref().map(|it| it.as_str()))
            .text("platform", create.platform.as_ref().map(|it| it.as_str()))
            .json(create::body(create)),
        Action::ContainerStart {
            container,
            detach_keys,
        } => post(&format!("/containers/{container}/start"))
            .text("detachKeys", detach_keys.as_ref().map(|it| it.as_str())),
        Action::ContainerStop { container, timeout } => {
            post(&format!("/containers/{container}/stop")).number("t", *timeout)
        }
        Action::ContainerRestart { container, timeout } => {
            post(&format!("/containers/{container}/restart")).number("t", *timeout)
        }
        Action::ContainerKill { container, signal } => {
            post(&format!("/containers/{container}/kill"))
                .text("signal", signal.as_ref().map(|it| it.as_str()))
        }
        Action::ContainerPause { container } => post(&format!("/containers/{container}/pause")),
        Action::ContainerUnpause { container } => post(&format!("/containers/{container}/unpause")),
        Action::ContainerRename { container, name } => {
            post(&format!("/containers/{container}/rename")).text("name", Some(name.as_str()))
        }
        Action::ContainerRemove {
            container,
            force,
            volumes,
        } => request("DELETE", &format!("/containers/{container}"))
            .flag("force", *force)
            .flag("v", *volumes),
        Action::ContainerAttach(query) => attach(query),
        Action::ContainerResize { container, size } => {
            post(&format!("/containers/{container}/resize")).size(*size)
        }
        Action::ContainerCopyOut { container, path } => {
            get(&format!("/containers/{container}/archive")).text("path", Some(path.as_str()))
        }
        Action::ContainerPathStat { container, path } => {
            request("HEAD", &format!("/containers/{container}/archive"))
                .text("path", Some(path.as_str()))
        }
        Action::ContainerCopyIn {
            container,
            path,
            no_overwrite_dir_non_dir,
            copy_uid_gid,
        } => {
            let put = request("PUT", &format!("/containers/{container}/archive"))
                .text("path", Some(path.as_str()))
                .flag("noOverwriteDirNonDir", *no_overwrite_dir_non_dir)
                .flag("copyUIDGID", *copy_uid_gid);
            EngineRequest {
                body: EngineBody::Archive,
                ..put
            }
        }

        Action::ExecCreate { container, exec } => {
            post(&format!("/containers/{container}/exec")).json(exec_body(exec))
        }
        Action::ExecStart { exec, detach, tty } => {
            let start =
                post(&format!("/exec/{exec}/start")).json(json!({ "Detach": detach, "Tty": tty }));
            EngineRequest {
                hijack: !detach,
                ..start
            }
        }
        Action::ExecInspect { exec } => get(&format!("/exec/{exec}/json")),
        Action::ExecResize { exec, size } => post(&format!("/exec/{exec}/resize")).size(*size),

        Action::ImageList(ImageListQuery {
            all,
            digests,
            filters,
        }) => get("/images/json")
            .flag("all", *all)
            .flag("digests", *digests)
            .text("filters", filters.to_json().as_deref()),
        Action::ImageInspect { image } => get(&format!("/images/{image}/json")),
        Action::ImageHistory { image } => get(&format!("/images/{image}/history")),
        Action::ImagePull { image, platform } => post("/images/create")
            .text("fromImage", Some(&image.familiar_name()))
            .text("tag", Some(image.version().as_str()))
            .text("platform", platform.as_ref().map(|it| it.as_str())),
        Action::ImageTag { image, target } => post(&format!("/images/{image}/tag"))
            .text("repo", Some(&target.familiar_name()))
            .text("tag", Some(target.version().as_str())),
        Action::ImageRemove {
            image,
            force,
            no_prune,
        } => request("DELETE", &format!("/images/{image}"))
            .flag("force", *force)
            .flag("noprune", *no_prune),

        Action::NetworkList { filters } => {
            get("/networks").text("filters", filters.to_json().as_deref())
        }
        Action::NetworkInspect { network } => get(&format!("/networks/{network}")),
        Action::NetworkCreate(network) => post("/networks/create").json(network_body(network)),
        Action::NetworkRemove { network } => request("DELETE", &format!("/networks/{network}")),
        Action::NetworkConnect {
            container,
            endpoint,
        } => post(&format!("/networks/{}/connect", endpoint.network)).json(json!({
            "Container": container,
            "EndpointConfig": create::endpoint(endpoint),
        })),
        Action::NetworkDisconnect {
            network,
            container,
            force,
        } => post(&format!("/networks/{network}/disconnect"))
            .json(json!({ "Container": container, "Force": force })),

        Action::VolumeList { filters } => {
            get("/volumes").text("filters", filters.to_json().as_deref())
        }
        Action::VolumeInspect { volume } => get(&format!("/volumes/{volume}")),
        Action::VolumeCreate { name, labels } => {
            let mut body = Map::new();
            body.insert("Driver".into(), "local".into());
            set(
                &mut body,
                "Name",
                name.as_ref().map(|name| name.as_str().into()),
            );
            set(&mut body, "Labels", labels_value(labels));
            post("/volumes/create").json(body.into())
        }
        Action::VolumeRemove { volume, force } => {
            request("DELETE", &format!("/volumes/{volume}")).flag("force", *force)
        }

        Action::ContainerPrune { .. }
        | Action::NetworkPrune { .. }
        | Action::VolumePrune { .. } => {
            return None;
        }
    })
}

fn logs(query: &LogsQuery) -> EngineRequest {
    let LogsQuery {
        container,
        stdout,
        stderr,
        follow,
        timestamps,
        since,
        until,
        tail,
    } = query;
    get(&format!("/containers/{container}/logs"))
        .flag("stdout", *stdout)
        .flag("stderr", *stderr)
        .flag("follow", *follow)
        .flag("timestamps", *timestamps)
        .text("since", since.as_ref().map(|it| it.as_str()))
        .text("until", until.as_ref().map(|it| it.as_str()))
        .number("tail", *tail)
}

fn attach(query: &AttachQuery) -> EngineRequest {
    let AttachQuery {
        container,
        stream,
        logs,
        stdin,
        stdout,
        stderr,
        detach_keys,
    } = query;
    let attach = post(&format!("/containers/{container}/attach"))
        .flag("stream", *stream)
        .flag("logs", *logs)
        .flag("stdin", *stdin)
        .flag("stdout", *stdout)
        .flag("stderr", *stderr)
        .text("detachKeys", detach_keys.as_ref().map(|it| it.as_str()));
    EngineRequest {
        hijack: true,
        ..attach
    }
}

fn exec_body(exec: &ExecSpec) -> Value {
    let ExecSpec {
        command,
        environment,
        user,
        working_directory,
        attach_stdin,
        attach_stdout,
        attach_stderr,
        tty,
        detach_keys,
    } = exec;
    json!({
        "Cmd": command,
        "Env": environment,
        "User": user.as_ref().map_or("", |it| it.as_str()),
        "WorkingDir": working_directory.as_ref().map_or("", |it| it.as_str()),
        "AttachStdin": attach_stdin,
        "AttachStdout": attach_stdout,
        "AttachStderr": attach_stderr,
        "Tty": tty,
        "DetachKeys": detach_keys.as_ref().map_or("", |it| it.as_str()),
        "Privileged": false,
    })
}

fn network_body(network: &NetworkCreate) -> Value {
    let NetworkCreate {
        name,
        internal,
        attachable,
        ipv6,
        labels,
    } = network;
    let mut body = Map::new();
    body.insert("Name".into(), name.as_str().into());
    // Without it two networks may have one name, and a name would lead to either.
    body.insert("CheckDuplicate".into(), true.into());
    body.insert("Driver".into(), "bridge".into());
    body.insert("Internal".into(), (*internal).into());
    body.insert("Attachable".into(), (*attachable).into());
    body.insert("EnableIPv6".into(), (*ipv6).into());
    set(&mut body, "Labels", labels_value(labels));
    body.into()
}

fn labels_value(labels: &Labels) -> Option<Value> {
    (!labels.0.is_empty()).then(|| json!(labels))
}

/// Sets a member that is there.
fn set(body: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value);
    }
}

fn request(method: &'static str, path: &str) -> EngineRequest {
    let target = format!("/v1.{OLDEST_MINOR}{path}");
    EngineRequest {
        method,
        target,
        body: EngineBody::Empty,
        hijack: false,
    }
}

fn get(path: &str) -> EngineRequest {
    request("GET", path)
}

fn post(path: &str) -> EngineRequest {
    request("POST", path)
}

impl EngineRequest {
    fn text(mut self, key: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let separator = if self.target.contains('?') { '&' } else { '?' };
            self.target.push(separator);
            self.target.push_str(&format!("{key}={}", percent(value)));
        }
        self
    }

    fn flag(self, key: &str, value: bool) -> Self {
        self.text(key, value.then_some("1"))
    }

    fn number(self, key: &str, value: Option<u32>) -> Self {
        self.text(key, value.map(|number| number.to_string()).as_deref())
    }

    fn size(self, size: TerminalSize) -> Self {
        self.number("h", Some(size.height.into()))
            .number("w", Some(size.width.into()))
    }

    fn json(self, body: Value) -> Self {
        Self {
            body: EngineBody::Json(body),
            ..self
        }
    }
}
