//! Introspection of opaque tokens (RFC 7662) with client credentials, and a bounded memory of the
//! answers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::client::{Client, FetchError, check};
use super::form;
use crate::claims::Claims;
use crate::introspect::{Introspect, IntrospectionFuture};
use crate::json::{Document, Limits};
use crate::policy::{IssuerPolicy, PolicyError};
use crate::rejection::{Part, Rejection};
use crate::sender::Sender;
use crate::verifier::Verified;
use aws_lc_rs::digest;

/// How long an answer is believed at most, in seconds: as long may a revoked token live on.
const DEFAULT_LIFETIME: u64 = 30;
/// How many answers are remembered.
const CAPACITY: usize = 10_000;

/// Why introspection cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntrospectionError {
    /// The endpoint is no URL to ask.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The policy would let through what it must not.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Asks one issuer's introspection endpoint.
///
/// The answer must be `active`, and name an audience of the policy; where it names an issuer, that
/// must be the policy's (RFC 7662 §2.2 and §4).
pub struct IntrospectionClient {
    client: Client,
    endpoint: String,
    authorization: String,
    policy: std::sync::Arc<IssuerPolicy>,
    lifetime: u64,
    answers: Mutex<HashMap<[u8; 32], (Verified, u64)>>,
}

impl IntrospectionClient {
    /// Asks at `endpoint` as the client `id` with `secret`. Of the policy issuer, audiences, leeway
    /// and wanted claims count; there is no signature, so its keys and algorithms do not.
    ///
    /// # Errors
    /// [`IntrospectionError`] where the endpoint is no https URL or the policy has no audience.
    pub fn new(
        client: Client,
        endpoint: &str,
        id: &str,
        secret: &str,
        policy: IssuerPolicy,
    ) -> Result<IntrospectionClient, IntrospectionError> {
        check(endpoint)?;
        policy.validate()?;
        Ok(IntrospectionClient {
            client,
            endpoint: endpoint.to_owned(),
            authorization: form::basic(id, secret),
            policy: std::sync::Arc::new(policy),
            lifetime: DEFAULT_LIFETIME,
            answers: Mutex::default(),
        })
    }

    /// Believes an answer for this many seconds, never beyond the token's `exp`; 30 by default.
    #[must_use]
    pub fn cache_for(mut self, seconds: u64) -> IntrospectionClient {
        self.lifetime = seconds;
        self
    }

    async fn ask(&self, token: &str, now: u64, sender: &Sender<'_>) -> Result<Verified, Rejection> {
        if let Some(known) = self.remembered(token, now, sender) {
            return known;
        }
        let form = format!("token={}&token_type_hint=access_token", form::encode(token));
        let answer = self
            .client
            .post_form(&self.endpoint, &self.authorization, form)
            .await;
        let answer = answer.map_err(|_| Rejection::StateUnavailable)?;
        let verified = self.judge(answer, now, sender)?;
        self.remember(key(token), &verified, now);
        Ok(verified)
    }

    fn judge(&self, answer: Vec<u8>, now: u64, sender: &Sender<'_>) -> Result<Verified, Rejection> {
        let document =
            Document::parse(answer, &Limits::CLAIMS).map_err(|error| Rejection::Json {
                part: Part::Claims,
                error,
            })?;
        if document
            .root()
            .get("active")
            .and_then(|active| active.as_bool())
            != Some(true)
        {
            return Err(Rejection::Inactive);
        }
        let claims = Claims::read(document)?;
        if claims
            .issuer()
            .is_some_and(|issuer| issuer != self.policy.issuer())
        {
            return Err(Rejection::IssuerUnknown);
        }
        Verified::from_introspection(claims, &self.policy, now, sender)
    }

    fn known(&self, key: &[u8; 32], now: u64) -> Option<Verified> {
        let mut answers = self.lock();
        match answers.get(key) {
            Some((verified, until)) if *until > now => Some(verified.clone()),
            Some(_) => {
                answers.remove(key);
                None
            }
            None => None,
        }
    }

    fn remember(&self, key: [u8; 32], verified: &Verified, now: u64) {
        // Without `exp` nobody knows how long it holds.
        if verified.claims().expires_at().is_none() || self.lifetime == 0 {
            return;
        }
        let until = (verified.expires_at() as u64).min(now.saturating_add(self.lifetime));
        let mut answers = self.lock();
        if answers.len() >= CAPACITY {
            answers.retain(|_, (_, until)| *until > now);
        }
        if answers.len() < CAPACITY {
            answers.insert(key, (verified.clone(), until));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], (Verified, u64)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Introspect for IntrospectionClient {
    fn introspect<'i>(
        &'i self,
        token: &'i str,
        now: u64,
        sender: Sender<'i>,
    ) -> IntrospectionFuture<'i> {
        Box::pin(async move { self.ask(token, now, &sender).await })
    }

    fn remembered(
        &self,
        token: &str,
        now: u64,
        sender: &Sender<'_>,
    ) -> Option<Result<Verified, Rejection>> {
        let known = self.known(&key(token), now)?;
        // Facts are remembered, not decisions (CVE-2021-32701).
        Some(known.recheck(now, sender).map(|()| known))
    }
}

fn key(token: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    key
}

/// Names the endpoint; the credentials stay out.
impl fmt::Debug for IntrospectionClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionClient")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
