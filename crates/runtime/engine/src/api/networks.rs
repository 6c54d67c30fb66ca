//! Networks: list, create, inspect, connect, disconnect, remove.

use crate::answer::{Answer, Refusal};
use crate::decode::{CONNECT, DISCONNECT, NETWORK_CREATE};
use crate::filters::Filters;
use crate::network::{Endpoint, Network, PREDEFINED};
use crate::request::Call;
use crate::state::{Inner, MOST, full, random_id};
use hyper::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

const FILTERS: &[&str] = &["dangling", "driver", "id", "label", "name", "scope", "type"];

pub(crate) fn list(call: &Call) -> Result<Answer, Refusal> {
    let filters = Filters::read(call.query("filters"), FILTERS)?;
    let inner = call.engine.lock();
    let predefined = |network: &Network| PREDEFINED.iter().any(|(name, _)| *name == network.name);
    let mut networks: Vec<_> = inner
        .networks
        .values()
        .filter(|network| {
            filters.any("id", |id| network.id.starts_with(id))
                && filters.any("name", |name| network.name.contains(name))
                && filters.any("driver", |driver| network.driver == driver)
                && filters.any("scope", |scope| scope == "local")
                && filters.any("type", |kind| (kind == "builtin") == predefined(network))
                && filters
                    .flag("dangling")
                    .is_none_or(|wanted| wanted == (!predefined(network) && !used(&inner, network)))
                && filters.labels(&network.labels)
        })
        .collect();
    networks.sort_by_key(|network| std::cmp::Reverse(network.created));
    let nobody = || None::<std::iter::Empty<_>>;
    let entries: Vec<_> = networks
        .iter()
        .map(|network| network.to_json(nobody()))
        .collect();
    Ok(Answer::ok(&entries))
}

pub(crate) fn used(inner: &Inner, network: &Network) -> bool {
    let mut endpoints = inner
        .containers
        .values()
        .flat_map(|record| &record.endpoints);
    endpoints.any(|endpoint| endpoint.network == network.id && !endpoint.id.is_empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Create {
    name: String,
    driver: String,
    #[serde(rename = "EnableIPv6")]
    ipv6: bool,
    #[serde(rename = "IPAM")]
    ipam: Value,
    internal: bool,
    attachable: bool,
    options: Option<BTreeMap<String, String>>,
    labels: Option<BTreeMap<String, String>>,
}

pub(crate) fn create(call: &Call) -> Result<Answer, Refusal> {
    let body: Create = call.read_as(&NETWORK_CREATE)?;
    let name = body.name;
    if name.is_empty() || name.len() > 255 || name.contains(['/', '\0', '\n']) {
        return Err(Refusal::bad(format!("{name} is not a valid network name")));
    }
    let mut inner = call.engine.lock();
    if PREDEFINED.iter().any(|(predefined, _)| *predefined == name) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!("operation is not permitted on predefined {name} network "),
        ));
    }
    if inner.networks.values().any(|network| network.name == name) {
        return Err(Refusal::conflict(format!(
            "network with name {name} already exists"
        )));
    }
    if inner.networks.len() >= MOST {
        return Err(full("networks"));
    }
    let driver = match body.driver.as_str() {
        "" => "bridge",
        known @ ("bridge" | "macvlan" | "ipvlan") => known,
        "host" => {
            let text = "only one instance of \"host\" network is allowed";
            return Err(Refusal::new(StatusCode::FORBIDDEN, text));
        }
        other => {
            return Err(Refusal::not_found(format!("plugin \"{other}\" not found")));
        }
    };
    let subnet = match body.ipam["Config"][0]["Subnet"].as_str() {
        Some(asked) if !asked.is_empty() => Some(parse(asked)?),
        _ => inner.free_subnet(),
    };
    let id = random_id().map_err(Refusal::internal)?;
    let network = Network {
        id: id.clone(),
        name,
        driver: driver.to_owned(),
        created: Timestamp::now(),
        internal: body.internal,
        attachable: body.attachable,
        ipv6: body.ipv6,
        labels: body.labels.unwrap_or_default(),
        options: body.options.unwrap_or_default(),
        subnet,
    };
    call.engine
        .events
        .tell("network", "create", &id, network.attributes());
    inner.networks.insert(id.clone(), network);
    let answer = json!({"Id": id, "Warning": ""});
    Ok(Answer::json(StatusCode::CREATED, &answer))
}

fn parse(subnet: &str) -> Result<(Ipv4Addr, u8), Refusal> {
    subnet
        .split_once('/')
        .and_then(|(first, bits)| Some((first.parse().ok()?, bits.parse().ok()?)))
        .filter(|(_, bits)| (8..=30).contains(bits))
        .ok_or_else(|| {
            Refusal::bad(format!(
                "invalid subnet {subnet}: invalid CIDR block notation"
            ))
        })
}

pub(crate) fn inspect(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let inner = call.engine.lock();
    let network = inner.network(id)?;
    let running = inner.containers.values().filter(|record| record.running());
    Ok(Answer::ok(&network.to_json(Some(running))))
}

pub(crate) fn remove(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let mut inner = call.engine.lock();
    let network = inner.network(id)?;
    let (id, name) = (network.id.clone(), network.name.clone());
    if PREDEFINED.iter().any(|(predefined, _)| *predefined == name) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!("{name} is a pre-defined network and cannot be removed"),
        ));
    }
    if used(&inner, network) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!("error while removing network: network {name} id {id} has active endpoints"),
        ));
    }
    inner.remove_network(&call.engine, &id);
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Connect {
    container: String,
    endpoint_config: Option<Map<String, Value>>,
}

pub(crate) fn connect(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let body: Connect = call.read_as(&CONNECT)?;
    let mut inner = call.engine.lock();
    let network = inner.network(id)?;
    let (id, name, attributes) = (
        network.id.clone(),
        network.name.clone(),
        network.attributes(),
    );
    let record = inner.container(&body.container)?;
    let is_there = |endpoint: &Endpoint| endpoint.wanted == name || endpoint.network == id;
    if record.endpoints.iter().any(is_there) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!(
                "endpoint with name {} already exists in network {name}",
                record.name
            ),
        ));
    }
    let config = body.endpoint_config.unwrap_or_default();
    record.endpoints.push(Endpoint::wanted(&name, config));
    let (container, is_running) = (record.id.clone(), record.running());
    if is_running {
        inner.join(&container)?;
    }
    tell(call, "connect", &id, attributes, &container);
    Ok(Answer::empty(StatusCode::OK))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Disconnect {
    container: String,
}

pub(crate) fn disconnect(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let body: Disconnect = call.read_as(&DISCONNECT)?;
    let mut inner = call.engine.lock();
    let network = inner.network(id)?;
    let (id, name, attributes) = (
        network.id.clone(),
        network.name.clone(),
        network.attributes(),
    );
    let record = inner.container(&body.container)?;
    let before = record.endpoints.len();
    record
        .endpoints
        .retain(|endpoint| endpoint.wanted != name && endpoint.network != id);
    if record.endpoints.len() == before {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!("container {} is not connected to network {name}", record.id),
        ));
    }
    let container = record.id.clone();
    tell(call, "disconnect", &id, attributes, &container);
    Ok(Answer::empty(StatusCode::OK))
}

fn tell(
    call: &Call,
    action: &str,
    id: &str,
    mut attributes: BTreeMap<String, String>,
    container: &str,
) {
    attributes.insert("container".to_owned(), container.to_owned());
    call.engine.events.tell("network", action, id, attributes);
}
