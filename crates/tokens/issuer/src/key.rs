//! Signing keys.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, RsaEncoding,
};
use cofferdam_token::{Algorithm, Jwk, base64url};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

/// The longest PEM that is read, in bytes: RSA of 8192 bits takes about 6500.
const MAX_PEM: usize = 32 << 10;

/// Why there is no signing key, or no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text holds no private key.
    #[error("no private key in the PEM: PKCS#8, PKCS#1 or SEC1 is wanted, not encrypted")]
    Pem,
    /// The key is of a kind that does not sign tokens, or RSA below 2048 bits.
    #[error("the key is none of RSA (2048 bits or more), P-256, P-384, Ed25519")]
    Unsupported,
    /// The key cannot serve this algorithm.
    #[error("the key does not serve `{0}`")]
    Algorithm(Algorithm),
    /// A header or claims that are no JSON.
    #[error("{0} is not JSON")]
    Json(&'static str),
    /// The library refused, which is not expected with a key that was read.
    #[error("signing failed")]
    Signing,
}

/// A private key together with the algorithm that it signs with and its key id.
pub struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Rsa(Box<rsa::KeyPair>),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Makes a new key for `algorithm`; RSA gets 2048 bits. Its id is its RFC 7638 thumbprint.
    ///
    /// # Errors
    /// [`KeyError::Algorithm`] for an HMAC algorithm.
    pub fn generate(algorithm: Algorithm) -> Result<SigningKey, KeyError> {
        let failed = |_| KeyError::Signing;
        let pair = match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => Pair::Rsa(Box::new(
                rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(failed)?,
            )),
            Algorithm::Es256 => Pair::P256(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?,
            ),
            Algorithm::Es384 => Pair::P384(
                EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).map_err(failed)?,
            ),
            Algorithm::EdDsa => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
                return Err(KeyError::Algorithm(algorithm));
            }
        };
        SigningKey::new(pair, algorithm)
    }

    /// Reads the first private key of a PEM text (PKCS#8, PKCS#1 or SEC1, not encrypted). An RSA
    /// key signs RS256 unless [`SigningKey::with_algorithm`] says otherwise.
    ///
    /// # Errors
    /// [`KeyError::Pem`] where there is none, [`KeyError::Unsupported`] for one of another kind.
    pub fn from_pem(pem: &str) -> Result<SigningKey, KeyError> {
        if pem.len() > MAX_PEM {
            return Err(KeyError::Pem);
        }
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::Pem)?;
        let (algorithm, pair) = match &key {
            PrivateKeyDer::Pkcs1(der) => rsa::KeyPair::from_der(der.secret_pkcs1_der())
                .ok()
                .map(|pair| (Algorithm::Rs256, Pair::Rsa(Box::new(pair)))),
            PrivateKeyDer::Sec1(der) => from_elliptic(|parameters| {
                EcdsaKeyPair::from_private_key_der(parameters, der.secret_sec1_der()).ok()
            }),
            PrivateKeyDer::Pkcs8(der) => from_pkcs8(der.secret_pkcs8_der()),
            _ => None,
        }
        .ok_or(KeyError::Unsupported)?;
        SigningKey::new(pair, algorithm)
    }

    fn new(pair: Pair, algorithm: Algorithm) -> Result<SigningKey, KeyError> {
        let mut key = SigningKey {
            kid: String::new(),
            algorithm,
            pair,
        };
        let public = Jwk::parse(key.numbers().to_string().as_bytes());
        key.kid = public
            .map_err(|_| KeyError::Unsupported)?
            .thumbprint()
            .to_owned();
        Ok(key)
    }

    /// The same key under another id.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> SigningKey {
        self.kid = kid.into();
        self
    }

    /// The same key for another algorithm: RSA serves all of RS and PS.
    ///
    /// # Errors
    /// [`KeyError::Algorithm`] where it does not serve it.
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Result<SigningKey, KeyError> {
        let serves = match self.pair {
            Pair::Rsa(_) => rsa_encoding(algorithm).is_some(),
            _ => algorithm == self.algorithm,
        };
        if !serves {
            return Err(KeyError::Algorithm(algorithm));
        }
        self.algorithm = algorithm;
        Ok(self)
    }

    /// The algorithm that it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half as a JWK with `kid`, `alg` and `use`.
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.numbers();
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.algorithm.name());
        jwk["use"] = json!("sig");
        jwk
    }

    /// The private key as PKCS#8 in PEM.
    ///
    /// # Errors
    /// [`KeyError::Signing`] where the library cannot encode it.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let der: Vec<u8> = match &self.pair {
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Signing)?;
                der.as_ref().to_vec()
            }
            Pair::P256(pair) | Pair::P384(pair) => pair
                .to_pkcs8v1()
                .map_err(|_| KeyError::Signing)?
                .as_ref()
                .to_vec(),
            Pair::Ed25519(pair) => pair
                .to_pkcs8v1()
                .map_err(|_| KeyError::Signing)?
                .as_ref()
                .to_vec(),
        };
        Ok(crate::document::pem("PRIVATE KEY", &der))
    }

    /// Signs any header and claims, as long as both are JSON: what they say is the caller's affair,
    /// and the header's `alg` and `kid` are not filled in.
    ///
    /// # Errors
    /// [`KeyError::Json`] for what is no JSON.
    pub fn sign(&self, header: &str, claims: &str) -> Result<String, KeyError> {
        for (text, name) in [(header, "header"), (claims, "claims")] {
            serde_json::from_str::<serde::de::IgnoredAny>(text)
                .map_err(|_| KeyError::Json(name))?;
        }
        self.sign_bytes(header.as_bytes(), claims.as_bytes())
    }

    /// Signs whatever bytes stand in the place of header and payload.
    ///
    /// # Errors
    /// [`KeyError::Signing`] where the library refuses.
    pub fn sign_bytes(&self, header: &[u8], payload: &[u8]) -> Result<String, KeyError> {
        let mut token = base64url::encode(header);
        token.push('.');
        token.push_str(&base64url::encode(payload));
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        token.push_str(&base64url::encode(&signature));
        Ok(token)
    }

    /// The signature of `message` in the form that JWS gives it (RFC 7518 §3.3-3.5).
    ///
    /// # Errors
    /// [`KeyError::Signing`] where the library refuses.
    pub fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError::Signing;
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding =
                    rsa_encoding(self.algorithm).ok_or(KeyError::Algorithm(self.algorithm))?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Pair::P256(pair) | Pair::P384(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
        }
    }

    fn numbers(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                json!({
                    "kty": "RSA",
                    "n": base64url::encode(public.modulus().big_endian_without_leading_zero()),
                    "e": base64url::encode(public.exponent().big_endian_without_leading_zero()),
                })
            }
            Pair::P256(pair) => point("P-256", pair.public_key().as_ref()),
            Pair::P384(pair) => point("P-384", pair.public_key().as_ref()),
            Pair::Ed25519(pair) => json!({
                "kty": "OKP",
                "crv": "Ed25519",
                "x": base64url::encode(pair.public_key().as_ref()),
            }),
        }
    }
}

/// Names the key by its id and algorithm, never by what is in it.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn from_pkcs8(der: &[u8]) -> Option<(Algorithm, Pair)> {
    if let Ok(pair) = rsa::KeyPair::from_pkcs8(der) {
        return Some((Algorithm::Rs256, Pair::Rsa(Box::new(pair))));
    }
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
        return Some((Algorithm::EdDsa, Pair::Ed25519(pair)));
    }
    from_elliptic(|parameters| EcdsaKeyPair::from_pkcs8(parameters, der).ok())
}

fn from_elliptic(
    read: impl Fn(&'static signature::EcdsaSigningAlgorithm) -> Option<EcdsaKeyPair>,
) -> Option<(Algorithm, Pair)> {
    read(&ECDSA_P256_SHA256_FIXED_SIGNING)
        .map(|pair| (Algorithm::Es256, Pair::P256(pair)))
        .or_else(|| {
            read(&ECDSA_P384_SHA384_FIXED_SIGNING).map(|pair| (Algorithm::Es384, Pair::P384(pair)))
        })
}

/// An uncompressed point: one byte 4, then both coordinates.
fn point(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": base64url::encode(x), "y": base64url::encode(y) })
}

fn rsa_encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_own_pem_and_signs_what_its_jwk_verifies() {
        for algorithm in Algorithm::ASYMMETRIC {
            let key = SigningKey::generate(algorithm).unwrap();
            let again = SigningKey::from_pem(&key.to_pem().unwrap())
                .unwrap()
                .with_algorithm(algorithm)
                .unwrap();
            assert_eq!(again.kid(), key.kid());
            let public = Jwk::parse(key.public_jwk().to_string().as_bytes()).unwrap();
            let signature = again.signature(b"message").unwrap();
            assert!(
                public.verify(algorithm, b"message", &signature),
                "{algorithm}"
            );
            assert!(
                !public.verify(algorithm, b"massage", &signature),
                "{algorithm}"
            );
        }
    }

    #[test]
    fn what_openssl_writes_is_read() {
        for (pem, algorithm) in [
            (
                include_str!("../tests/data/rsa-pkcs1.pem"),
                Algorithm::Rs256,
            ),
            (
                include_str!("../tests/data/rsa-pkcs8.pem"),
                Algorithm::Rs256,
            ),
            (
                include_str!("../tests/data/p256-sec1.pem"),
                Algorithm::Es256,
            ),
            (
                include_str!("../tests/data/p384-sec1.pem"),
                Algorithm::Es384,
            ),
            (
                include_str!("../tests/data/p256-pkcs8.pem"),
                Algorithm::Es256,
            ),
            (
                include_str!("../tests/data/ed25519-pkcs8.pem"),
                Algorithm::EdDsa,
            ),
        ] {
            assert_eq!(SigningKey::from_pem(pem).unwrap().algorithm(), algorithm);
        }
    }

    #[test]
    fn what_does_not_sign_tokens_is_refused_with_a_reason() {
        assert_eq!(SigningKey::from_pem("secret").unwrap_err(), KeyError::Pem);
        let weak = include_str!("../tests/data/rsa-1024-pkcs8.pem");
        assert_eq!(
            SigningKey::from_pem(weak).unwrap_err(),
            KeyError::Unsupported
        );
        let hmac = SigningKey::generate(Algorithm::Hs256);
        assert_eq!(hmac.unwrap_err(), KeyError::Algorithm(Algorithm::Hs256));
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        assert_eq!(key.sign("{", "{}").unwrap_err(), KeyError::Json("header"));
        assert!(key.with_algorithm(Algorithm::Es256).is_err());
    }
}
