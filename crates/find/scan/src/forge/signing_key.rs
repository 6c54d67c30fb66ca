//! A private key or HMAC secret that signs exact tokens: the staging issuer's, a guessed one, or
//! a fresh one that no issuer knows.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{self as sig, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// A key that signs. It has no `Debug`, since it is a secret.
pub(crate) enum SigningKey {
    /// RS256, RS384, RS512, PS256, PS384, PS512.
    Rsa(Box<RsaKeyPair>),
    /// ES256, ES384, ES512 or ES256K, by its curve.
    Ec(&'static Curve, EcdsaKeyPair),
    /// EdDSA, also named Ed25519 (RFC 9864).
    Ed25519(Ed25519KeyPair),
    /// HS256, HS384, HS512.
    Hmac(Zeroizing<Vec<u8>>),
}

/// A curve of RFC 7518, section 3.4, or RFC 8812, section 3.2.
pub(crate) struct Curve {
    name: &'static str,
    algorithm: &'static str,
    /// Bytes of one coordinate.
    length: usize,
    signing: &'static sig::EcdsaSigningAlgorithm,
}

static CURVES: [Curve; 4] = [
    Curve {
        name: "P-256",
        algorithm: "ES256",
        length: 32,
        signing: &sig::ECDSA_P256_SHA256_FIXED_SIGNING,
    },
    Curve {
        name: "P-384",
        algorithm: "ES384",
        length: 48,
        signing: &sig::ECDSA_P384_SHA384_FIXED_SIGNING,
    },
    Curve {
        name: "P-521",
        algorithm: "ES512",
        length: 66,
        signing: &sig::ECDSA_P521_SHA512_FIXED_SIGNING,
    },
    Curve {
        name: "secp256k1",
        algorithm: "ES256K",
        length: 32,
        signing: &sig::ECDSA_P256K1_SHA256_FIXED_SIGNING,
    },
];

/// Why a text is no signing key. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    /// Neither PEM nor JSON.
    #[error("the signing key is neither PEM nor a JWK")]
    Form,
    /// PEM without a private key, or one that is encrypted.
    #[error("the signing key's PEM holds no unencrypted private key")]
    Pem,
    /// A key of a kind, size or curve that is not known, or with broken numbers.
    #[error("the signing key is of an unknown kind or broken")]
    Kind,
    /// A public key.
    #[error("the signing key is a public key")]
    Public,
}

/// A signing key and the `kid` that it was given with.
pub(crate) struct NamedKey {
    /// The key.
    pub(crate) key: SigningKey,
    /// Its key id; PEM has none.
    pub(crate) kid: Option<String>,
}

impl SigningKey {
    /// Reads PEM (PKCS#8, PKCS#1 or SEC 1), a JWK (RFC 7517) or a JWK set of private keys.
    ///
    /// # Errors
    /// When there is no usable private key in it.
    pub(crate) fn parse(text: &str) -> Result<Vec<NamedKey>, KeyError> {
        let text = text.trim();
        if text.contains("-----BEGIN ") {
            return Ok(vec![NamedKey {
                key: from_pem(text)?,
                kid: None,
            }]);
        }
        let value: Value = serde_json::from_str(text).map_err(|_| KeyError::Form)?;
        match value.get("keys").and_then(Value::as_array) {
            Some(keys) => {
                // One key of a set that cannot be used does not spoil the others.
                let (good, bad): (Vec<_>, Vec<_>) =
                    keys.iter().map(from_jwk).partition(Result::is_ok);
                let good: Vec<NamedKey> = good.into_iter().flatten().collect();
                match bad.into_iter().next() {
                    Some(Err(error)) if good.is_empty() => Err(error),
                    _ if good.is_empty() => Err(KeyError::Kind),
                    _ => Ok(good),
                }
            }
            None => Ok(vec![from_jwk(&value)?]),
        }
    }

    /// An HMAC secret.
    pub(crate) fn hmac(secret: impl Into<Vec<u8>>) -> Self {
        Self::Hmac(Zeroizing::new(secret.into()))
    }

    /// A fresh key that fits the header's `algorithm`, so that only the key is wrong. `None` for an
    /// algorithm that is not known, or when the machine has no randomness.
    pub(crate) fn fresh(algorithm: &str) -> Option<Self> {
        match algorithm {
            "HS256" | "HS384" | "HS512" => {
                let mut secret = vec![0; 64];
                aws_lc_rs::rand::fill(&mut secret).ok()?;
                Some(Self::hmac(secret))
            }
            "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" => {
                let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).ok()?;
                Some(Self::Rsa(Box::new(key)))
            }
            "EdDSA" | "Ed25519" => Ed25519KeyPair::generate().ok().map(Self::Ed25519),
            _ => {
                let curve = CURVES.iter().find(|curve| curve.algorithm == algorithm)?;
                let key = EcdsaKeyPair::generate(curve.signing).ok()?;
                Some(Self::Ec(curve, key))
            }
        }
    }

    /// The signature over `input`, or `None` when the key does not fit `algorithm` (RFC 7518,
    /// section 3.1; RFC 8037; RFC 8812; RFC 9864).
    pub(crate) fn sign(&self, algorithm: &str, input: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Hmac(secret) => {
                let kind = match algorithm {
                    "HS256" => hmac::HMAC_SHA256,
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => return None,
                };
                let tag = hmac::sign(&hmac::Key::new(kind, secret), input);
                Some(tag.as_ref().to_vec())
            }
            Self::Rsa(key) => {
                let padding: &'static dyn sig::RsaEncoding = match algorithm {
                    "RS256" => &sig::RSA_PKCS1_SHA256,
                    "RS384" => &sig::RSA_PKCS1_SHA384,
                    "RS512" => &sig::RSA_PKCS1_SHA512,
                    "PS256" => &sig::RSA_PSS_SHA256,
                    "PS384" => &sig::RSA_PSS_SHA384,
                    "PS512" => &sig::RSA_PSS_SHA512,
                    _ => return None,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, input, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ec(curve, key) if curve.algorithm == algorithm => {
                Some(key.sign(&random, input).ok()?.as_ref().to_vec())
            }
            Self::Ed25519(key) if matches!(algorithm, "EdDSA" | "Ed25519") => {
                Some(key.try_sign(input).ok()?.as_ref().to_vec())
            }
            Self::Ec(..) | Self::Ed25519(_) => None,
        }
    }

    /// Whether it can sign with `algorithm`.
    pub(crate) fn fits(&self, algorithm: &str) -> bool {
        match self {
            Self::Hmac(_) => matches!(algorithm, "HS256" | "HS384" | "HS512"),
            Self::Rsa(_) => matches!(
                algorithm,
                "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512"
            ),
            Self::Ec(curve, _) => curve.algorithm == algorithm,
            Self::Ed25519(_) => matches!(algorithm, "EdDSA" | "Ed25519"),
        }
    }

    /// The kind in words, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Hmac(_) => "an HMAC secret",
            Self::Rsa(_) => "an RSA key",
            Self::Ec(curve, _) => match curve.name {
                "P-256" => "a P-256 key",
                "P-384" => "a P-384 key",
                "P-521" => "a P-521 key",
                _ => "a secp256k1 key",
            },
            Self::Ed25519(_) => "an Ed25519 key",
        }
    }

    /// The public half as a JWK without any optional member; `None` for an HMAC secret.
    pub(crate) fn public_jwk(&self) -> Option<Value> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Hmac(_) => None,
            Self::Rsa(key) => {
                let (modulus, exponent) = rsa_numbers(key.public_key().as_ref())?;
                Some(json!({ "kty": "RSA", "n": text(modulus), "e": text(exponent) }))
            }
            Self::Ec(curve, key) => {
                // Uncompressed (SEC 1, section 2.3.3): 0x04, then the coordinates.
                let (x, y) = key
                    .public_key()
                    .as_ref()
                    .get(1..)?
                    .split_at_checked(curve.length)?;
                Some(json!({ "kty": "EC", "crv": curve.name, "x": text(x), "y": text(y) }))
            }
            Self::Ed25519(key) => Some(
                json!({ "kty": "OKP", "crv": "Ed25519", "x": text(key.public_key().as_ref()) }),
            ),
        }
    }
}

fn from_pem(text: &str) -> Result<SigningKey, KeyError> {
    if text.contains("-----BEGIN PUBLIC KEY-----")
        || text.contains("-----BEGIN RSA PUBLIC KEY-----")
    {
        return Err(KeyError::Public);
    }
    let der = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyError::Pem)?;
    let bytes = der.secret_der();
    match &der {
        PrivateKeyDer::Pkcs1(_) => RsaKeyPair::from_der(bytes)
            .map(|key| SigningKey::Rsa(Box::new(key)))
            .map_err(|_| KeyError::Kind),
        PrivateKeyDer::Sec1(_) => ec_from_der(bytes).ok_or(KeyError::Kind),
        _ => RsaKeyPair::from_pkcs8(bytes)
            .map(|key| SigningKey::Rsa(Box::new(key)))
            .ok()
            .or_else(|| ec_from_der(bytes))
            .or_else(|| {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes)
                    .ok()
                    .map(SigningKey::Ed25519)
            })
            .ok_or(KeyError::Kind),
    }
}

/// Modulus and exponent of an RSAPublicKey (RFC 8017, appendix A.1.1), which aws-lc-rs writes in DER:
/// a sequence of two integers.
fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = element(0x30, der)?;
    let (modulus, rest) = element(0x02, sequence)?;
    let (exponent, _) = element(0x02, rest)?;
    let unsigned = |number: &'_ [u8]| number.iter().position(|byte| *byte != 0);
    Some((
        &modulus[unsigned(modulus)?..],
        &exponent[unsigned(exponent)?..],
    ))
}

/// The content of the DER element with this tag at the start of `der`, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length))?
}

fn ec_from_der(der: &[u8]) -> Option<SigningKey> {
    CURVES.iter().find_map(|curve| {
        EcdsaKeyPair::from_private_key_der(curve.signing, der)
            .ok()
            .map(|key| SigningKey::Ec(curve, key))
    })
}

fn from_jwk(jwk: &Value) -> Result<NamedKey, KeyError> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let encoded = text(name).ok_or(KeyError::Kind)?;
        URL_SAFE_NO_PAD
            .decode(encoded.trim_end_matches('='))
            .map(Zeroizing::new)
            .map_err(|_| KeyError::Kind)
    };
    let kty = text("kty").ok_or(KeyError::Form)?;
    if kty != "oct" && text("d").is_none() {
        return Err(KeyError::Public);
    }
    let key = match kty {
        "oct" => SigningKey::Hmac(bytes("k")?),
        "RSA" => {
            let number = |name| -> Result<Zeroizing<Vec<u8>>, KeyError> {
                let all = bytes(name)?;
                let start = all.iter().position(|byte| *byte != 0).unwrap_or(all.len());
                Ok(Zeroizing::new(all[start..].to_vec()))
            };
            let components = KeyPairComponents {
                public_key: PublicKeyComponents {
                    n: number("n")?.to_vec(),
                    e: number("e")?.to_vec(),
                },
                d: number("d")?.to_vec(),
                p: number("p")?.to_vec(),
                q: number("q")?.to_vec(),
                dP: number("dp")?.to_vec(),
                dQ: number("dq")?.to_vec(),
                qInv: number("qi")?.to_vec(),
            };
            RsaKeyPair::from_components(&components)
                .map(|key| SigningKey::Rsa(Box::new(key)))
                .map_err(|_| KeyError::Kind)?
        }
        "EC" => {
            let curve = CURVES
                .iter()
                .find(|curve| Some(curve.name) == text("crv"))
                .ok_or(KeyError::Kind)?;
            let point = [&[4_u8][..], &bytes("x")?, &bytes("y")?].concat();
            EcdsaKeyPair::from_private_key_and_public_key(curve.signing, &bytes("d")?, &point)
                .map(|key| SigningKey::Ec(curve, key))
                .map_err(|_| KeyError::Kind)?
        }
        "OKP" if text("crv") == Some("Ed25519") => {
            Ed25519KeyPair::from_seed_and_public_key(&bytes("d")?, &bytes("x")?)
                .map(SigningKey::Ed25519)
                .map_err(|_| KeyError::Kind)?
        }
        _ => return Err(KeyError::Kind),
    };
    Ok(NamedKey {
        key,
        kid: text("kid").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::public_key::PublicKey;
    use aws_lc_rs::encoding::AsDer as _;

    const ALGORITHMS: [&str; 9] = [
        "HS256", "HS512", "RS256", "PS384", "ES256", "ES384", "ES512", "ES256K", "EdDSA",
    ];

    #[test]
    fn a_fresh_key_signs_its_algorithm_and_no_other_family() {
        for algorithm in ALGORITHMS {
            let key = SigningKey::fresh(algorithm).unwrap();
            assert!(key.fits(algorithm), "{algorithm}");
            assert!(key.sign(algorithm, b"x").is_some(), "{algorithm}");
            assert!(key.sign("none", b"x").is_none());
            for other in ALGORITHMS {
                assert_eq!(key.fits(other), key.sign(other, b"x").is_some());
            }
            match key.public_jwk() {
                None => assert!(algorithm.starts_with("HS")),
                Some(jwk) => assert!(PublicKey::from_jwk(&jwk).is_some(), "{algorithm}"),
            }
        }
    }

    #[test]
    fn pem_of_each_kind_is_read() {
        let pem = |label: &str, der: &[u8]| {
            let body = base64::engine::general_purpose::STANDARD.encode(der);
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
        };
        let random = SystemRandom::new();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let ec = EcdsaKeyPair::generate(&sig::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let rsa = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        for (text, kind) in [
            (pem("PRIVATE KEY", ed.as_ref()), "an Ed25519 key"),
            (
                pem("PRIVATE KEY", ec.to_pkcs8v1().unwrap().as_ref()),
                "a P-384 key",
            ),
            (
                pem(
                    "EC PRIVATE KEY",
                    ec.private_key().as_der().unwrap().as_ref(),
                ),
                "a P-384 key",
            ),
            (
                pem("PRIVATE KEY", rsa.as_der().unwrap().as_ref()),
                "an RSA key",
            ),
        ] {
            let keys = SigningKey::parse(&text).unwrap();
            assert_eq!(keys[0].key.kind(), kind);
        }
    }

    #[test]
    fn what_is_no_private_key_is_refused_with_its_reason() {
        let public = SigningKey::fresh("ES256").unwrap().public_jwk().unwrap();
        assert!(matches!(
            SigningKey::parse(&public.to_string()),
            Err(KeyError::Public)
        ));
        assert!(matches!(
            SigningKey::parse(&json!({ "keys": [public] }).to_string()),
            Err(KeyError::Public)
        ));
        for (text, error) in [
            ("hello", KeyError::Form),
            ("", KeyError::Form),
            ("[]", KeyError::Form),
            (r#"{"keys":[]}"#, KeyError::Kind),
            (r#"{"kty":"oct","k":"%%"}"#, KeyError::Kind),
            (r#"{"kty":"RSA","d":"AQ"}"#, KeyError::Kind),
            (
                "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----",
                KeyError::Kind,
            ),
            ("-----BEGIN PRIVATE KEY-----\n", KeyError::Pem),
        ] {
            assert_eq!(SigningKey::parse(text).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn a_jwk_set_gives_every_key_that_signs() {
        let secret = URL_SAFE_NO_PAD.encode("a secret");
        let set = json!({ "keys": [
            { "kty": "unheard", "d": "AA" },
            { "kty": "oct", "kid": "h", "k": secret },
        ]});
        let keys = SigningKey::parse(&set.to_string()).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].kid.as_deref(), Some("h"));
    }
}
