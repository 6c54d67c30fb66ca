//! What a container is connected to.

use super::{Excepted, Judge};
use crate::container::{Endpoint, Network, NetworkMode};
use crate::refusal::{Refusal, Rule};
use crate::value::PortRange;

/// Ports by which runtimes and clusters are controlled. A listener there would be taken for one.
const CONTROL_PORTS: &[u16] = &[
    2375, 2376, 2377, 2379, 2380, 4243, 4789, 5985, 5986, 6443, 7946, 8472, 10250, 10255, 10256,
];

impl Judge<'_> {
    pub(super) fn network(&mut self, network: &Network) -> Result<(), Refusal> {
        let Network {
            mode,
            endpoint,
            disabled: _,
            exposed_ports: _,
            published_ports,
            publish_all: _,
            dns,
            dns_options: _,
            dns_search: _,
        } = network;
        match mode {
            NetworkMode::Default | NetworkMode::Bridge | NetworkMode::None => {}
            // Whose they are the broker knows.
            NetworkMode::Network(_) | NetworkMode::Container(_) => {}
        }
        if let Some(Endpoint {
            network: joined,
            aliases: _,
        }) = endpoint
        {
            // The docker dialect cannot say this; a gate that was taken over could.
            let agrees = match mode {
                NetworkMode::Default => true,
                NetworkMode::Network(of_mode) => of_mode == joined,
                NetworkMode::Bridge | NetworkMode::None | NetworkMode::Container(_) => false,
            };
            if !agrees {
                return Err(Refusal::new(
                    Rule::JsonType,
                    "a new container joins one network, that of its mode",
                )
                .at("NetworkingConfig.EndpointsConfig"));
            }
        }
        for server in dns {
            let refusal = Refusal::new(
                Rule::ExtraHost,
                format!(
                    "the name server {server} may answer differently from the host's; leave it out"
                ),
            );
            self.except(
                |what| *what == Excepted::NameServer(*server),
                refusal.at("HostConfig.Dns"),
            )?;
        }
        for (port, bindings) in published_ports {
            for range in bindings.iter().filter_map(|binding| binding.port) {
                self.host_port(range)
                    .map_err(|refusal| refusal.at(format!("HostConfig.PortBindings[`{port}`]")))?;
            }
        }
        Ok(())
    }

    fn host_port(&mut self, range: PortRange) -> Result<(), Refusal> {
        let PortRange { first, last } = range;
        let control = CONTROL_PORTS
            .iter()
            .any(|port| (first..=last).contains(port));
        if first >= 1024 && first <= last && !control {
            return Ok(());
        }
        let refusal = Refusal::new(
            Rule::HostPort,
            format!(
                "the host's port {range} belongs to the system or a runtime; take one from 1024, or none"
            ),
        );
        self.except(
            |what| matches!(what, Excepted::HostPort(free) if free.first <= first && last <= free.last),
            refusal,
        )
    }
}
