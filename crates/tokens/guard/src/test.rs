//! Tokens for tests: an issuer with a fresh key, and the verifier that trusts it.

use std::time::{SystemTime, UNIX_EPOCH};

use cofferdam_issuer::{Issuer, SigningKey, TokenBuilder};
use cofferdam_token::{Algorithm, IssuerPolicy, Verifier};

use crate::guard::Guard;

/// An issuer for one test.
#[derive(Debug)]
pub struct TestIssuer {
    issuer: Issuer,
    audience: String,
}

impl TestIssuer {
    /// An issuer `https://issuer.test` with a new Ed25519 key, whose tokens are for `audience`.
    ///
    /// # Panics
    /// Where the system has no randomness to give.
    #[expect(
        clippy::expect_used,
        reason = "a test that cannot make a key cannot go on"
    )]
    pub fn new(audience: &str) -> TestIssuer {
        let key = SigningKey::generate(Algorithm::EdDsa).expect("a new key");
        TestIssuer {
            issuer: Issuer::new("https://issuer.test", key),
            audience: audience.to_owned(),
        }
    }

    /// The policy that accepts its tokens.
    pub fn policy(&self) -> IssuerPolicy {
        IssuerPolicy::new(self.issuer.url(), self.issuer.key_set()).audience(&*self.audience)
    }

    /// A guard that accepts its tokens and no other.
    ///
    /// # Panics
    /// Where the audience is empty.
    #[expect(
        clippy::expect_used,
        reason = "a test with an empty audience tests nothing"
    )]
    pub fn guard(&self) -> Guard {
        Guard::new(Verifier::new([self.policy()]).expect("a policy with an audience"))
    }

    /// Begins a token for `subject`, for the audience of this issuer.
    pub fn token(&self, subject: &str) -> TokenBuilder<'_> {
        self.issuer.token(subject).audience(&*self.audience)
    }

    /// The value of `Authorization` for a token of now with these scopes.
    ///
    /// # Panics
    /// Where the token cannot be signed.
    #[expect(clippy::expect_used, reason = "a test that cannot sign cannot go on")]
    pub fn bearer(&self, subject: &str, scopes: &str) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let token = self
            .token(subject)
            .scope(scopes)
            .mint(now)
            .expect("a signature");
        format!("Bearer {token}")
    }
}
