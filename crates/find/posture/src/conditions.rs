//! From what a file says to what holds: the conditions of one container.
//!
//! Docker's defaults are knowledge: a member that a complete description leaves out has its default
//! value, and the default decides. What the image, the host or a variable decides stays unknown.

mod capabilities;
mod confinement;
mod engine;
mod mounts;
mod tcp;

pub(crate) use capabilities::KNOWN as KNOWN_CAPABILITIES;
pub(crate) use engine::of_engine;
pub(crate) use tcp::{is_filter, open_engine};

use crate::engine::Engine;
use crate::settings::{At, Settings};
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
