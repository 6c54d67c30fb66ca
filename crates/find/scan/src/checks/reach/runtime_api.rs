//! The API of a container runtime is reached through the service.
//!
//! # What it finds
//! The Engine API of Docker or Podman, on the service itself or behind one of its paths, that answers
//! an ordinary caller about the whole host: a proxy in front of the socket, or a socket that listens
//! on TCP.
//!
//! # Why it matters
//! Who may read there sees the environment, secrets included, of every container. Who may create
//! there makes a container that mounts the host's root: that is the host.
//!
//! # How it is proved
//! `GET /version` has the engine's shape, and either `GET /info` describes the host (the engine's own
//! directory on it included), or
//! `GET /containers/json` tells two identities of the same containers; a gate in front of an engine
//! that shows each caller its own is not reported. With `--active`, control is proved without making
//! anything: a container with a bind mount of the root, of an image that cannot exist, is asked for. The
//! engine's own *no such image* says that nobody in between minds; a refusal says the opposite.
//!
//! # How to fix
//! Do not forward to the runtime. Offer the few actions that callers need, each with its own check
//! (`cofferdam gate`); let the engine listen on its socket alone.
//!
//! # References
//! - CWE-306 Missing Authentication for Critical Function, CWE-441 Unintended Proxy
//! - Docker, *Protect the Docker daemon socket*
//! - ATT&CK T1610 Deploy Container, T1611 Escape to Host, T1613 Container and Resource Discovery

use crate::probes::{
    engine_facts, is_engine_error, is_engine_info, is_engine_version, list_of_containers,
};
use crate::{Auth, Context, Exchange, Halt, Level, Outcome, Reach, Request};
use cofferdam_finding::{Confidence, Evidence, Facts, Finding, Meta, Place, Severity, State};
use hyper::Method;
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) static META: Meta = Meta {
    id: "reach.runtime-api",
    title: "The API of a container runtime is reached through the service",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Do not forward requests to the runtime; offer the few actions that callers need, \
                  each with its own check, and let the engine listen on its socket alone.",
    cwe: &[306, 441, 862],
    owasp_api: Some("API5:2023"),
    attack: &["T1610", "T1611", "T1613"],
};

/// Where proxies put an engine.
const PREFIXES: &[&str] = &[
    "",
    "/docker",
    "/api/docker",
    "/v1/docker",
    "/api/v1/docker",
    "/engine",
    "/api/engine",
    "/v1/engine",
    "/runtime",
    "/v1/runtime",
    "/proxy/docker",
    "/podman",
];

/// The ends of the engine's own paths, behind which a prefix ends.
const ENGINE_PATHS: &[&str] = &[
    "/containers/json",
    "/_ping",
    "/version",
    "/info",
    "/images/json",
    "/containers/create",
];

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let prefixes = prefixes(cx);
    let tried = u32::try_from(prefixes.len()).unwrap_or(u32::MAX);
    let found = cx.each(prefixes, |prefix| find(cx, prefix)).await?;
    let mut places: Vec<Place> = Vec::new();
    let mut evidence: Vec<Evidence> = Vec::new();
    let mut engine: Option<Engine> = None;
    for one in found.into_iter().flatten() {
        places.extend(one.places.iter().cloned());
        if engine.is_none() {
            evidence.extend(one.evidence.iter().cloned());
            engine = Some(one);
        }
    }
    let Some(engine) = engine else {
        return Ok(Outcome::tried(tried));
    };

    let mut grants = vec![State::RuntimeRead];
    let mut description = format!(
        "the engine's API answers below `{}` and tells {} of the whole host",
        if engine.prefix.is_empty() {
            "/"
        } else {
            &engine.prefix
        },
        if engine.open {
            "anyone"
        } else {
            "an ordinary identity"
        },
    );
    if cx.options().level >= Level::Active
        && let Some((piece, place)) = control(cx, &engine).await?
    {
        grants.push(State::RuntimeControl);
        evidence.push(piece);
        places.push(place);
        description.push_str(
            "; a container with the host's root in it is refused by nobody but for its image",
        );
    }
    cx.report(
        Finding::new(&META, places, evidence)
            .described(description)
            .grants(grants),
    );
    cx.learn(&engine.facts);
    Ok(Outcome::tried(tried))
}

/// An engine that answers about the whole host.
struct Engine {
    prefix: String,
    auth: Auth,
    /// Whether it answers without a token.
    open: bool,
    places: Vec<Place>,
    evidence: Vec<Evidence>,
    /// What it says about its host.
    facts: Facts,
}

/// The built-in prefixes and those of the inventory, each once.
fn prefixes(cx: &Context) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let base = cx
        .options()
        .base
        .base_path()
        .trim_end_matches('/')
        .to_owned();
    for operation in cx.operations() {
        for end in ENGINE_PATHS {
            if let Some(prefix) = operation.path.strip_suffix(end)
                && !prefix.contains('{')
            {
                all.push(prefix.to_owned());
            }
        }
        // A proxy takes the rest of the path as one parameter.
        if operation.reaches(Reach::Runtime)
            && let Some((prefix, last)) = operation.path.rsplit_once("/{")
            && !prefix.contains('{')
            && last.ends_with('}')
        {
            all.push(prefix.to_owned());
        }
    }
    all.extend(PREFIXES.iter().map(|prefix| format!("{base}{prefix}")));
    all.extend(PREFIXES.iter().map(|prefix| (*prefix).to_owned()));
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|prefix| seen.insert(prefix.clone()));
    all
}

/// As whom the engine is asked, one after the other.
fn callers(cx: &Context) -> Vec<Auth> {
    match cx.identities().len() {
        0 => vec![Auth::None],
        count => (0..count).map(Auth::Identity).collect(),
    }
}

async fn find(cx: &Context, prefix: String) -> Result<Option<Engine>, Halt> {
    let get =
        |path: &str, auth: &Auth| cx.send(Request::get(format!("{prefix}{path}"), auth.clone()));
    // Identities may be of different kinds, of which only some are let in here.
    let mut callers = callers(cx).into_iter();
    let (first, version) = loop {
        let Some(auth) = callers.next() else {
            return Ok(None);
        };
        let version = get("/version", &auth).await?;
        if succeeds(&version) && version.json().is_some_and(is_engine_version) {
            break (auth, version);
        }
    };
    let mut evidence = vec![cx.evidence("the engine's version is answered", &version)];
    let mut places = Vec::new();
    let info = get("/info", &first).await?;
    let mut facts = Facts::new();
    let whole = succeeds(&info) && info.json().is_some_and(tells_of_the_host);
    if whole {
        let proof = cx.evidence("the engine describes its host", &info);
        facts = engine_facts(&info.text(), &proof);
        evidence.push(proof);
        places.push(place(cx, &format!("{prefix}/info")));
    }
    let list = get("/containers/json?all=true", &first).await?;
    let ids = list
        .json()
        .filter(|_| succeeds(&list))
        .and_then(list_of_containers)
        .unwrap_or_default();
    let mut shared = false;
    if !ids.is_empty() {
        for auth in callers {
            let other = get("/containers/json?all=true", &auth).await?;
            let theirs = other
                .json()
                .filter(|_| succeeds(&other))
                .and_then(list_of_containers);
            if let Some(theirs) = theirs {
                shared = theirs == ids;
                if shared {
                    let shows = "another identity is told of the same containers";
                    evidence.push(cx.evidence(shows, &other));
                }
                break;
            }
        }
    }
    if !ids.is_empty() && (whole || shared) {
        evidence.insert(1, cx.evidence("containers are listed, whoever asks", &list));
        places.insert(0, place(cx, &format!("{prefix}/containers/json")));
    }
    if !whole && !shared {
        return Ok(None);
    }
    let anonymous = get("/version", &Auth::None).await?;
    let open = succeeds(&anonymous) && anonymous.json().is_some_and(is_engine_version);
    Ok(Some(Engine {
        prefix,
        auth: first,
        open,
        places,
        evidence,
        facts,
    }))
}

/// Whether the engine would make a container that hands over the host. The image cannot exist, so
/// it makes none; should one be made all the same, it is removed.
async fn control(cx: &Context, engine: &Engine) -> Result<Option<(Evidence, Place)>, Halt> {
    let image = format!("{}/{}", cx.nonce(), cx.nonce());
    let path = format!("{}/containers/create", engine.prefix);
    let request = Request::new(Method::POST, path.clone(), engine.auth.clone()).with_json(&json!({
        "Image": format!("{image}:0"),
        "HostConfig": { "Binds": ["/:/host:ro"] },
    }));
    let exchange: Arc<Exchange> = cx.send_fresh(request).await?;
    if exchange.status() == Some(201)
        && let Some(id) = exchange.json().and_then(|json| json["Id"].as_str())
    {
        let remove = format!("{}/containers/{id}", engine.prefix);
        let removed = cx
            .send_fresh(Request::new(Method::DELETE, remove, engine.auth.clone()))
            .await?;
        if !succeeds(&removed) {
            cx.note(format!(
                "{path} made the container {id}, which could not be removed"
            ));
        }
        return Ok(Some((
            cx.evidence("a container with the host's root is made", &exchange),
            at(cx, &path),
        )));
    }
    let own = exchange.status() == Some(404)
        && exchange
            .json()
            .is_some_and(|json| is_engine_error(json, &image));
    Ok(own.then(|| {
        let shows = "the engine itself refuses, for want of the image alone; nothing is made";
        (cx.evidence(shows, &exchange), at(cx, &path))
    }))
}

/// Whether it is what an engine says of itself to whoever may know the host: where on it everything
/// lies. A gate that shows each caller their own leaves that out.
fn tells_of_the_host(info: &Value) -> bool {
    is_engine_info(info)
        && info["DockerRootDir"]
            .as_str()
            .is_some_and(|path| path.starts_with('/'))
}

fn succeeds(exchange: &Exchange) -> bool {
    exchange
        .status()
        .is_some_and(|status| (200..300).contains(&status))
}

fn place(cx: &Context, path: &str) -> Place {
    known(cx, "GET", path)
}

fn at(cx: &Context, path: &str) -> Place {
    known(cx, "POST", path)
}

/// The operation in the inventory where it has this path, with its file and line.
fn known(cx: &Context, method: &str, path: &str) -> Place {
    cx.operations()
        .iter()
        .find(|operation| operation.path == path && operation.method == method)
        .map_or_else(
            || Place::operation(method, path),
            |operation| cx.place(operation),
        )
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::testing::{Request, Response, Sample, Samples, api};

    let description = || api(json!({ "/health": { "get": {} } }));
    let version = || {
        Response::json(
            200,
            json!({ "Version": "27.3.1", "ApiVersion": "1.47", "MinAPIVersion": "1.24",
                                    "Os": "linux", "Arch": "amd64", "GitCommit": "41ca978" }),
        )
    };
    let container = |id: &str, owner: &str| {
        json!({ "Id": id.repeat(32), "Names": [format!("/{owner}-web")], "Image": "web:1",
                "ImageID": "sha256:00", "Command": "serve", "State": "running",
                "HostConfig": { "NetworkMode": "bridge" } })
    };
    let refused = || Response::json(401, json!({ "message": "token required" }));
    let absent = || Response::json(404, json!({ "message": "page not found" }));
    let create = |request: &Request| {
        let body = request.json().unwrap_or_default();
        let image = body["Image"].as_str().unwrap_or_default().to_owned();
        Response::json(404, json!({ "message": format!("No such image: {image}") }))
    };
    let engine = move |request: &Request| match (request.method.as_str(), request.path()) {
        ("GET", "/docker/version") => version(),
        ("GET", "/docker/containers/json") => Response::json(
            200,
            json!([container("ab", "alice"), container("cd", "bob")]),
        ),
        ("POST", "/docker/containers/create") => create(request),
        ("GET", "/health") => Response::json(200, json!({ "ok": true })),
        _ => absent(),
    };
    Samples::new()
        .flawed(
            Sample::new(
                "a proxy behind any token",
                description(),
                move |request: &Request| match request.subject() {
                    Some(_) => engine(request),
                    None => refused(),
                },
            )
            .reports(["GET /docker/containers/json"]),
        )
        .flawed(
            Sample::new(
                "a proxy that creates",
                description(),
                move |request: &Request| match request.subject() {
                    Some(_) => engine(request),
                    None => refused(),
                },
            )
            .options(|options| options.level = Level::Active)
            .reports([
                "GET /docker/containers/json",
                "POST /docker/containers/create",
            ]),
        )
        .sound(
            Sample::new(
                "a gate that tells each its own",
                description(),
                move |request: &Request| {
                    let Some(subject) = request.subject() else {
                        return refused();
                    };
                    match (request.method.as_str(), request.path()) {
                        ("GET", "/version") => version(),
                        ("GET", "/info") => Response::json(
                            200,
                            json!({ "ServerVersion": "27.3.1", "Containers": 1, "Driver": "overlay2",
                                    "OperatingSystem": "Debian", "DockerRootDir": "" }),
                        ),
                        ("GET", "/containers/json") => {
                            let id = if subject == "alice" { "ab" } else { "cd" };
                            Response::json(200, json!([container(id, &subject)]))
                        }
                        ("POST", _) => {
                            Response::json(403, json!({ "message": "refused by the floor" }))
                        }
                        ("GET", "/health") => Response::json(200, json!({ "ok": true })),
                        _ => absent(),
                    }
                },
            )
            .options(|options| options.level = Level::Active),
        )
        .sound(Sample::new(
            "a version of its own",
            description(),
            move |request: &Request| match request.path() {
                "/version" => {
                    Response::json(200, json!({ "version": "1.0.3", "ApiVersion": "1.0" }))
                }
                "/health" => Response::json(200, json!({ "ok": true })),
                _ => absent(),
            },
        ))
}
