//! An action written as a REST request: the inverse of [`parse`](super::parse), for clients.

use serde_json::{Value, json};

use super::body;
use crate::action::Action;
use crate::container::Endpoint;
use crate::filter::Filters;
use crate::target::encode as percent;

/// A request to a gate.
#[derive(Clone, Debug, PartialEq)]
pub struct RestRequest {
    /// The method.
    pub method: &'static str,
    /// The path and the query.
    pub target: String,
    /// What follows the head.
    pub body: RestBody,
}

/// The body of a request to a gate.
#[derive(Clone, Debug, PartialEq)]
pub enum RestBody {
    /// None.
    Empty,
    /// A JSON document.
    Json(Value),
    /// A plain tar archive, streamed, as `application/x-tar`.
    Archive,
}

/// Writes an action as a request. Nothing for what the dialect does not have: interactive streams,
/// terminals and their sizes, and commands that run detached.
#[must_use]
pub fn encode(action: &Action) -> Option<RestRequest> {
    let (method, path, body) = match action {
        Action::Ping => ("GET", "/ping".to_owned(), None),
        Action::Version => ("GET", "/version".to_owned(), None),
        Action::Info => ("GET", "/info".to_owned(), None),
        Action::DiskUsage => ("GET", "/disk-usage".to_owned(), None),
        Action::ContainerList(_) => ("GET", "/containers".to_owned(), None),
        Action::ContainerInspect { container, .. } => {
            ("GET", format!("/containers/{container}"), None)
        }
        Action::ContainerTop { container, .. } => {
            ("GET", format!("/containers/{container}/processes"), None)
        }
        Action::ContainerCreate(create) => ("POST", "/containers".to_owned(), Some(json!(create))),
        Action::ContainerPrune { filters } => return Some(prune("containers", filters)),
        Action::ExecCreate { container, exec } => (
            "POST",
            format!("/containers/{container}/exec"),
            Some(json!(exec)),
        ),
        Action::ExecStart {
            exec,
            detach: false,
            tty: false,
        } => ("POST", format!("/exec/{exec}/start"), None),
        Action::ExecInspect { exec } => ("GET", format!("/exec/{exec}"), None),
        Action::ExecStart { .. }
        | Action::ExecResize { .. }
        | Action::ContainerAttach(_)
        | Action::ContainerResize { .. } => return None,

        Action::ImageList(_) => ("GET", "/images".to_owned(), None),
        Action::ImageInspect { image } => ("GET", format!("/images/{image}"), None),
        Action::ImagePull { image, platform } => {
            let body = body::ImagePull {
                image: image.clone(),
                platform: platform.clone(),
            };
            ("POST", "/images/pull".to_owned(), Some(json!(body)))
        }
        Action::ImageTag { image, target } => {
            let body = body::ImageTag {
                target: target.clone(),
            };
            ("POST", format!("/images/{image}/tag"), Some(json!(body)))
        }

        Action::NetworkCreate(network) => ("POST", "/networks".to_owned(), Some(json!(network))),
        Action::NetworkPrune { filters } => return Some(prune("networks", filters)),
        Action::NetworkConnect {
            container,
            endpoint: Endpoint { network, aliases },
        } => {
            let body = body::NetworkConnect {
                container: container.clone(),
                aliases: aliases.clone(),
            };
            (
                "POST",
                format!("/networks/{network}/connect"),
                Some(json!(body)),
            )
        }
        Action::NetworkDisconnect {
            network,
            container,
            force,
        } => {
            let body = body::NetworkDisconnect {
                container: container.clone(),
                force: *force,
            };
            (
                "POST",
                format!("/networks/{network}/disconnect"),
                Some(json!(body)),
            )
        }
        Action::VolumeCreate { name, labels } => {
            let body = body::VolumeCreate {
                name: name.clone(),
                labels: labels.clone(),
            };
            ("POST", "/volumes".to_owned(), Some(json!(body)))
        }
        Action::VolumePrune { filters } => return Some(prune("volumes", filters)),

        // The rest has the method, the path and the query of the Engine API.
        Action::Events(_)
        | Action::ContainerLogs(_)
        | Action::ContainerChanges { .. }
        | Action::ContainerStats { .. }
        | Action::ContainerWait { .. }
        | Action::ContainerStart { .. }
        | Action::ContainerStop { .. }
        | Action::ContainerRestart { .. }
        | Action::ContainerKill { .. }
        | Action::ContainerPause { .. }
        | Action::ContainerUnpause { .. }
        | Action::ContainerRename { .. }
        | Action::ContainerRemove { .. }
        | Action::ContainerCopyOut { .. }
        | Action::ContainerPathStat { .. }
        | Action::ContainerCopyIn { .. }
        | Action::ImageHistory { .. }
        | Action::ImageRemove { .. }
        | Action::NetworkList { .. }
        | Action::NetworkInspect { .. }
        | Action::NetworkRemove { .. }
        | Action::VolumeList { .. }
        | Action::VolumeInspect { .. }
        | Action::VolumeRemove { .. } => {
            let engine = crate::encode::encode(action)?;
            let path = engine.target.get(PINNED.len()..)?;
            let mut request = request(engine.method, path, None);
            if matches!(action, Action::ContainerCopyIn { .. }) {
                request.body = RestBody::Archive;
            }
            return Some(request);
        }
    };
    // What only the path of the Engine API differs in keeps its query; a body holds it all.
    let query = match &body {
        Some(_) => None,
        None => crate::encode::encode(action)?
            .target
            .split_once('?')
            .map(|(_, query)| format!("?{query}")),
    };
    let path = format!("{path}{}", query.unwrap_or_default());
    Some(request(method, &path, body))
}

/// The version before every path of [`crate::encode`].
const PINNED: &str = "/v1.41";

fn request(method: &'static str, path: &str, body: Option<Value>) -> RestRequest {
    RestRequest {
        method,
        target: format!("/v1{path}"),
        body: body.map_or(RestBody::Empty, RestBody::Json),
    }
}

fn prune(what: &str, filters: &Filters) -> RestRequest {
    let query = filters
        .to_json()
        .map(|json| format!("?filters={}", percent(&json)));
    let path = format!("/{what}/prune{}", query.unwrap_or_default());
    request("POST", &path, None)
}
