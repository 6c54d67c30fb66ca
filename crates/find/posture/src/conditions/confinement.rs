//! What keeps the process in: seccomp, AppArmor or SELinux, masked kernel files, its user.

use super::Reading;
use crate::settings::At;
use cofferdam_finding::{Condition, Truth};

impl Reading<'_> {
    pub(super) fn confinement(&mut self) {
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

    pub(super) fn user(&mut self) {
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
}
