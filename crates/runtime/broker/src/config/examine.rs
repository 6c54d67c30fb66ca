//! What a configuration names: files, users and groups, looked at before a start.

use std::path::Path;

use cofferdam_token::settings::{IssuerSettings, KeyFile};

use super::BrokerConfig;
use crate::broker::audit_key;
use crate::policies::Policies;
use crate::run::engine_is_there;

/// What was found of all that a configuration names.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// What is there and well, a line each.
    pub found: Vec<String>,
    /// What is not there yet, or not to be seen by whoever looks.
    pub warnings: Vec<String>,
    /// What a broker would not start with.
    pub errors: Vec<String>,
}

pub(super) fn of(config: &BrokerConfig) -> Examined {
    let mut examined = Examined::default();
    examined.audit_key(config);
    for issuer in &config.issuers {
        examined.keys(issuer);
    }
    examined.policies(config);
    examined.accounts(config);
    match engine_is_there(&config.engine) {
        Ok(()) => examined.found("engine", &config.engine.display()),
        Err(error) => examined.warnings.push(error.to_string()),
    }
    if let Some(directory) = config.socket.parent()
        && !directory.is_dir()
    {
        examined.warnings.push(format!(
            "there is no directory `{}` for the broker's socket yet",
            directory.display()
        ));
    }
    examined
}

impl Examined {
    fn audit_key(&mut self, config: &BrokerConfig) {
        if self.is_hidden(&config.audit_key) {
            return;
        }
        match audit_key(&config.audit_key) {
            Ok(key) => self.found("audit key", &key.verifying_key()),
            Err(error) => self.errors.push(match error {
                crate::OpenError::Audit(error) => {
                    format!(
                        "`{}` is no key of an audit log: {error}",
                        config.audit_key.display()
                    )
                }
                other => other.to_string(),
            }),
        }
    }

    fn keys(&mut self, settings: &IssuerSettings) {
        let Some(file) = &settings.keys else { return };
        let (name, place) = (&settings.issuer, file.display());
        if self.is_hidden(file) {
            return;
        }
        let is_fetched = settings.jwks_uri.is_some() || settings.discover;
        if is_fetched && !file.exists() {
            self.warnings.push(format!(
                "the keys of issuer `{name}` are not in `{place}` yet; `cofferdam keys sync` fetches them"
            ));
            return;
        }
        match KeyFile::open(file) {
            Ok(_) => self.found("keys", &format_args!("of `{name}` in `{place}`")),
            Err(error) => self.errors.push(format!(
                "`{place}` is no file of keys of issuer `{name}`: {error}"
            )),
        }
    }

    fn policies(&mut self, config: &BrokerConfig) {
        if config
            .policy
            .as_deref()
            .is_some_and(|it| self.is_hidden(it))
        {
            return;
        }
        match Policies::read(config.policy.clone()) {
            Ok(policies) => self.found("policy", &policies.describe()),
            Err(error) => self.errors.push(error.to_string()),
        }
    }

    fn accounts(&mut self, config: &BrokerConfig) {
        use cofferdam_sandbox::{group_number, user_number};
        let BrokerConfig {
            gate_user,
            user,
            group,
            groups,
            socket_group,
            ..
        } = config;
        let users = [("gate_user", gate_user), ("user", user)];
        let users = users
            .into_iter()
            .filter_map(|(key, it)| Some((key, it.as_ref()?)));
        for (key, name) in users {
            self.account(key, name, user_number(name));
        }
        let one = [("group", group), ("socket_group", socket_group)];
        let one = one
            .into_iter()
            .filter_map(|(key, it)| Some((key, it.as_ref()?)));
        for (key, name) in one.chain(groups.iter().map(|it| ("groups", it))) {
            self.account(key, name, group_number(name));
        }
    }

    fn account(&mut self, key: &str, name: &str, number: Result<u32, cofferdam_sandbox::Error>) {
        match number {
            Ok(number) => self.found(key, &format_args!("`{name}` is {number}")),
            Err(error) => self.errors.push(format!("`{key}`: {error}")),
        }
    }

    fn found(&mut self, what: &str, it: &dyn std::fmt::Display) {
        self.found.push(format!("{what}: {it}"));
    }

    /// Whether a file may not be read by whoever looks now; the broker's own user may.
    fn is_hidden(&mut self, path: &Path) -> bool {
        let hidden = cofferdam_sandbox::hidden_from_this_user(path);
        let is_hidden = hidden.is_some();
        self.warnings.extend(hidden);
        is_hidden
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use cofferdam_audit::note::SigningKey;

    use super::*;

    const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    #[test]
    fn what_a_broker_would_not_start_with_is_an_error_and_what_may_come_yet_is_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let config = |more: &str, issuer: &str| {
            let text = format!(
                "socket = 'run/socket'\nengine = 'engine'\nstate = 'state'\n\
                 audit_key = 'audit.key'\n{more}\n\
                 [[issuer]]\nissuer = 'https://i'\naudience = 'a'\nkeys = 'keys'\n{issuer}\n"
            );
            let path = dir.path().join("broker.toml");
            BrokerConfig::parse(&text, &path).unwrap().examine()
        };
        let missing = config(
            "policy = 'policy'\nuser = 'no-such-user'\ngroups = ['no-such-group']\ngate_user = 'root'",
            "",
        );
        let errors = missing.errors.join("\n");
        for word in [
            "audit.key",
            "file of keys of issuer",
            "/policy`",
            "no-such-user",
            "no-such-group",
        ] {
            assert!(errors.contains(word), "{word} is not in {errors}");
        }
        assert_eq!(missing.errors.len(), 5, "{errors}");
        assert_eq!(missing.warnings.len(), 2, "{:?}", missing.warnings);
        assert_eq!(missing.found, ["gate_user: `root` is 0"]);

        let fetched = config("", "discover = true");
        assert_eq!(fetched.errors.len(), 1, "{:?}", fetched.errors);
        assert!(
            fetched.warnings[0].contains("keys sync"),
            "{:?}",
            fetched.warnings
        );

        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("audit.key", "nonsense");
        write("keys", "{}");
        fs::create_dir(dir.path().join("policy")).unwrap();
        write("policy/a.cedar", "permit (principal");
        let broken = config("policy = 'policy'", "discover = true");
        assert_eq!(broken.errors.len(), 3, "{:?}", broken.errors);

        let key = SigningKey::generate("audit.example").unwrap();
        write("audit.key", &key.to_secret_text());
        write("keys", KEYS);
        write(
            "policy/a.cedar",
            "@id(\"a\") permit (principal, action, resource);",
        );
        fs::create_dir(dir.path().join("run")).unwrap();
        let _engine = std::os::unix::net::UnixListener::bind(dir.path().join("engine")).unwrap();
        let sound = config("policy = 'policy'", "");
        assert!(
            sound.errors.is_empty() && sound.warnings.is_empty(),
            "{sound:?}"
        );
        let found = sound.found.join("\n");
        for word in [
            "audit key: audit.example+",
            "keys: of `https://i`",
            "policy: 1 policies",
            "engine: ",
        ] {
            assert!(found.contains(word), "{word} is not in {found}");
        }
    }
}
