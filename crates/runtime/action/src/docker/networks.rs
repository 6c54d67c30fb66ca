//! Networks of one's own.

use super::endpoint;
use super::prelude::*;
use super::system::filters;
use crate::action::NetworkCreate;
use crate::container::Endpoint;
use crate::filter::{FilterKey, Filters};
use crate::json::{Default, Never};
use crate::name::{ContainerRef, NetworkName};
use crate::value::Labels;

const LIST_FILTERS: &[FilterKey] = &[
    FilterKey::Dangling,
    FilterKey::Driver,
    FilterKey::Id,
    FilterKey::Label,
    FilterKey::Name,
    FilterKey::Scope,
    FilterKey::Type,
];

const PRUNE_FILTERS: &[FilterKey] = &[FilterKey::Label, FilterKey::LabelNot, FilterKey::Until];

const NEVER: &[Never] = &[
    Never {
        name: "Options",
        rule: Rule::NetworkDriver,
        why: "options of the driver take over interfaces and open ports of the host",
        default: Default::Any,
    },
    Never {
        name: "ConfigFrom",
        rule: Rule::NetworkDriver,
        why: "it takes the configuration of another network",
        default: Default::Any,
    },
    Never {
        name: "ConfigOnly",
        rule: Rule::NetworkDriver,
        why: "it is a configuration for others to take",
        default: Default::Any,
    },
    Never {
        name: "Ingress",
        rule: Rule::NetworkDriver,
        why: "it belongs to swarm",
        default: Default::Any,
    },
];

const NEVER_ADDRESSES: &[Never] = &[
    Never {
        name: "Config",
        rule: Rule::NetworkAddress,
        why: "chosen subnets capture routes of the host; the engine picks a free one",
        default: Default::Any,
    },
    Never {
        name: "Options",
        rule: Rule::NetworkAddress,
        why: "options of an address driver",
        default: Default::Any,
    },
];

pub(crate) fn route<'a>(method: &str, path: &[&'a str]) -> Option<Route<'a>> {
    Some(match (method, path) {
        ("GET", []) => Route::plain(&["filters"], |call| {
            Ok(Action::NetworkList {
                filters: filters(&call, LIST_FILTERS)?,
            })
        }),
        ("POST", ["create"]) => Route::plain(&[], create).with(BodyKind::Json),
        ("POST", ["prune"]) => Route::plain(&["filters"], |call| {
            Ok(Action::NetworkPrune {
                filters: prune_filters(&call)?.of_own()?,
            })
        }),
        ("GET", [network]) => Route::named(network, &[], |call| {
            Ok(Action::NetworkInspect {
                network: call.network_to_inspect()?,
            })
        }),
        ("DELETE", [network]) => Route::named(network, &[], |call| {
            Ok(Action::NetworkRemove {
                network: call.network()?,
            })
        }),
        ("POST", [network, "connect"]) => Route::named(network, &[], connect).with(BodyKind::Json),
        ("POST", [network, "disconnect"]) => {
            Route::named(network, &[], disconnect).with(BodyKind::Json)
        }
        _ => return None,
    })
}

/// Filters of a prune.
pub(crate) fn prune_filters(call: &Call<'_>) -> Result<Filters, Refusal> {
    filters(call, PRUNE_FILTERS)
}

fn create(call: Call<'_>) -> Result<Action, Refusal> {
    let mut members = call.members()?;
    // The engine itself does not look at it since API 1.44.
    members.flag("CheckDuplicate")?;
    let name = members.required("Name", Rule::JsonType, NetworkName::parse)?;
    members.parsed("Driver", |driver| match driver {
        "bridge" => Ok(()),
        _ => Err(Refusal::new(
            Rule::NetworkDriver,
            format!(
                "{} reaches the host's network; networks here are bridges",
                quote(driver)
            ),
        )),
    })?;
    members.parsed("Scope", |scope| match scope {
        "local" => Ok(()),
        _ => Err(Refusal::new(
            Rule::NetworkDriver,
            "networks here are of scope `local`",
        )),
    })?;
    if let Some(mut addresses) = members.object("IPAM")? {
        addresses.parsed("Driver", |driver| match driver {
            "default" => Ok(()),
            _ => Err(Refusal::new(
                Rule::NetworkAddress,
                "addresses come from the engine's own driver",
            )),
        })?;
        addresses.never(NEVER_ADDRESSES)?;
        addresses.finish()?;
    }
    // Newer engines can do without IPv4; the pinned version always has it.
    if members.optional_flag("EnableIPv4")? == Some(false) {
        return Err(Refusal::new(Rule::NetworkAddress, "networks here have IPv4").at("EnableIPv4"));
    }
    let network = NetworkCreate {
        name,
        internal: members.flag("Internal")?,
        attachable: members.flag("Attachable")?,
        ipv6: members.flag("EnableIPv6")?,
        labels: Labels(members.text_map("Labels")?.into_iter().collect()),
    };
    members.never(NEVER)?;
    members.finish()?;
    Ok(Action::NetworkCreate(network))
}

fn connect(call: Call<'_>) -> Result<Action, Refusal> {
    let mut members = call.members()?;
    let container = members.required("Container", Rule::JsonType, ContainerRef::parse)?;
    let aliases = match members.object("EndpointConfig")? {
        Some(config) => endpoint::aliases(config)?,
        None => Vec::new(),
    };
    members.finish()?;
    let endpoint = Endpoint {
        network: call.network()?,
        aliases,
    };
    Ok(Action::NetworkConnect {
        container,
        endpoint,
    })
}

fn disconnect(call: Call<'_>) -> Result<Action, Refusal> {
    let mut members = call.members()?;
    let container = members.required("Container", Rule::JsonType, ContainerRef::parse)?;
    let force = members.flag("Force")?;
    members.finish()?;
    Ok(Action::NetworkDisconnect {
        network: call.network()?,
        container,
        force,
    })
}
