//! The engine's stand-in for an authorization plug-in.

use cofferdam_docker::wire::{CreateBody, ExecCreate};

/// What an authorization plug-in refuses: every way in which a new container, or a command in one,
/// is handed its host. The engine names the plug-in in `/info` and answers 403 with
/// `authorization denied by plugin NAME: reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationPolicy {
    /// The name of the plug-in.
    pub plugin: String,
}

impl AuthorizationPolicy {
    /// Why a container may not be created so, if it may not.
    pub(crate) fn refuses_create(&self, body: &CreateBody) -> Option<String> {
        let host = &body.host_config;
        let is_set = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|l| !l.is_empty());
        // A mode may join the host's namespace or that of any other container.
        let joins = |mode: &str| mode == "host" || mode.starts_with("container:");
        let binds = host
            .binds
            .iter()
            .flatten()
            .any(|bind| bind.starts_with('/'))
            || host
                .mounts
                .iter()
                .flatten()
                .any(|mount| mount.kind == "bind");
        let reason =
            if binds {
                "host path mounts are refused"
            } else if host.privileged {
                "privileged containers are refused"
            } else if joins(&host.pid_mode)
                || joins(&host.ipc_mode)
                || joins(&host.network_mode)
                || joins(&host.userns_mode)
                || joins(&host.uts_mode)
                || joins(&host.cgroupns_mode)
            {
                "namespaces of the host or of other containers are refused"
            } else if is_set(&host.cap_add) {
                "added capabilities are refused"
            } else if host.devices.as_ref().is_some_and(|list| !list.is_empty())
                || is_set(&host.device_cgroup_rules)
            {
                "devices are refused"
            } else if is_set(&host.security_opt)
                && host.security_opt.iter().flatten().any(|option| {
                    option != "no-new-privileges" && option != "no-new-privileges:true"
                })
            {
                "changed security profiles are refused"
            } else if host.masked_paths.is_some() || host.readonly_paths.is_some() {
                "changed masked paths are refused"
            } else if is_set(&host.volumes_from) {
                "volumes of other containers are refused"
            } else if is_set(&host.group_add)
                || host.sysctls.as_ref().is_some_and(|map| !map.is_empty())
                || !(host.runtime.is_empty() || host.runtime == "runc")
            {
                "groups, kernel parameters and other runtimes are refused"
            } else {
                return None;
            };
        Some(self.denied(reason))
    }

    /// Why a command may not be run so, if it may not.
    pub(crate) fn refuses_exec(&self, body: &ExecCreate) -> Option<String> {
        body.privileged
            .then(|| self.denied("privileged commands are refused"))
    }

    fn denied(&self, reason: &str) -> String {
        format!("authorization denied by plugin {}: {reason}", self.plugin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(host_config: serde_json::Value) -> Option<String> {
        let policy = AuthorizationPolicy {
            plugin: "authz".to_owned(),
        };
        let body = json!({"Image": "allowed/app:1", "HostConfig": host_config});
        policy.refuses_create(&serde_json::from_value(body).unwrap())
    }

    #[test]
    fn every_hand_over_of_the_host_is_refused() {
        for host_config in [
            json!({"Binds": ["/:/host"]}),
            json!({"Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/x"}]}),
            json!({"Privileged": true}),
            json!({"PidMode": "host"}),
            json!({"PidMode": "container:abc"}),
            json!({"IpcMode": "host"}),
            json!({"NetworkMode": "host"}),
            json!({"UsernsMode": "host"}),
            json!({"UTSMode": "host"}),
            json!({"CgroupnsMode": "host"}),
            json!({"CapAdd": ["NET_RAW"]}),
            json!({"Devices": [{"PathOnHost": "/dev/sda"}]}),
            json!({"DeviceCgroupRules": ["b *:* rwm"]}),
            json!({"SecurityOpt": ["seccomp=unconfined"]}),
            json!({"MaskedPaths": []}),
            json!({"ReadonlyPaths": []}),
            json!({"VolumesFrom": ["abc"]}),
            json!({"GroupAdd": ["998"]}),
            json!({"Sysctls": {"kernel.core_pattern": "|/x"}}),
            json!({"Runtime": "nvidia"}),
        ] {
            let verdict = verdict(host_config.clone());
            assert!(
                verdict
                    .is_some_and(|text| text.starts_with("authorization denied by plugin authz")),
                "{host_config}"
            );
        }
    }

    #[test]
    fn an_ordinary_container_passes() {
        assert_eq!(verdict(json!({})), None);
        assert_eq!(
            verdict(json!({
                "Binds": ["data:/data"], "CapDrop": ["ALL"], "NetworkMode": "default",
                "SecurityOpt": ["no-new-privileges"], "ReadonlyRootfs": true, "Memory": 1 << 26,
            })),
            None
        );
    }
}
