//! The REST dialect: the same actions under `/v1`, for programs that speak JSON and no Docker.
//!
//! Bodies are the types of [`action`](crate::action) and [`container`](crate::container) as serde
//! writes them. Query keys are those of the docker dialect. There are no interactive streams: what
//! a terminal needs (attach, resize) is offered by the docker dialect alone.

pub mod body;
mod containers;
mod encode;
mod exec;
mod images;
mod networks;
mod system;
mod volumes;

pub use encode::{RestBody, RestRequest, encode};

use crate::action::Action;
use crate::refusal::{Refusal, Rule, quote};
use crate::request::{Head, Route, Routed};
use crate::target::Target;

/// Finds the route of a request and checks its headers; the body comes after.
///
/// # Errors
/// The first rule that refuses it.
pub fn route<'a>(head: Head<'a>) -> Result<Routed<'a>, Refusal> {
    let target = Target::literal(head.target)?;
    let segments: Vec<&str> = target.path[1..].split('/').collect();
    let found = match segments.as_slice() {
        ["v1", "containers", rest @ ..] => containers::route(head.method, rest),
        ["v1", "exec", rest @ ..] => exec::route(head.method, rest),
        ["v1", "images", rest @ ..] => images::route(head.method, rest, target.path),
        ["v1", "networks", rest @ ..] => networks::route(head.method, rest),
        ["v1", "volumes", rest @ ..] => volumes::route(head.method, rest),
        ["v1", rest @ ..] => system::route(head.method, rest),
        _ => None,
    };
    match found {
        Some(route) => route.accept(head, target.query),
        None => Err(Refusal::new(
            Rule::Route,
            format!(
                "{} is no action here",
                quote(&format!("{} {}", head.method, target.path))
            ),
        )
        .at("path")),
    }
}

/// The action of a request whose body is at hand; see [`route`] for one that streams.
///
/// # Errors
/// The first rule that refuses it.
pub fn parse(head: Head<'_>, body: &[u8]) -> Result<Action, Refusal> {
    route(head)?.action(body)
}

/// What the routes of every file have at hand.
mod prelude {
    pub(super) use super::Route;
    pub(super) use crate::action::Action;
    pub(super) use crate::refusal::Refusal;
    pub(super) use crate::request::{BodyKind, Call};
}
