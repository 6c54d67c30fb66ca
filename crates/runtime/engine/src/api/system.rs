//! `_ping`, `version` and `info`.

use crate::answer::Answer;
use crate::commands::KERNEL;
use crate::request::Call;
use crate::{API_VERSION, ENGINE_VERSION, MIN_API_VERSION};
use cofferdam_docker::wire::{Component, Info, Plugins, Version};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use serde_json::json;
use std::collections::BTreeMap;

pub(crate) fn ping() -> Answer {
    let mut answer = Answer::text(StatusCode::OK, "OK");
    let headers = answer.0.headers_mut();
    headers.insert("builder-version", HeaderValue::from_static("2"));
    let fresh = HeaderValue::from_static("no-cache, no-store, must-revalidate");
    headers.insert(CACHE_CONTROL, fresh);
    answer
}

/// When the version that it says it is was built.
const BUILT: &str = "2025-11-05T14:42:53.000000000+00:00";

pub(crate) fn version() -> Answer {
    let component = |name: &str, version: &str| Component {
        name: name.to_owned(),
        version: version.to_owned(),
        details: BTreeMap::new(),
    };
    let details = [
        ("ApiVersion", API_VERSION),
        ("Arch", "amd64"),
        ("BuildTime", BUILT),
        ("Experimental", "false"),
        ("GitCommit", "89c5e8f"),
        ("GoVersion", "go1.24.9"),
        ("KernelVersion", KERNEL),
        ("MinAPIVersion", MIN_API_VERSION),
        ("Os", "linux"),
    ];
    let engine = Component {
        details: details
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..component("Engine", ENGINE_VERSION)
    };
    Answer::ok(&Version {
        version: ENGINE_VERSION.to_owned(),
        api_version: API_VERSION.to_owned(),
        min_api_version: MIN_API_VERSION.to_owned(),
        git_commit: "89c5e8f".to_owned(),
        go_version: "go1.24.9".to_owned(),
        os: "linux".to_owned(),
        arch: "amd64".to_owned(),
        kernel_version: KERNEL.to_owned(),
        build_time: BUILT.to_owned(),
        components: vec![
            engine,
            component("containerd", "2.1.5"),
            component("runc", "1.3.3"),
            component("docker-init", "0.19.0"),
        ],
    })
}

pub(crate) fn info(call: &Call) -> Answer {
    let options = &call.engine.options;
    let inner = call.engine.lock();
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let running = inner.containers.values().filter(|c| c.running()).count();
    let paused = inner.containers.values().filter(|c| c.is_paused()).count();
    let mut security = vec![
        "name=apparmor".to_owned(),
        "name=seccomp,profile=builtin".to_owned(),
    ];
    if options.rootless {
        security.push("name=rootless".to_owned());
    }
    if options.userns_remap {
        security.push("name=userns".to_owned());
    }
    security.push("name=cgroupns".to_owned());
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
    Answer::ok(&Info {
        id: call.engine.id.clone(),
        containers: count(inner.containers.len()),
        containers_running: count(running - paused),
        containers_paused: count(paused),
        containers_stopped: count(inner.containers.len() - running),
        images: count(inner.images.len()),
        driver: "overlay2".to_owned(),
        docker_root_dir: "/var/lib/docker".to_owned(),
        plugins: Plugins {
            volume: names(&["local"]),
            network: names(&["bridge", "host", "ipvlan", "macvlan", "null", "overlay"]),
            authorization: options
                .authorization
                .as_ref()
                .map(|policy| vec![policy.plugin.clone()]),
            log: names(&["json-file", "local", "none"]),
        },
        cgroup_version: "2".to_owned(),
        kernel_version: KERNEL.to_owned(),
        operating_system: "Debian GNU/Linux 13 (trixie)".to_owned(),
        os_type: "linux".to_owned(),
        architecture: "x86_64".to_owned(),
        name: options.host_name.clone(),
        server_version: ENGINE_VERSION.to_owned(),
        default_runtime: "runc".to_owned(),
        runtimes: BTreeMap::from([("runc".to_owned(), json!({"path": "runc"}))]),
        security_options: security,
        warnings: options.tcp.map(|address| {
            vec![format!(
                "[DEPRECATION NOTICE]: API is accessible on http://{address} without encryption.\n\
                 Access to the remote API is equivalent to root access on the host."
            )]
        }),
    })
}
