//! Sender binding: whether the one who presents a token is the one it was issued to.

use aws_lc_rs::digest;

use crate::base64url;
use crate::claims::Claims;
use crate::json::Value;
use crate::rejection::Rejection;

/// What a request proves about its sender besides holding the token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sender<'r> {
    /// RFC 7638 thumbprint of the key of a verified DPoP proof.
    proof_key: Option<&'r str>,
    /// SHA-256 of the client certificate of the TLS connection.
    certificate: Option<[u8; 32]>,
}

impl<'r> Sender<'r> {
    /// A request that proves nothing: the token alone, under the scheme `Bearer`.
    pub fn bearer() -> Sender<'static> {
        Sender::default()
    }

    /// The TLS connection was authenticated with this client certificate (DER, RFC 8705 §3). It
    /// must be the certificate of the connection itself, never one from a header that a client
    /// could send.
    #[must_use]
    pub fn with_certificate(self, der: &[u8]) -> Sender<'r> {
        let hash = digest::digest(&digest::SHA256, der);
        let mut thumbprint = [0; 32];
        thumbprint.copy_from_slice(hash.as_ref());
        self.with_certificate_sha256(thumbprint)
    }

    /// The same, of a certificate whose SHA-256 alone is known here: whoever ended the TLS
    /// connection must be trusted to tell the one of the connection itself.
    #[must_use]
    pub fn with_certificate_sha256(mut self, thumbprint: [u8; 32]) -> Sender<'r> {
        self.certificate = Some(thumbprint);
        self
    }

    /// The request carries a DPoP proof that was verified for it, made with the key of this RFC 7638
    /// thumbprint.
    #[must_use]
    pub fn with_proof_key(mut self, thumbprint: &'r str) -> Sender<'r> {
        self.proof_key = Some(thumbprint);
        self
    }
}

/// How a token is bound to its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// It is not: whoever holds it may use it.
    None,
    /// To a DPoP key (`cnf.jkt`, RFC 9449 §6.1).
    Dpop,
    /// To a client certificate (`cnf.x5t#S256`, RFC 8705 §3.1).
    Certificate,
    /// To both.
    Both,
}

/// Compares `cnf` with what the request proves. A method that is not understood is refused, since
/// ignoring it would drop a restriction that the issuer made.
pub(crate) fn check(claims: &Claims, sender: &Sender<'_>) -> Result<Binding, Rejection> {
    let Some(confirmation) = claims.confirmation() else {
        return match sender.proof_key {
            Some(_) => Err(Rejection::NotBound),
            None => Ok(Binding::None),
        };
    };
    let mut binding = Binding::None;
    for (method, value) in confirmation.as_object().into_iter().flatten() {
        match method {
            "jkt" => {
                let thumbprint = thumbprint(value)?;
                let key = sender.proof_key.ok_or(Rejection::ProofMissing)?;
                if base64url::decode(key).as_deref() != Some(&thumbprint) {
                    return Err(Rejection::SenderMismatch);
                }
                binding = binding.and(Binding::Dpop);
            }
            "x5t#S256" => {
                let thumbprint = thumbprint(value)?;
                let certificate = sender.certificate.ok_or(Rejection::ProofMissing)?;
                if certificate != thumbprint {
                    return Err(Rejection::SenderMismatch);
                }
                binding = binding.and(Binding::Certificate);
            }
            _ => return Err(Rejection::ConfirmationUnsupported),
        }
    }
    match binding {
        Binding::None => Err(Rejection::ConfirmationUnsupported),
        Binding::Certificate if sender.proof_key.is_some() => Err(Rejection::NotBound),
        _ => Ok(binding),
    }
}

impl Binding {
    fn and(self, other: Binding) -> Binding {
        if self == Binding::None {
            other
        } else {
            Binding::Both
        }
    }
}

fn thumbprint(value: Value<'_>) -> Result<[u8; 32], Rejection> {
    let mut buffer = [0; 32];
    let bytes = value
        .as_str()
        .and_then(|text| base64url::decode_into(text, &mut buffer));
    match bytes.map(<[u8]>::len) {
        Some(32) => Ok(buffer),
        _ => Err(Rejection::ClaimMalformed("cnf")),
    }
}
