//! What weakens. Nothing outside this module does, and no feature of the crate does either.

use std::sync::Arc;

use crate::key::{Jwk, JwkSet, JwkSetError, KeyError};
use crate::state::{Answer, Key, State};
use crate::{Algorithm, IssuerPolicy};

/// A JWK set that may hold symmetric keys. Mixed sets are refused.
///
/// Whoever can verify an HMAC can also mint: every service that holds the key is an issuer.
///
/// # Errors
/// As [`JwkSet::parse`].
pub fn jwk_set_with_secrets(json: &[u8]) -> Result<JwkSet, JwkSetError> {
    JwkSet::read(json, true)
}

/// An HMAC key of at least the hash's length (RFC 7518 §3.2): 32, 48 or 64 bytes for HS256, HS384
/// and HS512. A password is no key.
///
/// # Errors
/// [`KeyError::SecretTooShort`], or [`KeyError::Algorithm`] for an algorithm that is no HMAC.
pub fn secret(bytes: &[u8], algorithm: Algorithm) -> Result<Jwk, KeyError> {
    Jwk::from_secret(bytes, Some(algorithm))
}

/// Lets the policy allow HMAC algorithms.
#[must_use]
pub fn allow_hmac(mut policy: IssuerPolicy) -> IssuerPolicy {
    policy.hmac = true;
    policy
}

/// A policy for tokens that are signed with one HMAC key and this algorithm, and with no other.
/// It still wants an audience.
///
/// # Errors
/// As [`secret`].
pub fn hmac_policy(
    issuer: impl Into<String>,
    bytes: &[u8],
    algorithm: Algorithm,
) -> Result<IssuerPolicy, KeyError> {
    let policy = IssuerPolicy::new(issuer, secret(bytes, algorithm)?).algorithms([algorithm]);
    Ok(allow_hmac(policy))
}

/// A store that answers as if nothing were in it while the one behind it does not answer: used
/// proofs pass again, revoked tokens are accepted, issuers are asked about every opaque token. For
/// who would rather be open than down.
pub fn fail_open(store: Arc<dyn State>) -> Arc<dyn State> {
    Arc::new(FailOpen(store))
}

#[derive(Debug)]
struct FailOpen(Arc<dyn State>);

impl State for FailOpen {
    fn insert(&self, key: Key, until: u64, now: u64) -> Answer<'_, bool> {
        let answer = self.0.insert(key, until, now);
        Answer::Pending(Box::pin(async { Ok(answer.get().await.unwrap_or(true)) }))
    }

    fn contains(&self, key: &Key, now: u64) -> Answer<'_, bool> {
        let answer = self.0.contains(key, now);
        Answer::Pending(Box::pin(async { Ok(answer.get().await.unwrap_or(false)) }))
    }

    fn put(&self, key: Key, value: Vec<u8>, until: u64, now: u64) -> Answer<'_, ()> {
        let answer = self.0.put(key, value, until, now);
        Answer::Pending(Box::pin(async {
            let _ = answer.get().await;
            Ok(())
        }))
    }

    fn load(&self, key: &Key, now: u64) -> Answer<'_, Option<Vec<u8>>> {
        let answer = self.0.load(key, now);
        Answer::Pending(Box::pin(async {
            Ok(answer.get().await.unwrap_or_default())
        }))
    }
}
