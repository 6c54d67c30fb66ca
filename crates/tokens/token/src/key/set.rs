//! A set of keys.

use std::fmt;

use super::jwk::{Jwk, KeyError};
use crate::json::{Document, JsonError, Limits};
use crate::{Algorithm, AlgorithmSet};

/// The most keys that a set may have.
const MAX_KEYS: usize = 128;

/// Why a text is no JWK set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwkSetError {
    /// The text is no strict JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// There is no array `keys`.
    #[error("JWK set has no array `keys`")]
    NoKeys,
    /// More keys than an issuer has use for.
    #[error("JWK set has more than 128 keys")]
    TooMany,
    /// Symmetric and asymmetric keys in one set.
    #[error("JWK set mixes symmetric and asymmetric keys")]
    Mixed,
}

/// A key of the set that is not used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its place in `keys`, from 0.
    pub index: usize,
    /// Why it cannot verify.
    pub error: KeyError,
}

/// The public keys of one issuer (RFC 7517 §5).
///
/// A key that cannot be used is left out and named in [`JwkSet::skipped`]: one bad key must not
/// take the set down, and an unknown `kty` is to be ignored (§5).
#[derive(Default)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    skipped: Vec<SkippedKey>,
    /// The ids of keys that are meant for verifying but broken. A sound key of the same id is not
    /// used: nobody can tell which of the two the issuer means.
    broken: Vec<String>,
}

/// What a token's header finds in a set.
pub(crate) enum Lookup<'k> {
    Found(&'k Jwk),
    /// No key of that id.
    Unknown,
    /// A key of that id, but not for that algorithm.
    Unfit,
    /// Several keys would do, and the header does not say which.
    Ambiguous,
}

impl JwkSet {
    /// Reads a set of public keys. Symmetric keys in it are skipped.
    ///
    /// # Errors
    /// [`JwkSetError`] where the document as a whole is not a JWK set.
    pub fn parse(json: &[u8]) -> Result<JwkSet, JwkSetError> {
        JwkSet::read(json, false)
    }

    pub(crate) fn read(json: &[u8], secrets: bool) -> Result<JwkSet, JwkSetError> {
        let document = Document::parse(json.to_vec(), &Limits::KEYS)?;
        let keys = document
            .root()
            .get("keys")
            .and_then(|keys| keys.as_array())
            .ok_or(JwkSetError::NoKeys)?;
        let mut set = JwkSet::default();
        for (index, jwk) in keys.enumerate() {
            if index >= MAX_KEYS {
                return Err(JwkSetError::TooMany);
            }
            match Jwk::from_value(jwk, secrets) {
                Ok(key) => set.keys.push(key),
                Err(error) => {
                    let kid = jwk.get("kid").and_then(|kid| kid.as_str());
                    if !matches!(error, KeyError::Unsupported | KeyError::Use) {
                        set.broken.extend(kid.map(str::to_owned));
                    }
                    set.skipped.push(SkippedKey { index, error });
                }
            }
        }
        // Whoever reads the public half must not be able to use it as an HMAC secret.
        let symmetric = set.keys.iter().filter(|key| key.is_secret()).count();
        if symmetric > 0 && symmetric < set.keys.len() {
            return Err(JwkSetError::Mixed);
        }
        Ok(set)
    }

    /// The keys that can be used.
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// The keys that cannot.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Whether a key of this id is in the set.
    pub fn has_kid(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// The algorithms that some key of the set serves.
    pub fn algorithms(&self) -> AlgorithmSet {
        self.keys
            .iter()
            .flat_map(|key| key.algorithms().iter())
            .collect()
    }

    /// Whether both have the same keys under the same ids for the same algorithms, in any order.
    pub(crate) fn serves_as(&self, other: &JwkSet) -> bool {
        let marks = |set: &JwkSet| {
            let mark = |key: &Jwk| {
                let algorithms = format!("{:?}", key.algorithms());
                (
                    key.kid().map(str::to_owned),
                    key.thumbprint().to_owned(),
                    algorithms,
                )
            };
            let mut marks: Vec<_> = set.keys.iter().map(mark).collect();
            marks.sort();
            marks
        };
        self.broken == other.broken && marks(self) == marks(other)
    }

    /// A key of the token's `kid` goes first; a key without one serves a token with any, and a token
    /// without one is served where exactly one key fits. Two fitting keys under one id are
    /// ambiguous: which of them a verifier tries first must not matter.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Lookup<'_> {
        if kid.is_some_and(|kid| self.broken.iter().any(|broken| broken == kid)) {
            return Lookup::Ambiguous;
        }
        let named = |key: &&Jwk| kid.is_none() || key.kid() == kid;
        let nameless = |key: &&Jwk| key.kid().is_none();
        match pick(self.keys.iter().filter(named), algorithm) {
            Lookup::Unknown => pick(self.keys.iter().filter(nameless), algorithm),
            found => found,
        }
    }
}

fn pick<'k>(keys: impl Iterator<Item = &'k Jwk>, algorithm: Algorithm) -> Lookup<'k> {
    let mut result = Lookup::Unknown;
    for key in keys {
        let fits = key.algorithms().contains(algorithm);
        result = match (result, fits) {
            (Lookup::Unknown, false) => Lookup::Unfit,
            (Lookup::Unknown | Lookup::Unfit, true) => Lookup::Found(key),
            (_, true) => return Lookup::Ambiguous,
            (unchanged, false) => unchanged,
        };
    }
    result
}

impl FromIterator<Jwk> for JwkSet {
    fn from_iter<I: IntoIterator<Item = Jwk>>(keys: I) -> JwkSet {
        JwkSet {
            keys: keys.into_iter().collect(),
            ..JwkSet::default()
        }
    }
}

impl From<Jwk> for JwkSet {
    fn from(key: Jwk) -> JwkSet {
        JwkSet::from_iter([key])
    }
}

impl fmt::Debug for JwkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwkSet")
            .field("keys", &self.keys)
            .field("skipped", &self.skipped)
            .finish()
    }
}
