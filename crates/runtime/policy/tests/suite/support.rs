//! Requests with owners, made short.

use std::sync::LazyLock;

use cofferdam_action::action::{Action, Reference};
use cofferdam_policy::{Decision, PolicySet, Principal, Request, Resource, ResourceKind, Source};

/// The shipped set, read once.
pub(crate) static SHIPPED: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::shipped().unwrap());

const NOW: u64 = 1_795_521_600;

pub(crate) fn set(text: &str) -> PolicySet {
    PolicySet::parse([Source::new("p.cedar", text)]).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn principal<'a>(
    owner: &'a str,
    roles: &[&'a str],
    scopes: &[&'a str],
) -> Principal<'a> {
    Principal {
        owner,
        issuer: "https://idp.example",
        subject: "alice",
        client: Some("cli"),
        scopes: scopes.to_vec(),
        roles: roles.to_vec(),
        groups: vec!["developers"],
    }
}

/// By the name that the action has.
pub(crate) fn request<'a>(
    principal: Principal<'a>,
    action: &'a Action,
    resources: &'a [Resource<'a>],
) -> Request<'a> {
    Request {
        principal,
        action,
        given_name: action.given_name(),
        resources,
        now: NOW,
    }
}

/// The kind and name of what an action refers to.
pub(crate) fn named(action: &Action) -> Vec<(ResourceKind, String)> {
    let references = action.references().into_iter();
    references
        .map(|reference| match reference {
            Reference::Container(it) => (ResourceKind::Container, it.to_string()),
            Reference::Network(it) => (ResourceKind::Network, it.to_string()),
            Reference::Volume(it) => (ResourceKind::Volume, it.to_string()),
            Reference::Exec(it) => (ResourceKind::Exec, it.to_string()),
            Reference::Image(it) => (ResourceKind::Image, it.to_string()),
        })
        .collect()
}

/// Decides with objects of which `owner` tells whose they are.
pub(crate) fn decide(
    policies: &PolicySet,
    principal: Principal<'_>,
    action: &Action,
    owner: impl Fn(ResourceKind, &str) -> Option<&'static str>,
) -> Decision {
    let named = named(action);
    let resources: Vec<Resource<'_>> = named
        .iter()
        .map(|(kind, name)| Resource::new(*kind, name, owner(*kind, name)).named(name))
        .collect();
    policies.decide(&request(principal, action, &resources))
}
