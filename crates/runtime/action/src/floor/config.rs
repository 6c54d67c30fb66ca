//! What the operator sets. The defaults are what the shipped production example says, but for its
//! images: without configuration no image is allowed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::exception::Exception;
use crate::container::Capability;
use crate::image::ImagePattern;

/// The floor's part of the broker's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FloorConfig {
    /// The allowed images.
    pub images: Images,
    /// Bounds of what a container may use up.
    pub limits: Limits,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// Labels.
    pub labels: LabelRules,
    /// The scope that a health command takes, since it runs like an exec without its record.
    pub exec_scope: String,
    /// Exceptions from what is refused.
    #[serde(rename = "exception")]
    pub exceptions: Vec<Exception>,
}

/// The allowed images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Images {
    /// Patterns; see [`ImagePattern`].
    pub allow: Vec<ImagePattern>,
    /// Whether every image that the engine has is allowed, whoever put it there, also to be pulled
    /// anew and so replaced.
    pub local: bool,
    /// Whether every tag and digest of a repository that the engine has may be pulled, for trying
    /// things out: others, and the very one that is there, which then is what the registry has now.
    pub pull_local: bool,
}

/// Bounds of what a container may use up, and what it gets where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of memory for a container that does not say.
    pub memory_default: u64,
    /// Bytes of memory at most; swap on top at most as much again.
    pub memory_max: u64,
    /// Processes for a container that does not say.
    pub pids_default: u64,
    /// Processes at most.
    pub pids_max: u64,
    /// Bytes of `/dev/shm` at most.
    pub shm_max: u64,
    /// Bytes of one tmpfs at most.
    pub tmpfs_max: u64,
    /// Open files of a process at most.
    pub nofile_max: u64,
    /// Bytes of log files at most, all of one container together.
    pub log_max: u64,
    /// Seconds that a stop may wait at most.
    pub stop_timeout_max: u32,
    /// Seconds between two runs of a health command at least.
    pub health_interval_min: u32,
}

/// Capabilities that stay inside a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// What a container keeps that does not say.
    pub keep: BTreeSet<Capability>,
    /// What a container may ask for, after it has dropped all.
    pub add: BTreeSet<Capability>,
}

/// Labels that a caller may not set. A word stands for itself and for what continues it after a
/// character that is no letter or digit: `traefik` for `traefik.enable`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelRules {
    /// Words that controllers on the host obey.
    pub controllers: BTreeSet<String>,
}

impl Default for FloorConfig {
    fn default() -> Self {
        Self {
            images: Images::default(),
            limits: Limits::default(),
            capabilities: Capabilities::default(),
            labels: LabelRules::default(),
            exec_scope: crate::action::ActionKind::ExecCreate.scope().to_owned(),
            exceptions: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            memory_default: 2048 * MIB,
            memory_max: 8192 * MIB,
            pids_default: 1024,
            pids_max: 4096,
            // What Selenium's images are documented to be run with: `--shm-size=2g`.
            shm_max: 2048 * MIB,
            tmpfs_max: 2048 * MIB,
            nofile_max: 1 << 20,
            log_max: 1024 * MIB,
            stop_timeout_max: 300,
            // Compose files ask every few seconds while they wait for a service; each second, as an
            // escape of the corpus does (`misc-023`), is a load of its own.
            health_interval_min: 2,
        }
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        use Capability::*;
        let add = [Chown, Fowner, Fsetid, Kill, NetBindService, Setgid, Setuid];
        // The engine's own default less AUDIT_WRITE, MKNOD, NET_RAW, SETFCAP, SETPCAP and SYS_CHROOT,
        // which images hardly use and exploits do. DAC_OVERRIDE is kept for root in a container that
        // drops nothing, but cannot be asked for: with a host path it opens every file on it.
        let keep = add.into_iter().chain([DacOverride]).collect();
        Self {
            keep,
            add: add.into_iter().collect(),
        }
    }
}

impl Default for LabelRules {
    fn default() -> Self {
        let controllers = [
            "autoheal",
            "caddy",
            "chadburn",
            "co.elastic",
            "com.centurylinklabs.watchtower",
            "com.datadoghq.ad",
            "com.github.jrcs.letsencrypt_nginx_proxy_companion",
            "com.github.nginx-proxy",
            "com.ouroboros",
            "coolify",
            "deck-chores",
            "deunhealth",
            "diun",
            "docker-volume-backup",
            "io.containrrr.watchtower",
            "io.portainer",
            "nginx-proxy",
            "ofelia",
            "sablier",
            "swarm.cronjob",
            "traefik",
            "watchtower",
            "wud",
        ];
        Self {
            controllers: controllers.into_iter().map(str::to_owned).collect(),
        }
    }
}

impl FloorConfig {
    /// What weakens this configuration, a sentence each, for `cofferdam config check`.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.images.allow.contains(&ImagePattern::Any) {
            warnings.push(
                "every image is allowed, so only the floor stands between an image and the host"
                    .to_owned(),
            );
        }
        if self.images.local {
            warnings.push(
                "every image that the engine has is allowed, whoever put it there, and may be pulled anew"
                    .to_owned(),
            );
        }
        if self.images.pull_local {
            warnings.push(
                "every tag and digest of a repository that the engine has may be pulled, so that what \
                 a tag stands for is replaced for everybody"
                    .to_owned(),
            );
        }
        let beyond = self.capabilities.keep.iter().chain(&self.capabilities.add);
        let known = Capabilities::default().keep;
        for capability in beyond
            .filter(|capability| !known.contains(capability))
            .collect::<BTreeSet<_>>()
        {
            warnings.push(format!(
                "every container may have the capability {}; an exception with a scope would be narrower",
                capability.as_str()
            ));
        }
        warnings.extend(self.exceptions.iter().filter_map(Exception::warning));
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_nothing_is_weakened_and_no_image_is_allowed() {
        let config = FloorConfig::default();
        assert!(config.images.allow.is_empty());
        assert!(config.exceptions.is_empty());
        assert_eq!(config.warnings(), Vec::<String>::new());
    }

    #[test]
    fn what_weakens_a_configuration_is_said() {
        let config: FloorConfig = serde_json::from_value(serde_json::json!({
            "images": { "allow": ["*"], "pull_local": true },
            "capabilities": { "add": ["SYS_ADMIN"] },
            "exception": [{ "host_path": "/", "below": true, "mode": "rw", "scope": "all" }],
        }))
        .unwrap();
        let warnings = config.warnings().join("\n");
        for word in ["every image", "may be pulled", "SYS_ADMIN", "`/`"] {
            assert!(warnings.contains(word), "{warnings}");
        }
    }
}
