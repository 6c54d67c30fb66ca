//! Routes of the engine that are no action, and the sentence that says why: the docker command line
//! shows it word for word.

/// Why a route is not offered; nothing where the engine has no such route either.
pub(super) fn reason(method: &str, segments: &[&str]) -> Option<&'static str> {
    Some(match segments {
        ["plugins", ..] => "plug-ins run as root on the host; ask the operator to install one",
        [
            "swarm" | "nodes" | "services" | "tasks" | "secrets" | "configs",
            ..,
        ] => "swarm reaches other hosts and mounts what it likes; run containers instead",
        ["session" | "grpc", ..] => {
            "a BuildKit session has a protocol of its own; build with a rootless BuildKit beside the gate"
        }
        ["build", ..] => {
            "image builds run what they like as root; build with a rootless BuildKit beside the gate, push, and pull here"
        }
        ["auth"] => {
            "the engine would log in wherever the request says; the operator configures registries"
        }
        ["commit"] => {
            "an image made from a container escapes the list of allowed images; build and push it instead"
        }
        ["distribution", ..] => {
            "the engine would ask whichever registry the request names; pull an allowed image"
        }
        ["debug" | "metrics", ..] => "it shows the engine's own memory and counters",
        ["libpod", ..] => "Podman's own API is not spoken; use its Docker API",
        ["images", "load" | "get"] | ["images", .., "get"] => {
            "images come from allowed registries only; push the image and pull it here"
        }
        ["images", "search"] => "the engine would ask whichever registry the request names",
        ["images", "prune"] => "unused images may be another's; remove your own tags by name",
        ["images", .., "push"] => "images are pulled here and pushed from where they are built",
        ["volumes", _] if method == "PUT" => "cluster volumes belong to swarm",
        ["containers", _, "update"] => "limits are fixed when a container is made; make it again",
        ["containers", _, "export"] => {
            "a whole file system is not handed out; copy the path you need"
        }
        ["containers", _, "copy"] => "the route is gone since API 1.24; use `docker cp`",
        ["containers", _, "checkpoints", ..] => {
            "checkpoints are written to and read from paths of the host"
        }
        ["containers", _, "attach", "ws"] => "streams are joined by `attach`, not by web socket",
        _ => return None,
    })
}
