//! What the REST dialect offers: one table, from which the routes are declared to the guard and the
//! OpenAPI document is written.

use cofferdam_action::action::ActionKind;

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// The method.
    pub(crate) method: &'static str,
    /// The path, with the parts that vary in braces.
    pub(crate) path: &'static str,
    /// The action that it asks for; the scope comes from it.
    pub(crate) kind: ActionKind,
    /// What it does, in a few words.
    pub(crate) summary: &'static str,
    /// What it takes.
    pub(crate) takes: Takes,
    /// What it answers.
    pub(crate) gives: Gives,
}

/// The body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// None.
    Nothing,
    /// JSON of the type of this name in the document.
    Json(&'static str),
    /// A plain tar archive.
    Tar,
}

/// The body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gives {
    /// None; the status says it.
    Nothing,
    /// A JSON object of the Engine API.
    Object,
    /// A JSON array of the Engine API.
    Array,
    /// JSON objects, one a line, as they come.
    Lines,
    /// A word.
    Text,
    /// The output of a container: frames of the Engine API, or plain bytes where it has a terminal.
    Output,
    /// A tar archive.
    Tar,
}

const fn row(
    method: &'static str,
    path: &'static str,
    kind: ActionKind,
    takes: Takes,
    gives: Gives,
    summary: &'static str,
) -> Operation {
    Operation {
        method,
        path,
        kind,
        summary,
        takes,
        gives,
    }
}

use ActionKind as K;
use Gives::{Array, Lines, Nothing as NoBody, Object, Output, Text};
use Takes::{Json, Nothing};

/// Every operation. Where two paths could take one request the more exact one stands first.
pub(crate) const OPERATIONS: &[Operation] = &[
    row(
        "GET",
        "/v1/ping",
        K::Ping,
        Nothing,
        Text,
        "Ask whether the engine answers",
    ),
    row(
        "GET",
        "/v1/version",
        K::Version,
        Nothing,
        Object,
        "Tell the engine's version",
    ),
    row(
        "GET",
        "/v1/info",
        K::Info,
        Nothing,
        Object,
        "Tell what the engine is",
    ),
    row(
        "GET",
        "/v1/disk-usage",
        K::DiskUsage,
        Nothing,
        Object,
        "Tell what your objects take up",
    ),
    row(
        "GET",
        "/v1/events",
        K::Events,
        Nothing,
        Lines,
        "Follow what happens to your objects",
    ),
    row(
        "GET",
        "/v1/containers",
        K::ContainerList,
        Nothing,
        Array,
        "List your containers",
    ),
    row(
        "POST",
        "/v1/containers",
        K::ContainerCreate,
        Json("ContainerCreate"),
        Object,
        "Create a container",
    ),
    row(
        "POST",
        "/v1/containers/prune",
        K::ContainerPrune,
        Nothing,
        Object,
        "Remove your stopped containers",
    ),
    row(
        "GET",
        "/v1/containers/{container}",
        K::ContainerInspect,
        Nothing,
        Object,
        "Inspect a container",
    ),
    row(
        "DELETE",
        "/v1/containers/{container}",
        K::ContainerRemove,
        Nothing,
        NoBody,
        "Remove a container",
    ),
    row(
        "GET",
        "/v1/containers/{container}/logs",
        K::ContainerLogs,
        Nothing,
        Output,
        "Read or follow a container's output",
    ),
    row(
        "GET",
        "/v1/containers/{container}/changes",
        K::ContainerChanges,
        Nothing,
        Array,
        "List what a container changed in its file system",
    ),
    row(
        "GET",
        "/v1/containers/{container}/stats",
        K::ContainerStats,
        Nothing,
        Lines,
        "Tell what a container uses up",
    ),
    row(
        "GET",
        "/v1/containers/{container}/processes",
        K::ContainerTop,
        Nothing,
        Object,
        "List a container's processes",
    ),
    row(
        "POST",
        "/v1/containers/{container}/wait",
        K::ContainerWait,
        Nothing,
        Object,
        "Wait for a container to end",
    ),
    row(
        "POST",
        "/v1/containers/{container}/start",
        K::ContainerStart,
        Nothing,
        NoBody,
        "Start a container",
    ),
    row(
        "POST",
        "/v1/containers/{container}/stop",
        K::ContainerStop,
        Nothing,
        NoBody,
        "Stop a container",
    ),
    row(
        "POST",
        "/v1/containers/{container}/restart",
        K::ContainerRestart,
        Nothing,
        NoBody,
        "Restart a container",
    ),
    row(
        "POST",
        "/v1/containers/{container}/kill",
        K::ContainerKill,
        Nothing,
        NoBody,
        "Send a signal to a container",
    ),
    row(
        "POST",
        "/v1/containers/{container}/pause",
        K::ContainerPause,
        Nothing,
        NoBody,
        "Freeze a container",
    ),
    row(
        "POST",
        "/v1/containers/{container}/unpause",
        K::ContainerUnpause,
        Nothing,
        NoBody,
        "Thaw a container",
    ),
    row(
        "POST",
        "/v1/containers/{container}/rename",
        K::ContainerRename,
        Nothing,
        NoBody,
        "Rename a container",
    ),
    row(
        "GET",
        "/v1/containers/{container}/archive",
        K::ContainerCopyOut,
        Nothing,
        Gives::Tar,
        "Copy a path out of a container",
    ),
    row(
        "HEAD",
        "/v1/containers/{container}/archive",
        K::ContainerPathStat,
        Nothing,
        NoBody,
        "Tell what a path in a container is",
    ),
    row(
        "PUT",
        "/v1/containers/{container}/archive",
        K::ContainerCopyIn,
        Takes::Tar,
        NoBody,
        "Copy a plain tar archive into a container",
    ),
    row(
        "POST",
        "/v1/containers/{container}/exec",
        K::ExecCreate,
        Json("ExecSpec"),
        Object,
        "Prepare a command in a container",
    ),
    row(
        "POST",
        "/v1/exec/{exec}/start",
        K::ExecStart,
        Nothing,
        Output,
        "Run a prepared command and stream its output",
    ),
    row(
        "GET",
        "/v1/exec/{exec}",
        K::ExecInspect,
        Nothing,
        Object,
        "Tell what became of a command",
    ),
    row(
        "GET",
        "/v1/images",
        K::ImageList,
        Nothing,
        Array,
        "List the images that you may use",
    ),
    row(
        "POST",
        "/v1/images/pull",
        K::ImagePull,
        Json("ImagePull"),
        Lines,
        "Pull an image",
    ),
    row(
        "GET",
        "/v1/images/{image}/history",
        K::ImageHistory,
        Nothing,
        Array,
        "Tell how an image was made",
    ),
    row(
        "POST",
        "/v1/images/{image}/tag",
        K::ImageTag,
        Json("ImageTag"),
        NoBody,
        "Give an image another name",
    ),
    row(
        "GET",
        "/v1/images/{image}",
        K::ImageInspect,
        Nothing,
        Object,
        "Inspect an image",
    ),
    row(
        "DELETE",
        "/v1/images/{image}",
        K::ImageRemove,
        Nothing,
        Array,
        "Remove a name of an image that is yours",
    ),
    row(
        "GET",
        "/v1/networks",
        K::NetworkList,
        Nothing,
        Array,
        "List your networks",
    ),
    row(
        "POST",
        "/v1/networks",
        K::NetworkCreate,
        Json("NetworkCreate"),
        Object,
        "Create a network",
    ),
    row(
        "POST",
        "/v1/networks/prune",
        K::NetworkPrune,
        Nothing,
        Object,
        "Remove your networks that nothing uses",
    ),
    row(
        "GET",
        "/v1/networks/{network}",
        K::NetworkInspect,
        Nothing,
        Object,
        "Inspect a network",
    ),
    row(
        "DELETE",
        "/v1/networks/{network}",
        K::NetworkRemove,
        Nothing,
        NoBody,
        "Remove a network",
    ),
    row(
        "POST",
        "/v1/networks/{network}/connect",
        K::NetworkConnect,
        Json("NetworkConnect"),
        NoBody,
        "Let a container join a network",
    ),
    row(
        "POST",
        "/v1/networks/{network}/disconnect",
        K::NetworkDisconnect,
        Json("NetworkDisconnect"),
        NoBody,
        "Take a container out of a network",
    ),
    row(
        "GET",
        "/v1/volumes",
        K::VolumeList,
        Nothing,
        Object,
        "List your volumes",
    ),
    row(
        "POST",
        "/v1/volumes",
        K::VolumeCreate,
        Json("VolumeCreate"),
        Object,
        "Create a volume",
    ),
    row(
        "POST",
        "/v1/volumes/prune",
        K::VolumePrune,
        Nothing,
        Object,
        "Remove your volumes that nothing uses",
    ),
    row(
        "GET",
        "/v1/volumes/{volume}",
        K::VolumeInspect,
        Nothing,
        Object,
        "Inspect a volume",
    ),
    row(
        "DELETE",
        "/v1/volumes/{volume}",
        K::VolumeRemove,
        Nothing,
        NoBody,
        "Remove a volume",
    ),
];

impl Takes {
    /// The headers that a request with such a body has.
    pub(crate) const fn headers(self) -> &'static [(&'static str, &'static [u8])] {
        match self {
            Takes::Nothing => &[],
            Takes::Json(_) => &[("content-type", b"application/json")],
            Takes::Tar => &[("content-type", b"application/x-tar")],
        }
    }
}

/// A target that this path takes, with a plausible value in each place.
pub(crate) fn sample(path: &str) -> String {
    path.replace("{container}", "web")
        .replace("{exec}", &"0".repeat(64))
        .replace("{image}", "allowed/app:1")
        .replace("{network}", "net")
        .replace("{volume}", "data")
}

/// The operation of a request with this method at a path of the table. Where the path has none of its
/// own, it is that of a path which takes this one too: a container may be called `prune`, and an image
/// `team/history`.
pub(crate) fn operation(method: &str, path: &str) -> Option<&'static Operation> {
    let mut of_method = OPERATIONS.iter().filter(|it| it.method == method);
    of_method.find(|it| covers(it.path, path))
}

/// Whether a path with parts that vary takes whatever another one does.
fn covers(general: &str, path: &str) -> bool {
    if let Some((before, after)) = general.split_once("{image}") {
        let name = path.strip_prefix(before);
        let name = name.and_then(|name| name.strip_suffix(after));
        return name.is_some_and(|name| !name.is_empty());
    }
    let (general, path) = (general.split('/'), path.split('/'));
    let varies = |(general, part): (&str, &str)| general == part || general.starts_with('{');
    general.clone().count() == path.clone().count() && general.zip(path).all(varies)
}

/// The path as actix-web matches it: an image's name has slashes.
pub(crate) fn pattern(path: &str) -> String {
    path.replace("{image}", "{image:.+}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cofferdam_action::request::{BodyKind, Head};
    use cofferdam_action::rest;

    use super::*;

    #[test]
    fn every_operation_is_a_route_with_the_body_that_the_table_says() {
        for operation in OPERATIONS {
            let target = sample(operation.path);
            let head = Head {
                method: operation.method,
                target: &target,
                headers: operation.takes.headers(),
            };
            let routed = rest::route(head).unwrap_or_else(|refusal| panic!("{target}: {refusal}"));
            let takes = match routed.body() {
                BodyKind::None => Takes::Nothing,
                BodyKind::Archive => Takes::Tar,
                BodyKind::Json => operation.takes,
                other => panic!("{target}: {other:?}"),
            };
            assert_eq!(operation.takes, takes, "{target}");
            let is_json = matches!(operation.takes, Takes::Json(_));
            assert_eq!(is_json, routed.body() == BodyKind::Json, "{target}");
        }
    }

    #[test]
    fn a_name_that_is_a_word_of_a_path_is_a_name_for_every_other_method() {
        for (method, path, kind) in [
            ("POST", "/v1/containers/prune", K::ContainerPrune),
            ("GET", "/v1/containers/prune", K::ContainerInspect),
            ("DELETE", "/v1/volumes/prune", K::VolumeRemove),
            ("GET", "/v1/networks/prune", K::NetworkInspect),
            ("GET", "/v1/images/pull", K::ImageInspect),
            ("GET", "/v1/images/{image}/history", K::ImageHistory),
            ("DELETE", "/v1/images/{image}/history", K::ImageRemove),
            ("GET", "/v1/images/{image}/tag", K::ImageInspect),
        ] {
            let found = operation(method, path).map(|it| it.kind);
            assert_eq!(found, Some(kind), "{method} {path}");
            // The guard asks for the scope of the route that the parser takes.
            let target = path.replace("{image}", "team/app");
            let head = Head {
                method,
                target: &target,
                headers: &[],
            };
            let action = rest::parse(head, b"").unwrap();
            assert_eq!(action.kind(), kind, "{method} {target}");
        }
        assert!(operation("PUT", "/v1/containers/prune").is_none());
        assert!(operation("GET", "/v1/containers/{container}/exec").is_none());
    }

    #[test]
    fn what_is_missing_needs_a_terminal() {
        let offered: BTreeSet<ActionKind> = OPERATIONS.iter().map(|it| it.kind).collect();
        let missing: Vec<&str> = ActionKind::ALL
            .iter()
            .filter(|kind| !offered.contains(kind))
            .map(|kind| kind.id())
            .collect();
        assert_eq!(
            missing,
            ["container.attach", "container.resize", "exec.resize"]
        );
    }
}
