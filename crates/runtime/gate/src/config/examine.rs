//! What a configuration names: files, users and groups, looked at before a start.

use std::path::Path;

use cofferdam_sandbox::{group_number, hidden_from_this_user, user_number};
use cofferdam_token::settings::{IssuerSettings, KeyFile};

use super::{GateConfig, TlsSettings};
use crate::tls;

/// What was found of all that a configuration names.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// What is not to be seen by whoever looks.
    pub warnings: Vec<String>,
    /// What a gate would not start with.
    pub errors: Vec<String>,
}

pub(super) fn of(config: &GateConfig) -> Examined {
    let mut examined = Examined::default();
    if let Some(tls) = &config.tls {
        examined.tls(tls);
    }
    for issuer in &config.issuers {
        examined.keys(issuer);
    }
    let user = config.user.as_deref().map(user_number);
    let group = config.group.as_deref().map(group_number);
    for (key, number) in [("user", user), ("group", group)] {
        if let Some(Err(error)) = number {
            examined.errors.push(format!("`{key}`: {error}"));
        }
    }
    examined
}

impl Examined {
    fn tls(&mut self, settings: &TlsSettings) {
        let TlsSettings {
            cert,
            key,
            client_ca,
            ..
        } = settings;
        // Each is looked at before any is loaded, so that all that are missing are named at once.
        let mut are_there = true;
        for file in [cert, key].into_iter().chain(client_ca) {
            are_there &= self.is_there(file);
        }
        if are_there && let Err(error) = tls::load(settings) {
            self.errors.push(error.to_string());
        }
    }

    fn keys(&mut self, settings: &IssuerSettings) {
        let Some(file) = &settings.keys else { return };
        if self.is_there(file)
            && let Err(error) = KeyFile::open(file)
        {
            self.errors.push(format!(
                "`{}` is no file of keys of issuer `{}`: {error}",
                file.display(),
                settings.issuer
            ));
        }
    }

    /// Whether a file can be read by whoever looks now; the gate's own user may where they may not.
    fn is_there(&mut self, file: &Path) -> bool {
        if let Some(hidden) = hidden_from_this_user(file) {
            self.warnings.push(hidden);
            return false;
        }
        if let Err(error) = std::fs::File::open(file) {
            let place = file.display();
            self.errors
                .push(format!("`{place}` cannot be read: {error}"));
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    #[test]
    fn all_that_a_gate_would_not_start_with_is_named_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let examine = |accounts: &str| {
            let text = format!(
                "listen = '127.0.0.1:0'\nbroker = 'broker'\n{accounts}\n\
                 [tls]\ncert = 'cert'\nkey = 'key'\nclient_ca = 'ca'\n\
                 [[issuer]]\nissuer = 'https://i'\naudience = 'a'\nkeys = 'keys'\n"
            );
            let path = dir.path().join("gate.toml");
            GateConfig::parse(&text, &path).unwrap().examine()
        };
        let missing = examine("user = 'no-such-user'\ngroup = 'no-such-group'");
        let errors = missing.errors.join("\n");
        for word in ["/cert`", "/key`", "/ca`", "/keys`", "-user", "-group"] {
            assert!(errors.contains(word), "{word} is not in {errors}");
        }
        assert_eq!(missing.errors.len(), 6, "{errors}");

        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("cert", include_str!("../../tests/data/server.pem"));
        write("key", include_str!("../../tests/data/client.key"));
        write("ca", include_str!("../../tests/data/ca.pem"));
        write("keys", "{}");
        let broken = examine("user = 'root'");
        let [cert, keys] = &broken.errors[..] else {
            panic!("{broken:?}");
        };
        assert!(cert.contains("cannot be served"), "{cert}");
        assert!(keys.contains("no file of keys of issuer"), "{keys}");

        write("key", include_str!("../../tests/data/server.key"));
        write("keys", KEYS);
        let sound = examine("user = 'root'\ngroup = 'root'");
        assert!(
            sound.errors.is_empty() && sound.warnings.is_empty(),
            "{sound:?}"
        );
    }
}
