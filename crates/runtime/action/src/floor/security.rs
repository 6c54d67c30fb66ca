//! What a container may do.

use super::{Excepted, Judge};
use crate::container::{Capability, Device, Security};
use crate::refusal::{Refusal, Rule, quote};

impl Judge<'_> {
    pub(super) fn security(&mut self, security: &Security) -> Result<(), Refusal> {
        let Security {
            cap_add,
            cap_drop_all: _,
            cap_drop: _,
            no_new_privileges: _,
            // Whose container it is the broker knows.
            pid_of: _,
            ipc: _,
            private_cgroup_namespace: _,
            devices,
            sysctls,
        } = security;
        for capability in cap_add {
            self.capability(*capability)?;
        }
        for device in devices {
            self.device(device)?;
        }
        for name in sysctls.keys() {
            let refusal = Refusal::new(
                Rule::Sysctl,
                format!("{} is a parameter of the kernel", quote(name.as_str())),
            );
            self.except(
                |what| matches!(what, Excepted::Sysctl(excepted) if excepted == name),
                refusal.at("HostConfig.Sysctls"),
            )?;
        }
        Ok(())
    }

    fn capability(&mut self, capability: Capability) -> Result<(), Refusal> {
        if self.config.capabilities.add.contains(&capability) {
            return Ok(());
        }
        let refusal = Refusal::new(
            Rule::Capability,
            format!("{} reaches beyond the container", capability.as_str()),
        );
        self.except(
            |what| *what == Excepted::Capability(capability),
            refusal.at("HostConfig.CapAdd"),
        )
    }

    fn device(&mut self, device: &Device) -> Result<(), Refusal> {
        let Device {
            on_host,
            in_container: _,
            access,
        } = device;
        let refusal = Refusal::new(
            Rule::Device,
            format!("{} is a device of the host", quote(on_host.as_str())),
        );
        self.except(
            |what| {
                matches!(what, Excepted::Device { path, access: allowed }
                    if path == on_host && access.is_within(*allowed))
            },
            refusal.at("HostConfig.Devices"),
        )
    }
}
