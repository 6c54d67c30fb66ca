//! The issuer and its tokens.

use aws_lc_rs::rand;
use cofferdam_token::{JwkSet, base64url};
use serde_json::{Map, Value, json};

use crate::document;
use crate::key::{KeyError, SigningKey};

/// How long a token lives unless it is said otherwise, in seconds.
const DEFAULT_LIFETIME: u64 = 300;

/// An issuer: its name and its keys. The first key signs, all are published.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    keys: Vec<SigningKey>,
}

impl Issuer {
    /// An issuer of that name with one key.
    pub fn new(url: impl Into<String>, key: SigningKey) -> Issuer {
        Issuer {
            url: url.into(),
            keys: vec![key],
        }
    }

    /// Signs with `key` from now on; the former keys stay published, so that tokens which are still
    /// out are verified.
    pub fn rotate(&mut self, key: SigningKey) {
        self.keys.insert(0, key);
    }

    /// Publishes the signing key alone from now on.
    pub fn retire(&mut self) {
        self.keys.truncate(1);
    }

    /// The name, which stands in `iss`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key that signs.
    pub fn key(&self) -> &SigningKey {
        &self.keys[0]
    }

    /// The JWK set as it is published.
    pub fn jwks(&self) -> Value {
        let keys: Vec<Value> = self.keys.iter().map(SigningKey::public_jwk).collect();
        json!({ "keys": keys })
    }

    /// The published keys as a verifier reads them.
    pub fn key_set(&self) -> JwkSet {
        // The document is this crate's own; a test holds that it is read.
        JwkSet::parse(self.jwks().to_string().as_bytes()).unwrap_or_default()
    }

    /// The document at `/.well-known/openid-configuration` and
    /// `/.well-known/oauth-authorization-server`.
    pub fn metadata(&self) -> Value {
        let algorithms: Vec<_> = self.keys.iter().map(|key| key.algorithm().name()).collect();
        document::metadata(&self.url, &algorithms)
    }

    /// Begins a token by RFC 9068 for `subject`: client `dev`, a lifetime of five minutes.
    pub fn token(&self, subject: impl Into<String>) -> TokenBuilder<'_> {
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), json!(self.url));
        claims.insert("sub".to_owned(), json!(subject.into()));
        claims.insert("client_id".to_owned(), json!("dev"));
        let key = self.key();
        let mut header = Map::new();
        header.insert("alg".to_owned(), json!(key.algorithm().name()));
        header.insert("typ".to_owned(), json!("at+jwt"));
        header.insert("kid".to_owned(), json!(key.kid()));
        TokenBuilder {
            key,
            header,
            claims,
            lifetime: DEFAULT_LIFETIME,
        }
    }
}

/// A token that is being made.
#[derive(Clone, Debug)]
#[must_use = "a token that is not minted is none"]
pub struct TokenBuilder<'i> {
    key: &'i SigningKey,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    lifetime: u64,
}

impl TokenBuilder<'_> {
    /// Sets `aud`; called again, makes a list of it.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        let audience = json!(audience.into());
        let all = match self.claims.remove("aud") {
            None => audience,
            Some(Value::Array(mut list)) => {
                list.push(audience);
                Value::Array(list)
            }
            Some(first) => json!([first, audience]),
        };
        self.claims.insert("aud".to_owned(), all);
        self
    }

    /// Sets `client_id`.
    pub fn client(self, client: impl Into<String>) -> Self {
        self.claim("client_id", client.into())
    }

    /// Adds one scope, or several with spaces between.
    pub fn scope(mut self, scope: &str) -> Self {
        let all = match self.claims.get("scope").and_then(Value::as_str) {
            Some(before) => format!("{before} {scope}"),
            None => scope.to_owned(),
        };
        self.claims.insert("scope".to_owned(), json!(all));
        self
    }

    /// Sets any claim. `null` takes the claim out.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.claims, name, value.into());
        self
    }

    /// Sets any header member. `null` takes the member out.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.header, name, value.into());
        self
    }

    /// How long it lives, in seconds.
    pub fn lifetime(mut self, seconds: u64) -> Self {
        self.lifetime = seconds;
        self
    }

    /// Signs it as issued at `now`, in seconds since 1970-01-01T00:00:00Z. `iat`, `exp` and `jti`
    /// are filled in unless they were set.
    ///
    /// # Errors
    /// [`KeyError::Signing`] where the library refuses.
    pub fn mint(mut self, now: u64) -> Result<String, KeyError> {
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| KeyError::Signing)?;
        for (name, value) in [
            ("iat", json!(now)),
            ("exp", json!(now.saturating_add(self.lifetime))),
            ("jti", json!(base64url::encode(&id))),
        ] {
            self.claims.entry(name).or_insert(value);
        }
        self.claims.retain(|_, value| !value.is_null());
        let header = Value::Object(self.header).to_string();
        let claims = Value::Object(self.claims).to_string();
        self.key.sign_bytes(header.as_bytes(), claims.as_bytes())
    }
}

/// `null` stays in place until the token is minted, so that what would be filled in stays out too.
fn set(members: &mut Map<String, Value>, name: &str, value: Value) {
    members.insert(name.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_token::{Algorithm, IssuerPolicy, Rejection, Verifier};

    const NOW: u64 = 1_795_505_225;

    fn verifier(issuer: &Issuer) -> Verifier {
        let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("api");
        Verifier::new([policy]).unwrap()
    }

    #[test]
    fn its_tokens_are_access_tokens_by_rfc_9068() {
        for algorithm in Algorithm::ASYMMETRIC {
            let issuer = Issuer::new("https://idp", SigningKey::generate(algorithm).unwrap());
            let token = issuer
                .token("alice")
                .audience("other")
                .audience("api")
                .scope("a")
                .scope("b c");
            let verified = verifier(&issuer)
                .verify(&token.mint(NOW).unwrap(), NOW)
                .unwrap();
            assert_eq!(verified.subject(), Some("alice"));
            assert_eq!(
                verified.scopes().iter().collect::<Vec<_>>(),
                ["a", "b", "c"]
            );
        }
    }

    #[test]
    fn a_claim_set_to_null_is_left_out() {
        let issuer = Issuer::new(
            "https://idp",
            SigningKey::generate(Algorithm::EdDsa).unwrap(),
        );
        let token = issuer
            .token("alice")
            .audience("api")
            .claim("jti", Value::Null);
        assert_eq!(
            verifier(&issuer)
                .verify(&token.mint(NOW).unwrap(), NOW)
                .unwrap_err(),
            Rejection::ClaimMissing("jti")
        );
    }

    #[test]
    fn a_retired_key_verifies_nothing_any_more() {
        let key = || SigningKey::generate(Algorithm::Es256).unwrap();
        let mut issuer = Issuer::new("https://idp", key());
        let old = issuer.token("alice").audience("api").mint(NOW).unwrap();
        issuer.rotate(key());
        assert!(verifier(&issuer).verify(&old, NOW).is_ok());
        issuer.retire();
        assert_eq!(
            verifier(&issuer).verify(&old, NOW).unwrap_err(),
            Rejection::KeyUnknown
        );
    }
}
