//! What an operator writes about one issuer, the same in the gate's and the broker's configuration.
//!
//! ```toml
//! [[issuer]]
//! issuer = "https://idp.example/realms/prod"
//! audience = "https://containers.example"
//! preset = "keycloak"
//! keys = "/etc/cofferdam/keys/prod.json"
//! roles_claim = "realm_access.roles"
//! ```

mod claim;
mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

pub use claim::ClaimPath;
pub use file::{FileMark, KeyFile};

use crate::key::{Jwk, JwkSet, JwkSetError, KeyError, KeyStore};
use crate::policy::IssuerPolicy;
use crate::verifier::Verified;
use crate::{Algorithm, Profile, preset};

/// One `[[issuer]]` of a configuration. Unknown members are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// The issuer, exactly as it stands in `iss`.
    pub issuer: String,
    /// For whom tokens must be meant: one audience or a list of them.
    #[serde(deserialize_with = "one_or_more")]
    pub audience: Vec<String>,
    /// The name of a [`Profile`], `rfc9068` where there is none.
    #[serde(default, deserialize_with = "profile")]
    pub preset: Option<Profile>,
    /// The accepted algorithms; the preset's where there are none. HMAC is refused.
    #[serde(default, deserialize_with = "algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// A file with the issuer's public keys: a JWK set, or one public key in PEM.
    #[serde(default)]
    pub keys: Option<PathBuf>,
    /// Where the issuer publishes its keys.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Whether the place of the keys is found in the issuer's metadata (RFC 8414).
    #[serde(default)]
    pub discover: bool,
    /// Claims that must have one of these values, compared byte for byte.
    #[serde(default)]
    pub claims: BTreeMap<String, Vec<String>>,
    /// SPIFFE: the trust domain, where the issuer is not named after it.
    #[serde(default)]
    pub trust_domain: Option<String>,
    /// The claim that tells one owner of containers from another; `sub` where there is none.
    #[serde(default)]
    pub owner_claim: Option<ClaimPath>,
    /// Roles of every token of this issuer, beside those of its own claim.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Where the token's own roles stand; `roles` where there is none.
    #[serde(default)]
    pub roles_claim: Option<ClaimPath>,
    /// Scopes of every token of this issuer, beside those that it carries: for issuers whose tokens
    /// carry none, such as those of CI jobs.
    #[serde(default, deserialize_with = "scopes")]
    pub scopes: Vec<String>,
}

/// What is wrong with the settings of an issuer beyond their form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A preset whose issuer is named in another way.
    #[error("issuer `{issuer}` is none of the preset `{preset}`: it is like `{like}`")]
    Issuer {
        /// The issuer.
        issuer: String,
        /// The preset.
        preset: &'static str,
        /// What it looks like.
        like: &'static str,
    },
    /// Everybody can get a token of this issuer.
    #[error(
        "anybody can get a token of `{issuer}`: name who may call, for example `claims = {{ {example} = [\"…\"] }}`"
    )]
    Open {
        /// The issuer.
        issuer: String,
        /// A claim that tells callers apart.
        example: &'static str,
    },
    /// A member of another preset.
    #[error("`trust_domain` belongs to the preset `spiffe`")]
    TrustDomain,
}

/// What is wrong with a file of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Read(String),
    /// The file has more than 1 MiB.
    #[error("it has more than 1 MiB")]
    TooLong,
    /// No JWK set.
    #[error("it is no JWK set: {0}")]
    Set(#[from] JwkSetError),
    /// No public key in PEM.
    #[error("it is no public key in PEM: {0}")]
    Pem(#[from] KeyError),
    /// A set without a key that can be used.
    #[error("there is no key in it that can be used")]
    Empty,
}

impl IssuerSettings {
    /// The policy that these settings make, with these keys.
    ///
    /// # Errors
    /// [`SettingsError`]. What every policy must have is judged by [`crate::Verifier::new`].
    pub fn policy(&self, keys: impl Into<Arc<KeyStore>>) -> Result<IssuerPolicy, SettingsError> {
        const RSA: [Algorithm; 1] = [Algorithm::Rs256];
        let profile = self.profile();
        if self.trust_domain.is_some() && profile.name() != "spiffe" {
            return Err(SettingsError::TrustDomain);
        }
        let plain = |keys| IssuerPolicy::new(&self.issuer, keys).profile(profile);
        let keys = keys.into();
        let mut policy = match profile.name() {
            "entra" => self.entra(keys)?,
            "okta" | "cognito" => plain(keys).algorithms(RSA),
            "google" => self.closed("email", plain(keys).algorithms(RSA))?,
            "github-actions" => self.closed("repository_id", plain(keys).algorithms(RSA))?,
            "gitlab-ci" => self.closed("project_id", plain(keys).algorithms(RSA))?,
            _ => plain(keys),
        };
        if let Some(domain) = &self.trust_domain {
            policy = policy.trust_domain(domain);
        }
        if !self.algorithms.is_empty() {
            policy = policy.algorithms(self.algorithms.iter().copied());
        }
        for audience in &self.audience {
            policy = policy.audience(audience);
        }
        for (name, values) in &self.claims {
            policy = policy.claim(name, values.iter().cloned());
        }
        Ok(policy)
    }

    /// The profile of the preset.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.preset.unwrap_or(Profile::RFC9068)
    }

    /// The text that, together with the issuer, names the owner of what a token's holder makes.
    /// Nothing where the token has no such claim, or one that is no text; then nothing may be done.
    #[must_use]
    pub fn owner_of<'v>(&self, token: &'v Verified) -> Option<&'v str> {
        match &self.owner_claim {
            None => token.subject(),
            Some(path) => path.text(token.claims()).filter(|text| !text.is_empty()),
        }
    }

    /// The roles of a token's holder: those of every token of this issuer, and those in its claim.
    #[must_use]
    pub fn roles_of<'v>(&'v self, token: &'v Verified) -> Vec<&'v str> {
        let own = self.roles.iter().map(String::as_str);
        match &self.roles_claim {
            None => own.chain(token.claims().roles()).collect(),
            Some(path) => own.chain(path.texts(token.claims())).collect(),
        }
    }

    /// The scopes of a token's holder, each a whole word: those that it carries, and those of every
    /// token of this issuer.
    pub fn scopes_of<'v>(&'v self, token: &'v Verified) -> impl Iterator<Item = &'v str> {
        let granted = self.scopes.iter().map(String::as_str);
        token.scopes().iter().chain(granted)
    }

    /// Reads a file of public keys: a JWK set, or one public key in PEM.
    ///
    /// # Errors
    /// Anything else, and a set without a key that can be used.
    pub fn parse_keys(bytes: &[u8]) -> Result<JwkSet, KeyFileError> {
        let pem = std::str::from_utf8(bytes)
            .ok()
            .filter(|text| text.contains("-----BEGIN "));
        let keys = match pem {
            Some(pem) => Jwk::from_pem(pem)?.into(),
            None => JwkSet::parse(bytes)?,
        };
        match keys.keys().is_empty() {
            true => Err(KeyFileError::Empty),
            false => Ok(keys),
        }
    }

    /// What weakens these settings, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.profile().name() == "jwt" {
            warnings.push(format!(
                "issuer `{}`: the preset `jwt` tells an access token from other tokens by fewer marks than RFC 9068",
                self.issuer
            ));
        }
        if !self.issuer.starts_with("https://") && !self.issuer.starts_with("spiffe://") {
            warnings.push(format!(
                "issuer `{}` is not on HTTPS, so whoever is on the way can change its keys",
                self.issuer
            ));
        }
        if self
            .jwks_uri
            .as_ref()
            .is_some_and(|uri| !uri.starts_with("https://"))
        {
            warnings.push(format!(
                "the keys of issuer `{}` do not come by HTTPS, so whoever is on the way can change them",
                self.issuer
            ));
        }
        if !self.roles.is_empty() {
            warnings.push(format!(
                "every token of issuer `{}` has the roles {}",
                self.issuer,
                self.roles.join(", ")
            ));
        }
        if !self.scopes.is_empty() {
            warnings.push(format!(
                "every token of issuer `{}` has the scopes {}",
                self.issuer,
                self.scopes.join(" ")
            ));
        }
        warnings
    }

    fn entra(&self, keys: Arc<KeyStore>) -> Result<IssuerPolicy, SettingsError> {
        let between = |before, after| {
            let rest: &str = self.issuer.strip_prefix(before)?;
            rest.strip_suffix(after)
                .filter(|tenant| !tenant.is_empty() && !tenant.contains('/'))
        };
        if let Some(tenant) = between("https://login.microsoftonline.com/", "/v2.0") {
            return Ok(preset::entra_v2(tenant, keys));
        }
        match between("https://sts.windows.net/", "/") {
            Some(tenant) => Ok(preset::entra_v1(tenant, keys)),
            None => Err(SettingsError::Issuer {
                issuer: self.issuer.clone(),
                preset: "entra",
                like: "https://login.microsoftonline.com/TENANT/v2.0",
            }),
        }
    }

    /// The policy of an issuer that serves everybody: some claim must say who may call.
    fn closed(
        &self,
        example: &'static str,
        policy: IssuerPolicy,
    ) -> Result<IssuerPolicy, SettingsError> {
        match self.claims.values().any(|values| !values.is_empty()) {
            true => Ok(policy),
            false => Err(SettingsError::Open {
                issuer: self.issuer.clone(),
                example,
            }),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts = match OneOrMore::deserialize(deserializer) {
        Ok(OneOrMore::One(text)) => vec![text],
        Ok(OneOrMore::More(texts)) => texts,
        Err(_) => {
            return Err(serde::de::Error::custom(
                "an audience is a text, or a list of them",
            ));
        }
    };
    match texts.is_empty() || texts.iter().any(String::is_empty) {
        true => Err(serde::de::Error::custom(
            "an issuer needs an audience: name this API as the issuer knows it",
        )),
        false => Ok(texts),
    }
}

fn profile<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Profile>, D::Error> {
    let name = String::deserialize(deserializer)?;
    Profile::from_name(&name).map(Some).ok_or_else(|| {
        let names: Vec<&str> = Profile::ALL.iter().map(Profile::name).collect();
        serde::de::Error::custom(format!(
            "there is no preset `{name}`; there are {}",
            names.join(", ")
        ))
    })
}

fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let scopes = Vec::<String>::deserialize(deserializer)?;
    match scopes.iter().find(|scope| !crate::is_scope(scope)) {
        None => Ok(scopes),
        Some(wrong) => Err(serde::de::Error::custom(format!(
            "`{wrong}` is no scope: write each one as a text of its own"
        ))),
    }
}

fn algorithms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Algorithm>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let one = |name: &String| match Algorithm::from_name(name) {
        Some(algorithm) if algorithm.is_hmac() => Err(format!(
            "`{name}` is an HMAC: whoever verifies with its key could mint tokens; use an asymmetric algorithm"
        )),
        Some(algorithm) => Ok(algorithm),
        None => Err(format!(
            "there is no algorithm `{name}`; there are {}",
            Algorithm::ASYMMETRIC.map(Algorithm::name).join(", ")
        )),
    };
    names
        .iter()
        .map(one)
        .collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Verifier;

    fn read(change: Value) -> Result<IssuerSettings, String> {
        let mut settings = json!({ "issuer": "https://i.example", "audience": "https://a" });
        for (name, value) in change.as_object().unwrap() {
            settings[name] = value.clone();
        }
        serde_json::from_value(settings).map_err(|error| error.to_string())
    }

    fn verifier(change: Value) -> Result<Verifier, String> {
        let policy = read(change)?.policy(KeyStore::empty());
        let policy = policy.map_err(|error| error.to_string())?;
        Verifier::new([policy]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_scope_is_one_word() {
        let given = json!({ "scopes": ["containers:read", "images:read"] });
        let settings = read(given).unwrap();
        assert_eq!(settings.scopes.len(), 2);
        let warned = settings.warnings().join("\n");
        assert!(
            warned.contains("has the scopes containers:read images:read"),
            "{warned}"
        );
        let error = read(json!({ "scopes": ["containers:read images:read"] })).unwrap_err();
        assert!(error.contains("is no scope"), "{error}");
    }

    #[test]
    fn every_preset_makes_a_policy_of_its_profile() {
        for profile in Profile::ALL {
            let change = match profile.name() {
                "entra" => json!({ "issuer": "https://login.microsoftonline.com/t-1/v2.0" }),
                "spiffe" => json!({ "issuer": "spiffe://prod.example" }),
                "google" | "github-actions" | "gitlab-ci" => json!({ "claims": { "x": ["1"] } }),
                _ => json!({}),
            };
            let mut change = change;
            change["preset"] = profile.name().into();
            let made = verifier(change);
            assert!(made.is_ok(), "{}: {made:?}", profile.name());
        }
        let named = json!({ "preset": "spiffe", "trust_domain": "prod.example" });
        assert!(verifier(named).is_ok());
    }

    #[test]
    fn what_would_let_in_too_much_is_refused_and_says_what_to_do() {
        for (change, word) in [
            (json!({ "algorithms": ["HS256"] }), "HMAC"),
            (json!({ "algorithms": ["none"] }), "no algorithm `none`"),
            (json!({ "audience": [] }), "needs an audience"),
            (json!({ "audience": "" }), "needs an audience"),
            (json!({ "audience": 5 }), "a text"),
            (json!({ "preset": "okra" }), "okta"),
            (
                json!({ "preset": "entra" }),
                "https://login.microsoftonline.com/TENANT/v2.0",
            ),
            (json!({ "preset": "github-actions" }), "repository_id"),
            (
                json!({ "preset": "google", "claims": { "email": [] } }),
                "email",
            ),
            (json!({ "preset": "spiffe" }), "give the `trust_domain`"),
            (
                json!({ "preset": "spiffe", "trust_domain": "Prod.example" }),
                "no SPIFFE trust domain",
            ),
            (json!({ "trust_domain": "x" }), "spiffe"),
            (
                json!({ "preset": "cognito", "audience": "" }),
                "needs an audience",
            ),
            (json!({ "secret": "x" }), "unknown field"),
        ] {
            let refused = verifier(change.clone()).unwrap_err();
            assert!(refused.contains(word), "{change}: {refused}");
        }
    }

    #[test]
    fn keys_are_a_set_or_one_in_pem_and_never_none() {
        let set = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        assert!(IssuerSettings::parse_keys(set).unwrap().has_kid("1"));
        for bytes in [
            &br#"{"keys":[]}"#[..],
            b"",
            b"-----BEGIN PUBLIC KEY-----",
            b"\xff",
        ] {
            assert!(IssuerSettings::parse_keys(bytes).is_err());
        }
    }
}
