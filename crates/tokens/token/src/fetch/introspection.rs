//! Introspection of opaque tokens (RFC 7662) with client credentials, and a bounded memory of the
//! answers.

use std::fmt;
use std::sync::Arc;

use super::answers::Answers;
use super::client::{Client, FetchError, check};
use super::form;
use crate::introspect::{AnswerPolicy, Introspect, IntrospectionFuture, RememberedFuture};
use crate::policy::{IssuerPolicy, PolicyError};
use crate::rejection::Rejection;
use crate::sender::Sender;
use crate::state::State;
use crate::verifier::Verified;

/// How long an answer is believed at most, in seconds: as long may a revoked token live on.
const DEFAULT_LIFETIME: u64 = 30;

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
    /// The cryptographic library makes no keys, which does not happen with the one this crate is
    /// built with.
    #[error("no keys can be made for the answers that are remembered")]
    Keys,
}

/// Asks one issuer's introspection endpoint.
///
/// The answer must be `active`, and name an audience of the policy; where it names an issuer, that
/// must be the policy's (RFC 7662 §2.2 and §4).
pub struct IntrospectionClient {
    client: Client,
    endpoint: String,
    authorization: String,
    policy: AnswerPolicy,
    lifetime: u64,
    answers: Answers,
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
        Ok(IntrospectionClient {
            client,
            endpoint: endpoint.to_owned(),
            authorization: form::basic(id, secret),
            policy: AnswerPolicy::new(policy)?,
            lifetime: DEFAULT_LIFETIME,
            answers: Answers::new(endpoint, id, secret).map_err(|_| IntrospectionError::Keys)?,
        })
    }

    /// Believes an answer for this many seconds, never beyond the token's `exp`; 30 by default. With
    /// 0 nothing is remembered.
    #[must_use]
    pub fn cache_for(mut self, seconds: u64) -> IntrospectionClient {
        self.lifetime = seconds;
        self
    }

    /// Remembers the answers in `store`, for all processes that ask as this client at this endpoint;
    /// by default 10,000 are remembered in this process. What stands in the store is sealed under
    /// keys from the client's secret: whoever reads it learns no token and no claim, whoever writes
    /// to it makes no token good. A secret that can be guessed can be tried out against it.
    ///
    /// When the store does not answer, tokens are refused with 503, so that an issuer is not asked
    /// about every request of every process at once. A store from [`crate::danger::fail_open`] has
    /// it asked.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn State>) -> IntrospectionClient {
        self.answers.store = store;
        self
    }

    async fn ask(&self, token: &str, now: u64, sender: &Sender<'_>) -> Result<Verified, Rejection> {
        let form = format!("token={}&token_type_hint=access_token", form::encode(token));
        let answer = self
            .client
            .post_form(&self.endpoint, &self.authorization, form)
            .await
            .map_err(|_| Rejection::StateUnavailable)?;
        let verified = self.policy.judge(&answer, now, sender)?;
        // Without `exp` nobody knows how long it holds.
        if let Some(expires) = verified.claims().expires_at()
            && self.lifetime > 0
        {
            let until = (expires as u64).min(now.saturating_add(self.lifetime));
            self.answers.keep(token, &answer, until, now).await;
        }
        Ok(verified)
    }

    async fn recall(
        &self,
        token: &str,
        now: u64,
        sender: &Sender<'_>,
    ) -> Option<Result<Verified, Rejection>> {
        if self.lifetime == 0 {
            return None;
        }
        match self.answers.load(token, now).await {
            // Facts are remembered, not decisions (CVE-2021-32701).
            Ok(answer) => Some(self.policy.judge(&answer?, now, sender)),
            Err(_) => Some(Err(Rejection::StateUnavailable)),
        }
    }
}

impl Introspect for IntrospectionClient {
    fn introspect<'i>(
        &'i self,
        token: &'i str,
        now: u64,
        sender: Sender<'i>,
    ) -> IntrospectionFuture<'i> {
        Box::pin(async move {
            match self.recall(token, now, &sender).await {
                Some(known) => known,
                None => self.ask(token, now, &sender).await,
            }
        })
    }

    fn remembered<'i>(
        &'i self,
        token: &'i str,
        now: u64,
        sender: Sender<'i>,
    ) -> RememberedFuture<'i> {
        Box::pin(async move { self.recall(token, now, &sender).await })
    }
}

/// Names the endpoint; the credentials stay out.
impl fmt::Debug for IntrospectionClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionClient")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
