//! The networks: names and addresses, with nothing behind them.

use crate::answer::Refusal;
use crate::container::Record;
use crate::state::{Engine, Inner, random_id};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;

/// One network.
pub(crate) struct Network {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) driver: String,
    pub(crate) created: Timestamp,
    pub(crate) internal: bool,
    pub(crate) attachable: bool,
    pub(crate) ipv6: bool,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) options: BTreeMap<String, String>,
    /// The first address and how many bits are the network's; none for `host` and `none`.
    pub(crate) subnet: Option<(Ipv4Addr, u8)>,
}

/// A container's place in a network.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// The network's name or id as it was asked for, until the container starts.
    pub(crate) wanted: String,
    /// `EndpointConfig` as it was sent.
    pub(crate) config: Map<String, Value>,
    /// The network's id, once the container is in it.
    pub(crate) network: String,
    pub(crate) id: String,
    pub(crate) address: Option<Ipv4Addr>,
}

/// The networks that are always there.
pub(crate) const PREDEFINED: &[(&str, &str)] =
    &[("bridge", "bridge"), ("host", "host"), ("none", "null")];

impl Network {
    /// As inspected; `containers` are those in it.
    pub(crate) fn to_json<'a>(
        &self,
        containers: Option<impl Iterator<Item = &'a Record>>,
    ) -> Value {
        let config: Vec<_> = self
            .subnet
            .iter()
            .map(|(first, bits)| {
                json!({"Subnet": format!("{first}/{bits}"), "Gateway": host(*first, 1)})
            })
            .collect();
        let mut value = json!({
            "Name": self.name,
            "Id": self.id,
            "Created": format!("{:.9}", self.created),
            "Scope": "local",
            "Driver": self.driver,
            "EnableIPv6": self.ipv6,
            "IPAM": {"Driver": "default", "Options": null, "Config": config},
            "Internal": self.internal,
            "Attachable": self.attachable,
            "Ingress": false,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": false,
            "Containers": {},
            "Options": self.options,
            "Labels": self.labels,
        });
        let bits = self.subnet.map_or(0, |(_, bits)| bits);
        for record in containers.into_iter().flatten() {
            for endpoint in record.endpoints.iter().filter(|one| one.network == self.id) {
                let address = endpoint.address.map(|address| format!("{address}/{bits}"));
                value["Containers"][&record.id] = json!({
                    "Name": record.name,
                    "EndpointID": endpoint.id,
                    "MacAddress": mac(endpoint.address),
                    "IPv4Address": address.unwrap_or_default(),
                    "IPv6Address": "",
                });
            }
        }
        value
    }

    pub(crate) fn attributes(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("name".to_owned(), self.name.clone()),
            ("type".to_owned(), self.driver.clone()),
        ])
    }
}

impl Endpoint {
    pub(crate) fn wanted(name: &str, config: Map<String, Value>) -> Self {
        Self {
            wanted: name.to_owned(),
            config,
            network: String::new(),
            id: String::new(),
            address: None,
        }
    }

    /// As a container's inspection shows it.
    pub(crate) fn to_json(&self, networks: &BTreeMap<String, Network>) -> Value {
        let subnet = networks.get(&self.network).and_then(|one| one.subnet);
        let (gateway, bits) = match (subnet, self.address) {
            (Some((first, bits)), Some(_)) => (host(first, 1).to_string(), bits),
            _ => (String::new(), 0),
        };
        let given = |name: &str| self.config.get(name).cloned().unwrap_or_default();
        json!({
            "IPAMConfig": given("IPAMConfig"),
            "Links": given("Links"),
            "Aliases": given("Aliases"),
            "NetworkID": self.network,
            "EndpointID": self.id,
            "Gateway": gateway,
            "IPAddress": self.address.map(|address| address.to_string()).unwrap_or_default(),
            "IPPrefixLen": bits,
            "IPv6Gateway": "",
            "GlobalIPv6Address": "",
            "GlobalIPv6PrefixLen": 0,
            "MacAddress": mac(self.address),
            "DriverOpts": given("DriverOpts"),
        })
    }
}

impl Inner {
    pub(crate) fn add_predefined_networks(&mut self) -> io::Result<()> {
        for (name, driver) in PREDEFINED {
            let id = random_id()?;
            let network = Network {
                id: id.clone(),
                name: (*name).to_owned(),
                driver: (*driver).to_owned(),
                created: Timestamp::now(),
                internal: false,
                attachable: false,
                ipv6: false,
                labels: BTreeMap::new(),
                options: BTreeMap::new(),
                subnet: (*name == "bridge").then_some((Ipv4Addr::new(172, 17, 0, 0), 16)),
            };
            self.networks.insert(id, network);
        }
        Ok(())
    }

    /// Finds a network by full id, name, or a prefix of the id that only one has.
    pub(crate) fn network(&self, key: &str) -> Result<&Network, Refusal> {
        if let Some(network) = self.networks.get(key) {
            return Ok(network);
        }
        if let Some(network) = self.networks.values().find(|one| one.name == key) {
            return Ok(network);
        }
        let mut found = self
            .networks
            .values()
            .filter(|one| !key.is_empty() && one.id.starts_with(key));
        match (found.next(), found.next()) {
            (Some(network), None) => Ok(network),
            (Some(_), Some(_)) => Err(Refusal::bad(format!(
                "network {key} is ambiguous (2 matches found on ID prefix)"
            ))),
            _ => Err(Refusal::not_found(format!("network {key} not found"))),
        }
    }

    /// Forgets a network that no running container is in.
    pub(crate) fn remove_network(&mut self, engine: &Engine, id: &str) {
        let Some(network) = self.networks.remove(id) else {
            return;
        };
        for record in self.containers.values_mut() {
            record
                .endpoints
                .retain(|endpoint| endpoint.network != id && endpoint.wanted != network.name);
        }
        engine
            .events
            .tell("network", "destroy", id, network.attributes());
    }

    /// A subnet that no network has.
    pub(crate) fn free_subnet(&self) -> Option<(Ipv4Addr, u8)> {
        let used = |subnet| self.networks.values().any(|one| one.subnet == Some(subnet));
        let large = (18..32).map(|second| (Ipv4Addr::new(172, second, 0, 0), 16));
        let small = (0..=255).map(|third| (Ipv4Addr::new(192, 168, third, 0), 24));
        large.chain(small).find(|subnet| !used(*subnet))
    }

    /// Puts the container into the networks that its endpoints want.
    pub(crate) fn join(&mut self, id: &str) -> Result<(), Refusal> {
        let Some(record) = self.containers.get(id) else {
            return Ok(());
        };
        let mut endpoints = record.endpoints.clone();
        let short = record.id[..12].to_owned();
        for endpoint in &mut endpoints {
            let network = self.network(&endpoint.wanted)?;
            endpoint.network.clone_from(&network.id);
            endpoint.id = random_id().map_err(Refusal::internal)?;
            let Some((first, bits)) = network.subnet else {
                continue;
            };
            let asked = endpoint.config.get("IPAMConfig");
            let asked = asked.and_then(|config| config.get("IPv4Address")?.as_str()?.parse().ok());
            endpoint.address = asked.or_else(|| self.free_address(&network.id, first, bits));
            if !PREDEFINED.iter().any(|(name, _)| *name == network.name) {
                let aliases = endpoint.config.entry("Aliases").or_insert(Value::Null);
                let mut list = aliases.as_array().cloned().unwrap_or_default();
                if !list.iter().any(|alias| alias == &short) {
                    list.push(short.clone().into());
                }
                *aliases = list.into();
            }
        }
        if let Some(record) = self.containers.get_mut(id) {
            record.endpoints = endpoints;
        }
        Ok(())
    }

    fn free_address(&self, network: &str, first: Ipv4Addr, bits: u8) -> Option<Ipv4Addr> {
        let used: Vec<_> = self
            .containers
            .values()
            .flat_map(|record| &record.endpoints)
            .filter(|endpoint| endpoint.network == network)
            .filter_map(|endpoint| endpoint.address)
            .collect();
        let last = 1_u32
            .checked_shl(32 - u32::from(bits))
            .map_or(u32::MAX, |all| all - 2);
        (2..=last)
            .map(|number| host(first, number))
            .find(|address| !used.contains(address))
    }
}

/// The address with this number in a network.
pub(crate) fn host(first: Ipv4Addr, number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(first).saturating_add(number))
}

/// dockerd makes the hardware address of the other.
pub(crate) fn mac(address: Option<Ipv4Addr>) -> String {
    let Some(address) = address else {
        return String::new();
    };
    let [a, b, c, d] = address.octets();
    format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}
