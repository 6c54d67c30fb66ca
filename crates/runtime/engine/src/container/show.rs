//! A container as lists and inspections show it.

use super::Record;
use crate::network::{Network, mac};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A time that never was, as Go writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What dockerd shows of a configuration that says nothing.
const CONFIG: &str = r#"{
"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,
"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,
"Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":{}}"#;
const HOST_CONFIG: &str = r#"{
"Binds":null,"ContainerIDFile":"","LogConfig":{"Type":"json-file","Config":{}},"NetworkMode":"",
"PortBindings":{},"RestartPolicy":{"Name":"no","MaximumRetryCount":0},"AutoRemove":false,
"VolumeDriver":"","VolumesFrom":null,"ConsoleSize":[0,0],"CapAdd":null,"CapDrop":null,
"CgroupnsMode":"private","Dns":[],"DnsOptions":[],"DnsSearch":[],"ExtraHosts":null,"GroupAdd":null,
"IpcMode":"private","Cgroup":"","Links":null,"OomScoreAdj":0,"PidMode":"","Privileged":false,
"PublishAllPorts":false,"ReadonlyRootfs":false,"SecurityOpt":null,"UTSMode":"","UsernsMode":"",
"ShmSize":67108864,"Runtime":"runc","Isolation":"","CpuShares":0,"Memory":0,"NanoCpus":0,
"CgroupParent":"","BlkioWeight":0,"BlkioWeightDevice":[],"BlkioDeviceReadBps":[],
"BlkioDeviceWriteBps":[],"BlkioDeviceReadIOps":[],"BlkioDeviceWriteIOps":[],"CpuPeriod":0,
"CpuQuota":0,"CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"","CpusetMems":"",
"Devices":[],"DeviceCgroupRules":null,"DeviceRequests":null,"MemoryReservation":0,"MemorySwap":0,
"MemorySwappiness":null,"OomKillDisable":null,"PidsLimit":null,"Ulimits":[],"CpuCount":0,
"CpuPercent":0,"IOMaximumIOps":0,"IOMaximumBandwidth":0,"MaskedPaths":null,"ReadonlyPaths":null}"#;

/// The first port that a pretended publication gets.
const FIRST_PORT: u32 = 32768;

impl Record {
    /// As an entry of the list.
    pub(crate) fn summary(&self, networks: &BTreeMap<String, Network>) -> Value {
        let status = match (self.started, self.finished) {
            (Some(started), _) if self.is_paused() => format!("Up {} (Paused)", since(started)),
            (Some(started), _) if self.running() => format!("Up {}", since(started)),
            (_, Some(finished)) => format!(
                "Exited ({}) {} ago",
                self.phase.borrow().exit_code,
                since(finished)
            ),
            _ => "Created".to_owned(),
        };
        let ports: Vec<_> = self
            .published()
            .into_iter()
            .filter_map(|(port, binding)| {
                let (private, kind) = port.split_once('/').unwrap_or((&port, "tcp"));
                let mut shown = json!({"PrivatePort": private.parse::<u16>().ok()?, "Type": kind});
                if let Some((address, public)) = binding {
                    shown["IP"] = address.into();
                    shown["PublicPort"] = public.parse::<u16>().ok()?.into();
                }
                Some(shown)
            })
            .collect();
        let mounts: Vec<_> = self.mounts.iter().map(|mount| &mount.shown).collect();
        json!({
            "Id": self.id,
            "Names": [format!("/{}", self.name)],
            "Image": self.body.config.image,
            "ImageID": self.image,
            "Command": self.command().join(" "),
            "Created": self.created.as_second(),
            "Ports": ports,
            "Labels": self.body.config.labels,
            "State": self.status(),
            "Status": status,
            "HostConfig": {"NetworkMode": self.body.host_config.network_mode},
            "NetworkSettings": {"Networks": self.networks(networks)},
            "Mounts": mounts,
        })
    }

    /// As inspected.
    pub(crate) fn inspect(&self, networks: &BTreeMap<String, Network>, execs: &[String]) -> Value {
        let time = |time: Option<Timestamp>| time.map_or(NEVER.to_owned(), |t| format!("{t:.9}"));
        let mut command = self.command().into_iter();
        let path = command.next().unwrap_or_default();
        let mounts: Vec<_> = self.mounts.iter().map(|mount| &mount.shown).collect();
        let place = format!("/var/lib/docker/containers/{}", self.id);
        json!({
            "Id": self.id,
            "Created": time(Some(self.created)),
            "Path": path,
            "Args": command.collect::<Vec<_>>(),
            "State": {
                "Status": self.status(),
                "Running": self.running(),
                "Paused": self.is_paused(),
                "Restarting": false,
                "OOMKilled": false,
                "Dead": false,
                "Pid": self.pid,
                "ExitCode": self.phase.borrow().exit_code,
                "Error": "",
                "StartedAt": time(self.started),
                "FinishedAt": time(self.finished),
            },
            "Image": self.image,
            "ResolvConfPath": format!("{place}/resolv.conf"),
            "HostnamePath": format!("{place}/hostname"),
            "HostsPath": format!("{place}/hosts"),
            "LogPath": format!("{place}/{}-json.log", self.id),
            "Name": format!("/{}", self.name),
            "RestartCount": 0,
            "Driver": "overlay2",
            "Platform": "linux",
            "MountLabel": "",
            "ProcessLabel": "",
            "AppArmorProfile": if self.app_armor { "docker-default" } else { "unconfined" },
            "ExecIDs": if execs.is_empty() { Value::Null } else { json!(execs) },
            "HostConfig": over(HOST_CONFIG, &self.host_config, &self.body.host_config),
            "GraphDriver": {"Data": null, "Name": "overlay2"},
            "Mounts": mounts,
            "Config": over(CONFIG, &self.config, &self.body.config),
            "NetworkSettings": self.network_settings(networks),
        })
    }

    fn network_settings(&self, networks: &BTreeMap<String, Network>) -> Value {
        let all = self.networks(networks);
        let main = all.get("bridge").cloned().unwrap_or_default();
        let of = |name: &str| main.get(name).cloned().unwrap_or_else(|| "".into());
        let mut ports = Map::new();
        for (port, binding) in self.published() {
            let shown = match binding {
                Some((address, public)) => json!([{"HostIp": address, "HostPort": public}]),
                None => Value::Null,
            };
            ports.insert(port, shown);
        }
        json!({
            "Bridge": "",
            "SandboxID": if self.running() { &self.id } else { "" },
            "HairpinMode": false,
            "LinkLocalIPv6Address": "",
            "LinkLocalIPv6PrefixLen": 0,
            "Ports": ports,
            "SandboxKey": "",
            "SecondaryIPAddresses": null,
            "SecondaryIPv6Addresses": null,
            "EndpointID": of("EndpointID"),
            "Gateway": of("Gateway"),
            "GlobalIPv6Address": "",
            "GlobalIPv6PrefixLen": 0,
            "IPAddress": of("IPAddress"),
            "IPPrefixLen": main.get("IPPrefixLen").cloned().unwrap_or_else(|| 0.into()),
            "IPv6Gateway": "",
            "MacAddress": mac(self.endpoints.first().and_then(|one| one.address)),
            "Networks": all,
        })
    }

    fn networks(&self, networks: &BTreeMap<String, Network>) -> Map<String, Value> {
        self.endpoints
            .iter()
            .map(|endpoint| {
                let network = networks.get(&endpoint.network);
                let name = network.map_or(&endpoint.wanted, |network| &network.name);
                (name.clone(), endpoint.to_json(networks))
            })
            .collect()
    }

    /// The exposed ports of a container that runs, with the address and port of the host that they
    /// would be published at. Nothing listens there.
    fn published(&self) -> Vec<(String, Option<(String, String)>)> {
        let mut ports = Vec::new();
        if !self.running() {
            return ports;
        }
        let mut free = FIRST_PORT + u32::from(self.id.as_bytes()[2]) * 64;
        let mut public = |given: &str| match given {
            "" | "0" => {
                free += 1;
                free.to_string()
            }
            given => given.to_owned(),
        };
        let bindings = self
            .host_config
            .get("PortBindings")
            .and_then(Value::as_object);
        for (port, given) in bindings.into_iter().flatten() {
            for binding in given.as_array().into_iter().flatten() {
                let text = |name: &str| binding[name].as_str().unwrap_or_default();
                let address = match text("HostIp") {
                    "" => "0.0.0.0",
                    address => address,
                };
                ports.push((
                    port.clone(),
                    Some((address.to_owned(), public(text("HostPort")))),
                ));
            }
        }
        let publish_all = self
            .host_config
            .get("PublishAllPorts")
            .is_some_and(|all| all == true);
        let exposed = self.config.get("ExposedPorts").and_then(Value::as_object);
        for port in exposed.into_iter().flat_map(Map::keys) {
            if !ports.iter().any(|(other, _)| other == port) {
                let binding = publish_all.then(|| ("0.0.0.0".to_owned(), public("")));
                ports.push((port.clone(), binding));
            }
        }
        ports
    }
}

/// What dockerd shows by default, what was sent, and what the engine made of it, each over the last.
fn over<T: serde::Serialize>(defaults: &str, sent: &Map<String, Value>, typed: &T) -> Value {
    let mut shown: Map<String, Value> = serde_json::from_str(defaults).unwrap_or_default();
    shown.extend(sent.clone());
    if let Ok(Value::Object(typed)) = serde_json::to_value(typed) {
        for (name, value) in typed {
            // What the types leave out was shown as it was sent.
            let is_known = !matches!(name.as_str(), "Mounts" | "RestartPolicy" | "LogConfig");
            let is_zero = value.is_null() || value == "" || value == 0 || value == false;
            if is_known && !is_zero {
                shown.insert(name, value);
            }
        }
    }
    Value::Object(shown)
}

fn since(time: Timestamp) -> String {
    match Timestamp::now().as_second() - time.as_second() {
        ..=1 => "Less than a second".to_owned(),
        seconds @ 2..=119 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}
