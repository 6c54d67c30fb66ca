//! Opaque tokens: asking their issuer (RFC 7662).
//!
//! With the feature `fetch` there is a client for an introspection endpoint. Whoever knows the tokens
//! by another way, such as a table of sessions, implements [`Introspect`]:
//!
//! ```
//! use std::collections::HashMap;
//! use std::future::ready;
//!
//! use cofferdam_token::introspect::{AnswerPolicy, Introspect, IntrospectionFuture};
//! use cofferdam_token::{IssuerPolicy, JwkSet, Rejection, Sender};
//!
//! #[derive(Debug)]
//! struct Sessions {
//!     policy: AnswerPolicy,
//!     /// What is known of each token, as RFC 7662 §2.2 would say it.
//!     answers: HashMap<String, String>,
//! }
//!
//! impl Introspect for Sessions {
//!     fn introspect<'i>(
//!         &'i self,
//!         token: &'i str,
//!         now: u64,
//!         sender: Sender<'i>,
//!     ) -> IntrospectionFuture<'i> {
//!         let verdict = match self.answers.get(token) {
//!             Some(answer) => self.policy.judge(answer.as_bytes(), now, &sender),
//!             None => Err(Rejection::Inactive),
//!         };
//!         Box::pin(ready(verdict))
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = IssuerPolicy::new("https://sessions.example", JwkSet::default());
//! let sessions = Sessions {
//!     policy: AnswerPolicy::new(policy.audience("https://containers.example"))?,
//!     answers: HashMap::from([(
//!         "s1".to_owned(),
//!         r#"{"active":true,"sub":"alice","aud":"https://containers.example","exp":1795505300}"#
//!             .to_owned(),
//!     )]),
//! };
//! # let wait = |future: IntrospectionFuture<'_>| {
//! #     use std::{pin::pin, task::{Context, Poll, Waker}};
//! #     match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
//! #         Poll::Ready(verdict) => verdict,
//! #         Poll::Pending => unreachable!("it is ready"),
//! #     }
//! # };
//! let verified = wait(sessions.introspect("s1", 1_795_505_225, Sender::bearer()))?;
//! assert_eq!(verified.subject(), Some("alice"));
//! let late = wait(sessions.introspect("s1", 1_795_505_400, Sender::bearer()));
//! assert_eq!(late.unwrap_err(), Rejection::Expired);
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use crate::claims::Claims;
use crate::json::{Document, Limits};
use crate::policy::{IssuerPolicy, PolicyError};
use crate::rejection::{Part, Rejection};
use crate::sender::Sender;
use crate::verifier::Verified;

/// The answer, when it comes.
pub type IntrospectionFuture<'i> =
    Pin<Box<dyn Future<Output = Result<Verified, Rejection>> + Send + 'i>>;

/// What is remembered, when it comes: `None` where nothing is.
pub type RememberedFuture<'i> =
    Pin<Box<dyn Future<Output = Option<Result<Verified, Rejection>>> + Send + 'i>>;

/// Asks an issuer what a token is worth that says nothing by itself.
pub trait Introspect: Send + Sync + fmt::Debug {
    /// What the token is worth at `now`, in seconds since 1970-01-01T00:00:00Z, from memory or by
    /// asking. The answer is judged by [`AnswerPolicy::judge`], which alone makes a [`Verified`] of
    /// it.
    fn introspect<'i>(
        &'i self,
        token: &'i str,
        now: u64,
        sender: Sender<'i>,
    ) -> IntrospectionFuture<'i>;

    /// The same from memory, without asking the issuer; `None` where that needs a question. Who has
    /// a good token is served by this while others behind the same address guess.
    fn remembered<'i>(
        &'i self,
        _token: &'i str,
        _now: u64,
        _sender: Sender<'i>,
    ) -> RememberedFuture<'i> {
        Box::pin(ready(None))
    }
}

/// What an answer of introspection must be. Of the policy it is made from issuer, audiences, leeway
/// and wanted claims count; there is no signature, so its keys and algorithms do not.
#[derive(Clone, Debug)]
pub struct AnswerPolicy(Arc<IssuerPolicy>);

impl AnswerPolicy {
    /// From a policy that may be none of a verifier's.
    ///
    /// # Errors
    /// [`PolicyError`] where it would let through what it must not: no audience, for one.
    pub fn new(policy: IssuerPolicy) -> Result<AnswerPolicy, PolicyError> {
        Ok(AnswerPolicy(policy.validate()?))
    }

    /// Judges an answer, the JSON object of RFC 7662 §2.2: it is `active` and names an audience of
    /// the policy; where it names an issuer, that is the policy's; where it says what kind of token
    /// it is about, that is an access token; time and binding hold.
    ///
    /// # Errors
    /// The first rule that it breaks. At most 64 KiB are read.
    pub fn judge(
        &self,
        answer: &[u8],
        now: u64,
        sender: &Sender<'_>,
    ) -> Result<Verified, Rejection> {
        let part = Part::Claims;
        if answer.len() > Limits::CLAIMS.max_bytes {
            return Err(Rejection::TooLong);
        }
        let document = Document::parse(answer.to_vec(), &Limits::CLAIMS)
            .map_err(|error| Rejection::Json { part, error })?;
        let active = document.root().get("active");
        if active.and_then(|active| active.as_bool()) != Some(true) {
            return Err(Rejection::Inactive);
        }
        let claims = Claims::read(document)?;
        check_kind(&claims)?;
        if claims
            .issuer()
            .is_some_and(|issuer| issuer != self.0.issuer())
        {
            return Err(Rejection::IssuerUnknown);
        }
        Verified::from_introspection(claims, &self.0, now, sender)
    }
}

/// An issuer may be asked about any token of its own (RFC 7662 §2.1), so it answers `active` for
/// refresh and ID tokens too. What they are many say in one of three members: `token_type` has a type
/// of RFC 6749 §5.1, which only access tokens have; `token_use` is Cognito's and Ory's, `typ`
/// Keycloak's. One that is `null` says nothing.
fn check_kind(claims: &Claims) -> Result<(), Rejection> {
    let one_of = |name: &'static str, values: &[&str]| {
        let said = claims.get(name).filter(|value| !value.is_null());
        said.map(|value| {
            let text = value.as_str().unwrap_or_default();
            values.iter().any(|value| value.eq_ignore_ascii_case(text))
        })
    };
    if one_of("token_use", &["access", "access_token"]) == Some(false) {
        return Err(Rejection::ClaimMismatch("token_use"));
    }
    if one_of("token_type", &["Bearer", "DPoP"]) == Some(false) {
        return Err(Rejection::ClaimMismatch("token_type"));
    }
    match one_of("typ", &["ID", "Refresh", "Offline", "Logout"]) {
        Some(true) => Err(Rejection::ClaimMismatch("typ")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::JwkSet;

    #[test]
    fn an_active_token_of_another_kind_is_no_access_token() {
        let policy = IssuerPolicy::new("https://idp.example", JwkSet::default()).audience("api");
        let policy = AnswerPolicy::new(policy).unwrap();
        let judge = |name: &str, value: Value| {
            let mut answer = json!({ "active": true, "aud": "api", "sub": "alice" });
            answer[name] = value;
            let answer = answer.to_string();
            policy.judge(answer.as_bytes(), 1000, &Sender::bearer())
        };
        for (name, value) in [
            ("token_type", json!("Bearer")),
            ("token_type", json!("bearer")),
            ("token_type", json!("DPoP")),
            ("token_type", json!(null)),
            ("token_use", json!("access")),
            ("token_use", json!("access_token")),
            ("token_use", json!(null)),
            ("typ", json!("Bearer")),
            ("typ", json!("at+jwt")),
        ] {
            assert!(judge(name, value.clone()).is_ok(), "{name} {value}");
        }
        for (name, value) in [
            ("token_type", json!("refresh_token")),
            ("token_type", json!("N_A")),
            ("token_type", json!(1)),
            ("token_type", json!("")),
            ("token_use", json!("refresh_token")),
            ("token_use", json!("id")),
            ("typ", json!("ID")),
            ("typ", json!("Refresh")),
            ("typ", json!("offline")),
            ("typ", json!("Logout")),
        ] {
            let refused = judge(name, value.clone()).unwrap_err();
            assert_eq!(refused.id(), "claim-mismatch", "{name} {value}");
        }
    }
}
