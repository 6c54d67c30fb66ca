//! What one issuer's tokens must be to pass here.

use std::sync::Arc;
use std::time::Duration;

use crate::claims::Claims;
use crate::jws::Header;
use crate::key::KeyStore;
use crate::profile::is_trust_domain;
use crate::rejection::Rejection;
use crate::{Algorithm, AlgorithmSet, Profile};

/// How far clocks may be apart by default.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(60);
/// More than this is no tolerance for clocks any more (RFC 9068 §4: "no more than a few minutes").
const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// Why a policy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// No issuer at all, or an empty name.
    #[error("no issuer is configured: name at least one")]
    NoIssuer,
    /// Two policies for one issuer.
    #[error("issuer `{0}` is configured twice: give it one policy with several audiences")]
    DuplicateIssuer(String),
    /// No audience: every token of that issuer would pass.
    #[error("issuer `{0}` has no audience: name this API as the issuer knows it")]
    NoAudience(String),
    /// An audience that every tenant or client of the issuer gets: GitHub's own, `account` of
    /// Keycloak, Microsoft Graph, that of the Kubernetes API server.
    #[error("audience `{0}` is handed out to everybody: let callers ask for one of your own")]
    DefaultAudience(String),
    /// No algorithm is allowed.
    #[error("issuer `{0}` has no allowed algorithm")]
    NoAlgorithm(String),
    /// HMAC outside `danger`.
    #[error("issuer `{0}` allows an HMAC algorithm: whoever verifies could mint; see `danger`")]
    Hmac(String),
    /// A leeway of more than five minutes.
    #[error("issuer `{0}` has a leeway of more than five minutes")]
    Leeway(String),
    /// SPIFFE without a trust domain, or with one that is none (SPIFFE-ID §2.1).
    #[error(
        "issuer `{0}` names no SPIFFE trust domain: name the issuer `spiffe://TRUST-DOMAIN`, or give the `trust_domain` (`preset::spiffe_issuer`)"
    )]
    TrustDomain(String),
}

/// What a token of one issuer must be: built once, then given to [`crate::Verifier::new`].
///
/// The defaults are the strict ones: profile RFC 9068, every asymmetric algorithm that the keys
/// serve, a leeway of 60 seconds.
#[derive(Clone, Debug)]
pub struct IssuerPolicy {
    issuer: String,
    audiences: Vec<String>,
    algorithms: AlgorithmSet,
    profile: Profile,
    leeway: Duration,
    max_lifetime: Option<Duration>,
    wanted: Vec<(String, Vec<String>)>,
    keys: Arc<KeyStore>,
    trust_domain: Option<String>,
    pub(crate) hmac: bool,
}

impl IssuerPolicy {
    /// Tokens whose `iss` is exactly `issuer`, byte for byte, signed by one of `keys`: a
    /// [`crate::JwkSet`], one [`crate::Jwk`], or a shared [`KeyStore`] that something refreshes.
    pub fn new(issuer: impl Into<String>, keys: impl Into<Arc<KeyStore>>) -> IssuerPolicy {
        IssuerPolicy {
            issuer: issuer.into(),
            audiences: Vec::new(),
            algorithms: Algorithm::ASYMMETRIC.into_iter().collect(),
            profile: Profile::RFC9068,
            leeway: DEFAULT_LEEWAY,
            max_lifetime: None,
            wanted: Vec::new(),
            keys: keys.into(),
            trust_domain: None,
            hmac: false,
        }
    }

    /// Accepts tokens for this audience, compared byte for byte. May be called again for another.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> IssuerPolicy {
        self.audiences.push(audience.into());
        self
    }

    /// Accepts these algorithms and no other.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> IssuerPolicy {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// The kind of token. [`Profile::SPIFFE`] takes the trust domain from an issuer that is named
    /// `spiffe://TRUST-DOMAIN`, and of the allowed algorithms those of JWT-SVID §2.1, which has no
    /// EdDSA; where the issuer is named in another way see [`crate::preset::spiffe_issuer`].
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> IssuerPolicy {
        self.profile = profile;
        self
    }

    /// How far this clock and the issuer's may be apart; at most five minutes.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> IssuerPolicy {
        self.leeway = leeway;
        self
    }

    /// Refuses a token that lives longer than this from `iat` to `exp`, or that has no `iat`.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> IssuerPolicy {
        self.max_lifetime = Some(lifetime);
        self
    }

    /// Asks for a string claim of one of these values, compared byte for byte: a tenant, a
    /// repository, an environment.
    #[must_use]
    pub fn claim<V: Into<String>>(
        mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> IssuerPolicy {
        self.wanted
            .push((name.into(), values.into_iter().map(Into::into).collect()));
        self
    }

    /// The issuer's name.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The issuer's keys.
    pub fn keys(&self) -> &Arc<KeyStore> {
        &self.keys
    }

    /// The allowed algorithms.
    pub fn allowed_algorithms(&self) -> AlgorithmSet {
        self.algorithms
    }

    pub(crate) fn trust_domain(mut self, domain: &str) -> IssuerPolicy {
        self.trust_domain = Some(domain.to_owned());
        self
    }

    /// Whether a token without `iss` is one of this policy's: a JWT-SVID of its trust domain.
    pub(crate) fn is_of_trust_domain(&self, claims: &Claims) -> bool {
        self.trust_domain.as_ref().is_some_and(|domain| {
            let path = claims.subject().and_then(|subject| {
                subject
                    .strip_prefix("spiffe://")?
                    .strip_prefix(domain.as_str())
            });
            path.is_some_and(|path| path.is_empty() || path.starts_with('/'))
        })
    }

    /// The policy as it will be used.
    pub(crate) fn validate(mut self) -> Result<Arc<IssuerPolicy>, PolicyError> {
        let issuer = || self.issuer.clone();
        if self.issuer.is_empty() {
            return Err(PolicyError::NoIssuer);
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err(PolicyError::NoAudience(issuer()));
        }
        if let Some(audience) = self
            .audiences
            .iter()
            .find(|audience| self.profile.is_default_audience(&self.issuer, audience))
        {
            return Err(PolicyError::DefaultAudience(audience.clone()));
        }
        if self.algorithms != self.algorithms.without_hmac() && !self.hmac {
            return Err(PolicyError::Hmac(issuer()));
        }
        if self.leeway > MAX_LEEWAY {
            return Err(PolicyError::Leeway(issuer()));
        }
        if self.profile.name() == Profile::SPIFFE.name() {
            self = self.bound_to_trust_domain()?;
        }
        if self.algorithms.is_empty() {
            return Err(PolicyError::NoAlgorithm(self.issuer));
        }
        Ok(Arc::new(self))
    }

    /// Without a trust domain the `sub` of any other would pass.
    fn bound_to_trust_domain(mut self) -> Result<IssuerPolicy, PolicyError> {
        let named = || self.issuer.strip_prefix("spiffe://").map(str::to_owned);
        let domain = self.trust_domain.take().or_else(named);
        self.trust_domain = domain.filter(|domain| is_trust_domain(domain));
        if self.trust_domain.is_none() {
            return Err(PolicyError::TrustDomain(self.issuer));
        }
        let is_of_the_standard =
            |algorithm: &Algorithm| *algorithm != Algorithm::EdDsa && !algorithm.is_hmac();
        self.algorithms = self.algorithms.iter().filter(is_of_the_standard).collect();
        Ok(self)
    }

    /// Everything that does not need the key.
    pub(crate) fn check(
        &self,
        header: &Header<'_>,
        claims: &Claims,
        now: u64,
    ) -> Result<(), Rejection> {
        header.allow(self.algorithms)?;
        self.profile.check_header(header)?;
        self.check_time(claims, now)?;
        self.profile
            .check_audience(claims, |audience| self.is_ours(audience))?;
        self.profile.check_claims(claims)?;
        if self.trust_domain.is_some() && !self.is_of_trust_domain(claims) {
            return Err(Rejection::ClaimMismatch("sub"));
        }
        self.check_wanted(claims)
    }

    pub(crate) fn leeway_seconds(&self) -> f64 {
        self.leeway.as_secs_f64()
    }

    /// Whether `audience` is one of the configured ones.
    fn is_ours(&self, audience: &str) -> bool {
        self.audiences.iter().any(|ours| ours == audience)
    }

    fn check_wanted(&self, claims: &Claims) -> Result<(), Rejection> {
        for (name, values) in &self.wanted {
            let value = claims.get(name).and_then(|value| value.as_str());
            if !value.is_some_and(|value| values.iter().any(|wanted| wanted == value)) {
                return Err(Rejection::PolicyMismatch);
            }
        }
        Ok(())
    }

    /// What holds for an answer of introspection, which has neither header nor profile (RFC 7662
    /// §2.2): all members but `active` are optional there, but an audience must be named here.
    pub(crate) fn check_introspected(&self, claims: &Claims, now: u64) -> Result<(), Rejection> {
        match claims.expires_at() {
            Some(_) => self.check_time(claims, now)?,
            None => self.check_start(claims, now as f64)?,
        }
        let mut audience = claims.audience().peekable();
        if audience.peek().is_none() {
            return Err(Rejection::ClaimMissing("aud"));
        }
        if !audience.any(|audience| self.is_ours(audience)) {
            return Err(Rejection::AudienceMismatch);
        }
        self.check_wanted(claims)
    }

    /// RFC 7519 §4.1.4-6. `now` is "on or after" `exp`: at `exp` itself the token is over.
    pub(crate) fn check_time(&self, claims: &Claims, now: u64) -> Result<(), Rejection> {
        // Exact: years below 285 million.
        let now = now as f64;
        let leeway = self.leeway_seconds();
        let expires = claims.expires_at().ok_or(Rejection::ClaimMissing("exp"))?;
        if now >= expires + leeway {
            return Err(Rejection::Expired);
        }
        self.check_start(claims, now)?;
        if let Some(longest) = self.max_lifetime {
            let issued = claims.issued_at().ok_or(Rejection::ClaimMissing("iat"))?;
            if expires - issued > longest.as_secs_f64() {
                return Err(Rejection::LifetimeTooLong);
            }
        }
        Ok(())
    }

    fn check_start(&self, claims: &Claims, now: f64) -> Result<(), Rejection> {
        let leeway = self.leeway_seconds();
        if claims.not_before().is_some_and(|from| now + leeway < from) {
            return Err(Rejection::NotYetValid);
        }
        if claims.issued_at().is_some_and(|at| now + leeway < at) {
            return Err(Rejection::IssuedInFuture);
        }
        Ok(())
    }
}
