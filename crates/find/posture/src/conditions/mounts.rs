//! What of the host, of the engine and of other containers is mounted.

use super::Reading;
use crate::host_path::{HostPath, Socket, is_raw_device};
use crate::settings::{At, MountSource, Origin, Settings};
use cofferdam_finding::{Condition, Truth};

impl Reading<'_> {
    pub(super) fn mounts(&mut self) {
        let settings = self.settings;
        let mut host_mounts: Vec<At<bool>> = Vec::new();
        let mut sockets: Vec<(At<()>, bool)> = Vec::new();
        let mut unknown = settings.unresolved.contains(&"use_api_socket");
        for mount in &settings.mounts {
            let MountSource::Host { written, path } = &mount.value.source else {
                continue;
            };
            let read_only = mount.value.read_only;
            unknown |= matches!(path, HostPath::Unresolved(_));
            let mut found = path.sockets();
            if found.is_empty() && matches!(path, HostPath::Unresolved(_)) {
                // Where it comes from is a variable; where it goes says what it is.
                found.extend(
                    HostPath::parse(&mount.value.target)
                        .sockets()
                        .first()
                        .copied(),
                );
            }
            if found.contains(&Socket::Cri) && mount.value.target.ends_with("docker.sock") {
                // Podman's service speaks the Docker API and is mounted in its place.
                found.push(Socket::Docker);
            }
            for socket in found {
                let shows = format!("`{written}` brings a runtime socket into the container");
                self.yes(socket.condition(), mount.shows(shows));
                let at = At {
                    value: (),
                    at: mount.at.clone(),
                };
                sockets.push((at, path.is_rootless_runtime()));
                if read_only {
                    let shows = "mounted read-only, which does not keep anybody from connecting";
                    self.yes(Condition::SockRo, mount.shows(shows));
                }
            }
            let conditions = path.conditions(!read_only);
            for condition in &conditions {
                self.yes(
                    *condition,
                    mount.shows(format!("`{written}` of the host is mounted")),
                );
            }
            if !conditions.is_empty() {
                host_mounts.push(At {
                    value: read_only,
                    at: mount.at.clone(),
                });
                let shared = mount.value.propagation.as_deref();
                if matches!(shared, Some("shared" | "rshared")) {
                    let shows = "what is mounted below it appears on the host";
                    self.yes(Condition::MountRshared, mount.shows(shows));
                }
            }
        }
        if let Some(set) = settings.use_api_socket.clone().filter(|set| set.value) {
            self.yes(
                Condition::SockDocker,
                set.shows("the engine's socket is passed in"),
            );
            sockets.push((
                At {
                    value: (),
                    at: set.at,
                },
                false,
            ));
        }
        if !sockets.is_empty() && sockets.iter().all(|(_, rootless)| *rootless) {
            let shows = "the socket is that of a rootless engine, which runs as one user";
            self.no(Condition::EngineRootful, sockets[0].0.shows(shows));
        }
        match host_mounts.iter().find(|mount| !mount.value) {
            Some(writable) => {
                let evidence = writable.shows("the mount is writable");
                self.no(Condition::MountRo, evidence);
            }
            None => {
                for mount in &host_mounts {
                    self.yes(Condition::MountRo, mount.shows("the mount is read-only"));
                }
            }
        }
        for device in &settings.devices {
            if is_raw_device(&device.value) {
                let shows = format!("the device `{}` is passed in", device.value);
                self.yes(Condition::MountDev, device.shows(shows));
            } else if device.value.contains("${") {
                unknown = true;
            }
        }
        if !unknown {
            self.no_mounts();
        }
    }

    /// Nothing else is mounted: every condition about mounts that has not been seen is a no.
    fn no_mounts(&mut self) {
        use Condition::*;
        let dev_without_access = self.settings.mounts.iter().any(|mount| {
            matches!(mount.value.host(), Some((_, HostPath::Absolute(path))) if path == "/dev" || path == "/")
        });
        for condition in [
            SockDocker,
            SockContainerd,
            SockCri,
            MountRoot,
            MountEtc,
            MountHome,
            MountVarlog,
            MountKubelet,
            MountDockerlib,
            MountProc,
            MountSys,
            MountBin,
            MountRun,
            MountRshared,
        ] {
            if self.facts.truth(condition) == Truth::Unknown {
                self.absent(condition, Truth::No, "no mount brings it in");
            }
        }
        if self.facts.truth(MountDev) == Truth::Unknown && !dev_without_access {
            self.absent(MountDev, Truth::No, "no device is passed in");
        }
    }

    pub(super) fn volumes(&mut self, others: &[&Settings]) {
        let settings = self.settings;
        for mount in &settings.mounts {
            let MountSource::Volume(name) = &mount.value.source else {
                continue;
            };
            let sharers: Vec<&str> = others
                .iter()
                .filter(|other| !std::ptr::eq(**other, settings))
                .filter(|other| {
                    other
                        .mounts
                        .iter()
                        .any(|theirs| theirs.value.source == mount.value.source)
                })
                .map(|other| other.name.as_str())
                .collect();
            if !sharers.is_empty() && !mount.value.read_only {
                let shows = format!("the volume `{name}` is shared with {}", sharers.join(", "));
                self.yes(Condition::VolumeShared, mount.shows(shows));
            }
        }
        // Of one inspected container nothing tells who else has its volumes.
        let alone = settings.origin == Origin::Inspect && others.len() < 2;
        if self.facts.truth(Condition::VolumeShared) == Truth::Unknown && !alone {
            self.absent(
                Condition::VolumeShared,
                Truth::No,
                "no volume is shared with another service",
            );
        }
    }
}
