//! `EndpointSettings`: how a container joins a network.

use super::prelude::*;
use crate::container::{Endpoint, NetworkMode};
use crate::json::{Default, Members, Never};
use crate::name::{Hostname, NetworkRef};

/// Members that clients send at their defaults, since they read and write the same type.
const NEVER: &[Never] = &[
    address("IPAMConfig"),
    address("MacAddress"),
    address("IPAddress"),
    address("IPPrefixLen"),
    address("Gateway"),
    address("GlobalIPv6Address"),
    address("GlobalIPv6PrefixLen"),
    address("IPv6Gateway"),
    Never {
        name: "Links",
        rule: Rule::Link,
        why: "a link shows another container's environment; use a network of your own",
        default: Default::Any,
    },
    Never {
        name: "DriverOpts",
        rule: Rule::NetworkDriver,
        why: "options of the driver set parameters of the kernel",
        default: Default::Any,
    },
];

const fn address(name: &'static str) -> Never {
    Never {
        name,
        rule: Rule::NetworkAddress,
        why: "a chosen address takes a neighbour's place; the engine picks a free one",
        default: Default::Any,
    }
}

/// The aliases of one endpoint; everything else must be at its default.
pub(super) fn aliases(mut members: Members) -> Result<Vec<Hostname>, Refusal> {
    let aliases = members.parsed_list("Aliases", Hostname::parse)?;
    members.never(NEVER)?;
    // What the engine itself fills in means nothing in a request.
    for name in ["NetworkID", "EndpointID"] {
        members.text(name)?;
    }
    members.list("DNSNames", |_, _| Ok(()))?;
    members.finish()?;
    Ok(aliases)
}

/// The endpoints of a new container: at most one, in a network that exists by name. Clients also
/// send an empty one under the name of a mode.
pub(super) fn of_create(
    members: Option<Members>,
    mode: &NetworkMode,
) -> Result<Option<Endpoint>, Refusal> {
    let Some(mut members) = members else {
        return Ok(None);
    };
    let mut found: Option<Endpoint> = None;
    let endpoints = members.map("EndpointsConfig")?;
    members.finish()?;
    for (name, value) in endpoints {
        let field = format!("NetworkingConfig.EndpointsConfig[{}]", quote(&name));
        let aliases = match value {
            crate::json::Value::Null => Vec::new(),
            value => aliases(Members::of(value, field.clone())?)?,
        };
        if name.eq_ignore_ascii_case("host") {
            return Err(Refusal::new(
                Rule::NetworkNamespace,
                "the host's network reaches every service on it; publish a port instead",
            )
            .at(field));
        }
        let of_mode = match name.as_str() {
            "default" | "bridge" => matches!(mode, NetworkMode::Default | NetworkMode::Bridge),
            "none" => *mode == NetworkMode::None,
            _ => false,
        };
        if of_mode {
            if !aliases.is_empty() {
                return Err(
                    Refusal::new(Rule::Name, "only networks of your own have aliases").at(field),
                );
            }
            continue;
        }
        let network = NetworkRef::parse(&name).map_err(|refusal| refusal.at(field.clone()))?;
        let contradicts = match mode {
            NetworkMode::Default => false,
            NetworkMode::Network(of_mode) => *of_mode != network,
            NetworkMode::Bridge | NetworkMode::None | NetworkMode::Container(_) => true,
        };
        if contradicts || found.is_some() {
            return Err(Refusal::new(
                Rule::JsonType,
                "a new container joins one network, that of `HostConfig.NetworkMode`; connect it to others afterwards",
            )
            .at(field));
        }
        found = Some(Endpoint { network, aliases });
    }
    Ok(found)
}
