//! Engines that listen on TCP, as the container's environment and its neighbours tell.

use super::Reading;
use crate::settings::{At, Settings};
use cofferdam_finding::{Condition, Truth};

/// Images that stand between a container and the engine and let reading through.
const PROXIES: &[&str] = &["docker-socket-proxy", "socket-proxy", "dockerproxy"];

pub(super) fn learn(reading: &mut Reading<'_>, others: &[&Settings]) {
    let settings = reading.settings;
    if let Some(host) = settings.variable("DOCKER_HOST")
        && let Some(endpoint) = host.value.kept.as_deref().and_then(Endpoint::parse)
    {
        let verified = settings
            .variable("DOCKER_TLS_VERIFY")
            .is_some_and(|variable| variable.value.literal);
        let proxy = others.iter().find(|other| {
            other.name == endpoint.host || other.container_name.as_deref() == Some(endpoint.host)
        });
        let filtered = proxy.is_some_and(|proxy| is_filter(proxy));
        if !filtered && (endpoint.port == 2375 || !verified) {
            let shows = format!(
                "the engine answers at {}:{} without TLS",
                endpoint.host, endpoint.port
            );
            reading.yes(Condition::NetDockerTcp, host.shows(shows));
        }
    }
    for other in others {
        let beside = !std::ptr::eq(*other, settings)
            && settings
                .networks
                .iter()
                .any(|network| other.networks.contains(network));
        if let Some(open) = open_engine(other).filter(|_| beside) {
            let shows = format!(
                "`{}` offers an engine without TLS on the same network",
                other.name
            );
            reading.yes(Condition::NetDockerTcp, open.shows(shows));
        }
    }
    if settings
        .network
        .as_ref()
        .is_some_and(|mode| mode.value == "none")
    {
        reading.absent(Condition::NetOpenEastWest, Truth::No, "it has no network");
    }
}

/// The line by which a service is an engine that anybody on its network commands.
pub(crate) fn open_engine(settings: &Settings) -> Option<At<String>> {
    let said = |at: &At<String>| {
        let value = at.value.replace(' ', "");
        (value.contains("tcp://") && value.contains("2375")) || value.contains("--tls=false")
    };
    let image = settings.image.as_ref()?;
    let engine = is_engine_image(&image.value)
        || settings
            .command
            .iter()
            .any(|at| at.value.contains("dockerd"));
    if !engine {
        return None;
    }
    if let Some(command) = settings.command.iter().find(|at| said(at)) {
        return Some(command.clone());
    }
    let plain = settings
        .variable("DOCKER_TLS_CERTDIR")
        .filter(|variable| variable.value.kept.as_deref() == Some(""))?;
    Some(At {
        value: plain.value.name.clone(),
        at: plain.at.clone(),
    })
}

/// `docker:dind`, `docker:27-dind`, `docker.io/library/docker:dind-rootless`, …
fn is_engine_image(image: &str) -> bool {
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, ""));
    let name = name.rsplit('/').next().unwrap_or_default();
    name == "docker" && tag.contains("dind")
}

/// Whether a service is a proxy before the engine that lets nothing through that changes anything.
pub(crate) fn is_filter(settings: &Settings) -> bool {
    let known = settings
        .image
        .as_ref()
        .is_some_and(|image| PROXIES.iter().any(|proxy| image.value.contains(proxy)));
    let may_post = settings
        .variable("POST")
        .and_then(|variable| variable.value.kept.as_deref())
        .is_some_and(|value| !matches!(value, "" | "0" | "false"));
    known && !may_post
}

struct Endpoint<'a> {
    host: &'a str,
    port: u16,
}

impl<'a> Endpoint<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let rest = text
            .strip_prefix("tcp://")
            .or_else(|| text.strip_prefix("http://"))?;
        let authority = rest.split('/').next()?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (authority, 2375),
        };
        Some(Endpoint { host, port })
    }
}
