//! What every new container gets, whatever it asked for.

use super::FloorConfig;
use crate::container::ContainerCreate;

/// Adds the hardened defaults: set-user-id programs gain nothing, capabilities are the kept or the
/// asked for and no others, and there are limits for processes and memory. The engine's own seccomp
/// and AppArmor profiles stay on, since no action can turn them off.
pub(super) fn harden(create: &mut ContainerCreate, config: &FloorConfig) {
    let security = &mut create.security;
    security.no_new_privileges = true;
    if !security.cap_drop_all {
        let kept = config
            .capabilities
            .keep
            .difference(&security.cap_drop)
            .copied();
        security.cap_add.extend(kept);
    }
    // The whole set is said from nothing, so that it does not depend on the engine's own default.
    security.cap_drop_all = true;
    security.cap_drop.clear();
    let resources = &mut create.resources;
    resources.pids.get_or_insert(config.limits.pids_default);
    resources.memory.get_or_insert(config.limits.memory_default);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::Capability;
    use crate::image::ImageRef;

    #[test]
    fn a_container_that_says_nothing_is_hardened() {
        let config = FloorConfig::default();
        let mut create = ContainerCreate::new(ImageRef::parse("app").unwrap());
        harden(&mut create, &config);
        assert!(create.security.no_new_privileges && create.security.cap_drop_all);
        assert_eq!(create.security.cap_add, config.capabilities.keep);
        assert_eq!(create.resources.pids, Some(1024));
        assert_eq!(create.resources.memory, Some(2 << 30));
    }

    #[test]
    fn what_the_caller_drops_stays_dropped() {
        let mut create = ContainerCreate::new(ImageRef::parse("app").unwrap());
        create.security.cap_drop.insert(Capability::Chown);
        harden(&mut create, &FloorConfig::default());
        assert!(!create.security.cap_add.contains(&Capability::Chown));

        let mut create = ContainerCreate::new(ImageRef::parse("app").unwrap());
        create.security.cap_drop_all = true;
        create.security.cap_add.insert(Capability::NetBindService);
        harden(&mut create, &FloorConfig::default());
        assert_eq!(create.security.cap_add.len(), 1);
    }
}
