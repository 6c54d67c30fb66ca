//! The verifier: one token in, a verified one or a reason out.

use std::fmt;
use std::sync::Arc;

use crate::authorization::{AuthorizationError, Field};
use crate::cache::{Cache, Key};
use crate::claims::Claims;
use crate::jws::{self, Compact, EmbeddedKey, Header};
use crate::policy::{IssuerPolicy, PolicyError};
use crate::rejection::Rejection;
use crate::scope::Scopes;
use crate::sender::{self, Binding, Sender};

/// The longest token that is read by default, in bytes.
pub const DEFAULT_MAX_LENGTH: usize = 16 << 10;

/// Verifies access tokens of the configured issuers.
///
/// What is cheap is judged first: size, grammar, header, claims, time; the signature comes last, so
/// a bad token costs less than a good one. Nothing of a token is believed before all of it holds.
#[derive(Debug)]
pub struct Verifier {
    issuers: Vec<Arc<IssuerPolicy>>,
    max_length: usize,
    cache: Option<Cache>,
}

impl Verifier {
    /// A verifier for these issuers.
    ///
    /// # Errors
    /// [`PolicyError`] where a policy would let through what it must not: no audience, for one.
    pub fn new(policies: impl IntoIterator<Item = IssuerPolicy>) -> Result<Verifier, PolicyError> {
        let mut issuers: Vec<Arc<IssuerPolicy>> = Vec::new();
        for policy in policies {
            let policy = policy.validate()?;
            if issuers
                .iter()
                .any(|other| other.issuer() == policy.issuer())
            {
                return Err(PolicyError::DuplicateIssuer(policy.issuer().to_owned()));
            }
            issuers.push(policy);
        }
        match issuers.is_empty() {
            true => Err(PolicyError::NoIssuer),
            false => Ok(Verifier {
                issuers,
                max_length: DEFAULT_MAX_LENGTH,
                cache: None,
            }),
        }
    }

    /// Reads tokens up to this many bytes; at most 64 KiB.
    #[must_use]
    pub fn max_length(mut self, bytes: usize) -> Verifier {
        self.max_length = bytes.min(64 << 10);
        self
    }

    /// The longest token that is read, in bytes.
    pub fn longest(&self) -> usize {
        self.max_length
    }

    /// Keeps up to this many verified tokens, of about 1.5 KiB each, so that the signature is not
    /// computed again while the issuer's keys stay the same. For about four times as many more a
    /// digest is kept, which spares the signature too, and nothing else. Time and binding are judged on every
    /// use all the same. What comes once makes room before what has come again.
    #[must_use]
    pub fn cache(mut self, tokens: usize) -> Verifier {
        self.cache = (tokens > 0).then(|| Cache::new(tokens)).flatten();
        self
    }

    /// How many verified tokens are kept at the moment.
    pub fn cached(&self) -> usize {
        self.cache.as_ref().map_or(0, Cache::len)
    }

    /// How often a token was found among those kept, and how often not, since the verifier was
    /// made. Both are 0 without [`Verifier::cache`].
    pub fn cache_counts(&self) -> (u64, u64) {
        self.cache.as_ref().map_or((0, 0), Cache::counts)
    }

    /// The configured issuers.
    pub fn issuers(&self) -> impl Iterator<Item = &IssuerPolicy> {
        self.issuers.iter().map(Arc::as_ref)
    }

    /// Verifies a token that came alone, under the scheme `Bearer`. `now` is in seconds since
    /// 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// The first rule that the token breaks. A token that is bound to its sender is refused
    /// (RFC 9449 §7.2): for those see [`Verifier::verify_from`].
    pub fn verify(&self, token: &str, now: u64) -> Result<Verified, Rejection> {
        self.verify_from(token, now, &Sender::bearer())
    }

    /// Verifies a token together with what the request proves about its sender.
    ///
    /// # Errors
    /// The first rule that the token breaks.
    pub fn verify_from(
        &self,
        token: &str,
        now: u64,
        sender: &Sender<'_>,
    ) -> Result<Verified, Rejection> {
        if token.len() > self.max_length {
            return Err(Rejection::TooLong);
        }
        let remembered = match self.recall(token.as_bytes(), now, sender) {
            Recalled::Known(judged) => return judged,
            Recalled::Unknown(remembered) => remembered,
        };
        self.verify_unknown(token, remembered, now, sender)
    }

    /// Verifies the token of a field as [`Verifier::verify_from`] does. What is remembered was read
    /// before, byte for byte, so it is not read again.
    ///
    /// # Errors
    /// What is wrong with the field, or else the first rule that the token breaks.
    pub fn verify_field(
        &self,
        field: Field<'_>,
        now: u64,
        sender: &Sender<'_>,
    ) -> Result<Result<Verified, Rejection>, AuthorizationError> {
        let remembered = match self.recall(field.token, now, sender) {
            Recalled::Known(judged) => return Ok(judged),
            Recalled::Unknown(remembered) => remembered,
        };
        let token = field.read()?.token;
        Ok(self.verify_unknown(token, remembered, now, sender))
    }

    /// Looks for a token among those that are remembered.
    fn recall(&self, token: &[u8], now: u64, sender: &Sender<'_>) -> Recalled<'_> {
        let Some(cache) = &self.cache else {
            return Recalled::Unknown(None);
        };
        // Nothing longer has been kept.
        let key = (token.len() <= self.max_length).then(|| cache.key(token));
        let Some(key) = key.flatten() else {
            return Recalled::Unknown(None);
        };
        match cache
            .get(&key)
            .map(|known| (known.judge_again(now, sender), known))
        {
            Some((Again::Holds, known)) => return Recalled::Known(Ok(known)),
            Some((Again::Fails(rejection), _)) => return Recalled::Known(Err(rejection)),
            Some((Again::Over, _)) => cache.remove(&key),
            None => {}
        }
        Recalled::Unknown(Some((cache, key)))
    }

    /// Verifies a token, and keeps it where it is to be kept.
    fn verify_unknown(
        &self,
        token: &str,
        keep: Option<(&Cache, Key)>,
        now: u64,
        sender: &Sender<'_>,
    ) -> Result<Verified, Rejection> {
        let Some((cache, key)) = keep else {
            return self.verify_afresh(token, Key::default(), now, sender, |_| false);
        };
        let signed = |generation| cache.is_signed(&key, generation);
        let verified = self.verify_afresh(token, key, now, sender, signed)?;
        cache.insert(verified.clone());
        Ok(verified)
    }

    /// The whole way, but for the signature where it is known to be right with the keys of a
    /// generation.
    fn verify_afresh(
        &self,
        token: &str,
        key: Key,
        now: u64,
        sender: &Sender<'_>,
        signed: impl FnOnce(u64) -> bool,
    ) -> Result<Verified, Rejection> {
        let compact = Compact::split(token, self.max_length)?;
        let header_document = compact.header_document()?;
        let header = Header::read(&header_document, EmbeddedKey::Forbidden)?;
        let claims = Claims::read(compact.claims_document()?)?;
        let policy = self.policy_for(&claims)?;
        policy.check(&header, &claims, now)?;
        let binding = sender::check(&claims, sender)?;
        let current = policy.keys().current();
        let keys = current.keys.ok_or(Rejection::KeysUnavailable)?;
        let public = jws::find(&keys, &header)?;
        if !signed(current.generation) {
            compact.verify(public, header.algorithm)?;
        }
        Ok(Verified(Arc::new(Inner {
            key,
            generation: current.generation,
            policy: Arc::clone(policy),
            claims,
            binding,
        })))
    }

    /// The issuer by whose policy the token is judged: the configured one that it names, or that of
    /// its trust domain, where a JWT-SVID names none. `None` where there is none. Nothing of the
    /// token is believed: this says whom to ask for fresh keys ([`crate::refresh::Refresh`]).
    pub fn issuer_of(&self, token: &str) -> Option<&str> {
        let compact = Compact::split(token, self.max_length).ok()?;
        let claims = Claims::read(compact.claims_document().ok()?).ok()?;
        self.policy_for(&claims).ok().map(|policy| policy.issuer())
    }

    fn policy_for(&self, claims: &Claims) -> Result<&Arc<IssuerPolicy>, Rejection> {
        match claims.issuer() {
            Some(issuer) => {
                let mut issuers = self.issuers.iter();
                issuers
                    .find(|policy| policy.issuer() == issuer)
                    .ok_or(Rejection::IssuerUnknown)
            }
            None => {
                let mut issuers = self.issuers.iter();
                issuers
                    .find(|policy| policy.is_of_trust_domain(claims))
                    .ok_or(Rejection::ClaimMissing("iss"))
            }
        }
    }
}

/// A token of which everything holds that the policy of its issuer asks for. Cheap to clone.
///
/// There is no way to make one but [`Verifier`] and [`crate::introspect::AnswerPolicy`].
#[derive(Clone)]
pub struct Verified(Arc<Inner>);

/// What is known of a token.
enum Recalled<'v> {
    Known(Result<Verified, Rejection>),
    /// Where it is to be kept, and under which key.
    Unknown(Option<(&'v Cache, Key)>),
}

/// What a known token is worth now.
enum Again {
    Holds,
    Fails(Rejection),
    /// It is to be forgotten and verified afresh.
    Over,
}

/// What a look-up in the cache reads comes first.
#[repr(C)]
struct Inner {
    /// Of the whole token; zeros where nothing is kept.
    key: Key,
    /// Of the keys that verified it.
    generation: u64,
    policy: Arc<IssuerPolicy>,
    claims: Claims,
    binding: Binding,
}

impl Verified {
    /// What can change between two uses of one token: the keys, the time, who presents it.
    fn judge_again(&self, now: u64, sender: &Sender<'_>) -> Again {
        let policy = &self.0.policy;
        if policy.keys().generation() != self.0.generation {
            return Again::Over;
        }
        match policy.check_time(&self.0.claims, now) {
            Ok(()) => {}
            Err(Rejection::Expired) => return Again::Over,
            Err(rejection) => return Again::Fails(rejection),
        }
        match sender::check(&self.0.claims, sender) {
            Ok(_) => Again::Holds,
            Err(rejection) => Again::Fails(rejection),
        }
    }

    /// A token of which its issuer said that it is active.
    pub(crate) fn from_introspection(
        claims: Claims,
        policy: &Arc<IssuerPolicy>,
        now: u64,
        sender: &Sender<'_>,
    ) -> Result<Verified, Rejection> {
        policy.check_introspected(&claims, now)?;
        let binding = sender::check(&claims, sender)?;
        Ok(Verified(Arc::new(Inner {
            key: Key::default(),
            generation: 0,
            policy: Arc::clone(policy),
            claims,
            binding,
        })))
    }

    /// Under which it is kept.
    pub(crate) fn key(&self) -> &Key {
        &self.0.key
    }

    /// Of the keys that verified it.
    pub(crate) fn generation(&self) -> u64 {
        self.0.generation
    }

    /// All claims.
    pub fn claims(&self) -> &Claims {
        &self.0.claims
    }

    /// `iss`, which is one of the configured issuers.
    pub fn issuer(&self) -> &str {
        self.0.policy.issuer()
    }

    /// `sub`. Unique only together with [`Verified::issuer`]; with a token that a client got for
    /// itself it names the client, and is no user (RFC 9068 §5).
    pub fn subject(&self) -> Option<&str> {
        self.claims().subject()
    }

    /// The client that got the token.
    pub fn client_id(&self) -> Option<&str> {
        self.claims().client_id()
    }

    /// The scopes, compared whole.
    pub fn scopes(&self) -> Scopes<'_> {
        self.claims().scopes()
    }

    /// `exp` in seconds since 1970-01-01T00:00:00Z.
    pub fn expires_at(&self) -> f64 {
        self.claims().expires_at().unwrap_or(0.0)
    }

    /// From when on it is not accepted any more, in the same seconds: [`Verified::expires_at`] and
    /// the leeway of its policy.
    pub fn accepted_until(&self) -> f64 {
        self.expires_at() + self.leeway_seconds()
    }

    /// How far its issuer's clock may be from this one, in seconds.
    pub(crate) fn leeway_seconds(&self) -> f64 {
        self.0.policy.leeway_seconds()
    }

    /// How the token is bound to its sender, which has been checked.
    pub fn binding(&self) -> Binding {
        self.0.binding
    }
}

/// Names issuer and client; the subject and the claims are personal data and stay out of logs.
impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("issuer", &self.issuer())
            .field("client_id", &self.client_id())
            .finish_non_exhaustive()
    }
}
