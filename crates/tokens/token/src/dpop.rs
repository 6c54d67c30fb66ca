//! DPoP proofs (RFC 9449): whoever presents a bound token shows, for this one request, that they
//! hold its key.

mod htu;
mod nonce;

pub use nonce::NonceIssuer;

use std::fmt;

use aws_lc_rs::digest;

use crate::base64url;
use crate::challenge::ErrorCode;
use crate::jws::{Compact, EmbeddedKey, Header, is_type};
use crate::key::Jwk;
use crate::rejection::Rejection;
use crate::sender::Sender;
use crate::{Algorithm, AlgorithmSet};

/// The longest proof that is read, in bytes: one with an RSA key of 4096 bits takes about 2 KiB.
const MAX_PROOF: usize = 8 << 10;
/// The longest `jti`, in bytes (RFC 9449 §11.1: an attacker must not choose how much is stored).
const MAX_JTI: usize = 256;

/// The request that a proof must have been made for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'r> {
    /// The method, compared with case (RFC 9110 §9.1).
    pub method: &'r str,
    /// The absolute URI as the client sees it: behind a proxy the public scheme, host and port,
    /// from configuration and not from a header that a client could send. Query and fragment are
    /// ignored.
    pub uri: &'r str,
}

/// Why a proof is refused. Never carries a byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofRejection {
    /// A bound token came without a proof.
    #[error("no DPoP proof came")]
    Missing,
    /// More than one field `DPoP` (§4.3, check 1).
    #[error("more than one DPoP proof came")]
    Multiple,
    /// The proof is no well-formed JWT, or one that no key may verify.
    #[error("DPoP proof: {0}")]
    Jwt(Rejection),
    /// `typ` is not `dpop+jwt` (check 4).
    #[error("DPoP proof has another `typ` than `dpop+jwt`")]
    Type,
    /// `jwk` is absent, private or unfit (checks 6 and 7).
    #[error("DPoP proof has no usable public key in `jwk`")]
    Key,
    /// A claim is absent or of the wrong type (check 3).
    #[error("DPoP proof: claim `{0}` is missing or malformed")]
    Claim(&'static str),
    /// `htm` is another method (check 8).
    #[error("DPoP proof is for another method")]
    Method,
    /// `htu` is another URI (check 9).
    #[error("DPoP proof is for another URI")]
    Uri,
    /// `iat` is too long ago or ahead (check 11).
    #[error("DPoP proof is too old or from the future")]
    Time,
    /// `ath` is the hash of another token (check 12).
    #[error("DPoP proof is for another access token")]
    Token,
    /// A nonce is wanted, and the proof has none or one that has run out (check 10).
    #[error("DPoP proof needs a current nonce")]
    Nonce,
    /// The proof was used before (§11.1).
    #[error("DPoP proof was used before")]
    Replayed,
    /// Whether it was used before could not be looked up.
    #[error("whether the DPoP proof was used before could not be looked up")]
    StateUnavailable,
}

impl ProofRejection {
    /// A stable name for logs, metrics and tests.
    pub fn id(&self) -> &'static str {
        match self {
            ProofRejection::Missing => "proof-missing",
            ProofRejection::Multiple => "proof-multiple",
            ProofRejection::Jwt(_) => "proof-jwt",
            ProofRejection::Type => "proof-type",
            ProofRejection::Key => "proof-key",
            ProofRejection::Claim(_) => "proof-claim",
            ProofRejection::Method => "proof-method",
            ProofRejection::Uri => "proof-uri",
            ProofRejection::Time => "proof-time",
            ProofRejection::Token => "proof-token",
            ProofRejection::Nonce => "proof-nonce",
            ProofRejection::Replayed => "proof-replayed",
            ProofRejection::StateUnavailable => "proof-state-unavailable",
        }
    }

    /// The error code (§7.1, §9). `None` where the fault is this server's.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ProofRejection::StateUnavailable => None,
            ProofRejection::Nonce => Some(ErrorCode::UseDpopNonce),
            _ => Some(ErrorCode::InvalidDpopProof),
        }
    }
}

impl From<Rejection> for ProofRejection {
    fn from(rejection: Rejection) -> ProofRejection {
        ProofRejection::Jwt(rejection)
    }
}

/// What proofs must be.
#[derive(Clone, Debug)]
pub struct ProofPolicy {
    algorithms: AlgorithmSet,
    max_age: u64,
    leeway: u64,
    nonces: Option<NonceIssuer>,
}

impl Default for ProofPolicy {
    /// Every asymmetric algorithm, at most 60 seconds old, 5 seconds of leeway ahead, no nonce.
    fn default() -> ProofPolicy {
        ProofPolicy {
            algorithms: Algorithm::ASYMMETRIC.into_iter().collect(),
            max_age: 60,
            leeway: 5,
            nonces: None,
        }
    }
}

impl ProofPolicy {
    /// Accepts these algorithms; HMAC among them is ignored.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> ProofPolicy {
        self.algorithms = AlgorithmSet::from_iter(algorithms).without_hmac();
        self
    }

    /// Accepts proofs up to this many seconds old; at most 300.
    #[must_use]
    pub fn max_age(mut self, seconds: u64) -> ProofPolicy {
        self.max_age = seconds.min(300);
        self
    }

    /// Asks for a nonce of this issuer in every proof (§9).
    #[must_use]
    pub fn nonces(mut self, nonces: NonceIssuer) -> ProofPolicy {
        self.nonces = Some(nonces);
        self
    }

    /// The issuer of nonces, where they are asked for.
    pub fn nonce_issuer(&self) -> Option<&NonceIssuer> {
        self.nonces.as_ref()
    }

    /// The accepted algorithms, for the challenge.
    pub fn accepted_algorithms(&self) -> AlgorithmSet {
        self.algorithms
    }

    /// Verifies the values of the field `DPoP` for one request with `token`, at `now` in seconds
    /// since 1970-01-01T00:00:00Z. Whether the proof is used for the first time is the caller's to
    /// ask, with [`Proof::replay_key`]; that the token is bound to the proof's key is
    /// [`crate::Verifier::verify_from`]'s, with [`Proof::sender`].
    ///
    /// A server judges the token in between ([`ProofPolicy::read`], then [`Unproven::verify`]), so
    /// that who has none costs it no signature and no entry of what it remembers.
    ///
    /// # Errors
    /// The first check of §4.3 that fails.
    pub fn verify<'h>(
        &self,
        values: impl IntoIterator<Item = &'h str>,
        target: &Target<'_>,
        token: &str,
        now: u64,
    ) -> Result<Proof, ProofRejection> {
        self.read(values, target, token, now)?.verify()
    }

    /// All of [`ProofPolicy::verify`] but the signature.
    ///
    /// # Errors
    /// The first check of §4.3 that fails.
    pub fn read<'h>(
        &self,
        values: impl IntoIterator<Item = &'h str>,
        target: &Target<'_>,
        token: &str,
        now: u64,
    ) -> Result<Unproven<'h>, ProofRejection> {
        let mut values = values.into_iter();
        let proof = values.next().ok_or(ProofRejection::Missing)?;
        if values.next().is_some() {
            return Err(ProofRejection::Multiple);
        }
        let compact = Compact::split(proof, MAX_PROOF)?;
        let document = compact.header_document()?;
        let header = Header::read(&document, EmbeddedKey::Required)?;
        if !header.typ.is_some_and(|typ| is_type(typ, "dpop+jwt")) {
            return Err(ProofRejection::Type);
        }
        header.allow(self.algorithms)?;
        let claims = compact.claims_document()?;
        let claims = claims.root();
        let text = |name| {
            let claim = claims.get(name).and_then(|claim| claim.as_str());
            claim
                .filter(|text| !text.is_empty())
                .ok_or(ProofRejection::Claim(name))
        };
        let jti = text("jti")?;
        if jti.len() > MAX_JTI {
            return Err(ProofRejection::Claim("jti"));
        }
        if text("htm")? != target.method {
            return Err(ProofRejection::Method);
        }
        if !htu::same(text("htu")?, target.uri) {
            return Err(ProofRejection::Uri);
        }
        let issued = claims
            .get("iat")
            .and_then(|iat| iat.as_f64())
            .filter(|iat| *iat >= 0.0)
            .ok_or(ProofRejection::Claim("iat"))?;
        let now_seconds = now as f64;
        if issued > now_seconds + self.leeway as f64 || issued + (self.max_age as f64) < now_seconds
        {
            return Err(ProofRejection::Time);
        }
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        if base64url::decode(text("ath")?).as_deref() != Some(hash.as_ref()) {
            return Err(ProofRejection::Token);
        }
        if let Some(nonces) = &self.nonces {
            let nonce = claims.get("nonce").and_then(|nonce| nonce.as_str());
            if !nonce.is_some_and(|nonce| nonces.accepts(nonce, now)) {
                return Err(ProofRejection::Nonce);
            }
        }
        let jwk = header.jwk.ok_or(ProofRejection::Key)?;
        let key = Jwk::from_value(jwk, false).map_err(|_| ProofRejection::Key)?;
        Ok(Unproven {
            compact,
            algorithm: header.algorithm,
            replay_key: crate::state::key(&["dpop", key.thumbprint(), jti]),
            // Accepted for the last time at `now + leeway + max_age`, and once more the leeway for
            // another machine's clock.
            expires: now + self.max_age + 2 * self.leeway + 1,
            key,
        })
    }
}

/// A proof of which everything holds but its signature, and that it is new. It proves nothing yet.
#[must_use = "a proof proves nothing before its signature is verified"]
pub struct Unproven<'h> {
    compact: Compact<'h>,
    algorithm: Algorithm,
    key: Jwk,
    replay_key: [u8; 32],
    expires: u64,
}

impl Unproven<'_> {
    /// What the request proves with it as soon as [`Unproven::verify`] succeeds: to judge the token
    /// before.
    pub fn sender(&self) -> Sender<'_> {
        Sender::bearer().with_proof_key(self.key.thumbprint())
    }

    /// Verifies the signature.
    ///
    /// # Errors
    /// [`ProofRejection::Jwt`] where it does not hold.
    pub fn verify(self) -> Result<Proof, ProofRejection> {
        self.compact.verify(&self.key, self.algorithm)?;
        Ok(Proof {
            thumbprint: self.key.thumbprint().to_owned(),
            replay_key: self.replay_key,
            expires: self.expires,
        })
    }
}

/// Shows nothing of the proof.
impl fmt::Debug for Unproven<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unproven").finish_non_exhaustive()
    }
}

/// A proof of which everything holds but that it is new.
#[derive(Clone, Debug)]
pub struct Proof {
    thumbprint: String,
    replay_key: [u8; 32],
    expires: u64,
}

impl Proof {
    /// The RFC 7638 thumbprint of its key.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// What the request proves with it.
    pub fn sender(&self) -> Sender<'_> {
        Sender::bearer().with_proof_key(&self.thumbprint)
    }

    /// The key under which its use is to be remembered: a hash of the proof's key and `jti`, so
    /// what an attacker sends does not decide how much is stored.
    pub fn replay_key(&self) -> [u8; 32] {
        self.replay_key
    }

    /// Until when it is to be remembered, in seconds since 1970-01-01T00:00:00Z. After that its
    /// age alone refuses it.
    pub fn remember_until(&self) -> u64 {
        self.expires
    }
}
