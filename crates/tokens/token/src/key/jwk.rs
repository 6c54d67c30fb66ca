//! One key.

use std::fmt;

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents};
use aws_lc_rs::{constant_time, digest, hmac};

use crate::base64url;
use crate::json::{Document, JsonError, Limits, Value};
use crate::{Algorithm, AlgorithmSet};

/// The longest `kid` that is read, in bytes.
pub(crate) const MAX_KID: usize = 256;

/// Why a key cannot be used to verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is no strict JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A member is absent, of the wrong type or not base64url.
    #[error("JWK member `{0}` is missing or malformed")]
    Member(&'static str),
    /// A key type or curve that this crate does not verify with.
    #[error("JWK key type or curve is not supported")]
    Unsupported,
    /// `alg` is unknown, or does not fit the key type.
    #[error("JWK `alg` does not fit the key")]
    Algorithm,
    /// `use` is not `sig`, or `key_ops` does not hold `verify`.
    #[error("JWK is not meant for verifying signatures")]
    Use,
    /// RSA below 2048 or above 8192 bits (RFC 7518 §3.3).
    #[error("RSA key of {0} bits: at least 2048 and at most 8192 are wanted")]
    RsaSize(usize),
    /// A public exponent that is even or below 65537 (FIPS 186-5 §5.4).
    #[error("RSA public exponent is even or below 65537")]
    RsaExponent,
    /// A modulus with the fingerprint of CVE-2017-15361, which can be factored.
    #[error("RSA key has the ROCA weakness (CVE-2017-15361)")]
    Roca,
    /// The numbers are no key: a point that is not on the curve, for one.
    #[error("the key material is no valid public key")]
    Invalid,
    /// An HMAC key shorter than its hash (RFC 7518 §3.2).
    #[error("HMAC key is shorter than its hash")]
    SecretTooShort,
    /// A private or symmetric key where a public one is expected.
    #[error("private or symmetric key material where a public key is expected")]
    Private,
    /// The text is no PEM with one public key in it.
    #[error("PEM holds no public key (`BEGIN PUBLIC KEY`)")]
    Pem,
}

/// A public key that verifies signatures.
///
/// `Debug` shows its id and algorithms alone.
pub struct Jwk {
    kid: Option<Box<str>>,
    algorithms: AlgorithmSet,
    verifiers: Vec<(Algorithm, Material)>,
    thumbprint: String,
}

enum Material {
    Public(ParsedPublicKey),
    Secret(Box<hmac::Key>),
}

/// The numbers of a public key, however they came.
pub(super) enum Numbers<'a> {
    Rsa { n: &'a [u8], e: &'a [u8] },
    P256 { x: &'a [u8], y: &'a [u8] },
    P384 { x: &'a [u8], y: &'a [u8] },
    Ed25519 { x: &'a [u8] },
}

impl Jwk {
    /// Reads one key from JSON.
    ///
    /// # Errors
    /// [`KeyError`], also for a key that carries private members.
    pub fn parse(json: &[u8]) -> Result<Jwk, KeyError> {
        let document = Document::parse(json.to_vec(), &Limits::KEYS)?;
        Jwk::from_value(document.root(), false)
    }

    /// Reads a public key in PEM (`-----BEGIN PUBLIC KEY-----`, RFC 7468 §13). It has no `kid`, so
    /// it serves a token with any `kid`.
    ///
    /// # Errors
    /// [`KeyError::Pem`] where there is no such block, otherwise what is wrong with the key.
    pub fn from_pem(pem: &str) -> Result<Jwk, KeyError> {
        super::pem::read(pem)
    }

    /// The same key under this `kid`.
    #[must_use]
    pub fn with_kid(mut self, kid: &str) -> Jwk {
        self.kid = Some(kid.into());
        self
    }

    /// The same key for this algorithm alone (RFC 8725bis §3.1: one key, one algorithm).
    ///
    /// # Errors
    /// [`KeyError::Algorithm`] where the key cannot serve it.
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Result<Jwk, KeyError> {
        self.verifiers.retain(|(each, _)| *each == algorithm);
        if self.verifiers.is_empty() {
            return Err(KeyError::Algorithm);
        }
        self.algorithms = [algorithm].into_iter().collect();
        Ok(self)
    }

    /// The key id.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithms that the key may verify.
    pub fn algorithms(&self) -> AlgorithmSet {
        self.algorithms
    }

    /// The thumbprint of RFC 7638 with SHA-256, in base64url.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Whether `signature` is the key's signature of `message` under `algorithm`. False also where
    /// the key does not serve the algorithm.
    #[must_use]
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let Some((_, material)) = self.verifiers.iter().find(|(each, _)| *each == algorithm) else {
            return false;
        };
        match material {
            Material::Public(key) => key.verify_sig(message, signature).is_ok(),
            Material::Secret(key) => {
                let tag = hmac::sign(key, message);
                constant_time::verify_slices_are_equal(tag.as_ref(), signature).is_ok()
            }
        }
    }

    /// `secrets` says whether a symmetric key may be read (only `danger` asks for it).
    pub(crate) fn from_value(jwk: Value<'_>, secrets: bool) -> Result<Jwk, KeyError> {
        let mut fields = Fields::default();
        for (name, value) in jwk.as_object().ok_or(KeyError::Member("kty"))? {
            fields.take(name, value)?;
        }
        fields.check_use()?;
        let kty = fields.kty.ok_or(KeyError::Member("kty"))?;
        let mut key = if kty == "oct" {
            if !secrets {
                return Err(KeyError::Private);
            }
            let secret = decode(fields.k, "k")?;
            Jwk::from_secret(&secret, fields.algorithm()?)?
        } else {
            if fields.private {
                return Err(KeyError::Private);
            }
            fields.public(kty)?
        };
        if let Some(alg) = fields.alg {
            // An unknown name is no reason to guess: the key says what it is for.
            let algorithm = Algorithm::from_name(alg).ok_or(KeyError::Algorithm)?;
            key = key.with_algorithm(algorithm)?;
        }
        key.kid = fields.kid.map(Into::into);
        Ok(key)
    }

    pub(super) fn from_numbers(numbers: &Numbers<'_>) -> Result<Jwk, KeyError> {
        match *numbers {
            Numbers::Rsa { n, e } => Jwk::from_rsa(n, e),
            Numbers::P256 { x, y } => Jwk::from_point(
                Algorithm::Es256,
                &signature::ECDSA_P256_SHA256_FIXED,
                ("P-256", 32),
                x,
                y,
            ),
            Numbers::P384 { x, y } => Jwk::from_point(
                Algorithm::Es384,
                &signature::ECDSA_P384_SHA384_FIXED,
                ("P-384", 48),
                x,
                y,
            ),
            Numbers::Ed25519 { x } => {
                if x.len() != 32 {
                    return Err(KeyError::Member("x"));
                }
                if super::ed25519::has_small_order(x) {
                    return Err(KeyError::Invalid);
                }
                let key =
                    ParsedPublicKey::new(&signature::ED25519, x).map_err(|_| KeyError::Invalid)?;
                let canonical = format!(
                    r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
                    base64url::encode(x)
                );
                Ok(Jwk::new(
                    vec![(Algorithm::EdDsa, Material::Public(key))],
                    &canonical,
                ))
            }
        }
    }

    fn from_rsa(n: &[u8], e: &[u8]) -> Result<Jwk, KeyError> {
        // RFC 7518 §6.3.1.1: the fewest octets that represent the value. Leading zeros are met in
        // the field and mean nothing, so they are dropped for the thumbprint as for the size.
        let n = &n[n.iter().take_while(|byte| **byte == 0).count()..];
        let e = &e[e.iter().take_while(|byte| **byte == 0).count()..];
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) {
            return Err(KeyError::RsaSize(bits));
        }
        let exponent = match e.len() {
            1..=8 => e
                .iter()
                .fold(0u64, |value, byte| value << 8 | u64::from(*byte)),
            _ => return Err(KeyError::RsaExponent),
        };
        if exponent < 65_537 || exponent % 2 == 0 {
            return Err(KeyError::RsaExponent);
        }
        if super::roca::has_fingerprint(n) {
            return Err(KeyError::Roca);
        }
        let components = RsaPublicKeyComponents { n, e };
        let verifiers = [
            (Algorithm::Rs256, &signature::RSA_PKCS1_2048_8192_SHA256),
            (Algorithm::Rs384, &signature::RSA_PKCS1_2048_8192_SHA384),
            (Algorithm::Rs512, &signature::RSA_PKCS1_2048_8192_SHA512),
            (Algorithm::Ps256, &signature::RSA_PSS_2048_8192_SHA256),
            (Algorithm::Ps384, &signature::RSA_PSS_2048_8192_SHA384),
            (Algorithm::Ps512, &signature::RSA_PSS_2048_8192_SHA512),
        ]
        .into_iter()
        .map(|(algorithm, parameters)| {
            let key = components
                .to_parsed_public_key(parameters)
                .map_err(|_| KeyError::Invalid)?;
            Ok((algorithm, Material::Public(key)))
        })
        .collect::<Result<Vec<_>, KeyError>>()?;
        let canonical = format!(
            r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
            base64url::encode(e),
            base64url::encode(n)
        );
        Ok(Jwk::new(verifiers, &canonical))
    }

    fn from_point(
        algorithm: Algorithm,
        parameters: &'static signature::EcdsaVerificationAlgorithm,
        (curve, length): (&str, usize),
        x: &[u8],
        y: &[u8],
    ) -> Result<Jwk, KeyError> {
        // RFC 7518 §6.2.1.2: the full size of a coordinate, always.
        if x.len() != length || y.len() != length {
            return Err(KeyError::Member("x"));
        }
        let mut point = Vec::with_capacity(1 + 2 * length);
        point.push(4);
        point.extend_from_slice(x);
        point.extend_from_slice(y);
        let key = ParsedPublicKey::new(parameters, &point).map_err(|_| KeyError::Invalid)?;
        let canonical = format!(
            r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#,
            base64url::encode(x),
            base64url::encode(y)
        );
        Ok(Jwk::new(
            vec![(algorithm, Material::Public(key))],
            &canonical,
        ))
    }

    pub(crate) fn from_secret(
        secret: &[u8],
        algorithm: Option<Algorithm>,
    ) -> Result<Jwk, KeyError> {
        let candidates = [
            (Algorithm::Hs256, hmac::HMAC_SHA256, 32),
            (Algorithm::Hs384, hmac::HMAC_SHA384, 48),
            (Algorithm::Hs512, hmac::HMAC_SHA512, 64),
        ];
        let verifiers: Vec<_> = candidates
            .into_iter()
            .filter(|(each, _, least)| {
                secret.len() >= *least && algorithm.is_none_or(|wanted| wanted == *each)
            })
            .map(|(each, hash, _)| {
                (
                    each,
                    Material::Secret(Box::new(hmac::Key::new(hash, secret))),
                )
            })
            .collect();
        if verifiers.is_empty() {
            return Err(match algorithm {
                Some(other) if !other.is_hmac() => KeyError::Algorithm,
                _ => KeyError::SecretTooShort,
            });
        }
        let canonical = format!(r#"{{"k":"{}","kty":"oct"}}"#, base64url::encode(secret));
        Ok(Jwk::new(verifiers, &canonical))
    }

    fn new(verifiers: Vec<(Algorithm, Material)>, canonical: &str) -> Jwk {
        let hash = digest::digest(&digest::SHA256, canonical.as_bytes());
        Jwk {
            kid: None,
            algorithms: verifiers.iter().map(|(algorithm, _)| *algorithm).collect(),
            verifiers,
            thumbprint: base64url::encode(hash.as_ref()),
        }
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.verifiers
            .iter()
            .any(|(_, material)| matches!(material, Material::Secret(_)))
    }
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk")
            .field("kid", &self.kid)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// The members of a JWK that matter here.
#[derive(Default)]
struct Fields<'a> {
    kty: Option<&'a str>,
    kid: Option<&'a str>,
    alg: Option<&'a str>,
    uses: Option<&'a str>,
    key_ops: Option<Value<'a>>,
    crv: Option<&'a str>,
    n: Option<&'a str>,
    e: Option<&'a str>,
    x: Option<&'a str>,
    y: Option<&'a str>,
    k: Option<&'a str>,
    private: bool,
}

impl<'a> Fields<'a> {
    fn take(&mut self, name: &'a str, value: Value<'a>) -> Result<(), KeyError> {
        let (field, name) = match name {
            "kty" => (&mut self.kty, "kty"),
            "kid" => (&mut self.kid, "kid"),
            "alg" => (&mut self.alg, "alg"),
            "use" => (&mut self.uses, "use"),
            "crv" => (&mut self.crv, "crv"),
            "n" => (&mut self.n, "n"),
            "e" => (&mut self.e, "e"),
            "x" => (&mut self.x, "x"),
            "y" => (&mut self.y, "y"),
            "k" => (&mut self.k, "k"),
            "key_ops" => {
                self.key_ops = Some(value);
                return Ok(());
            }
            "d" | "p" | "q" | "dp" | "dq" | "qi" | "oth" => {
                self.private = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        let text = value.as_str().ok_or(KeyError::Member(name))?;
        if name == "kid" && text.len() > MAX_KID {
            return Err(KeyError::Member("kid"));
        }
        *field = Some(text);
        Ok(())
    }

    fn check_use(&self) -> Result<(), KeyError> {
        // In a bundle of SPIFFE `jwt-svid` stands for `sig`, and the keys of its certificates say
        // `x509-svid` (JWT-SVID §6.1). It is not asked for: the discovery document of the same
        // server has the same keys with `sig` or nothing.
        if !matches!(self.uses, None | Some("sig" | "jwt-svid")) {
            return Err(KeyError::Use);
        }
        if let Some(operations) = self.key_ops {
            let mut operations = operations.as_strings().ok_or(KeyError::Member("key_ops"))?;
            if !operations.any(|operation| operation == "verify") {
                return Err(KeyError::Use);
            }
        }
        Ok(())
    }

    fn algorithm(&self) -> Result<Option<Algorithm>, KeyError> {
        self.alg
            .map(|alg| Algorithm::from_name(alg).ok_or(KeyError::Algorithm))
            .transpose()
    }

    fn public(&self, kty: &str) -> Result<Jwk, KeyError> {
        match (kty, self.crv) {
            ("RSA", _) => Jwk::from_numbers(&Numbers::Rsa {
                n: &decode(self.n, "n")?,
                e: &decode(self.e, "e")?,
            }),
            ("EC", Some("P-256")) => Jwk::from_numbers(&Numbers::P256 {
                x: &decode(self.x, "x")?,
                y: &decode(self.y, "y")?,
            }),
            ("EC", Some("P-384")) => Jwk::from_numbers(&Numbers::P384 {
                x: &decode(self.x, "x")?,
                y: &decode(self.y, "y")?,
            }),
            ("OKP", Some("Ed25519")) => Jwk::from_numbers(&Numbers::Ed25519 {
                x: &decode(self.x, "x")?,
            }),
            _ => Err(KeyError::Unsupported),
        }
    }
}

fn decode(text: Option<&str>, name: &'static str) -> Result<Vec<u8>, KeyError> {
    text.and_then(base64url::decode)
        .filter(|bytes| !bytes.is_empty())
        .ok_or(KeyError::Member(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;

    fn with(members: &str) -> Result<Jwk, KeyError> {
        Jwk::parse(format!("{{{EC}{members}}}").as_bytes())
    }

    #[test]
    fn a_key_serves_only_what_it_says_it_is_for() {
        assert!(with("").unwrap().algorithms().contains(Algorithm::Es256));
        for other in ["enc", "x509-svid", "SIG", ""] {
            let other = with(&format!(r#","use":"{other}""#));
            assert_eq!(other.unwrap_err(), KeyError::Use);
        }
        assert!(with(r#","use":"jwt-svid""#).is_ok());
        assert_eq!(with(r#","key_ops":["sign"]"#).unwrap_err(), KeyError::Use);
        assert!(with(r#","key_ops":["verify"],"use":"sig","alg":"ES256""#).is_ok());
        assert_eq!(with(r#","alg":"ES384""#).unwrap_err(), KeyError::Algorithm);
        assert_eq!(with(r#","alg":"none""#).unwrap_err(), KeyError::Algorithm);
        assert_eq!(with(r#","alg":1"#).unwrap_err(), KeyError::Member("alg"));
        assert_eq!(with(r#","d":"AA""#).unwrap_err(), KeyError::Private);
        assert_eq!(
            with(r#","kty":"EC""#).unwrap_err(),
            KeyError::Json(JsonError::DuplicateMember)
        );
    }

    #[test]
    fn a_point_off_the_curve_is_no_key() {
        let off = EC.replace(
            "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1",
        );
        assert!(Jwk::parse(format!("{{{off}}}").as_bytes()).is_err());
        let flipped = EC.replace("f83OJ3D2", "g83OJ3D2");
        assert_eq!(
            Jwk::parse(format!("{{{flipped}}}").as_bytes()).unwrap_err(),
            KeyError::Invalid
        );
    }

    #[test]
    fn a_symmetric_key_is_not_read_unless_danger_asks() {
        let oct = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
        assert_eq!(Jwk::parse(oct.as_bytes()).unwrap_err(), KeyError::Private);
    }
}
