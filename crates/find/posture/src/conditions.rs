//! From what a file says to what holds: the conditions of one container.
//!
//! Docker's defaults are knowledge: a member that a complete description leaves out has its default
//! value, and the default decides. What the image, the host or a variable decides stays unknown.

mod capabilities;
mod tcp;

pub(crate) use capabilities::KNOWN as KNOWN_CAPABILITIES;
pub(crate) use tcp::open_engine;

use crate::engine::Engine;
use crate::host_path::{HostPath, Socket, is_raw_device};
use crate::settings::{At, MountSource, Origin, Settings};
use cofferdam_finding::{Condition, Confidence, Evidence, Fact, Facts, Truth};

/// Runtimes that put a kernel of their own between the container and the host.
const SANDBOXES: &[&str] = &["runsc", "gvisor", "kata", "firecracker"];

/// What one description says, with the engine's own word where there is one. `others` are all
/// descriptions of the same file, this one included.
pub(crate) fn of(settings: &Settings, others: &[&Settings], engine: Option<&Engine>) -> Facts {
    let mut reading = Reading {
        settings,
        engine,
        facts: Facts::new(),
    };
    reading.isolation();
    reading.namespaces();
    reading.confinement();
    capabilities::learn(&mut reading);
    reading.user();
    reading.mounts();
    reading.volumes(others);
    reading.runtime();
    reading.surroundings();
    tcp::learn(&mut reading, others);
    reading.facts
}

/// The facts of the engine that hold for every container.
pub(crate) fn of_engine(engine: &Engine) -> Facts {
    let mut facts = Facts::new();
    let mut learn = |condition, truth, confidence, evidence| {
        facts.learn(
            condition,
            Fact {
                truth,
                confidence,
                evidence: vec![evidence],
            },
        );
    };
    if let Some(options) = &engine.security_options {
        let plugins = engine
            .authorization
            .as_ref()
            .filter(|p| !p.value.is_empty());
        if engine.security("rootless").is_some() {
            let evidence = options.shows("the engine is rootless");
            learn(
                Condition::EngineRootful,
                Truth::No,
                Confidence::Firm,
                evidence,
            );
        } else if let Some(plugins) = plugins {
            let evidence = plugins.shows("an authorization plugin decides over every request");
            learn(
                Condition::EngineRootful,
                Truth::No,
                Confidence::Firm,
                evidence,
            );
        } else {
            let evidence =
                options.shows("the engine runs as root, and no plugin restricts its API");
            learn(
                Condition::EngineRootful,
                Truth::Yes,
                Confidence::Firm,
                evidence,
            );
        }
    }
    if let Some(version) = &engine.cgroup_version {
        let truth = if version.value == "1" {
            Truth::Yes
        } else {
            Truth::No
        };
        let evidence = version.shows(format!("the host has cgroup version {}", version.value));
        learn(Condition::CgroupV1rw, truth, Confidence::Firm, evidence);
    }
    if let Some(runc) = &engine.runc {
        let (truth, confidence) = if runc.value.is_vulnerable_runc() {
            // Distributions mend old versions without a new number.
            (Truth::Yes, Confidence::Tentative)
        } else {
            (Truth::No, Confidence::Firm)
        };
        let evidence = runc.shows(format!("runc is version {}", runc.value.text()));
        learn(Condition::RuncVuln, truth, confidence, evidence);
    }
    if let Some(containerd) = &engine.containerd {
        let (truth, confidence) = if containerd.value.has_abstract_shim() {
            (Truth::Yes, Confidence::Tentative)
        } else {
            (Truth::No, Confidence::Firm)
        };
        let evidence =
            containerd.shows(format!("containerd is version {}", containerd.value.text()));
        learn(Condition::ShimAbstract, truth, confidence, evidence);
    }
    if let Some(open) = &engine.open_tcp {
        let evidence = open.shows("the engine warns that its API is open on TCP");
        learn(
            Condition::NetDockerTcp,
            Truth::Yes,
            Confidence::Firm,
            evidence,
        );
    }
    facts
}

struct Reading<'a> {
    settings: &'a Settings,
    engine: Option<&'a Engine>,
    facts: Facts,
}

impl Reading<'_> {
    fn learn(&mut self, condition: Condition, truth: Truth, evidence: Evidence) {
        self.facts.learn(
            condition,
            Fact {
                truth,
                confidence: Confidence::Firm,
                evidence: vec![evidence],
            },
        );
    }

    fn yes(&mut self, condition: Condition, evidence: Evidence) {
        self.learn(condition, Truth::Yes, evidence);
    }

    fn no(&mut self, condition: Condition, evidence: Evidence) {
        self.learn(condition, Truth::No, evidence);
    }

    /// What follows from a member's absence, when the description is complete.
    fn absent(&mut self, condition: Condition, truth: Truth, why: &str) {
        if self.settings.complete {
            let evidence = Evidence::new(why).source(self.settings.at.clone());
            self.learn(condition, truth, evidence);
        }
    }

    fn privileged(&self) -> Option<&At<bool>> {
        self.settings.privileged.as_ref().filter(|p| p.value)
    }

    fn option(&self, name: &str, value: &str) -> Option<&At<String>> {
        self.settings.security_opt.iter().find(|option| {
            option
                .value
                .split_once(['=', ':'])
                .is_some_and(|(n, v)| n.trim() == name && v.trim() == value)
        })
    }

    fn isolation(&mut self) {
        match self.settings.privileged.clone() {
            Some(set) if set.value => {
                // Privileged takes all of these away at once; each says so on the same line.
                for (condition, shows) in [
                    (Condition::Privileged, "the container is privileged"),
                    (
                        Condition::SeccompOff,
                        "a privileged container has no seccomp filter",
                    ),
                    (
                        Condition::LsmOff,
                        "a privileged container has no AppArmor or SELinux profile",
                    ),
                    (
                        Condition::ProcUnmasked,
                        "a privileged container has all of /proc, writable",
                    ),
                    (
                        Condition::MountDev,
                        "a privileged container has the devices of the host",
                    ),
                ] {
                    self.yes(condition, set.shows(shows));
                }
            }
            Some(set) => self.no(
                Condition::Privileged,
                set.shows("the container is not privileged"),
            ),
            None if self.settings.unresolved.contains(&"privileged") => {}
            None => self.absent(Condition::Privileged, Truth::No, "`privileged` is not set"),
        }
        match self.settings.read_only.clone() {
            Some(set) => {
                let truth = if set.value { Truth::No } else { Truth::Yes };
                let evidence = set.shows("says whether the root filesystem is writable");
                self.learn(Condition::RootfsRw, truth, evidence);
            }
            None if self.settings.unresolved.contains(&"read_only") => {}
            None => self.absent(Condition::RootfsRw, Truth::Yes, "`read_only` is not set"),
        }
    }

    fn namespaces(&mut self) {
        let settings = self.settings;
        let named = |mode: &Option<At<String>>| mode.clone().filter(|m| !m.value.is_empty());
        for (mode, host, shared, member) in [
            (
                named(&settings.pid),
                Condition::NsPid,
                Some(Condition::NsPidShared),
                "pid",
            ),
            (
                named(&settings.network),
                Condition::NsNet,
                None,
                "network_mode",
            ),
            (named(&settings.ipc), Condition::NsIpc, None, "ipc"),
        ] {
            let Some(mode) = mode else {
                let why = format!("`{member}` is not set");
                self.absent(host, Truth::No, &why);
                if let Some(shared) = shared {
                    self.absent(shared, Truth::No, &why);
                }
                continue;
            };
            if mode.value.contains("${") {
                continue;
            }
            let truth = if mode.value == "host" {
                Truth::Yes
            } else {
                Truth::No
            };
            self.learn(
                host,
                truth,
                mode.shows(format!("the {member} namespace: {}", mode.value)),
            );
            if let Some(shared) = shared {
                let joined =
                    mode.value.starts_with("service:") || mode.value.starts_with("container:");
                let truth = if joined { Truth::Yes } else { Truth::No };
                self.learn(
                    shared,
                    truth,
                    mode.shows(format!("the {member} namespace: {}", mode.value)),
                );
            }
        }
        self.user_namespace();
    }

    fn user_namespace(&mut self) {
        let host = self
            .settings
            .userns
            .clone()
            .filter(|mode| mode.value == "host");
        let rootless = self
            .engine
            .and_then(|engine| engine.security("rootless"))
            .cloned();
        let remapped = self
            .engine
            .and_then(|engine| engine.security("userns"))
            .cloned();
        let options = self
            .engine
            .and_then(|engine| engine.security_options.clone());
        if let Some(rootless) = rootless {
            let shows = "root in the container is an ordinary user of the host";
            self.no(Condition::UsernsNone, rootless.shows(shows));
        } else if let Some(host) = host {
            let shows = "the container opts out of user namespaces";
            self.yes(Condition::UsernsNone, host.shows(shows));
        } else if let Some(remapped) = remapped {
            self.no(
                Condition::UsernsNone,
                remapped.shows("the engine remaps users"),
            );
        } else if let Some(options) = options {
            let shows =
                "the engine does not remap users: root in the container is root of the host";
            self.yes(Condition::UsernsNone, options.shows(shows));
        }
    }

    fn confinement(&mut self) {
        let engine_default = self
            .engine
            .and_then(|engine| engine.security_options.clone())
            .filter(|options| {
                let all = options.value.join(" ");
                !all.contains("seccomp") || all.contains("profile=unconfined")
            });
        if let Some(off) = self.option("seccomp", "unconfined").cloned() {
            self.yes(Condition::SeccompOff, off.shows("seccomp is switched off"));
        } else if self.privileged().is_none() {
            let own = self
                .settings
                .security_opt
                .iter()
                .any(|o| o.value.starts_with("seccomp"));
            match engine_default {
                Some(options) if !own => {
                    self.yes(
                        Condition::SeccompOff,
                        options.shows("the engine has no seccomp filter"),
                    );
                }
                _ if own => {}
                _ => self.absent(
                    Condition::SeccompOff,
                    Truth::No,
                    "the default seccomp filter applies",
                ),
            }
        }
        self.security_module();
        if let Some(off) = self.option("systempaths", "unconfined").cloned() {
            self.yes(
                Condition::ProcUnmasked,
                off.shows("/proc and /sys are not masked"),
            );
        } else if let Some(unmasked) = self.settings.unmasked.clone() {
            self.yes(
                Condition::ProcUnmasked,
                unmasked.shows("/proc and /sys are not masked"),
            );
        } else if self.privileged().is_none() {
            self.absent(
                Condition::ProcUnmasked,
                Truth::No,
                "/proc and /sys are masked by default",
            );
        }
        let nnp = self.settings.security_opt.iter().find(|option| {
            let value = option.value.trim();
            value == "no-new-privileges"
                || value
                    .strip_prefix("no-new-privileges")
                    .and_then(|rest| rest.strip_prefix([':', '=']))
                    .is_some_and(|rest| rest.trim() == "true")
        });
        if let Some(set) = nnp.cloned() {
            self.no(
                Condition::NnpOff,
                set.shows("the process cannot gain privileges"),
            );
        } else if let Some(set) = self
            .engine
            .and_then(|e| e.security("no-new-privileges"))
            .cloned()
        {
            self.no(
                Condition::NnpOff,
                set.shows("the engine's default forbids new privileges"),
            );
        } else {
            self.absent(
                Condition::NnpOff,
                Truth::Yes,
                "`no-new-privileges` is not set",
            );
        }
    }

    fn security_module(&mut self) {
        for (name, value) in [("apparmor", "unconfined"), ("label", "disable")] {
            if let Some(off) = self.option(name, value).cloned() {
                self.yes(
                    Condition::LsmOff,
                    off.shows(format!("{name} is switched off")),
                );
                return;
            }
        }
        if self.privileged().is_some() {
            return;
        }
        let profile = self.settings.apparmor.clone();
        let label = self.settings.selinux_label.clone();
        let labelled = label.is_some_and(|label| !label.value.is_empty());
        match profile {
            Some(profile) if profile.value == "unconfined" => {
                self.yes(
                    Condition::LsmOff,
                    profile.shows("AppArmor does not confine the container"),
                );
            }
            Some(profile) if !profile.value.is_empty() => {
                self.no(
                    Condition::LsmOff,
                    profile.shows("an AppArmor profile confines the container"),
                );
            }
            Some(profile) if !labelled => {
                let shows = "neither AppArmor nor SELinux confines the container";
                self.yes(Condition::LsmOff, profile.shows(shows));
            }
            _ => {
                let Some(engine) = self.engine else { return };
                let Some(options) = engine.security_options.clone() else {
                    return;
                };
                let confined = engine
                    .security("apparmor")
                    .or(engine.security("selinux"))
                    .is_some();
                let (truth, shows) = if confined {
                    (
                        Truth::No,
                        "the engine applies AppArmor or SELinux by default",
                    )
                } else {
                    (Truth::Yes, "the engine has neither AppArmor nor SELinux")
                };
                self.learn(Condition::LsmOff, truth, options.shows(shows));
            }
        }
    }

    fn user(&mut self) {
        if let Some(user) = self.settings.user.clone() {
            let name = user.value.split(':').next().unwrap_or_default().trim();
            if !user.value.contains("${") {
                let root = matches!(name, "" | "0" | "root");
                let truth = if root { Truth::Yes } else { Truth::No };
                let shows = if root {
                    "the process runs as root"
                } else {
                    "the process does not run as root"
                };
                self.learn(Condition::UserRoot, truth, user.shows(shows));
            }
        }
        self.engine_group();
    }

    /// Whether the process may write an engine's socket without being root.
    fn engine_group(&mut self) {
        let group = self.settings.user.clone().and_then(|user| {
            let (_, group) = user.value.split_once(':')?;
            Some(At {
                value: group.trim().to_owned(),
                at: user.at,
            })
        });
        let groups: Vec<At<String>> = self.settings.groups.iter().cloned().chain(group).collect();
        let has_socket = self
            .settings
            .mounts
            .iter()
            .filter_map(|mount| mount.value.host())
            .any(|(_, path)| !path.sockets().is_empty());
        // A number added to a container that has the socket is the group of that socket.
        let member = groups
            .iter()
            .find(|group| group.value == "docker")
            .or_else(|| {
                self.settings.groups.iter().find(|group| {
                    has_socket && (group.value.contains("${") || group.value.parse::<u32>().is_ok())
                })
            });
        match member.cloned() {
            Some(group) => self.yes(
                Condition::UserDockergid,
                group.shows("the process is in the group that may write the socket"),
            ),
            // Without a group of its own a user that is not root may not; see `user.root`.
            None if self.facts.truth(Condition::UserRoot) == Truth::No && groups.is_empty() => {
                if let Some(user) = self.settings.user.clone() {
                    let shows = "neither root nor in the group of the socket";
                    self.no(Condition::UserDockergid, user.shows(shows));
                }
            }
            None => {}
        }
    }

    fn mounts(&mut self) {
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

    fn volumes(&mut self, others: &[&Settings]) {
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

    fn runtime(&mut self) {
        let own = self
            .settings
            .runtime
            .clone()
            .filter(|r| !r.value.is_empty());
        let default = self
            .engine
            .and_then(|engine| engine.default_runtime.clone());
        match own.or(default) {
            Some(runtime) if runtime.value.contains("${") => {}
            Some(runtime) => {
                let name = runtime.value.to_ascii_lowercase();
                let sandboxed = SANDBOXES.iter().any(|sandbox| name.contains(sandbox));
                let truth = if sandboxed { Truth::No } else { Truth::Yes };
                let shows = format!("the runtime is {}", runtime.value);
                self.learn(Condition::RuntimeShared, truth, runtime.shows(shows));
            }
            None => self.absent(
                Condition::RuntimeShared,
                Truth::Yes,
                "no runtime is set: runc, which shares the kernel of the host",
            ),
        }
        match self
            .settings
            .restart
            .clone()
            .filter(|r| !r.value.is_empty())
        {
            Some(restart) if restart.value != "no" && restart.value != "false" => {
                self.yes(
                    Condition::RestartHook,
                    restart.shows("the container is started again"),
                );
            }
            Some(restart) => self.no(Condition::RestartHook, restart.shows("it is not restarted")),
            None => self.absent(Condition::RestartHook, Truth::No, "it is not restarted"),
        }
    }

    fn surroundings(&mut self) {
        let settings = self.settings;
        if !settings.kubernetes {
            // A container that docker or compose started has no service account.
            self.absent(Condition::SaAutomount, Truth::No, "not made by a kubelet");
        }
        for variable in &settings.environment {
            if variable.value.is_secret() {
                let shows = format!("`{}` holds a secret", variable.value.name);
                self.yes(Condition::SecretsEnv, variable.shows(shows));
            }
            if variable
                .value
                .name
                .starts_with("AWS_CONTAINER_CREDENTIALS_")
            {
                self.yes(
                    Condition::NetTaskcreds,
                    variable.shows("credentials of the task are served"),
                );
            }
        }
        if self.facts.truth(Condition::SecretsEnv) == Truth::Unknown && !settings.more_environment {
            self.absent(
                Condition::SecretsEnv,
                Truth::No,
                "no variable holds a secret",
            );
        }
        let public: Vec<_> = settings
            .published
            .iter()
            .filter(|p| p.value.is_public())
            .collect();
        for port in &public {
            let shows = format!("port {} is published", port.value.container);
            self.yes(Condition::NetHostport, port.shows(shows));
        }
        if public.is_empty() && self.facts.truth(Condition::NsNet) == Truth::No {
            self.absent(Condition::NetHostport, Truth::No, "no port is published");
        }
    }
}
