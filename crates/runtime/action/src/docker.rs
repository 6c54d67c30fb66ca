//! The Docker Engine API as a dialect: an unmodified `docker`, docker-compose, docker-py or
//! testcontainers asks for actions.

pub(crate) mod containers;
mod create;
mod endpoint;
mod exec;
mod host_config;
pub(crate) mod images;
mod lifecycle;
mod mounts;
pub(crate) mod networks;
mod not_offered;
pub(crate) mod system;
pub(crate) mod volumes;

use crate::action::Action;
use crate::refusal::{Refusal, Rule, quote};
use crate::request::{Head, Route, Routed};
use crate::target::Target;

/// Finds the route of a request and checks its headers; the body comes after.
///
/// # Errors
/// The first rule that refuses it: the spelling of the target, a route that no action has, a header.
pub fn route<'a>(head: Head<'a>) -> Result<Routed<'a>, Refusal> {
    let target = Target::versioned(head.target)?;
    let segments: Vec<&str> = target.path[1..].split('/').collect();
    let found = match segments.as_slice() {
        ["containers", rest @ ..] => containers::route(head.method, rest),
        ["exec", rest @ ..] => exec::route(head.method, rest),
        ["images", rest @ ..] => images::route(head.method, rest, target.path),
        ["networks", rest @ ..] => networks::route(head.method, rest),
        ["volumes", rest @ ..] => volumes::route(head.method, rest),
        other => system::route(head.method, other),
    };
    match found {
        Some(route) => route.accept(head, target.query),
        None => Err(unknown(head.method, &segments)),
    }
}

/// The action of a request whose body is at hand; see [`route`] for one that streams.
///
/// # Errors
/// The first rule that refuses it.
pub fn parse(head: Head<'_>, body: &[u8]) -> Result<Action, Refusal> {
    route(head)?.action(body)
}

/// Why there is no such route.
fn unknown(method: &str, segments: &[&str]) -> Refusal {
    if let ("GET", ["plugins", name @ .., "json"]) = (method, segments)
        && !name.is_empty()
    {
        // `docker inspect` looks here last, for a name that is none of anything else's. It says so in
        // its own words where the engine has no such plug-in either.
        let none = format!(
            "plugin {} not found; none are offered",
            quote(&name.join("/"))
        );
        return Refusal::new(Rule::Route, none).at("path");
    }
    let refusal = match not_offered::reason(method, segments) {
        Some(reason) => Refusal::new(Rule::NotOffered, format!("not offered: {reason}")),
        None => Refusal::new(
            Rule::Route,
            format!(
                "{} is no action here",
                quote(&format!("{method} /{}", segments.join("/")))
            ),
        ),
    };
    refusal.at("path")
}

/// The action of a `POST` with a JSON body.
#[cfg(test)]
fn post(target: &str, body: &str) -> Result<Action, Refusal> {
    let head = Head {
        method: "POST",
        target,
        headers: &[("Content-Type", b"application/json")],
    };
    parse(head, body.as_bytes())
}

/// What the routes of every file have at hand.
mod prelude {
    pub(super) use super::Route;
    pub(super) use crate::action::Action;
    pub(super) use crate::refusal::{Refusal, Rule, quote};
    pub(super) use crate::request::{BodyKind, Call};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plug_in_that_somebody_looks_for_is_not_there_and_nothing_else_of_plug_ins_is_offered() {
        let rule = |method: &str, target: &str| {
            let headers = &[];
            let head = Head {
                method,
                target,
                headers,
            };
            parse(head, b"").unwrap_err().rule
        };
        for name in ["none", "vieux/sshfs:latest"] {
            let target = format!("/v1.41/plugins/{name}/json");
            assert_eq!(rule("GET", &target), Rule::Route);
            assert_eq!(rule("POST", &target), Rule::NotOffered);
        }
        for target in ["/v1.41/plugins", "/v1.41/plugins/json"] {
            assert_eq!(rule("GET", target), Rule::NotOffered);
        }
    }
}
