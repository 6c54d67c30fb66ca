//! Who asks: what of a verified token the broker decides by.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use cofferdam_action::floor;
use cofferdam_audit::record::Who;
use cofferdam_policy::Principal;
use cofferdam_token::Verified;
use cofferdam_token::settings::IssuerSettings;

use crate::tenancy::{CallerImages, Owner, Tenant};

/// The scope with which the objects of other tenants can be seen, where a policy permits it too.
pub const SEES_ALL: &str = "tenants:all";

/// The holder of one verified token.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    token: Verified,
    tenant: Tenant,
    roles: Vec<String>,
    /// Scopes of every token of its issuer.
    granted: Vec<String>,
}

/// Why a valid token stands for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token has no claim that says whose containers it is about")]
pub(crate) struct NoOwner;

impl Caller {
    /// The holder of a token of an issuer with these settings.
    ///
    /// Whether the objects of others are seen is still to be decided: [`Tenant::sees_all`] says
    /// only that the token has the scope for it.
    pub(crate) fn of(token: Verified, settings: &IssuerSettings) -> Result<Self, NoOwner> {
        let owner = Owner::of(token.issuer(), settings.owner_of(&token).ok_or(NoOwner)?);
        let principal = Owner::of(token.issuer(), token.subject().unwrap_or_default());
        let sees_all = settings.scopes_of(&token).any(|scope| scope == SEES_ALL);
        let roles = settings.roles_of(&token);
        Ok(Self {
            tenant: Tenant {
                owner,
                principal,
                sees_all,
            },
            roles: roles.into_iter().map(str::to_owned).collect(),
            granted: settings.scopes.clone(),
            token,
        })
    }

    pub(crate) const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The same caller, who sees their own objects alone.
    pub(crate) fn among_their_own(&self) -> Tenant {
        Tenant {
            sees_all: false,
            ..self.tenant.clone()
        }
    }

    /// Whether the holder has this scope, as a whole word.
    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|held| held == scope)
    }

    /// The scopes of the token, and those of every token of its issuer.
    fn scopes(&self) -> impl Iterator<Item = &str> {
        let granted = self.granted.iter().map(String::as_str);
        self.token.scopes().iter().chain(granted)
    }

    /// For how long the token is still accepted.
    pub(crate) fn accepted_for(&self, now: SystemTime) -> Duration {
        /// Longer than any process lives, and short enough for every clock.
        const LONG: f64 = 1e9;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let left = self.token.accepted_until() - now.as_secs_f64();
        Duration::from_secs_f64(left.clamp(0.0, LONG))
    }

    /// For the floor.
    pub(crate) fn before_floor(&self, images: CallerImages) -> floor::Caller {
        floor::Caller {
            scopes: self.scopes().map(str::to_owned).collect(),
            own_images: images.own,
            local_images: images.local,
            foreign_images: images.foreign,
        }
    }

    /// For policy.
    pub(crate) fn principal(&self) -> Principal<'_> {
        Principal {
            owner: self.tenant.owner.as_str(),
            issuer: self.token.issuer(),
            subject: self.token.subject().unwrap_or_default(),
            client: self.token.client_id(),
            scopes: self.scopes().collect(),
            roles: self.roles.iter().map(String::as_str).collect(),
            groups: self.token.claims().groups().collect(),
        }
    }
}

/// The holder of a token, for an audit record.
pub(crate) fn who(token: &Verified, token_sha256: String) -> Who {
    Who {
        issuer: token.issuer().to_owned(),
        subject: token.subject().unwrap_or_default().to_owned(),
        client: token.client_id().unwrap_or_default().to_owned(),
        token_sha256,
    }
}

/// The digest by which an audit record names a token.
pub(crate) fn token_sha256(raw: &str) -> String {
    hex(digest::digest(&digest::SHA256, raw.as_bytes()).as_ref())
}

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use cofferdam_issuer::{Issuer, SigningKey, TokenBuilder};
    use cofferdam_token::{Algorithm, Verifier};
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_795_505_225;

    fn caller(
        settings: Value,
        build: impl FnOnce(TokenBuilder<'_>) -> TokenBuilder<'_>,
    ) -> Result<Caller, NoOwner> {
        let issuer = Issuer::new("https://i", SigningKey::generate(Algorithm::EdDsa).unwrap());
        let mut written = json!({ "issuer": "https://i", "audience": "a" });
        for (name, value) in settings.as_object().unwrap() {
            written[name] = value.clone();
        }
        let settings: IssuerSettings = serde_json::from_value(written).unwrap();
        let raw = build(issuer.token("alice").audience("a"))
            .mint(NOW)
            .unwrap();
        let policy = settings.policy(issuer.key_set()).unwrap();
        let verified = Verifier::new([policy]).unwrap().verify(&raw, NOW).unwrap();
        Caller::of(verified, &settings)
    }

    #[test]
    fn the_owner_is_the_subject_or_the_claim_that_the_operator_names() {
        let by_subject = caller(json!({}), |token| token).unwrap();
        assert_eq!(by_subject.tenant().owner, Owner::of("https://i", "alice"));
        let settings = json!({ "owner_claim": "repository" });
        let by_claim = caller(settings.clone(), |it| it.claim("repository", "o/r")).unwrap();
        assert_eq!(by_claim.tenant().owner, Owner::of("https://i", "o/r"));
        assert_eq!(by_claim.tenant().principal, Owner::of("https://i", "alice"));
        for value in [json!(null), json!(5), json!(""), json!(["o/r"])] {
            let refused = caller(settings.clone(), |it| it.claim("repository", value.clone()));
            assert_eq!(refused.unwrap_err(), NoOwner, "{value}");
        }
    }

    #[test]
    fn roles_come_from_the_claim_and_from_the_operator() {
        let settings = json!({ "roles": ["runner"], "roles_claim": "realm_access.roles" });
        let caller = caller(settings, |token| {
            token
                .claim("realm_access", json!({ "roles": ["reader"] }))
                .claim("roles", json!(["operator"]))
        });
        assert_eq!(caller.unwrap().principal().roles, ["runner", "reader"]);
    }

    #[test]
    fn a_token_without_scopes_has_those_that_the_operator_gives_its_issuer() {
        let settings = json!({ "scopes": ["containers:run", "tenants:all"] });
        let caller = caller(settings, |token| token.scope("images:read")).unwrap();
        for scope in ["containers:run", "images:read", "tenants:all"] {
            assert!(caller.has_scope(scope), "{scope}");
            assert!(caller.principal().scopes.contains(&scope), "{scope}");
        }
        assert!(!caller.has_scope("containers") && caller.tenant().sees_all);
    }

    #[test]
    fn a_scope_is_a_whole_word() {
        let caller = caller(json!({}), |token| {
            token.scope("x:containers:read-ro tenants:all-of-mine")
        })
        .unwrap();
        assert!(!caller.has_scope("containers:read"));
        assert!(!caller.tenant().sees_all);
    }
}
