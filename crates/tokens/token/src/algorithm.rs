//! The signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2) and sets of them.

use std::fmt;

/// A JWS signature algorithm. There is no `none`.
///
/// The three HMAC members are only ever allowed by what stands in [`crate::danger`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519, under its name `EdDSA` (RFC 8037) or `Ed25519` (RFC 9864).
    EdDsa,
    /// HMAC with SHA-256: whoever can verify can also mint.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

impl Algorithm {
    /// Every asymmetric algorithm.
    pub const ASYMMETRIC: [Algorithm; 9] = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ];

    /// The algorithm of that name, compared exactly (RFC 7515 §4.1.1: names are case-sensitive).
    pub fn from_name(name: &str) -> Option<Algorithm> {
        Some(match name {
            "RS256" => Algorithm::Rs256,
            "RS384" => Algorithm::Rs384,
            "RS512" => Algorithm::Rs512,
            "PS256" => Algorithm::Ps256,
            "PS384" => Algorithm::Ps384,
            "PS512" => Algorithm::Ps512,
            "ES256" => Algorithm::Es256,
            "ES384" => Algorithm::Es384,
            "EdDSA" | "Ed25519" => Algorithm::EdDsa,
            "HS256" => Algorithm::Hs256,
            "HS384" => Algorithm::Hs384,
            "HS512" => Algorithm::Hs512,
            _ => return None,
        })
    }

    /// The name as it stands in a header.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Ps256 => "PS256",
            Algorithm::Ps384 => "PS384",
            Algorithm::Ps512 => "PS512",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Hs256 => "HS256",
            Algorithm::Hs384 => "HS384",
            Algorithm::Hs512 => "HS512",
        }
    }

    /// Whether it is an HMAC.
    pub fn is_hmac(self) -> bool {
        matches!(self, Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of algorithms.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct AlgorithmSet(u16);

impl AlgorithmSet {
    /// Whether it holds `algorithm`.
    pub fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & (1 << algorithm as u16) != 0
    }

    /// Whether it holds none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members in the order of [`Algorithm`].
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ASYMMETRIC
            .into_iter()
            .chain([Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512])
            .filter(move |algorithm| self.contains(*algorithm))
    }

    pub(crate) fn without_hmac(self) -> AlgorithmSet {
        self.iter()
            .filter(|algorithm| !algorithm.is_hmac())
            .collect()
    }
}

impl FromIterator<Algorithm> for AlgorithmSet {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> AlgorithmSet {
        AlgorithmSet(
            algorithms
                .into_iter()
                .fold(0, |set, algorithm| set | 1 << algorithm as u16),
        )
    }
}

impl fmt::Debug for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact_and_none_is_not_among_them() {
        for algorithm in Algorithm::ASYMMETRIC {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
        // RFC 9864 §2.2, beside the older `EdDSA`.
        assert_eq!(Algorithm::from_name("Ed25519"), Some(Algorithm::EdDsa));
        for name in [
            "none", "None", "rs256", "RS256 ", "ES512", "ES256K", "", "HS1", "EDDSA",
        ] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: AlgorithmSet = [Algorithm::Rs256, Algorithm::Hs512].into_iter().collect();
        assert!(set.contains(Algorithm::Rs256) && !set.contains(Algorithm::Ps256));
        assert_eq!(
            set.without_hmac().iter().collect::<Vec<_>>(),
            [Algorithm::Rs256]
        );
    }
}
