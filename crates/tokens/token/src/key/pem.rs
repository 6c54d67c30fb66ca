//! A public key in PEM.

use aws_lc_rs::rsa::PublicKey;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;

use super::jwk::{Jwk, KeyError, Numbers};

/// What comes before the point or the key in a SubjectPublicKeyInfo of that kind (RFC 5480 §2,
/// RFC 8410 §4); DER has one encoding, so the prefix is constant.
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
const P384: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04,
];
const ED25519: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The longest PEM that is read, in bytes: RSA of 8192 bits takes about 1500.
const MAX_PEM: usize = 16 << 10;

pub(super) fn read(pem: &str) -> Result<Jwk, KeyError> {
    if pem.len() > MAX_PEM {
        return Err(KeyError::Pem);
    }
    let info =
        SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::Pem)?;
    let der: &[u8] = info.as_ref();
    if let Some((x, y)) = der
        .strip_prefix(P256)
        .and_then(|point| point.split_at_checked(32))
    {
        return Jwk::from_numbers(&Numbers::P256 { x, y });
    }
    if let Some((x, y)) = der
        .strip_prefix(P384)
        .and_then(|point| point.split_at_checked(48))
    {
        return Jwk::from_numbers(&Numbers::P384 { x, y });
    }
    if let Some(x) = der.strip_prefix(ED25519) {
        return Jwk::from_numbers(&Numbers::Ed25519 { x });
    }
    let key = PublicKey::from_der(der).map_err(|_| KeyError::Unsupported)?;
    Jwk::from_numbers(&Numbers::Rsa {
        n: key.modulus().big_endian_without_leading_zero(),
        e: key.exponent().big_endian_without_leading_zero(),
    })
}
