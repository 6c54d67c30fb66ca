//! What weakens a configuration, in sentences.

use std::collections::BTreeSet;
use std::path::Path;

use cofferdam_sandbox::{Enforcement, read_by_others, written_by_others};

use super::{BrokerConfig, PolicyMode};

pub(super) fn of(config: &BrokerConfig) -> Vec<String> {
    let mut warnings = config.floor().warnings();
    warnings.extend(config.issuers.iter().flat_map(|issuer| issuer.warnings()));
    let mut warn = |text: String| warnings.push(text);
    if config.policy_mode == PolicyMode::WouldDeny {
        warn(
            "no policy is enforced: what one denies is done, and noted in the audit log".to_owned(),
        );
    }
    if config.sandbox == Enforcement::BestEffort {
        warn("the broker starts even where the kernel does not confine it".to_owned());
    }
    if config.gate_user.is_none() {
        warn(
            "the gate runs as the same user as the broker, so a taken-over gate reaches what the \
             broker reaches"
                .to_owned(),
        );
    }
    if config.socket_mode & 0o007 != 0 {
        warn("every user of this host may connect to the broker's socket".to_owned());
    }
    for issuer in &config.issuers {
        if let Some(keys) = &issuer.keys {
            warnings.extend(written_by_others(keys, "can make tokens be accepted"));
        }
    }
    if let Some(policy) = &config.policy {
        let then = "can allow themselves anything above the floor";
        warnings.extend(written_by_others(policy, then));
    }
    if let Some(source) = config.source() {
        warnings.extend(written_by_others(source, "can loosen the floor"));
    }
    warnings.extend(read_by_others(&config.audit_key, "can forge the audit log"));
    warnings.extend(read_by_others(&config.state, "can read who did what"));
    if let Some(rotation) = &config.rotation {
        warnings.extend(read_by_others(&rotation.archive, "can read who did what"));
    }
    opened_to_the_broker(config, &mut |text| warnings.push(text));
    warnings
}

/// Of a file, the sandbox opens the directory: it may be replaced by another one.
fn opened_to_the_broker(config: &BrokerConfig, warn: &mut impl FnMut(String)) {
    let keys = config.issuers.iter().filter_map(|it| it.keys.as_deref());
    let read = keys
        .chain(config.source())
        .chain([config.audit_key.as_path()])
        .filter_map(|file| Some((file.parent()?, "read")));
    let archive = config.rotation.as_ref().map(|it| it.archive.as_path());
    let write = [config.state.as_path()]
        .into_iter()
        .chain(archive)
        .chain(config.socket.parent())
        .map(|directory| (directory, "change"));
    let policy = config.policy.as_deref().map(|folder| (folder, "read"));
    let opened: BTreeSet<(&Path, &str)> = read.chain(write).chain(policy).collect();
    for (directory, what) in opened {
        if cofferdam_sandbox::is_shared(directory) {
            warn(format!(
                "a taken-over broker may {what} whatever its user may in all of `{}`, since the \
                 sandbox opens the directories that the configuration names; use one of the \
                 broker's own, such as `/etc/cofferdam`, `/run/cofferdam` and `/var/lib/cofferdam`",
                directory.display()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_weakens_is_said_and_what_does_not_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("etc");
        let state = dir.path().join("state");
        let (keys, audit) = (folder.join("keys"), folder.join("audit"));
        for path in [&folder, &state] {
            fs::create_dir(path).unwrap();
        }
        for path in [&keys, &audit] {
            fs::write(path, "").unwrap();
        }
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        let text = |more: &str| {
            format!(
                "socket = '/run/cofferdam/b'\nengine = '/run/e'\nstate = '{}'\naudit_key = '{}'\n{more}\n\
                 [[issuer]]\nissuer = 'https://i'\naudience = 'a'\nkeys = '{}'\n",
                state.display(),
                audit.display(),
                keys.display()
            )
        };
        let warnings = |more: &str| {
            let path = folder.join("broker.toml");
            BrokerConfig::parse(&text(more), &path).unwrap().warnings()
        };
        set(&folder, 0o755).unwrap();
        set(&state, 0o700).unwrap();
        set(&audit, 0o600).unwrap();
        set(&keys, 0o644).unwrap();
        assert_eq!(warnings("gate_user = '7'"), Vec::<String>::new());

        set(&state, 0o755).unwrap();
        set(&audit, 0o640).unwrap();
        set(&keys, 0o664).unwrap();
        let all = warnings(
            "policy_mode = 'would-deny'\nsandbox = 'best-effort'\nsocket_mode = 0o666\n\
             images.local = true",
        )
        .join("\n");
        for word in [
            "no policy is enforced",
            "does not confine",
            "the same user",
            "every user of this host",
            "every image that the engine has",
            "who did what",
            "forge the audit log",
            "make tokens be accepted",
        ] {
            assert!(all.contains(word), "{word} is not in {all}");
        }
    }

    #[test]
    fn a_directory_of_the_system_is_not_to_be_opened_for_one_file() {
        let warnings = |socket: &str, key: &str, state: &str| {
            let text = format!(
                "socket = '{socket}'\nengine = '/run/docker.sock'\nstate = '{state}'\n\
                 audit_key = '{key}'\n[audit]\nkeep = '1d'\narchive = '/srv/audit-archive'\n\
                 [[issuer]]\nissuer = 'https://i'\naudience = 'a'\nkeys = '/no/such/keys'\n"
            );
            let config = BrokerConfig::parse(&text, Path::new("/no/such/broker.toml"));
            let mut all = config.unwrap().warnings();
            all.retain(|warning| warning.contains("taken-over broker may"));
            all
        };
        let own = warnings(
            "/run/cofferdam/s",
            "/etc/cofferdam/key",
            "/var/lib/cofferdam",
        );
        assert_eq!(own, Vec::<String>::new());
        let shared = warnings("/run/cofferdam.sock", "/etc/audit.key", "/var/lib").join("\n");
        for word in [
            "read whatever its user may in all of `/etc`",
            "change whatever its user may in all of `/run`",
            "all of `/var/lib`",
        ] {
            assert!(shared.contains(word), "{word} is not in {shared}");
        }
    }
}
