//! Token exchange (RFC 8693): from the token that a caller sent to a service, one for another
//! audience, so that the service and what stands behind it do not share one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest;

use super::client::{Client, FetchError, check};
use super::form;
use crate::json::{Document, Limits};

/// How many tokens are remembered.
const CAPACITY: usize = 10_000;
/// Seconds before its end in which a remembered token is not used any more.
const MARGIN: u64 = 10;

/// Exchanges tokens at one token endpoint, as one client, for one audience.
///
/// A token that was issued is remembered until shortly before its end, keyed by a digest of what it
/// was issued for; one whose lifetime is not told is not remembered.
pub struct TokenExchange {
    client: Client,
    endpoint: String,
    authorization: String,
    audience: String,
    scope: Option<String>,
    issued: Mutex<HashMap<[u8; 32], (Issued, u64)>>,
}

/// A token that was issued. Neither `Debug` nor an error shows it.
#[derive(Clone)]
pub struct Issued(String);

impl TokenExchange {
    /// Exchanges at `endpoint` as the client `id` with `secret`, for tokens that are meant for
    /// `audience`.
    ///
    /// # Errors
    /// [`FetchError::Url`] where the endpoint is no https URL, nor an http one of this machine.
    pub fn new(
        client: Client,
        endpoint: &str,
        id: &str,
        secret: &str,
        audience: &str,
    ) -> Result<TokenExchange, FetchError> {
        check(endpoint)?;
        Ok(TokenExchange {
            client,
            endpoint: endpoint.to_owned(),
            authorization: form::basic(id, secret),
            audience: audience.to_owned(),
            scope: None,
            issued: Mutex::default(),
        })
    }

    /// Asks for these scopes and no more, whatever the caller's token has. Without it the issuer
    /// decides.
    #[must_use]
    pub fn scope(mut self, scope: &str) -> TokenExchange {
        self.scope = Some(scope.to_owned());
        self
    }

    /// The token for the audience in exchange for `subject`, the caller's; `now` in seconds since
    /// 1970.
    ///
    /// # Errors
    /// [`FetchError`]: the endpoint does not answer, refuses (a status other than 200), or answers
    /// what is no bearer token.
    pub async fn exchange(&self, subject: &str, now: u64) -> Result<Issued, FetchError> {
        let key = key(subject);
        if let Some(known) = self.remembered(&key, now) {
            return Ok(known);
        }
        const TYPE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
        let mut form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
             &subject_token_type={TYPE}&requested_token_type={TYPE}&audience={}&subject_token={}",
            form::encode(&self.audience),
            form::encode(subject),
        );
        if let Some(scope) = &self.scope {
            form.push_str("&scope=");
            form.push_str(&form::encode(scope));
        }
        let answer = self
            .client
            .post_form(&self.endpoint, &self.authorization, form)
            .await?;
        let (issued, lifetime) = self.read(answer)?;
        if let Some(lifetime) = lifetime {
            self.remember(key, &issued, now.saturating_add(lifetime), now);
        }
        Ok(issued)
    }

    /// RFC 8693 §2.2.1: an access token, of the type `Bearer`.
    fn read(&self, answer: Vec<u8>) -> Result<(Issued, Option<u64>), FetchError> {
        let unusable = |why: &str| FetchError::Content(self.endpoint.clone(), why.to_owned());
        let document = Document::parse(answer, &Limits::CLAIMS)
            .map_err(|error| unusable(&error.to_string()))?;
        let root = document.root();
        let text = |name: &str| root.get(name).and_then(|value| value.as_str());
        if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(unusable("its `token_type` is not `Bearer`"));
        }
        let token = text("access_token").ok_or_else(|| unusable("it has no `access_token`"))?;
        let lifetime = root.get("expires_in").and_then(|value| value.as_u64());
        Ok((Issued(token.to_owned()), lifetime))
    }

    fn remembered(&self, key: &[u8; 32], now: u64) -> Option<Issued> {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        match issued.get(key) {
            Some((token, until)) if *until > now.saturating_add(MARGIN) => Some(token.clone()),
            Some(_) => {
                issued.remove(key);
                None
            }
            None => None,
        }
    }

    fn remember(&self, key: [u8; 32], token: &Issued, until: u64, now: u64) {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if issued.len() >= CAPACITY {
            issued.retain(|_, (_, until)| *until > now);
        }
        if issued.len() < CAPACITY {
            issued.insert(key, (token.clone(), until));
        }
    }
}

impl Issued {
    /// The token, for an `Authorization` header alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued(…)")
    }
}

/// Names the endpoint and the audience; the credentials stay out.
impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange")
            .field("endpoint", &self.endpoint)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

fn key(subject: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest::digest(&digest::SHA256, subject.as_bytes()).as_ref());
    key
}
