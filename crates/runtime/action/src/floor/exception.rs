//! An operator's exceptions: each names one exact thing, and the scope that a token needs for it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::container::{Capability, DeviceAccess};
use crate::path::HostPath;
use crate::value::{PortRange, SysctlName};

/// One exception. In the configuration:
///
/// ```toml
/// [[exception]]
/// host_path = "/srv/builds"
/// below = true
/// mode = "rw"
/// scope = "builds:bind"
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Exception {
    /// What is allowed.
    pub what: Excepted,
    /// The scope that a token must hold for it, as a whole word.
    pub scope: String,
}

/// What an exception allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excepted {
    /// A path of the host.
    HostPath {
        /// The path.
        path: HostPath,
        /// Whether what lies below it is allowed too.
        below: bool,
        /// Whether it may be written.
        write: bool,
    },
    /// A capability.
    Capability(Capability),
    /// A device of the host.
    Device {
        /// Its path.
        path: HostPath,
        /// What may be done with it.
        access: DeviceAccess,
    },
    /// A kernel parameter of the container's own namespaces, at any value.
    Sysctl(SysctlName),
    /// Ports of the host.
    HostPort(PortRange),
    /// A name server.
    NameServer(IpAddr),
    /// Root in the container by explicit wish.
    RootUser,
}

/// An exception as it is written: one key says what.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_path: Option<HostPath>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    below: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capability: Option<Capability>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<HostPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sysctl: Option<SysctlName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_port: Option<PortRange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name_server: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    scope: String,
}

impl TryFrom<Written> for Exception {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written {
            host_path,
            below,
            mode,
            capability,
            device,
            sysctl,
            host_port,
            name_server,
            user,
            scope,
        } = written;
        let word = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if scope.is_empty() || !scope.bytes().all(word) {
            return Err(
                "an exception needs the one scope that a token must hold for it".to_owned(),
            );
        }
        let (is_path, is_device) = (host_path.is_some(), device.is_some());
        let mut found = Vec::new();
        if let Some(path) = host_path {
            let write = match mode.as_deref() {
                Some("rw") => true,
                Some("ro") | None => false,
                Some(_) => return Err("the mode of a host path is `ro` or `rw`".to_owned()),
            };
            found.push(Excepted::HostPath { path, below, write });
        }
        if let Some(path) = device {
            let access = DeviceAccess::parse(mode.as_deref().unwrap_or("rw"))
                .map_err(|refusal| refusal.reason)?;
            found.push(Excepted::Device { path, access });
        }
        found.extend(capability.map(Excepted::Capability));
        found.extend(sysctl.map(Excepted::Sysctl));
        found.extend(host_port.map(Excepted::HostPort));
        found.extend(name_server.map(Excepted::NameServer));
        match user.as_deref() {
            None => {}
            Some("root") => found.push(Excepted::RootUser),
            Some(_) => return Err("the only user to except is `root`".to_owned()),
        }
        if (mode.is_some() && !is_path && !is_device) || (below && !is_path) {
            return Err("`mode` belongs to a path or device and `below` to a path".to_owned());
        }
        match <[Excepted; 1]>::try_from(found) {
            Ok([what]) => Ok(Self { what, scope }),
            Err(_) => Err(
                "an exception names exactly one of `host_path`, `capability`, `device`, \
                           `sysctl`, `host_port`, `name_server` and `user`"
                    .to_owned(),
            ),
        }
    }
}

impl From<Exception> for Written {
    fn from(exception: Exception) -> Self {
        let mut written = Written {
            scope: exception.scope,
            ..Written::default()
        };
        match exception.what {
            Excepted::HostPath { path, below, write } => {
                written.host_path = Some(path);
                written.below = below;
                written.mode = Some(if write { "rw" } else { "ro" }.to_owned());
            }
            Excepted::Capability(capability) => written.capability = Some(capability),
            Excepted::Device { path, access } => {
                written.device = Some(path);
                written.mode = Some(access.to_string());
            }
            Excepted::Sysctl(name) => written.sysctl = Some(name),
            Excepted::HostPort(range) => written.host_port = Some(range),
            Excepted::NameServer(address) => written.name_server = Some(address),
            Excepted::RootUser => written.user = Some("root".to_owned()),
        }
        written
    }
}

impl Exception {
    /// What this exception gives away, where it is more than it seems.
    pub(super) fn warning(&self) -> Option<String> {
        let scope = &self.scope;
        match &self.what {
            Excepted::HostPath { path, below, write } => {
                let parts = path
                    .as_str()
                    .split('/')
                    .filter(|part| !part.is_empty())
                    .count();
                let system = [
                    "etc", "usr", "var", "run", "root", "boot", "proc", "sys", "dev", "lib", "home",
                ];
                let first = path.as_str().split('/').nth(1).unwrap_or_default();
                if path.as_str().ends_with(".sock")
                    || (parts <= 1 && *below)
                    || (system.contains(&first) && *write)
                {
                    return Some(format!(
                        "whoever holds `{scope}` can take over the host through `{path}`"
                    ));
                }
                None
            }
            Excepted::Capability(capability) => {
                use Capability::*;
                let host = [
                    Bpf,
                    CheckpointRestore,
                    DacReadSearch,
                    MacAdmin,
                    MacOverride,
                    Mknod,
                    NetAdmin,
                    Perfmon,
                    SysAdmin,
                    SysBoot,
                    SysModule,
                    SysPtrace,
                    SysRawio,
                    SysTime,
                    Syslog,
                ];
                host.contains(capability).then(|| {
                    format!(
                        "{} lets whoever holds `{scope}` out of most containers",
                        capability.as_str()
                    )
                })
            }
            Excepted::Device { path, access } => (access.write || access.make)
                .then(|| format!("whoever holds `{scope}` writes the host's device `{path}`")),
            Excepted::Sysctl(_)
            | Excepted::HostPort(_)
            | Excepted::NameServer(_)
            | Excepted::RootUser => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Result<Exception, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn an_exception_names_one_exact_thing() {
        let exception = read(serde_json::json!({
            "host_path": "/srv/builds", "below": true, "mode": "rw", "scope": "builds:bind"
        }))
        .unwrap();
        let path = HostPath::parse("/srv/builds").unwrap();
        assert_eq!(
            exception.what,
            Excepted::HostPath {
                path,
                below: true,
                write: true
            }
        );
        assert!(read(serde_json::to_value(&exception).unwrap()).is_ok());
    }

    #[test]
    fn what_is_no_exact_exception_does_not_load() {
        for json in [
            serde_json::json!({ "host_path": "/srv" }),
            serde_json::json!({ "scope": "x" }),
            serde_json::json!({ "host_path": "/srv", "capability": "NET_ADMIN", "scope": "x" }),
            serde_json::json!({ "host_path": "/srv/../etc", "scope": "x" }),
            serde_json::json!({ "host_path": "/srv", "mode": "rwx", "scope": "x" }),
            serde_json::json!({ "capability": "ALL", "scope": "x" }),
            serde_json::json!({ "capability": "NET_ADMIN", "below": true, "scope": "x" }),
            serde_json::json!({ "user": "1000", "scope": "x" }),
            serde_json::json!({ "device": "/dev/kvm", "mode": "wr", "scope": "x" }),
            serde_json::json!({ "host_path": "/srv", "scope": "a b" }),
            serde_json::json!({ "host_path": "/srv", "scope": "a", "privileged": true }),
        ] {
            assert!(read(json.clone()).is_err(), "{json}");
        }
    }
}
