//! What weakens a configuration, in sentences.

use cofferdam_sandbox::{Enforcement, read_by_others, written_by_others};
use cofferdam_token::settings::IssuerSettings;

use super::GateConfig;

pub(super) fn of(config: &GateConfig) -> Vec<String> {
    let mut warnings: Vec<String> = config
        .issuers
        .iter()
        .flat_map(IssuerSettings::warnings)
        .collect();
    if config.plain_http && config.tls.is_none() {
        warnings.push(
            "`plain_http` lets tokens pass in the clear between the proxy and the gate: whoever reads along can use them"
                .to_owned(),
        );
    }
    if config.sandbox == Enforcement::BestEffort {
        warnings.push(
            "`sandbox = \"best-effort\"` starts the gate even where it cannot be confined"
                .to_owned(),
        );
    }
    if config.user.is_none() {
        warnings.push(
            "no `user` is set: the gate runs as whoever starts it, which must not be the broker's user nor root"
                .to_owned(),
        );
    }
    for issuer in config.issuers.iter().filter(|issuer| issuer.keys.is_none()) {
        warnings.push(format!(
            "the gate fetches the keys of `{}` itself, so it may open connections; `cofferdam keys sync` and `keys` spare it that",
            issuer.issuer
        ));
    }
    for directory in config.directories() {
        if cofferdam_sandbox::is_shared(&directory) {
            warnings.push(format!(
                "a taken-over gate may read whatever its user may in all of `{}`, since the sandbox opens the directories of the files that the configuration names; use one of the gate's own, such as `/etc/cofferdam`",
                directory.display()
            ));
        }
    }
    if let Some(tls) = &config.tls {
        warnings.extend(read_by_others(&tls.key, "can pass for the gate"));
        if let Some(authority) = &tls.client_ca {
            let then = "can show a certificate as any client";
            warnings.extend(written_by_others(authority, then));
        }
    }
    for keys in config.issuers.iter().filter_map(|it| it.keys.as_deref()) {
        warnings.extend(written_by_others(keys, "can make tokens pass the gate"));
    }
    if let Some(source) = &config.source {
        warnings.extend(written_by_others(source, "can open the gate"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn keys_that_others_may_write_are_warned_of() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        std::fs::write(&keys, "{}").unwrap();
        let warned = |mode| {
            std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(mode)).unwrap();
            let text = format!(
                "listen = '127.0.0.1:0'\nbroker = '/run/b'\n[[issuer]]\nissuer = 'https://i'\n\
                 audience = 'a'\nkeys = '{}'\n",
                keys.display()
            );
            let config = GateConfig::parse(&text, Path::new("/etc/cofferdam/gate.toml"));
            let warnings = config.unwrap().warnings();
            warnings.iter().any(|it| it.contains("make tokens pass"))
        };
        assert!(warned(0o664));
        assert!(!warned(0o644));
    }

    #[test]
    fn a_directory_of_the_system_is_not_to_be_opened_for_one_file() {
        let warned = |keys: &str| {
            let text = format!(
                "listen = '127.0.0.1:0'\nbroker = '/run/b'\n[[issuer]]\nissuer = 'https://i'\n\
                 audience = 'a'\nkeys = '{keys}'\n"
            );
            let path = Path::new("/etc/cofferdam/gate.toml");
            let warnings = GateConfig::parse(&text, path).unwrap().warnings();
            warnings.iter().any(|it| it.contains("all of `/etc`"))
        };
        assert!(warned("/etc/idp.json"));
        assert!(!warned("/etc/cofferdam/idp.json"));
    }
}
