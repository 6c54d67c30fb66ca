//! An issuer's public key, in every form in which a careless verifier may take it for a secret.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa;
use aws_lc_rs::signature as sig;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A public key of a JWK set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// Its key id.
    pub(crate) kid: Option<String>,
    /// As a JWK, as it was published.
    jwk: Value,
    /// SubjectPublicKeyInfo (RFC 5280, section 4.1).
    spki: Vec<u8>,
    /// RSAPublicKey (RFC 8017, appendix A.1.1), for RSA.
    pkcs1: Option<Vec<u8>>,
    /// The key's own number: modulus, point, or the 32 bytes of Ed25519.
    raw: Vec<u8>,
}

impl PublicKey {
    /// The signature keys of a JWK set or the key of a single JWK, at most 16; what cannot be read
    /// is left out.
    pub(crate) fn from_set(text: &str) -> Vec<Self> {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return Vec::new();
        };
        match value.get("keys").and_then(Value::as_array) {
            Some(keys) => keys.iter().filter_map(Self::from_jwk).take(16).collect(),
            None => Self::from_jwk(&value).into_iter().collect(),
        }
    }

    /// The key of one JWK; `None` for a symmetric or unknown kind.
    pub(crate) fn from_jwk(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| {
            URL_SAFE_NO_PAD
                .decode(text(name)?.trim_end_matches('='))
                .ok()
        };
        let (spki, pkcs1, raw) = match text("kty")? {
            "RSA" => {
                let number = |name| {
                    let all: Vec<u8> = bytes(name)?;
                    let start = all.iter().position(|byte| *byte != 0)?;
                    Some(all[start..].to_vec())
                };
                let n: Vec<u8> = number("n")?;
                let public = rsa::PublicKeyComponents {
                    n: n.clone(),
                    e: number("e")?,
                };
                let spki = public.as_der().ok()?.as_ref().to_vec();
                let pkcs1 = rsa::PublicKey::from_der(&spki).ok()?.as_ref().to_vec();
                (spki, Some(pkcs1), n)
            }
            "EC" => {
                let algorithm: &'static dyn sig::VerificationAlgorithm = match text("crv")? {
                    "P-256" => &sig::ECDSA_P256_SHA256_FIXED,
                    "P-384" => &sig::ECDSA_P384_SHA384_FIXED,
                    "P-521" => &sig::ECDSA_P521_SHA512_FIXED,
                    "secp256k1" => &sig::ECDSA_P256K1_SHA256_FIXED,
                    _ => return None,
                };
                let point = [&[4_u8][..], &bytes("x")?, &bytes("y")?].concat();
                (spki_of(algorithm, &point)?, None, point)
            }
            "OKP" if text("crv")? == "Ed25519" => {
                let raw = bytes("x")?;
                (spki_of(&sig::ED25519, &raw)?, None, raw)
            }
            _ => return None,
        };
        Some(Self {
            kid: text("kid").map(str::to_owned),
            jwk: jwk.clone(),
            spki,
            pkcs1,
            raw,
        })
    }

    /// What a verifier may use as its HMAC secret when it is given this key: the form in words, and
    /// the bytes, the likeliest first.
    pub(crate) fn as_secrets(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut secrets = Vec::new();
        let spki = pem("PUBLIC KEY", &self.spki);
        secrets.push(("PEM (SPKI)", spki.clone().into_bytes()));
        secrets.push(("PEM (SPKI) without its last newline", trimmed(&spki)));
        secrets.push(("DER (SPKI)", self.spki.clone()));
        if let Some(pkcs1) = &self.pkcs1 {
            let text = pem("RSA PUBLIC KEY", pkcs1);
            secrets.push(("PEM (PKCS#1)", text.clone().into_bytes()));
            secrets.push(("PEM (PKCS#1) without its last newline", trimmed(&text)));
            secrets.push(("DER (PKCS#1)", pkcs1.clone()));
        }
        if let Some(number) = ["n", "x"]
            .iter()
            .find_map(|name| self.jwk.get(*name)?.as_str())
        {
            secrets.push(("the number of the JWK as text", number.as_bytes().to_vec()));
        }
        secrets.push(("the number of the JWK as bytes", self.raw.clone()));
        secrets.push(("the JWK as JSON", self.jwk.to_string().into_bytes()));
        secrets.push((
            "the JWK set as JSON",
            json!({ "keys": [self.jwk] }).to_string().into_bytes(),
        ));
        secrets
    }
}

fn spki_of(algorithm: &'static dyn sig::VerificationAlgorithm, key: &[u8]) -> Option<Vec<u8>> {
    let parsed = sig::ParsedPublicKey::new(algorithm, key).ok()?;
    Some(parsed.as_der().ok()?.as_ref().to_vec())
}

/// RFC 7468: lines of 64 characters, a newline after the last.
fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

fn trimmed(pem: &str) -> Vec<u8> {
    pem.trim_end().as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::signing_key::SigningKey;
    use rustls_pki_types::SubjectPublicKeyInfoDer;
    use rustls_pki_types::pem::PemObject as _;
    use std::collections::BTreeSet;

    #[test]
    fn each_kind_of_key_gives_its_forms_once_each() {
        for (algorithm, forms) in [("RS256", 10), ("ES256", 7), ("EdDSA", 7)] {
            let jwk = SigningKey::fresh(algorithm).unwrap().public_jwk().unwrap();
            let key = PublicKey::from_jwk(&jwk).unwrap();
            let secrets = key.as_secrets();
            assert_eq!(secrets.len(), forms, "{algorithm}");
            let distinct: BTreeSet<_> = secrets.iter().map(|(_, bytes)| bytes).collect();
            assert_eq!(distinct.len(), forms, "{algorithm}");
            let der = SubjectPublicKeyInfoDer::from_pem_slice(&secrets[0].1).unwrap();
            assert_eq!(der.as_ref(), key.spki);
        }
    }

    #[test]
    fn a_set_with_strange_members_gives_the_keys_that_are_good() {
        let good = SigningKey::fresh("ES256").unwrap().public_jwk().unwrap();
        let set = json!({ "keys": [{ "kty": "oct", "k": "AA" }, 5, { "kty": "RSA" }, good] });
        assert_eq!(PublicKey::from_set(&set.to_string()).len(), 1);
        assert_eq!(PublicKey::from_set("<html>").len(), 0);
        assert_eq!(PublicKey::from_set(&good.to_string()).len(), 1);
    }
}
